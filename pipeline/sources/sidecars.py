"""What lies beside a local picture to describe it -> provenance and tags.

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

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain, islice
from posixpath import dirname, join, normpath, splitext

VERSION = 2
TABLES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
EXTENSIONS = frozenset((".txt", ".caption", ".json", ".csv", ".jsonl", ".parquet"))
MAX_BYTES, MAX_TABLE_BYTES = 1 << 20, 200 << 20
MAX_ROW = 1 << 18  # characters of a table's row
MAX_ROWS = 3_000_000  # of one table
MAX_KEPT = 512 << 20  # bytes that the rows of all tables may take in memory
MAX_BATCH = 32 << 20  # bytes that are taken from a Parquet file at a time
MAX_COLUMNS = 10_000  # of a Parquet file, nested ones counted
MAX_TAGS, MAX_TEXT = 500, 2000
MAX_DEPTH = 4  # of lists and mappings of tags

FILE_KEYS = ("file_name", "image_file_name", "filename")
# Column of the manifest -> the keys under which sites and tools say it, the plainest first.
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
ARTIST_NAMESPACES = ("artist", "creator", "mangaka", "illustrator")  # before a colon in a tag
TEXT_KEYS = ("text", "caption", "captions")  # of tags or of sentences
TAG_KEYS = (
    "tags",
    "tag_string",
    "tags_general",
    "tags_character",
    "tags_copyright",
    *TEXT_KEYS,
    "tags_copyright_other",
    "tags_genre",
    "tags_medium",
    "tags_object",
    "tags_reference",
    "tags_species",
    "tags_studio",
)
PROVENANCE_KEYS = (
    *TAG_KEYS,
    *ARTIST_KEYS,
    *POSTER_KEYS,
    "category",
    *_BOARD_KEYS,
    *(key for keys in KEYS.values() for key in keys),
)

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
    names = [f"{path}.json", waifuc, f"{stem}.json", f"{path}.txt", f"{stem}.txt", f"{stem}.caption", f"{path}.caption"]
    return list(dict.fromkeys((*names, *tables)))


def _folders_above(path: str) -> Iterator[str]:
    while path:
        path = dirname(path)
        yield path


def is_table(path: str) -> bool:
    return path.rpartition("/")[2] in TABLES


def most_bytes(path: str) -> int:
    """How many bytes the sidecar at `path` may have."""
    return MAX_TABLE_BYTES if is_table(path) else MAX_BYTES


class Sidecars:
    """Reads them; a table only once."""

    def __init__(self, read: Read, pictures: Collection[str] | None = None):
        """`pictures`: the paths of all that will be described, if they are known: other rows are not kept."""
        self._read, self._pictures = read, pictures
        self._tables: dict[str, dict[str, bytes]] = {}
        self._room = MAX_KEPT
        self._problems: list[BadSidecar] = []
        self._said_nothing: dict[str, list[str]] = {}
        self._strays: dict[str, str] = {}

    def describe(self, path: str, present: list[str]) -> tuple[dict, list[BadSidecar]]:
        """(fields of Post that the sidecars at the paths `present` say of the picture at `path`, what went wrong)."""
        said: dict = {}
        tags: dict[str, None] = {}
        for sidecar in present:
            try:
                values = self._values(sidecar, path)
            except BadSidecar as problem:
                self._problems.append(problem)
                continue
            found = tags_in(values)
            told = provenance(values, found)
            if caption := caption_in(values):
                told.setdefault("title", caption)
            if values and not told and not found and not is_table(sidecar):
                self._said_nothing.setdefault(dirname(sidecar) or ".", []).append(sidecar.rpartition("/")[2])
            said = told | said
            tags |= dict.fromkeys(found)
        tags |= dict.fromkeys(folder_tags(path))
        problems, self._problems = self._problems, []
        return said | {"tags": tuple(list(tags)[:MAX_TAGS])}, problems

    def unused(self) -> Iterator[tuple[str, str]]:
        """(folder or table, in words what of it nobody used), once all pictures have been described."""
        yield from self._strays.items()
        for folder, names in self._said_nothing.items():
            yield folder, f"{len(names):,} say nothing that is used: {_encodable(', '.join(names[:3]))}"

    def _values(self, sidecar: str, path: str) -> dict:
        """What one sidecar says of the picture at `path`."""
        if is_table(sidecar):
            row = self._table(sidecar).get(path.removeprefix(dirname(sidecar)).lstrip("/"))
            return json.loads(row) if row else {}
        data = self._bytes(sidecar)
        if not sidecar.endswith(".json"):
            return _text_values(_parsed(lambda data: data.decode("utf-8-sig"), data, sidecar), sidecar, path)
        values = _parsed(json.loads, data, sidecar)
        if isinstance(values, list):  # of tags, or of what describes this one picture
            values = values[0] if len(values) == 1 and isinstance(values[0], dict) else {"tags": values}
        return values if isinstance(values, dict) else {"": values}

    def _table(self, sidecar: str) -> dict[str, bytes]:
        """file_name -> row, as JSON: as objects they would take ten times the room."""
        if sidecar not in self._tables:
            self._tables[sidecar] = {}  # read once, also if it is bad: one problem, not one per picture
            try:
                self._read_table(sidecar)
            except BadSidecar as problem:
                self._problems.append(problem)
            except DAMAGE as error:  # the rows before it stand
                self._problems.append(BadSidecar(sidecar, f"{type(error).__name__}: {error}"))
        return self._tables[sidecar]

    def _read_table(self, sidecar: str) -> None:
        """Raises one of DAMAGE, after the rows that could be read, and BadSidecar."""
        rows, folder = self._tables[sidecar], dirname(sidecar)
        bad: ValueError | None = None
        count = strays = 0
        for row in _PARSERS[sidecar.rpartition("/")[2]](self._bytes(sidecar)):
            count += 1
            if count > MAX_ROWS:
                raise ValueError(f"more than {MAX_ROWS:,} rows")
            name = _file_name(row)
            if not name:
                bad = bad or (row if isinstance(row, ValueError) else ValueError(f"row {count} has no {FILE_KEYS[0]}"))
                continue
            if self._pictures is not None and join(folder, name) not in self._pictures:
                strays += 1
                continue
            rows[name] = json.dumps({key: row[key] for key in PROVENANCE_KEYS if key in row}, default=str).encode()
            self._room -= len(rows[name]) + len(name) + 200  # the objects' own room
            if self._room < 0:
                raise ValueError(f"more rows than fit in {MAX_KEPT:,} bytes")
        if strays:
            self._strays[sidecar] = f"{strays:,} of {count:,} rows are of no picture here"
        if bad:
            raise bad

    def _bytes(self, sidecar: str) -> bytes:
        try:
            data = self._read(sidecar)
        except OSError as error:
            raise BadSidecar(sidecar, error.strerror or type(error).__name__) from error
        if len(data) > most_bytes(sidecar):
            raise BadSidecar(sidecar, f"more than {most_bytes(sidecar):,} bytes")
        return data


_ADDRESS = re.compile(r"\s*https?://\S+\s*")


def _text_values(text: str, sidecar: str, path: str) -> dict:
    """What a file of text says: tags or captions, and pages' addresses on lines of their own."""
    lines = text.splitlines()
    urls = dict.fromkeys(line.strip() for line in lines if "://" in line and _ADDRESS.fullmatch(line))
    values: dict = {"page_url": next(iter(urls))} if urls else {}
    rest = "\n".join(line for line in lines if not urls or line.strip() not in urls)
    if rest.strip():
        # A tag on each line is how `c.png.txt` is written, also where there is one line
        values["text"] = [rest.strip()] if sidecar == f"{path}.txt" and len(rest.split("\n")) == 1 else rest
    return values


