"""Publishing a complete dataset under a name, by one os.replace.

`datasets/<name>` is a link to `datasets/.versions/<digest>/`. The request (source, query and path) is in
`datasets/.requests/<name>.json`, since the same pictures may come from two paths. A real folder `datasets/<name>`,
copied from another data root, is a dataset too; `adopt` moves it below .versions before it is changed.
"""

import contextlib
import itertools
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import UserError
from pipeline.manifest import sha256_of
from pipeline.store import Store, replace_file
from pipeline.stored import read_json

COPIED = {"source": "a copy from elsewhere", "query": "", "path": None}
"""The request of a dataset that was copied here."""


_RECORD_SHAPE = {"version": str, "request": dict}


def check_name(name: str, *, option: str = "--name") -> None:
    """Raise UserError unless `name` is one plain file name: it becomes a path below the data root."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", name):
        expected = "letters, digits, '.', '_' and '-', not starting with '.' or '-'"
        raise UserError(option, f"'{name}' given", expected, "rename it")


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
    """Return the last record of `name`: `version` (empty after a removal) and `request`. Empty if there is none."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, ValueError):
        record: dict = read_json(root / "datasets" / ".requests" / f"{name}.json", _RECORD_SHAPE)
        return record
    return {}


def request_of(root: Path, name: str) -> dict:
    """Return the request of `name`, also if the dataset is gone: source, query and path. COPIED if the dataset was not
    published here; empty if there is no record."""
    if os.path.lexists(root / "datasets" / name) and not version_of(root, name):
        return COPIED
    request: dict = _record(root, name).get("request", {})
    return request


def check_place(root: Path, name: str) -> None:
    """Raise UserError if there is something of that name that is not a dataset."""
    place = root / "datasets" / name
    if os.path.lexists(place) and not place.is_symlink() and published(root, name) is None:
        raise UserError(place, "exists, and was not made by this program", "a free name", "move it away or give --name")


def check_request(root: Path, name: str, request: dict, digest: Callable[[], str]) -> None:
    """Raise UserError if `name` holds the dataset of another request, or a copy of another dataset than the version of
    that digest. `request`: source, query and path."""
    place, stored = root / "datasets" / name, request_of(root, name)
    version = published(root, name)
    if version is None or (version_of(root, name) and _record(root, name).get("version") != version):
        return  # the build was killed between the record and the link
    if stored == COPIED:
        made = root / "datasets" / ".versions" / digest() / "manifest.parquet"
        if made.is_file() and sha256_of(made) == sha256_of(place / "manifest.parquet"):
            return
    if stored != request:
        differing = [key for key in request if stored.get(key) != request[key]]
        changed = ", ".join(f"{key} {stored.get(key)!r} (now {request[key]!r})" for key in differing)
        cure = "give --name, or --replace to build over it (the old version is kept)"
        raise UserError(place, f"holds a dataset made with {changed}", "another --name for another request", cure)


def adopt(store: Store, name: str) -> Path:
    """Return the folder that `name` links to. A real folder, copied from elsewhere, is moved below .versions first and
    replaced by a link. The store must be claimed."""
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
    _note(store, name, free, COPIED)  # first: after a kill between the next two, the record says what was there
    os.rename(place, versions / free)
    _link(store, name, free)


def publish(store: Store, name: str, request: dict, *, replace: bool = False) -> None:
    """Link `name` to the version of the store's digest, in one step: a reader sees the old dataset or the new.

    Raise UserError if something else of that name is in the way; another request's dataset or a copy of another one
    too, unless `replace`. What is replaced is kept below .versions. Raise FileNotFoundError if the version is gone."""
    with store.lock(f"dataset {name}"):
        check_place(store.root, name)
        if not replace:
            check_request(store.root, name, request, lambda: store.digest)
        os.stat(store.root / "datasets" / ".versions" / store.digest)
        _adopt(store, name)
        _note(store, name, store.digest, request)
        _link(store, name, store.digest)


def remove(store: Store, name: str) -> None:
    """Remove the link `name`, but keep a record of its source, so that nothing else is built in its place without
    --replace."""
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
