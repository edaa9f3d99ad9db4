"""Readers of what sites answer: JSON, numbers, hashes, tags, and the posts of a page."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pipeline.errors import UserError
from pipeline.sources.base import Skipped
from pipeline.sources.folder import EXTENSIONS
from pipeline.sources.web_source import RemoteImage
from pipeline.tags import MAX_TAGS, split_tags
from pipeline.terminal import sanitize_line
from pipeline.web.messages import HttpResponse

MAX_NESTING = 30  # of JSON
MAX_PAGE_POSTS = 10_000  # sites have 1,000 at most


class BadAnswer(UserError):
    """An answer that says no, or that this program cannot read."""


def bad_answer(
    answer: HttpResponse, found: str, cure: str = "try again later; if it stays, the site has changed"
) -> BadAnswer:
    return BadAnswer(answer.url[:300], sanitize_line(found), "a page of pictures", cure)


def parse_md5(value: object) -> str | None:
    """A site's md5, if it is one."""
    return _hexadecimal(value, 32)


def parse_sha256(value: object) -> str | None:
    """A site's sha256, if it is one."""
    return _hexadecimal(value, 64)


def _hexadecimal(value: object, digits: int) -> str | None:
    text = str(value or "").lower()
    return text if re.fullmatch(f"[0-9a-f]{{{digits}}}", text) else None


def parse_integer(value: object) -> int | None:
    """A site's number, if it is one: some write them as text."""
    return int(str(value)) if re.fullmatch(r"\d{1,18}", str(value)) else None


def parse_bounded_json(text: str | bytes) -> Any:
    """Return the value, without what is nested deeper than MAX_NESTING: nothing that reads it has to mind its depth. An
    integer of more digits than Python reads is infinite. Raises ValueError, RecursionError."""
    return _pruned(json.loads(text, parse_int=lambda digits: int(digits) if len(digits) < 99 else float(digits)))


def _pruned(value: Any, depth: int = MAX_NESTING) -> Any:
    if isinstance(value, dict):
        return {key: _pruned(item, depth - 1) for key, item in value.items()} if depth else None
    if isinstance(value, list):
        return [_pruned(item, depth - 1) for item in value] if depth else None
    return value


def parse_json_body(answer: HttpResponse) -> Any:
    """The JSON that came. Raises BadAnswer."""
    try:
        return parse_bounded_json(answer.body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise bad_answer(answer, f"no JSON: {answer.body[:100]!r}") from None


def parse_post_list(value: Any, answer: HttpResponse) -> list:
    """The items of a JSON list, posts and what else is among them. Raises BadAnswer, with the site's words, if it is no
    list."""
    if isinstance(value, dict):
        message = str(value.get("message") or value.get("reason") or value.get("error") or f"keys: {list_keys(value)}")
        raise bad_answer(answer, f"the site says: {message}", "mend the query")
    if not isinstance(value, list):
        raise bad_answer(answer, f"no list of posts but {str(value)[:100]!r}")
    return value


def parse_items(
    items: list, offer: Callable[[dict], RemoteImage | Skipped], answer: HttpResponse
) -> list[RemoteImage | Skipped]:
    """Return what each item of a page comes to, by `offer`; one that is no object is an odd post. Raises BadAnswer if
    there are more than on any site's pages."""
    if len(items) > MAX_PAGE_POSTS:
        raise bad_answer(answer, f"{len(items):,} posts on a page, at most {MAX_PAGE_POSTS:,}")
    return number_odd_posts([offer(item) if isinstance(item, dict) else skip_odd_post(item) for item in items])


def skip_odd_post(item: object, what: str = "a post without an id") -> Skipped:
    """Return the row of an item that is no post, or has no id: it is named by its content."""
    digest = hashlib.sha256(json.dumps(item, sort_keys=True, default=str).encode()).hexdigest()[:12]
    detail = f"{what}; keys: {list_keys(item)}" if isinstance(item, dict) else f"no post but {sanitize_line(item, 100)}"
    return Skipped(f"odd post {digest}", "odd_post", detail, is_odd=True)


def skip_by_rating(post_id: str, rating: str, item: dict) -> Skipped:
    """A post that is not rated is not taken for a safe one."""
    found = sanitize_line(rating, 20)
    detail = found or f"post {post_id} has no rating; keys: {list_keys(item)}"
    return Skipped(post_id, "rating", detail, is_odd=not found)


def skip_missing_url(post_id: str, item: dict) -> Skipped:
    detail = f"post {post_id} has no file_url of use; keys: {list_keys(item)}"
    return Skipped(post_id, "no_file_url", detail, is_odd=True)


def list_keys(item: dict) -> str:
    """Those of an item that cannot be used, for an error."""
    return sanitize_line(" ".join(sorted(str(key)[:40] for key in item)[:40]), 1600)


def split_words(value: object) -> list[str]:
    """The words of a text, or the texts of a list: what a site says of tags. Nothing else holds words."""
    if isinstance(value, list):
        return [item for item in value if isinstance(item, str)]
    return value.split() if isinstance(value, str) else []


def normal_tags(tags: list[str]) -> tuple[str, ...]:
    """A site's tags, as the manifest has them."""
    return tuple(split_tags(tags[:MAX_TAGS]))


def is_picture_url(url: str) -> bool:
    """Whether a picture's file name ends it."""
    path = url.partition("?")[0].partition("#")[0]
    return "." + path.rpartition(".")[2].lower() in EXTENSIONS - {".svg", ".psd"}


def number_odd_posts(offers: list) -> list:
    """Return what a page comes to, with a name of its own for each of several equal odd posts: they may be others."""
    times: Counter[str] = Counter()
    rows = []
    for each in offers:
        if isinstance(each, Skipped) and each.reason == "odd_post":
            times[each.source_id] += 1
            if times[each.source_id] > 1:
                each = replace(each, source_id=f"{each.source_id} {times[each.source_id]}")
        rows.append(each)
    return rows
