"""Takes pictures out of a data root: originals, crops, rows and caches; and names the runs that learned from them.

What is to go is noted first (`takedown.json`), so that a kill at any moment leaves nothing half forgotten: the next
takedown begins with what the note says.
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
from pipeline.datasets import corrections
from pipeline.datasets import publish as datasets
from pipeline.datasets.splits import split_of
from pipeline.datasets.takedown_index import (
    Left,
    Removal,
    before,
    collect,
    database,
    holds,
    image_of,
    is_of,
    tables_below,
    undecided,
)
from pipeline.errors import UserError
from pipeline.manifest import FACES, FUNNEL, ManifestError, batches, check_folder, load_crop, read, sha256_of
from pipeline.store import Store, replace_file
from pipeline.stored import HEX64, read_json
from pipeline.web.partial_file import PartialFile


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
    left: dict[str, str] = field(default_factory=dict)
    """What could not be looked into, relative to the data root -> why: nothing of it was changed."""
    undecided: list[str] = field(default_factory=list)
    """`source source_id` of pictures that may be the artist's: their source names neither artist nor tags."""


def take_down(root: Path, kind: str, text: str, reason: str) -> Outcome:
    """Remove every picture that the cell (kind, text) of a block list names, and block it from now on. What cannot be
    read is told in the outcome, and does not keep the rest. Raises UserError if another process is at work, or the note
    of a killed takedown is damaged, ValueError if the text is none of its kind."""
    store, left = Store(root, "takedown"), Left(root)
    for place in (store.work, root / "datasets" / ".requests", root / "takedown.json"):
        if left.is_link(place):
            raise UserError(
                root / [*left][-1],
                "is a link",
                "a file or folder of this data root",
                "move what it names to where the link is, and give the same command again",
            )
    with store.claim() as scratch:
        if not left.is_link(root / "datasets" / ".versions"):
            _adopt_copies(store)
        tables = tables_below(left)
        path = root / "takedown.json"
        removal = Removal.at(path)
        if kind == "sha256":
            text = image_of(text.strip().lower(), tables)
        if text not in removal.faces:  # of a takedown that was killed, whose picture is on the list already
            blocklist.add(root, kind, text, reason, scratch)
            collect(removal, root, BlockList(frozenset({blocklist.parse_cell(kind, text)})), tables, left)
        _check_idle(store)  # what starts from now on reads the longer list
        removal.keep(path, scratch)
        outcome = Outcome(len(removal.seen), len(removal.faces), left=left)
        if kind == "artist":
            outcome.undecided = undecided(tables, removal)
        _runs(root, removal, outcome)
        if not left.holds(root / "datasets" / ".versions"):
            _datasets(store, removal, outcome)
        for table in tables:
            if root / "stages" in table.parents and table.exists() and holds(table, removal):
                _discard(table.parent, scratch)
        for file in left.glob("recipes/*.parquet"):
            if not left.holds(file):
                _rewrite_recipe(file, removal, scratch, left)
        _forget(root, removal, left)
        for file in left.glob("corrections/*.csv"):
            if file.is_file():
                held = file.read_bytes()
                if (without := corrections.without(held, removal.faces)) != held:
                    replace_file(file, without, scratch=scratch)
        _check_idle(store)
        path.unlink()
    return outcome


def _check_idle(store: Store) -> None:
    """Raises UserError if a build is under way: it would bring back what it has read already."""
    for file in store.work.glob("*.lock"):
        if file.stem != store.digest and file.is_file() and not file.is_symlink():
            try:
                store.lock(file.stem).acquire(timeout=0).__exit__(None, None, None)
            except Timeout:
                raise UserError(
                    file,
                    "another process is at work in this data root",
                    "none",
                    "wait until it has ended, and give the same command again",
                ) from None


def _adopt_copies(store: Store) -> None:
    """Move the datasets that were copied here below .versions, where the rows are looked for; not what is damaged."""
    for place in sorted((store.root / "datasets").glob("[!.]*")):
        if not place.is_symlink() and not (place / "manifest.parquet").is_symlink():
            with contextlib.suppress(ManifestError, OSError):  # then it is named below
                check_folder(place)
                datasets.adopt(store, place.name)


