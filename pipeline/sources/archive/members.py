"""A member of an archive, and the reasons for which one is refused."""

from collections.abc import Callable
from datetime import datetime, timezone
from typing import IO, NamedTuple

MAX_LISTED = 500_000  # members of an archive whose directory is held in memory, 0.7 kB each
UNPACK = "unpack it and give --source folder"


class Refused(Exception):
    """A member that is refused; args: a reason of REASONS, and a detail."""


class Member(NamedTuple):
    """One file in an archive."""

    name: str
    mtime: datetime | None
    open: Callable[[], IO[bytes]]
    refused: tuple[str, str] | None = None
    """Why it is not taken: a reason of REASONS, and more on it."""
    skips: int = 0
    """Bytes that must be unpacked to get past it, if it is not read."""


def to_utc(date_time: tuple[int, ...] | None) -> datetime | None:
    """Return the zoneless local time of a zip or rar, taken as UTC: every machine reads the same."""
    try:
        if not date_time:
            return None
        year, month, day, hour, minute, second = date_time
        return datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError:
        return None
