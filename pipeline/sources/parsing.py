"""Readers of what sites answer: JSON, numbers, hashes, tags, and the posts of a page."""

import functools
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from pipeline.errors import UserError
from pipeline.sources.base import Skipped
from pipeline.sources.folder import EXTENSIONS
from pipeline.sources.web_source import RemoteImage
from pipeline.tags import MAX_TAGS, split_tags
from pipeline.terminal import sanitize_line
from pipeline.web.messages import HttpResponse
from pipeline.web.robots import AGENT, find_opt_out

MAX_NESTING = 30  # of JSON
MAX_PAGE_POSTS = 10_000  # sites have 1,000 at most


class BadAnswer(UserError):
    """An answer that refuses, or that cannot be parsed."""


def bad_answer(
    answer: HttpResponse, found: str, cure: str = "try again later; if it stays, the site has changed"
) -> BadAnswer:
    """Return the error of an answer that cannot be used."""
    return BadAnswer(answer.url[:300], sanitize_line(found), "a page of pictures", cure)


def find_page_opt_out(answer: HttpResponse, metas: Iterable[tuple[str, str]] = ()) -> str | None:
    """Return the words by which the headers of a page, or its <meta> elements (name in lower case, content), exclude
    its pictures; None if none do."""
    words = find_opt_out(answer.headers.get("x-robots-tag", "").split("\n"), answer.headers.get("tdm-reservation", ""))
    for name, content in metas:
        if name in ("robots", AGENT) and find_opt_out([content if name == "robots" else f"{AGENT}: {content}"]):
            words = words or sanitize_line(f"meta {name}: {content}", 100)
    return words


def parse_md5(value: object, digits: int = 32) -> str | None:
    """Return a site's md5, or another hash of so many digits, in lower case; None if it is not one."""
    text = str(value or "").lower()
    return text if re.fullmatch(f"[0-9a-f]{{{digits}}}", text) else None


parse_sha256 = functools.partial(parse_md5, digits=64)


def parse_integer(value: object) -> int | None:
    """Return a site's number, which may be written as text; None if it is not one."""
    return int(str(value)) if re.fullmatch(r"\d{1,18}", str(value)) else None


def parse_bounded_json(text: str | bytes) -> Any:
    """Return the JSON value, with null for what is nested deeper than MAX_NESTING: no reader has to check the depth. An
    integer of 99 digits or more becomes a float. Raise ValueError or RecursionError."""
    return _pruned(json.loads(text, parse_int=lambda digits: int(digits) if len(digits) < 99 else float(digits)))


def _pruned(value: Any, depth: int = MAX_NESTING) -> Any:
    if isinstance(value, dict):
        return {key: _pruned(item, depth - 1) for key, item in value.items()} if depth else None
    if isinstance(value, list):
        return [_pruned(item, depth - 1) for item in value] if depth else None
    return value


def parse_json_body(answer: HttpResponse) -> Any:
    """Return the JSON value of the body. Raise BadAnswer."""
    try:
        return parse_bounded_json(answer.body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise bad_answer(answer, f"no JSON: {answer.body[:100]!r}") from None


def parse_post_list(value: Any, answer: HttpResponse) -> list:
    """Return the items of a JSON list, posts and others. Raise BadAnswer, with the site's message, for another
    value."""
    if isinstance(value, dict):
        message = str(value.get("message") or value.get("reason") or value.get("error") or f"keys: {list_keys(value)}")
        raise bad_answer(answer, f"the site says: {message}", "correct the query")
    if not isinstance(value, list):
        raise bad_answer(answer, f"no list of posts but {str(value)[:100]!r}")
    return value


def parse_items(
    items: list, offer: Callable[[dict], RemoteImage | Skipped], answer: HttpResponse
) -> list[RemoteImage | Skipped]:
    """Return `offer` of each item of a page; an item that is no object is an odd post. Raise BadAnswer for more than
    MAX_PAGE_POSTS items."""
    if len(items) > MAX_PAGE_POSTS:
        raise bad_answer(answer, f"{len(items):,} posts on a page, at most {MAX_PAGE_POSTS:,}")
    return number_odd_posts([offer(item) if isinstance(item, dict) else skip_odd_post(item) for item in items])


def skip_odd_post(item: object, what: str = "a post without an id") -> Skipped:
    """Return the row of an item that is no post, or has no id: it is named by its content."""
    digest = hashlib.sha256(json.dumps(item, sort_keys=True, default=str).encode()).hexdigest()[:12]
    detail = f"{what}; keys: {list_keys(item)}" if isinstance(item, dict) else f"no post but {sanitize_line(item, 100)}"
    return Skipped(f"odd post {digest}", "odd_post", detail, is_odd=True)


def skip_by_rating(post_id: str, rating: str, item: dict) -> Skipped:
    """Return the row of a post whose rating is not allowed; a post without a rating does not count as safe."""
    found = sanitize_line(rating, 20)
    detail = found or f"post {post_id} has no rating; keys: {list_keys(item)}"
    return Skipped(post_id, "rating", detail, is_odd=not found)


def skip_missing_url(post_id: str, item: dict) -> Skipped:
    """Return the row of a post without a usable URL."""
    detail = f"post {post_id} has no file_url of use; keys: {list_keys(item)}"
    return Skipped(post_id, "no_file_url", detail, is_odd=True)


def list_keys(item: dict) -> str:
    """Return the keys of an item that cannot be used, for an error."""
    return sanitize_line(" ".join(sorted(str(key)[:40] for key in item)[:40]), 1600)


def split_words(value: object) -> list[str]:
    """Return the words of a text, or the texts of a list; nothing for any other value."""
    if isinstance(value, list):
        return [item for item in value if isinstance(item, str)]
    return value.split() if isinstance(value, str) else []


def normal_tags(tags: list[str]) -> tuple[str, ...]:
    """Return a site's tags in the manifest's spelling."""
    return tuple(split_tags(tags[:MAX_TAGS]))


def is_picture_url(url: str) -> bool:
    """Return whether the URL ends in the name of a picture file."""
    path = url.partition("?")[0].partition("#")[0]
    return "." + path.rpartition(".")[2].lower() in EXTENSIONS - {".svg", ".psd"}


def number_odd_posts(offers: list) -> list:
    """Return the offers of a page, with a name of its own for each of several equal odd posts: they may be different
    posts."""
    times: Counter[str] = Counter()
    rows = []
    for each in offers:
        if isinstance(each, Skipped) and each.reason == "odd_post":
            times[each.source_id] += 1
            if times[each.source_id] > 1:
                each = replace(each, source_id=f"{each.source_id} {times[each.source_id]}")
        rows.append(each)
    return rows
