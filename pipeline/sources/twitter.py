"""X (Twitter), by its API v2: the posts of a user, or a search of the last seven days.

A query is one of these:

| query | requests |
|---|---|
| `@NAME` or `from=NAME` | GET /2/users/by/username/NAME for the id, then GET /2/users/ID/tweets |
| `search=WORDS` | GET /2/tweets/search/recent, with X's own operators: `search=#fanart lang:ja` |

A search has `has:images` (`has:media` with the option `previews`) and `-is:retweet` added, each unless WORDS say has:…
or is:… themselves.

Each post that is read costs money, and so does each user object. A page is as large as the pictures that are still
wanted need, and as the budget pays for if the site returns all that it may. X charges a post once in a day (UTC), and
here it is counted each time: the user is charged no more than is counted.

The fields have the names of the live API (tweet.fields, not post.fields); an answer uses the names of its request.
"""

import contextlib
import html
import re
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import urlencode

from pipeline.errors import UserError
from pipeline.sources import parsing
from pipeline.sources.base import Skipped
from pipeline.sources.web_source import Cursor, Page, Query, RemoteImage
from pipeline.tags import MAX_TEXT, one_line
from pipeline.terminal import sanitize_line
from pipeline.urls import absolute_url
from pipeline.web.messages import HttpRequest, HttpResponse, RetryLater

VERSION = 1
PER_PAGE = 100
POST_PRICE, USER_PRICE = 5, 10  # thousandths of a USD for each object that is returned
TIMELINE_REACH = {"true": 3200, "false": 800}  # posts that a timeline goes back, by the option `replies`
SIZES = ("4096x4096", "large", "medium", "small")  # on X's file host, below `orig`


class _Endpoint(NamedTuple):
    """The parameters of one of the two lists of posts."""

    min_results: int  # lowest allowed max_results
    price: int  # thousandths of a USD, of a post with its expansions, at most
    page_token: str  # name of the parameter
    expansions: str


_TIMELINE = _Endpoint(5, POST_PRICE, "pagination_token", "attachments.media_keys")
# Each post may be by another user, who is charged too.
_SEARCH = _Endpoint(10, POST_PRICE + USER_PRICE, "next_token", "attachments.media_keys,author_id")

_NAME = "[A-Za-z0-9_]{1,15}"
_QUERY = re.compile(rf"(?:@|from=)(?P<user>{_NAME})|search= ?(?P<words>[^ ].*)")
_PHOTO = re.compile(r"(?P<place>[^?]*/media/[\w-]+)\.(?P<format>jpe?g|png|webp)", re.ASCII)
_HASHTAG = re.compile(r"(?<![\w&])[#＃](\d*[^\W\d][\w・]*)")  # digits alone are none
_LINK = re.compile(r"https://t\.co/\w+")  # each picture is one too, at the end of the text
_WEEK = "recent search reaches back seven days"
_CURES = {
    400: "correct the query",
    401: "look at bearer_token in [twitter] of luigi.cfg",
    402: "buy credits in X's developer console; what was fetched is kept: the same command goes on from there",
    403: "enrol the app of this bearer_token, in X's developer console, for the access that is named",
    404: "correct the query, or base_url in [twitter] of luigi.cfg",
    429: "wait for the next period, or raise the cap in X's developer console; what was fetched is kept",
}


def first_cursor(query: Query) -> Cursor:
    """Return the cursor of the first page. Raise UserError.

    `user` or `search`: which of the two is listed; `id`: the user's, once it is known; `total`: posts of the user;
    `seen`: posts so far. The newest comes first, so a --refresh may end at a known post (`is_keyed`)."""
    target = _QUERY.fullmatch(" ".join(query.text.split()))
    if not target:
        expected = "@NAME or from=NAME (a user), or search=WORDS"
        cure = "correct the query; a name has 1 to 15 letters a-z, digits and underscores"
        raise UserError("--query", sanitize_line(query.text) or "nothing", expected, cure)
    search = _add_operators(target["words"], query.options.get("previews")) if target["words"] else ""
    cursor = {"user": target["user"] or "", "search": search, "id": "", "token": "", "since": "", "seen": 0, "total": 0}
    return cursor | {"is_keyed": True}


