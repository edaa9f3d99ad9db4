"""A dataset's folder: assembled whole, then published under a name by one os.replace.

`datasets/<name>` is a link to `datasets/.versions/<digest>/`; what the name was asked for stands beside, in
`datasets/.requests/<name>.json`, since the same pictures may come from two paths.
"""

import contextlib
import importlib.metadata
import json
import os
import re
import shutil
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from pipeline import corrections, detect, faces, groups, hair, hair_color, images, near, report
from pipeline.errors import UserError
from pipeline.manifest import FACES, FUNNEL, check_faces, write
from pipeline.store import NO_HARD_LINKS, Store, replace_file

VERSION = 2
BUILD, REBUILD = "build.json", "rebuild.json"
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


def build_of(folder: Path) -> Build:
    """Of the dataset in `folder`; with nothing in it if none is told there."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Build(**json.loads((folder / BUILD).read_text(encoding="utf-8")))
    return Build({}, 0, {})


def check_name(name: str, *, option: str = "--name") -> None:
    """Raises UserError unless `name` is one plain file name: it becomes a path below the data root."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", name):
        raise UserError(
            option, f"'{name}' given", "letters, digits, '.', '_' and '-', not starting with '.' or '-'", "rename it"
        )


def published(root: Path, name: str) -> str | None:
    """The digest of the version that `name` stands for now."""
    with contextlib.suppress(OSError):  # not there, or not a link: nothing of ours
        return Path(os.readlink(root / "datasets" / name)).name
    return None


def check_place(root: Path, name: str) -> None:
    """Raises UserError if something of that name is in the way that is none of ours."""
    place = root / "datasets" / name
    if place.exists() and not place.is_symlink():
        raise UserError(place, "is there, and not made by this program", "a free name", "move it away or give --name")


def check_request(root: Path, name: str, request: dict) -> None:
    """Raises UserError if `name` holds what another request made. `request`: source, query and path."""
    file = root / "datasets" / ".requests" / f"{name}.json"
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        held, of_version = record["request"], record["version"]
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return
    if of_version != published(root, name):
        return  # the build was killed between the record and the link
    if held != request:
        changed = ", ".join(f"{key} {held.get(key)!r}" for key in request if held.get(key) != request[key])
        raise UserError(
            root / "datasets" / name, f"holds a dataset made with {changed}", "another --name for another request",
            "give --name, or --replace to build over it (the old version is kept)",
        )  # fmt: skip


def request_of(root: Path, name: str) -> dict:
    """What `name` was asked for, as `publish` noted it."""
    record = root / "datasets" / ".requests" / f"{name}.json"
    return json.loads(record.read_text(encoding="utf-8"))["request"] if record.exists() else {}


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
    """Each file source/path under a second name, target/path; a copy where the file system has no hard links."""
    for folder in {os.path.dirname(path) for path in paths}:
        (target / folder).mkdir(parents=True, exist_ok=True)
    for path in paths:
        old, new = f"{source}/{path}", f"{target}/{path}"
        try:
            os.link(old, new)
        except OSError as error:
            if error.errno not in NO_HARD_LINKS:
                raise
            shutil.copyfile(old, new)


def publish(store: Store, name: str, request: dict, *, replace: bool = False) -> None:
    """Let `name` stand for the version of the store's digest, in one step: a reader sees the old dataset or the new.

    Raises UserError if something else of that name is in the way; another request's dataset too, unless `replace`."""
    datasets = store.root / "datasets"
    place = datasets / name
    with store.lock(f"dataset {name}"):
        check_place(store.root, name)
        if not replace:
            check_request(store.root, name, request)
        requests = datasets / ".requests"
        requests.mkdir(exist_ok=True)
        record = json.dumps({"version": store.digest, "request": request}).encode()
        replace_file(requests / f"{name}.json", record, scratch=store.scratch)
        link = store.scratch / "link"
        link.symlink_to(Path(".versions") / store.digest)
        os.replace(link, place)
