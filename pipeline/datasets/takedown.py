"""Remove pictures from a data root: originals, items, rows and caches; and name the runs that were trained on them.

All that is to be removed is written to `takedown.json` first. After a kill at any moment, the next takedown begins
with that note.
"""

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import Timeout

from pipeline import blocklist
from pipeline.blocklist import BlockList
from pipeline.datasets import assemble, corrections, publish
from pipeline.datasets.kinds import Kind, kind_of
from pipeline.datasets.splits import split_of
from pipeline.datasets.takedown_index import (
    Removal,
    Unread,
    build_of,
    collect,
    database,
    holds,
    image_of,
    is_of,
    tables_below,
    undecided,
)
from pipeline.errors import UserError
from pipeline.funnel import FUNNEL
from pipeline.manifest import ManifestError, batches, read, sha256_of
from pipeline.store import Store, remove, replace_file
from pipeline.stored import HEX64, read_json
from pipeline.web.partial_file import PartialFile


@dataclass
class Outcome:
    """What a takedown did."""

    images: int
    faces: int
    """Items: faces, or clips."""
    unread: Unread
    """What could not be read; nothing of it was changed."""
    datasets: dict[str, str] = field(default_factory=dict)
    """Name -> what became of it."""
    runs: list[str] = field(default_factory=list)
    """Trained on some of it, or on what such a run generated."""
    generated: list[str] = field(default_factory=list)
    """Datasets that hold what such a run generated."""
    unknown_runs: list[str] = field(default_factory=list)
    """Trained on a dataset that is no longer there: what was in it is not known."""
    undecided: list[str] = field(default_factory=list)
    """`source source_id` of pictures that may be the artist's: their source states neither artist nor tags."""


def take_down(root: Path, kind: str, text: str, reason: str) -> Outcome:
    """Remove every picture that the cell (kind, text) of a block list names, and add the cell to the block list.

    Files that cannot be read are listed in the outcome's `unread`; the rest is removed all the same. Raise UserError if
    another process is at work or the note of a killed takedown is damaged, ValueError if `text` is not of that kind."""
    store, unread = Store(root, "takedown"), Unread(root)
    for place in (store.work, root / "datasets" / ".requests", root / "takedown.json"):
        if unread.is_link(place):
            cure = "move what it names to where the link is, and give the same command again"
            raise UserError(root / [*unread][-1], "is a link", "a file or folder of this data root", cure)
    with store.claim() as scratch:
        if not unread.is_link(root / "datasets" / ".versions"):
            _adopt_copies(store)
        tables = tables_below(unread)
        path = root / "takedown.json"
        removal = Removal.at(path)
        if kind == "sha256":
            text = image_of(text.strip().lower(), tables)
        if text not in removal.faces:  # otherwise a killed takedown has listed it already
            blocklist.add(root, kind, text, reason, scratch)
            collect(removal, root, BlockList(frozenset({blocklist.parse_cell(kind, text)})), tables, unread)
        _check_idle(store)  # builds that start later read the updated block list
        removal.keep(path, scratch)
        outcome = Outcome(len(removal.seen), len(removal.faces), unread)
        if kind == "artist":
            outcome.undecided = undecided(tables, removal)
        _runs(root, removal, outcome)
        if not unread.holds(root / "datasets" / ".versions"):
            _datasets(store, removal, outcome)
        for table in tables:
            if root / "stages" in table.parents and table.exists() and holds(table, removal):
                _discard(table.parent, scratch)
        for file in unread.glob("recipes/*.parquet"):
            if not unread.holds(file):
                _rewrite_recipe(file, removal, scratch, unread)
        _remove_files(root, removal, unread)
        for file in unread.glob("corrections/*.csv"):
            if file.is_file():
                data = file.read_bytes()
                if (rest := corrections.remove_lines(data, removal.hashes)) != data:
                    replace_file(file, rest, scratch=scratch)
        _check_idle(store)
        path.unlink()
    return outcome


def _check_idle(store: Store) -> None:
    """Raise UserError if a build is under way: it would write again what it has read already."""
    for file in store.work.glob("*.lock"):
        if file.stem != store.digest and file.is_file() and not file.is_symlink():
            try:
                store.lock(file.stem).acquire(timeout=0).__exit__(None, None, None)
            except Timeout:
                cure = "wait until it has ended, and give the same command again"
                raise UserError(file, "another process is at work in this data root", "none", cure) from None