def _discard(folder: Path, scratch: Path) -> None:
    """In one step: half a folder would not be known for what it is."""
    gone = scratch / f"{folder.parent.name} {folder.name}"
    os.replace(folder, gone)
    shutil.rmtree(gone)


def _datasets(store: Store, removal: Removal, outcome: Outcome) -> None:
    """Every version of a dataset that holds it is made again without it."""
    root = store.root
    names_of: dict[Path, list[str]] = {}
    for place in sorted((root / "datasets").glob("[!.]*")):
        version = datasets.version_of(root, place.name)
        manifest = version and version / "manifest.parquet"
        if manifest and manifest.is_file() and not outcome.left.holds(manifest):
            names_of.setdefault(version, []).append(place.name)
        elif place.is_symlink() or place.is_dir():
            outcome.datasets[place.name] = "not looked at: damaged, or a link that leads elsewhere"
    for version in outcome.left.glob("datasets/.versions/*"):
        tables = (version / "manifest.parquet", version / "funnel.parquet")
        if any(path.exists() and not outcome.left.holds(path) and holds(path, removal) for path in tables):
            names = names_of.get(version, [])
            words = _made_without(store, version, names, removal, outcome.left)
            outcome.datasets |= dict.fromkeys(names, words)
            _discard(version, store.scratch)


def _made_without(store: Store, version: Path, names: list[str], removal: Removal, left: Left) -> str:
    """Make a version again without it, for the names that link to it; what became of it, in words."""
    try:
        held = read(version / "manifest.parquet", FACES)
        rest = _without(held, removal)
        table, words = _with_crops(version, rest), "none of its faces is left"
        if len(table):
            _publish_without(store.root, version, names, removal, held, table, left)
            lost = len(rest) - len(table)
            dropped = f"; {lost:,} are dropped, since their crops are gone or damaged" if lost else ""
            return f"{len(table):,} of {len(held):,} faces are left{dropped}{_near(held, table, removal)}"
    except ManifestError as error:  # of an older program, most likely
        words = f"it could not be made again: {error}"
    for name in names:
        datasets.remove(store, name)
    return f"removed: {words}"


def _with_crops(version: Path, table: pa.Table) -> pa.Table:
    """Return the rows whose crop is there and whole."""
    crops = zip(table["path"].to_pylist(), table["size"].to_pylist(), strict=True)
    return table.filter(pa.array([_is_crop(version, path, size) for path, size in crops], pa.bool_()))


def _is_crop(version: Path, path: str, size: int) -> bool:
    try:
        load_crop(version, path, size)
    except ManifestError:
        return False
    return not (version / path).is_symlink()


def _publish_without(
    root: Path, version: Path, names: list[str], removal: Removal, held: pa.Table, table: pa.Table, left: Left
) -> None:
    funnel = version / "funnel.parquet"  # a copy from elsewhere may lack it
    is_readable = funnel.exists() and not left.holds(funnel) and not left.is_link(funnel)
    dropped = read(funnel, FUNNEL).to_pylist() if is_readable else []
    digest_inputs = json.dumps(["takedown", version.name, sorted(removal.images)])
    store = Store(root, hashlib.sha256(digest_inputs.encode()).hexdigest()[:16])
    with store.claim() as scratch:
        made, target = scratch / "made", version.with_name(store.digest)
        if not target.exists():  # as it may after a kill
            made.mkdir()
            gone = len({*held["image_id"].to_pylist()} & removal.images)
            build = _build_without(version, gone, left)
            datasets.assemble(made, table, _funnel_without(dropped, held, removal), build, version)
            if not left.is_link(version / datasets.REBUILD):
                _keep_report(version, made, removal)
            os.replace(made, target)
        for name in names:
            datasets.publish(store, name, datasets.request_of(root, name), replace=True)


