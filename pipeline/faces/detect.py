"""Images -> faces: their boxes, tilts and scores, by one detector or by two."""

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pipeline import assets
from pipeline.errors import UserError
from pipeline.faces.animeface import animeface, check_animeface
from pipeline.faces.boxes import Face, overlap
from pipeline.faces.cascade import lbpcascade
from pipeline.faces.crop import image_key
from pipeline.faces.frontal import cascade_file, frontalface
from pipeline.faces.views import MAX_WARP_PX, find_in_parts
from pipeline.faces.yolo import file_digest, network_file, yolo
from pipeline.funnel import funnel_row
from pipeline.images.collect import VERSION as images_version
from pipeline.images.decode import load
from pipeline.later_work import Result, Work, caching, do_ahead
from pipeline.manifest import rows_of, with_columns
from pipeline.parallel import OUT_OF_MEMORY, cached_map
from pipeline.store import Store
from pipeline.stored import NUMBER

VERSION = 8

SWEEPS = {"off": None, "fast": (-30, 30), "full": (40, 80, 120, 160, -160, -120, -80, -40)}
"""Degrees of the turned copies. Off: none, for upright faces. The close look reaches 45 degrees beyond a proposal."""


def network(picture: np.ndarray, min_face: int, angles: Iterable[float] | None, asset: str) -> list[Face]:
    """Return the faces that our own network finds, see `faces/network.py`, best first. It finds faces of any size that
    lean by up to 60 degrees, so `off` and `fast` give the same. For `full`, the picture is also searched turned by 90,
    180 and 270 degrees."""
    from pipeline.faces import network as face_network  # torch takes long to import, and nothing else here needs it

    return face_network.find(picture, min_face, angles or (), asset)


def cascade_network(picture: np.ndarray, min_face: int, angles: Iterable[float] | None, asset: str) -> list[Face]:
    """Return the faces that the cascade or the network finds, see `faces/cascade_network.py`."""
    from pipeline.faces import cascade_network as together  # torch, as above

    return together.find(picture, min_face, angles, asset)


class Detector(NamedTuple):
    """One row of DETECTORS."""

    find: Callable[[np.ndarray, int, Iterable[float] | None, str], list[Face]]
    """((H, W, 3) uint8 picture, smallest face in px, angles of the sweep if any, `asset`) -> faces."""
    asset: Callable[[Path | None], str]
    """Folder to search for assets first -> path of the asset that `find` needs. Raises UserError if it is missing."""
    license: str
    digest: Callable[[Path | None], str] = lambda folder: ""
    """The folder -> the sha256 of an asset that the user may replace. Raises UserError if what runs it is missing."""
    max_score: float = math.inf
    """1 where scores are probabilities."""


def _cascade_file(folder: Path | None) -> str:
    return str(assets.fetch("lbpcascade_animeface.xml", folder))


DETECTORS = {
    "lbpcascade": Detector(lbpcascade, _cascade_file, "MIT"),
    "animeface": Detector(animeface, check_animeface, "Apache-2.0"),
    "network": Detector(network, lambda folder: str(Path(__file__).with_name("network.safetensors")), "MIT"),
    "cascade_network": Detector(cascade_network, _cascade_file, "MIT", max_score=1),
    "frontalface": Detector(frontalface, cascade_file, "Intel (BSD)"),
    "yolo": Detector(yolo, network_file, "MIT", file_digest, max_score=1),
}
DETECTOR_CHOICES = {
    "lbpcascade": ("lbpcascade",),
    "animeface": ("animeface",),
    "both": ("lbpcascade", "animeface"),
    "network": ("network",),
    "cascade_network": ("cascade_network",),
    "frontalface": ("frontalface",),
    "yolo": ("yolo",),
}
"""If several detectors find a face, the box, tilt and score of the first are kept."""


def digests(names: Iterable[str], folder: Path | None) -> list[str]:
    """Return the sha256 of each file that the user may replace, of these DETECTORS. Raise UserError if what runs one is
    not installed."""
    return [sha256 for name in names if (sha256 := DETECTORS[name].digest(folder))]


def max_score(choice: str) -> float:
    """Return the largest score that one of DETECTOR_CHOICES may give a face."""
    return max(DETECTORS[name].max_score for name in DETECTOR_CHOICES[choice])


def find(picture: np.ndarray, *, finder: str, asset: str, sweep: str, min_face: int) -> list[Face]:
    """Return the faces that one of DETECTORS, with its asset, finds in a picture."""

    def look(part: np.ndarray) -> list[Face]:
        return DETECTORS[finder].find(part, min_face, SWEEPS[sweep], asset)

    return find_in_parts(picture, look, min_face) if max(picture.shape[:2]) > MAX_WARP_PX else look(picture)


def merge(found: dict[str, list[Face]]) -> list[tuple[Face, str]]:
    """Return (face, detector) of each face that several detectors found in a picture, with the first of those that
    found it. `found`: detector -> faces."""
    kept: list[tuple[Face, str]] = []
    for name, faces in found.items():
        kept += [(face, name) for face in faces if not any(overlap(face, other) for other, _ in kept)]
    return kept


