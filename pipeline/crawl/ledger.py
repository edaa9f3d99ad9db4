"""What was asked of the web and what came of it: `ledger.sqlite` below the data root.

A harvest is one question to one source. It is asked in rounds: the first, and one for each --refresh or --retry-failed.
A round's listing has a cursor, kept in one transaction with the posts that it brought, so a kill loses neither. What
came of a file stands once for all harvests of a source: two questions with the same picture fetch it once.
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
"""Reason -> how the ledger's summary counts it; all others are failed."""


class Round(NamedTuple):
    """How far a listing is."""

    number: int
    cursor: Cursor | None
    """None: at its end."""
    wanted: int
    """Offers that it has brought."""
    shortfall: str
    newest: str
    """The newest post when it began, as the site names it."""
    is_whole: bool
    """Whether it lists what is known too: some of that had been kept out, and may not be any more."""


class File(NamedTuple):
    """What came of one file."""

    outcome: str
    """FETCHED, or one of `pipeline.funnel.REASONS`."""
    detail: str = ""
    image_id: str | None = None
    path: str | None = None
    """Relative to the data root."""
    bytes: int | None = None
    is_as_promised: bool | None = None
    """Whether it is what the site's hash promises; None without one."""
    fetched_at: str | None = None
    came_from: str | None = None
    """Where a smaller version of it was fetched, if the one that was offered is not there."""


class Line(NamedTuple):
    """A post, and what came of it."""

    source_id: str
    offer: RemoteImage | None
    drop: Skipped | None
    """One of the two."""
    file: File | None
    """None: not asked for yet."""


class Counts(NamedTuple):
    """The ledger's summary of one harvest."""

    expected: int
    by_kind: dict[str, int]
    """fetched, gone, refused, rate-limited, filtered, failed."""
    shortfall: str
    """Why the site may have more than it showed; empty if it showed all that was asked for."""

    @property
    def is_complete(self) -> bool:
        return not self.shortfall and self.by_kind.get("fetched", 0) == self.expected

    def __str__(self) -> str:
        parts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(self.by_kind.items()))
        verdict = "complete" if self.is_complete else "not complete"
        told = f"; {self.shortfall}" if self.shortfall else ""
        return f"{verdict}: {self.expected:,} expected: {parts or 'nothing there'}{told}"


_LEDGER = "the ledger of what was fetched"
_OFFER = {
    each.name: [str]
    if each.name in ("tags", "instead")
    else (int, None)
    if each.name == "bytes"
    else str
    if each.name in ("source_id", "file_url")
    else (str, None)
    for each in fields(RemoteImage)
}
_REASON = re.compile("|".join(map(re.escape, REASONS)))
_ROUND = {"number": int, "wanted": int, "shortfall": str, "newest": str, "is_whole": int}
_DROP = {"source_id": str, "reason": _REASON, "detail": str}
_FILE = {
    "outcome": re.compile(f"{FETCHED}|{_REASON.pattern}"),
    "detail": (str, None),
    "image_id": (HEX64, None),
    "path": (re.compile("images/[0-9a-f]{2}/[0-9a-f]{64}[.][a-z0-9]{1,5}"), None),
    "bytes": (int, None),
    "is_as_promised": (int, None),
    "fetched_at": (str, None),
    "came_from": (str, None),
}
"""The shapes of what is read back."""


def _damaged(file: Path, found: str) -> UserError:
    cure = "parts of it cannot be had back: move it away, then the sites are asked anew; or put a copy there"
    return UserError(file, f"damaged ({' '.join(found.split())[:200]})", _LEDGER, cure)


class _Cursor(sqlite3.Cursor):
    """One that raises UserError, with the name of the file, where SQLite finds it damaged or may not open it."""

    def execute(self, *arguments) -> "_Cursor":
        with self.connection.errors_told():
            return super().execute(*arguments)

    def fetchone(self):
        with self.connection.errors_told():
            return super().fetchone()

    def fetchall(self):
        with self.connection.errors_told():
            return super().fetchall()

    def __next__(self):
        with self.connection.errors_told():
            return super().__next__()


class _Connection(sqlite3.Connection):
    file: Path

    def execute(self, *arguments) -> _Cursor:
        return self.cursor(_Cursor).execute(*arguments)

    @contextlib.contextmanager
    def errors_told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:  # locked, no permission, a full disk; or other tables
            cure = "mend its permissions or free some space, or move it away: then the sites are asked anew"
            raise UserError(self.file, str(error), _LEDGER, cure) from error
        except sqlite3.DatabaseError as error:
            raise _damaged(self.file, str(error)) from error


