"""The hair colours of an existing dataset, named anew: a new version of it, whole, swapped in under its name."""

import hashlib
import json
import os
import shutil
from pathlib import Path

from pipeline.datasets import corrections
from pipeline.datasets import publish as datasets
from pipeline.errors import UserError
from pipeline.hair import tagging as hair
from pipeline.manifest import FACES, FUNNEL, ManifestError, check_folder, read
from pipeline.store import Store

_OF_HAIR = ("hair_color", "hair_scores", "hair_tagger")
_REMADE = (hair.TOLD, datasets.CORRECTED)  # so begin the lines of the old card that tell of its colours


def is_done(root: Path, name: str, *, tagger: str, folder: Path | None) -> bool:
    """Whether that dataset is there and has its colours from that tagger, and from the corrections, as they are now.
    Raises UserError if a tagger's files are missing."""
    place, digest_inputs = root / "datasets" / name, _digest_inputs(tagger, folder, corrections.read(root, name))
    try:
        check_folder(place)
    except ManifestError:
        return False  # `retag` says so
    return datasets.build_of(place).versions.get("retagged") == digest_inputs


def _digest_inputs(tagger: str, folder: Path | None, by_hand: dict[str, str]) -> list:
    return [*hair.version_of(tagger, folder), corrections.digest(by_hand)]


def retag(root: Path, name: str, *, tagger: str, folder: Path | None, jobs: int = 0) -> int:
    """Name the colours anew, by the originals' pixels and the tags of the manifest, and carry out the corrections by
    hand; how many faces have another colour now. Raises UserError if there is no such dataset, or an original is
    gone."""
    datasets.check_name(name, option="--dataset")
    if not os.path.lexists(root / "datasets" / name):
        raise UserError(f"--dataset {name}", "there is no such dataset", "the name of a dataset", "build it first")
    check_folder(root / "datasets" / name)
    version, place = datasets.published(root, name), datasets.version_of(root, name)
    by_hand = corrections.read(root, name)
    digest_inputs = _digest_inputs(tagger, folder, by_hand)
    store = Store(root, hashlib.sha256(json.dumps(["retag", version, digest_inputs]).encode()).hexdigest()[:16])
    with store.claim() as scratch:
        place = place or datasets.adopt(store, name)
        held, funnel = read(place / "manifest.parquet", FACES), read(place / "funnel.parquet", FUNNEL).to_pylist()
        dropped = {row["image_id"] for row in funnel if row["stage"] != "images"} - {None}
        table, told = hair.tag(
            held.drop_columns(_OF_HAIR), store, tagger=tagger, folder=folder, jobs=jobs, more_faces=dropped
        )
        build, made = datasets.build_of(place), scratch / "made"
        settings = {key: value for key, value in build.settings.items() if not key.startswith(_REMADE)}
        versions = build.versions | {"hair": datasets.versions()["hair"], "retagged": digest_inputs}
        build = build._replace(settings=settings | {"hair_tagger": tagger} | told, versions=versions)
        here = set(held["face_id"].to_pylist())  # what was dropped by hand before is in the funnel already
        by_hand = {face_id: what for face_id, what in by_hand.items() if face_id in here}
        made.mkdir()
        table = datasets.assemble_corrected(made, table, funnel, build, place, by_hand)
        if (place / datasets.REBUILD).is_file() and not (place / datasets.REBUILD).is_symlink():
            shutil.copyfile(place / datasets.REBUILD, made / datasets.REBUILD)
        target = root / "datasets" / ".versions" / store.digest
        if not target.exists():  # as it does if these colours were asked for before
            target.parent.mkdir(exist_ok=True)
            os.replace(made, target)
        datasets.publish(store, name, datasets.request_of(root, name), replace=True)
    before = dict(zip(held["face_id"].to_pylist(), held["hair_color"].to_pylist(), strict=True))
    now = zip(table["face_id"].to_pylist(), table["hair_color"].to_pylist(), strict=True)
    return sum(before[face_id] != color for face_id, color in now)
