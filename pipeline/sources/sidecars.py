"""Sidecars: files beside a local picture that state its provenance and tags.

| written by | file | says |
|---|---|---|
| gallery-dl | `c.png.json` | a site's own keys |
| gallery-dl (--write-tags), Hydrus | `c.png.txt`, `c.txt` | a tag on each line |
| Hydrus | `c.png.json` | a list of tags, or a mapping of lists |
| waifuc | `.c_meta.json` | url, tags with scores |
| img2dataset | `c.json`, `c.txt` | url, caption |
| kohya's scripts | `c.txt`, `c.caption` | comma-separated tags; captions, one on each line |
| Hugging Face ImageFolder | `metadata.csv`, `.jsonl`, `.parquet` in its folder or one above | a row with `file_name` |

All of it comes from outside: a wrong type is passed over, a file that cannot be read is a problem to be counted, and
neither keeps the picture out.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator
from itertools import chain, islice
from posixpath import dirname, join, normpath, splitext
from typing import Any

from pipeline.sources.tables import DAMAGE, MAX_TABLE_BYTES, csv_rows, jsonl_rows, parquet_rows, row_of
from pipeline.tags import (
    MAX_DEPTH,
    MAX_TAGS,
    MAX_TEXT,
    artist_of_tag,
    encodable,
    folder_tags,
    is_prose,
    list_items,
    one_line,
    parse_tags,
    strings_in,
)

VERSION = 2
TABLES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
EXTENSIONS = frozenset((".txt", ".caption", ".json", ".csv", ".jsonl", ".parquet"))
MAX_BYTES = 1 << 20  # of a sidecar that is no table
MAX_ROWS = 3_000_000  # of one table
MAX_KEPT = 512 << 20  # bytes that the rows of all tables may take in memory

FILE_KEYS = ("file_name", "image_file_name", "filename")
# Column of the manifest -> the keys under which sites and tools store it, the most explicit first.
KEYS = {
    "page_url": ("page_url", "post_url", "source_url"),
    "file_url": ("file_url", "image_url", "url"),
    "title": ("title", "title_original"),
    "rating": ("rating",),
    "license": ("license", "licence"),
}
ARTIST_KEYS = ("artist", "artists", "tags_artist", "tag_string_artist", "tags_author")
_TAG_LISTS = ("tags_artist", "tag_string_artist", "tags_author")  # of names without blanks
# Who posted a picture: most often who drew it, but on boards, which show what others drew, the uploader. A board is
# one of these, has one of these words in its name or of these keys in its posts, or writes its tags as one text.
POSTER_KEYS = ("author", "creator", "user")
BOARDS = frozenset(
    "agnph allgirlbooru animepictures atfbooru behoimi bcbnsfw cavemanon chevereto discord drawfriends e621 e6ai e926 "
    "foalcon furry34 hypnohub idolcomplex imgbb imgur joyreactor konachan kusowanka lemmy moeimouto nozomi nozrip "
    "paheal pholder prequelfanart reactor reddit sankaku tbib thecollection thecollections twibooru vichan vidyapics "
    "vidyart2 vipergirls visuabusters wallhaven jpgfish imglike putmega yande.re yandere yiffverse zerochan".split()
)
BOARD_WORDS = ("booru", "chan", "rule34", "sankaku")
_BOARD_KEYS = frozenset(
    "approver_id creator_id frames_pending_string has_children is_shown_in_index jpeg_url preview_url sample_url "
    "tag_string uploader uploader_id".split()
)
TEXT_KEYS = ("text", "caption", "captions")  # of tags or of sentences
TAG_KEYS = (
    *"tags tag_string tags_general tags_character tags_copyright".split(),
    *TEXT_KEYS,
    *"tags_copyright_other tags_genre tags_medium tags_object tags_reference tags_species tags_studio".split(),
)
PROVENANCE_KEYS = (*TAG_KEYS, *ARTIST_KEYS, *POSTER_KEYS, "category", *_BOARD_KEYS, *chain(*KEYS.values()))

Read = Callable[[str], bytes]
"""Path of a file beside the pictures -> its bytes; raises OSError."""


class BadSidecar(Exception):
    """A sidecar that cannot be read; args: its path and why."""


def sidecar_paths(path: str) -> list[str]:
    """Return the paths at which sidecars of the picture at `path` may lie, the most specific first."""
    folder, stem = dirname(path), splitext(path)[0]
    waifuc = join(folder, f".{stem[len(folder) :].lstrip('/')}_meta.json")
    tables = [join(above, name) for above in _folders_above(path) for name in TABLES]
    names = [f"{path}.json", waifuc, f"{stem}.json", f"{path}.txt", f"{stem}.txt", f"{stem}.caption", f"{path}.caption"]
    return list(dict.fromkeys((*names, *tables)))


def _folders_above(path: str) -> Iterator[str]:
    while path:
        path = dirname(path)
        yield path


def is_table(path: str) -> bool:
    """Return whether the sidecar at `path` describes several pictures."""
    return path.rpartition("/")[2] in TABLES


def size_limit(path: str) -> int:
    """Return how many bytes the sidecar at `path` may have."""
    return MAX_TABLE_BYTES if is_table(path) else MAX_BYTES


class Sidecars:
    """A reader of sidecars; each table is read once."""

    def __init__(self, read: Read, pictures: Collection[str] | None = None):
        """Create a reader. `pictures`: the paths of all that will be described, if known; rows of others are
        dropped."""
        self._read, self._pictures = read, pictures
        self._tables: dict[str, dict[str, bytes]] = {}
        self._bytes_left = MAX_KEPT
        self._problems: list[BadSidecar] = []
        self._useless: dict[str, list[str]] = {}
        self._unmatched: dict[str, str] = {}

    def describe(self, path: str, present: list[str]) -> tuple[dict, list[BadSidecar]]:
        """Return the fields of Post that the sidecars at `present` state for the picture at `path`, and what could not
        be read."""
        fields: dict = {}
        tags: dict[str, None] = {}
        for sidecar in present:
            try:
                values = self._values(sidecar, path)
            except BadSidecar as problem:
                self._problems.append(problem)
                continue
            found = find_tags(values)
            found_fields = provenance(values, found)
            if caption := find_caption(values):
                found_fields.setdefault("title", caption)
            if values and not found_fields and not found and not is_table(sidecar):
                self._useless.setdefault(dirname(sidecar) or ".", []).append(sidecar.rpartition("/")[2])
            fields = found_fields | fields
            tags |= dict.fromkeys(found)
        tags |= dict.fromkeys(folder_tags(path))
        problems, self._problems = self._problems, []
        return fields | {"tags": tuple(list(tags)[:MAX_TAGS])}, problems

    def unused(self) -> Iterator[tuple[str, str]]:
        """Yield (folder or table, a description of what no picture used), once all pictures have been described."""
        yield from self._unmatched.items()
        for folder, names in self._useless.items():
            yield folder, f"{len(names):,} say nothing that is used: {encodable(', '.join(names[:3]))}"

    def _values(self, sidecar: str, path: str) -> dict:
        """Return what one sidecar states for the picture at `path`, by the keys of its format; {} if a table has no row
        for it. A list becomes {"tags": list}, another bare value {"": value}. Raise BadSidecar."""
        if is_table(sidecar):
            row = self._table(sidecar).get(path.removeprefix(dirname(sidecar)).lstrip("/"))
            return json.loads(row) if row else {}
        data = self._bytes(sidecar)
        if not sidecar.endswith(".json"):
            return _text_values(_parse(lambda raw: raw.decode("utf-8-sig"), data, sidecar), sidecar, path)
        values = _parse(json.loads, data, sidecar)
        if isinstance(values, list):  # of tags, or of what describes this one picture
            values = values[0] if len(values) == 1 and isinstance(values[0], dict) else {"tags": values}
        return values if isinstance(values, dict) else {"": values}

    def _table(self, sidecar: str) -> dict[str, bytes]:
        """Return file_name -> row, as JSON: objects would take ten times the memory."""
        if sidecar not in self._tables:
            self._tables[sidecar] = {}  # read once, also if it is bad: one problem, not one per picture
            try:
                self._read_table(sidecar)
            except BadSidecar as problem:
                self._problems.append(problem)
            except DAMAGE as error:  # the rows before the error are kept
                self._problems.append(BadSidecar(sidecar, f"{type(error).__name__}: {error}"))
        return self._tables[sidecar]

    def _read_table(self, sidecar: str) -> None:
        """Read a table. Raise one of DAMAGE or BadSidecar, after the rows that could be read."""
        rows, folder = self._tables[sidecar], dirname(sidecar)
        bad: ValueError | None = None
        count = unmatched = 0
        for row in _PARSERS[sidecar.rpartition("/")[2]](self._bytes(sidecar)):
            count += 1
            if count > MAX_ROWS:
                raise ValueError(f"more than {MAX_ROWS:,} rows")
            if isinstance(row, ValueError) or not (name := _file_name(row)):
                bad = bad or (row if isinstance(row, ValueError) else ValueError(f"row {count} has no {FILE_KEYS[0]}"))
                continue
            if self._pictures is not None and join(folder, name) not in self._pictures:
                unmatched += 1
                continue
            rows[name] = json.dumps({key: row[key] for key in PROVENANCE_KEYS if key in row}, default=str).encode()
            self._bytes_left -= len(rows[name]) + len(name) + 200  # the objects' own room
            if self._bytes_left < 0:
                raise ValueError(f"more rows than fit in {MAX_KEPT:,} bytes")
        if unmatched:
            self._unmatched[sidecar] = f"{unmatched:,} of {count:,} rows are of no picture here"
        if bad:
            raise bad

    def _bytes(self, sidecar: str) -> bytes:
        try:
            data = self._read(sidecar)
        except OSError as error:
            raise BadSidecar(sidecar, error.strerror or type(error).__name__) from error
        if len(data) > size_limit(sidecar):
            raise BadSidecar(sidecar, f"more than {size_limit(sidecar):,} bytes")
        return data


_ADDRESS = re.compile(r"\s*https?://\S+\s*")


def _text_values(text: str, sidecar: str, path: str) -> dict:
    """Return the values of a text file: tags or captions, and URLs of pages on lines of their own."""
    lines = text.splitlines()
    urls = dict.fromkeys(line.strip() for line in lines if "://" in line and _ADDRESS.fullmatch(line))
    values: dict = {"page_url": next(iter(urls))} if urls else {}
    rest = "\n".join(line for line in lines if not urls or line.strip() not in urls)
    if rest.strip():
        # A tag on each line is how `c.png.txt` is written, also where there is one line
        values["text"] = [rest.strip()] if sidecar == f"{path}.txt" and len(rest.split("\n")) == 1 else rest
    return values


def _file_name(row: dict) -> str:
    """Return the picture that a row of a table describes; empty if it names none."""
    name = next((row[key] for key in FILE_KEYS if row.get(key)), "")
    return normpath(str(name).replace("\\", "/")) if name else ""


def provenance(values: dict, tags: list[str]) -> dict[str, str]:
    """Return the provenance that the values and their tags state: column of KEYS, or `artist` -> text."""
    fields = {column: [found for key in keys if (found := one_line(values.get(key)))] for column, keys in KEYS.items()}
    return {column: texts[0] for column, texts in (fields | {"artist": _artists(values, tags)}).items() if texts}


def _artists(values: dict, tags: list[str]) -> list[str]:
    """Return the artists, as one text; none if only the uploader is named."""
    named = [name for key in ARTIST_KEYS if (name := _names(values.get(key), is_tag_list=key in _TAG_LISTS))]
    if not named and isinstance(values.get("tags"), dict):  # e621's API: a list of each kind
        named = [name for name in [_names(values["tags"].get("artist"), is_tag_list=True)] if name]
    if not named:
        named = [name for tag in tags if ":" in tag and (name := artist_of_tag(tag))]
    if not named and not _is_of_a_board(values):
        named = [name for key in POSTER_KEYS if (name := _names(values.get(key)))][:1]
    return [", ".join(dict.fromkeys(named))[:MAX_TEXT]] if named else []


def _is_of_a_board(values: dict) -> bool:
    names = [str(values.get(key) or "").lower() for key in ("category", "basecategory")]
    is_named = any(name in BOARDS or any(word in name for word in BOARD_WORDS) for name in names)
    tags = values.get("tags")
    is_one_text = bool(names[0]) and isinstance(tags, str) and "," not in tags and list_items(tags) is None
    return is_named or is_one_text or not _BOARD_KEYS.isdisjoint(values)


def _names(value: object, *, is_tag_list: bool = False) -> str | None:
    """Return the names in a text, a list or a mapping, on one line."""
    if isinstance(value, str):
        value = list_items(value) if list_items(value) is not None else value.split() if is_tag_list else value
    each = value if isinstance(value, list) else [value]
    names = [
        one_line(next((one[key] for key in ("name", "username", "full_name") if one.get(key)), None))
        if isinstance(one, dict)
        else one_line(one)
        for one in each
    ]
    return ", ".join(filter(None, names)) or None


def find_tags(values: dict) -> list[str]:
    """Return the tags under any of TAG_KEYS, no more than 10 times MAX_TAGS."""
    found = (tag for key in TAG_KEYS for tag in parse_tags(values.get(key), MAX_DEPTH))
    return list(dict.fromkeys(islice(found, 10 * MAX_TAGS)))


def find_caption(values: dict) -> str | None:
    """Return the first sentence under any of TEXT_KEYS."""
    texts = (text for key in TEXT_KEYS for text in strings_in(values.get(key), MAX_DEPTH))
    return next((one_line(line) for text in texts for line in text.splitlines() if is_prose(line)), None)


def _csv_table(data: bytes) -> Iterator[dict]:
    """Yield the rows, with the columns that are read here."""
    columns: dict[int, str] = {}
    for _, cells in csv_rows(data):
        if columns:
            yield row_of(columns.values(), (cells[index] for index in columns if index < len(cells)))
        elif any(cells):
            names = [cell.strip().lower() for cell in cells]
            columns = {index: name for index, name in enumerate(names) if name in (*FILE_KEYS, *PROVENANCE_KEYS)}
            _check_columns(names)


def _check_columns(names: Collection[str]) -> None:
    """Raise ValueError if no column names the picture of a row."""
    if not any(key in names for key in FILE_KEYS):
        raise ValueError(f"no column is called {', '.join(FILE_KEYS)}: {', '.join(list(names)[:10])[:100]}")


def _jsonl_table(data: bytes) -> Iterator[dict | ValueError]:
    """Yield the rows, with an error in place of a row that cannot be read."""
    for number, value in jsonl_rows(data):
        yield value if isinstance(value, (dict, ValueError)) else ValueError(f"line {number}: no mapping")


def _parquet_table(data: bytes) -> Iterator[dict]:
    for row in parquet_rows(data, {*FILE_KEYS, *PROVENANCE_KEYS}):
        _check_columns(row)
        yield row


_PARSERS: dict[str, Callable[[bytes], Iterator[dict | ValueError]]] = {
    "metadata.csv": _csv_table,
    "metadata.jsonl": _jsonl_table,
    "metadata.parquet": _parquet_table,
}


def _parse(parse: Callable[[bytes], Any], data: bytes, sidecar: str) -> Any:
    try:
        return parse(data)
    except DAMAGE as error:
        raise BadSidecar(sidecar, f"{type(error).__name__}: {error}") from error
