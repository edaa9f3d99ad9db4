"""The data root: atomic writes, locks, and a cache of per-item results.

Everything below the root is on one file system, so that `os.replace` from the work folder is atomic.
"""

import contextlib
import errno
import hashlib
import json
import logging
import os
import re
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from pipeline.errors import UserError
from pipeline.stored import parse_json

logger = logging.getLogger("luigi-interface")

NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK)  # errors of file systems without hard links
FLUSH_INTERVAL_S = 1.0  # results since the last flush are lost if the process is killed


@dataclass(frozen=True)
class Store:
    """A data root. Small and picklable, as workers get a copy."""

    root: Path
    digest: str = ""  # digest of what is being made; it names the scratch folder

    @property
    def work(self) -> Path:
        """Return the folder of unfinished work and locks."""
        return self.root / "stages" / ".work"

    @property
    def scratch(self) -> Path:
        """Return the folder of unfinished work of `digest`; it exists while the digest is claimed."""
        return self.work / self.digest

    def put(self, relative: str, data: bytes) -> None:
        """Write root/relative atomically unless it exists: names are hashes of the content."""
        path = self.root / relative
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data, scratch=self.scratch, mode=0o444)  # an editor must not change it under its name

    def adopt(self, relative: str, file: Path) -> None:
        """Hard-link a complete file below the root to root/relative, unless that exists."""
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
        """Give this process alone an empty `scratch`; others that claim the same digest wait. Remove what killed
        processes left."""
        if self.work.is_symlink():  # its content may be the user's own, and would be removed
            raise UserError(self.work, "is a link", "a folder of this data root", "remove the link")
        self.work.mkdir(parents=True, exist_ok=True)
        with self.exclusive(self.digest, "making the same"):
            try:
                self._sweep()
                self.scratch.mkdir()
                yield self.scratch
            finally:
                shutil.rmtree(self.scratch, ignore_errors=True)

    @contextlib.contextmanager
    def exclusive(self, name: str, doing: str) -> Iterator[None]:
        """Hold the lock `name`; if another process holds it, log what it is `doing`, and wait."""
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
        """Return a lock between processes; the operating system frees it when its holder dies."""
        return FileLock(str(self.work / f"{name}.lock"))

    @contextlib.contextmanager
    def memory(self, name: str, shape: object) -> Iterator["ResultCache"]:
        """Give the results cached under `name`, which holds the kind of work, its parameters and version. `shape` is
        that of each result, see `pipeline.stored.check`. Raise UserError if the database cannot be used."""
        folder = self.root / "cache"
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(ResultCache(folder / "results.sqlite", self.lock("results"), name, shape)) as memory:
            yield memory
            memory.flush()


_RESULTS = "CREATE TABLE result (name, key, value, PRIMARY KEY (name, key)) WITHOUT ROWID"
_DAMAGED = (1, 11, 26)  # SQLITE_ERROR, _CORRUPT, _NOTADB: what the file holds is wrong, rather than how it is opened
_OF_THE_MACHINE = "locked|I/O|full|unable to open|readonly"  # in SQLite's messages, for Python 3.10
T = TypeVar("T")


