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


class _Cursor(sqlite3.Cursor):
    """A cursor that raises UserError, with the name of the file, where SQLite finds it damaged or may not open it."""

    connection: "_Connection"

    def execute(self, *arguments: Any) -> "_Cursor":
        with self.connection.errors_as_user_errors():
            return super().execute(*arguments)

    def fetchone(self) -> Any:
        with self.connection.errors_as_user_errors():
            return super().fetchone()

    def fetchall(self) -> list[Any]:
        with self.connection.errors_as_user_errors():
            return super().fetchall()

    def __next__(self) -> Any:
        with self.connection.errors_as_user_errors():
            return super().__next__()


class _Connection(sqlite3.Connection):
    file: Path

    def execute(self, *arguments: Any) -> _Cursor:
        return self.cursor(_Cursor).execute(*arguments)

    @contextlib.contextmanager
    def errors_as_user_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:  # locked, no permission, a full disk; or other tables
            cure = "correct its permissions or free some space, or move it away: then the sites are asked anew"
            raise UserError(self.file, str(error), _LEDGER, cure) from error
        except sqlite3.DatabaseError as error:
            raise _damaged(self.file, str(error)) from error


class Ledger:
    """The ledger, open for one source. For one thread; other processes may have it open too."""

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
        """Raise UserError if a table has not the columns of _TABLES: no ledger is repaired."""
        with contextlib.closing(sqlite3.connect(":memory:")) as ours:
            ours.executescript(_TABLES)
            for (name,) in ours.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
                wanted = [row[1] for row in ours.execute(f"PRAGMA table_info({name})")]
                if wanted != [row[1] for row in self._db.execute(f"PRAGMA table_info({name})").fetchall()]:
                    raise _damaged(self._file, f"its table {name} has other columns")

    @property
    def id(self) -> str:
        """Return the id of this file; a new ledger has another."""
        row = self._db.execute("SELECT id FROM ledger").fetchone()
        if not row or not isinstance(row[0], str):
            raise _damaged(self._file, "it has no id")
        return row[0]

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def last_finished_round(self, harvest: str) -> int | None:
        """Return the number of the last round that was finished, at any limit; None if the first was not."""
        rows = self._db.execute("SELECT max(number) FROM round WHERE harvest = ? AND is_done", (harvest,))
        number: int | None = self._check_value(rows.fetchone()[0], (int, None), "number")
        return number

    def begin(self, harvest: str, number: int, about: dict, first: Cursor | None, *, is_retry: bool) -> None:
        """Open a round, or go on with it.

        `first` is the cursor of a new listing; None: no listing. A retry deletes the outcomes of files that failed.
        Each of the two is done once in a round, also if the round was opened for the other. A new listing deletes the
        posts that the block list dropped, and then goes on past known posts to find them again."""
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
                relist_known = bool(kept_out.rowcount)
                self._db.execute(f"UPDATE round SET is_whole = ? WHERE {here}", (relist_known, harvest, number))
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
        """Return the rounds up to that number, in order."""
        rows = self._db.execute(
            "SELECT number, cursor, wanted, shortfall, newest, is_whole FROM round "
            "WHERE harvest = ? AND number <= ? ORDER BY number",
            (harvest, upto),
        )
        rounds = [Round(number, self._parse_cell(cursor, ({}, None)), *rest) for number, cursor, *rest in rows]
        for each in rounds:
            self._check_value(each._asdict(), _ROUND_SHAPE)
        return rounds

    def _parse_cell(self, text: str | bytes, shape: object) -> Any:
        """Return the JSON value of a cell. Raise UserError unless it is of the shape."""
        try:
            return parse_json(text, shape)
        except ValueError as error:
            raise _damaged(self._file, str(error)) from error

    def _check_value(self, value: Any, shape: object, name: str = "a row") -> Any:
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
        """Store a page with the cursor of the next. Return the number of new images, and of posts that were known."""
        with self._transaction():
            (rank,) = self._db.execute(
                "SELECT wanted FROM round WHERE harvest = ? AND number = ?", (harvest, number)
            ).fetchone()
            first, known = self._check_value(rank, int, "wanted"), 0
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
        """Return whether a page of posts was stored: at least one of them was then a valid post of the site."""
        return bool(self._db.execute("SELECT 1 FROM post WHERE harvest = ? LIMIT 1", (harvest,)).fetchone())

    def entries(self, harvest: str, upto: int, limit: int) -> Iterator[Entry | Skipped]:
        """Yield the first `limit` images (0: all) of each round up to that one, and what was skipped between them, in
        the order of the listing."""
        rows = self._db.execute(
            "SELECT source_id, offer, post.reason, post.detail, outcome, file.detail, image_id, path, bytes, "
            "is_as_promised, fetched_at, came_from FROM post LEFT JOIN file ON file.source = ? AND file.url = post.url "
            "WHERE harvest = ? AND round <= ? AND rank < ? ORDER BY round, rank, offer IS NOT NULL, source_id",
            (self._source, harvest, upto, limit or 1 << 62),
        )
        for source_id, offer, reason, detail, *file in rows.fetchall():
            if offer is None:
                skipped = Skipped(source_id, reason, detail)
                self._check_value(vars(skipped), _SKIPPED_SHAPE)
                yield skipped
            else:
                values = self._parse_cell(offer, _IMAGE_SHAPE)
                lists = {name: tuple(values[name]) for name, shape in _IMAGE_SHAPE.items() if shape == [str]}
                image = RemoteImage(**({name: values.get(name) for name in _IMAGE_SHAPE} | lists))
                if file[0] is not None:
                    self._check_file(File(*file))
                yield Entry(image, File(*file) if file[0] else None)

    def _check_file(self, file: File) -> None:
        try:
            check(file._asdict(), _FILE_SHAPE)
            _ = file.fetched_at and datetime.fromisoformat(file.fetched_at)
        except ValueError as error:
            raise _damaged(self._file, str(error)) from error

    def record_file(self, image: RemoteImage, file: File) -> None:
        """Store the outcome of a file."""
        values = (self._source, file_key(image), *file)
        self._db.execute("REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)

    def forget_file(self, image: RemoteImage) -> None:
        """Delete the outcome of a file, so that it is fetched again."""
        self._db.execute("DELETE FROM file WHERE source = ? AND url = ?", (self._source, file_key(image)))

    def cost_in_month(self, month: str) -> float:
        """Return what this source has cost in a month (`2026-11`), in USD."""
        row = self._db.execute("SELECT usd FROM spent WHERE source = ? AND month = ?", (self._source, month)).fetchone()
        return float(self._check_value(row[0], float, "usd")) if row else 0.0

    def add_cost(self, month: str, usd: float) -> None:
        """Add to the cost of a month; a negative amount gives back what an answer did not cost."""
        if usd:
            statement = "INSERT INTO spent VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET usd = usd + excluded.usd"
            self._db.execute(statement, (self._source, month, usd))

    def finish(self, harvest: str, number: int) -> None:
        """Mark a round as finished."""
        self._db.execute("UPDATE round SET is_done = 1 WHERE harvest = ? AND number = ?", (harvest, number))

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._db)


def file_key(image: RemoteImage) -> str:
    """Return the key of a file: its URL; with its sha256 if one is stated, as a file that is wrong for the one who
    stated it may be right for others."""
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


class _Transaction:
    """A transaction that begins as a writer, so that it cannot fail halfway because of another one."""

    def __init__(self, db: sqlite3.Connection):
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._db.execute("ROLLBACK" if kind else "COMMIT")
