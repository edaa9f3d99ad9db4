"""A dataset's folder: assembled whole, then published under a name by one os.replace.

`datasets/<name>` is a link to `datasets/.versions/<digest>/`; what the name was asked for stands beside, in
`datasets/.requests/<name>.json`, since the same pictures may come from two paths. A real folder `datasets/<name>`,
copied from another data root, is a dataset too: what is to change it moves it below .versions first (`adopt`).
"""

import contextlib
import errno
import importlib.metadata
import itertools
import json
import os
import re
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from pipeline.datasets import card as report
from pipeline.datasets import corrections
from pipeline.datasets import splits as groups
from pipeline.errors import UserError
from pipeline.faces import crop as faces
from pipeline.faces import detect
from pipeline.hair import color_network as hair_color
from pipeline.hair import tagging as hair
from pipeline.images import collect as images
from pipeline.images import near_duplicates as near
from pipeline.manifest import FACES, FUNNEL, ManifestError, check_faces, is_within, sha256_of, write
from pipeline.store import NO_HARD_LINKS, Store, replace_file
from pipeline.stored import HEX64, check, read_json

VERSION = 2
BUILD, REBUILD = "build.json", "rebuild.json"
CORRECTED = "corrections by hand"  # a line of the card
COPIED = {"source": "a copy from elsewhere", "query": "", "path": None}  # as if that were what a name was asked for


class Build(NamedTuple):
    """How a dataset was made: `build.json` beside its manifest. The same wherever it is made."""

    settings: dict[str, object]
    """What the build was asked for, without names and paths."""
    images: int
    """Pictures that were in."""
    versions: dict[str, object]
    """Of the code that a crop's bytes depend on."""
    before: list[str] = []  # noqa: RUF012  # never written to
    """sha256 of the manifests that this one was made from, by taking faces out."""


def versions() -> dict[str, object]:
    """Of the steps of this program, and of the libraries that decode and resample."""
    names = ("pillow", "opencv-python-headless", "numpy", "pyarrow")
    return {
        "dataset": VERSION,
        "images": images.VERSION,
        "detect": detect.VERSION,
        "crop": faces.CROP_VERSION,
        "hair": f"{hair.VERSION}.{hair_color.version()}",
        "groups": groups.VERSION,
        "near": near.VERSION,
    } | {name: _installed(name) for name in names}


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # OpenCV has several
        return "another"


_BUILD_SHAPE = {"settings": {str: (str, int, float, bool, None)}, "images": int, "versions": dict, "before": [HEX64]}
_RECORD_SHAPE = {"version": str, "request": dict}


def build_of(folder: Path) -> Build:
    """Of the dataset in `folder`; with nothing in it if none is told there. Raises ManifestError if it is damaged."""
    try:
        return build_from(read_json(folder / BUILD, dict))
    except FileNotFoundError:
        return Build({}, 0, {})
    except ValueError as error:
        raise ManifestError(folder / BUILD, f"damaged ({error})", "how a dataset was built", "remove it") from error


def build_from(told: dict) -> Build:
    """Return what a build.json, or a recipe, says of its build. Raise ValueError unless it has the right shape."""
    told = {"before": []} | {name: told[name] for name in Build._fields if name in told}
    check(told, _BUILD_SHAPE)
    return Build(**told)


def check_name(name: str, *, option: str = "--name") -> None:
    """Raises UserError unless `name` is one plain file name: it becomes a path below the data root."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", name):
        raise UserError(
            option, f"'{name}' given", "letters, digits, '.', '_' and '-', not starting with '.' or '-'", "rename it"
        )


def version_of(root: Path, name: str) -> Path | None:
    """Return the folder below .versions that `name` is a link to; None if it is no such link."""
    with contextlib.suppress(OSError):
        target = os.readlink(root / "datasets" / name)
        if re.fullmatch(r"\.versions/[0-9a-f]{16}(\.[0-9]+)?", target):
            return root / "datasets" / target
    return None


def published(root: Path, name: str) -> str | None:
    """Return the digest of the version that `name` stands for now; of a dataset copied from elsewhere, the first 16
    digits of its manifest's sha256; None if nothing of the kind is there."""
    if version := version_of(root, name):
        return version.name
    manifest = root / "datasets" / name / "manifest.parquet"
    with contextlib.suppress(OSError):
        return sha256_of(manifest)[:16] if manifest.is_file() else None
    return None


