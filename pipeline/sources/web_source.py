"""What a source on the web is: how to ask it for the next page, and how to read the answer. It opens no socket.

An engine (one module for each kind of site) has three pure functions:

first(query) -> the cursor of the first page, a JSON value
ask(query, cursor) -> what to request for it; None if it needs no request
read(query, cursor, answer) -> what the answer offers, and the next cursor

Since a cursor is all that an engine remembers, a listing that was killed goes on from the last one that was kept. One
for a site that can be asked for what is new alone has a fourth:

since(query, newest) -> the cursor of a first page that ends behind that post (`Page.newest`)
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from pipeline.errors import UserError
from pipeline.sources.base import Skipped, numbered
from pipeline.sources.folder import EXTENSIONS
from pipeline.sources.sidecars import MAX_TAGS, split_tags

Cursor = dict[str, Any]
MAX_URL = 2000  # characters
MAX_NESTING = 30  # of JSON
MAX_PAGE_POSTS = 10_000  # sites have 1,000 at most
WITHOUT_IDS = "a page of posts without ids: the site cannot be asked for what is below them"


class HttpRequest(NamedTuple):
    """One request."""

    url: str
    secrets: tuple[tuple[str, str], ...] = ()
    """Query parameters that are sent and never told."""
    login: tuple[str, str] | None = None
    """For HTTP's basic authentication; never told either."""
    bearer: str | None = None
    """A token, for the header Authorization; never told either."""
    referer: str | None = None
    cookie: str | None = None
    """What the user declares to the site, such as an age. No cookie that a site sets is kept."""
    cost: float = 0.0
    """USD that the answer may cost the user at most."""


class HttpResponse(NamedTuple):
    """What came back, whole."""

    url: str
    """Where it came from, after redirects; without secrets."""
    status: int
    headers: dict[str, str]
    """With names in lower case; several of a name on a line each."""
    body: bytes


@dataclass(frozen=True)
class RemoteImage:
    """A picture that a site says it has; fields as of Post."""

    source_id: str
    file_url: str
    page_url: str | None = None
    title: str | None = None
    artist: str | None = None
    rating: str | None = None
    license: str | None = None
    tags: tuple[str, ...] = ()
    md5: str | None = None
    """Of the file at `file_url`, as the site promises; and so with the next two."""
    sha256: str | None = None
    bytes: int | None = None
    instead: tuple[str, ...] = ()
    """Where smaller versions of it lie, the largest first: for a host that does not have the one at `file_url`."""


class Page(NamedTuple):
    """What one answer says."""

    offers: list[RemoteImage | Skipped]
    next: Cursor | None
    """None at the end."""
    shortfall: str = ""
    """At the end: why there may be more than the site has shown."""
    newest: str = ""
    """On a site that lists the newest first, of the first page: its newest post, behind which a --refresh ends."""
    cost: float | None = None
    """USD that the answer did cost; None: as much as it might."""


@dataclass(frozen=True)
class Query:
    """What the user asked a site for."""

    text: str
    base_url: str
    """Without a slash at its end."""
    file_base_url: str = ""
    ratings: tuple[str, ...] = ()
    """Those that are taken, in the site's own words; none: the site has no ratings."""
    files: str = "original"
    """original, or sample: the smaller version that the site has made of large pictures."""
    keys: dict[str, str] = field(default_factory=dict, repr=False)
    """The user's keys to the site. Never told."""
    path: Path | None = None
    """For sources that read a local list."""
    pages: int = 1000
    """How many pages of a gallery are asked for at most."""
    options: dict[str, str] = field(default_factory=dict)
    """The source's own settings, as of `WebSource.options`."""
    agent: str = ""
    """The honest user agent, for a source that has another program ask."""
    wanted: int = 0
    """How many more pictures are wanted at the time of asking; 0: all."""
    budget_usd: float = float("inf")
    """USD that may still be spent at the time of asking."""


class WebSource(NamedTuple):
    """One row of SOURCES that is on the web."""

    engine: ModuleType
    base_url: str = ""
    """Empty: the configuration, or the query, has to say it."""
    file_base_url: str = ""
    """Where files lie whose address the site does not spell out."""
    rate: float = 1.0
    """Requests a second to one host: of all processes of a user together."""
    ratings: tuple[str, ...] = ()
    """The safe ones."""
    keys: tuple[str, ...] = ()
    """Names of the settings that hold the user's keys."""
    obeys_robots: bool = False
    """Whether robots.txt speaks of its pages. An API is there for programs: its own terms hold, and robots.txt for the
    files alone."""
    is_one_site: bool = True
    """Whether nothing is left to do when its host is down."""
    default_limit: int = 1000
    default_query: str = ""
    is_seeded: bool = False
    """These three as of Source."""
    options: dict[str, str] = {}  # noqa: RUF012  # never written to
    """The names of its own settings, with what each is if nothing is said. They are part of what is asked."""
    typical_cost: float = 0.0
    """USD that one picture costs to find, for the plan."""
    max_cost_usd: float | None = None
    """USD that may be spent in a month if nothing is said; None: asking is free."""
    is_bounded: bool = False
    """Whether the question itself bounds the listing, so that pages without a picture are no sign of its end."""
    reads_refusals: bool = False
    """Whether its engine reads answers of 4xx too: they say more than their status does."""
    page_size: int = 0
    """Posts on a page, for the plan; 0: unknown."""
    typical_bytes: int = 1_000_000
    """Of one picture, for the plan."""


