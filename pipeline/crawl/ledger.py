"""Every request to the web and its outcome: `ledger.sqlite` below the data root.

A crawl (the table `harvest`) is one query to one source. It runs in rounds: the first, and one for each --refresh or
--retry-failed. A round's cursor is stored in one transaction with the posts of its page, so a kill loses neither. The
outcome of a file is stored once for all crawls of a source: two queries with the same image fetch it once.
"""

import contextlib
import json
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import UserError
from pipeline.funnel import REASONS
from pipeline.sources.base import Skipped
from pipeline.sources.web_source import Cursor, RemoteImage
from pipeline.stored import HEX64, check, parse_json

_TABLES = """
CREATE TABLE IF NOT EXISTS ledger (id TEXT NOT NULL);
INSERT INTO ledger SELECT lower(hex(randomblob(8))) WHERE NOT EXISTS (SELECT 1 FROM ledger);
CREATE TABLE IF NOT EXISTS harvest (id TEXT PRIMARY KEY, about TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS round (
    harvest TEXT, number INTEGER, cursor TEXT, wanted INTEGER NOT NULL, shortfall TEXT NOT NULL, newest TEXT NOT NULL,
    is_done INTEGER NOT NULL, is_listed INTEGER NOT NULL, is_retry INTEGER NOT NULL, is_whole INTEGER NOT NULL,
    PRIMARY KEY (harvest, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS post (
    harvest TEXT, source_id TEXT, round INTEGER, rank INTEGER, url TEXT, offer TEXT, reason TEXT, detail TEXT,
    PRIMARY KEY (harvest, source_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS in_order ON post (harvest, round, rank);
CREATE TABLE IF NOT EXISTS file (
    source TEXT, url TEXT, outcome TEXT NOT NULL, detail TEXT, image_id TEXT, path TEXT, bytes INTEGER,
    is_as_promised INTEGER, fetched_at TEXT, came_from TEXT, PRIMARY KEY (source, url)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spent (
    source TEXT, month TEXT, usd REAL NOT NULL, PRIMARY KEY (source, month)
) WITHOUT ROWID;
"""
FETCHED = "fetched"
KINDS = {
    "rating": "filtered",
    "hidden": "filtered",
    "not_a_picture": "filtered",
    "blocked": "filtered",
    "age_gate": "filtered",
    "odd_post": "filtered",
    "gone": "gone",
    "refused": "refused",
    "robots": "refused",
    "opted_out": "refused",
    "rate_limited": "rate-limited",
}
"""Reason -> the kind as which the summary counts it; all others are failed."""


class Round(NamedTuple):
    """The state of a round's listing."""

    number: int
    cursor: Cursor | None
    """None: the listing is finished."""
    wanted: int
    """Images that it has brought."""
    shortfall: str
    newest: str
    """The newest post when it began, as the site names it."""
    relist_known: bool
    """Whether the listing goes on past known posts: the block list dropped some of them, and may have changed."""


class File(NamedTuple):
    """The outcome of the download of one file."""

    outcome: str
    """FETCHED, or one of `pipeline.funnel.REASONS`."""
    detail: str = ""
    image_id: str | None = None
    path: str | None = None
    """Relative to the data root."""
    bytes: int | None = None
    is_as_promised: bool | None = None
    """Whether it has the hash and size that the site states; None if it states none."""
    fetched_at: str | None = None
    came_from: str | None = None
    """URL of the smaller version that was fetched, if the offered one is gone."""


class Entry(NamedTuple):
    """An image and its file."""

    image: RemoteImage
    file: File | None
    """None: not requested yet."""


class CrawlSummary(NamedTuple):
    """The counts of one crawl."""

    expected: int
    by_kind: dict[str, int]
    """fetched, gone, refused, rate-limited, filtered, failed."""
    shortfall: str
    """Why the site may have more than it listed; empty if it listed all that was requested."""

    @property
    def is_complete(self) -> bool:
        """Return whether every expected image was fetched, and none may be missing."""
        return not self.shortfall and self.by_kind.get("fetched", 0) == self.expected

    def __str__(self) -> str:
        parts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(self.by_kind.items()))
        verdict = "complete" if self.is_complete else "not complete"
        shortfall = f"; {self.shortfall}" if self.shortfall else ""
        return f"{verdict}: {self.expected:,} expected: {parts or 'nothing there'}{shortfall}"


