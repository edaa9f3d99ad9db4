"""What a source on the web is: how to ask it for the next page, and how to read the answer. It opens no socket.

An engine (one module for each kind of site) has three pure functions:

first(query) -> the cursor of the first page, a JSON value
ask(query, cursor) -> what to request for it; None if it needs no request
read(query, cursor, answer) -> what the answer offers, and the next cursor

Since a cursor is all that an engine remembers, a listing that was killed goes on from the last one that was kept. One
for a site that can be asked for what is new alone has a fourth:

since(query, newest) -> the cursor of a first page that ends behind that post (`Page.newest`)
"""

from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from pipeline.sources.base import Skipped

Cursor = dict[str, Any]


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


class BudgetExceeded(Exception):
    """Raised by `ask`: what may be spent does not pay for another page; args: why, in words. The listing ends here for
    now, and may go on from the same cursor."""
