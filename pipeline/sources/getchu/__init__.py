"""Character portraits of games in Getchu's shop: by month of release, or by item.

A month's page names its items, and each item's page shows its characters: portrait, text, at some a link to the whole
figure. Only portraits are taken. Unless the user confirms their age, the shop shows pictures for all ages: "general".
"""

import csv
import functools
import hashlib
import io
import re
from urllib.parse import urlencode

from pipeline.errors import UserError
from pipeline.sources.base import LocalQuery, Skipped
from pipeline.sources.folder import require_path
from pipeline.sources.getchu.item_id import ITEM_ID, parse_item_id
from pipeline.sources.parsing import bad_answer
from pipeline.sources.web_source import Cursor, Page, Query
from pipeline.web.messages import HttpRequest, HttpResponse, RetryLater

VERSION = 1
MAX_LIST_BYTES, MAX_ROWS = 32 << 20, 500_000
GENRES = tuple("pc_soft dvd_game doujin anime_dvd music_cd goods books magazine boys".split())
COOKIE = "getchu_adalt_flag=getchu.com"
COLUMNS = ("comike", "links", "id")  # beside one of the others, ErogameScape's `id` is a number of its own
FORMS = "month=2015-04, month=2014-11..2015-04 or id=1366941,828812, or --path ids.csv"
LIST = f"a CSV list of items, in a column {', '.join(COLUMNS)} or alone"


def first_cursor(query: Query) -> Cursor:
    """Return the cursor of the first page. Raise UserError.

    Of a month: `month`, and `items`, those to come, None before its page. Of a list: its `sha256`, so that a changed
    list is another listing, and `at`, the place in it, -1 before its bad rows are reported."""
    for name, allowed in (("confirm_age", ("false", "true")), ("genre", GENRES)):
        if (found := query.options.get(name, allowed[0])) not in allowed:
            raise UserError(f"[getchu] {name}", f"{found[:50]!r}", f"one of {' '.join(allowed)}", "correct luigi.cfg")
    if query.path is None and query.text.startswith("month="):
        return {"month": _months(query)[0], "items": None}
    data, _, drops = _read_list(query)
    return {"sha256": hashlib.sha256(data).hexdigest(), "at": -1 if drops else 0}


def request(query: Query, cursor: Cursor) -> HttpRequest | None:
    """Return the request for the page at the cursor. Return None for the bad rows of a list."""
    item, is_adult = _item_at(query, cursor), _is_adult(query)
    if item is None and "at" in cursor:
        return None
    if item:  # at its own address: that of old, soft.phtml, redirects to it and loses gc
        path, parameters = f"item/{item}/", {}
    else:
        year, month = cursor["month"].split("-")
        path = f"{'all' if is_adult else 'nall'}/month_title.html"
        parameters = {"genre": query.options.get("genre", GENRES[0]), "gage": "all" if is_adult else "normal"}
        parameters |= {"year": year, "month": month}
    parameters |= {"gc": "gc"} if is_adult else {}
    url = f"{query.base_url}/{path}" + (f"?{urlencode(parameters)}" if parameters else "")
    return HttpRequest(url, referer=query.base_url + "/", cookie=COOKIE if is_adult else None)


def parse(query: Query, cursor: Cursor, answer: HttpResponse | None) -> Page:
    """Return the images of a page and the cursor of the next. Raise RetryLater or BadAnswer."""
    from pipeline.sources.getchu import pages  # Beautiful Soup is slow to import, and the table of sources needs none

    if answer is None:
        return Page([*_read_list(query)[2]], cursor | {"at": 0})
    item = _item_at(query, cursor)
    if answer.status in (404, 410, 451) and item:
        return Page([Skipped(item, "gone", f"HTTP {answer.status}")], _next_cursor(query, cursor))
    if answer.status == 429:
        raise RetryLater("HTTP 429")
    if answer.status >= 400:
        raise bad_answer(answer, f"HTTP {answer.status}", "wait some hours: the shop refuses who asks too often")
    page = pages.parse_page(answer)
    if item:
        offers = pages.read_item(query.base_url, item, page, answer, is_adult=_is_adult(query))
        return Page(offers, _next_cursor(query, cursor))
    return Page([], _next_cursor(query, cursor | {"items": ["", *pages.read_month(page, answer)]}))


