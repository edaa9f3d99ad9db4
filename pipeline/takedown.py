"""Takes pictures out of a data root: originals, crops, rows and caches; and names the runs that learned from them.

What is to go is noted first (`takedown.json`), so that a kill at any moment leaves nothing half forgotten: the next
takedown begins with what the note says.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import Timeout

from pipeline import blocklist, corrections, datasets
from pipeline.blocklist import BlockList
from pipeline.errors import UserError
from pipeline.groups import split_of
from pipeline.manifest import FACES, FUNNEL, ManifestError, read
from pipeline.sources.site import Offer
from pipeline.spool import Spool
from pipeline.store import Store, replace_file

_HEX = re.compile("[0-9a-f]{64}")
_TOLD = ("image_id", "page_url", "file_url", "artist", "tags")


@dataclass
class Note:
    """All that is to go."""

    images: set[str] = field(default_factory=set)
    """image_ids."""
    faces: set[str] = field(default_factory=set)
    """face_ids."""
    offers: set[tuple[str, str]] = field(default_factory=set)
    """(source, file URL) in the ledger."""
    manifests: set[str] = field(default_factory=set)
    """sha256 of the manifests that hold some of it, and of those that these were made from."""

    @property
    def hashes(self) -> set[str]:
        return self.images | self.faces

    def keep(self, path: Path, scratch: Path) -> None:
        said = {name: sorted(values) for name, values in asdict(self).items()}
        replace_file(path, json.dumps(said).encode(), scratch=scratch)

    @classmethod
    def at(cls, path: Path) -> "Note":
        """What a takedown that was killed has left to do."""
        if not path.exists():
            return cls()
        said = json.loads(path.read_text(encoding="utf-8"))
        return cls(*({tuple(v) if isinstance(v, list) else v for v in said[each.name]} for each in fields(cls)))


@dataclass
class Outcome:
    """What a takedown did."""

    images: int = 0
    faces: int = 0
    datasets: dict[str, str] = field(default_factory=dict)
    """Name -> what became of it."""
    runs: list[str] = field(default_factory=list)
    """Trained on some of it."""
    unknown_runs: list[str] = field(default_factory=list)
    """Trained on a dataset that is no longer there, so that nobody can tell."""


def take_down(root: Path, kind: str, text: str, reason: str) -> Outcome:
    """Remove every picture that the cell (kind, text) of a block list names, and block it from now on. Raises UserError
    if another process is at work, ValueError if the text is none of its kind."""
    store = Store(root, "takedown")
    with store.claim() as scratch:
        _check_idle(store)
        tables = list(_tables(root))
        if kind == "sha256":
            text = _image_of(text.strip().lower(), tables)
        cell = blocklist.cell(kind, text)
        blocklist.add(root, kind, text, reason, scratch)
        path = root / "takedown.json"
        note = Note.at(path)
        _collect(note, root, BlockList(frozenset({cell})), tables)
        note.keep(path, scratch)
        outcome = Outcome(len(note.images), len(note.faces))
        _datasets(root, note, outcome)
        for table in tables:
            if root / "stages" in table.parents and table.exists() and _holds(table, note):
                shutil.rmtree(table.parent, ignore_errors=True)
        for file in (root / "recipes").glob("*.parquet"):
            _rewrite_recipe(file, note, scratch)
        _runs(root, note, outcome)
        _forget(root, note)
        for file in (root / "corrections").glob("*.csv"):
            replace_file(file, corrections.without(file.read_text("utf-8"), note.faces).encode(), scratch=scratch)
        path.unlink()
    return outcome


def _check_idle(store: Store) -> None:
    """A build that is under way would bring back what it has read already."""
    for file in store.work.glob("*.lock"):
        if file.stem != store.digest:
            try:
                store.lock(file.stem).acquire(timeout=0).__exit__(None, None, None)
            except Timeout:
                raise UserError(
                    file, "another process is at work in this data root", "none", "wait until it has ended"
                ) from None


def _tables(root: Path) -> Iterator[Path]:
    """Every Parquet file in which rows of pictures may be."""
    for pattern in ("stages/*/*/*.parquet", "datasets/.versions/*/manifest.parquet", "recipes/*.parquet"):
        yield from sorted(root.glob(pattern))


def _rows(path: Path, columns: Iterable[str]) -> Iterator[dict]:
    """Those of the columns that a table has, row by row; nothing of a table that has no image_id."""
    with pq.ParquetFile(path) as file:
        names = [name for name in columns if name in file.schema_arrow.names]
        if "image_id" in names:
            for batch in file.iter_batches(1024, columns=names):
                yield from batch.to_pylist()


def _image_of(sha256: str, tables: list[Path]) -> str:
    """The original's, if it is the sha256 of a crop."""
    for path in tables:
        for row in _rows(path, ("image_id", "face_id")):
            if row.get("face_id") == sha256:
                return row["image_id"]
    return sha256