def _adopt_copies(store: Store) -> None:
    """Move the datasets that were copied here below .versions, where rows are searched; leave what is damaged."""
    for place in sorted((store.root / "datasets").glob("[!.]*")):
        if not place.is_symlink() and not (place / "manifest.parquet").is_symlink():
            with contextlib.suppress(ManifestError, OSError):  # then it is named below
                kind_of(place)
                publish.adopt(store, place.name)


def _discard(folder: Path, scratch: Path) -> None:
    """Remove a folder in one step: half a folder would not be recognized as a dataset or stage."""
    gone = scratch / f"{folder.parent.name} {folder.name}"
    os.replace(folder, gone)
    shutil.rmtree(gone)


def _datasets(store: Store, removal: Removal, outcome: Outcome) -> None:
    """Remake every version of a dataset that holds some of the removal, without it."""
    root = store.root
    names_of: dict[Path, list[str]] = {}
    for place in sorted((root / "datasets").glob("[!.]*")):
        version = publish.version_of(root, place.name)
        manifest = version and version / "manifest.parquet"
        if version and manifest and manifest.is_file() and not outcome.unread.holds(manifest):
            names_of.setdefault(version, []).append(place.name)
        elif place.is_symlink() or place.is_dir():
            outcome.datasets[place.name] = "not looked at: damaged, or a link that leads elsewhere"
    for version in outcome.unread.glob("datasets/.versions/*"):
        tables = (version / "manifest.parquet", version / "funnel.parquet")
        if any(path.exists() and not outcome.unread.holds(path) and holds(path, removal) for path in tables):
            names = names_of.get(version, [])
            words = _remake(store, version, names, removal, outcome.unread)
            outcome.datasets |= dict.fromkeys(names, words)
            _discard(version, store.scratch)


def _remake(store: Store, version: Path, names: list[str], removal: Removal, unread: Unread) -> str:
    """Remake a version without the removal, for the names that link to it. Return what became of it, in words."""
    try:
        kind = kind_of(version)
        old = read(version / "manifest.parquet", kind.schema)
        rest = _remove_rows(old, removal, kind.original_column)
        table, words = _with_items(kind, version, rest), f"none of its {kind.items} is left"
        if len(table):
            _publish_rest(kind, version, names, removal, old, table, unread)
            lost = len(rest) - len(table)
            dropped = f"; {lost:,} are dropped, since their files are missing or damaged" if lost else ""
            near = _near_duplicates(kind, old, table, removal)
            return f"{len(table):,} of {len(old):,} {kind.items} are left{dropped}{near}"
    except ManifestError as error:  # of an older program, most likely
        words = f"it could not be made again: {error}"
    for name in names:
        publish.remove(store, name)
    return f"removed: {words}"


def _with_items(kind: Kind, version: Path, table: pa.Table) -> pa.Table:
    """Return the rows whose item is there and undamaged."""
    return table.filter(pa.array([_has_item(kind, version, row) for row in table.to_pylist()], pa.bool_()))


def _has_item(kind: Kind, version: Path, row: dict) -> bool:
    try:
        kind.load(version, row)
    except ManifestError:
        return False
    return not (version / row["path"]).is_symlink()


def _publish_rest(
    kind: Kind, version: Path, names: list[str], removal: Removal, old: pa.Table, table: pa.Table, unread: Unread
) -> None:
    """Assemble a version of the rows that are left, and let `names` stand for it."""
    root = version.parents[2]
    funnel = version / "funnel.parquet"  # a copy from elsewhere may lack it
    is_readable = funnel.exists() and not unread.holds(funnel) and not unread.is_link(funnel)
    dropped = read(funnel, FUNNEL).to_pylist() if is_readable else []
    digest_inputs = json.dumps(["takedown", version.name, sorted(removal.images)])
    store = Store(root, hashlib.sha256(digest_inputs.encode()).hexdigest()[:16])
    with store.claim() as scratch:
        made, target = scratch / "made", version.with_name(store.digest)
        if not target.exists():  # as it may after a kill
            made.mkdir()
            gone = len({*old[kind.original_column].to_pylist()} & removal.images)
            build = _build_of_rest(version, gone, unread)
            rows = _remaining_drops(kind, dropped, old, removal)
            assemble.assemble(made, kind, table, rows, build, version)
            if not unread.is_link(version / assemble.REBUILD):
                _keep_report(version, made, removal)
            os.replace(made, target)
        for name in names:
            publish.publish(store, name, publish.request_of(root, name), replace=True)


