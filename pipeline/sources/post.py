"""What a source yields, and what it is asked."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Post:
    """One picture that a source offers, with what the source says of it."""

    source_id: str
    """The site's id; a path relative to the folder; `archive!member`; `seed/i`. Unique within its source."""
    read: Callable[[], bytes]
    """The picture file's bytes. Picklable, as it may run in another process; raises OSError where it cannot."""
    fingerprint: str
    """Changes whenever those bytes may have changed, so that unchanged ones need not be read again."""
    page_url: str | None = None
    file_url: str | None = None
    title: str | None = None
    artist: str | None = None
    rating: str | None = None
    license: str | None = None
    tags: tuple[str, ...] = ()
    fetched_at: datetime | None = None
    """UTC: when the bytes were fetched; a local file's mtime; None for what our own code drew."""


@dataclass(frozen=True)
class Drop:
    """Something a source met and did not take: a row of FUNNEL."""

    source_id: str
    reason: str
    """One of `pipeline.manifest.REASONS`."""
    detail: str = ""
    is_odd: bool = False
    """Whether the answer lacks what each of the site's posts has: the site has changed if all are like that."""


class Request(NamedTuple):
    """What the user asked a source for."""

    path: Path | None = None
    query: str = ""
    seed: int = 0
    skip: Path | None = None
    """A folder that is not looked into, even below `path`: the data root."""


class Source(NamedTuple):
    """One row of SOURCES."""

    snapshot: Callable[[Request], Any]
    """All that the result depends on, as JSON values without machine paths: a listing, or a version and a seed.
    Taken once per run; part of the digest. Raises UserError if the request cannot be served."""
    posts: Callable[[Request, Any], Iterator[Post | Drop]]
    """(request, its snapshot) -> posts, in a fixed order."""
    default_limit: int = 0
    """How many posts `--limit 0` means; 0: all there are."""
    default_query: str = ""
    """What an empty --query means."""
    is_seeded: bool = False
    """Whether --seed changes what it offers."""
