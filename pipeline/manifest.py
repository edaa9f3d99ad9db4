"""The Parquet manifests: every column's name, type, unit and meaning, once. Read, write, check.

The product of the pipeline is one table per dataset; whoever reads it needs this file and nothing else of ours.
"""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from pipeline import parquet_footer, terminal
from pipeline.errors import UserError
from pipeline.markup import code as code  # for the cards of models, which import nothing else of this package
from pipeline.markup import inert as inert
from pipeline.markup import table_rows as table_rows
from pipeline.stored import check as check  # for models, too
from pipeline.stored import parse_json as parse_json
from pipeline.stored import read_json as read_json

# Arrow's own allocator holds on to 10 to 20 times what tables of this kind need: measured 43 MB more for 2,000 rows.
pa.set_memory_pool(pa.system_memory_pool())

HAIR_COLORS = ("blonde", "brown", "black", "blue", "pink", "purple", "green", "red", "silver")
SPLITS = ("train", "val", "test")

REASONS = {
    "empty": "the file has no bytes",
    "not_an_image": "no decoder knows the bytes",
    "truncated": "the file ends, or is damaged, before the picture does",
    "too_many_pixels": "the picture claims more pixels than is safe to decode",
    "too_costly": "the picture would take more time or memory to decode than its size allows",
    "out_of_memory": "this machine had not enough memory for the picture",
    "duplicate": "the same bytes came earlier, under another id",
    "unreadable": "the operating system would not read the file",
    "link": "a link that leads out of the folder, to a folder, or nowhere",
    "system_file": "hidden, or kept there by an operating system or a NAS, as thumbnails and recycle bins are",
    "bad_sidecar": "text or a table beside pictures that could not be read or used; the pictures themselves are in",
    "unsafe_name": "an archive member whose name leaves the archive, or that is a link or a device",
    "encrypted": "an archive member that needs a password",
    "archive_bomb": "an archive that unpacks to more than is safe, in bytes, ratio or count",
    "archive_damaged": "an archive that ends early or fails its checksum; members before that are in",
    "other_packing": "an archive, or a member, packed in a way that is not read here",
    "nested_too_deep": "an archive within an archive within an archive",
    "no_tool": "a compressed rar, and none of unar, unrar, bsdtar and 7z is installed",
    "rating": "the site rates it otherwise than is asked for",
    "hidden": "the site does not show it to everybody, and gives no address",
    "not_a_picture": "a film, flash or another kind of file",
    "odd_post": "what the site says of it is no post, or has no id",
    "no_file_url": "the site gives no address of the file, and none can be made",
    "gone": "the host no longer has it (404, 410, 451)",
    "refused": "the host does not give it (401, 403 and their like)",
    "rate_limited": "the host kept asking for patience (429)",
    "server_error": "the host failed each time it was asked (5xx)",
    "unreachable": "the host could not be reached",
    "too_slow": "the host fell silent, or would have taken too long",
    "cut_short": "the connection ended before the file did",
    "too_large": "more bytes than are taken",
    "wrong_type": "something else than a picture came, such as a web page",
    "wrong_hash": "not the bytes whose hash the site promises",
    "bad_url": "an address that is none, or none that is asked",
    "private_address": "an address within a private network",
    "redirects": "too many redirects",
    "robots": "the host's robots.txt disallows it",
    "opted_out": "the host or page says that it is not for learning or indexing",
    "age_gate": "the site asks for an age that the user has not declared",
    "blocked": "the block list names its artist, domain, address or hash",
    "changed": "another picture than the recipe's is there now",
    "corrected": "dropped by hand",
    "no_face": "the detector found no face",
    "near_duplicate": "a larger copy of the picture, or of a face in it, is in",
    "small_original": "the original is smaller than is asked for",
    "blurred": "the crop is less sharp than is asked for",
    "dark": "the crop is darker than is asked for",
    "bright": "the crop is brighter than is asked for",
    "monochrome": "the crop has hardly any colour, and only coloured ones are asked for",
    "colored": "the crop has colour, and only those without are asked for",
}


def _column(name: str, type_: pa.DataType, meaning: str, *, null: bool = False) -> pa.Field:
    return pa.field(name, type_, nullable=null, metadata={"meaning": meaning})