def _file_name(row: object) -> str:
    """Of which picture a row of a table is; empty if of none."""
    if not isinstance(row, dict):
        return ""
    name = row.get(FILE_KEYS[0]) or next((row[key] for key in FILE_KEYS if row.get(key)), "")
    return normpath(str(name).replace("\\", "/")) if name else ""


def provenance(values: dict, tags: list[str]) -> dict[str, str]:
    """Return what the values, and the tags in them, say: column of KEYS, or artist -> text, without those of which they
    say nothing."""
    said = {column: [found for key in keys if (found := one_line(values.get(key)))] for column, keys in KEYS.items()}
    return {column: texts[0] for column, texts in (said | {"artist": _artists(values, tags)}).items() if texts}


def _artists(values: dict, tags: list[str]) -> list[str]:
    """The artists, as one text; none if nobody but the uploader is named."""
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
    is_one_text = bool(names[0]) and isinstance(tags, str) and "," not in tags and _items(tags) is None
    return is_named or is_one_text or not _BOARD_KEYS.isdisjoint(values)


def _names(value: object, *, is_tag_list: bool = False) -> str | None:
    """Those of a text, a list or a mapping, on one line."""
    if isinstance(value, str):
        value = _items(value) if _items(value) is not None else value.split() if is_tag_list else value
    each = value if isinstance(value, list) else [value]
    names = [
        one_line(next((one[key] for key in ("name", "username", "full_name") if one.get(key)), None))
        if isinstance(one, dict)
        else one_line(one)
        for one in each
    ]
    return ", ".join(filter(None, names)) or None


