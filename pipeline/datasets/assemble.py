"""A dataset's folder, complete: items, manifest, funnel, card and pictures; and how it was built, `build.json`."""

import errno
import importlib.metadata
import json
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from pipeline.datasets import corrections, plots, splits
from pipeline.datasets.card import card
from pipeline.datasets.kinds import Kind
from pipeline.errors import UserError
from pipeline.faces import crop, detect
from pipeline.funnel import FUNNEL
from pipeline.hair import color_network, tagging
from pipeline.images import collect, near_duplicates
from pipeline.manifest import ManifestError, check_rows, conform, is_within, write
from pipeline.store import NO_HARD_LINKS
from pipeline.stored import HEX64, check, read_json

VERSION = 2
BUILD, REBUILD = "build.json", "rebuild.json"
CORRECTED = "corrections by hand"  # a line of the card


class Build(NamedTuple):
    """How a dataset was built: `build.json` beside its manifest. The same wherever it is built."""

    settings: dict[str, object]
    """Parameters of the build that change the result, without names and paths. Of merged datasets, lists where these
    differ; so in `versions` and `taggers`."""
    images: int
    """Number of originals that the build began with: pictures, or videos."""
    versions: dict[str, object]
    """Versions of the code that the bytes of an item depend on."""
    before: list[str] = []  # noqa: RUF012  # never written to
    """sha256 of the manifests that this one was made from by a takedown."""
    taggers: Mapping[str, object] = {}
    """Lines of the card on how often the taggers of hair colours disagree."""
    corrections: dict[str, int] = {}  # noqa: RUF012  # never written to
    """Kind of correction -> how many of it were applied, of the file corrections/NAME.csv."""
    generators: list[dict] = []  # noqa: RUF012  # never written to
    """The runs that generated the pictures of the source `generated`, each with the facts of GENERATOR."""

    @property
    def card_settings(self) -> dict[str, object]:
        """Return what the card shows: settings, taggers and corrections."""
        applied = ", ".join(f"{count:,} {kind}" for kind, count in sorted(self.corrections.items()))
        shown = {**self.settings, **self.taggers} | ({CORRECTED: applied} if applied else {})
        return {name: " + ".join(map(str, of)) if isinstance(of, list) else of for name, of in shown.items()}


def versions() -> dict[str, object]:
    """Return the versions of the stages, and of the libraries that decode and resample."""
    names = ("pillow", "opencv-python-headless", "numpy", "pyarrow")
    return {
        "dataset": VERSION,
        "images": collect.VERSION,
        "detect": detect.VERSION,
        "crop": crop.CROP_VERSION,
        "hair": f"{tagging.VERSION}.{color_network.version()}",
        "groups": splits.VERSION,
        "near": near_duplicates.VERSION,
    } | {name: _installed_version(name) for name in names}


def _installed_version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # OpenCV has several
        return "another"


_OLD_TAGGER_LINE = "hair colours"  # in files of version 0.1.0, such settings are lines of the taggers
GENERATOR = {"run": str, "model": str, "steps": int, "weights": HEX64, "dataset": str, "manifest": HEX64}
"""What is known of a run that generated pictures: its name, model, steps and the sha256 of its weights; the dataset
that it learned from, and the sha256 of that one's manifest."""
_SETTING = (str, int, float, bool, None)
_BUILD_SHAPE = {
    "settings": {str: (*_SETTING, [_SETTING])},
    "images": int,
    "versions": dict,
    "before": [HEX64],
    "taggers": {str: (str, [str])},
    "corrections": {str: int},
    "generators": [GENERATOR],
}


def build_of(folder: Path) -> Build:
    """Return how the dataset in `folder` was built; an empty Build if the folder has no build.json. Raise ManifestError
    if that is damaged."""
    try:
        return parse_build(read_json(folder / BUILD, dict))
    except FileNotFoundError:
        return Build({}, 0, {})
    except ValueError as error:
        raise ManifestError(folder / BUILD, f"damaged ({error})", "how a dataset was built", "remove it") from error


