"""New hair colours for an existing dataset of faces: a new version of it, swapped in under its name."""

import hashlib
import json
import os
import shutil
from pathlib import Path

from pipeline.datasets import assemble, corrections, publish
from pipeline.datasets.kinds import FACE_KIND, kind_of
from pipeline.errors import UserError
from pipeline.funnel import FUNNEL
from pipeline.hair import tagging
from pipeline.manifest import ManifestError, read
from pipeline.store import Store

_OF_HAIR = ("hair_color", "hair_scores", "hair_tagger")


def is_done(root: Path, name: str, *, tagger: str, folder: Path | None) -> bool:
    """Return whether the dataset has its colours from that tagger and from the corrections, as both are now. Raise
    UserError if a tagger's files are missing."""
    place, digest_inputs = root / "datasets" / name, _digest_inputs(tagger, folder, corrections.read(root, name))
    try:
        _check(place)
    except ManifestError:
        return False  # `retag` raises it
    return assemble.build_of(place).versions.get("retagged") == digest_inputs


def _check(folder: Path) -> None:
    """Raise ManifestError unless `folder` holds a dataset of faces."""
    if (kind := kind_of(folder)) is not FACE_KIND:
        raise ManifestError(folder, f"a dataset of {kind.items}", "one of faces", "give another --dataset")


def _digest_inputs(tagger: str, folder: Path | None, by_hand: dict[str, corrections.Correction]) -> list[object]:
    return [*tagging.version_of(tagger, folder), corrections.digest(by_hand)]


def retag(root: Path, name: str, *, tagger: str, folder: Path | None, jobs: int = 0) -> int:
    """Predict the colours again, from the originals' pixels and the tags of the manifest, apply the corrections by
    hand, and return how many faces have another colour now. Raise UserError if there is no such dataset, or an original
    is missing."""
    publish.check_name(name, option="--dataset")
    if not os.path.lexists(root / "datasets" / name):
        raise UserError(f"--dataset {name}", "there is no such dataset", "the name of a dataset", "build it first")
    _check(root / "datasets" / name)
    version, place = publish.published(root, name), publish.version_of(root, name)
    by_hand = corrections.read(root, name)
    digest_inputs = _digest_inputs(tagger, folder, by_hand)
    store = Store(root, hashlib.sha256(json.dumps(["retag", version, digest_inputs]).encode()).hexdigest()[:16])
    with store.claim() as scratch:
        place = place or publish.adopt(store, name)
        faces = read(place / "manifest.parquet", FACE_KIND.schema)
        funnel = read(place / "funnel.parquet", FUNNEL).to_pylist()
        dropped = {row["image_id"] for row in funnel if row["stage"] != "images"} - {None}
        table, taggers = tagging.tag(
            faces.drop_columns(_OF_HAIR), store, tagger=tagger, folder=folder, jobs=jobs, more_faces=dropped
        )
        build, made = assemble.build_of(place), scratch / "made"
        settings = {key: value for key, value in build.settings.items() if key != assemble.CORRECTED}
        versions = build.versions | {"hair": assemble.versions()["hair"], "retagged": digest_inputs}
        build = build._replace(
            settings=settings | {"hair_tagger": tagger}, versions=versions, taggers=taggers, corrections={}
        )
        # What was dropped by hand before is in the funnel already.
        applied = set(corrections.match(FACE_KIND, faces.to_pylist(), by_hand).values())
        by_hand = {key: correction for key, correction in by_hand.items() if key in applied}
        made.mkdir()
        table = assemble.assemble_corrected(made, FACE_KIND, table, funnel, build, place, by_hand)
        if (place / assemble.REBUILD).is_file() and not (place / assemble.REBUILD).is_symlink():
            shutil.copyfile(place / assemble.REBUILD, made / assemble.REBUILD)
        target = root / "datasets" / ".versions" / store.digest
        if not target.exists():  # as it does if these colours were asked for before
            target.parent.mkdir(exist_ok=True)
            os.replace(made, target)
        publish.publish(store, name, publish.request_of(root, name), replace=True)
    before = dict(zip(faces["face_id"].to_pylist(), faces["hair_color"].to_pylist(), strict=True))
    now = zip(table["face_id"].to_pylist(), table["hair_color"].to_pylist(), strict=True)
    return sum(before[face_id] != color for face_id, color in now)
