"""The interface of local sources: queries, posts, and rows for what was skipped."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
    """One picture that a source offers, with what the source states about it."""

    source_id: str
    """The site's id; a path relative to the folder; `archive!member`; `seed/i`; `run/seed`. Unique in its source."""
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


class BytesReader:
    """A `Post.read` for bytes that are in memory, because they can be read only once."""

    def __init__(self, data: bytes):
        self.data = data

    def __call__(self) -> bytes:
        """Return the bytes."""
        return self.data


@dataclass(frozen=True)
class Skipped:
    """An item that a source did not take: a row of FUNNEL."""

    source_id: str
    reason: str
    """One of `pipeline.funnel.REASONS`."""
    detail: str = ""
    is_odd: bool = False
    """Whether the answer lacks what each of the site's posts has: the site has changed if all are like that."""


class LocalQuery(NamedTuple):
    """The user's parameters for a local source."""

    path: Path | None = None
    query: str = ""
    seed: int = 0
    skip: Path | None = None
    """A folder that is not looked into, even below `path`: the data root."""


class LocalSource(NamedTuple):
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
