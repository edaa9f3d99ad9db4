"""Recipes: a dataset without its pixels, to be shared where the pictures cannot be; and the dataset rebuilt from one.

A recipe is a manifest with the Build in the metadata of its Parquet file. A dataset's own manifest.parquet serves as a
recipe too, with the build.json beside it.
"""

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from pipeline import manifest
from pipeline.datasets import assemble
from pipeline.datasets.assemble import Build
from pipeline.datasets.kinds import FACE_KIND, KINDS, Kind, kind_of
from pipeline.faces import crop
from pipeline.funnel import funnel_row
from pipeline.manifest import ManifestError
from pipeline.sources.base import Post, Skipped
from pipeline.sources.drawn import QUERIES, picture
from pipeline.store import Store, replace_file
from pipeline.stored import HEX64, parse_json
from pipeline.terminal import sanitize_line

VERSION = 1
_BUILD, _OF = b"build", b"dataset"
MAX_CUTS = 100  # kinds of crops, by size, scale and rotation
_CURE = "take the recipe as it was exported"


@dataclass(frozen=True)
class Recipe:
    """A recipe that was read and checked."""

    kind: Kind
    rows: pa.Table
    build: Build

    @functools.cached_property
    def pictures(self) -> dict[str, dict]:
        """`source source_id` -> the first row of each picture, in the recipe's order; with a part of its sha256 if
        another picture has that id, as in merged datasets. Raise KeyError for a kind that has no such provenance."""
        rows: dict[str, dict] = {}
        for row in self.rows.select(_PICTURE_COLUMNS).to_pylist():
            key, image_id = f"{row['source']} {row['source_id']}", row["image_id"]
            if rows.setdefault(key, row)["image_id"] != image_id:
                rows.setdefault(f"{key} {image_id[:16]}", row)
        return rows


_PICTURE_COLUMNS = "image_id source source_id page_url file_url title artist rating license tags".split()


def sha256(path: Path) -> str:
    """Return the sha256 of the file. Raise ManifestError."""
    try:
        return manifest.sha256_of(path)
    except OSError as error:
        expected = "a recipe, or the manifest.parquet of a dataset"
        raise ManifestError(path, error.strerror or str(error), expected, "look at --manifest") from error


def export(root: Path, name: str, path: Path, scratch: Path) -> int:
    """Write the recipe of datasets/NAME and return the number of its rows. Raise ManifestError."""
    folder = root / "datasets" / name
    schema = kind_of(folder).schema
    table = manifest.read(folder / "manifest.parquet", schema)
    about = {_BUILD: json.dumps(assemble.build_of(folder)._asdict()), _OF: sha256(folder / "manifest.parquet")}
    file = scratch / "recipe.parquet"
    manifest.write(table, schema.with_metadata((schema.metadata or {}) | about), file)
    replace_file(path, file.read_bytes(), scratch=scratch)
    return len(table)


def exported_of(path: Path) -> str | None:
    """Return the sha256 of the manifest that the recipe at `path` was made from; None if it is not a recipe."""
    try:
        return (manifest.schema_of(path).metadata or {}).get(_OF, b"").decode() or None
    except (OSError, ValueError):
        return None


def read(path: Path) -> Recipe:
    """Return the recipe at `path`, which may come from anywhere. Raise ManifestError."""
    return _read(path, sha256(path))


def read_faces(path: Path) -> Recipe:
    """Return the recipe at `path`. Raise ManifestError, also if it is of another kind than faces."""
    recipe = read(path)
    if recipe.kind is not FACE_KIND:
        raise ManifestError(path, f"a recipe of {recipe.kind.items}", "a recipe of faces", "give another --manifest")
    return recipe