class Ledger:
    """Opened for one source. For one thread; other processes may have it open too."""

    def __init__(self, file: Path, source: str):
        file.parent.mkdir(parents=True, exist_ok=True)
        self._source = source
        self._file = file
        if os.path.lexists(file) and not file.is_file():
            raise UserError(file, "it is no regular file", _LEDGER, "move it away: then the sites are asked anew")
        self._db = sqlite3.connect(file, timeout=60, isolation_level=None, factory=_Connection)
        self._db.file = file
        try:
            self._db.execute("PRAGMA trusted_schema=OFF")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            with self._transaction():
                for statement in _TABLES.split(";"):
                    self._db.execute(statement)
            self._check_tables()
        except BaseException:
            self._db.close()
            raise

    def _check_tables(self) -> None:
        """Raise UserError if a table has not the columns of _TABLES: what is there is not mended."""
        with contextlib.closing(sqlite3.connect(":memory:")) as ours:
            ours.executescript(_TABLES)
            for (name,) in ours.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
                wanted = [row[1] for row in ours.execute(f"PRAGMA table_info({name})")]
                if wanted != [row[1] for row in self._db.execute(f"PRAGMA table_info({name})").fetchall()]:
                    raise _damaged(self._file, f"its table {name} has other columns")

    @property
    def id(self) -> str:
        """Of this file: where it is made anew, so are the harvests."""
        row = self._db.execute("SELECT id FROM ledger").fetchone()
        if not row or not isinstance(row[0], str):
            raise _damaged(self._file, "it has no id")
        return row[0]

    def close(self) -> None:
        self._db.close()

    def finished(self, harvest: str) -> int | None:
        """The number of the last round that was finished, at some limit; None: the first was not."""
        rows = self._db.execute("SELECT max(number) FROM round WHERE harvest = ? AND is_done", (harvest,))
        return self._checked(rows.fetchone()[0], (int, None), "number")

    def begin(self, harvest: str, number: int, about: dict, first: Cursor | None, *, is_retry: bool) -> None:
        """Open a round, or go on with it. `first`: the cursor of a listing from the beginning; None: it needs none. A
        retry forgets what failed. Either is done once in a round, also if the round was opened for the other. What the
        block list kept out before is forgotten with a new listing, which then is a whole one."""
        is_listed = first is not None
        with self._transaction():
            text = json.dumps(about, ensure_ascii=False)
            self._db.execute("INSERT OR IGNORE INTO harvest VALUES (?, ?)", (harvest, text))
            self._db.execute(
                "INSERT OR IGNORE INTO round VALUES (?, ?, 'null', 0, '', '', 0, FALSE, FALSE, FALSE)",
                (harvest, number),
            )
            here = "harvest = ? AND number = ?"
            listed = is_listed and self._db.execute(
                f"UPDATE round SET cursor = ?, is_listed = TRUE WHERE {here} AND NOT is_listed",
                (json.dumps(first), harvest, number),
            )
            if listed and listed.rowcount and number:  # the block list may be another now
                kept_out = self._db.execute("DELETE FROM post WHERE harvest = ? AND reason = 'blocked'", (harvest,))
                is_whole = bool(kept_out.rowcount)
                self._db.execute(f"UPDATE round SET is_whole = ? WHERE {here}", (is_whole, harvest, number))
            marked = is_retry and self._db.execute(
                f"UPDATE round SET is_retry = TRUE WHERE {here} AND NOT is_retry", (harvest, number)
            )
            if marked and marked.rowcount:
                self._db.execute(
                    "DELETE FROM file WHERE source = ? AND outcome != ? AND url IN "
                    "(SELECT url FROM post WHERE harvest = ?)",
                    (self._source, FETCHED, harvest),
                )

    def rounds(self, harvest: str, upto: int) -> list[Round]:
        rows = self._db.execute(
            "SELECT number, cursor, wanted, shortfall, newest, is_whole FROM round "
            "WHERE harvest = ? AND number <= ? ORDER BY number",
            (harvest, upto),
        )
        rounds = [Round(number, self._json(cursor, ({}, None)), *rest) for number, cursor, *rest in rows]
        for each in rounds:
            self._checked(each._asdict(), _ROUND)
        return rounds

    def _json(self, text: object, shape: object):
        """Return the JSON value of a cell. Raise UserError unless it is of the shape."""
        try:
            return parse_json(text, shape)
        except ValueError as error:
            raise _damaged(self._file, str(error)) from error

    def _checked(self, value: Any, shape: object, name: str = "a row") -> Any:
        """Return the value that was read. Raise UserError, with its name, unless it is of the shape."""
        try:
            check(value, shape, name)
        except ValueError as error:
            raise _damaged(self._file, str(error)) from error
        return value

    def add_page(
        self,
        harvest: str,
        number: int,
        offers: list[RemoteImage | Skipped],
        cursor: Cursor | None,
        shortfall: str,
        newest: str = "",
    ) -> tuple[int, int]:
        """Note a page, with the cursor of the next: (offers that are new, posts that were known)."""
        with self._transaction():
            (rank,) = self._db.execute(
                "SELECT wanted FROM round WHERE harvest = ? AND number = ?", (harvest, number)
            ).fetchone()
            first, known = self._checked(rank, int, "wanted"), 0
            for offer in offers:
                values = (
                    (file_key(offer), json.dumps(asdict(offer)), None, None)
                    if isinstance(offer, RemoteImage)
                    else (None, None, offer.reason, offer.detail[:200])
                )
                is_new = self._db.execute(
                    "INSERT OR IGNORE INTO post VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (harvest, offer.source_id, number, rank, *values),
                ).rowcount
                known += not is_new and not (isinstance(offer, Skipped) and offer.is_odd)  # equal ones may be others
                rank += bool(is_new and isinstance(offer, RemoteImage))
            self._db.execute(
                "UPDATE round SET cursor = ?, wanted = ?, shortfall = ?, newest = iif(newest = '', ?, newest) "
                "WHERE harvest = ? AND number = ?",
                (json.dumps(cursor), rank, shortfall, newest, harvest, number),
            )
        return rank - first, known

    def has_posts(self, harvest: str) -> bool:
        """Whether a page of posts was noted: of which then one at least was as the site's posts should be."""
        return bool(self._db.execute("SELECT 1 FROM post WHERE harvest = ? LIMIT 1", (harvest,)).fetchone())

    def lines(self, harvest: str, upto: int, limit: int) -> Iterator[Line]:
        """The first `limit` offers (0: all) of each round up to that one and the drops between them, in their order."""
        rows = self._db.execute(
            "SELECT source_id, offer, post.reason, post.detail, outcome, file.detail, image_id, path, bytes, "
            "is_as_promised, fetched_at, came_from FROM post LEFT JOIN file ON file.source = ? AND file.url = post.url "
            "WHERE harvest = ? AND round <= ? AND rank < ? ORDER BY round, rank, offer IS NOT NULL, source_id",
            (self._source, harvest, upto, limit or 1 << 62),
        )
        for source_id, offer, reason, detail, *file in rows.fetchall():
            if offer is None:
                drop = Skipped(source_id, reason, detail)
                self._checked(vars(drop), _DROP)
                yield Line(source_id, None, drop, None)
            else:
                held = self._json(offer, _OFFER)
                told = RemoteImage(
                    **{name: tuple(held[name]) if _OFFER[name] == [str] else held.get(name) for name in _OFFER}
                )
                if file[0] is not None:
                    self._check_file(File(*file))
                yield Line(source_id, told, None, File(*file) if file[0] else None)

    def _check_file(self, file: File) -> None:
        try:
            check(file._asdict(), _FILE)
            _ = file.fetched_at and datetime.fromisoformat(file.fetched_at)
        except ValueError as error:
            raise _damaged(self._file, str(error)) from error

    def record(self, offer: RemoteImage, file: File) -> None:
        values = (self._source, file_key(offer), *file)
        self._db.execute("REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)

    def forget(self, offer: RemoteImage) -> None:
        """Of a file that is gone from the disk: it is to be fetched again."""
        self._db.execute("DELETE FROM file WHERE source = ? AND url = ?", (self._source, file_key(offer)))

    def spent(self, month: str) -> float:
        """USD that asking this source has cost in a month (`2026-11`)."""
        row = self._db.execute("SELECT usd FROM spent WHERE source = ? AND month = ?", (self._source, month)).fetchone()
        return self._checked(row[0], float, "usd") if row else 0.0

    def spend(self, month: str, usd: float) -> None:
        """More, or less if an answer turned out to be cheaper than it might have been."""
        self._db.execute(
            "INSERT INTO spent VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET usd = usd + excluded.usd",
            (self._source, month, usd),
        )

    def finish(self, harvest: str, number: int) -> None:
        self._db.execute("UPDATE round SET is_done = 1 WHERE harvest = ? AND number = ?", (harvest, number))

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._db)


def file_key(offer: RemoteImage) -> str:
    """By which the ledger knows a file: its address; and its sha256, if somebody promised one, since what is wrong for
    them may be right for others."""
    return f"{offer.file_url}#{offer.sha256}" if offer.sha256 else offer.file_url


def counted(lines: list[Line], rounds: list[Round], limit: int) -> Counts:
    """What the lines of some rounds come to."""
    shown = dict.fromkeys(each.shortfall for each in rounds if not 0 < limit <= each.wanted)
    kinds = Counter(_kind(line) for line in lines)
    return Counts(sum(line.offer is not None for line in lines), dict(kinds), "; ".join(filter(None, shown)))


def _kind(line: Line) -> str:
    if line.drop:
        return KINDS.get(line.drop.reason, "failed")
    if line.file is None:
        return "not yet asked"
    return FETCHED if line.file.outcome == FETCHED else KINDS.get(line.file.outcome, "failed")


class _Transaction:
    """All of it, or nothing; begun as a writer, so that it cannot fail halfway for another one."""

    def __init__(self, db: sqlite3.Connection):
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind, *_) -> None:
        self._db.execute("ROLLBACK" if kind else "COMMIT")