def _remaining_drops(kind: Kind, dropped: list[dict], old: pa.Table, removal: Removal) -> list[dict]:
    """Return the rows of the funnel without those of the removal. The `detail` of a duplicate ends with the source_id
    of the picture that it is a copy of; it is emptied if that is removed."""
    rows = [row for row in old.to_pylist() if row[kind.original_column] in removal.images]
    ids = {kind.provenance(row)[1] for row in rows} | {source_id for _, source_id in removal.posts}
    endings = tuple(f" {source_id}" for source_id in ids)
    rest = [row for row in dropped if not is_of(row, removal)]
    return [row | {"detail": ""} if row["detail"].endswith(endings) else row for row in rest]


def _near_duplicates(kind: Kind, old: pa.Table, rest: pa.Table, removal: Removal) -> str:
    """Return a clause on the remaining rows in the groups of removed pictures: perhaps the same pictures from
    elsewhere, whose source does not name the artist. Empty if there are none."""
    columns = (old[name].to_pylist() for name in (kind.id_column, kind.original_column, "group", "split"))
    rows = list(zip(*columns, strict=True))
    groups = {group for _, original, group, _ in rows if original in removal.images}
    now = dict(zip(rest[kind.id_column].to_pylist(), rest["split"].to_pylist(), strict=True))
    near = [split != now[item] for item, _, group, split in rows if group in groups and item in now]
    moved = f", {sum(near):,} of them now in another split" if any(near) else ""
    return f"; {len(near):,} of them are near-duplicates of what was taken down: look at them{moved}" if near else ""


def _build_of_rest(version: Path, gone: int, unread: Unread) -> assemble.Build:
    build = assemble.Build({}, 0, {})
    with contextlib.suppress(ManifestError):  # it is among what was left
        if not unread.is_link(version / assemble.BUILD):
            build = assemble.build_of(version)
    gone_before = build.settings.get("taken down", 0)
    return build._replace(
        settings=build.settings | {"taken down": gone + (gone_before if isinstance(gone_before, int) else 0)},
        images=max(build.images - gone, 0),
        before=[*build.before, sha256_of(version / "manifest.parquet")],
    )


def _keep_report(version: Path, made: Path, removal: Removal) -> None:
    """Copy rebuild.json, of a rebuilt dataset, without the pictures of the removal; leave it out if it is damaged."""
    try:
        report = read_json(version / assemble.REBUILD, {"changed": [str], "vanished": {str: [str]}})
    except (FileNotFoundError, ValueError):
        return
    theirs = {" ".join(post) for post in removal.posts}
    report["changed"] = [post for post in report["changed"] if post not in theirs]
    report["vanished"] = {
        reason: [post for post in posts if post not in theirs] for reason, posts in report["vanished"].items()
    }
    (made / assemble.REBUILD).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _remove_rows(table: pa.Table, removal: Removal, original: str) -> pa.Table:
    """Return the table without the rows whose original, in that column, is removed. A group that was named after one is
    named after the smallest original that is left in it, which may move it to another split."""
    table = table.filter(pc.invert(pc.is_in(table[original], pa.array(sorted(removal.images), pa.string()))))
    ids, groups = table[original].to_pylist(), table["group"].to_pylist()
    renamed: dict[str, str] = {}
    for image_id, group in zip(ids, groups, strict=True):
        if group in removal.images:
            renamed[group] = min(image_id, renamed.get(group, image_id))
    groups = [renamed.get(group, group) for group in groups]
    rows = zip(groups, table["group"].to_pylist(), table["split"].to_pylist(), strict=True)
    splits = [split_of(group) if was in renamed else split for group, was, split in rows]
    for name, values in (("group", groups), ("split", splits)):
        index = table.schema.get_field_index(name)
        field = table.schema.field(name)  # of a recipe that others saved, perhaps a dictionary
        table = table.set_column(index, field, pa.array(values, pa.string()).cast(field.type))
    return table


def _rewrite_recipe(path: Path, removal: Removal, scratch: Path, unread: Unread) -> None:
    if not holds(path, removal):
        return
    try:
        table = pa.Table.from_batches(batches(path))
        if missing := {"group", "split"}.difference(table.column_names):
            raise ValueError(f"lacks the column {min(missing)}")
        table = _remove_rows(table, removal, "video_id" if "clip_id" in table.column_names else "image_id")
    except (ValueError, pa.ArrowException) as error:
        unread.add(path, f"it names what was taken down, and could not be read whole: {error}")
        return
    if not len(table):
        path.unlink()
        return
    file = scratch / "recipe.parquet"
    pq.write_table(table, file, compression="zstd")
    replace_file(path, file.read_bytes(), scratch=scratch)


_DATASET = {"digest": str}
_RUN_SHAPE = {"dataset": _DATASET, "datasets": ({str: _DATASET}, None), "init_from": ({"run": (str, None)}, None)}


