"""The Parquet manifests: name, type, unit and meaning of every column; reading, writing and checking.

The product of the pipeline is one such table per dataset. This is the only module that `models` needs of it.
"""

import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from pipeline import parquet_footer
from pipeline.errors import DISK_ERRORS as DISK_ERRORS  # for models, which import nothing else of this package
from pipeline.errors import UserError
from pipeline.marking import GENERATED as GENERATED
from pipeline.marking import XMP_KEYWORD as XMP_KEYWORD
from pipeline.markup import code as code
from pipeline.markup import escape_markdown as escape_markdown
from pipeline.markup import table_rows as table_rows
from pipeline.store import remove as remove
from pipeline.store import sha256_of as sha256_of
from pipeline.stored import check as check
from pipeline.stored import parse_json as parse_json
from pipeline.stored import read_json as read_json

# Arrow's own allocator holds on to 10 to 20 times what tables of this kind need: measured 43 MB more for 2,000 rows.
pa.set_memory_pool(pa.system_memory_pool())


def leave_out_pandas() -> None:
    """Have PyArrow do without pandas, which it imports when a list first becomes a column: 0.3 s. `to_pandas` and
    `from_pandas` still import it when they are called."""

    class NoPandas:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            if name == "pandas":
                raise ImportError("left out")

    if "pandas" not in sys.modules:
        sys.meta_path.insert(0, NoPandas())
        pa.array([0])
        del sys.meta_path[0]


HAIR_COLORS = ("blonde", "brown", "black", "blue", "pink", "purple", "green", "red", "silver")
SPLITS = ("train", "val", "test")


def column(name: str, type_: pa.DataType, meaning: str, *, null: bool = False) -> pa.Field:
    """Return a column of a schema; its meaning and unit are metadata of the Parquet file, and are shown in cards."""
    return pa.field(name, type_, nullable=null, metadata={"meaning": meaning})


_BOX = pa.list_(pa.field("item", pa.float32(), nullable=False), 4)
_BOX_OR_NULL = pa.list_(pa.float32(), 4)  # Arrow cannot cast a null where the items must not be null
_TIME = pa.timestamp("us", tz="UTC")

_PROVENANCE = [
    column("source", pa.string(), "which source offered the picture"),
    column("source_id", pa.string(), "its id there; relative path in a folder; archive!member; seed/i if drawn"),
    column("page_url", pa.string(), "page that shows the picture", null=True),
    column("file_url", pa.string(), "where the file was fetched", null=True),
    column("title", pa.string(), "title or character", null=True),
    column("artist", pa.string(), "who drew it, as the source says", null=True),
    column("rating", pa.string(), "the source's own rating", null=True),
    column("license", pa.string(), "licence, where the source states one", null=True),
    column(
        "tags",
        pa.list_(pa.field("item", pa.string(), nullable=False)),
        "the source's, lower_case; after 'illustration2vec:' or 'wd:' those that this tagger saw",
    ),
    column("fetched_at", _TIME, "when the bytes were fetched; a file's mtime; null if drawn", null=True),
]
_GROUPS = [
    column("group", pa.string(), "smallest image_id among its near-duplicates; never crosses a split"),
    column("split", pa.string(), "train, val or test (80/10/10), a hash of the group"),
]

IMAGES = pa.schema(
    [
        column("image_id", pa.string(), "sha256 of the file; primary key"),
        column("path", pa.string(), "the original, relative to the data root"),
        column("bytes", pa.int64(), "file size"),
        column("md5", pa.string(), "md5 of the file, as many sites name it"),
        column("format", pa.string(), "JPEG, PNG, …: by content, not by name"),
        column("width", pa.int32(), "px, after the EXIF turn"),
        column("height", pa.int32(), "px, after the EXIF turn"),
        column("phash", pa.string(), "64-bit perceptual hash of the picture, hex"),
        *_PROVENANCE,
    ],
    metadata={"version": "1"},
)
"""One row per original, as the first stage writes it."""

IMAGE_DATASET = pa.schema(
    [
        column(field.name, pa.string(), "the picture, relative to the manifest, and to the data root the original")
        if field.name == "path"
        else field
        for field in [*IMAGES, *_GROUPS]
    ],
    metadata={"version": "1"},
)
"""One row per picture of an image dataset."""

