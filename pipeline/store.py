"""The data root: files written whole or not at all, and a memory of per-item results.

Everything below the root is on one file system, so that `os.replace` from the work folder is atomic.
"""

import contextlib
import errno
import json
import logging
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

logger = logging.getLogger("luigi-interface")

NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK)  # what file systems without them say
FLUSH_SECONDS = 1.0  # what a kill may cost: results since the last flush are computed again


@dataclass(frozen=True)
class Store:
    """A data root. Small and picklable: workers get a copy."""

    root: Path
    digest: str = ""
    """Of what is being made: names the folder to work in."""

    @property
    def work(self) -> Path:
        """Where what is not finished lies, and the locks."""
        return self.root / "stages" / ".work"

    @property
    def scratch(self) -> Path:
        """What is not finished of `digest`; there while it is claimed."""
        return self.work / self.digest

    def put(self, relative: str, data: bytes) -> None:
        """Write root/relative atomically; nothing if it is there: names are hashes of their content."""
        path = self.root / relative
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data, scratch=self.scratch, mode=0o444)  # an editor must not change it under its name

    def adopt(self, relative: str, file: Path) -> None:
        """Give a whole file below the root a second name, root/relative; nothing if that is there."""
        path = self.root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        os.chmod(file, 0o444)
        with contextlib.suppress(FileExistsError):
            try:
                os.link(file, path)
            except OSError as error:
                if error.errno not in NO_HARD_LINKS:
                    raise
                replace_file(path, file.read_bytes(), scratch=self.scratch, mode=0o444)

    @contextlib.contextmanager
    def claim(self) -> Iterator[Path]:
        """`scratch`, empty, for this process alone: another that claims the same digest waits. What killed processes
        left is swept."""
        self.work.mkdir(parents=True, exist_ok=True)
        with self.alone(self.digest, "making the same"):
            try:
                self._sweep()
                self.scratch.mkdir()
                yield self.scratch
            finally:
                shutil.rmtree(self.scratch, ignore_errors=True)

    @contextlib.contextmanager
    def alone(self, name: str, doing: str) -> Iterator[None]:
        """Hold the lock `name`; if another process does, say what it is `doing`, and wait."""
        lock = self.lock(name)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            logger.info("another process is %s; waiting for it", doing)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _sweep(self) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)
        for other in self.work.iterdir():
            if other.is_dir():
                with contextlib.suppress(Timeout), self.lock(other.name).acquire(timeout=0):
                    shutil.rmtree(other, ignore_errors=True)

    def lock(self, name: str) -> FileLock:
        """A lock between processes; the operating system frees it when its holder dies."""
        return FileLock(self.work / f"{name}.lock")

    @contextlib.contextmanager
    def memory(self, name: str) -> Iterator["Memory"]:
        """The results remembered under `name`: what was done, with which parameters, by which version."""
        folder = self.root / "cache"
        folder.mkdir(parents=True, exist_ok=True)
        # A write-ahead log: a kill at any moment leaves whole transactions. joblib asks for the next items from a
        # thread of its own; SQLite serialises the calls.
        connection = sqlite3.connect(folder / "results.sqlite", timeout=60, check_same_thread=False)
        with contextlib.closing(connection):
            with self.lock("results"):  # SQLite's own time-out does not cover the change to WAL
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS result (name, key, value, PRIMARY KEY (name, key)) WITHOUT ROWID"
                )
            memory = Memory(connection, name)
            yield memory
            memory.flush()


class Memory:
    """key -> JSON value, for one `name`. Written in short transactions, so that other builds never wait long."""

    def __init__(self, connection: sqlite3.Connection, name: str):
        self._connection, self._name = connection, name
        self._unwritten: list[tuple[str, str, str]] = []
        self._flushed = time.monotonic()

    def get(self, key: str):
        """The value, or None."""
        rows = self._connection.execute("SELECT value FROM result WHERE name = ? AND key = ?", (self._name, key))
        row = rows.fetchone()
        return None if row is None else json.loads(row[0])

    def set(self, key: str, value) -> None:
        """Remember; on disk within FLUSH_SECONDS of the next call."""
        self._unwritten.append((self._name, key, json.dumps(value)))
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        with self._connection:
            self._connection.executemany("REPLACE INTO result VALUES (?, ?, ?)", self._unwritten)
        self._unwritten.clear()
        self._flushed = time.monotonic()


def replace_file(path: Path, data: bytes, *, scratch: Path, mode: int = 0o644) -> None:
    """Write `path` so that a reader sees the old bytes or the new ones, never a part."""
    with tempfile.NamedTemporaryFile(dir=scratch, delete=False) as file:
        try:
            file.write(data)
            file.close()
            os.chmod(file.name, mode)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