_LEDGER = "the ledger of what was fetched"
_IMAGE_SHAPE: dict[str, object] = {each.name: (str, None) for each in fields(RemoteImage)}
_IMAGE_SHAPE |= {"source_id": str, "file_url": str, "bytes": (int, None), "tags": [str], "instead": [str]}
_REASON_SHAPE = re.compile("|".join(map(re.escape, REASONS)))
_ROUND_SHAPE = {"number": int, "wanted": int, "shortfall": str, "newest": str, "relist_known": int}
_SKIPPED_SHAPE = {"source_id": str, "reason": _REASON_SHAPE, "detail": str}
_FILE_SHAPE = {
    "outcome": re.compile(f"{FETCHED}|{_REASON_SHAPE.pattern}"),
    "detail": (str, None),
    "image_id": (HEX64, None),
    "path": (re.compile("images/[0-9a-f]{2}/[0-9a-f]{64}[.][a-z0-9]{1,5}"), None),
    "bytes": (int, None),
    "is_as_promised": (int, None),
    "fetched_at": (str, None),
    "came_from": (str, None),
}
"""Shapes of what is read back, for `pipeline.stored.check`."""


def _damaged(file: Path, found: str) -> UserError:
    cure = "parts of it are lost: move it away, and the sites are crawled anew; or restore a copy"
    return UserError(file, f"damaged ({' '.join(found.split())[:200]})", _LEDGER, cure)


