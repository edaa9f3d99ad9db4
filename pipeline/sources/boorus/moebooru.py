"""Moebooru: konachan, yande.re and others. JSON, pages keyed by id."""

from urllib.parse import urlencode

from pipeline.sources import parsing
from pipeline.sources.base import Skipped
from pipeline.sources.boorus import common
from pipeline.sources.web_source import Cursor, Page, Query, RemoteImage
from pipeline.terminal import sanitize_line
from pipeline.urls import absolute_url
from pipeline.web.messages import HttpRequest, HttpResponse

VERSION = 1
PER_PAGE = 100
RATINGS = {"safe": "s", "questionable": "q", "explicit": "e"}


def first_cursor(query: Query) -> Cursor:
    """Return the cursor of the first page. Raise UserError."""
    return common.first_cursor(query, RATINGS, ("order:", "id:"))


def request(query: Query, cursor: Cursor) -> HttpRequest:
    """Return the request for the page at the cursor."""
    words = query.text.split()
    if query.ratings == ("s",) and not any(word.startswith("rating:") for word in words):
        words.append("rating:s")
    parameters: dict[str, object] = {"limit": PER_PAGE}
    if not cursor["is_keyed"]:
        parameters["page"] = cursor["page"]
    elif cursor["below"] is not None:
        words.append(f"id:<{cursor['below']}")
    parameters["tags"] = " ".join(words)
    return HttpRequest(f"{query.base_url}/post.json?{urlencode(parameters)}", secrets=tuple(query.keys.items()))


def parse(query: Query, cursor: Cursor, answer: HttpResponse) -> Page:
    """Return the images of a page and the cursor of the next. Raise BadAnswer."""
    items = parsing.parse_json_body(answer)
    if isinstance(items, dict) and isinstance(items.get("posts"), list):  # version 2 of the API
        items = items["posts"]
    posts = parsing.parse_post_list(items, answer)
    offers = parsing.parse_items(posts, lambda item: _parse_post(item, query), answer)
    return common.make_page(offers, cursor, posts, answer)


def _parse_post(item: dict, query: Query) -> RemoteImage | Skipped:
    if not (number := common.read_id(item)):
        return parsing.skip_odd_post(item)
    post_id = str(number)
    rating = common.read_rating(item, RATINGS)
    if rating not in query.ratings:
        return parsing.skip_by_rating(post_id, rating, item)
    original = absolute_url(item.get("file_url"), query.base_url + "/")
    if original is None:
        if item.get("status") in ("deleted", "flagged") or item.get("is_held"):
            return Skipped(post_id, "hidden", sanitize_line(item.get("status") or "held", 20))
        return parsing.skip_missing_url(post_id, item)
    url = common.choose_variant(query, original, item.get("sample_url"))
    if not parsing.is_picture_url(url):
        return Skipped(post_id, "not_a_picture", url.rpartition(".")[2][:20])
    return RemoteImage(
        post_id,
        url,
        page_url=f"{query.base_url}/post/show/{post_id}",
        rating=rating or None,
        tags=parsing.normal_tags(parsing.split_words(item.get("tags"))),  # `author` is who uploaded it, not who drew it
        md5=parsing.parse_md5(item.get("md5")) if url == original else None,
        bytes=parsing.parse_integer(item.get("file_size")) if url == original else None,
    )