def find_faces(picture: np.ndarray, *, detector: str, sweep: str, min_face: int) -> list[Face]:
    """Return the faces that `detect` finds in a picture (H, W, 3) uint8, best first; of two detectors, whose scores
    differ in unit, those of the first come first. Raise UserError if an asset of the detector, one of DETECTOR_CHOICES,
    is missing."""

    def look(name: str) -> list[Face]:
        asset = DETECTORS[name].asset(None)
        found = find(picture, finder=name, asset=asset, sweep=sweep, min_face=min_face)
        return sorted(found, key=lambda face: -face.score)

    return [face for face, _ in merge({name: look(name) for name in DETECTOR_CHOICES[detector]})]


def _find_one(
    image: tuple[str, str], store: Store, finder: str, expected: Face | None, later: Sequence[Work], **settings: Any
) -> tuple[list[Face], list[Result]]:
    """Return the faces in the picture of (image_id, path), and the results of later work on those that are kept."""
    image_id, path = image
    picture = load(store.root / path)
    found = find(picture, finder=finder, **settings)
    kept = [_as_in_table(face) for face, _ in _choose({finder: found}, expected)]
    if not kept:
        return found, []
    return found, do_ahead(later, image_key(image_id, kept), picture, kept, store.root / path)


def _choose(found: dict[str, list[Face]], expected: Face | None) -> list[tuple[Face, str]]:
    """Return (face, detector) of each face that is kept of a picture, in the table's order."""
    here = merge(found)
    if expected:
        here = [(expected._replace(score=face.score), name) for face, name in here if overlap(face, expected)][:1]
    return sorted(here)


def _as_in_table(face: Face) -> Face:
    """Return the face with the 32 bits that a table keeps of each number."""
    (x0, y0, x1, y1), tilt, score = (np.asarray(value, np.float32).tolist() for value in face)
    return Face((x0, y0, x1, y1), tilt, score)


def detect(
    images: pa.Table,
    store: Store,
    *,
    detector: str,
    sweep: str,
    min_face: int,
    folder: Path | None,
    expected: Face | None = None,
    jobs: int = 0,
    later: Sequence[Work] = (),
) -> tuple[pa.Table, list[dict]]:
    """Return (the columns of FACES that detection fills, rows of FUNNEL for pictures without a face).

    `images`: IMAGES; `folder`: where assets are looked for first; `expected`: where the one face of each picture lies,
    if that is known: it is kept if a detector finds one there; `later`: work on (picture, its faces, its file), as
    `crop.per_face` does it, to be done with each picture that is searched now. Raise UserError if there is no face at
    all."""
    found: dict[str, dict[str, list[Face]]] = {}  # finder -> image_id -> faces
    failed: set[str] = set()  # image_ids for which there was not enough memory
    for name in DETECTOR_CHOICES[detector]:
        asset = DETECTORS[name].asset(folder)
        ahead = later if len(DETECTOR_CHOICES[detector]) == 1 else ()  # one of two does not find all faces
        settings: dict[str, Any] = {"finder": name, "asset": asset, "sweep": sweep, "min_face": min_face}
        work = functools.partial(_find_one, store=store, expected=expected, later=ahead, **settings)
        of_what = "/".join([f"detect/{images_version}.{VERSION}/{name}/{sweep}/{min_face}", *digests([name], folder)])
        with store.memory(of_what, [[[NUMBER] * 4, NUMBER, NUMBER]]) as memory, caching(ahead, store) as accept:
            pictures = ((image[0], image) for image in rows_of(images, "image_id", "path"))
            how: dict[str, Any] = {"what": f"detecting ({name})", "jobs": jobs}
            known = cached_map(memory, work, pictures, accept=accept, **how)
            found[name] = {}
            for image_id, faces in known:
                found[name][image_id] = [Face((x0, y0, x1, y1), *rest) for (x0, y0, x1, y1), *rest in faces or ()]
                if faces is None:
                    failed.add(image_id)
    drops, owners, rows = [], [], []
    for row, (image_id, source, source_id) in enumerate(rows_of(images, "image_id", "source", "source_id")):
        if image_id in failed:
            drops.append(funnel_row("faces", source, source_id, "out_of_memory", OUT_OF_MEMORY, image_id))
            continue
        here = _choose({name: of[image_id] for name, of in found.items()}, expected)
        owners += [row] * len(here)
        rows += [(*face, name, len(here)) for face, name in here]
        if not here:
            drops.append(funnel_row("faces", source, source_id, "no_face", "", image_id))
    if not rows:
        cure = f"try a smaller --min-face (now {min_face} px), or --sweep full for faces that lean far (now {sweep})"
        if expected:
            cure = "train longer what generated them, or try another --detector"
        raise UserError(
            f"{len(images)} picture{'s' * (len(images) != 1)}",
            f"{detector} found no face in them",
            "at least one",
            cure,
        )
    table = images.rename_columns({"path": "image_path"}).drop_columns(["bytes", "md5", "format", "phash"]).take(owners)
    box, tilt, score, finder, count = (list(column) for column in zip(*rows, strict=True))
    return with_columns(table, box=box, tilt=tilt, score=score, detector=finder, faces_in_image=count), drops