def artist_of_tag(tag: str) -> str | None:
    """`creator:somebody` -> somebody; None of other tags."""
    namespace, _, name = tag.partition(":")
    return name.lstrip("_") or None if namespace.lower() in ARTIST_NAMESPACES else None


def tags_in(values: dict) -> list[str]:
    """Under any of TAG_KEYS; no more than a few times MAX_TAGS."""
    found = (tag for key in TAG_KEYS for tag in _tags(values.get(key), MAX_DEPTH))
    return list(dict.fromkeys(islice(found, 10 * MAX_TAGS)))


def caption_in(values: dict) -> str | None:
    """The first sentence under any of TEXT_KEYS."""
    texts = (text for key in TEXT_KEYS for text in _strings(values.get(key), MAX_DEPTH))
    return next((one_line(line) for text in texts for line in text.splitlines() if _is_prose(line)), None)


def _strings(value: object, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        items = _items(value)
        yield from [value] if items is None else items
    elif isinstance(value, (list, tuple)) and depth:
        for item in value:
            yield from _strings(item, depth - 1)


def _tags(value: object, depth: int) -> Iterator[str]:
    """Tags as people and tools write them: besides what split_tags reads, lists as text, lists of mappings with a name,
    mappings of lists, a tag or a caption on each line."""
    if isinstance(value, str):
        items = _items(value)
        yield from _tags_of_text(value) if items is None else filter(None, map(normal_tag, items))
    elif isinstance(value, dict) and depth:
        of_kinds = [item for item in value.values() if isinstance(item, (list, dict))]
        if of_kinds:
            for item in of_kinds:
                yield from _tags(item, depth - 1)
        else:  # each with its score
            yield from split_tags(value)
    elif isinstance(value, (list, tuple)) and depth:
        for item in value:
            item = item.get("name", item.get("tag")) if isinstance(item, dict) else item
            if isinstance(item, str):
                yield from _tags_of_line(item, is_one=True)
            else:
                yield from _tags(item, depth - 1)


def _tags_of_text(text: str) -> Iterator[str]:
    lines = [line for line in text.splitlines() if line.strip()]
    for line in lines:
        yield from _tags_of_line(line, is_one=len(lines) > 1)


def _tags_of_line(line: str, *, is_one: bool) -> Iterable[str]:
    """Return the tags of a line. `is_one`: whether one without commas is one tag, blanks and all, not several."""
    parts = _parted(line)
    if not parts and not _is_prose(line):
        is_one = is_one and not ("_" in line and len(line.split()) > 1)
        return filter(None, [normal_tag(line)] if is_one else split_tags(line))
    tags = (_words(part) if _is_prose(part) else [normal_tag(part)] for part in parts or [line])
    return filter(None, chain.from_iterable(tags))


_MARKS = (re.compile("[,，、]"), re.compile(r"(?<=\w);(?=\s|$)"))
_MAY_BE_PARTED = re.compile("[,，、;]")


def _parted(line: str) -> list[str]:
    """The parts of a line with commas, or semicolons that are no smileys; none without."""
    if not _MAY_BE_PARTED.search(line):
        return []
    return next((parts for mark in _MARKS if len(parts := mark.split(line)) > 1), [])


_MIN_PROSE = 4  # words
_OF_SENTENCES = frozenset("a an the is are was were he she they his her their this that".split())


def _is_prose(line: str) -> bool:
    """Whether a line is a sentence, more or less, and no tag: they hold no articles."""
    if len(line.split()) < _MIN_PROSE:  # so are most tags: no part of it has more words
        return False
    part = max(_parted(line) or [line], key=lambda part: len(part.split()))
    words = part.lower().split()
    is_long = len(words) >= _MIN_PROSE and "_" not in line
    return is_long and (line.rstrip().endswith(".") or not _OF_SENTENCES.isdisjoint(words))


def _words(line: str) -> Iterator[str]:
    words = (normal_tag(word.strip(".!?\"'()")) for word in line.split())
    yield from (word for word in words if word and word not in _OF_SENTENCES)


_QUOTED = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""", re.DOTALL)
# Each alternative begins with another character, so that no text takes more than a few looks at each of its own.
_QUOTED_LIST = re.compile(rf"""(?:[\s,:.()\de+-]|{_QUOTED.pattern})*""", re.DOTALL)
_LIST = re.compile(r"([\[{(])(.*)[\])}]", re.DOTALL)
_ARRAY = re.compile(r"(?:np\.)?array\((.*?)(?:,\s*dtype=[\w.<>']{1,20})?\)", re.DOTALL)


def _items(text: str) -> list[str] | None:
    """The items of a list that has become text, as JSON, as Python or NumPy prints it, or without quotes; None if it is
    no list."""
    text = text.strip()
    if text[:5].lower() in ("nan", "none", "null"):
        return []
    if not text.endswith(("]", "}", ")")):
        return None
    if array := _ARRAY.fullmatch(text):
        text = array[1].strip()
    inner = _LIST.fullmatch(text)
    if inner is None:
        return None
    try:
        value = json.loads(text)
        return list(islice(_leaves(value, MAX_DEPTH), 10 * MAX_TAGS))
    except (ValueError, RecursionError):
        pass
    if _QUOTED_LIST.fullmatch(inner[2]):
        return [re.sub(r"\\(.)", r"\1", first or second) for first, second in _QUOTED.findall(inner[2])]
    is_plain = inner[1] == "[" and not re.search(r"[\[\]'\"]", inner[2])
    return [part.strip() for part in inner[2].split(",")] if is_plain else None


def _leaves(value: object, depth: int) -> Iterator[str]:
    """The strings of a JSON list, and the keys of a mapping with scores."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict) and not any(isinstance(item, (list, dict)) for item in value.values()):
        yield from [str(value["name"])] if isinstance(value.get("name"), str) else value
    elif isinstance(value, (list, dict)) and depth:
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item, depth - 1)