def parse_build(fields: dict) -> Build:
    """Return the Build of a build.json, or of a recipe. Raise ValueError unless it has the right shape."""
    empty: dict[str, object] = {"before": [], "taggers": {}, "corrections": {}, "generators": []}
    fields = empty | {name: fields[name] for name in Build._fields if name in fields}
    check(fields, _BUILD_SHAPE)
    build = Build(**fields)
    old = {key: str(value) for key, value in build.settings.items() if key.startswith(_OLD_TAGGER_LINE)}
    settings = {key: value for key, value in build.settings.items() if key not in old}
    return build._replace(settings=settings, taggers={**old, **build.taggers})


def assemble(out: Path, kind: Kind, table: pa.Table, funnel: list[dict], build: Build, items: Path) -> None:
    """Fill the empty folder `out` with a complete dataset. `path` in the table is relative to the folder `items`."""
    link_all(table["path"].to_pylist(), items, out)
    table = conform(table, kind.schema)
    check_rows(table, out)
    write(table, kind.schema, out / "manifest.parquet")
    with_file_name = pa.schema([pa.field("file_name", pa.string(), nullable=False), *kind.schema])
    write(table.append_column("file_name", table["path"]), with_file_name, out / "metadata.parquet")
    order = sorted(funnel, key=lambda row: (row["stage"], row["source"], row["source_id"], row["reason"]))
    dropped = pa.Table.from_pylist(order, schema=FUNNEL)
    write(dropped, FUNNEL, out / "funnel.parquet")
    rows = kind.rows_of_sheet(table.to_pylist())
    sheet = plots.contact_sheet(rows, out, kind.load_thumbnail, swatches=kind.has_hair_color)
    sheet.save(out / "contact_sheet.png", compress_level=1)  # level 9 would double its time
    for name, chart in kind.charts(table, out).items():
        chart.save(out / name)
    text = card(kind, table, dropped, build.images, build.card_settings, build.generators)
    (out / "README.md").write_text(text, encoding="utf-8")
    (out / BUILD).write_text(json.dumps(build._asdict(), indent=1) + "\n", encoding="utf-8")


def assemble_corrected(
    out: Path,
    kind: Kind,
    table: pa.Table,
    drops: list[dict],
    build: Build,
    items: Path,
    by_id: dict[str, corrections.Correction],
) -> pa.Table:
    """Apply the corrections by hand (`corrections.read`), `assemble`, and return the rows that are in. Raise UserError
    if none is left."""
    corrected = corrections.apply(kind, conform(table, kind.schema), by_id)
    if by_id:
        build = build._replace(corrections=corrected.counts)
    if not len(corrected.table):
        cure = "correct corrections/NAME.csv"
        raise UserError("the corrections by hand", f"they drop every {kind.item}", "at least one that is left", cure)
    assemble(out, kind, corrected.table, [*drops, *corrected.drops], build, items)
    return corrected.table


def link_all(paths: list[str], source: Path, target: Path) -> None:
    """Hard-link each file source/path to target/path; copy it where the file system has no hard links. Raise
    ManifestError if a path leads out of the folder, or to a link, a folder or a device."""
    cure = "build it again"
    for folder in {os.path.dirname(path) for path in paths}:
        if ".." in folder.split("/") or not is_within(source / folder, source):
            raise ManifestError(source, f"names files in {folder!r}", "paths within the dataset", cure)
        (target / folder).mkdir(parents=True, exist_ok=True)
    for path in dict.fromkeys(paths):
        old, new = f"{source}/{path}", f"{target}/{path}"
        if not stat.S_ISREG(os.lstat(old).st_mode):
            raise ManifestError(source / path, "is no regular file", "the picture of a row", cure)
        try:
            os.link(old, new, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (*NO_HARD_LINKS, errno.EXDEV):
                raise
            shutil.copyfile(old, new, follow_symlinks=False)
