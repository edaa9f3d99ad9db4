"""What a source yields, and what it is asked."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

MAX_FILE_BYTES = 320 << 20  # of one picture: a 100-megapixel TIFF has 300 MB


class FileTooLarge(OSError):
    """A file of more than MAX_FILE_BYTES; args: how large it is."""


def read_file(path: Path) -> bytes:
    """Return the bytes of a picture's file. Raises FileTooLarge, and OSError if it cannot be read."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_FILE_BYTES:
            raise FileTooLarge(f"{size:,} bytes, at most {MAX_FILE_BYTES:,}")
        return file.read()


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


class Held:
    """Bytes of a picture file that are in memory, as a `Post.read`: of what can be read only once."""

    def __init__(self, data: bytes):
        self.data = data

    def __call__(self) -> bytes:
        """Return the bytes."""
        return self.data


@dataclass(frozen=True)
class Skipped:
    """Something a source met and did not take: a row of FUNNEL."""

    source_id: str
    reason: str
    """One of `pipeline.funnel.REASONS`."""
    detail: str = ""
    is_odd: bool = False
    """Whether the answer lacks what each of the site's posts has: the site has changed if all are like that."""


def numbered(offers: list) -> list:
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


class LocalQuery(NamedTuple):
    """What the user asked a source for."""

    path: Path | None = None
    query: str = ""
    seed: int = 0
    skip: Path | None = None
    """A folder that is not looked into, even below `path`: the data root."""


class Source(NamedTuple):
    """One row of SOURCES."""

    snapshot: Callable[[LocalQuery], Any]
    """All that the result depends on, as JSON values without machine paths: a listing, or a version and a seed.
    Taken once per run; part of the digest. Raises UserError if the request cannot be served."""
    posts: Callable[[LocalQuery, Any], Iterator[Post | Skipped]]
    """(request, its snapshot) -> posts, in a fixed order."""
    default_limit: int = 0
    """How many posts `--limit 0` means; 0: all there are."""
    default_query: str = ""
    """What an empty --query means."""
    is_seeded: bool = False
    """Whether --seed changes what it offers."""