def cursor_since(query: Query, newest: str) -> Cursor:
    """Return the cursor of a listing that ends at the post `newest`."""
    return first_cursor(query) | {"since": newest}


def _add_operators(words: str, previews: str | None) -> str:
    """Return the search with operators that leave out posts without pictures, which would cost money too."""
    media = "has:media" if previews == "true" else "has:images"
    data = {word.lstrip("-(").partition(":")[0] for word in words.split()}
    added = [operator for name, operator in {"has": media, "is": "-is:retweet"}.items() if name not in data]
    if added and "OR" in words.split():  # which binds less than what is added
        words = f"({words})"
    return " ".join([words, *added])


def request(query: Query, cursor: Cursor) -> HttpRequest:
    """Return the request for the page at the cursor. Raise UserError without a token."""
    token = query.keys.get("bearer_token")
    if not token:
        cure = "make one in X's developer console and set bearer_token in [twitter] of luigi.cfg"
        raise UserError("bearer_token", "it is not set", "the Bearer Token of an app", cure)
    if cursor["user"] and not cursor["id"]:
        path = f"/2/users/by/username/{cursor['user']}?user.fields=id,name,protected,public_metrics"
        # With the least page of posts: an id alone would be money for nothing.
        cost = (USER_PRICE + _TIMELINE.min_results * _TIMELINE.price) / 1000
        return HttpRequest(query.base_url + path, bearer=token, cost=cost)
    endpoint = _SEARCH if cursor["search"] else _TIMELINE
    size = max(min(query.wanted or PER_PAGE, PER_PAGE), endpoint.min_results)  # a post may have no picture, or several
    while size > endpoint.min_results and size * endpoint.price / 1000 > query.budget_usd:
        size -= 1
    parameters = {
        "max_results": size,
        "tweet.fields": "attachments,author_id,possibly_sensitive",
        "expansions": endpoint.expansions,
        "media.fields": "preview_image_url,type,url",
    }
    if cursor["search"]:
        path = "/2/tweets/search/recent"
        parameters |= {"query": cursor["search"]}
    else:
        path = f"/2/users/{cursor['id']}/tweets"
        parameters |= {"exclude": "retweets" if query.options.get("replies") == "true" else "retweets,replies"}
    next_cursor = {"since_id": cursor["since"], endpoint.page_token: cursor["token"]}
    parameters |= {name: value for name, value in next_cursor.items() if value}
    url = f"{query.base_url}{path}?{urlencode(parameters, safe=',')}"
    return HttpRequest(url, bearer=token, cost=size * endpoint.price / 1000)


def parse(query: Query, cursor: Cursor, answer: HttpResponse) -> Page:
    """Return the images of a page and the cursor of the next. Raise RetryLater or BadAnswer."""
    data: dict = {}
    with contextlib.suppress(parsing.BadAnswer):  # a refusal may be a web page
        data = _expect_type(parsing.parse_json_body(answer), dict, answer)
    if answer.status != 200:
        return _handle_refusal(cursor, answer, data)
    if not data.keys() & {"data", "meta"}:
        return _parse_errors(cursor, answer, data)
    if cursor["user"] and not cursor["id"]:
        return _parse_user(cursor, answer, data)
    return _parse_page(query, cursor, answer, data)


def _parse_user(cursor: Cursor, answer: HttpResponse, data: dict) -> Page:
    user = _expect_type(data.get("data"), dict, answer)
    name, total = user.get("username"), _expect_type(user.get("public_metrics"), dict, answer).get("tweet_count")
    name = name if isinstance(name, str) and re.fullmatch(_NAME, name) else cursor["user"]  # as its owner spells it
    if user.get("protected"):
        return Page([], None, f"@{name} is protected: X shows its posts to its followers alone", cost=USER_PRICE / 1000)
    user_id = _parse_id(user.get("id"))
    if user_id is None:
        raise parsing.bad_answer(answer, f"no id of @{name} but {str(user.get('id'))[:100]!r}")
    known = {"user": name, "id": user_id, "total": total if isinstance(total, int) else 0}
    return Page([], cursor | known, cost=USER_PRICE / 1000)