_BOX = pa.list_(pa.field("item", pa.float32(), nullable=False), 4)
_TIME = pa.timestamp("us", tz="UTC")

_PROVENANCE = [
    _column("source", pa.string(), "which source offered the picture"),
    _column("source_id", pa.string(), "its id there; relative path in a folder; archive!member; seed/i if drawn"),
    _column("page_url", pa.string(), "page that shows the picture", null=True),
    _column("file_url", pa.string(), "where the file was fetched", null=True),
    _column("title", pa.string(), "title or character", null=True),
    _column("artist", pa.string(), "who drew it, as the source says", null=True),
    _column("rating", pa.string(), "the source's own rating", null=True),
    _column("license", pa.string(), "licence, where the source states one", null=True),
    _column(
        "tags",
        pa.list_(pa.field("item", pa.string(), nullable=False)),
        "the source's, lower_case; after 'illustration2vec:' those that it saw",
    ),
    _column("fetched_at", _TIME, "when the bytes were fetched; a file's mtime; null if drawn", null=True),
]
_GROUPS = [
    _column("group", pa.string(), "smallest image_id among its near-duplicates; never crosses a split"),
    _column("split", pa.string(), "train, val or test (80/10/10), a hash of the group"),
]

IMAGES = pa.schema(
    [
        _column("image_id", pa.string(), "sha256 of the file; primary key"),
        _column("path", pa.string(), "the original, relative to the data root"),
        _column("bytes", pa.int64(), "file size"),
        _column("md5", pa.string(), "md5 of the file, as many sites name it"),
        _column("format", pa.string(), "JPEG, PNG, …: by content, not by name"),
        _column("width", pa.int32(), "px, after the EXIF turn"),
        _column("height", pa.int32(), "px, after the EXIF turn"),
        _column("phash", pa.string(), "64-bit perceptual hash of the picture, hex"),
        *_PROVENANCE,
    ],
    metadata={"version": "1"},
)
"""One row per original as the first stage writes it; an image dataset adds GROUPS' two columns."""

FACES = pa.schema(
    [
        _column("face_id", pa.string(), "sha256 of the crop's PNG file; primary key"),
        _column("path", pa.string(), "the crop, relative to the manifest; square RGB PNG"),
        _column("size", pa.int32(), "side of the crop, px"),
        *_PROVENANCE,
        _column("image_id", pa.string(), "sha256 of the original"),
        _column("image_path", pa.string(), "the original, relative to the data root"),
        _column("width", pa.int32(), "of the original, px"),
        _column("height", pa.int32(), "of the original, px"),
        _column("box", _BOX, "x0, y0, x1, y1 of the face (not the crop) in the original, px; upright square"),
        _column("tilt", pa.float32(), "degrees the face leans in the original, clockwise positive"),
        _column("box_scale", pa.float32(), "side of the crop over side of the box"),
        _column("rotation", pa.float32(), "degrees the crop was turned on purpose, clockwise positive"),
        _column(
            "score",
            pa.float32(),
            "the detector's confidence, comparable within one detector and sweep: of lbpcascade the weight of its last "
            "stage, or with a sweep the number of windows that agree; of animeface a likelihood; of network a logit",
        ),
        _column("detector", pa.string(), "which detector found the face"),
        _column("hair_color", pa.string(), "one of " + " ".join(HAIR_COLORS) + "; null if none is likely", null=True),
        _column(
            "hair_scores",
            pa.list_(pa.field("item", pa.float32(), nullable=False), len(HAIR_COLORS)),
            "probability of each colour, in that order; what is left to 1 is 'none'",
        ),
        _column("hair_tagger", pa.string(), "which tagger named the colour"),
        _column("sharpness", pa.float32(), "variance of the crop's Laplacian, grey 0..255; low is blurred"),
        _column("brightness", pa.float32(), "mean luma of the crop, 0..1"),
        _column("monochrome", pa.bool_(), "the crop has hardly any colour"),
        _column("phash", pa.string(), "64-bit perceptual hash of the crop, hex"),
        *_GROUPS,
    ],
    metadata={"version": "1"},
)

FUNNEL = pa.schema(
    [
        _column("stage", pa.string(), "the task that dropped it"),
        _column("source", pa.string(), "which source offered it"),
        _column("source_id", pa.string(), "its id there"),
        _column("image_id", pa.string(), "sha256 of the file, if its bytes were read", null=True),
        _column("reason", pa.string(), "one of " + " ".join(REASONS)),
        _column("detail", pa.string(), "more on it, in the library's own words, at most 200 characters"),
    ],
    metadata={"version": "1"},
)


