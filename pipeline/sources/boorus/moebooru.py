"""Moebooru: konachan, yande.re and others. JSON, pages keyed by id."""

from urllib.parse import urlencode

from pipeline.sources.base import Skipped
from pipeline.sources.boorus.common import WITHOUT_IDS, check_ratings, choose_variant, id_of, next_cursor, rating_of
from pipeline.sources.parsing import (
    is_picture_url,
    json_of,
    odd_post,
    offers_of,
    posts_of,
    promised_md5,
    skip_by_rating,
    skip_missing_url,
    tags_of,
    whole_number,
    words_in,
)
from pipeline.sources.web_source import Cursor, Page, Query, RemoteImage
from pipeline.terminal import sanitize_line
from pipeline.urls import absolute_url
from pipeline.web.messages import HttpRequest, HttpResponse

VERSION = 1
PER_PAGE = 100
LAST_PAGE = 1000  # of an ordered query: a site that ignores the number would be asked for ever
RATINGS = {"safe": "s", "questionable": "q", "explicit": "e"}


def first(query: Query) -> Cursor:
    check_ratings(query, RATINGS)
    is_keyed = not any(word.lstrip("-").startswith(("order:", "id:")) for word in query.text.split())
    return {"below": None, "page": 1, "is_keyed": is_keyed}


def ask(query: Query, cursor: Cursor) -> HttpRequest:
    words = query.text.split()
    if query.ratings == ("s",) and not any(word.startswith("rating:") for word in words):
        words.append("rating:s")
    parameters = {"limit": PER_PAGE}
    if not cursor["is_keyed"]:
        parameters["page"] = cursor["page"]
    elif cursor["below"] is not None:
        words.append(f"id:<{cursor['below']}")
    parameters["tags"] = " ".join(words)
    return HttpRequest(f"{query.base_url}/post.json?{urlencode(parameters)}", secrets=tuple(query.keys.items()))


def read(query: Query, cursor: Cursor, answer: HttpResponse) -> Page:
    items = json_of(answer)
    if isinstance(items, dict) and isinstance(items.get("posts"), list):  # version 2 of the API
        items = items["posts"]
    posts = posts_of(items, answer)
    offers = offers_of(posts, lambda item: _offer(item, query), answer)
    if not posts:
        return Page([], None)
    after = next_cursor(cursor, posts, answer)
    if after is None:
        return Page(offers, None, WITHOUT_IDS)
    if after["page"] > LAST_PAGE:
        return Page(offers, None, f"no more than {LAST_PAGE:,} pages of an ordered query are asked for")
    return Page(offers, after)


def _offer(item: dict, query: Query) -> RemoteImage | Skipped:
    if not (number := id_of(item)):
        return odd_post(item)
    post_id = str(number)
    rating = rating_of(item, RATINGS)
    if rating not in query.ratings:
        return skip_by_rating(post_id, rating, item)
    original = absolute_url(item.get("file_url"), query.base_url + "/")
    if original is None:
        if item.get("status") in ("deleted", "flagged") or item.get("is_held"):
            return Skipped(post_id, "hidden", sanitize_line(item.get("status") or "held", 20))
        return skip_missing_url(post_id, item)
    url = choose_variant(query, original, item.get("sample_url"))
    if not is_picture_url(url):
        return Skipped(post_id, "not_a_picture", url.rpartition(".")[2][:20])
    return RemoteImage(
        post_id,
        url,
        page_url=f"{query.base_url}/post/show/{post_id}",
        rating=rating or None,
        tags=tags_of(words_in(item.get("tags"))),  # `author` is who uploaded it, not who drew it
        md5=promised_md5(item.get("md5")) if url == original else None,
        bytes=whole_number(item.get("file_size")) if url == original else None,
    )