def _funnel_without(dropped: list[dict], held: pa.Table, removal: Removal) -> list[dict]:
    """Without its rows; of others it may be told whose copy they are: "of 17", "the same crop as from 17"."""
    rows = zip(held["image_id"].to_pylist(), held["source_id"].to_pylist(), strict=True)
    ids = {source_id for image_id, source_id in rows if image_id in removal.images}
    theirs = tuple(f" {source_id}" for source_id in ids | {source_id for _, source_id in removal.posts})
    return [
        row | {"detail": ""} if row["detail"].endswith(theirs) else row for row in dropped if not is_of(row, removal)
    ]


def _near(held: pa.Table, left: pa.Table, removal: Removal) -> str:
    """What is left in the same groups: the same pictures from elsewhere, perhaps, which their artist did not name."""
    rows = zip(held["image_id"].to_pylist(), held["group"].to_pylist(), strict=True)
    groups = {group for image_id, group in rows if image_id in removal.images}
    rows = list(zip(held["face_id"].to_pylist(), held["group"].to_pylist(), held["split"].to_pylist(), strict=True))
    now = dict(zip(left["face_id"].to_pylist(), left["split"].to_pylist(), strict=True))
    near = [split != now[face_id] for face_id, group, split in rows if group in groups and face_id in now]
    moved = f", {sum(near):,} of them now in another split" if any(near) else ""
    return f"; {len(near):,} of them are near-duplicates of what was taken down: look at them{moved}" if near else ""


def _build_without(version: Path, gone: int, left: Left) -> datasets.Build:
    build = datasets.Build({}, 0, {})
    with contextlib.suppress(ManifestError):  # it is among what was left
        if not left.is_link(version / datasets.BUILD):
            build = datasets.build_of(version)
    gone_before = build.settings.get("taken down", 0)
    return build._replace(
        settings=build.settings | {"taken down": gone + (gone_before if isinstance(gone_before, int) else 0)},
        images=max(build.images - gone, 0),
        before=[*build.before, sha256_of(version / "manifest.parquet")],
    )


def _keep_report(version: Path, made: Path, removal: Removal) -> None:
    """Of a rebuilt dataset: what it says of other pictures. A damaged one says nothing."""
    try:
        told = read_json(version / datasets.REBUILD, {"changed": [str], "vanished": {str: [str]}})
    except (FileNotFoundError, ValueError):
        return
    theirs = {" ".join(post) for post in removal.posts}
    told["changed"] = [post for post in told["changed"] if post not in theirs]
    told["vanished"] = {
        reason: [post for post in posts if post not in theirs] for reason, posts in told["vanished"].items()
    }
    (made / datasets.REBUILD).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _without(table: pa.Table, removal: Removal) -> pa.Table:
    """Without its rows; groups that were named by it get the name of the smallest picture that is left of them."""
    table = table.filter(pc.invert(pc.is_in(table["image_id"], pa.array(sorted(removal.images), pa.string()))))
    ids, groups = table["image_id"].to_pylist(), table["group"].to_pylist()
    renamed: dict[str, str] = {}
    for image_id, group in zip(ids, groups, strict=True):
        if group in removal.images:
            renamed[group] = min(image_id, renamed.get(group, image_id))
    groups = [renamed.get(group, group) for group in groups]
    splits = [
        split_of(group) if was in renamed else split
        for group, was, split in zip(groups, table["group"].to_pylist(), table["split"].to_pylist(), strict=True)
    ]
    for name, values in (("group", groups), ("split", splits)):
        index = table.schema.get_field_index(name)
        field = table.schema.field(name)  # of a recipe that others saved, perhaps a dictionary
        table = table.set_column(index, field, pa.array(values, pa.string()).cast(field.type))
    return table


def _rewrite_recipe(path: Path, removal: Removal, scratch: Path, left: Left) -> None:
    if not holds(path, removal):
        return
    try:
        table = pa.Table.from_batches(batches(path))
        if missing := {"group", "split"}.difference(table.column_names):
            raise ValueError(f"lacks the column {min(missing)}")
        table = _without(table, removal)
    except (ValueError, pa.ArrowException) as error:
        left.add(path, f"it names what was taken down, and could not be read whole: {error}")
        return
    if not len(table):
        path.unlink()
        return
    file = scratch / "recipe.parquet"
    pq.write_table(table, file, compression="zstd")
    replace_file(path, file.read_bytes(), scratch=scratch)


