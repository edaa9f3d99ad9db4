"""Google's image search, by its Custom Search JSON API.

https://developers.google.com/custom-search/v1/reference/rest/v1/cse/list

The API takes no new customers and ends on 2027-01-01; a key that works still gets 100 queries a day for nothing. A
search shows its first 100 results and no more. Its web pages are never read: they are not for programs.
"""

import itertools
import json
import re
from urllib.parse import urlencode

from pipeline.errors import UserError
from pipeline.sources.base import Skipped
from pipeline.sources.parsing import BadAnswer, bad_answer, parse_integer, parse_items, skip_missing_url
from pipeline.sources.search import offer_hit, parse_object, parse_refusal
from pipeline.sources.web_source import Cursor, Page, Query, RemoteImage
from pipeline.terminal import sanitize_line
from pipeline.web.messages import HttpRequest, HttpResponse, RetryLater

VERSION = 1
PER_PAGE = 10
LAST_START = 91  # 92 and more are refused, though nextPage offers them
MAX_RESULTS = 100
QUOTA_WAIT_S = 60.0  # seconds
# Our names of its parameters. What is empty is not sent.
PARAMETERS = {
    "safe": "safe",
    "rights": "rights",
    "img_type": "imgType",
    "img_size": "imgSize",
    "img_color_type": "imgColorType",
    "file_type": "fileType",
    "site_search": "siteSearch",
    "date_restrict": "dateRestrict",
    "gl": "gl",
    "hl": "hl",
}
OPTIONS = dict.fromkeys(PARAMETERS, "") | {"safe": "active"}
_ALTERNATIVES = (
    "give both in luigi.cfg if you have them; the API is closed to new customers and ends on 2027-01-01: "
    "--source openverse and --source urls are there instead"
)
# Period of a quota -> its names, without blanks, in the message, `reason`, `quota_limit` and `quota_unit`. The minute
# comes first: it passes soon, and if the day's quota is used up the next answer says so again.
_PERIODS = {
    "minute": ("perminute", "permin", "per100seconds", "1/min", "userratelimitexceeded"),
    "day": ("perday", "1/d/", "dailylimit"),
}


def first_cursor(query: Query) -> Cursor:
    """Return the cursor of the first page. Raise UserError."""
    if not query.text.strip():
        raise UserError("--query", "it is empty", "words to search for", "give some")
    return {"start": 1}


def request(query: Query, cursor: Cursor) -> HttpRequest:
    """Return the request for a whole page at the cursor. A query costs the same for fewer results, and shorter pages
    would step over the last of the 100. Raise UserError without keys."""
    missing = [name for name in ("api_key", "cx") if not query.keys.get(name)]
    if missing:
        found = f"no {' and no '.join(missing)}"
        raise UserError("[google_images]", found, "the key and engine's id (cx)", _ALTERNATIVES)
    data = {name: query.options.get(name, OPTIONS[name]).strip() for name in PARAMETERS}
    data["img_size"] = data["img_size"].upper()  # upper case as in the API's schema; its prose has lower case
    parameters = {"q": query.text, "searchType": "image", "num": PER_PAGE, "start": cursor["start"]}
    parameters |= {PARAMETERS[name]: value for name, value in data.items() if value}
    secrets = (("key", query.keys["api_key"]), ("cx", query.keys["cx"]))
    return HttpRequest(f"{query.base_url}/customsearch/v1?{urlencode(parameters)}", secrets=secrets)


def parse(query: Query, cursor: Cursor, answer: HttpResponse) -> Page:
    """Return the images of a page and the cursor of the next. Raise RetryLater, BadAnswer or UserError."""
    if answer.status >= 400:
        raise _refusal(answer)
    data = parse_object(answer)
    if "error" in data:
        raise _refusal(answer)
    items = data.get("items", [])  # without a hit there are none
    if not isinstance(items, list):
        raise bad_answer(answer, f"no list of items but {str(items)[:100]!r}")
    places = itertools.count(cursor["start"])
    offers = parse_items(items, lambda item: _parse_hit(item, next(places)), answer)
    next_start = _next_start(data)
    if not items or next_start is None:
        return Page(offers, None)
    if next_start > LAST_START:
        return Page(offers, None, f"the API shows no more than {MAX_RESULTS} results of a search")
    if next_start <= cursor["start"]:
        raise bad_answer(answer, f"result {cursor['start']} is followed by result {next_start}")
    return Page(offers, {"start": next_start})


def _next_start(data: dict) -> int | None:
    """Return where the next page starts; None if there is none."""
    queries = data.get("queries")
    pages = queries.get("nextPage") if isinstance(queries, dict) else None
    page = pages[0] if isinstance(pages, list) and pages else None
    return parse_integer(page.get("startIndex")) if isinstance(page, dict) else None


def _parse_hit(item: dict, place: int) -> RemoteImage | Skipped:
    if not item.get("link"):
        return skip_missing_url(f"result {place}", item)
    image = item.get("image")
    image = image if isinstance(image, dict) else {}
    kind = item.get("mime") or item.get("fileFormat")
    return offer_hit("", item["link"], kind=kind, page_url=image.get("contextLink"), title=item.get("title"))


def _refusal(answer: HttpResponse) -> RetryLater | UserError:
    """Return what to make of an answer that says no. Keys that it repeats are hidden already."""
    error = _error(answer)
    words = sanitize_line(error.get("message") or f"HTTP {answer.status}")
    reasons = _reasons(error)
    period = _period(error)
    if period == "day":
        cure = "it is used up, and reset at midnight Pacific; run the same command again then"
        return UserError("Google", words, "some of the day's quota", cure)
    if answer.status == 429 or period == "minute":
        return RetryLater(words, QUOTA_WAIT_S)
    if "API_KEY_INVALID" in reasons or "api key" in words.lower():
        return UserError("[google_images]", f"Google says: {words}", "a key that is valid", "look at api_key")
    if answer.status in (401, 403):
        cure = "allow the key to use the Custom Search API in Google's console, or look at api_key and cx"
        return UserError("[google_images]", f"Google says: {words}", "a key that may search", cure)
    cure = "correct the query, or the settings in [google_images]" if answer.status < 500 else "try again later"
    return BadAnswer(answer.url[:300], f"HTTP {answer.status}: {words}", "a page of results", cure)


def _error(answer: HttpResponse) -> dict:
    """Return the API's description of an error; an object without a message if there is none."""
    error = parse_refusal(answer).get("error")
    return error if isinstance(error, dict) else {"message": error}


def _period(error: dict) -> str | None:
    """Return the period of the quota that is used up; None if it is another error, or states none."""
    for text in (error.get("message"), error.get("details"), error.get("errors")):
        squeezed = re.sub(r"[^a-z0-9/]", "", json.dumps(text).lower())
        for period, names in _PERIODS.items():
            if any(name in squeezed for name in names):
                return period
    return None


def _reasons(error: dict) -> set[str]:
    parts = [part for name in ("errors", "details") if isinstance(error.get(name), list) for part in error[name]]
    return {str(part.get("reason")) for part in parts if isinstance(part, dict)}