class _Told:
    """A row of a manifest, as a block list reads it."""

    def __init__(self, row: dict):
        self.page_url, self.file_url, self.artist = (row.get(name) for name in _TOLD[1:4])
        self.tags = row.get("tags") or ()


def _collect(note: Note, root: Path, wanted: BlockList, tables: list[Path]) -> None:
    """Add all that `wanted` names, wherever it stands."""
    note.images |= wanted.hashes
    for path in tables:
        note.images |= {row["image_id"] for row in _rows(path, _TOLD) if row["image_id"] and wanted.why(_Told(row))}
    with _database(root / "ledger.sqlite") as ledger:
        if ledger:
            _collect_offers(note, ledger, wanted)
    for path in tables:
        rows = (row for row in _rows(path, ("image_id", "face_id")) if row["image_id"] in note.images)
        note.faces |= {row["face_id"] for row in rows if "face_id" in row}
        if path.name == "manifest.parquet" and _holds(path, note):
            note.manifests |= {_sha256(path), *datasets.build_of(path.parent).before}
    with _database(root / "cache" / "results.sqlite") as results:  # crops of which no table is left
        for key, value in results.execute("SELECT key, value FROM result WHERE name LIKE 'crops/%'") if results else ():
            if key[:64] in note.images:
                note.faces |= {crop["face_id"] for crop in json.loads(value)}


def _collect_offers(note: Note, ledger: sqlite3.Connection, wanted: BlockList) -> None:
    files = ledger.execute("SELECT source, url, image_id FROM file").fetchall()
    image_of = {(source, url): image_id for source, url, image_id in files}
    note.offers |= {pair for pair, image_id in image_of.items() if image_id in note.images}
    harvests = ledger.execute(
        "SELECT json_extract(about, '$.source'), url, offer FROM post JOIN harvest ON harvest.id = post.harvest "
        "WHERE offer IS NOT NULL"
    )
    for source, url, offer in harvests:
        if wanted.why(Offer(**json.loads(offer))):
            note.offers.add((source, url))
            note.images |= {image_of.get((source, url))} - {None}


def _holds(path: Path, note: Note) -> bool:
    """Whether a table has a row of it, or is grouped by it."""
    rows = _rows(path, ("image_id", "group"))
    return any(row["image_id"] in note.images or row.get("group") in note.images for row in rows)


@contextlib.contextmanager
def _database(path: Path) -> Iterator[sqlite3.Connection | None]:
    """Open for forgetting: what is deleted is overwritten. None if it is not there."""
    if not path.exists():
        yield None
        return
    with contextlib.closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as database:
        database.execute("PRAGMA secure_delete=ON")
        yield database


def _datasets(root: Path, note: Note, outcome: Outcome) -> None:
    """Every version of a dataset that holds it is made again without it."""
    folder = root / "datasets"
    links = {path.name: path.resolve() for path in folder.glob("*") if path.is_symlink()}
    for version in sorted((folder / ".versions").glob("*")):
        tables = (version / "manifest.parquet", version / "funnel.parquet")
        if any(path.exists() and _holds(path, note) for path in tables):
            names = [name for name, place in links.items() if place == version.resolve()]
            words = _made_without(root, version, names, note)
            outcome.datasets |= dict.fromkeys(names, words)
            shutil.rmtree(version)


def _made_without(root: Path, version: Path, names: list[str], note: Note) -> str:
    """Make a version again without it, for the names that link to it; what became of it, in words."""
    records = {name: root / "datasets" / ".requests" / f"{name}.json" for name in names}
    held = read(version / "manifest.parquet", FACES)
    table = _without(held, note)
    if not len(table):
        for name, record in records.items():
            (root / "datasets" / name).unlink()
            record.unlink(missing_ok=True)
        return f"removed: all of its {len(held):,} faces were taken down"
    funnel = []
    with contextlib.suppress(ManifestError):
        dropped = read(version / "funnel.parquet", FUNNEL).to_pylist()
        funnel = [row for row in dropped if row["image_id"] not in note.images]
    causes = json.dumps(["takedown", version.name, sorted(note.images)])
    store = Store(root, hashlib.sha256(causes.encode()).hexdigest()[:16])
    with store.claim() as scratch:
        made, target = scratch / "made", version.with_name(store.digest)
        made.mkdir()
        gone = len({*held["image_id"].to_pylist()} & note.images)
        datasets.assemble(made, table, funnel, _build_without(version, gone), version)
        shutil.rmtree(target, ignore_errors=True)  # of a takedown that was killed
        os.replace(made, target)
        for name, record in records.items():
            request = json.loads(record.read_text(encoding="utf-8"))["request"] if record.exists() else {}
            datasets.publish(store, name, request, replace=True)
    return f"{len(table):,} of {len(held):,} faces are left"


