"""The interface of a source on the web: how to request the next page, and how to parse it. No socket is opened here.

An engine is one module for each kind of site; `Engine` names its functions. They are pure: a cursor, a JSON value, is
all that a listing remembers, so one that was killed goes on from the last cursor that was stored.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from pipeline.sources.base import Skipped
from pipeline.web.messages import HttpRequest

Cursor = dict[str, Any]


@dataclass(frozen=True)
class RemoteImage:
    """A picture that a site offers. Fields without a comment are those of Post."""

    source_id: str
    file_url: str
    page_url: str | None = None
    title: str | None = None
    artist: str | None = None
    rating: str | None = None
    license: str | None = None
    tags: tuple[str, ...] = ()
    md5: str | None = None
    """Of the file at `file_url`, as the site states it; so are the next two."""
    sha256: str | None = None
    bytes: int | None = None
    instead: tuple[str, ...] = ()
    """URLs of smaller versions, the largest first: for a host that no longer has the file at `file_url`."""


class Page(NamedTuple):
    """One parsed page of a listing."""

    offers: list[RemoteImage | Skipped]
    next: Cursor | None
    """None at the end."""
    shortfall: str = ""
    """At the end: why there may be more than the site has listed."""
    newest: str = ""
    """Id of the newest post, of the first page of a site that lists the newest first: where a --refresh ends."""
    cost: float | None = None
    """Price of the answer in USD; None: the highest possible price, `HttpRequest.cost`."""


@dataclass(frozen=True)
class Query:
    """The query to a site, and the user's settings for it."""

    text: str
    base_url: str
    """Without a slash at its end."""
    file_base_url: str = ""
    ratings: tuple[str, ...] = ()
    """Allowed ratings, in the site's own words; none: the site has no ratings."""
    files: str = "original"
    """original, or sample: the smaller version that the site has made of large pictures."""
    keys: dict[str, str] = field(default_factory=dict, repr=False)
    """The user's keys to the site. Never logged or cached."""
    path: Path | None = None
    """For sources that read a local list."""
    pages: int = 1000
    """Maximum number of pages of a gallery."""
    options: dict[str, str] = field(default_factory=dict)
    """The source's own settings, as of `WebSource.options`."""
    agent: str = ""
    """The user agent, for a source that runs another program."""
    wanted: int = 0
    """How many more images are wanted at the time of the request; 0: all."""
    budget_usd: float = float("inf")
    """What may still be spent at the time of the request."""


class Engine(Protocol):
    """The functions of a module that serves a kind of site.

    An engine whose site can list only what is new also defines `cursor_since(query, newest) -> Cursor`: the cursor of a
    first page that ends at the post `newest` (see `Page.newest`)."""

    VERSION: int

    def first_cursor(self, query: Query) -> Cursor:
        """Return the cursor of the first page. Raise UserError if the query is not valid."""

    def request(self, query: Query, cursor: Cursor) -> HttpRequest | None:
        """Return the request for the page at the cursor; None if it needs none."""

    def parse(self, query: Query, cursor: Cursor, answer: Any) -> Page:
        """Return the page that an HttpResponse holds; without a request, `answer` is None. Raise UserError."""


class WebSource(NamedTuple):
    """One row of SOURCES that is on the web."""

    engine: Engine
    base_url: str = ""
    """Empty: the configuration or the query must state it."""
    file_base_url: str = ""
    """Where files lie whose URL the site leaves out."""
    rate: float = 1.0
    """Requests a second to one host, of all processes of a user together."""
    ratings: tuple[str, ...] = ()
    """The safe ratings."""
    keys: tuple[str, ...] = ()
    """Names of the settings that hold the user's keys."""
    obeys_robots: bool = False
    """Whether robots.txt applies to its pages. An API is made for programs: its own terms apply, and robots.txt applies
    to the files only."""
    is_one_site: bool = True
    """Whether the crawl ends when its host is down."""
    default_limit: int = 1000
    default_query: str = ""
    is_seeded: bool = False
    """These three are as in LocalSource."""
    options: dict[str, str] = {}  # noqa: RUF012  # never written to
    """Names of its own settings -> their defaults. They are part of the digest of a query."""
    typical_cost: float = 0.0
    """USD to find one image, for the plan."""
    max_cost_usd: float | None = None
    """Default limit of cost in a month, in USD; None: requests are free."""
    is_bounded: bool = False
    """Whether the query itself bounds the listing, so that pages without an image are no sign of its end."""
    reads_refusals: bool = False
    """Whether its engine parses answers of 4xx too: they contain more than their status."""
    page_size: int = 0
    """Posts on a page, for the plan; 0: unknown."""
    typical_bytes: int = 1_000_000
    """Size of one file, for the plan."""
