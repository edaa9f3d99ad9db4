"""The hair colours of an existing dataset, named anew: a new version of it, whole, swapped in under its name."""

import hashlib
import json
import os
from pathlib import Path

from pipeline import corrections, datasets, hair
from pipeline.errors import UserError
from pipeline.manifest import FACES, FUNNEL, read
from pipeline.store import Store

_OF_HAIR = ("hair_color", "hair_scores", "hair_tagger")


def is_done(root: Path, name: str, *, tagger: str, folder: Path | None) -> bool:
    """Whether that dataset is there and has its colours from that tagger as it is now. Raises UserError if a tagger's
    files are missing."""
    version = datasets.published(root, name)
    told = datasets.build_of(root / "datasets" / ".versions" / version).versions if version else {}
    return told.get("retagged") == hair.version_of(tagger, folder)


def retag(root: Path, name: str, *, tagger: str, folder: Path | None, jobs: int = 0) -> int:
    """Name the colours anew, by the originals' pixels and the tags of the manifest; how many faces have another colour
    now. What was corrected by hand stays. Raises UserError if there is no such dataset, or an original is gone."""
    version = datasets.published(root, name)
    if version is None:
        raise UserError(
            f"--dataset {name}", f"there is no {root / 'datasets' / name}", "the name of a dataset", "build it"
        )
    place = root / "datasets" / ".versions" / version
    held, funnel = read(place / "manifest.parquet", FACES), read(place / "funnel.parquet", FUNNEL)
    causes = hair.version_of(tagger, folder)
    store = Store(root, hashlib.sha256(json.dumps(["retag", version, causes]).encode()).hexdigest()[:16])
    with store.claim() as scratch:
        table, told = hair.tag(held.drop_columns(_OF_HAIR), store, tagger=tagger, folder=folder, jobs=jobs)
        table = corrections.carry_out(table.select(FACES.names), corrections.read(root, name)).faces
        build, made = datasets.build_of(place), scratch / "made"
        settings = {key: value for key, value in build.settings.items() if not key.startswith(hair.TOLD)}
        build = build._replace(
            settings=settings | {"hair_tagger": tagger} | told, versions=build.versions | {"retagged": causes},
        )  # fmt: skip
        made.mkdir()
        datasets.assemble(made, table, funnel.to_pylist(), build, place)
        target = place.with_name(store.digest)
        if not target.exists():  # as it does if these colours were asked for before
            os.replace(made, target)
        request = json.loads((root / "datasets" / ".requests" / f"{name}.json").read_text(encoding="utf-8"))["request"]
        datasets.publish(store, name, request, replace=True)
    return sum(
        old != new for old, new in zip(held["hair_color"].to_pylist(), table["hair_color"].to_pylist(), strict=True)
    )