def _build_without(version: Path, gone: int) -> datasets.Build:
    build = datasets.build_of(version)
    return build._replace(
        settings=build.settings | {"taken down": build.settings.get("taken down", 0) + gone},
        images=max(build.images - gone, 0),
        before=[*build.before, _sha256(version / "manifest.parquet")],
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _without(table: pa.Table, note: Note) -> pa.Table:
    """Without its rows; groups that were named by it get the name of the smallest picture that is left of them."""
    table = table.filter(pc.invert(pc.is_in(table["image_id"], pa.array(sorted(note.images), pa.string()))))
    ids, groups = table["image_id"].to_pylist(), table["group"].to_pylist()
    renamed: dict[str, str] = {}
    for image_id, group in zip(ids, groups, strict=True):
        if group in note.images:
            renamed[group] = min(image_id, renamed.get(group, image_id))
    groups = [renamed.get(group, group) for group in groups]
    splits = [
        split_of(group) if was in renamed else split
        for group, was, split in zip(groups, table["group"].to_pylist(), table["split"].to_pylist(), strict=True)
    ]
    for name, values in (("group", groups), ("split", splits)):
        index = table.schema.get_field_index(name)
        table = table.set_column(index, table.schema.field(name), pa.array(values, pa.string()))
    return table


def _rewrite_recipe(path: Path, note: Note, scratch: Path) -> None:
    if not _holds(path, note):
        return
    table = _without(pq.read_table(path, partitioning=None), note)
    if not len(table):
        path.unlink()
        return
    file = scratch / "recipe.parquet"
    pq.write_table(table, file, compression="zstd")
    replace_file(path, file.read_bytes(), scratch=scratch)


def _runs(root: Path, note: Note, outcome: Outcome) -> None:
    """Name those that learned from it, and remove the sheet of theirs that shows training faces."""
    known = set()
    for path in root.glob("datasets/.versions/*/manifest.parquet"):
        known |= {_sha256(path), *datasets.build_of(path.parent).before}
    for path in sorted(root.glob("runs/*/config.json")):
        with contextlib.suppress(ValueError, TypeError, KeyError):
            trained_on = json.loads(path.read_text(encoding="utf-8"))["dataset"]["digest"]
            if trained_on in note.manifests:
                outcome.runs.append(path.parent.name)
                (path.parent / "generated" / "neighbours.png").unlink(missing_ok=True)
            elif trained_on not in known:
                outcome.unknown_runs.append(path.parent.name)


def _forget(root: Path, note: Note) -> None:
    """Originals, crops, caches, and the ledger's rows."""
    cache = root / "cache"
    for image_id in note.images:
        for path in (root / "images" / image_id[:2]).glob(f"{image_id}.*"):
            path.unlink()
    for face_id in note.faces:
        (cache / "faces" / face_id[:2] / f"{face_id}.png").unlink(missing_ok=True)
    for source, url in note.offers:
        Spool(cache / "parts", f"{source} {url}").done()
    shutil.rmtree(cache / "pages", ignore_errors=True)  # any of them may speak of it
    if note.manifests:
        shutil.rmtree(cache / "arrays", ignore_errors=True)  # they hold pixels, and do not say whose
    with _database(cache / "results.sqlite") as results:
        if results:
            rows = results.execute("SELECT name, key, value FROM result").fetchall()
            _delete(results, "DELETE FROM result WHERE name = ? AND key = ?", (
                (name, key) for name, key, value in rows if note.hashes & set(_HEX.findall(f"{key} {value}"))
            ))  # fmt: skip
    with _database(root / "ledger.sqlite") as ledger:
        if ledger:
            _delete(ledger, (
                "DELETE FROM post WHERE url = ?2 AND harvest IN "
                "(SELECT id FROM harvest WHERE json_extract(about, '$.source') = ?1)"
            ), note.offers)  # fmt: skip
            _delete(ledger, "DELETE FROM post WHERE source_id = ?", ((image_id,) for image_id in note.images))
            _delete(ledger, "DELETE FROM file WHERE source = ? AND url = ?", note.offers)


def _delete(database: sqlite3.Connection, statement: str, rows: Iterable[tuple]) -> None:
    """Leave nothing of the rows in the file, nor in its write-ahead log."""
    database.execute("BEGIN IMMEDIATE")
    database.executemany(statement, list(rows))
    database.execute("COMMIT")
    database.execute("VACUUM")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
