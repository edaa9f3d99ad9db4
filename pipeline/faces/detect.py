"""Images -> faces: where, how large, and how far they lean, by one of several detectors or by two of them.

The cascade knows upright faces alone. So it looks at each picture several times: upright, turned at half the detail,
and once small with white round it, since a face that fills its picture leaves no room for the cascade's window. What
these looks propose is then looked at closely, at one size and at seven angles round the proposed one. A face is seen
from most of them and by many windows, a chance likeness by few: their number is the score, whatever look proposed it,
and their mean the tilt.
"""

import functools
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pyarrow as pa
from PIL import Image
from PIL import __version__ as pillow_version

from pipeline import assets
from pipeline.errors import UserError
from pipeline.faces.crop import Face, rows_of
from pipeline.faces.views import (
    LARGEST,
    Pyramid,
    View,
    detection_views,
    face_at,
    in_parts,
    non_max_suppression,
    overlap,
    square,
    sweep,
)
from pipeline.funnel import funnel_row
from pipeline.images.collect import VERSION as images_version
from pipeline.images.collect import load
from pipeline.manifest import with_columns
from pipeline.parallel import OUT_OF_MEMORY, cached_map
from pipeline.store import Store
from pipeline.stored import NUMBER

VERSION = 3

SWEEPS = {"off": None, "fast": (-30, 30), "full": (40, 80, 120, 160, -160, -120, -80, -40)}
"""Degrees of the turned copies. Off: the plain detector. The close look reaches 45 degrees beyond a proposal."""

WINDOW = 24  # px: side of the cascade's window, hence of the smallest face it knows
COARSE, FINE = 1.2, 1.1  # from one size of window to the next: to propose, and to judge
CLOSE = 56  # px: a face in the close look; the cascade steps more finely through windows above 48 px
CLOSE_ANGLES = range(-45, 46, 15)  # degrees; the cascade knows faces up to about 30 degrees off
CLOSE_SIDE = 98  # px of the close look: the largest window, and a fifth of the face to move on either side
CLOSE_WINDOWS = 40, 76  # px: 0.7 to 1.35 of the face
MOST = 16_000  # windows that are gathered: those of some 2,000 faces; 256 MB
MIN_SUPPORTING_WINDOWS = 16  # windows in the close looks that make a face

ANIMEFACE_VERSION = "2.0.3"
ANIMEFACE_WINDOW = 48  # px: about the smallest face that it finds
KNOWN_FACE = 0  # the drawn portrait, of seed 0, that shows whether it sees


@functools.cache
def _cascade(path: str) -> cv2.CascadeClassifier:
    return cv2.CascadeClassifier(path)


def lbpcascade(picture: np.ndarray, min_face: int, angles: Iterable[float] | None, asset: str) -> list[Face]:
    """nagadomi's cascade, https://github.com/nagadomi/lbpcascade_animeface, on equalised grey."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if angles is None:
        return _plain(grey, min_face, _cascade(asset))
    pyramid = Pyramid(cv2.equalizeHist(grey))
    windows = functools.partial(_windows, _cascade(asset), sides=(WINDOW, 0), ratio=COARSE)
    wanted = detection_views(pyramid.width, pyramid.height, min_face, WINDOW, angles)
    found: list[Face] = []
    for likely in _proposals(sweep(pyramid, wanted, windows)):
        if not any(overlap(likely, other) for other in found):
            found += _look_closely(pyramid, likely, _cascade(asset))
    return non_max_suppression(face for face in found if is_wanted(face, min_face))


def _plain(grey: np.ndarray, min_face: int, cascade: cv2.CascadeClassifier) -> list[Face]:
    """One pass at the smallest scale at which the smallest wanted face still fills its window: most of the time goes
    into the finest scale."""
    height, width = grey.shape
    scale = WINDOW / min_face
    small_size = max(1, round(width * scale)), max(1, round(height * scale))
    filter_ = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.equalizeHist(cv2.resize(grey, small_size, interpolation=filter_))
    boxes, _, weights = cascade.detectMultiScale3(
        small, scaleFactor=FINE, minNeighbors=5, minSize=(WINDOW, WINDOW), outputRejectLevels=True
    )
    by_x, by_y = width / small_size[0], height / small_size[1]
    found = [
        face_at((x + side / 2) * by_x, (y + side / 2) * by_y, side * (by_x + by_y) / 2, 0.0, weight)
        for (x, y, side, _), weight in zip(boxes, weights, strict=True)
    ]
    return non_max_suppression(face for face in found if is_wanted(face, min_face))


def _windows(cascade: cv2.CascadeClassifier, pixels: np.ndarray, *, sides: tuple[int, int], ratio: float) -> np.ndarray:
    """(N, 5): the windows that pass the cascade, as centre, side, 0 degrees and 1. `sides` from and to, 0: any.

    Sorted, as OpenCV's order is that in which its threads end."""
    smallest, largest = sides
    boxes = cascade.detectMultiScale(
        pixels, scaleFactor=ratio, minNeighbors=0, minSize=(smallest, smallest), maxSize=(largest, largest)
    )
    boxes = np.reshape(boxes, (-1, 4))
    boxes = boxes[np.lexsort(boxes.T)]
    upright, one = np.zeros(len(boxes)), np.ones(len(boxes))
    return np.column_stack([boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2], upright, one])


