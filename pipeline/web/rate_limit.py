"""The rate limit of a host, which all processes of a user share.

A host's requests are counted in a file-locked bucket in the user's cache. A pause that it requests (Retry-After, …) is
the time stamp of an empty file beside it, so that every process keeps it.
"""

import contextlib
import logging
import os
import random
import re
import sqlite3
import threading
import time
from pathlib import Path

from platformdirs import user_cache_path
from pyrate_limiter import Limiter, Rate, SingleBucketFactory, SQLiteBucket

from pipeline.errors import UserError
from pipeline.store import files_of, is_damage, remove

logger = logging.getLogger("luigi-interface")

HISTORY_S = 3600  # for which requests are remembered: the slowest rate is one in that time
MAX_PAUSE_S = 3600  # whatever a host asks for


class WaitCancelled(Exception):
    """Waiting was cancelled by the `stop` event."""


class RateLimiter:
    """The rate limit of one host (`name` or `name:port`): at most `rate` requests a second, evenly spaced; 0: no
    limit."""

    def __init__(self, host: str, rate: float, stop: threading.Event, folder: Path | None = None):
        folder = folder or user_cache_path("anime-face-gans") / "hosts"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            cure = "correct that, or set XDG_CACHE_HOME to one that is"
            raise UserError(folder, error.strerror or str(error), "a writable cache folder", cure) from error
        name = re.sub(r"[^a-z0-9.-]", "_", host.lower())[:200]
        self._pause_file = folder / f"{name}.pause"
        self._stop = stop
        self._turn_lock = threading.Lock()
        self._limiter = None
        if rate:
            self._interval = min(1 / rate, HISTORY_S)
            self._database = folder / f"{name}.sqlite"
            try:
                self._limiter = self._open()
            except sqlite3.DatabaseError as error:
                self._limiter = self._recreate(error)

    def _open(self) -> Limiter:
        rate = Rate(1, max(round(1000 * self._interval), 1))
        bucket = SQLiteBucket.init_from_file([rate], db_path=str(self._database), use_file_lock=True)
        newest = bucket.peek(0)
        if newest and newest.timestamp > bucket.now() + 1000:
            bucket.flush()  # the clock was set back: it would have to catch up first
        # No sooner than others, with slower rates, may need them: the library would drop them by our own rate.
        bucket.leak(bucket.now() - HISTORY_S * 1000)
        return Limiter(SingleBucketFactory(bucket, schedule_leak=False))

    def _recreate(self, error: sqlite3.DatabaseError) -> Limiter:
        """Forget the requests of a damaged file. Raise UserError if it is not the file that is wrong."""
        found = str(error)
        try:
            if is_damage(error) or self._database.is_dir():
                logger.warning("%s is damaged (%s): it is begun anew", self._database, error)
                for path in files_of(self._database):
                    remove(path)
                return self._open()
        except (sqlite3.DatabaseError, OSError) as again:
            found = str(again)
        cure = "delete it, or set XDG_CACHE_HOME to another folder"
        raise UserError(self._database, found, "a file that can be read and written", cure) from error

    def wait(self) -> None:
        """Return when one request may be sent. Raise WaitCancelled."""
        with self._turn_lock:  # one thread per process tries, or the process with most threads would win
            while (idle := self.remaining_pause() or self._try_acquire()) or self._stop.is_set():
                if self._stop.wait(idle):
                    raise WaitCancelled

    def _try_acquire(self) -> float:
        """Take one request off the budget. Return 0, or the seconds until the next try: random, so that all who wait
        have equal chances."""
        try:
            if self._limiter is None or self._limiter.try_acquire(blocking=False):
                return 0.0
        except sqlite3.DatabaseError as error:
            self._limiter = self._recreate(error)
        return self._interval * random.uniform(0.02, 0.2)

    def pause(self, seconds: float) -> None:
        """Pause the host for so many seconds, for all processes."""
        until = time.time() + min(seconds, MAX_PAUSE_S)
        if seconds > self.remaining_pause():
            self._pause_file.touch()
            os.utime(self._pause_file, (until, until))

    def remaining_pause(self) -> float:
        """Return the seconds left of its pause; 0: none."""
        with contextlib.suppress(FileNotFoundError):
            left = self._pause_file.stat().st_mtime - time.time()
            return min(max(left, 0.0), MAX_PAUSE_S)  # a clock that was set back must not stop us for days
        return 0.0