def _runs(root: Path, removal: Removal, outcome: Outcome) -> None:
    """Add the runs that were trained on removed pictures, were initialized from such a run or trained on what it
    generated; and the datasets of the latter. Remove the runs' pictures that show training faces."""
    unread = outcome.unread
    generators: dict[str, list[dict]] = {}  # of each manifest
    for path in unread.glob("datasets/.versions/*/manifest.parquet"):
        if path.is_file():
            build = build_of(path.parent, unread)
            generators |= dict.fromkeys((sha256_of(path), *build.before), build.generators)
    trained_on: dict[str, set[str]] = {}
    began_with: dict[str, str | None] = {}
    for path in unread.glob("runs/*/config.json"):
        try:
            config, name = read_json(path, _RUN_SHAPE), path.parent.name
            datasets = [config["dataset"], *(config.get("datasets") or {}).values()]
            trained_on[name] = {dataset["digest"] for dataset in datasets}
            began_with[name] = (config.get("init_from") or {}).get("run")
        except ValueError as error:
            unread.add(path, error)
    manifests, theirs = {*removal.manifests}, set[str]()

    def has_learned(generator: dict) -> bool:
        return generator["manifest"] in manifests or generator["run"] in theirs

    while True:
        runs = {name for name in trained_on if trained_on[name] & manifests or began_with[name] in theirs}
        made = {digest for digest, each in generators.items() if any(map(has_learned, each))}
        if runs <= theirs and made <= manifests:
            break
        theirs, manifests = theirs | runs, manifests | made
    outcome.runs = sorted(theirs)
    outcome.unknown_runs = sorted(name for name in trained_on.keys() - theirs if trained_on[name] - generators.keys())
    for place in sorted((root / "datasets").glob("[!.]*")):
        version = publish.version_of(root, place.name)
        if version and any(map(has_learned, build_of(version, unread).generators)):
            outcome.generated.append(place.name)
    for name in theirs:
        _remove(root / "runs" / name / "generated" / "neighbours.png", unread)


def _remove(path: Path, unread: Unread) -> None:
    """Remove a file or a folder of the data root, if it is there and no link is on the way to it."""
    if path.parent.is_dir() and not unread.is_link(path.parent):
        remove(path)


def _remove_files(root: Path, removal: Removal, unread: Unread) -> None:
    """Remove the originals, crops, cached results and ledger rows of a removal; add what is unreadable to `unread`."""
    cache = root / "cache"
    for image_id in removal.images:
        for path in unread.glob(f"images/{image_id[:2]}/{image_id}.*"):
            _remove(path, unread)
    for face_id in removal.faces:
        _remove(cache / "faces" / face_id[:2] / f"{face_id}.png", unread)
    if not unread.is_link(cache / "parts"):
        for source, url in removal.offers:
            PartialFile(cache / "parts", f"{source} {url}").discard()
    _remove(cache / "pages", unread)  # any cached page may mention a removed picture
    if removal.manifests:
        _remove(cache / "arrays", unread)  # their pixels cannot be traced to single originals
    with database(cache / "results.sqlite", unread) as results:
        if results:
            rows = results.execute("SELECT name, key, value FROM result")
            matching = [row[:2] for row in rows if removal.hashes & {*HEX64.findall(f"{row[1]} {row[2]}")}]
            _execute_and_vacuum(results, "DELETE FROM result WHERE name = ? AND key = ?", matching)
    if unread.holds(cache / "results.sqlite") and not unread.is_link(cache / "results.sqlite"):
        for name in ("results.sqlite", "results.sqlite-wal", "results.sqlite-shm", "faces"):
            _remove(cache / name, unread)  # damaged: it is unknown which crops to remove, so all are
        unread.drop(cache / "results.sqlite")
    with database(root / "ledger.sqlite", unread) as ledger:
        if ledger:
            _execute_and_vacuum(
                ledger,
                (
                    "UPDATE post SET url = NULL, offer = NULL, reason = 'blocked', detail = 'taken down' "
                    "WHERE url = ?2 AND harvest IN (SELECT id FROM harvest WHERE json_extract(about, '$.source') = ?1)"
                ),
                removal.offers,
            )
            _execute_and_vacuum(ledger, "DELETE FROM file WHERE source = ? AND url = ?", removal.offers)


def _execute_and_vacuum(database: sqlite3.Connection, statement: str, rows: Iterable[tuple]) -> None:
    """Run the statement for each row, then vacuum the file and truncate its log, so that no deleted data remains."""
    database.execute("BEGIN IMMEDIATE")
    database.executemany(statement, list(rows))
    database.execute("COMMIT")
    database.execute("VACUUM")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
