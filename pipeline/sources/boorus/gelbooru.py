"""Boorus that speak Gelbooru's DAPI: safebooru.org (0.2) and gelbooru.com.

Pages are keyed by id (`id:<N`): new posts cannot shift them, and no page is too deep. A site of this kind may answer an
empty page in the middle of a result: only its own count, which is in its XML alone, says where the end is.
"""

import html
import re
from urllib.parse import urlencode
from xml.etree import ElementTree

from pipeline.sources import parsing
from pipeline.sources.base import Skipped
from pipeline.sources.boorus import common
from pipeline.sources.web_source import Cursor, Page, Query, RemoteImage
from pipeline.tags import one_line
from pipeline.terminal import sanitize_line
from pipeline.urls import absolute_url
from pipeline.web.messages import HttpRequest, HttpResponse, RetryLater

VERSION = 1
PER_PAGE = 100
MAX_EMPTY_RETRIES = 5  # times, for a page that is empty though the count says otherwise
MAX_SORTED_POSTS = 20_000  # posts of a query that cannot be keyed by id
UNSAFE = ("questionable", "explicit")
_TOO_DEEP = f"the site shows no more than {MAX_SORTED_POSTS:,} posts of a sorted query"
RATINGS = {"s": "safe", "g": "general", "q": "questionable", "e": "explicit"}  # the letters of its XML


def first_cursor(query: Query) -> Cursor:
    """Return the cursor of the first page. Raise UserError.

    `below`: the smallest id so far; `page`: for pages that are numbered; `seen`: posts so far; `total`: the site's
    count, once it is known; `again`: retries of an empty page; `counts`: whether the next request is for the count."""
    common.check_ratings(query, RATINGS)
    words = query.text.split()
    is_keyed = not any(word.lstrip("-").startswith(("sort:", "id:")) for word in words)
    return {"below": None, "page": 0, "seen": 0, "total": None, "again": 0, "is_keyed": is_keyed, "counts": False}


def request(query: Query, cursor: Cursor) -> HttpRequest:
    """Return the request for the page at the cursor."""
    words = [*query.text.split(), *(f"-rating:{rating}" for rating in UNSAFE if rating not in query.ratings)]
    parameters: dict[str, object] = {"page": "dapi", "s": "post", "q": "index"}
    if cursor["counts"]:
        parameters |= {"limit": 1}
    else:
        parameters |= {"limit": PER_PAGE, "json": 1}
        if not cursor["is_keyed"]:
            parameters |= {"pid": cursor["page"]}
        elif cursor["below"] is not None:
            words.append(f"id:<{cursor['below']}")
    parameters |= {"tags": " ".join(words)}
    return HttpRequest(f"{query.base_url}/index.php?{urlencode(parameters)}", secrets=tuple(query.keys.items()))


def parse(query: Query, cursor: Cursor, answer: HttpResponse) -> Page:
    """Return the images of a page and the cursor of the next. Raise RetryLater or BadAnswer."""
    posts, count = _parse_body(answer)
    if cursor["counts"]:
        if count is None:
            raise parsing.bad_answer(answer, "the count is missing")
        cursor = cursor | {"total": count, "counts": False}
        return Page([], cursor) if cursor["seen"] < count else Page([], None)
    if posts is None:
        return Page([], None, _TOO_DEEP)
    offers = parsing.parse_items(posts, lambda item: _parse_post(item, query), answer)
    if count is not None:
        count += cursor["seen"] if cursor["is_keyed"] else 0  # of those below the key
    total = count if cursor["total"] is None else cursor["total"]
    after = cursor | {"seen": cursor["seen"] + len(posts), "total": total, "again": 0}
    if posts:
        following = common.next_cursor(after, posts, answer)
        if following is None:
            is_all = total is not None and after["seen"] >= total
            return Page(offers, None, "" if is_all else common.WITHOUT_IDS)
        after = following
    if after["page"] * PER_PAGE >= MAX_SORTED_POSTS:  # no further pages are requested, whatever the site says
        return Page(offers, None, _TOO_DEEP)
    if len(posts) >= PER_PAGE:
        return Page(offers, after)
    if total is None:  # a short page: is it the last?
        return Page(offers, after | {"counts": True})
    if after["seen"] >= total:
        return Page(offers, None)
    if posts:
        return Page(offers, after)
    if cursor["again"] < MAX_EMPTY_RETRIES:
        return Page([], cursor | {"total": total, "again": cursor["again"] + 1})
    return Page([], None, f"the site counts {total:,} posts and shows {after['seen']:,}")