class Busy(Exception):
    """An answer that is none: the site wants to be asked later."""

    def __init__(self, words: str, seconds: float | None = None):
        super().__init__(words)
        self.seconds = seconds
        """After which; None: as its headers say, if they do."""


class BudgetExceeded(Exception):
    """Raised by `ask`: what may be spent does not pay for another page; args: why, in words. The listing ends here for
    now, and may go on from the same cursor."""


class BadAnswer(UserError):
    """An answer that says no, or that this program cannot read."""


def bad_answer(
    answer: HttpResponse, found: str, cure: str = "try again later; if it stays, the site has changed"
) -> BadAnswer:
    return BadAnswer(answer.url[:300], sanitize_line(found), "a page of pictures", cure)


def sanitize_line(text: object, most: int = 300) -> str:
    """What a site says, as one line that is safe to print."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)[: 2 * most]).split())[:most]


def check_ratings(query: Query, names: dict[str, str]) -> None:
    """Raises UserError if the query itself asks for ratings that are not to be taken. `names`: of the letters."""
    for word in query.text.split():
        if word.startswith("rating:"):
            asked = {names.get(rating, rating) for rating in word.removeprefix("rating:").split(",")}
            if not asked <= set(query.ratings):
                raise UserError(
                    "--query",
                    f"it asks for {word}",
                    f"nothing but {' '.join(query.ratings)}",
                    "leave it out, or set ratings in the source's section of luigi.cfg",
                )


def promised_md5(value: object) -> str | None:
    """A site's md5, if it is one."""
    return _hexadecimal(value, 32)


def promised_sha256(value: object) -> str | None:
    """A site's sha256, if it is one."""
    return _hexadecimal(value, 64)


def _hexadecimal(value: object, digits: int) -> str | None:
    text = str(value or "").lower()
    return text if re.fullmatch(f"[0-9a-f]{{{digits}}}", text) else None


def whole_number(value: object) -> int | None:
    """A site's number, if it is one: some write them as text."""
    return int(str(value)) if re.fullmatch(r"\d{1,18}", str(value)) else None


def parsed_json(text: str | bytes) -> Any:
    """Return the value, without what is nested deeper than MAX_NESTING: nothing that reads it has to mind its depth. An
    integer of more digits than Python reads is infinite. Raises ValueError, RecursionError."""
    return _pruned(json.loads(text, parse_int=lambda digits: int(digits) if len(digits) < 99 else float(digits)))


def _pruned(value: Any, depth: int = MAX_NESTING) -> Any:
    if isinstance(value, dict):
        return {key: _pruned(item, depth - 1) for key, item in value.items()} if depth else None
    if isinstance(value, list):
        return [_pruned(item, depth - 1) for item in value] if depth else None
    return value


