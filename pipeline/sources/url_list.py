"""A local list of pictures' URLs: text, CSV, JSON Lines or Parquet, as people write them and other tools leave them."""

import csv
import hashlib
import io
from collections.abc import Iterator
from urllib.parse import urljoin

from pipeline.errors import UserError
from pipeline.sources.folder import local_path
from pipeline.sources.post import Drop, Request
from pipeline.sources.sidecars import (
    DAMAGE,
    MAX_TABLE_BYTES,
    PROVENANCE_KEYS,
    jsonl_rows,
    parquet_rows,
    provenance,
    tags_in,
)
from pipeline.sources.site import (
    MAX_URL,
    Answer,
    Cursor,
    Listing,
    Offer,
    Query,
    absolute_url,
    promised_md5,
    promised_sha256,
    tags_of,
    whole_number,
    words_of,
)

VERSION = 1
MAX_ROWS = 500_000  # one listing holds them all
URL_KEYS = ("file_url", "image_url", "url", "link")
HASH_KEYS = ("md5", "sha256", "hash")
SIZE_KEYS = ("bytes", "file_size")
COLUMNS = {*URL_KEYS, *HASH_KEYS, *SIZE_KEYS, *PROVENANCE_KEYS}
FORMS = "a list of URLs as .txt, .csv, .jsonl or .parquet"

Row = tuple[str, dict]
"""Where it stands, and what it says."""


def first(query: Query) -> Cursor:
    """sha256: of the list, so that a changed one is another listing."""
    return {"sha256": hashlib.sha256(_bytes(query)).hexdigest()}


def ask(query: Query, cursor: Cursor) -> None:
    """Nothing: the list is a file of this machine."""


def read(query: Query, cursor: Cursor, answer: Answer | None) -> Listing:
    data = _bytes(query)
    if hashlib.sha256(data).hexdigest() != cursor["sha256"]:
        raise UserError(query.path, "changed since it was first read", FORMS, "run the same command again")
    offers: dict[str, Offer | Drop] = {}
    for where, row in _rows(query, data):
        offer = _offer(where, row, query)
        offers.setdefault(offer.file_url if isinstance(offer, Offer) else where, offer)
    if not offers:
        raise UserError(query.path, "an empty list", FORMS, "look at --path")
    if all(isinstance(offer, Drop) for offer in offers.values()):
        found = next(iter(offers.values())).detail
        raise UserError(query.path, f"no URL in it: {found}", FORMS, "look at the list; relative URLs need a base_url")
    return Listing(list(offers.values()), None)


def _bytes(query: Query) -> bytes:
    path = local_path(Request(path=query.path, query=query.text), "list of URLs")
    if not path.is_file() or path.suffix.lower() not in _READERS:
        raise UserError(path, "another kind of file" if path.is_file() else "no file", FORMS, "look at --path")
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_TABLE_BYTES + 1)
    except OSError as error:
        raise UserError(path, error.strerror or str(error), FORMS, "mend its permissions") from error
    if len(data) > MAX_TABLE_BYTES:
        raise UserError(path, f"more than {MAX_TABLE_BYTES:,} bytes", "a shorter list", "split it")
    return data


def _rows(query: Query, data: bytes) -> Iterator[Row]:
    """Raises UserError, which names the line where there are lines."""
    try:
        for number, row in enumerate(_READERS[query.path.suffix.lower()](data)):
            if number == MAX_ROWS:
                raise UserError(query.path, f"more than {MAX_ROWS:,} rows", "a shorter list", "split it")
            yield row
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(query.path, f"line {line}: no UTF-8", FORMS, "save it as UTF-8") from error
    except DAMAGE as error:
        raise UserError(query.path, words_of(error), FORMS, "mend the list") from error


def _txt_rows(data: bytes) -> Iterator[Row]:
    for number, line in enumerate(io.StringIO(data.decode("utf-8-sig")), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield f"line {number}", {"url": line.strip()}


def _csv_rows(data: bytes) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    header: list[str] = []
    try:
        for cells in reader:
            if not any(cells):
                continue
            if not header:
                header = [cell.strip().lower() for cell in cells]
                if not {*header}.isdisjoint(URL_KEYS):
                    continue
                header = _headless(cells)
            yield f"line {reader.line_num}", dict(zip(header, cells, strict=False))
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from error


def _headless(cells: list[str]) -> list[str]:
    """Names for the columns of a table that has none: the first that looks like a URL is one."""
    names = ["url" if absolute_url(cell) else "" for cell in cells]
    if "url" not in names:
        raise ValueError(f"its first line: no column is called {', '.join(URL_KEYS)}, or looks like URLs")
    at = names.index("url")
    return [name if index == at else "" for index, name in enumerate(names)]


def _jsonl_rows(data: bytes) -> Iterator[Row]:
    for number, value in jsonl_rows(data):
        row = {str(key).lower(): item for key, item in value.items()} if isinstance(value, dict) else {"url": value}
        yield f"line {number}", row


def _parquet_rows(data: bytes) -> Iterator[Row]:
    rows = [{name.lower(): value for name, value in row.items()} for row in parquet_rows(data, COLUMNS)]
    if rows and {*rows[0]}.isdisjoint(URL_KEYS):
        raise ValueError(f"no column is called {', '.join(URL_KEYS)}")
    yield from ((f"row {number}", row) for number, row in enumerate(rows, 1))


_READERS = {".txt": _txt_rows, ".csv": _csv_rows, ".jsonl": _jsonl_rows, ".parquet": _parquet_rows}


def _first_of(row: dict, keys: tuple[str, ...], usable) -> object:
    """The first usable value under any of the keys, as `usable` makes it; None if there is none."""
    return next((value for key in keys if (value := usable(row.get(key))) is not None), None)


def _text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _offer(where: str, row: dict, query: Query) -> Offer | Drop:
    text = _first_of(row, URL_KEYS, _text) or ""
    base = query.base_url and query.base_url + "/"
    url = absolute_url(text, base)
    if url is None:
        return Drop(where, "bad_url", f"{where}: {words_of(text, 100) or 'no URL'}")
    said = provenance(row)
    said.pop("file_url", None)
    return Offer(
        words_of(urljoin(base, text), MAX_URL), url, **said, tags=tags_of(tags_in(row)),
        md5=_first_of(row, HASH_KEYS, promised_md5), sha256=_first_of(row, HASH_KEYS, promised_sha256),
        bytes=_first_of(row, SIZE_KEYS, whole_number),
    )  # fmt: skip
