"""A local list of pictures' URLs: text, CSV, JSON Lines or Parquet, as people write them and other tools leave them.

Before or after a URL there may be a caption, separated by blanks or a tab, and a comment after #. A line without a URL
is a row of the funnel: no URL is guessed.
"""

import hashlib
import io
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urljoin

from pipeline.errors import UserError
from pipeline.sources.base import LocalQuery, Skipped
from pipeline.sources.folder import require_path
from pipeline.sources.parsing import is_picture_url, normal_tags, parse_integer, parse_md5, parse_sha256
from pipeline.sources.sidecars import MAX_KEPT, PROVENANCE_KEYS, find_caption, find_tags, provenance
from pipeline.sources.tables import DAMAGE, MAX_ROW, MAX_TABLE_BYTES, csv_rows, jsonl_rows, parquet_rows, row_of
from pipeline.sources.web_source import Cursor, Page, Query, RemoteImage
from pipeline.terminal import sanitize_line
from pipeline.urls import MAX_URL_LENGTH, absolute_url
from pipeline.web.messages import HttpResponse

VERSION = 2
MAX_ROWS = 500_000  # one listing holds them all
URL_KEYS = ("file_url", "image_url", "url", "link")
HASH_KEYS = ("md5", "sha256", "hash")
SIZE_KEYS = ("bytes", "file_size")
COLUMNS = {*URL_KEYS, *HASH_KEYS, *SIZE_KEYS, *PROVENANCE_KEYS}
FORMS = "a list of URLs as .txt, .csv, .tsv, .jsonl or .parquet"

Value = TypeVar("Value")
Row = tuple[str, dict]
"""(place in the list, column name -> cell)."""


def first_cursor(query: Query) -> Cursor:
    """Return the cursor of the first page. `sha256`: of the list, so that a changed list is another listing."""
    return {"sha256": hashlib.sha256(_read_list(query)).hexdigest()}


def request(query: Query, cursor: Cursor) -> None:
    """Return None: the list is a local file."""


def parse(query: Query, cursor: Cursor, answer: HttpResponse | None) -> Page:
    """Return all images of the list. Raise UserError."""
    data = _read_list(query)
    if hashlib.sha256(data).hexdigest() != cursor["sha256"]:
        raise UserError(query.path, "changed since it was first read", FORMS, "run the same command again")
    offers: dict[str, RemoteImage | Skipped] = {}
    tags: set[str] = set()
    room = MAX_KEPT
    for where, row in _parse_rows(query, data):
        offer = _parse_row(where, row, query)
        room -= _bytes_of_tags(offer, tags) if isinstance(offer, RemoteImage) else 0
        if room < 0:
            found = f"{where}: more tags than fit in {MAX_KEPT:,} bytes"
            raise UserError(query.path, found, "a shorter list", "split it")
        offers.setdefault(offer.file_url if isinstance(offer, RemoteImage) else where, offer)
    if not offers:
        raise UserError(query.path, "an empty list", FORMS, "look at --path")
    drops = [offer for offer in offers.values() if isinstance(offer, Skipped)]
    if len(drops) == len(offers):
        found = drops[0].detail
        raise UserError(query.path, f"no URL in it: {found}", FORMS, "look at the list; relative URLs need a base_url")
    return Page(list(offers.values()), None)


def _bytes_of_tags(offer: RemoteImage, known: set[str]) -> int:
    """Return how many bytes of memory the tags of an offer take, but for the known ones, and add them to those."""
    fresh = {*offer.tags} - known
    known |= fresh
    return 8 * len(offer.tags) + sum(sys.getsizeof(tag) + 64 for tag in fresh)


