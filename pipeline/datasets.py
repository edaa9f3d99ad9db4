"""A dataset's folder: assembled whole, then published under a name in one step.

A version is built as `datasets/.versions/<digest>/` and stays there. `datasets/<name>/` holds the same files (hard
links) and the version's digest in digest.txt: an ordinary folder, which can be copied, packed and moved. What the name
was asked for stands beside, in `datasets/.requests/<name>.json`, since the same pictures may come from two paths, and a
path is nobody else's business. Older programs made `datasets/<name>` a link to its version: it is read as before, and
becomes a folder when it is published again.
"""

import contextlib
import errno
import importlib.metadata
import itertools
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from pipeline import corrections, detect, faces, groups, hair, hair_color, images, near, report
from pipeline.errors import UserError
from pipeline.manifest import FACES, FUNNEL, ManifestError, check_faces, check_folder, sha256_of, write
from pipeline.store import NO_HARD_LINKS, Store, exchange, replace_file
from pipeline.stored import HEX64, check, read_json

VERSION = 2
BUILD, REBUILD = "build.json", "rebuild.json"
DIGEST = "digest.txt"  # of the version that a published folder holds
CORRECTED = "corrections by hand"  # a line of the card


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
        "dataset": VERSION, "images": images.VERSION, "detect": detect.VERSION, "crop": faces.CROP_VERSION,
        "hair": f"{hair.VERSION}.{hair_color.version()}", "groups": groups.VERSION, "near": near.VERSION,
    } | {name: _installed(name) for name in names}  # fmt: skip


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # OpenCV has several
        return "another"


_BUILD_SHAPE = {"settings": {str: (str, int, float, bool, None)}, "images": int, "versions": dict, "before": [HEX64]}
_RECORD_SHAPE = {"version": str, "replaced": (str, None), "request": dict}


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


_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


def check_name(name: str, *, option: str = "--name") -> None:
    """Raises UserError unless `name` is one plain file name: it becomes a path below the data root."""
    if not _NAME.fullmatch(name):
        raise UserError(
            option, f"'{name}' given", "letters, digits, '.', '_' and '-', not starting with '.' or '-'", "rename it"
        )


def _linked(root: Path, name: str) -> Path | None:
    """Return the version that `name` is a link to, as older programs made it; None if it is no such link."""
    with contextlib.suppress(OSError):
        target = os.readlink(root / "datasets" / name)
        if re.fullmatch(r"\.versions/[0-9a-f]{16}", target):
            return root / "datasets" / target
    return None


def published(root: Path, name: str) -> str | None:
    """Return the digest of the version that `name` holds now; for a dataset that came without one, the first 16 digits
    of its manifest's sha256; None if nothing of the kind is there."""
    place = root / "datasets" / name
    if version := _linked(root, name):
        return version.name
    with contextlib.suppress(OSError, ValueError):
        told = (place / DIGEST).read_text(encoding="ascii").strip() if (place / DIGEST).is_file() else ""
        if re.fullmatch("[0-9a-f]{16}", told):
            return told
    with contextlib.suppress(OSError):
        if (place / "manifest.parquet").is_file():
            return sha256_of(place / "manifest.parquet")[:16]
    return None


def is_published(root: Path, name: str, digest: str) -> bool:
    """Return whether `name` is a folder with the version of that digest. A link of an older program is none: publishing
    makes it one."""
    if published(root, name) != digest or _linked(root, name):
        return False
    with contextlib.suppress(ManifestError):
        check_folder(root / "datasets" / name)
        return True
    return False