def csv_rows(data: bytes, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """(number of the line that ends it, cells) of each row, read bit by bit. Raises csv.Error, and ValueError for a row
    of more than MAX_ROW characters."""
    file = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline="")
    size = 0

    def lines() -> Iterator[str]:
        nonlocal size
        while line := file.readline(MAX_ROW + 1):
            size += len(line)
            if size > MAX_ROW:
                raise ValueError(f"a row of more than {MAX_ROW:,} characters")
            yield line

    reader = csv.reader(lines(), delimiter=delimiter)
    try:
        for cells in reader:
            size = 0
            yield reader.line_num, cells
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from error


def row_of(header: Iterable[str], cells: Iterable) -> dict:
    """Name -> cell; of columns with the same name, the first that is filled."""
    row: dict = {}
    for name, cell in zip(header, cells, strict=False):
        if cell not in (None, "") or name not in row:
            row[name] = row.get(name) or cell
    return row


def _csv_table(data: bytes) -> Iterator[dict]:
    """With the columns that are read here."""
    columns: dict[int, str] = {}
    for _, cells in csv_rows(data):
        if columns:
            yield row_of(columns.values(), (cells[index] for index in columns if index < len(cells)))
        elif any(cells):
            names = [cell.strip().lower() for cell in cells]
            columns = {index: name for index, name in enumerate(names) if name in (*FILE_KEYS, *PROVENANCE_KEYS)}
            _check_columns(names)