class Ledger:
    """The ledger, open for one source. For one thread; other processes may have it open too."""

    def __init__(self, file: Path, source: str):
        file.parent.mkdir(parents=True, exist_ok=True)
        self._source = source
        self._file = file
        if os.path.lexists(file) and not file.is_file():
            raise UserError(file, "it is no regular file", _LEDGER, "move it away: then the sites are asked anew")
        self._db = sqlite3.connect(file, timeout=60, isolation_level=None)
        try:
            for pragma in ("trusted_schema=OFF", "journal_mode=WAL", "synchronous=NORMAL"):
                self._change(f"PRAGMA {pragma}")
            with self._transaction():
                for statement in _TABLES.split(";"):
                    self._change(statement)
            self._check_tables()
        except BaseException:
            self._db.close()
            raise

    def _check_tables(self) -> None:
        """Raise UserError if a table lacks a column of _TABLES: ledgers are never repaired."""
        with contextlib.closing(sqlite3.connect(":memory:")) as ours:
            ours.executescript(_TABLES)
            for (name,) in ours.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
                wanted = [row[1] for row in ours.execute(f"PRAGMA table_info({name})")]
                if wanted != [row[1] for row in self._rows(f"PRAGMA table_info({name})")]:
                    raise _damaged(self._file, f"its table {name} has other columns")

    @property
    def id(self) -> str:
        """Return the id of this file; a new ledger has another."""
        rows = self._rows("SELECT id FROM ledger")
        if not rows or not isinstance(rows[0][0], str):
            raise _damaged(self._file, "it has no id")
        return rows[0][0]

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _execute(self, statement: str, values: tuple) -> tuple[list[Any], int]:
        """Return (the rows, how many were changed). Raise UserError, with the name of the file, where SQLite finds it
        damaged or may not open it."""
        try:
            cursor = self._db.execute(statement, values)
            return cursor.fetchall(), cursor.rowcount
        except sqlite3.OperationalError as error:  # locked, no permission, a full disk; or other tables
            cure = "correct its permissions or free some space, or move it away: then the sites are asked anew"
            raise UserError(self._file, str(error), _LEDGER, cure) from error
        except sqlite3.DatabaseError as error:
            raise _damaged(self._file, str(error)) from error

    def _rows(self, statement: str, *values: object) -> list[Any]:
        return self._execute(statement, values)[0]

    def _change(self, statement: str, *values: object) -> int:
        """Return how many rows the statement has changed."""
        return self._execute(statement, values)[1]

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Make one transaction of the context. It begins as a writer: it cannot fail halfway because of another."""
        self._change("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._change("ROLLBACK")
            raise
        self._change("COMMIT")

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Raise UserError for a ValueError, of a value that has not the shape of what is stored."""
        try:
            yield
        except ValueError as error:
            raise _damaged(self._file, str(error)) from error

    def last_finished_round(self, key: str) -> int | None:
        """Return the number of the last round that was finished, at any limit; None if the first was not."""
        ((number,),) = self._rows("SELECT max(number) FROM round WHERE harvest = ? AND is_done", key)
        with self._reading():
            check(number, (int, None), "number")
        return None if number is None else int(number)

    def begin(self, key: str, number: int, about: dict, first: Cursor | None, *, is_retry: bool) -> None:
        """Open a round, or go on with it.

        `first` is the cursor of a new listing; None: no listing. A retry deletes the outcomes of files that failed.
        Each of the two is done once in a round, also if the round was opened for the other. A new listing deletes the
        posts that the block list dropped, and then goes on past known posts to find them again."""
        here = "harvest = ? AND number = ?"
        listing = f"UPDATE round SET cursor = ?, is_listed = TRUE WHERE {here} AND NOT is_listed"
        retry = f"UPDATE round SET is_retry = TRUE WHERE {here} AND NOT is_retry"
        fresh = "INSERT OR IGNORE INTO round VALUES (?, ?, 'null', 0, '', '', 0, FALSE, FALSE, FALSE)"
        with self._transaction():
            text = json.dumps(about, ensure_ascii=False)
            self._change("INSERT OR IGNORE INTO harvest VALUES (?, ?)", key, text)
            self._change(fresh, key, number)
            if first is not None and self._change(listing, json.dumps(first), key, number) and number:
                dropped = self._change("DELETE FROM post WHERE harvest = ? AND reason = 'blocked'", key)
                self._change(f"UPDATE round SET is_whole = ? WHERE {here}", bool(dropped), key, number)
            if is_retry and self._change(retry, key, number):
                urls = "SELECT url FROM post WHERE harvest = ?"
                failed = f"DELETE FROM file WHERE source = ? AND outcome != ? AND url IN ({urls})"
                self._change(failed, self._source, FETCHED, key)

    def rounds(self, key: str, upto: int) -> list[Round]:
        """Return the rounds up to that number, in order."""
        rows = self._rows(
            "SELECT number, cursor, wanted, shortfall, newest, is_whole FROM round "
            "WHERE harvest = ? AND number <= ? ORDER BY number",
            key,
            upto,
        )
        with self._reading():
            rounds = [Round(number, parse_json(cursor, ({}, None)), *rest) for number, cursor, *rest in rows]
            for each in rounds:
                check(each._asdict(), _ROUND_SHAPE)
        return rounds

    def add_page(
        self,
        key: str,
        number: int,
        offers: list[RemoteImage | Skipped],
        cursor: Cursor | None,
        shortfall: str,
        newest: str = "",
    ) -> tuple[int, int]:
        """Store a page with the cursor of the next. Return the number of new images, and of posts that were known."""
        with self._transaction():
            here = "harvest = ? AND number = ?"
            ((rank,),) = self._rows(f"SELECT wanted FROM round WHERE {here}", key, number)
            with self._reading():
                check(rank, int, "wanted")
            first, known = rank, 0
            for offer in offers:
                values = (
                    (file_key(offer), json.dumps(asdict(offer)), None, None)
                    if isinstance(offer, RemoteImage)
                    else (None, None, offer.reason, offer.detail[:200])
                )
                statement = "INSERT OR IGNORE INTO post VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                is_new = self._change(statement, key, offer.source_id, number, rank, *values)
                known += not is_new and not (isinstance(offer, Skipped) and offer.is_odd)  # equal ones may be others
                rank += bool(is_new and isinstance(offer, RemoteImage))
            state = "cursor = ?, wanted = ?, shortfall = ?, newest = iif(newest = '', ?, newest)"
            change = f"UPDATE round SET {state} WHERE {here}"
            self._change(change, json.dumps(cursor), rank, shortfall, newest, key, number)
        return rank - first, known

    def has_posts(self, key: str) -> bool:
        """Return whether a page of posts was stored: at least one of them was then a valid post of the site."""
        return bool(self._rows("SELECT 1 FROM post WHERE harvest = ? LIMIT 1", key))

    def entries(self, key: str, upto: int, limit: int) -> Iterator[Entry | Skipped]:
        """Yield the first `limit` images (0: all) of each round up to that one, and what was skipped between them, in
        the order of the listing."""
        rows = self._rows(
            "SELECT source_id, offer, post.reason, post.detail, outcome, file.detail, image_id, path, bytes, "
            "is_as_promised, fetched_at, came_from FROM post LEFT JOIN file ON file.source = ? AND file.url = post.url "
            "WHERE harvest = ? AND round <= ? AND rank < ? ORDER BY round, rank, offer IS NOT NULL, source_id",
            *(self._source, key, upto, limit or 1 << 62),
        )
        for source_id, offer, reason, detail, *columns in rows:
            with self._reading():
                entry = _parse_entry(offer, columns) if offer is not None else Skipped(source_id, reason, detail)
                if isinstance(entry, Skipped):
                    check(vars(entry), _SKIPPED_SHAPE)
            yield entry

    def record_file(self, image: RemoteImage, file: File) -> None:
        """Store the outcome of a file."""
        statement = "REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        self._change(statement, self._source, file_key(image), *file)

    def forget_file(self, image: RemoteImage) -> None:
        """Delete the outcome of a file, so that it is fetched again."""
        self._change("DELETE FROM file WHERE source = ? AND url = ?", self._source, file_key(image))

    def cost_in_month(self, month: str) -> float:
        """Return what this source has cost in a month (`2026-11`), in USD."""
        usd = 0.0
        for (usd,) in self._rows("SELECT usd FROM spent WHERE source = ? AND month = ?", self._source, month):
            with self._reading():
                check(usd, float, "usd")
        return usd

    def add_cost(self, month: str, usd: float) -> None:
        """Add to the cost of a month; a negative amount gives back what an answer did not cost."""
        if usd:
            statement = "INSERT INTO spent VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET usd = usd + excluded.usd"
            self._change(statement, self._source, month, usd)

    def finish(self, key: str, number: int) -> None:
        """Mark a round as finished."""
        self._change("UPDATE round SET is_done = 1 WHERE harvest = ? AND number = ?", key, number)