def _record(root: Path, name: str) -> dict:
    """Return what `publish` noted last of `name`: `version`, what it `replaced`, `request`; empty if nothing."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        return read_json(root / "datasets" / ".requests" / f"{name}.json", _RECORD_SHAPE)
    return {}


def is_copy(root: Path, name: str) -> bool:
    """Return whether something lies under `name` that was not published here: a dataset copied from elsewhere."""
    if _linked(root, name) or not os.path.lexists(root / "datasets" / name):
        return False
    record = _record(root, name)
    return published(root, name) not in (record.get("version"), record.get("replaced", ""))  # replaced: killed between


def check_place(root: Path, name: str) -> None:
    """Raises UserError if something of that name is in the way that is no dataset."""
    place = root / "datasets" / name
    if os.path.lexists(place) and not place.is_symlink() and published(root, name) is None:
        raise UserError(place, "is there, and not made by this program", "a free name", "move it away or give --name")


def check_request(root: Path, name: str, request: dict) -> None:
    """Raises UserError if `name` holds what another request made. `request`: source, query and path."""
    record = _record(root, name)
    if not record or record.get("version") != published(root, name):
        return  # of a copy, `check_copy` says so; or the build was killed between the record and the folder
    held = record["request"]
    if held != request:
        changed = ", ".join(f"{key} {held.get(key)!r}" for key in request if held.get(key) != request[key])
        raise UserError(
            root / "datasets" / name, f"holds a dataset made with {changed}", "another --name for another request",
            "give --name, or --replace to build over it (the old version is kept)",
        )  # fmt: skip


def check_copy(root: Path, name: str, digest: Callable[[], str]) -> None:
    """Raise UserError if `name` holds a dataset copied from elsewhere that is not of that digest."""
    if is_copy(root, name) and published(root, name) != digest():
        raise UserError(
            root / "datasets" / name, "holds another dataset, which was not built here", "a name that is free",
            "give --name, or --replace to build over it (what is there is kept)",
        )  # fmt: skip


def request_of(root: Path, name: str) -> dict:
    """What `name` was asked for, as `publish` noted it; empty for a copy from elsewhere."""
    return {} if is_copy(root, name) else _record(root, name).get("request", {})


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


def files_below(folder: Path) -> dict[str, os.stat_result]:
    """Return every path below `folder`, relative to it, that is no folder, without digest.txt. No link is followed."""
    found, folders = {}, [""]
    while folders:
        here = folders.pop()
        with os.scandir(folder / here) as entries:
            for entry in entries:
                path = f"{here}/{entry.name}" if here else entry.name
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                elif path != DIGEST:
                    found[path] = entry.stat(follow_symlinks=False)
    return found


def link_all(paths: list[str], source: Path, target: Path) -> None:
    """Each file source/path under a second name, target/path; a copy where the file system has no hard links. Raises
    ManifestError if a path leads out of the folder."""
    for path in paths:
        if path.startswith("/") or ".." in path.split("/"):
            raise ManifestError(source, f"names the file {path!r}", "paths within the dataset", "build it again")
    for folder in {os.path.dirname(path) for path in paths}:
        (target / folder).mkdir(parents=True, exist_ok=True)
    for path in paths:
        old, new = f"{source}/{path}", f"{target}/{path}"
        try:
            os.link(old, new, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (*NO_HARD_LINKS, errno.EXDEV):
                raise
            shutil.copyfile(old, new, follow_symlinks=False)
            was = os.lstat(old)  # by its time `keep` knows it again
            os.utime(new, ns=(was.st_atime_ns, was.st_mtime_ns), follow_symlinks=False)


def keep(store: Store, name: str) -> Path | None:
    """Return a folder below .versions with all that `name` holds, made of it by hard links if there is none; None if
    `name` is a link to elsewhere. The store is claimed, and the lock of the name is held."""
    if version := _linked(store.root, name):
        return version
    place, versions = store.root / "datasets" / name, store.root / "datasets" / ".versions"
    if place.is_symlink():
        return None
    digest, held = published(store.root, name), _states(place)
    copies = sorted(versions.glob(f"{digest}.*"))
    for version in (versions / digest, *copies):
        if version.is_dir() and held.items() <= _states(version).items():
            return version
    # Never under the bare digest: what lies there was built here, and is published again as it is.
    free = (versions / f"{digest}.{number}" for number in itertools.count(1))
    version, copy = next(path for path in free if path not in copies), store.scratch / "kept"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    link_all([*held], place, copy)
    versions.mkdir(exist_ok=True)
    os.rename(copy, version)
    return version


def _states(folder: Path) -> dict[str, tuple]:
    """Return what tells one version of a file from another, by its path: size and time; of the manifest its sha256."""
    states = {path: (stat.st_size, stat.st_mtime_ns) for path, stat in files_below(folder).items()}
    with contextlib.suppress(OSError):
        states["manifest.parquet"] = (sha256_of(folder / "manifest.parquet"),)
    return states


def keep_all(store: Store) -> dict[Path, list[str]]:
    """Return each version that some name holds now, made of it where there is none, with these names. A name that is
    damaged, or a link to elsewhere, is left out."""
    names: dict[Path, list[str]] = {}
    for place in sorted((store.root / "datasets").glob("[!.]*")):
        is_stray = place.is_symlink() and not _linked(store.root, place.name)
        if _NAME.fullmatch(place.name) and not is_stray and not (place / "manifest.parquet").is_symlink():
            with contextlib.suppress(ManifestError), store.lock(f"dataset {place.name}"):
                check_folder(place)
                if version := keep(store, place.name):
                    names.setdefault(version, []).append(place.name)
    return names


def publish(store: Store, name: str, request: dict, *, replace: bool = False) -> None:
    """Let `name` hold the version of the store's digest, in one step: whoever opens it sees the old dataset or the new.

    Raises UserError if something else of that name is in the way; another request's dataset or a copy from elsewhere
    too, unless `replace`. What is replaced is kept below .versions."""
    datasets = store.root / "datasets"
    place, version = datasets / name, datasets / ".versions" / store.digest
    with store.lock(f"dataset {name}"):
        check_place(store.root, name)
        if not replace:
            check_request(store.root, name, request)
            check_copy(store.root, name, lambda: store.digest)
        new = store.scratch / "published"
        try:
            link_all([*files_below(version)], version, new)
            (new / DIGEST).write_text(f"{store.digest}\n", encoding="ascii")
            kept = keep(store, name) if os.path.lexists(place) else None
            if request:
                requests = datasets / ".requests"
                requests.mkdir(exist_ok=True)
                record = {"version": store.digest, "replaced": published(store.root, name), "request": request}
                replace_file(requests / f"{name}.json", json.dumps(record).encode(), scratch=store.scratch)
            _put(new, place, kept, aside=store.scratch / "replaced")
        except FileNotFoundError as error:
            raise UserError(
                error.filename or place, "was removed while this program worked with it", "that it stays there",
                "give the same command again",
            ) from error  # fmt: skip


def _put(new: Path, place: Path, kept: Path | None, *, aside: Path) -> None:
    """Rename `new` to `place`, in exchange for what is there, and remove that: `kept` has the same files."""
    if not os.path.lexists(place):
        os.rename(new, place)
        return
    if exchange(new, place):
        os.rename(new, aside)
        if not aside.is_symlink() and kept and _states(aside) == _states(kept):
            exchange(aside, kept)  # whoever has the old folder open reads on in it
    else:
        os.rename(place, aside)
        try:
            os.rename(new, place)
        except BaseException:
            os.rename(aside, place)
            raise
    if aside.is_symlink():
        aside.unlink()
    else:
        shutil.rmtree(aside)