FACES = pa.schema(
    [
        column("face_id", pa.string(), "sha256 of the crop's PNG file; primary key"),
        column("path", pa.string(), "the crop, relative to the manifest; square RGB PNG"),
        column("size", pa.int32(), "side of the crop, px"),
        *_PROVENANCE,
        column("image_id", pa.string(), "sha256 of the original"),
        column("image_path", pa.string(), "the original, relative to the data root"),
        column("width", pa.int32(), "of the original, px"),
        column("height", pa.int32(), "of the original, px"),
        column("box", _BOX, "x0, y0, x1, y1 of the face (not the crop) in the original, px; upright square"),
        column("tilt", pa.float32(), "degrees the face leans in the original, clockwise positive"),
        column("box_scale", pa.float32(), "side of the crop over side of the box"),
        column("rotation", pa.float32(), "degrees the crop was turned on purpose, clockwise positive"),
        *(
            column(f"face_{axis}", pa.float32(), f"{axis} of the face's centre in the crop, 0..1; null: 0.5", null=True)
            for axis in "xy"
        ),
        column(
            "score",
            pa.float32(),
            "the detector's confidence, comparable within one detector and sweep: of lbpcascade the number of "
            "windows that agree, of a turned face 0.43 of it; of animeface a likelihood; of network a logit; of "
            "cascade_network and yolo a probability",
        ),
        column("detector", pa.string(), "which detector found the face"),
        column(
            "faces_in_image",
            pa.int32(),
            "how many faces were found in the original, also those that were left out later; null where not counted",
            null=True,
        ),
        column("hair_color", pa.string(), "one of " + " ".join(HAIR_COLORS) + "; null if none is likely", null=True),
        column(
            "hair_scores",
            pa.list_(pa.field("item", pa.float32(), nullable=False), len(HAIR_COLORS)),
            "probability of each colour, in that order; what is left to 1 is 'none'",
        ),
        column("hair_tagger", pa.string(), "which tagger named the colour"),
        column("sharpness", pa.float32(), "variance of the crop's Laplacian, grey 0..255; low is blurred"),
        column("brightness", pa.float32(), "mean luma of the crop, 0..1"),
        column("monochrome", pa.bool_(), "the crop has hardly any colour"),
        column("phash", pa.string(), "64-bit perceptual hash of the crop, hex"),
        *_GROUPS,
    ],
    metadata={"version": "1"},
)


CLIP_FRAMES = 16
GENERATED_SOURCE = "generated"  # of what a run generated
CLIP_SOURCE = "videos"  # the `source` of clips in a funnel: their manifests have no such column
CLIPS = pa.schema(
    [
        column("clip_id", pa.string(), "sha256 of the film strip's PNG file; primary key"),
        column("path", pa.string(), "the film strip, relative to the manifest; RGB PNG, frames one under the other"),
        column("size", pa.int32(), "side of a frame, px"),
        column("frames", pa.int32(), f"number of frames, {CLIP_FRAMES}"),
        column("fps", pa.float32(), "frames per second"),
        column("video_id", pa.string(), "sha256 of the video file"),
        column("video", pa.string(), "path of the video relative to the folder of videos"),
        column("start", pa.float64(), "seconds from the start of the video to the first frame"),
        column("shot", pa.int32(), "number of the shot within the video, from 0"),
        column("track", pa.int32(), "number of the face track within the shot, from 0"),
        column("face_box", _BOX, "x0, y0, x1, y1 of the face in the clip's frame, px"),
        *(
            column(f"{side}_eye", _BOX_OR_NULL, f"the same of the {side} eye; null if it is not visible", null=True)
            for side in ("left", "right")
        ),
        column(
            "openness",
            pa.list_(pa.field("item", pa.float32(), nullable=False), CLIP_FRAMES),
            "how open the eyes are in each frame: 1 open, 0 closed",
        ),
        column("closed_frame", pa.int32(), "number of the first frame in which the eyes are closed, from 0"),
        column(
            "group", pa.string(), "smallest clip_id of its shot and of clips that look alike; never crosses a split"
        ),
        column("split", pa.string(), "train, val or test (80/10/10), a hash of the group"),
    ],
    metadata={"version": "1"},
)

ITEM_FOLDERS = {"face_id": "faces", "clip_id": "clips", "image_id": "images"}
"""Primary key, the first column of each schema -> the folder beside the manifest that `path` lies in."""


def rows_of(table: pa.Table, *columns: str) -> Iterator[tuple]:
    """Return the values of these columns, row by row."""
    return zip(*(table[name].to_pylist() for name in columns), strict=True)


