"""Several datasets of faces as one: their rows, with their groups and splits, and no copy in another split."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from pipeline.datasets import assemble
from pipeline.datasets.kinds import FACE_KIND, kind_of
from pipeline.datasets.splits import components
from pipeline.errors import UserError
from pipeline.faces.crop import Frame, as_given
from pipeline.funnel import FUNNEL, funnel_row
from pipeline.images.near_duplicates import find_copies
from pipeline.manifest import ManifestError, check_rows, read, rows_of, sha256_of, with_columns
from pipeline.store import Store, has_sha256

VERSION = 2
MAX_EXAMPLES = 3  # of leaks, in an error
_FILES = ("manifest.parquet", "funnel.parquet", assemble.BUILD)
_CUT = ("size", "rotation", *Frame._fields)


class Part(NamedTuple):
    """A dataset that is merged."""

    name: str
    folder: Path
    """Of its version, which does not change."""

    def digests(self) -> list[str | None]:
        """Return the sha256 of the files that are read of it, without its faces; None for one that is not there."""
        files = (self.folder / name for name in _FILES)
        return [sha256_of(file) if file.is_file() else None for file in files]


class Merged(NamedTuple):
    """What several datasets become."""

    table: pa.Table
    """Rows of FACES. Their `path` is relative to the folder `items` of `merge`."""
    drops: list[dict]
    """Rows of FUNNEL."""
    build: assemble.Build


def parts_of(root: Path, names: Sequence[str]) -> list[Part]:
    """Return the datasets of these names, as they are now. Raise ManifestError if one is none, or has no faces."""
    parts = [Part(name, (root / "datasets" / name).resolve()) for name in names]
    for name in names:
        kind = kind_of(root / "datasets" / name)
        if kind is not FACE_KIND:
            found = f"a dataset of {kind.items}"
            raise ManifestError(root / "datasets" / name, found, "one of faces", "give other --names")
    return parts


def merge(parts: Sequence[Part], store: Store, items: Path, *, near_duplicates: str, jobs: int = 0) -> Merged:
    """Return the merged datasets, and link their crops below the folder `items`.

    Pictures are copies of each other if they are the same, or a crop of the one is a copy of a crop of the other. With
    that, groups of several datasets become one. `near_duplicates` is "keep", or "drop": to keep of such a group the
    rows of the first dataset alone. Raise UserError if a group that is kept lies in several splits, or if the datasets
    do not fit together."""
    tables = [read(part.folder / "manifest.parquet", FACE_KIND.schema) for part in parts]
    for part, table in zip(parts, tables, strict=True):
        check_rows(table, part.folder)
    builds = [assemble.build_of(part.folder) for part in parts]
    _check_cuts(parts, tables)
    _check_generators(parts, builds)
    faces = pa.concat_tables(tables)
    of_part = [number for number, table in enumerate(tables) for _ in range(len(table))]
    files = [parts[number].folder / path for number, path in zip(of_part, faces["path"].to_pylist(), strict=True)]
    for file, face_id in zip(files, faces["face_id"].to_pylist(), strict=True):
        if not has_sha256(file, face_id):
            raise ManifestError(file, "is missing or damaged", "the crop of a row", "build that dataset again")
    groups = _joined_groups(faces, of_part, files, store, jobs)
    if near_duplicates == "keep":
        _check_leaks(faces, of_part, groups, [part.name for part in parts])
        faces = with_columns(faces, group=groups)
    kept, drops = _select(faces, of_part, groups, drops_copies=near_duplicates == "drop")
    paths = faces["path"].to_pylist()
    for number, part in enumerate(parts):
        assemble.link_all([paths[row] for row in kept if of_part[row] == number], part.folder, items)
    table = faces.take(pa.array(sorted(kept, key=_order(faces)), pa.int64()))
    drops += [row for part in parts for row in _funnel(part)]
    return Merged(table, drops, _build(parts, tables, builds, near_duplicates))


def _check_cuts(parts: Sequence[Part], tables: Sequence[pa.Table]) -> None:
    """Raise UserError unless all faces have one size, and one place in their crops."""
    first: dict[str, str] = {}  # how faces are cut -> the first dataset of which some are
    for part, table in zip(parts, tables, strict=True):
        for values in rows_of(table.select(_CUT).group_by([*_CUT]).aggregate([]), *_CUT):
            first.setdefault(_describe_cut(*values), part.name)
    if len(first) > 1:
        (one, a), (other, b), *_ = first.items()
        found = f"faces of {a} are cut with {one}, those of {b} with {other}"
        raise UserError("--names", found, "the same size and place of the face", "build one of them again")


def _describe_cut(size: int, rotation: float, *frame: float | None) -> str:
    """Return the options that cut faces so."""
    values = Frame._make(None if value is None else as_given(value) for value in frame)
    box = ",".join(str(as_given(part)) for part in values.box(1.0))
    place = f"--frame {box}" if any(values.offset) else f"--box-scale {values.box_scale}"
    return f"--size {size} {place}" + (f" --rotation {as_given(rotation)}" if rotation else "")


def _check_generators(parts: Sequence[Part], builds: Sequence[assemble.Build]) -> None:
    """Raise UserError if one run has generated faces of several datasets, and was trained on between them."""
    first: dict[str, tuple[str, str]] = {}
    for part, build in zip(parts, builds, strict=True):
        for generator in build.generators:
            weights, name = first.setdefault(generator["run"], (generator["weights"], part.name))
            if weights != generator["weights"]:
                found = f"{name} and {part.name} have faces of the run {generator['run']} at different steps"
                raise UserError("--names", found, "one state of a run", "build one of them again, with --replace")


def _joined_groups(
    faces: pa.Table, of_part: Sequence[int], files: Sequence[Path], store: Store, jobs: int
) -> list[str]:
    """Return the group of each row: groups of several datasets that hold copies of each other are one, of the smallest
    name."""
    group_of: dict[str, str] = {}  # face_id or image_id -> the first group that has it
    owners: dict[str, set[int]] = {}  # face_id -> datasets
    edges = []
    for number, face_id, image_id, group in zip(of_part, *_columns(faces, "face_id", "image_id", "group"), strict=True):
        edges += [(group, group_of.setdefault(key, group)) for key in (face_id, image_id)]
        owners.setdefault(face_id, set()).add(number)
    crops = dict(zip(faces["face_id"].to_pylist(), files, strict=True))
    for a, b in find_copies(crops, "faces", store, jobs=jobs):
        if len(owners[a] | owners[b]) > 1:
            edges.append((group_of[a], group_of[b]))
    joined = components(edges)
    return [joined[group] for group in faces["group"].to_pylist()]


def _check_leaks(faces: pa.Table, of_part: Sequence[int], groups: Sequence[str], names: Sequence[str]) -> None:
    """Raise UserError if a group lies in several splits."""
    splits = faces["split"].to_pylist()
    first: dict[str, int] = {}
    leaks: dict[str, tuple[int, int]] = {}  # group -> two of its rows
    for row, group in enumerate(groups):
        if splits[first.setdefault(group, row)] != splits[row]:
            leaks.setdefault(group, (first[group], row))

    def describe(row: int) -> str:
        return f"{names[of_part[row]]} {faces['source_id'][row]} ({splits[row]})"

    if leaks:
        some = ", ".join(" and ".join(map(describe, pair)) for pair in [*leaks.values()][:MAX_EXAMPLES])
        found = f"groups of copies that lie in several splits: {len(leaks):,}, such as {some}"
        cure = "give --near-duplicates drop, which leaves them out of the later dataset"
        raise UserError("--names", found, "copies in one split", cure)


def _select(
    faces: pa.Table, of_part: Sequence[int], groups: Sequence[str], *, drops_copies: bool
) -> tuple[list[int], list[dict]]:
    """Return the rows that are kept: each face once, with `drops_copies` of each group those of the first dataset that
    has some; and rows of FUNNEL."""
    of_face: dict[str, int] = {}  # face_id -> its first row
    of_group: dict[str, int] = {}
    kept, drops = [], []
    for row, (face_id, group) in enumerate(zip(faces["face_id"].to_pylist(), groups, strict=True)):
        same, first = of_face.setdefault(face_id, row), of_group.setdefault(group, row)
        if same != row:
            drops.append(_drop(faces, row, "duplicate", f"the same crop as from {faces['source_id'][same]}"))
        elif drops_copies and of_part[first] != of_part[row]:
            drops.append(_drop(faces, row, "near_duplicate", f"in a group with {faces['source_id'][first]}"))
        else:
            kept.append(row)
    return kept, drops


def _drop(faces: pa.Table, row: int, reason: str, detail: str) -> dict:
    source, source_id, image_id = (faces[name][row].as_py() for name in ("source", "source_id", "image_id"))
    return funnel_row("merge", source, source_id, reason, detail, image_id)


def _order(faces: pa.Table) -> Callable[[int], tuple]:
    """Return the key by which the rows of a manifest are sorted."""
    return [*rows_of(faces, "source", "source_id", "box", "face_id")].__getitem__


def _columns(faces: pa.Table, *names: str) -> list[list]:
    return [faces[name].to_pylist() for name in names]


def _funnel(part: Part) -> list[dict]:
    path = part.folder / "funnel.parquet"  # a copy from elsewhere may lack it
    return read(path, FUNNEL).to_pylist() if path.is_file() else []


def _build(
    parts: Sequence[Part], tables: Sequence[pa.Table], builds: Sequence[assemble.Build], near_duplicates: str
) -> assemble.Build:
    """Return how the whole was built: the settings of each dataset, beside each other where they differ."""
    manifests = [str(part.digests()[0])[:16] for part in parts]
    of = zip(tables, manifests, strict=True)
    datasets = [f"{len(table):,} faces of the manifest {digest}" for table, digest in of]
    settings = _join([{"merge_near_duplicates": near_duplicates}, *(build.settings for build in builds)])
    settings.pop("merged", None)  # of what was merged before
    versions = _join(build.versions for build in builds)
    versions.pop("retagged", None)  # of one dataset alone
    corrections: dict[str, int] = {}
    for build in builds:
        corrections |= {kind: count + corrections.get(kind, 0) for kind, count in build.corrections.items()}
    return assemble.Build(
        settings={"merged": datasets} | settings,
        images=sum(build.images for build in builds),
        versions=versions,
        taggers=_join(build.taggers for build in builds),
        corrections=corrections,
        generators=[*{each["run"]: each for build in builds for each in build.generators}.values()],
    )


def _join(each: Iterable[Mapping[str, object]]) -> dict[str, object]:
    """Return the union of dictionaries; of a key with several values the list of these."""
    values: dict[str, list] = {}
    for fields in each:
        for key, value in fields.items():
            known = values.setdefault(key, [])
            known += [one for one in (value if isinstance(value, list) else [value]) if one not in known]
    return {key: of[0] if len(of) == 1 else of for key, of in values.items()}
