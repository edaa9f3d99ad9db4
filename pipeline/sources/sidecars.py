"""What lies beside a local picture to describe it -> provenance and tags.

| written by | file | says |
|---|---|---|
| gallery-dl | `c.png.json` | a site's own keys |
| waifuc | `.c_meta.json` | url, tags with scores |
| kohya's scripts | `c.txt`, `c.caption` | comma-separated tags |
| Hugging Face ImageFolder | `metadata.csv`, `.jsonl`, `.parquet` in its folder or one above | a row with `file_name` |

All of it comes from outside: a wrong type is passed over, a file that cannot be read is a problem to be counted, and
neither keeps the picture out.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Collection, Iterator
from functools import partial
from posixpath import dirname, join, normpath, splitext

TABLES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
MAX_BYTES, MAX_TABLE_BYTES = 1 << 20, 200 << 20
MAX_TAGS, MAX_TEXT = 500, 2000

# Column of the manifest -> the keys under which sites and tools say it, the plainest first.
KEYS = {
    "page_url": ("page_url", "post_url", "source_url"),
    "file_url": ("file_url", "image_url", "url"),
    "title": ("title", "title_original"),
    "artist": ("artist", "tags_artist", "tag_string_artist", "author", "creator", "user"),
    "rating": ("rating",),
    "license": ("license", "licence"),
}
_TAG_LISTS = ("tags_artist", "tag_string_artist")  # of names without blanks
TAG_KEYS = ("tags", "tag_string", "tags_general", "tags_character", "tags_copyright", "text", "caption")
PROVENANCE_KEYS = (*TAG_KEYS, *(key for keys in KEYS.values() for key in keys))

# What parsers raise: Arrow's and JSON's errors are ValueErrors, a time that no calendar holds overflows.
DAMAGE = (ValueError, ArithmeticError, RecursionError, csv.Error, OSError, NotImplementedError)

Read = Callable[[str], bytes]
"""Path of a file beside the pictures -> its bytes; raises OSError."""


class BadSidecar(Exception):
    """One that cannot be read; args: its path and why."""


def beside(path: str) -> list[str]:
    """The paths at which sidecars of the picture at `path` may lie, most telling first."""
    folder, stem = dirname(path), splitext(path)[0]
    waifuc = join(folder, f".{stem[len(folder) :].lstrip('/')}_meta.json")
    tables = [join(above, name) for above in _folders_above(path) for name in TABLES]
    return [f"{path}.json", waifuc, f"{stem}.txt", f"{stem}.caption", *tables]


def _folders_above(path: str) -> Iterator[str]:
    while path:
        path = dirname(path)
        yield path


class Sidecars:
    """Reads them; a table only once."""

    def __init__(self, read: Read):
        self._read = read
        self._tables: dict[str, dict[str, dict]] = {}

    def describe(self, path: str, present: list[str]) -> tuple[dict, list[BadSidecar]]:
        """(fields of Post that the sidecars at the paths `present` say of the picture at `path`, what went wrong)."""
        said: dict = {}
        tags: dict[str, None] = {}
        problems = []
        for sidecar in present:
            try:
                values = self._values(sidecar, path)
            except BadSidecar as problem:
                problems.append(problem)
                continue
            said = provenance(values) | said
            tags |= dict.fromkeys(tags_in(values))
        tags |= dict.fromkeys(folder_tags(path))
        return said | {"tags": tuple(list(tags)[:MAX_TAGS])}, problems

    def _values(self, sidecar: str, path: str) -> dict:
        """What one sidecar says of the picture at `path`."""
        name = sidecar.rpartition("/")[2]
        if name in TABLES:
            return self._table(sidecar).get(path.removeprefix(dirname(sidecar)).lstrip("/"), {})
        data = self._bytes(sidecar, MAX_BYTES)
        if not name.endswith(".json"):
            return {"tags": _decoded(data, sidecar)}
        values = _parsed(json.loads, data, sidecar)
        return values if isinstance(values, dict) else {}

    def _table(self, sidecar: str) -> dict[str, dict]:
        """file_name -> row."""
        if sidecar not in self._tables:
            self._tables[sidecar] = {}  # read once, also if it is bad: one problem, not one per picture
            parse = _PARSERS[sidecar.rpartition("/")[2]]
            rows = _parsed(parse, self._bytes(sidecar, MAX_TABLE_BYTES), sidecar)
            self._tables[sidecar] = {
                normpath(str(row["file_name"]).replace("\\", "/")): row
                for row in rows
                if isinstance(row, dict) and "file_name" in row
            }
        return self._tables[sidecar]

    def _bytes(self, sidecar: str, most: int) -> bytes:
        try:
            data = self._read(sidecar)
        except OSError as error:
            raise BadSidecar(sidecar, error.strerror or type(error).__name__) from error
        if len(data) > most:
            raise BadSidecar(sidecar, f"{len(data):,} bytes, at most {most:,}")
        return data


def provenance(values: dict) -> dict[str, str]:
    """Column of KEYS -> what the values say of it; without those of which they say nothing."""

    def text(key: str) -> str | None:
        value = values.get(key)
        return one_line(value.split() if key in _TAG_LISTS and isinstance(value, str) else value)

    said = {column: [found for key in keys if (found := text(key))] for column, keys in KEYS.items()}
    return {column: texts[0] for column, texts in said.items() if texts}


def tags_in(values: dict) -> list[str]:
    """Under any of TAG_KEYS."""
    return [tag for key in TAG_KEYS for tag in split_tags(values.get(key))]


def _csv_rows(data: bytes) -> list[dict]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def jsonl_rows(data: bytes) -> Iterator[tuple[int, object]]:
    """(number of the line, its value). Raises ValueError, which names the line."""
    for number, line in enumerate(data.decode("utf-8-sig").split("\n"), 1):
        if line.strip():
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"line {number}: {error}") from error
            yield number, value


def parquet_rows(data: bytes, wanted: Collection[str]) -> list[dict]:
    """With those of the wanted columns that there are, in capitals or not."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(io.BytesIO(data))
    groups = [file.metadata.row_group(index).total_byte_size for index in range(file.metadata.num_row_groups)]
    rows, size = [], sum(groups)
    columns = [name for name in file.schema_arrow.names if name.lower() in wanted]
    if size <= MAX_TABLE_BYTES:
        size = 0  # as it turns out: what it says of itself may be a lie
        for batch in file.iter_batches(1024, columns=columns):
            size += batch.nbytes + 1000 * len(batch)  # a dict's own room
            if size > MAX_TABLE_BYTES:
                break
            rows += batch.to_pylist()
    if size > MAX_TABLE_BYTES:
        raise ValueError(f"more than {MAX_TABLE_BYTES:,} bytes when unpacked")
    return rows


