"""The Parquet manifests: every column's name, type, unit and meaning, once. Read, write, check.

The product of the pipeline is one table per dataset; whoever reads it needs this file and nothing else of ours.
"""

import hashlib
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import UserError

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
    "bad_sidecar": "what lies beside the picture to describe it could not be read; the picture itself is in",
    "unsafe_name": "an archive member whose name leaves the archive, or that is a link or a device",
    "encrypted": "an archive member that needs a password",
    "archive_bomb": "an archive that unpacks to more than is safe, in bytes, ratio or count",
    "archive_damaged": "an archive that ends early or fails its checksum; members before that are in",
    "nested_too_deep": "an archive within an archive within an archive",
    "no_tool": "a compressed rar, and none of unar, unrar, bsdtar and 7z is installed",
    "rating": "the site rates it otherwise than is asked for",
    "hidden": "the site does not show it to everybody, and gives no address",
    "not_a_picture": "a film, flash or another kind of file",
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
    return hashlib.sha256(path.read_bytes()).hexdigest()


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
        "detail": detail.encode("utf-8", "replace").decode()[:200],
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


def read(path: Path, schema: pa.Schema) -> pa.Table:
    """The table at `path`, with the schema's columns. Raises ManifestError."""
    try:
        table = pq.read_table(path, partitioning=None)
    except FileNotFoundError:
        raise ManifestError(path, "there is no such file", "a Parquet manifest", "build the dataset first") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise ManifestError(path, f"unreadable ({error})", "a Parquet manifest", "build the dataset again") from error
    missing = [name for name in schema.names if name not in table.column_names]
    if missing:
        raise ManifestError(
            path, f"lacks the columns {', '.join(missing)}", "the columns of README.md", "build the dataset again"
        )
    return table.select(schema.names)


def check_faces(table: pa.Table, where: Path) -> None:
    """Raises ManifestError unless keys are unique, splits and colours known, and no group lies in two splits."""
    cure = "build the dataset again"
    if pc.count_distinct(table["face_id"]).as_py() != len(table):
        raise ManifestError(where, "a face_id comes twice", "unique face_ids", cure)
    for name, allowed in (("split", SPLITS), ("hair_color", HAIR_COLORS)):
        strange = set(pc.unique(table[name]).to_pylist()) - set(allowed) - {None}
        if strange:
            raise ManifestError(where, f"{name} holds {sorted(strange)}", f"one of {' '.join(allowed)}", cure)
    pairs = table.select(["group", "split"]).group_by(["group", "split"]).aggregate([])
    crossing = len(pairs) - pc.count_distinct(pairs["group"]).as_py()
    if crossing:
        raise ManifestError(where, f"{crossing} groups lie in more than one split", "each group in one split", cure)
