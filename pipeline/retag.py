"""The hair colours of an existing dataset, named anew: a new version of it, whole, swapped in under its name."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pyarrow as pa

from pipeline import corrections, datasets, hair
from pipeline.errors import UserError
from pipeline.manifest import FACES, FUNNEL, read
from pipeline.store import Store

_OF_HAIR = ("hair_color", "hair_scores", "hair_tagger")
_REMADE = (hair.TOLD, datasets.CORRECTED)  # so begin the lines of the old card that tell of its colours


def is_done(root: Path, name: str, *, tagger: str, folder: Path | None) -> bool:
    """Whether that dataset is there and has its colours from that tagger, and from the corrections, as they are now.
    Raises UserError if a tagger's files are missing."""
    version = datasets.published(root, name)
    told = datasets.build_of(root / "datasets" / ".versions" / version).versions if version else {}
    return told.get("retagged") == _causes(tagger, folder, corrections.read(root, name))


def _causes(tagger: str, folder: Path | None, by_hand: dict[str, str]) -> list:
    return [*hair.version_of(tagger, folder), corrections.digest(by_hand)]


def retag(root: Path, name: str, *, tagger: str, folder: Path | None, jobs: int = 0) -> int:
    """Name the colours anew, by the originals' pixels and the tags of the manifest, and carry out the corrections by
    hand; how many faces have another colour now. Raises UserError if there is no such dataset, or an original is
    gone."""
    version = datasets.published(root, name)
    if version is None:
        raise UserError(
            f"--dataset {name}", f"there is no {root / 'datasets' / name}", "the name of a dataset", "build it"
        )
    place = root / "datasets" / ".versions" / version
    held, funnel = read(place / "manifest.parquet", FACES), read(place / "funnel.parquet", FUNNEL)
    by_hand = corrections.read(root, name)
    causes = _causes(tagger, folder, by_hand)
    store = Store(root, hashlib.sha256(json.dumps(["retag", version, causes]).encode()).hexdigest()[:16])
    with store.claim() as scratch:
        faces = _with_the_sites_tags(held).drop_columns(_OF_HAIR)
        table, told = hair.tag(faces, store, tagger=tagger, folder=folder, jobs=jobs)
        build, made = datasets.build_of(place), scratch / "made"
        settings = {key: value for key, value in build.settings.items() if not key.startswith(_REMADE)}
        build = build._replace(
            settings=settings | {"hair_tagger": tagger} | told, versions=build.versions | {"retagged": causes},
        )  # fmt: skip
        made.mkdir()
        table = datasets.assemble_corrected(made, table, funnel.to_pylist(), build, place, by_hand)
        if (place / datasets.REBUILD).exists():
            shutil.copyfile(place / datasets.REBUILD, made / datasets.REBUILD)
        target = place.with_name(store.digest)
        if not target.exists():  # as it does if these colours were asked for before
            os.replace(made, target)
        request = json.loads((root / "datasets" / ".requests" / f"{name}.json").read_text(encoding="utf-8"))["request"]
        datasets.publish(store, name, request, replace=True)
    before = dict(zip(held["face_id"].to_pylist(), held["hair_color"].to_pylist(), strict=True))
    now = zip(table["face_id"].to_pylist(), table["hair_color"].to_pylist(), strict=True)
    return sum(before[face_id] != color for face_id, color in now)


def _with_the_sites_tags(held: pa.Table) -> pa.Table:
    """Without the colours of hair among the tags of those rows that Illustration2Vec decided: it has put them there,
    and they would count as a site's word."""
    tags = [
        [tag for tag in tags if not (tagger == "i2v" and tag in hair.HAIR_TAGS)]
        for tags, tagger in zip(held["tags"].to_pylist(), held["hair_tagger"].to_pylist(), strict=True)
    ]
    index = held.schema.get_field_index("tags")
    return held.set_column(index, held.schema.field(index), pa.array(tags, held.schema.field(index).type))