class ResultCache:
    """A map of key -> JSON value, for one `name`. Written in short transactions, so that other builds do not wait long.

    A damaged database is deleted and started anew, and a value of another shape counts as missing: it is a cache."""

    def __init__(self, file: Path, lock: FileLock, name: str, shape: object):
        self._file, self._lock, self._name, self._shape = file, lock, name, shape
        self._unwritten: list[tuple[str, str, str]] = []
        self._flushed = time.monotonic()
        self._inode: int | None = None  # of the file that is open
        with self._lock:  # SQLite's own time-out does not cover the change to WAL
            try:
                self._connection = self._connect()
            except sqlite3.DatabaseError as error:
                self._connection = self._recreate(error)

    def _connect(self) -> sqlite3.Connection:
        for path in files_of(self._file):
            if os.path.lexists(path) and not path.is_file():
                raise sqlite3.DatabaseError(f"{path.name} is no regular file")
        # A write-ahead log: a kill at any moment leaves whole transactions. joblib asks for the next items from a
        # thread of its own; SQLite serialises the calls.
        connection = sqlite3.connect(self._file, timeout=60, check_same_thread=False)
        try:
            connection.text_factory = bytes  # what is no UTF-8 is for `parse_json` to find
            connection.execute("PRAGMA trusted_schema=OFF")
            tables = connection.execute("SELECT sql FROM sqlite_master").fetchall()
            if tables not in ([], [(_RESULTS.encode(),)]):
                raise sqlite3.DatabaseError("it has other tables")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(_RESULTS.replace("TABLE", "TABLE IF NOT EXISTS", 1))
            self._inode = self._file.stat().st_ino
        except BaseException:
            connection.close()
            raise
        return connection

    def _recreate(self, error: sqlite3.DatabaseError) -> sqlite3.Connection:
        """Drop the damaged database and open an empty one, with the lock held; or open the one that another process
        has created since. Raise UserError if the error is not damage (see `is_damage`)."""
        if self._inode not in (None, self._file.stat().st_ino if self._file.exists() else None):
            return self._connect()
        if not is_damage(error):
            cure = "free some space there, or delete it: it is a cache"
            raise UserError(self._file, str(error), "a database that can be read and written", cure) from error
        logger.warning("%s is damaged (%s): it is a cache, and is started anew", self._file, error)
        for path in files_of(self._file):
            remove(path)
        return self._connect()

    def _with(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return work(self._connection)
        except sqlite3.DatabaseError as error:
            with self._lock:
                self._connection.close()
                self._connection = self._recreate(error)
            return work(self._connection)

    def get(self, key: str):
        """Return the value, or None."""
        statement = "SELECT value FROM result WHERE name = ? AND key = ?"
        row = self._with(lambda connection: connection.execute(statement, (self._name, key)).fetchone())
        try:
            return None if row is None else parse_json(row[0], self._shape)
        except ValueError:  # damaged: it is made again
            return None

    def get_all(self, keys: list[str]) -> dict:
        """Return key -> value, of those of some keys, at most 900, that have one."""
        statement = f"SELECT key, value FROM result WHERE name = ? AND key IN ({', '.join('?' * len(keys))})"
        rows = self._with(lambda connection: connection.execute(statement, (self._name, *keys)).fetchall())
        found = {}
        for key, value in rows:
            with contextlib.suppress(ValueError):  # damaged: it is made again
                found[key.decode()] = parse_json(value, self._shape)
        return found

    def set(self, key: str, value) -> None:
        """Store a value; it is on disk FLUSH_INTERVAL_S later, at the next call."""
        self._unwritten.append((self._name, key, json.dumps(value)))
        if time.monotonic() - self._flushed > FLUSH_INTERVAL_S:
            self.flush()

    def flush(self) -> None:
        """Write the stored values to the disk."""

        def write(connection: sqlite3.Connection) -> None:
            with connection:
                connection.executemany("REPLACE INTO result VALUES (?, ?, ?)", self._unwritten)

        self._with(write)
        self._unwritten.clear()
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Close the database; values that were not flushed are lost."""
        self._connection.close()


def files_of(database: Path) -> list[Path]:
    """Return the paths that an SQLite database may have files at."""
    return [database.with_name(database.name + end) for end in ("", "-wal", "-shm", "-journal")]


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Return whether what a database holds is wrong, rather than how it is opened: by permissions, locks or a disk."""
    if not isinstance(error, sqlite3.OperationalError):
        return True
    code = getattr(error, "sqlite_errorcode", None)  # since Python 3.11
    return code & 0xFF in _DAMAGED if code is not None else not re.search(_OF_THE_MACHINE, str(error))


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, in hex. Raise OSError."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def has_sha256(file: Path, sha256: str) -> bool:
    """Return whether the file is there and has that sha256. Raise OSError if it cannot be read."""
    return file.is_file() and sha256_of(file) == sha256


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with all in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def replace_file(path: Path, data: bytes, *, scratch: Path, mode: int = 0o644) -> None:
    """Write `path` atomically: a reader sees the old bytes or the new ones."""
    with tempfile.NamedTemporaryFile(dir=scratch, delete=False) as file:
        try:
            file.write(data)
            file.close()
            os.chmod(file.name, mode)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