_PARSERS = {
    "metadata.csv": _csv_rows,
    "metadata.jsonl": lambda data: [value for _, value in jsonl_rows(data)],
    "metadata.parquet": partial(parquet_rows, wanted={"file_name", *PROVENANCE_KEYS}),
}


def _parsed(parse: Callable, data: bytes, sidecar: str):
    try:
        return parse(data)
    except DAMAGE as error:
        raise BadSidecar(sidecar, f"{type(error).__name__}: {error}") from error


_decoded = partial(_parsed, lambda data: data.decode("utf-8-sig"))


def one_line(value) -> str | None:
    """One line of text from a string, a list of strings, or a mapping with a name."""
    if isinstance(value, dict):
        value = value.get("name")
    if isinstance(value, list):
        value = ", ".join(item for item in value if isinstance(item, str))
    if not isinstance(value, str):
        return None
    return _encodable(" ".join(value.split()))[:MAX_TEXT] or None


def split_tags(value) -> list[str]:
    """Tags as sites and tools write them: a list, a mapping from tag to score, or a string, separated by commas if it
    has any and by white space if not -> lower_case_tags."""
    if isinstance(value, str):
        value = value.split(",") if "," in value else value.split()
    if not isinstance(value, (list, tuple, dict)):
        return []
    tags = (normal_tag(tag) for tag in value if isinstance(tag, str))
    return [tag for tag in tags if tag]


def normal_tag(tag: str) -> str:
    """`Long Hair ` -> `long_hair`; kohya's `saber \\(fate\\)` -> `saber_(fate)`."""
    return _encodable("_".join(re.sub(r"\\([()])", r"\1", tag).lower().split()))[:200]


def _encodable(text: str) -> str:
    """Without the lone surrogates that JSON escapes and odd file names can hold, but no manifest."""
    return text.encode("utf-8", "replace").decode()


_SPLIT_FOLDERS = {"train", "val", "valid", "validation", "test", "images", "data"}


def folder_tags(path: str) -> list[str]:
    """The names of class folders: `yuno/001.png` is tagged `yuno`, kohya's `10_yuno` too; splits are no classes."""
    names = [re.sub(r"^\d+_", "", name) for name in dirname(path).split("/") if name]
    tags = (normal_tag(name) for name in names if name.lower() not in _SPLIT_FOLDERS)
    return [tag for tag in tags if tag]