def _read_list(query: Query) -> bytes:
    path = require_path(LocalQuery(path=query.path, query=query.text), "list of URLs")
    if not path.is_file() or path.suffix.lower() not in _READERS:
        raise UserError(path, "another kind of file" if path.is_file() else "no file", FORMS, "look at --path")
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_TABLE_BYTES + 1)
    except OSError as error:
        raise UserError(path, error.strerror or str(error), FORMS, "correct its permissions") from error
    if len(data) > MAX_TABLE_BYTES:
        raise UserError(path, f"more than {MAX_TABLE_BYTES:,} bytes", "a shorter list", "split it")
    return data


def _parse_rows(query: Query, data: bytes) -> Iterator[Row]:
    """Yield the rows. Raise UserError, which names the line where there are lines."""
    assert query.path is not None  # as it was read
    try:
        for number, row in enumerate(_READERS[query.path.suffix.lower()](data)):
            if number == MAX_ROWS:
                raise UserError(query.path, f"more than {MAX_ROWS:,} rows", "a shorter list", "split it")
            yield row
    except UnicodeDecodeError as error:
        lines = enumerate(io.BytesIO(data), 1)
        line = next((number for number, line in lines if line.decode("utf-8", "ignore").encode() != line), 0)
        raise UserError(query.path, f"line {line}: no UTF-8", FORMS, "save it as UTF-8") from error
    except DAMAGE as error:
        raise UserError(query.path, sanitize_line(error), FORMS, "correct the list") from error


def _txt_rows(data: bytes) -> Iterator[Row]:
    lines = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig")
    number = 0
    while line := lines.readline(MAX_ROW + 1):
        if len(line) > MAX_ROW:
            raise ValueError(f"line {number + 1}: more than {MAX_ROW:,} characters")
        number += 1
        line = line.strip(_BLANK)
        if line and not line.startswith("#"):
            yield from ((f"line {number}", row) for row in _addresses(line))


_BLANK = " \t\r\n\v\f\ufeff\u200b\xa0\u3000"
_ADDRESS = re.compile(r"(?:URL:|[<\"'`(]){0,3}(https?://.*)", re.IGNORECASE)
_CLOSING = {"<": ">", '"': '"', "'": "'", "`": "`", "(": ")"}


def _addresses(line: str) -> list[dict]:
    """Return the URLs of a line, with its other words as the caption; the line itself if it has none."""
    line = re.sub(r"\s#.*", "", line, flags=re.DOTALL).strip(_BLANK)
    fields = [field for field in re.split(r"\t+", line) if field.strip(_BLANK)]
    if len(fields) == 1 and _is_single_address(line):
        return [{"url": _strip_quotes(line)}]
    words = [word for field in fields for word in ([field] if _is_single_address(field) else field.split())]
    found = [_strip_quotes(word) for word in words if _ADDRESS.fullmatch(word)]
    caption = " ".join(word for word in words if not _ADDRESS.fullmatch(word)).strip("\"' ,;")
    if not found and len(fields) > 1:
        return [{"url": _strip_quotes(fields[0]), "caption": " ".join(fields[1:])}]
    if not found:
        return [{"url": _strip_quotes(line)}]
    if caption:
        return [{"url": found[0], "caption": caption}]
    return [{"url": url} for url in found]


def _is_single_address(text: str) -> bool:
    """Return whether the text is one address: without blanks, or with some in a picture's name, as in `https://a/b
    c.png`."""
    words = text.split()
    if len(words) < 2:
        return True
    is_address = _ADDRESS.fullmatch(words[0]) and not any(_ADDRESS.fullmatch(word) for word in words[1:])
    bare = _strip_quotes(text)
    is_name = is_picture_url(bare) and not is_picture_url(_strip_quotes(words[0])) and "?" not in words[0]
    return bool(is_address and is_name)


def _strip_quotes(text: str) -> str:
    """Return the text without the quotes or brackets round it, and without a separator at its end."""
    text = text.strip(_BLANK).rstrip(",;")
    for _ in range(3):
        if len(text) > 1 and _CLOSING.get(text[0]) == text[-1]:
            text = text[1:-1].strip(_BLANK)
    return re.sub("^URL:", "", text, flags=re.IGNORECASE).strip(_BLANK)