def sha256_of(path: Path) -> str:
    """Of a manifest's file: by which recipes and runs know it. Raises OSError."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def funnel_row(
    stage: str, source: str, source_id: str, reason: str, detail: str = "", image_id: str | None = None
) -> dict:
    """One row of FUNNEL. Raises KeyError if the reason is not of the list."""
    REASONS[reason]
    return {
        "stage": stage,
        "source": source,
        "source_id": source_id,
        "image_id": image_id,
        "reason": reason,
        "detail": terminal.visible(detail)[:200],
    }


def with_columns(table: pa.Table, **columns: list) -> pa.Table:
    """The table with some of FACES' columns added, those that a stage has found out."""
    for name, values in columns.items():
        field = FACES.field(name)
        table = table.append_column(field, pa.array(values, field.type))
    return table


class ManifestError(UserError):
    """A manifest that is missing, damaged, or breaks a promise of its schema."""


def write(table: pa.Table, schema: pa.Schema, path: Path) -> None:
    """Write the schema's columns of `table`, in the schema's order; ends on disk, not in a buffer.

    The same rows give the same bytes. Raises KeyError if a column is missing, ValueError if it is of another type,
    or null where it must not be."""
    table = table.select(schema.names).cast(schema).combine_chunks()
    with open(path, "wb") as file:
        pq.write_table(table, file, compression="zstd")
        file.flush()
        os.fsync(file.fileno())


MAX_FOOTER_BYTES = 4 << 20  # ours has some 10 KB
MAX_ROW_BYTES = 256 << 10  # of one row, unpacked; ours have hundreds of bytes
MAX_UNPACKED_BYTES, MAX_UNPACKED_RATIO = 64 << 20, 32  # of a whole file: so much, and so many times its own size
MAX_LIST_DEPTH, MAX_COLUMNS, MAX_ROW_GROUPS = 8, 1000, 500
BATCH_ROWS = 1 << 16


def read(path: Path, schema: pa.Schema, *, cure: str = "build the dataset again") -> pa.Table:
    """Return the table at `path`, with the schema's columns and types. Raise ManifestError, with that cure, unless it
    holds what the schema promises, and paths that stay in the folder that they are relative to."""
    try:
        names = schema_of(path).names
        missing = [name for name in schema.names if name not in names]
        if missing:
            raise ManifestError(path, f"lacks the columns {', '.join(missing)}", "the columns of README.md", cure)
        table = pa.Table.from_batches(batches(path, schema), schema).combine_chunks()
    except FileNotFoundError:
        raise ManifestError(path, "there is no such file", "a Parquet manifest", "build the dataset first") from None
    except ValueError as error:
        raise ManifestError(path, f"unreadable ({error})", "a Parquet manifest", cure) from error
    for name, folder in (("path", "faces"), ("image_path", "images")) if schema is FACES else ():
        stray = next((text for text in table[name].to_pylist() if not _is_below(text, folder)), None)
        if stray is not None:
            raise ManifestError(path, f"{name} holds {stray[:100]!r}", f"paths such as {folder}/ab/abcd….png", cure)
    return table


def _is_below(path: str, folder: str) -> bool:
    """Return whether a path of a manifest is a plain relative one below `folder`, on any operating system."""
    first, *names = path.split("/")
    is_plain = path.isprintable() and not re.search(r"[\\:]", path)
    return is_plain and first == folder and bool(names) and not {"", ".", ".."} & {*names}


def schema_of(path: Path) -> pa.Schema:
    """Return the schema of a Parquet file, with its metadata. Raise FileNotFoundError, or ValueError if it is none."""
    try:
        with _opened(path) as file:
            return file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(error) from error