def _parse_page(query: Query, cursor: Cursor, answer: HttpResponse, data: dict) -> Page:
    """Return a page of posts. It may be empty, without `data`, and not the last; it may have `errors` besides its
    posts."""
    posts, meta = _expect_type(data.get("data"), list, answer), _expect_type(data.get("meta"), dict, answer)
    includes = _expect_type(data.get("includes"), dict, answer)
    more = {name: _dicts(includes.get(name), answer) for name in ("media", "users", "tweets", "posts")}
    cost = (POST_PRICE * (len(posts) + len(more["tweets"] + more["posts"])) + USER_PRICE * len(more["users"])) / 1000
    media = {str(item.get("media_key")): item for item in more["media"]}
    names = {str(item.get("id")): item.get("username") for item in more["users"]}
    found = [_parse_post(post, media, names, query, cursor) for post in posts]
    offers = parsing.number_odd_posts([offer for of_post in found for offer in of_post])
    if [] in found:  # posts without a picture are as they should be: the site has not changed
        offers = [replace(each, is_odd=False) if isinstance(each, Skipped) else each for each in offers]
    newest = (_parse_id(meta.get("newest_id")) or "") if not cursor["seen"] else ""
    token = meta.get("next_token") or ""
    if not isinstance(token, str) or token == cursor["token"] != "":
        raise parsing.bad_answer(answer, f"a next_token that leads no further: {token!r}")
    after = cursor | {"token": token, "seen": cursor["seen"] + len(posts)}
    shortfall = "" if token else _shortfall(query, after, _error_text(data))
    return Page(offers, after if token else None, shortfall, newest, cost)


def _shortfall(query: Query, cursor: Cursor, error_text: str) -> str:
    """Return why a finished listing may be incomplete. Excluded posts count towards the reach of a timeline, so the
    user's total is compared too."""
    if cursor["search"]:
        return "" if cursor["since"] else _WEEK
    reach = TIMELINE_REACH[query.options.get("replies", "false")]
    if cursor["seen"] >= reach or (cursor["total"] > reach and not cursor["since"]):
        return f"a timeline reaches back over the newest {reach:,} posts alone"
    if cursor["seen"] or cursor["since"]:
        return ""
    return f"X shows no post of @{cursor['user']}: {error_text or 'there is none, or they are protected or withheld'}"


def _parse_post(
    post: Any, media: dict[str, dict], names: dict[str, Any], query: Query, cursor: Cursor
) -> list[RemoteImage | Skipped]:
    """Return an offer for each photo and film of a post; none if it has none."""
    post_id = _parse_id(post.get("id")) if isinstance(post, dict) else None
    if post_id is None:
        return [parsing.skip_odd_post(post)]
    attachments = post.get("attachments") or {}
    keys = (attachments.get("media_keys") or []) if isinstance(attachments, dict) else None
    if not isinstance(keys, list):
        return [parsing.skip_odd_post(post, f"post {post_id} has attachments that are none")]
    text = post.get("text")
    text = html.unescape(text[:MAX_TEXT]) if isinstance(text, str) else ""
    name = cursor["user"] or names.get(str(post.get("author_id")))
    name = name if isinstance(name, str) and re.fullmatch(_NAME, name) else None
    about = {
        "page_url": f"https://x.com/{name or 'i'}/status/{post_id}",
        "artist": name,
        "title": one_line(_LINK.sub("", text).strip().partition("\n")[0]),
        "rating": "sensitive" if post.get("possibly_sensitive") else "general",
        "tags": tuple(dict.fromkeys(parsing.normal_tags(_HASHTAG.findall(text)))),
    }
    return [
        _parse_media(f"{post_id}_{number}", media.get(str(key)), about, query) for number, key in enumerate(keys, 1)
    ]