def _check_columns(names: Collection[str]) -> None:
    """Raises ValueError if none says of which picture a row is."""
    if not any(key in names for key in FILE_KEYS):
        raise ValueError(f"no column is called {', '.join(FILE_KEYS)}: {', '.join(list(names)[:10])[:100]}")


def jsonl_rows(data: bytes) -> Iterator[tuple[int, object]]:
    """(number of the line, its value). Raises ValueError, which names the line."""
    for number, line in enumerate(io.BytesIO(data), 1):
        yield from _jsonl_row(number, line)


def _jsonl_row(number: int, line: bytes) -> list[tuple[int, object]]:
    """None of an empty line. Raises ValueError."""
    try:
        if len(line) > MAX_ROW:
            raise ValueError(f"more than {MAX_ROW:,} bytes")
        text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        return [(number, json.loads(text))] if text else []
    except UnicodeDecodeError:
        raise ValueError(f"line {number}: no UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"line {number}: {error}") from error


def _jsonl_table(data: bytes) -> Iterator[dict | ValueError]:
    """The error instead of a row that cannot be read."""
    for number, line in enumerate(io.BytesIO(data), 1):
        try:
            for _, value in _jsonl_row(number, line):
                is_row = isinstance(value, dict)
                yield (
                    row_of(map(str.lower, value), value.values())
                    if is_row
                    else ValueError(f"line {number}: no mapping")
                )
        except ValueError as error:
            yield error


def parquet_rows(data: bytes, wanted: Collection[str]) -> Iterator[dict]:
    """Yield rows with those of the wanted columns that there are, by their names in lower case. Raise ValueError,
    OSError."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(io.BytesIO(data), thrift_container_size_limit=MAX_COLUMNS)
    groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
    columns = [name for name in dict.fromkeys(file.schema_arrow.names) if name.lower() in wanted]
    size = sum(group.total_byte_size for group in groups)
    if size <= MAX_TABLE_BYTES:
        # No cell is larger than the columns that it is in: so many fit, even if all are one entry of a dictionary.
        count = max(4, min(1024, MAX_BATCH // max(1, *(group.total_byte_size for group in groups), 1)))
        size = 0  # as it turns out: what it says of itself may be a lie
        for batch in file.iter_batches(count, columns=columns):
            size += batch.nbytes + 1000 * len(batch)  # a dict's own room
            if size > MAX_TABLE_BYTES:
                break
            names = [name.lower() for name in batch.schema.names]
            yield from (row_of(names, row) for row in zip(*(each.to_pylist() for each in batch.columns), strict=True))
    if size > MAX_TABLE_BYTES:
        raise ValueError(f"more than {MAX_TABLE_BYTES:,} bytes when unpacked")


def _parquet_table(data: bytes) -> Iterator[dict]:
    for row in parquet_rows(data, {*FILE_KEYS, *PROVENANCE_KEYS}):
        _check_columns(row)
        yield row


_PARSERS = {"metadata.csv": _csv_table, "metadata.jsonl": _jsonl_table, "metadata.parquet": _parquet_table}


def _parsed(parse: Callable, data: bytes, sidecar: str):
    try:
        return parse(data)
    except DAMAGE as error:
        raise BadSidecar(sidecar, f"{type(error).__name__}: {error}") from error


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


_ESCAPED = re.compile(r"\\([()])")


def normal_tag(tag: str) -> str:
    """`Long Hair ` -> `long_hair`; kohya's `saber \\(fate\\)` -> `saber_(fate)`."""
    plain = _ESCAPED.sub(r"\1", tag) if "\\" in tag else tag
    return sys.intern(_encodable("_".join(plain.lower().split()))[:200])


def _encodable(text: str) -> str:
    """Without the lone surrogates that JSON escapes and odd file names can hold, but no manifest."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


_SPLIT_FOLDERS = {"train", "val", "valid", "validation", "test", "images", "data"}


def folder_tags(path: str) -> list[str]:
    """The names of class folders: `yuno/001.png` is tagged `yuno`, kohya's `10_yuno` too; splits are no classes."""
    names = [re.sub(r"^\d+_", "", name) for name in dirname(path).split("/") if name]
    tags = (normal_tag(name) for name in names if name.lower() not in _SPLIT_FOLDERS)
    return [tag for tag in tags if tag]