def _next_cursor(query: Query, cursor: Cursor) -> Cursor | None:
    if "at" in cursor:
        return cursor | {"at": cursor["at"] + 1} if cursor["at"] + 1 < len(_read_list(query)[1]) else None
    if cursor["items"][1:]:
        return cursor | {"items": cursor["items"][1:]}
    months = _months(query)
    later = months[months.index(cursor["month"]) + 1 :]
    return {"month": later[0], "items": None} if later else None


def _is_adult(query: Query) -> bool:
    return query.options.get("confirm_age") == "true"


def _item_at(query: Query, cursor: Cursor) -> str | None:
    """Return the id of the next item, if the next page is an item's."""
    if "month" in cursor:
        return cursor["items"][0] if cursor["items"] else None
    data, items, _ = _read_list(query)
    if hashlib.sha256(data).hexdigest() != cursor["sha256"]:
        raise UserError(query.path, "changed since it was first read", LIST, "run the same command again")
    return items[cursor["at"]] if cursor["at"] >= 0 else None


def _months(query: Query) -> list[str]:
    month = "([12][0-9]{3})-(0[1-9]|1[0-2])"
    found = re.fullmatch(rf"month={month}(?:\.\.{month})?", query.text)
    start, end = (12 * int(found[n]) + int(found[n + 1]) - 1 for n in (1, 3 if found[3] else 1)) if found else (0, 0)
    if not 12 * 1997 <= start <= end < 12 * 2100:
        cure = "give a month since 1997-01, or two, the earlier first"
        raise UserError("--query", f"{query.text[:99]!r}", FORMS, cure)
    return [f"{number // 12}-{number % 12 + 1:02}" for number in range(start, end + 1)]


def _read_list(query: Query) -> tuple[bytes, list[str], list[Skipped]]:
    """Return the bytes of the list, its items, and rows for what is wrong with it. Raise UserError."""
    if query.path is None:
        words = query.text.removeprefix("id=").split(",")
        items = [found[1] for word in words if (found := ITEM_ID.fullmatch(word.strip()))]
        if not query.text.startswith("id=") or len(items) < len(words):
            raise UserError("--query", f"{query.text[:99]!r}", FORMS, "give one of these")
        return query.text.encode(), list(dict.fromkeys(items)), []
    path = require_path(LocalQuery(path=query.path, query=query.text), "list of items")
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_LIST_BYTES + 1)
        return data, *_parse_rows(data)
    except OSError as error:
        raise UserError(path, error.strerror or str(error), LIST, "look at --path and its permissions") from error
    except (ValueError, csv.Error) as error:
        raise UserError(path, str(error)[:300], LIST, "correct the list, or split it") from error


@functools.lru_cache(maxsize=1)  # asked for again with each item
def _parse_rows(data: bytes) -> tuple[list[str], list[Skipped]]:
    """Return the items, and rows for what is wrong with others. Raise ValueError or csv.Error."""
    if len(data) > MAX_LIST_BYTES or data.count(b"\n") > MAX_ROWS:
        raise ValueError(f"more than {MAX_LIST_BYTES:,} bytes or {MAX_ROWS:,} rows")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line}: no UTF-8") from error
    delimiter = max(",;\t", key=text.lstrip().partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    column: int | None = None
    items: dict[str, None] = {}
    drops: list[Skipped] = []
    for cells in (cells for cells in reader if "".join(cells).strip()):
        where = f"line {reader.line_num}"
        if column is None:
            names, ids = [cell.strip().lower() for cell in cells], [parse_item_id(cell) for cell in cells]
            named = [names.index(name) for name in COLUMNS if name in names]
            alike = [number for number, item in enumerate(ids) if item]
            if not named + alike:
                raise ValueError(f"{where}: neither names of columns nor items but {','.join(cells)[:99]!r}")
            column = (named + alike)[0]
            if named:
                continue
        cell = "".join(cells[column : column + 1])
        if item := parse_item_id(cell):
            items[item] = None
        else:
            drops.append(Skipped(where, "bad_url", f"{where}: no item but {cell[:99]!r}"))
    if not items:
        raise ValueError(drops[0].detail if drops else "an empty list")
    return list(items), drops