def _parse_entry(offer: str, columns: list[Any]) -> Entry:
    """Return the entry of a row: its offer as JSON, and the columns of its file. Raise ValueError."""
    values = parse_json(offer, _IMAGE_SHAPE)
    lists = {name: tuple(values[name]) for name, shape in _IMAGE_SHAPE.items() if shape == [str]}
    image = RemoteImage(**({name: values.get(name) for name in _IMAGE_SHAPE} | lists))
    file = File(*columns)
    if file.outcome is None:
        return Entry(image, None)
    check(file._asdict(), _FILE_SHAPE)
    _ = file.fetched_at and datetime.fromisoformat(file.fetched_at)
    return Entry(image, file)


def file_key(image: RemoteImage) -> str:
    """Return the key of a file: its URL, with its sha256 if one is stated: a file that fails one list's sha256 may
    pass another list's."""
    return f"{image.file_url}#{image.sha256}" if image.sha256 else image.file_url


def summarize(entries: list[Entry | Skipped], rounds: list[Round], limit: int) -> CrawlSummary:
    """Return the counts of the entries of some rounds."""
    shown = dict.fromkeys(each.shortfall for each in rounds if not 0 < limit <= each.wanted)
    kinds = Counter(_kind_of(entry) for entry in entries)
    return CrawlSummary(sum(isinstance(entry, Entry) for entry in entries), dict(kinds), "; ".join(filter(None, shown)))


def _kind_of(entry: Entry | Skipped) -> str:
    if isinstance(entry, Skipped):
        return KINDS.get(entry.reason, "failed")
    if entry.file is None:
        return "not yet asked"
    return FETCHED if entry.file.outcome == FETCHED else KINDS.get(entry.file.outcome, "failed")