def with_columns(table: pa.Table, **columns: list) -> pa.Table:
    """Return the table with some of FACES' columns, each in the place of one of that name or else appended."""
    for name, values in columns.items():
        field, index = FACES.field(name), table.schema.get_field_index(name)
        array = pa.array(values, field.type)
        table = table.append_column(field, array) if index < 0 else table.set_column(index, field, array)
    return table


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the schema's columns of `table`, in the schema's order and types; a nullable column that is missing is
    null. Raise KeyError if another column is missing, ValueError for values of another type or nulls where there must
    be none."""
    for field in schema:
        if field.nullable and field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(len(table), field.type))
    return table.select(schema.names).cast(schema)


class ManifestError(UserError):
    """A manifest that is missing, damaged, or breaks a promise of its schema."""


def write(table: pa.Table, schema: pa.Schema, path: Path) -> None:
    """Write the table, made to `conform` to the schema, and flush it to the disk. The same rows give the same bytes."""
    table = conform(table, schema).combine_chunks()
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
    """Return the table at `path`, with the schema's columns and types; a nullable column that the file lacks is null.
    Raise ManifestError, with that cure, if another column is missing, if values are not of the column's type, or if a
    path leaves the folder that it is relative to."""
    try:
        names = schema_of(path).names
        if missing := required_columns(schema).difference(names):
            expected = "the columns of README.md"
            raise ManifestError(path, f"lacks the columns {', '.join(sorted(missing))}", expected, cure)
        file_schema = pa.schema([field for field in schema if field.name in names])
        table = conform(pa.Table.from_batches(batches(path, schema), file_schema), schema).combine_chunks()
    except FileNotFoundError:
        raise ManifestError(path, "there is no such file", "a Parquet manifest", "build the dataset first") from None
    except ValueError as error:
        raise ManifestError(path, f"unreadable ({error})", "a Parquet manifest", cure) from error
    folders = {"path": ITEM_FOLDERS.get(schema.names[0]), "image_path": "images"}
    for name, folder in folders.items():
        if folder and name in schema.names:
            stray = next((text for text in table[name].to_pylist() if not _is_below(text, folder)), None)
            if stray is not None:
                raise ManifestError(path, f"{name} holds {stray[:100]!r}", f"paths such as {folder}/ab/abcd….png", cure)
    return table


def required_columns(schema: pa.Schema) -> set[str]:
    """Return the columns that every file of the schema has; others may be missing, and are null then."""
    return {field.name for field in schema if not field.nullable}


def _is_below(path: str, folder: str) -> bool:
    """Return whether a path of a manifest is a plain relative one below `folder`, on any operating system."""
    first, *names = path.split("/")
    is_plain = path.isprintable() and not re.search(r"[\\:]", path)
    return is_plain and first == folder and bool(names) and not {"", ".", ".."} & {*names}


def schema_of(path: Path) -> pa.Schema:
    """Return the schema of a Parquet file, with its metadata. Raise FileNotFoundError, or ValueError if it is none."""
    try:
        with _open_parquet(path) as file:
            return file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise _as_value_error(error) from error


def batches(path: Path, schema: pa.Schema | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Parquet file, BATCH_ROWS at a time at most, with the columns of `schema` that it has, in the
    schema's types; without a schema, all its columns as they are.

    The file may come from anywhere: raise ValueError, in one line, if it is damaged, a column comes twice, holds values
    of another kind or nulls against the schema, or if its rows unpack to more than those of manifests do. Raise
    FileNotFoundError."""
    try:
        yield from _batches(path, schema)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _as_value_error(error) from error


def _as_value_error(error: Exception) -> Exception:
    if isinstance(error, FileNotFoundError):
        return error
    return ValueError(" ".join((getattr(error, "strerror", None) or str(error)).split())[:200])


def _open_parquet(path: Path, **options) -> pq.ParquetFile:
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
    with _open_parquet(path) as file:
        metadata, file_schema = file.metadata, file.schema_arrow
        count = Counter(file_schema.names)
        if len(file.schema) > MAX_COLUMNS or metadata.num_row_groups > MAX_ROW_GROUPS:
            raise ValueError(f"{len(file.schema):,} columns in {metadata.num_row_groups:,} row groups")
        if schema is None:
            schema = _without_string_views(file_schema)
        else:
            schema = pa.schema([field for field in schema if field.name in count])
        for field in schema:
            if count[field.name] > 1:
                raise ValueError(f"the column {field.name[:40]} comes twice")
            if not _is_of_kind(file_schema.field(field.name).type, field.type):
                type_ = str(file_schema.field(field.name).type)
                raise ValueError(f"{field.name[:40]} is {type_[:40]}, not {field.type}")
        leaves = [file.schema.column(index) for index in range(len(file.schema))]
    budget = MAX_UNPACKED_BYTES + MAX_UNPACKED_RATIO * path.stat().st_size
    wanted = {*schema.names}
    chunks = [chunk for chunk in parquet_footer.chunks(_footer(path)) if chunk.path.partition(".")[0] in wanted]
    with open(path, "rb") as file:
        unpacked = (max(chunk.unpacked, parquet_footer.unpacked_bytes(file, chunk)) for chunk in chunks)
        if sum(unpacked) + 4 * sum(max(chunk.values, 0) for chunk in chunks) > budget:
            raise ValueError(f"it unpacks to more than {budget:,} bytes")
    # One long text that many rows repeat is stored once: it is read once, too, until its length is known.
    texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
    with _open_parquet(path, metadata=metadata, read_dictionary=texts) as file:
        for group in range(metadata.num_row_groups):  # of several at once PyArrow joins no lists of texts
            for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=schema.names):
                size = sum(map(_unpacked_bytes, batch.columns))
                budget -= size
                if size > MAX_ROW_BYTES * len(batch):
                    raise ValueError(f"rows of more than {MAX_ROW_BYTES:,} bytes")
                if budget < 0:
                    raise ValueError("it unpacks to more than its size allows")
                yield _validate(batch.select(schema.names).cast(schema))