_RUN_SHAPE = {"dataset": {"digest": str}, "init_from": ({"run": (str, None)}, None)}


def _runs(root: Path, removal: Removal, outcome: Outcome) -> None:
    """Name those that learned from it, or began with the weights of one that did; remove their sheets that show
    training faces."""
    known, left = set(), outcome.left
    for path in left.glob("datasets/.versions/*/manifest.parquet"):
        if path.is_file():
            known |= {sha256_of(path), *before(path.parent, left)}
    trained_on, began_with = {}, {}
    for path in left.glob("runs/*/config.json"):
        try:
            config, name = read_json(path, _RUN_SHAPE), path.parent.name
            trained_on[name] = config["dataset"]["digest"]
            began_with[name] = (config.get("init_from") or {}).get("run")
        except ValueError as error:
            left.add(path, error)
    theirs = {name for name, digest in trained_on.items() if digest in removal.manifests}
    while heirs := {name for name, first in began_with.items() if first in theirs} - theirs:
        theirs |= heirs
    outcome.runs = sorted(theirs)
    outcome.unknown_runs = sorted(name for name in trained_on.keys() - theirs if trained_on[name] not in known)
    for name in theirs:
        _remove(root / "runs" / name / "generated" / "neighbours.png", left)


def _remove(path: Path, left: Left) -> None:
    """Remove a file or a folder of the data root, if it is there and no link is on the way to it."""
    if path.parent.is_dir() and not left.is_link(path.parent):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _forget(root: Path, removal: Removal, left: Left) -> None:
    """Originals, crops, caches, and the ledger's rows."""
    cache = root / "cache"
    for image_id in removal.images:
        for path in left.glob(f"images/{image_id[:2]}/{image_id}.*"):
            _remove(path, left)
    for face_id in removal.faces:
        _remove(cache / "faces" / face_id[:2] / f"{face_id}.png", left)
    if not left.is_link(cache / "parts"):
        for source, url in removal.offers:
            PartialFile(cache / "parts", f"{source} {url}").discard()
    _remove(cache / "pages", left)  # any of them may speak of it
    if removal.manifests:
        _remove(cache / "arrays", left)  # they hold pixels, and do not say whose
    with database(cache / "results.sqlite", left) as results:
        if results:
            rows = results.execute("SELECT name, key, value FROM result")
            doomed = [row[:2] for row in rows if removal.hashes & {*HEX64.findall(f"{row[1]} {row[2]}")}]
            _overwrite(results, "DELETE FROM result WHERE name = ? AND key = ?", doomed)
    if left.holds(cache / "results.sqlite") and not left.is_link(cache / "results.sqlite"):
        for name in ("results.sqlite", "results.sqlite-wal", "results.sqlite-shm", "faces"):
            _remove(cache / name, left)  # damaged: nobody can tell which crops are its
        left.drop(cache / "results.sqlite")
    with database(root / "ledger.sqlite", left) as ledger:
        if ledger:
            _overwrite(
                ledger,
                (
                    "UPDATE post SET url = NULL, offer = NULL, reason = 'blocked', detail = 'taken down' "
                    "WHERE url = ?2 AND harvest IN (SELECT id FROM harvest WHERE json_extract(about, '$.source') = ?1)"
                ),
                removal.offers,
            )
            _overwrite(ledger, "DELETE FROM file WHERE source = ? AND url = ?", removal.offers)


def _overwrite(database: sqlite3.Connection, statement: str, rows: Iterable[tuple]) -> None:
    """Leave nothing of the rows in the file, nor in its write-ahead log."""
    database.execute("BEGIN IMMEDIATE")
    database.executemany(statement, list(rows))
    database.execute("COMMIT")
    database.execute("VACUUM")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
