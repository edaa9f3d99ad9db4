"""Openverse: pictures under free licences, of many museums and sites, by its API.

https://api.openverse.org/v1/ · https://docs.openverse.org/api/reference/authentication_and_throttling.html

Without a key it answers 20 requests a minute and 200 a day. A token (from its /v1/auth_tokens/token/, for half a day)
may ask more often, and sees no more: a search shows its first 240 results. The terms forbid to scrape the catalogue and
to get round these limits: https://docs.openverse.org/terms_of_service.html
"""

import itertools
from urllib.parse import urlencode

from pipeline.errors import UserError
from pipeline.sources import parsing
from pipeline.sources.base import Skipped
from pipeline.sources.search import offer_hit, parse_object, parse_refusal
from pipeline.sources.web_source import Cursor, Page, Query, RemoteImage
from pipeline.terminal import sanitize_line
from pipeline.urls import absolute_url
from pipeline.web.messages import HttpRequest, HttpResponse, RetryLater

VERSION = 1
PER_PAGE = 20  # the most without a token. With one: 50, which does not divide 240
MAX_RESULTS = 240
OPTIONS = dict.fromkeys(("license", "license_type", "category", "extension", "source", "aspect_ratio", "size"), "") | {
    "mature": "false"
}
_TOO_DEEP = f"the API shows no more than {MAX_RESULTS} results of a search"
_NAMES = {"pdm": "Public Domain Mark", "cc0": "CC0", "sampling+": "CC Sampling+", "nc-sampling+": "CC NC-Sampling+"}


def first_cursor(query: Query) -> Cursor:
    """Return the cursor of the first page. Raise UserError."""
    if not query.text.strip():
        raise UserError("--query", "it is empty", "words to search for", "give some")
    if _option(query, "mature") not in ("true", "false"):
        raise UserError("[openverse]", f"mature = {_option(query, 'mature')}", "true or false", "correct luigi.cfg")
    return {"page": 1}


def request(query: Query, cursor: Cursor) -> HttpRequest:
    """Return the request for the page at the cursor."""
    data = {name: value for name in OPTIONS if (value := _option(query, name))}
    parameters = {"q": query.text, "page": cursor["page"], "page_size": PER_PAGE} | data
    return HttpRequest(f"{query.base_url}/v1/images/?{urlencode(parameters)}", bearer=query.keys.get("token") or None)


def parse(query: Query, cursor: Cursor, answer: HttpResponse) -> Page:
    """Return the images of a page and the cursor of the next. Raise RetryLater, BadAnswer or UserError."""
    page = cursor["page"]
    if answer.status >= 400:
        return _after_refusal(query, page, answer)
    data = parse_object(answer)
    items = parsing.parse_post_list(data.get("results", data), answer)
    places = itertools.count(1)
    offers = parsing.parse_items(
        items, lambda item: _parse_hit(query, item, f"page {page}, result {next(places)}"), answer
    )
    pages, results = parsing.parse_integer(data.get("page_count")), parsing.parse_integer(data.get("result_count")) or 0
    # A page may be short, or empty, in the middle: dead links are left out of it. The count says where the end is.
    is_last = page >= pages if pages is not None else not items
    is_deepest = (page + 1) * PER_PAGE > MAX_RESULTS
    if is_deepest and (results >= MAX_RESULTS or not is_last):
        return Page(offers, None, _TOO_DEEP)
    return Page(offers, None if is_last else {"page": page + 1})


def _option(query: Query, name: str) -> str:
    return ",".join(part.strip() for part in query.options.get(name, OPTIONS[name]).lower().split(","))


def _after_refusal(query: Query, page: int, answer: HttpResponse) -> Page:
    """Return the empty page of a refusal that only ends the listing. Raise RetryLater or UserError for others."""
    words = _error_text(answer)
    has_token = bool(query.keys.get("token"))
    if answer.status == 429:
        raise RetryLater(words)
    if answer.status == 404 and page > 1:
        return Page([], None)
    if answer.status == 401 and page > 1 and not has_token:
        return Page([], None, f"{_TOO_DEEP} to who has no token: {words}")
    if answer.status in (401, 403):
        cure = "get a new one (it holds for half a day), or leave it out" if has_token else "give one in luigi.cfg"
        raise UserError("[openverse]", f"Openverse says: {words}", "a token that is valid, or none", cure)
    cure = "correct the query, or the settings in [openverse]" if answer.status < 500 else "try again later"
    raise parsing.BadAnswer(answer.url[:300], f"HTTP {answer.status}: {words}", "a page of results", cure)


def _error_text(answer: HttpResponse) -> str:
    """Return the API's message, or the status without one."""
    data = parse_refusal(answer)
    return sanitize_line(data.get("detail") or data or f"HTTP {answer.status}")


def _parse_hit(query: Query, item: dict, place: str) -> RemoteImage | Skipped:
    hit_id = sanitize_line(item["id"], 100) if isinstance(item.get("id"), (str, int)) else ""
    hit_id = hit_id or place
    if not item.get("url"):
        return parsing.skip_missing_url(hit_id, item)
    rating = "mature" if item.get("mature") or item.get("unstable__sensitivity") else None
    if rating and _option(query, "mature") != "true":
        return parsing.skip_by_rating(hit_id, rating, item)
    tags = item.get("tags")
    tags = tags if isinstance(tags, list) else []
    return offer_hit(
        hit_id,
        item["url"],
        kind=item.get("filetype"),
        page_url=item.get("foreign_landing_url"),
        title=item.get("title"),
        artist=item.get("creator"),
        rating=rating,
        license=_license(item),
        tags=[tag["name"] for tag in tags if isinstance(tag, dict) and isinstance(tag.get("name"), str)],
    )


def _license(item: dict) -> str | None:
    """Return the name and URL of a licence: `CC BY-SA 4.0 https://creativecommons.org/licenses/by-sa/4.0/`."""
    code = sanitize_line(item.get("license") or "", 40).lower()
    version = sanitize_line(item.get("license_version") or "", 20)
    name = _NAMES.get(code, f"CC {code.upper()}") if code else ""
    parts = [name, version if name else "", absolute_url(item.get("license_url")) or ""]
    return " ".join(part for part in parts if part) or None