@functools.lru_cache(maxsize=2)
def _read(path: Path, of: str) -> Recipe:
    try:
        names = {*manifest.schema_of(path).names}
    except ValueError:
        names = set()  # `manifest.read` raises it, in full
    complete = [kind for kind in KINDS.values() if manifest.required_columns(kind.schema) <= names]
    kind = complete[0] if complete else FACE_KIND
    table = manifest.read(path, kind.schema, cure=_CURE)
    if problem := _problem(kind, table):
        raise ManifestError(path, problem, "the manifest of a dataset", _CURE)
    manifest.check_rows(table, path)
    return Recipe(kind, table, _build(path))


def _build(path: Path) -> Build:
    """Return how the dataset was built, by the metadata of a recipe or the build.json beside a manifest. Raise
    ManifestError."""
    text = (manifest.schema_of(path).metadata or {}).get(_BUILD)
    try:
        build = assemble.parse_build(parse_json(text, dict)) if text is not None else assemble.build_of(path.parent)
    except ValueError as error:
        raise ManifestError(path, f"its record of the build is damaged ({error})", "a recipe", _CURE) from error
    return build._replace(settings={name: value for name, value in build.settings.items() if _is_setting(name, value)})


def _is_setting(name: str, value: object) -> bool:
    """Return whether a setting from outside may be shown in a card."""
    return bool(re.fullmatch("[a-z_ ]{1,40}", name)) and value is not None and len(str(value)) < 1000


_CUT_PARAMETERS = ("size", "rotation", *crop.Frame._fields)


def _problem(kind: Kind, table: pa.Table) -> str | None:
    """Return what in the table is out of bounds; None if nothing is."""
    if not len(table):
        return f"it has no {kind.item}"
    for name, (lowest, highest) in kind.bounds.items():
        values = table[name].to_numpy()
        if not ((values >= lowest) & (values <= highest)).all():
            return f"{name} that is not {lowest} to {highest}"
    for name in kind.hashes:
        if not all(HEX64.fullmatch(value) for value in table[name].to_pylist()):
            return f"{name} that is not a sha256"
    if kind is FACE_KIND and len(table.group_by([*_CUT_PARAMETERS]).aggregate([])) > MAX_CUTS:
        return f"more than {MAX_CUTS} kinds of crops"
    return kind.problem(table)


def redraw(recipe: Recipe) -> Iterator[Post | Skipped]:
    """Yield the pictures that were drawn, and a drop for each other picture that has no URL."""
    style = str(recipe.build.settings.get("query", QUERIES[0]))
    for key, row in recipe.pictures.items():
        at = re.fullmatch(r"([0-9]{1,18})/([0-9]{1,9})", row["source_id"])
        if row["source"] == "drawn" and at and style in QUERIES:
            seed, number = int(at[1]), int(at[2])
            draw = functools.partial(picture, seed, number, style)
            yield Post(key, draw, f"drawn again: {style} {seed}/{number}")
        elif not row["file_url"]:
            yield Skipped(key, "no_file_url", f"a picture of the source {sanitize_line(row['source'], 40)}")


class Restored(NamedTuple):
    """The pictures of a recipe, fetched or drawn again."""

    images: pa.Table  # IMAGES of those that are unchanged
    drops: list[dict]  # rows of FUNNEL for the others


def compare(recipe: Recipe, images: pa.Table, drops: list[dict]) -> Restored:
    """Split the fetched images into those that are unchanged, and rows of FUNNEL for those that are changed or missing.
    In both tables, `source_id` is the key of `Recipe.pictures`."""
    wanted = {key: row["image_id"] for key, row in recipe.pictures.items()}
    pairs = list(zip(images["source_id"].to_pylist(), images["image_id"].to_pylist(), strict=True))
    found = [(row["source_id"], _CHANGED.get(row["reason"], row["reason"]), row["detail"]) for row in drops]
    found += [(key, "changed", f"sha256 {came}") for key, came in pairs if wanted[key] != came]
    as_they_were = images.filter(pa.array([wanted[key] == came for key, came in pairs], pa.bool_()))
    return Restored(as_they_were, [_funnel_row(recipe.pictures[key], reason, detail) for key, reason, detail in found])