def _record(root: Path, name: str) -> dict:
    """Return what was noted last of `name`: `version` (empty once it was removed) and `request`; empty if nothing."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, ValueError):
        return read_json(root / "datasets" / ".requests" / f"{name}.json", _RECORD_SHAPE)
    return {}


def request_of(root: Path, name: str) -> dict:
    """Return what `name` was asked for, also if it is gone: source, query and path; COPIED of what lies there without
    being published here; empty if nobody knows."""
    if os.path.lexists(root / "datasets" / name) and not version_of(root, name):
        return COPIED
    return _record(root, name).get("request", {})


def check_place(root: Path, name: str) -> None:
    """Raises UserError if something of that name is in the way that is no dataset."""
    place = root / "datasets" / name
    if os.path.lexists(place) and not place.is_symlink() and published(root, name) is None:
        raise UserError(place, "is there, and not made by this program", "a free name", "move it away or give --name")


def check_request(root: Path, name: str, request: dict, digest: Callable[[], str]) -> None:
    """Raises UserError if `name` holds what another request made, or a copy of another dataset than the version of that
    digest. `request`: source, query and path."""
    place, held = root / "datasets" / name, request_of(root, name)
    version = published(root, name)
    if version is None or (version_of(root, name) and _record(root, name).get("version") != version):
        return  # the build was killed between the record and the link
    if held == COPIED:
        made = root / "datasets" / ".versions" / digest() / "manifest.parquet"
        if made.is_file() and sha256_of(made) == sha256_of(place / "manifest.parquet"):
            return
    if held != request:
        changed = ", ".join(f"{key} {held.get(key)!r}" for key in request if held.get(key) != request[key])
        raise UserError(
            place,
            f"holds a dataset made with {changed}",
            "another --name for another request",
            "give --name, or --replace to build over it (the old version is kept)",
        )


def assemble(out: Path, table: pa.Table, funnel: list[dict], build: Build, crops: Path) -> None:
    """Fill the empty folder `out` with all of a dataset. `crops` is the folder that `path` is relative to now."""
    link_all(table["path"].to_pylist(), crops, out)
    table = table.select(FACES.names)
    check_faces(table, out)
    write(table, FACES, out / "manifest.parquet")
    with_file_name = pa.schema([pa.field("file_name", pa.string(), nullable=False), *FACES])
    write(table.append_column("file_name", table["path"]), with_file_name, out / "metadata.parquet")
    order = sorted(funnel, key=lambda row: (row["stage"], row["source"], row["source_id"], row["reason"]))
    dropped = pa.Table.from_pylist(order, schema=FUNNEL)
    write(dropped, FUNNEL, out / "funnel.parquet")
    report.contact_sheet(table, out).save(out / "contact_sheet.png", compress_level=1)  # 9 would double its time
    report.hair_histogram(table).save(out / "hair_colors.png")
    report.reliability(hair_color.reliability()).save(out / "hair_reliability.png")
    (out / "README.md").write_text(report.card(table, dropped, build.images, build.settings), encoding="utf-8")
    (out / BUILD).write_text(json.dumps(build._asdict(), indent=1) + "\n", encoding="utf-8")


def assemble_corrected(
    out: Path, table: pa.Table, drops: list[dict], build: Build, crops: Path, by_hand: dict[str, str]
) -> pa.Table:
    """`assemble`, after what was corrected by hand (`corrections.read`) is carried out; the faces that are in. Raises
    UserError if none is."""
    corrected = corrections.carry_out(table.select(FACES.names), by_hand)
    if by_hand:
        told = ", ".join(f"{count:,} {kind}" for kind, count in sorted(corrected.counts.items()))
        build = build._replace(settings=build.settings | {CORRECTED: told})
    if not len(corrected.faces):
        raise UserError(
            "the corrections by hand", "they drop every face", "at least one that is left", "mend corrections/NAME.csv"
        )
    assemble(out, corrected.faces, [*drops, *corrected.drops], build, crops)
    return corrected.faces


def link_all(paths: list[str], source: Path, target: Path) -> None:
    """Each file source/path under a second name, target/path; a copy where the file system has no hard links. Raises
    ManifestError if a path leads out of the folder, or to a link, a folder or a device."""
    cure = "build it again"
    for folder in {os.path.dirname(path) for path in paths}:
        if ".." in folder.split("/") or not is_within(source / folder, source):
            raise ManifestError(source, f"names files in {folder!r}", "paths within the dataset", cure)
        (target / folder).mkdir(parents=True, exist_ok=True)
    for path in dict.fromkeys(paths):
        old, new = f"{source}/{path}", f"{target}/{path}"
        if not stat.S_ISREG(os.lstat(old).st_mode):
            raise ManifestError(source / path, "is no regular file", "the picture of a face", cure)
        try:
            os.link(old, new, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (*NO_HARD_LINKS, errno.EXDEV):
                raise
            shutil.copyfile(old, new, follow_symlinks=False)


def adopt(store: Store, name: str) -> Path:
    """Return the folder that `name` stands for, with all links followed; a real one, copied from elsewhere, is moved
    below .versions first, and a link put in its place. The store is claimed."""
    with store.lock(f"dataset {name}"):
        _adopt(store, name)
        return (store.root / "datasets" / name).resolve()


def _adopt(store: Store, name: str) -> None:
    place, digest = store.root / "datasets" / name, published(store.root, name)
    if place.is_symlink() or digest is None:
        return
    versions = place.parent / ".versions"
    versions.mkdir(exist_ok=True)
    names = itertools.chain([digest], (f"{digest}.{number}" for number in itertools.count(1)))
    free = next(each for each in names if not os.path.lexists(versions / each))
    _note(store, name, free, COPIED)  # first: a kill between the next two leaves word of what was there
    os.rename(place, versions / free)
    _link(store, name, free)


def publish(store: Store, name: str, request: dict, *, replace: bool = False) -> None:
    """Let `name` stand for the version of the store's digest, in one step: a reader sees the old dataset or the new.

    Raises UserError if something else of that name is in the way; another request's dataset or a copy of another one
    too, unless `replace`. What is replaced is kept below .versions."""
    with store.lock(f"dataset {name}"):
        check_place(store.root, name)
        if not replace:
            check_request(store.root, name, request, lambda: store.digest)
        try:
            os.stat(store.root / "datasets" / ".versions" / store.digest)
            _adopt(store, name)
            _note(store, name, store.digest, request)
            _link(store, name, store.digest)
        except FileNotFoundError as error:
            raise UserError(
                error.filename,
                "was removed while this program worked with it",
                "that it stays there",
                "give the same command again",
            ) from error


def remove(store: Store, name: str) -> None:
    """Remove the link `name`. That it was there, and from which source, is kept: nothing else is to be built in its
    place unasked."""
    _note(store, name, "", {"source": _record(store.root, name).get("request", {}).get("source", "unknown")})
    (store.root / "datasets" / name).unlink()


def _note(store: Store, name: str, version: str, request: dict) -> None:
    requests = store.root / "datasets" / ".requests"
    requests.mkdir(exist_ok=True)
    record = json.dumps({"version": version, "request": request}).encode()
    replace_file(requests / f"{name}.json", record, scratch=store.scratch)


def _link(store: Store, name: str, version: str) -> None:
    link = store.scratch / "link"
    link.symlink_to(Path(".versions") / version)
    os.replace(link, store.root / "datasets" / name)