def json_of(answer: HttpResponse) -> Any:
    """The JSON that came. Raises BadAnswer."""
    try:
        return parsed_json(answer.body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise bad_answer(answer, f"no JSON: {answer.body[:100]!r}") from None


def posts_of(value: Any, answer: HttpResponse) -> list:
    """The items of a JSON list, posts and what else is among them. Raises BadAnswer, with the site's words, if it is no
    list."""
    if isinstance(value, dict):
        words = str(value.get("message") or value.get("reason") or value.get("error") or f"keys: {keys_of(value)}")
        raise bad_answer(answer, f"the site says: {words}", "mend the query")
    if not isinstance(value, list):
        raise bad_answer(answer, f"no list of posts but {str(value)[:100]!r}")
    return value


def offers_of(
    items: list, offer: Callable[[dict], RemoteImage | Skipped], answer: HttpResponse
) -> list[RemoteImage | Skipped]:
    """Return what each item of a page comes to, by `offer`; one that is no object is an odd post. Raises BadAnswer if
    there are more than on any site's pages."""
    if len(items) > MAX_PAGE_POSTS:
        raise bad_answer(answer, f"{len(items):,} posts on a page, at most {MAX_PAGE_POSTS:,}")
    return numbered([offer(item) if isinstance(item, dict) else odd_post(item) for item in items])


def odd_post(item: object, what: str = "a post without an id") -> Skipped:
    """Return the row of an item that is no post, or has no id: it is named by its content."""
    digest = hashlib.sha256(json.dumps(item, sort_keys=True, default=str).encode()).hexdigest()[:12]
    detail = f"{what}; keys: {keys_of(item)}" if isinstance(item, dict) else f"no post but {sanitize_line(item, 100)}"
    return Skipped(f"odd post {digest}", "odd_post", detail, is_odd=True)


def rating_of(item: dict, names: dict[str, str]) -> str:
    """A post's, by the word or letter that is usual with its site; empty if it has none."""
    rating = str(item.get("rating") or "")
    return names.get(rating, rating)


def skip_by_rating(post_id: str, rating: str, item: dict) -> Skipped:
    """A post that is not rated is not taken for a safe one."""
    found = sanitize_line(rating, 20)
    detail = found or f"post {post_id} has no rating; keys: {keys_of(item)}"
    return Skipped(post_id, "rating", detail, is_odd=not found)


def skip_missing_url(post_id: str, item: dict) -> Skipped:
    detail = f"post {post_id} has no file_url of use; keys: {keys_of(item)}"
    return Skipped(post_id, "no_file_url", detail, is_odd=True)


def choose_variant(query: Query, original: str | None, sample: object) -> str | None:
    """Which file is wanted: the original, or the smaller picture `sample` (as the site says), if that is one."""
    is_sample = query.files == "sample" and is_picture_url(str(sample or ""))
    return (absolute_url(sample, query.base_url + "/") if is_sample else None) or original


def id_of(item: object) -> int | None:
    """A post's id, 1 or more; None if it has none."""
    return (whole_number(item.get("id")) if isinstance(item, dict) else None) or None


def next_cursor(cursor: Cursor, items: list, answer: HttpResponse) -> Cursor | None:
    """The cursor of the next page, where pages are keyed by id (`below`) if the query allows (`is_keyed`), and numbered
    (`page`) if not; None if no post of this page has an id (WITHOUT_IDS). Raises BadAnswer if the site does not heed
    the key: it would be asked for ever."""
    if not cursor["is_keyed"]:
        return cursor | {"page": cursor["page"] + 1}
    ids = [number for item in items if (number := id_of(item))]
    if not ids:
        return None
    below = min(ids)
    if cursor["below"] is not None and below >= cursor["below"]:
        raise bad_answer(answer, f"the page does not go on below post {cursor['below']}")
    return cursor | {"below": below}


def keys_of(item: dict) -> str:
    """Those of an item that cannot be used, for an error."""
    return sanitize_line(" ".join(sorted(str(key)[:40] for key in item)[:40]), 1600)


def words_in(value: object) -> list[str]:
    """The words of a text, or the texts of a list: what a site says of tags. Nothing else holds words."""
    if isinstance(value, list):
        return [item for item in value if isinstance(item, str)]
    return value.split() if isinstance(value, str) else []


def tags_of(tags: list[str]) -> tuple[str, ...]:
    """A site's tags, as the manifest has them."""
    return tuple(split_tags(tags[:MAX_TAGS]))


def absolute_url(url: object, base: str = "") -> str | None:
    """The http(s) URL that `url` is, seen from `base`: percent-encoded where it must be and never twice, without its
    fragment. None if it is none that can be asked for, or holds a password."""
    text = str(url or "").strip()
    if not 0 < len(text) <= MAX_URL:
        return None
    try:
        text.encode()  # JSON can hold halves of characters
        parts = urlsplit(urljoin(base, text))
        host, port = parts.hostname or "", parts.port
        host = host if host.isascii() else host.encode("idna").decode()
        path, query = (
            quote(re.sub("%(?![0-9A-Fa-f]{2})", "%25", part), safe="!$%&'()*+,/:;=?@[]~")
            for part in (parts.path or "/", parts.query)
        )
    except ValueError:  # each of these raises it, or a kind of it
        return None
    if parts.scheme not in ("http", "https") or "@" in parts.netloc or not re.fullmatch("[a-z0-9._:-]+", host):
        return None
    netloc = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    absolute = urlunsplit((parts.scheme, netloc, path, query, ""))
    return absolute if len(absolute) <= MAX_URL else None


def is_picture_url(url: str) -> bool:
    """Whether a picture's file name ends it."""
    path = url.partition("?")[0].partition("#")[0]
    return "." + path.rpartition(".")[2].lower() in EXTENSIONS - {".svg", ".psd"}
