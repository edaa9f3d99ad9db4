"""Danbooru, and hosts of its kind (safebooru.donmai.us, …): JSON, pages keyed by id.

What a viewer may not see (banned artists, gold-only posts) comes without hash and address. That is no fault: it is
counted as hidden.
"""

from urllib.parse import urlencode

from pipeline.sources import parsing
from pipeline.sources.base import Skipped
from pipeline.sources.boorus import common
from pipeline.sources.web_source import Cursor, Page, Query, RemoteImage
from pipeline.tags import one_line
from pipeline.terminal import sanitize_line
from pipeline.urls import absolute_url
from pipeline.web.messages import HttpRequest, HttpResponse

VERSION = 1
PER_PAGE = 200
FIELDS = (
    "id,md5,rating,file_ext,file_size,file_url,large_file_url,image_width,image_height,is_deleted,is_banned,"
    "tag_string,tag_string_artist,tag_string_character"
)
RATINGS = {"general": "g", "sensitive": "s", "questionable": "q", "explicit": "e"}
ORDERED = ("order:", "id:", "md5:", "ordfav:", "ordpool:", "random:")


def first_cursor(query: Query) -> Cursor:
    """Return the cursor of the first page. Raise UserError."""
    return common.first_cursor(query, RATINGS, ORDERED)


def request(query: Query, cursor: Cursor) -> HttpRequest:
    """Return the request for the page at the cursor."""
    words = query.text.split()
    if not any(word.startswith("rating:") for word in words):
        words.append(f"rating:{','.join(query.ratings)}")  # does not count towards the limit of two tags
    parameters: dict[str, object] = {"tags": " ".join(words), "limit": PER_PAGE, "only": FIELDS}
    if not cursor["is_keyed"]:
        parameters["page"] = cursor["page"]
    elif cursor["below"] is not None:
        parameters["page"] = f"b{cursor['below']}"
    login = (query.keys["login"], query.keys["api_key"]) if {"login", "api_key"} <= query.keys.keys() else None
    return HttpRequest(f"{query.base_url}/posts.json?{urlencode(parameters)}", login=login)


def parse(query: Query, cursor: Cursor, answer: HttpResponse) -> Page:
    """Return the images of a page and the cursor of the next. Raise BadAnswer."""
    items = parsing.parse_json_body(answer)
    if isinstance(items, dict) and "id" in items:  # a query md5:… returns the post itself
        return Page([_parse_post(items, query)], None)
    posts = parsing.parse_post_list(items, answer)
    offers = parsing.parse_items(posts, lambda item: _parse_post(item, query), answer)
    return common.make_page(offers, cursor, posts, answer)  # a short one is no end: hidden posts may be left out of it


def _parse_post(item: dict, query: Query) -> RemoteImage | Skipped:
    if not (number := common.read_id(item)):
        return parsing.skip_odd_post(item)
    post_id = str(number)
    rating = common.read_rating(item, RATINGS)
    if rating not in query.ratings:
        return parsing.skip_by_rating(post_id, rating, item)
    md5 = parsing.parse_md5(item.get("md5"))
    original = _original_url(item, query, md5)
    if original is None and md5 is None:
        return Skipped(post_id, "hidden", "banned" if item.get("is_banned") else "")
    if original is None:
        return parsing.skip_missing_url(post_id, item)
    extension = str(item.get("file_ext") or original.rpartition(".")[2])
    if not parsing.is_picture_url(f"x.{extension}"):  # films, flash, and zip: ugoira
        return Skipped(post_id, "not_a_picture", sanitize_line(extension, 20))
    url = common.choose_variant(query, original, item.get("large_file_url"))
    return RemoteImage(
        post_id,
        url,
        page_url=f"{query.base_url}/posts/{post_id}",
        rating=rating or None,
        title=one_line(item.get("tag_string_character")),
        artist=one_line(parsing.split_words(item.get("tag_string_artist"))),
        tags=parsing.normal_tags(parsing.split_words(item.get("tag_string"))),
        md5=md5 if url == original else None,  # both are of the original
        bytes=parsing.parse_integer(item.get("file_size")) if url == original else None,
    )


def _original_url(item: dict, query: Query, md5: str | None) -> str | None:
    if item.get("file_url"):
        return absolute_url(item["file_url"], query.base_url + "/")
    if md5 and item.get("file_ext") and query.file_base_url:
        return absolute_url(f"{query.file_base_url}/original/{md5[:2]}/{md5[2:4]}/{md5}.{item['file_ext']}")
    return None