def _parse_body(answer: HttpResponse) -> tuple[list | None, int | None]:
    """Return the posts, and the number of posts of the query if the answer states it. The posts are None where the
    query is too deep."""
    text = answer.body.decode("utf-8-sig", "replace").strip()
    if text.startswith("Too deep"):
        return None, None
    if text.startswith("<"):
        return _parse_xml(text, answer)
    try:
        value = parsing.parse_bounded_json(text) if text else []
    except (ValueError, RecursionError):
        raise parsing.bad_answer(answer, f"neither JSON nor XML: {text[:100]!r}") from None
    if isinstance(value, str):
        raise _refused(answer, value)
    if isinstance(value, dict):
        if "post" not in value and "@attributes" not in value:
            message = value.get("message") or value.get("reason") or f"keys: {parsing.list_keys(value)}"
            raise _refused(answer, str(message))
        attributes, posts = value.get("@attributes"), value.get("post") or []
        count = parsing.parse_integer(attributes.get("count")) if isinstance(attributes, dict) else None
        posts = [posts] if isinstance(posts, dict) else posts
        if not isinstance(posts, list):
            raise parsing.bad_answer(answer, f"no list of posts but {str(posts)[:100]!r}")
        return posts, count
    if not isinstance(value, list):
        raise parsing.bad_answer(answer, f"no list of posts but {text[:100]!r}")
    return value, None


def _parse_xml(text: str, answer: HttpResponse) -> tuple[list, int | None]:
    if re.match(r"<(!doctype\s+html|html)", text, re.IGNORECASE):
        title = re.search(r"<title[^>]*>([^<]{0,200})", text, re.IGNORECASE)
        words = "Access Restricted" if "Access Restricted" in text else title[1].strip() if title else "no title"
        raise parsing.bad_answer(answer, f"a web page instead of posts: {words}")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # entities can be made to fill the memory
        raise parsing.bad_answer(answer, "XML with a document type")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise parsing.bad_answer(answer, f"broken XML ({error})") from None
    if root.tag == "response" and root.get("success") == "false":
        reason = root.get("reason") or "no reason given"
        if "limited" in reason or "abuse" in reason:
            raise RetryLater(sanitize_line(reason))
        raise _refused(answer, reason)
    if root.tag != "posts":
        raise _refused(answer, (root.text or "").strip() or f"<{root.tag}>")
    posts = [post.attrib or {child.tag: child.text or "" for child in post} for post in root.iter("post")]
    return posts, parsing.parse_integer(root.get("count"))


def _refused(answer: HttpResponse, message: str) -> parsing.BadAnswer:
    cure = "correct the query, or give api_key and user_id in luigi.cfg"
    return parsing.bad_answer(answer, f"the site says: {message}", cure)


def _parse_post(item: dict, query: Query) -> RemoteImage | Skipped:
    if not (number := common.read_id(item)):
        return parsing.skip_odd_post(item)
    post_id = str(number)
    original = _original_url(item, query)
    url = common.choose_variant(query, original, item.get("sample_url"))
    if url is None:
        return parsing.skip_missing_url(post_id, item)
    rating = common.read_rating(item, RATINGS)
    if rating not in query.ratings:
        return parsing.skip_by_rating(post_id, rating, item)
    if not parsing.is_picture_url(url):
        return Skipped(post_id, "not_a_picture", url.rpartition(".")[2][:20])
    return RemoteImage(
        post_id,
        url,
        page_url=f"{query.base_url}/index.php?page=post&s=view&id={post_id}",
        rating=rating or None,
        title=one_line(_unescape(item.get("title"))),
        tags=parsing.normal_tags(_unescape(" ".join(parsing.split_words(item.get("tags")))).split()),
        md5=parsing.parse_md5(item.get("md5") or item.get("hash")) if url == original else None,
    )


def _unescape(value: object) -> str:
    text = value if isinstance(value, str) else ""
    try:
        return html.unescape(text)
    except ValueError:  # a character of thousands of digits
        return text


def _original_url(item: dict, query: Query) -> str | None:
    """Return the URL of the original: the stated one, or, for old answers without, the one that follows from its folder
    and name."""
    if item.get("file_url"):
        return absolute_url(item["file_url"], query.base_url + "/")
    if item.get("directory") is not None and item.get("image"):
        return absolute_url(f"{query.file_base_url or query.base_url}/images/{item['directory']}/{item['image']}")
    return None