def _proposals(windows: np.ndarray) -> list[Face]:
    """Windows that tell of the same face, gathered; first those that many agree upon."""
    windows = windows[:: 1 + len(windows) // MOST]
    agree = np.empty((len(windows), len(windows)), bool)
    for rows in np.array_split(np.arange(len(windows)), 1 + len(windows) ** 2 // 2**20):  # some 8 MB at a time
        agree[rows] = _agree(windows[rows, None], windows)
    faces, left, votes = [], np.ones(len(windows), bool), agree.sum(1)
    while left.any():
        gathered = agree[int((votes * left).argmax())] & left
        faces.append(_mean(windows[gathered]))
        left &= ~gathered
        votes -= agree[:, gathered].sum(1)
    return faces


def _agree(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Which windows are of about one place and size, and of copies beside each other. (…, 5), broadcast."""
    apart = np.hypot(a[..., 0] - b[..., 0], a[..., 1] - b[..., 1])
    smaller, larger = np.minimum(a[..., 2], b[..., 2]), np.maximum(a[..., 2], b[..., 2])
    turned = np.abs((a[..., 3] - b[..., 3] + 180) % 360 - 180)
    return (apart <= 0.35 * smaller) & (larger <= 1.5 * smaller) & (turned <= 50)


def _mean(windows: np.ndarray) -> Face:
    """The face that these windows tell of; their number is its score."""
    x, y, side = windows[:, :3].mean(0)
    angles = np.radians(windows[:, 3])
    return face_at(x, y, side, math.degrees(math.atan2(np.sin(angles).sum(), np.cos(angles).sum())), len(windows))


def _look_closely(pyramid: Pyramid, likely: Face, cascade: cv2.CascadeClassifier) -> list[Face]:
    """The face where a likely one is, if there is one."""
    center, (side, _), tilt = square(likely)
    near = [View(center, (CLOSE_SIDE, CLOSE_SIDE), side / CLOSE, tilt + angle) for angle in CLOSE_ANGLES]
    windows = sweep(pyramid, near, functools.partial(_windows, cascade, sides=CLOSE_WINDOWS, ratio=FINE))
    return [_mean(windows)] if len(windows) >= MIN_SUPPORTING_WINDOWS else []


def animeface(picture: np.ndarray, min_face: int, angles: Iterable[float] | None, asset: str) -> list[Face]:
    """Imager::AnimeFace, by nagadomi, as PyPI's animeface has it: slower than the cascade by ten times.

    It sees faces that lean by up to 30 degrees by itself. Of what it sees in pictures that are turned further much is
    no face, and a second look from other angles takes only half of that away: so no sweep turns any for it."""
    pyramid = Pyramid(picture)
    upright, framed = detection_views(pyramid.width, pyramid.height, min_face, ANIMEFACE_WINDOW, ())
    found = sweep(pyramid, [upright] if angles is None else [upright, framed], _animefaces)
    return non_max_suppression(face for face in (face_at(*row) for row in found) if is_wanted(face, min_face))


def _animefaces(pixels: np.ndarray) -> np.ndarray:
    """(N, 5): centre, side, the lean of the line through the eyes, likelihood."""
    import animeface  # an extra

    found = []
    for seen in animeface.detect(Image.fromarray(pixels)):
        box, left, right = seen.face.pos, seen.left_eye.pos, seen.right_eye.pos  # of the person, not of the picture
        across = left.x + left.width / 2 - right.x - right.width / 2
        down = left.y + left.height / 2 - right.y - right.height / 2
        side, lean = max(box.width, box.height), math.degrees(math.atan2(down, across))
        found.append((box.x + box.width / 2, box.y + box.height / 2, side, lean, seen.likelihood))
    return np.array(found, float).reshape(-1, 5)


def network(picture: np.ndarray, min_face: int, angles: Iterable[float] | None, asset: str) -> list[Face]:
    """Our own network, see `face_network`. It sees faces that lean by up to 60 degrees by itself, of any size and
    tight ones too, so `off` and `fast` are the same to it. For `full` it sees the picture also on its sides and on its
    head."""
    from pipeline.faces import network as face_network  # torch takes long to import, and nothing else here needs it

    return face_network.find(picture, min_face, angles or (), asset)


def is_wanted(face: Face, min_face: int) -> bool:
    """Whether it is large enough. Asked before the better of two overlapping faces is chosen: it may be the smaller."""
    return face.box[2] - face.box[0] >= min_face


def _cascade_file(folder: Path | None) -> str:
    return str(assets.fetch("lbpcascade_animeface.xml", folder))


@functools.cache
def working_animeface(folder: Path | None) -> str:
    """Nothing, which is all that it needs. With Pillow 12 and later it finds no face anywhere, and does not say so."""
    from pipeline.sources.drawn import draw

    cure = f"pip install 'animeface=={ANIMEFACE_VERSION}' 'pillow<12'"
    expected = f"the package animeface {ANIMEFACE_VERSION} and a Pillow before 12"
    try:
        found = _animefaces(np.asarray(draw(0, KNOWN_FACE)[0]))
    except ImportError as error:
        raise UserError("--detector", f"animeface is not installed: {error}", expected, cure) from error
    if not len(found):
        raise UserError("--detector", f"animeface with Pillow {pillow_version} is blind", expected, cure)
    return ""


def _network_weights(folder: Path | None) -> str:
    """They are shipped: what is wrong with them is said when they are read."""
    return str(Path(__file__).with_name("network.safetensors"))


class Detector(NamedTuple):
    """One row of FINDERS."""

    find: Callable[[np.ndarray, int, Iterable[float] | None, str], list[Face]]
    """((H, W, 3) uint8 picture, smallest face in px, angles of the sweep if any, `asset`) -> faces, best first."""
    asset: Callable[[Path | None], str]
    """What it needs, made sure of: the folder where assets are looked for first -> a path. Raises UserError."""
    license: str


DETECTORS = {
    "lbpcascade": Detector(lbpcascade, _cascade_file, "MIT"),
    "animeface": Detector(animeface, working_animeface, "Apache-2.0"),
    "network": Detector(network, _network_weights, "MIT"),
}
DETECTOR_CHOICES = {
    "lbpcascade": ("lbpcascade",),
    "animeface": ("animeface",),
    "both": ("lbpcascade", "animeface"),
    "network": ("network",),
    "cascade_network": ("lbpcascade", "network"),
}
"""Of a face that several find, the first one's box, tilt and score stay."""


def find(picture: np.ndarray, *, finder: str, asset: str, sweep: str, min_face: int) -> list[Face]:
    """The faces that one of FINDERS, with its asset, sees in a picture: best first."""

    def look(part: np.ndarray) -> list[Face]:
        return DETECTORS[finder].find(part, min_face, SWEEPS[sweep], asset)

    return in_parts(picture, look, min_face) if max(picture.shape[:2]) > LARGEST else look(picture)


def merge(found: dict[str, list[Face]]) -> list[tuple[Face, str]]:
    """What each of several finders found in a picture -> the faces, each with who found it: the first of those that
    did."""
    kept: list[tuple[Face, str]] = []
    for name, faces in found.items():
        kept += [(face, name) for face in faces if not any(overlap(face, other) for other, _ in kept)]
    return kept


def _find_one(path: str, store: Store, **settings) -> list[Face]:
    return find(load(store.root / path), **settings)


def detect(
    images: pa.Table,
    store: Store,
    *,
    detector: str,
    sweep: str,
    min_face: int,
    folder: Path | None = None,
    jobs: int = 0,
) -> tuple[pa.Table, list[dict]]:
    """IMAGES -> (the columns of FACES known by now, rows of FUNNEL for pictures without a face).

    `folder` is where assets are looked for first. Raises UserError if there is no face at all."""
    found: dict[str, dict[str, list[Face]]] = {}  # finder -> image_id -> faces
    failed: set[str] = set()  # image_ids for which there was not enough memory
    for name in DETECTOR_CHOICES[detector]:
        settings = {"finder": name, "asset": DETECTORS[name].asset(folder), "sweep": sweep, "min_face": min_face}
        work = functools.partial(_find_one, store=store, **settings)
        of_what = f"detect/{images_version}.{VERSION}/{name}/{sweep}/{min_face}"
        with store.memory(of_what, [[[NUMBER] * 4, NUMBER, NUMBER]]) as memory:
            pictures = rows_of(images, "image_id", "path")
            known = cached_map(memory, work, pictures, what=f"detecting ({name})", jobs=jobs)
            found[name] = {}
            for image_id, faces in known:
                found[name][image_id] = [Face(tuple(box), *rest) for box, *rest in faces or ()]
                if faces is None:
                    failed.add(image_id)
    drops, owners, faces = [], [], []
    for row, (image_id, source, source_id) in enumerate(rows_of(images, "image_id", "source", "source_id")):
        if image_id in failed:
            drops.append(funnel_row("faces", source, source_id, "out_of_memory", OUT_OF_MEMORY, image_id))
            continue
        here = sorted((*face, name) for face, name in merge({name: of[image_id] for name, of in found.items()}))
        owners += [row] * len(here)
        faces += here
        if not here:
            drops.append(funnel_row("faces", source, source_id, "no_face", "", image_id))
    if not faces:
        raise UserError(
            f"{len(images)} pictures",
            f"{detector} found no face in them",
            "at least one",
            f"try a smaller --min-face (now {min_face} px), or --sweep full for faces that lean far (now {sweep})",
        )
    table = images.rename_columns({"path": "image_path"}).drop_columns(["bytes", "md5", "format", "phash"]).take(owners)
    box, tilt, score, finder = (list(column) for column in zip(*faces, strict=True))
    return with_columns(table, box=box, tilt=tilt, score=score, detector=finder), drops