def _without_string_views(schema: pa.Schema) -> pa.Schema:
    """Return the schema with texts of a kind that a dictionary can be cast to."""
    fields = [field.with_type(pa.string()) if pa.types.is_string_view(field.type) else field for field in schema]
    return pa.schema(fields, metadata=schema.metadata)


def _validate(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch. Raise ValueError if a list holds null, or a text is not UTF-8."""
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if _is_list(field.type) and column.flatten().null_count:
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
    """Return the size of an array without dictionary encoding. Raise ValueError if one text of a dictionary has more
    than MAX_ROW_BYTES."""
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


def load_png(folder: Path, path: str, width: int, height: int) -> Image.Image:
    """Return the picture at `path` of the dataset in `folder`: RGB, `width` × `height`. Raise ManifestError unless it
    is a PNG of that mode and size within the folder; nothing else is decoded."""
    file, cure = folder / path, "remove the dataset and build it again"
    if not is_within(file, folder):
        raise ManifestError(file, "it leads out of the dataset", "a picture within its folder", cure)
    try:
        if file.exists() and not file.is_file():
            raise ValueError("not a regular file")
        with Image.open(file, formats=("PNG",)) as picture:
            if (picture.size, picture.mode) == ((width, height), "RGB"):
                picture.load()
                return picture
            found = "{} × {} px".format(*picture.size) if picture.size != (width, height) else picture.mode
    except FileNotFoundError:
        raise ManifestError(file, "there is no such file", "the picture of a row", cure) from None
    except Exception as error:  # hostile bytes make decoders raise anything
        words = " ".join(str(error).split())[:200]
        raise ManifestError(file, f"unreadable ({words})", "the picture of a row", cure) from error
    raise ManifestError(file, found, f"{width} × {height}, as the manifest says, and RGB", cure)


def check_folder(folder: Path, *schemas: pa.Schema) -> pa.Schema:
    """Return the first of the schemas, FACES if none is given, whose required columns the manifest.parquet in `folder`
    has. Raise ManifestError if there is none. Of the file, only the footer is read."""
    schemas = schemas or (FACES,)
    path, found = folder / "manifest.parquet", None
    if not os.path.lexists(folder):
        raise ManifestError(folder, "there is no such file or folder", "the name of a dataset", "build it first")
    if not os.path.exists(folder):
        found = f"is a link to {os.readlink(folder)!r}, which is not there"
    elif not os.path.isfile(path):
        found = "holds no manifest.parquet"
    else:
        try:
            names = schema_of(path).names
            lacking = [required_columns(schema).difference(names) for schema in schemas]
            for schema, missing in zip(schemas, lacking, strict=True):
                if not missing:
                    return schema
            fewest = min(lacking, key=len)
            found = f"has a manifest.parquet without {', '.join(sorted(fewest))}"
        except (OSError, ValueError) as error:
            found = f"has a manifest.parquet that cannot be read ({error})"
    cure = "copy it here again, whole, or move away what is there and build it again"
    raise ManifestError(folder, found, "a dataset", cure)


def check_rows(table: pa.Table, where: Path) -> None:
    """Raise ManifestError unless the primary key, the first column, is unique, splits and hair colours are of those
    allowed, and no group lies in two splits."""
    key, cure = table.schema.names[0], "build the dataset again"
    if pc.count_distinct(table[key]).as_py() != len(table):
        raise ManifestError(where, f"a {key} comes twice", f"unique {key}s", cure)
    for name, allowed in (("split", SPLITS), ("hair_color", HAIR_COLORS)):
        if name not in table.schema.names:
            continue
        if strange := set(pc.unique(table[name]).to_pylist()) - set(allowed) - {None}:
            raise ManifestError(where, f"{name} holds {min(strange)[:40]!r}", f"one of {' '.join(allowed)}", cure)
    pairs = table.select(["group", "split"]).group_by(["group", "split"]).aggregate([])
    crossing = len(pairs) - pc.count_distinct(pairs["group"]).as_py()
    if crossing:
        raise ManifestError(where, f"{crossing} groups lie in more than one split", "each group in one split", cure)