def _parse_media(source_id: str, item: dict | None, about: dict, query: Query) -> RemoteImage | Skipped:
    if about["rating"] not in query.ratings:
        return Skipped(source_id, "rating", about["rating"])
    if item is None:
        return Skipped(source_id, "hidden", "the answer does not hold this media of the post")
    kind = item.get("type")
    if kind == "photo":
        url = absolute_url(item.get("url"))
        urls: list[str | None] = [url]
        if form := _PHOTO.fullmatch(url or ""):
            urls = [f"{form['place']}?format={form['format']}&name={size}" for size in ("orig", *SIZES)]
    elif kind in ("video", "animated_gif") and query.options.get("previews") == "true":
        urls = [absolute_url(item.get("preview_image_url"))]
        about = about | {"tags": (*about["tags"], "video_preview")}
    else:
        return Skipped(source_id, "not_a_picture", sanitize_line(kind, 20))
    if not urls[0]:
        return parsing.skip_missing_url(source_id, item)
    return RemoteImage(source_id, urls[0], instead=tuple(filter(None, urls[1:])), **about)


def _parse_errors(cursor: Cursor, answer: HttpResponse, data: dict) -> Page:
    """Return the page of an answer without data: X answers 200 with `errors` for a user that is missing, suspended or
    protected."""
    if not data.get("errors"):
        raise parsing.bad_answer(answer, f"neither data nor errors: {answer.body[:200]!r}")
    target, error_text = f"@{cursor['user']}" if cursor["user"] else "the search", _error_text(data)
    if _problem_type(_first_error(data)) == "not-authorized-for-resource":
        return Page([], None, f"X shows nothing of {target}: {error_text}", cost=0.0)
    raise parsing.bad_answer(answer, f"{target}: X says: {error_text}", "correct the query")


def _handle_refusal(cursor: Cursor, answer: HttpResponse, data: dict) -> Page:
    """Return the page of a refusal that only ends the listing. Raise RetryLater or BadAnswer for others."""
    error_text = _error_text(data) or sanitize_line(answer.body.decode("utf-8", "replace"), 200) or "no words"
    is_capped = _problem_type(data) == "usage-capped" or data.get("title") == "UsageCapExceeded"
    if answer.status == 429 and not is_capped:
        raise RetryLater(f"HTTP 429: {error_text}")
    if answer.status == 400 and cursor["since"] and "since_id" in str(_first_error(data).get("parameters")):
        # A search takes no since_id from before its seven days; without one, it ends at the first known post.
        return Page([], None, _WEEK, cost=0.0) if cursor["token"] else Page([], cursor | {"since": ""}, cost=0.0)
    raise parsing.bad_answer(
        answer, f"HTTP {answer.status}: {error_text}", _CURES.get(answer.status, "try again later")
    )


def _error_text(data: dict) -> str:
    """Return the site's message about an error; empty if there is none."""
    error = _first_error(data)
    texts = [data.get(name) for name in ("title", "detail", "reason", "required_enrollment")]
    words = error.get("message") or error.get("detail") or ", ".join(dict.fromkeys(str(each) for each in texts if each))
    return sanitize_line(words, 200)


def _first_error(data: dict) -> dict:
    errors = data.get("errors")
    return errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}


def _problem_type(data: dict) -> str:
    """Return the end of the path of a problem's type; its host varies."""
    return str(data.get("type") or "").rstrip("/").rpartition("/")[2]


def _expect_type(value: Any, kind: type, answer: HttpResponse) -> Any:
    """Return the value; an empty one for null or a missing field. Raise BadAnswer for another type."""
    if not isinstance(value, (kind, type(None))):
        raise parsing.bad_answer(answer, f"a {type(value).__name__} where a {kind.__name__} belongs")
    return kind() if value is None else value


def _dicts(value: object, answer: HttpResponse) -> list[dict]:
    return [item for item in _expect_type(value, list, answer) if isinstance(item, dict)]


def _parse_id(value: object) -> str | None:
    """Return an id as text, as it is longer than other sites' numbers; None if it is not one."""
    return str(value) if re.fullmatch("[0-9]{1,20}", str(value)) else None