def _funnel_row(row: dict, reason: str, detail: str) -> dict:
    """Return a row of FUNNEL. A blocked picture has no hash in it: only the block list holds that."""
    image_id = None if reason == "blocked" else row["image_id"]
    return funnel_row("images", row["source"], row["source_id"], reason, detail, image_id)


_CHANGED = {"wrong_hash": "changed", "duplicate": "changed"}


def recrop(recipe: Recipe, images: pa.Table, store: Store, jobs: int) -> pa.Table:
    """Return FACES of the pictures that are there, cut as the recipe says, with its labels, groups and splits. A
    face_id is another than the recipe's where other versions of the libraries made the crop."""
    path_of = dict(zip(images["image_id"].to_pylist(), images["path"].to_pylist(), strict=True))
    fetched_at = dict(zip(images["image_id"].to_pylist(), images["fetched_at"].to_pylist(), strict=True))
    rows = [row | {"order": order} for order, row in enumerate(recipe.rows.to_pylist()) if row["image_id"] in path_of]
    for row in rows:
        row |= {"image_path": path_of[row["image_id"]], "fetched_at": fetched_at[row["image_id"]]}
    fields = [field for field in FACE_KIND.schema if field.name not in _CUT]
    schema = pa.schema([*fields, pa.field("order", pa.int64())])
    cuts: dict[tuple, list[dict]] = {}
    for row in rows:
        cuts.setdefault(tuple(row[name] for name in _CUT_PARAMETERS), []).append(row)
    parts = []
    for (size, *values), of_cut in cuts.items():
        rest = pa.Table.from_pylist(of_cut, schema=schema)
        rotation, *frame = (value if value is None else crop.as_given(value) for value in values)
        how: dict[str, Any] = {"size": size, "frame": crop.Frame._make(frame), "rotation": rotation}
        table, _ = crop.cut(rest, store, **how, jobs=jobs)
        parts.append(table)
    if not parts:
        return FACE_KIND.schema.empty_table()
    return pa.concat_tables(parts).sort_by("order").select(FACE_KIND.schema.names)


_CUT = ("face_id", "path", *_CUT_PARAMETERS, "sharpness", "brightness", "monochrome", "phash")


class Report(NamedTuple):
    """The result of a rebuild: `rebuild.json` of the dataset."""

    faces: int
    faces_of_recipe: int
    pictures: int
    pictures_of_recipe: int
    vanished: dict[str, list[str]]
    """Reason -> `source source_id` of each picture that could not be fetched."""
    changed: list[str]
    """`source source_id` of the pictures whose bytes differ now."""
    other_crops: int
    """Number of faces whose crops have other bytes than the recipe's: other versions of libraries made them."""

    def __str__(self) -> str:
        gone = sum(map(len, self.vanished.values()))
        why = ", ".join(f"{len(those)} {reason}" for reason, those in sorted(self.vanished.items()))
        others = f"; {self.other_crops:,} crops differ in bytes: other versions cut them" if self.other_crops else ""
        return (
            f"{self.faces:,} of {self.faces_of_recipe:,} faces, "
            f"{self.pictures:,} of {self.pictures_of_recipe:,} pictures: "
            f"{gone:,} vanished{f' ({why})' if why else ''}, {len(self.changed):,} changed{others}"
        )


def report(recipe: Recipe, table: pa.Table, drops: list[dict]) -> Report:
    """Return the report on the faces that were cut again and the rows of the funnel."""
    vanished: dict[str, list[str]] = {}
    for row in drops:
        vanished.setdefault(row["reason"], []).append(f"{row['source']} {row['source_id']}")
    changed = vanished.pop("changed", [])
    others = len(set(table["face_id"].to_pylist()) - set(recipe.rows["face_id"].to_pylist()))
    pictures = len(set(table["image_id"].to_pylist()))
    return Report(len(table), len(recipe.rows), pictures, len(recipe.pictures), vanished, changed, others)