def _csv_rows(data: bytes, delimiter: str = ",") -> Iterator[Row]:
    header: list[str] = []
    for number, cells in csv_rows(data, delimiter):
        if not any(cells):
            continue
        if not header:
            header = [cell.strip().lower() for cell in cells]
            if not {*header}.isdisjoint(URL_KEYS):
                continue
            header = _guess_header(cells)
        yield f"line {number}", row_of(header, cells)


def _guess_header(cells: list[str]) -> list[str]:
    """Return column names for a table without a header: `url` for the first URL, `caption` for the other one if there
    are two, "" for all others. Raise ValueError without a URL."""
    names = ["url" if absolute_url(cell) else "" for cell in cells]
    if "url" not in names:
        raise ValueError(f"its first line: no column is called {', '.join(URL_KEYS)}, or looks like URLs")
    at, other = names.index("url"), "caption" if len(names) == 2 else ""
    return ["url" if index == at else other for index in range(len(names))]


def _jsonl_rows(data: bytes) -> Iterator[Row]:
    for number, value in jsonl_rows(data):
        if isinstance(value, ValueError):
            raise value
        yield f"line {number}", value if isinstance(value, dict) else {"url": value}


def _parquet_rows(data: bytes) -> Iterator[Row]:
    for number, row in enumerate(parquet_rows(data, COLUMNS), 1):
        if row.keys().isdisjoint(URL_KEYS):
            raise ValueError(f"no column is called {', '.join(URL_KEYS)}")
        yield f"row {number}", row


_READERS: dict[str, Callable[[bytes], Iterator[Row]]] = {
    ".txt": _txt_rows,
    ".csv": _csv_rows,
    ".tsv": partial(_csv_rows, delimiter="\t"),
    ".jsonl": _jsonl_rows,
    ".parquet": _parquet_rows,
}


def _first_usable(row: dict, keys: tuple[str, ...], usable: Callable[[object], Value | None]) -> Value | None:
    """Return the first value of `usable` under any of the keys; None if there is none."""
    return next((value for key in keys if (value := usable(row.get(key))) is not None), None)


def _strip(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _parse_row(where: str, row: dict, query: Query) -> RemoteImage | Skipped:
    text = _first_usable(row, URL_KEYS, _strip) or ""
    address, *more = _addresses(text) if text else [{"url": ""}]
    row = row | {name: value for name, value in address.items() if name == "caption" and not row.get(name)}
    base = query.base_url and query.base_url + "/"
    url = None if more else _resolve(address["url"], base)
    if url is None:
        return Skipped(where, "bad_url", f"{where}: {sanitize_line(text, 100) or 'no URL'}")
    tags = find_tags(row)
    fields: dict[str, Any] = provenance(row, tags)
    fields.pop("file_url", None)
    if caption := find_caption(row):
        fields.setdefault("title", caption)
    return RemoteImage(
        sanitize_line(urljoin(base, address["url"]), MAX_URL_LENGTH),
        url,
        **fields,
        tags=normal_tags(tags),
        md5=_first_usable(row, HASH_KEYS, parse_md5),
        sha256=_first_usable(row, HASH_KEYS, parse_sha256),
        bytes=_first_usable(row, SIZE_KEYS, parse_integer),
    )


def _resolve(text: str, base: str) -> str | None:
    """Return the URL that the text states; a relative one, without blanks unless it is a picture's name, below
    `base`."""
    if re.match(r"[a-z][a-z0-9+.-]*:", text, re.IGNORECASE):
        return absolute_url(text) if _is_single_address(text) else None
    is_relative = not re.search(r"://|^(?:www\.|https?/)|\\", text, re.IGNORECASE)
    return absolute_url(text, base) if is_relative and (len(text.split()) < 2 or is_picture_url(text)) else None