def batches(path: Path, schema: pa.Schema | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Parquet file, BATCH_ROWS at a time at most, with the columns of `schema` that it has, in the
    schema's types; without a schema, all its columns as they are.

    The file may come from anywhere: raise ValueError, in one line, if it is damaged, a column comes twice, holds values
    of another kind or nulls against the schema, or if its rows unpack to more than those of manifests do. Raise
    FileNotFoundError."""
    try:
        yield from _batches(path, schema)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> Exception:
    if isinstance(error, FileNotFoundError):
        return error
    return ValueError(" ".join((getattr(error, "strerror", None) or str(error)).split())[:200])


def _opened(path: Path, **options) -> pq.ParquetFile:
    _footer(path)  # PyArrow would take its word for its length
    limits = {"thrift_string_size_limit": MAX_FOOTER_BYTES, "thrift_container_size_limit": 100_000}
    return pq.ParquetFile(path, **limits, **options)


def _footer(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise ValueError("not a regular file")
    with open(path, "rb") as raw:
        size = raw.seek(0, os.SEEK_END)
        raw.seek(max(size - 8, 0))
        end = raw.read(8)
        length = int.from_bytes(end[:4], "little")
        if end[4:] != b"PAR1" or length > min(MAX_FOOTER_BYTES, size - 12):
            raise ValueError("encrypted" if end[4:] == b"PARE" else "no Parquet file, or its end is cut off")
        raw.seek(size - 8 - length)
        return raw.read(length)


def _batches(path: Path, schema: pa.Schema | None) -> Iterator[pa.RecordBatch]:
    with _opened(path) as file:
        metadata, held = file.metadata, file.schema_arrow
        count = Counter(held.names)
        if len(file.schema) > MAX_COLUMNS or metadata.num_row_groups > MAX_ROW_GROUPS:
            raise ValueError(f"{len(file.schema):,} columns in {metadata.num_row_groups:,} row groups")
        schema = _plain(held) if schema is None else pa.schema([field for field in schema if field.name in count])
        for field in schema:
            if count[field.name] > 1:
                raise ValueError(f"the column {field.name[:40]} comes twice")
            if not _is_of_kind(held.field(field.name).type, field.type):
                raise ValueError(f"{field.name[:40]} is {str(held.field(field.name).type)[:40]}, not {field.type}")
        leaves = [file.schema.column(index) for index in range(len(file.schema))]
    most = MAX_UNPACKED_BYTES + MAX_UNPACKED_RATIO * path.stat().st_size
    wanted = {*schema.names}
    chunks = [chunk for chunk in parquet_footer.chunks(_footer(path)) if chunk.path.partition(".")[0] in wanted]
    with open(path, "rb") as file:
        unpacked = (max(chunk.unpacked, parquet_footer.unpacked_bytes(file, chunk)) for chunk in chunks)
        if sum(unpacked) + 4 * sum(max(chunk.values, 0) for chunk in chunks) > most:
            raise ValueError(f"it unpacks to more than {most:,} bytes")
    # One long text that many rows repeat is stored once: it is read once, too, until its length is known.
    texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
    with _opened(path, metadata=metadata, read_dictionary=texts) as file:
        for group in range(metadata.num_row_groups):  # of several at once PyArrow joins no lists of texts
            for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=schema.names):
                size = sum(map(_unpacked_bytes, batch.columns))
                most -= size
                if size > MAX_ROW_BYTES * len(batch):
                    raise ValueError(f"rows of more than {MAX_ROW_BYTES:,} bytes")
                if most < 0:
                    raise ValueError("it unpacks to more than its size allows")
                yield _checked(batch.select(schema.names).cast(schema))


def _plain(schema: pa.Schema) -> pa.Schema:
    """Return the schema with texts of a kind that a dictionary can be cast to."""
    fields = [field.with_type(pa.string()) if pa.types.is_string_view(field.type) else field for field in schema]
    return pa.schema(fields, metadata=schema.metadata)


def _checked(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Raises ValueError."""
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if _is_list(field.type) and not field.type.value_field.nullable and column.flatten().null_count:
            raise ValueError(f"{field.name} with nothing in them")
    batch.validate(full=True)  # also that texts are UTF-8
    return batch


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


_KINDS = (_is_text, pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_timestamp)


def _is_of_kind(found: pa.DataType, wanted: pa.DataType, depth: int = 0) -> bool:
    """Return whether values of a type may be cast: int32 to int64, but not to text. Of nulls alone it is not known."""
    if found == wanted or pa.types.is_null(found):
        return depth < MAX_LIST_DEPTH
    if pa.types.is_dictionary(found):
        return _is_of_kind(found.value_type, wanted, depth)
    if _is_list(wanted):
        return _is_list(found) and _is_of_kind(found.value_type, wanted.value_type, depth + 1)
    return any(test(found) and test(wanted) for test in _KINDS)


def _unpacked_bytes(array: pa.Array) -> int:
    """Return how many bytes an array has once the texts of its dictionaries stand in each row. Raise ValueError if one
    of them alone is too long."""
    if pa.types.is_dictionary(array.type):
        lengths = pc.binary_length(array.dictionary)
        if (pc.max(lengths).as_py() or 0) > MAX_ROW_BYTES:
            raise ValueError(f"rows of more than {MAX_ROW_BYTES:,} bytes")
        return array.indices.nbytes + (pc.sum(lengths.take(array.indices)).as_py() or 0)
    if _is_list(array.type):
        return 4 * len(array) + _unpacked_bytes(array.flatten())
    if pa.types.is_struct(array.type):
        return sum(map(_unpacked_bytes, array.flatten()))
    return array.nbytes


def is_within(path: Path, folder: Path) -> bool:
    """Return whether `path`, with all links followed, is `folder` or lies in it."""
    return f"{os.path.realpath(path)}{os.sep}".startswith(f"{os.path.realpath(folder)}{os.sep}")


def load_crop(folder: Path, path: str, size: int) -> Image.Image:
    """Return the crop at `path` of the dataset in `folder`: RGB, `size` × `size`. Raise ManifestError unless it is a
    PNG of that mode and size within the folder; nothing else is decoded."""
    file, cure = folder / path, "remove the dataset and build it again"
    if not is_within(file, folder):
        raise ManifestError(file, "it leads out of the dataset", "a picture within its folder", cure)
    try:
        if file.exists() and not file.is_file():
            raise ValueError("not a regular file")
        with Image.open(file, formats=("PNG",)) as picture:
            if (picture.size, picture.mode) == ((size, size), "RGB"):
                picture.load()
                return picture
            found = "{} × {} px".format(*picture.size) if picture.size != (size, size) else picture.mode
    except FileNotFoundError:
        raise ManifestError(file, "there is no such file", "the picture of a face", cure) from None
    except Exception as error:  # hostile bytes make decoders raise anything
        words = " ".join(str(error).split())[:200]
        raise ManifestError(file, f"unreadable ({words})", "the picture of a face", cure) from error
    raise ManifestError(file, found, f"{size} × {size}, as the manifest says, and RGB", cure)


def check_folder(folder: Path) -> None:
    """Raise ManifestError unless `folder` holds a dataset: a manifest.parquet that can be opened. Its footer alone is
    read."""
    path, found = folder / "manifest.parquet", None
    if not os.path.lexists(folder):
        raise ManifestError(folder, "there is no such file or folder", "the name of a dataset", "build it first")
    if not os.path.exists(folder):
        found = f"is a link to {os.readlink(folder)!r}, which is not there"
    elif not os.path.isfile(path):
        found = "holds no manifest.parquet"
    else:
        try:
            missing = {*FACES.names} - {*schema_of(path).names}
            found = f"has a manifest.parquet without {', '.join(sorted(missing))}" if missing else None
        except (OSError, ValueError) as error:
            found = f"has a manifest.parquet that cannot be read ({error})"
    if found:
        cure = "copy it here again, whole, or move away what is there and build it again"
        raise ManifestError(folder, found, "a dataset", cure)


def check_faces(table: pa.Table, where: Path) -> None:
    """Raises ManifestError unless keys are unique, splits and colours known, and no group lies in two splits."""
    cure = "build the dataset again"
    if pc.count_distinct(table["face_id"]).as_py() != len(table):
        raise ManifestError(where, "a face_id comes twice", "unique face_ids", cure)
    for name, allowed in (("split", SPLITS), ("hair_color", HAIR_COLORS)):
        if strange := set(pc.unique(table[name]).to_pylist()) - set(allowed) - {None}:
            raise ManifestError(where, f"{name} holds {min(strange)[:40]!r}", f"one of {' '.join(allowed)}", cure)
    pairs = table.select(["group", "split"]).group_by(["group", "split"]).aggregate([])
    crossing = len(pairs) - pc.count_distinct(pairs["group"]).as_py()
    if crossing:
        raise ManifestError(where, f"{crossing} groups lie in more than one split", "each group in one split", cure)
