"""Images -> face boxes; boxes -> square crops, each cut once from the original pixels."""

import functools
import hashlib
import io
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pyarrow as pa
from PIL import Image

from pipeline import assets
from pipeline.engine import remember
from pipeline.errors import UserError
from pipeline.images import VERSION as images_version
from pipeline.images import load, phash
from pipeline.manifest import funnel_row, with_columns
from pipeline.store import Store

DETECT_VERSION = CROP_VERSION = 1
WINDOW = 24  # px: the side of the cascade's window, hence of the smallest face it knows
LARGEST_WINDOW = 4096  # px: side of what is cut out at once
MONOCHROME_SPREAD = 8  # mean of max - min over the channels, 0..255; scanned line art has about 3, pale colour 15


class Face(NamedTuple):
    """A face in a picture."""

    box: tuple[float, float, float, float]
    """x0, y0, x1, y1 in px of the picture: the upright square of the face's side round its centre."""
    tilt: float
    """Degrees it leans, clockwise positive."""
    score: float
    """The detector's own confidence."""


class Detector(NamedTuple):
    """One row of DETECTORS."""

    find: Callable[[np.ndarray, int, str], list[Face]]
    """((H, W, 3) uint8 picture, smallest face in px, path of the asset) -> faces, best first."""
    asset: str
    """What it needs, by its name in `pipeline.assets`."""


@functools.cache
def _cascade(path: str) -> cv2.CascadeClassifier:
    return cv2.CascadeClassifier(path)


def lbpcascade(picture: np.ndarray, min_face: int, cascade: str) -> list[Face]:
    """nagadomi's cascade, https://github.com/nagadomi/lbpcascade_animeface, on equalised grey, at the smallest scale
    at which the smallest wanted face still fills its window: most of the time goes into the finest scale."""
    height, width = picture.shape[:2]
    scale = WINDOW / min_face
    small_size = max(1, round(width * scale)), max(1, round(height * scale))
    filter_ = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    grey = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), small_size, interpolation=filter_)
    boxes, _, weights = _cascade(cascade).detectMultiScale3(
        cv2.equalizeHist(grey), scaleFactor=1.1, minNeighbors=5, minSize=(WINDOW, WINDOW), outputRejectLevels=True
    )
    found = [
        Face(box=_enlarged(box, width / small_size[0], height / small_size[1]), tilt=0.0, score=float(weight))
        for box, weight in zip(boxes, weights, strict=True)
    ]
    return suppress(found)


def _enlarged(box: np.ndarray, by_x: float, by_y: float) -> tuple[float, float, float, float]:
    """x, y, side, side in the small picture -> the square x0, y0, x1, y1 in the original."""
    x, y, side, _ = (float(value) for value in box)
    center_x, center_y, half = (x + side / 2) * by_x, (y + side / 2) * by_y, side * (by_x + by_y) / 4
    return tuple(round(value, 2) for value in (center_x - half, center_y - half, center_x + half, center_y + half))


def suppress(faces: Iterable[Face]) -> list[Face]:
    """Non-maximum suppression: of two faces that share half the smaller one, the better scored stays. Best first."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: (-face.score, face.box)):
        if all(_shared(face.box, other.box) <= 0.5 for other in kept):
            kept.append(face)
    return kept


def _shared(a, b) -> float:
    """Intersection over the smaller area: unlike IoU it also sees a small box within a large one."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return max(0.0, width) * max(0.0, height) / smaller


DETECTORS = {"lbpcascade": Detector(lbpcascade, "lbpcascade_animeface.xml")}


def _detect_one(path: str, store: Store, find: Callable, min_face: int, asset: str) -> list[Face]:
    return find(load(store.root / path), min_face, asset)


def detect(
    images: pa.Table, store: Store, *, detector: str, min_face: int, folder: Path | None = None, jobs: int = 0
) -> tuple[pa.Table, list[dict]]:
    """IMAGES -> (the columns of FACES known by now, rows of FUNNEL for pictures without a face).

    `folder` is where assets are looked for first. Raises UserError if there is no face at all."""
    find, asset = DETECTORS[detector]
    work = functools.partial(
        _detect_one, store=store, find=find, min_face=min_face, asset=str(assets.fetch(asset, folder))
    )
    pictures = zip(images["image_id"].to_pylist(), images["path"].to_pylist(), strict=True)
    with store.memory(f"detect/{images_version}.{DETECT_VERSION}/{detector}/{min_face}") as memory:
        found = {key: [Face(*face) for face in faces] for key, faces in remember(
            memory, work, pictures, what="detecting", jobs=jobs)}  # fmt: skip
    drops, owners, faces = [], [], []
    for row, (image_id, source, source_id) in enumerate(_rows(images, "image_id", "source", "source_id")):
        owners += [row] * len(found[image_id])
        faces += sorted(found[image_id])
        if not found[image_id]:
            drops.append(funnel_row("faces", source, source_id, "no_face", "", image_id))
    if not faces:
        raise UserError(
            f"{len(images)} pictures", f"{detector} found no face in them", "at least one",
            f"try a smaller --min-face (now {min_face} px), or pictures with larger faces, seen from the front",
        )  # fmt: skip
    table = images.rename_columns({"path": "image_path"}).drop_columns(["bytes", "md5", "format", "phash"]).take(owners)
    box, tilt, score = (list(column) for column in zip(*faces, strict=True))
    return with_columns(table, box=box, tilt=tilt, score=score, detector=[detector] * len(faces)), drops


def _rows(table: pa.Table, *columns: str) -> Iterator[tuple]:
    return zip(*(table[name].to_pylist() for name in columns), strict=True)


def crop(picture: np.ndarray, face: Face, *, size: int, box_scale: float = 1.0, rotation: float = 0.0) -> np.ndarray:
    """(size, size, 3) uint8: the square of `box_scale` × the face's side round its centre, turned so that the face
    leans by `rotation` degrees, clockwise positive. Resampled once, antialiased. Beyond the picture's edge its last
    pixels go on: a plain ground stays plain and no corner is black."""
    x0, y0, x1, y1 = face.box
    shrink = int(max(box_scale * (x1 - x0) / (8 * size), box_scale * (x1 - x0) / LARGEST_WINDOW))
    if shrink > 1:  # far more pixels than are wanted: averages of them will do, and fit into memory
        picture = np.asarray(Image.fromarray(picture).reduce(shrink))
        x0, y0, x1, y1 = (value / shrink for value in face.box)
    center_x, center_y, side = (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) * box_scale
    angle = math.radians(rotation - face.tilt)
    # the window: all pixels that the turned square and the filter's support can touch
    reach = side / 2 * (abs(math.cos(angle)) + abs(math.sin(angle))) + 4 * max(1.0, side / size)
    left, top = math.floor(center_x - reach), math.floor(center_y - reach)
    window = _window(picture, left, top, math.ceil(center_x + reach), math.ceil(center_y + reach))
    center_x, center_y = center_x - left, center_y - top
    if angle:
        # Sample at the original's own density or finer, so that turning blurs nothing, then shrink with the filter.
        dense = size * max(1, math.ceil(1.5 * side / size))
        window = _turned(window, center_x, center_y, side / dense, angle, dense)
        box = (0, 0, dense, dense)
    else:
        box = (center_x - side / 2, center_y - side / 2, center_x + side / 2, center_y + side / 2)
    return np.asarray(Image.fromarray(window).resize((size, size), Image.Resampling.LANCZOS, box=box))


def _window(picture: np.ndarray, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    """picture[y0:y1, x0:x1] where that may lie partly outside, in which case the edge pixels are repeated."""
    columns = np.clip(np.arange(x0, x1), 0, picture.shape[1] - 1)
    rows = np.clip(np.arange(y0, y1), 0, picture.shape[0] - 1)
    return np.ascontiguousarray(picture[rows[0] : rows[-1] + 1][rows - rows[0]][:, columns])


def _turned(window: np.ndarray, center_x: float, center_y: float, step: float, angle: float, size: int) -> np.ndarray:
    """(size, size, 3) samples of `window`, `step` px apart, round its point (center_x, center_y)."""
    cos, sin = math.cos(angle) * step, math.sin(angle) * step
    middle = (size - 1) / 2
    from_output = np.array(
        [
            [cos, sin, center_x - 0.5 - middle * (cos + sin)],  # - 0.5: pixel centres, as cv2 counts
            [-sin, cos, center_y - 0.5 - middle * (cos - sin)],
        ]
    )
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(window, from_output, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _cut_one(image: tuple[str, list[Face]], store: Store, size: int, box_scale: float, rotation: float) -> list[dict]:
    """Cut one picture's faces into the cache: for each its columns of FACES."""
    path, faces = image
    picture = load(store.root / path)
    return [_keep(crop(picture, face, size=size, box_scale=box_scale, rotation=rotation), store) for face in faces]


def _keep(pixels: np.ndarray, store: Store) -> dict:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    face_id = hashlib.sha256(file.getvalue()).hexdigest()
    path = f"faces/{face_id[:2]}/{face_id}.png"
    store.put(f"cache/{path}", file.getvalue())
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    spread = pixels.max(2).astype(np.int16) - pixels.min(2)
    return {
        "face_id": face_id,
        "path": path,
        "sharpness": float(cv2.Laplacian(grey, cv2.CV_64F).var()),
        "brightness": float(grey.mean() / 255),
        "monochrome": bool(spread.mean() < MONOCHROME_SPREAD),
        "phash": phash(pixels),
    }


def by_image(faces: pa.Table) -> dict[str, tuple[str, list[Face]]]:
    """image_id -> (path of the original, its faces), in the table's order: a stage decodes each picture once."""
    images: dict[str, tuple[str, list[Face]]] = {}
    for image_id, path, box, tilt, score in _rows(faces, "image_id", "image_path", "box", "tilt", "score"):
        images.setdefault(image_id, (path, []))[1].append(Face(tuple(box), tilt, score))
    return images


def image_key(image_id: str, faces: list[Face]) -> str:
    """What a result about these faces of this picture depends on."""
    return f"{image_id} {[(*face.box, face.tilt) for face in faces]}"


def per_face(
    faces: pa.Table, store: Store, memory_name: str, work: Callable, *, what: str, jobs: int, still: Callable = bool
) -> list:
    """work((path, faces of one picture)) -> one result per face, in the table's order, remembered."""
    images = {image_key(image_id, image[1]): image for image_id, image in by_image(faces).items()}
    with store.memory(memory_name) as memory:
        results = dict(remember(memory, work, images.items(), what=what, jobs=jobs, still=still))
    return [result for key in images for result in results[key]]


def cut(
    faces: pa.Table, store: Store, *, size: int, box_scale: float, rotation: float, jobs: int = 0
) -> tuple[pa.Table, list[dict]]:
    """Detected faces -> (the same with their crops' columns, rows of FUNNEL). The PNGs lie in the cache.

    Two crops of equal bytes are one row, the first's."""

    def still_there(crops: list[dict]) -> bool:
        return all((store.root / "cache" / crop["path"]).exists() for crop in crops)

    crops = per_face(
        faces, store, f"crops/{images_version}.{CROP_VERSION}/{size}/{box_scale}/{rotation}",
        functools.partial(_cut_one, store=store, size=size, box_scale=box_scale, rotation=rotation),
        what="cutting", jobs=jobs, still=still_there,
    )  # fmt: skip
    first: dict[str, int] = {}
    for row, result in enumerate(crops):
        first.setdefault(result["face_id"], row)
    drops = []
    for row, (source, source_id, image_id) in enumerate(_rows(faces, "source", "source_id", "image_id")):
        if (twin := first[crops[row]["face_id"]]) != row:
            detail = f"the same crop as from {faces['source_id'][twin].as_py()}"
            drops.append(funnel_row("crops", source, source_id, "duplicate", detail, image_id))
    kept = [crops[row] for row in first.values()]
    made = {"size": size, "box_scale": box_scale, "rotation": rotation}
    columns = {name: [result[name] for result in kept] for name in kept[0]}
    columns |= {name: [value] * len(kept) for name, value in made.items()}
    return with_columns(faces.take(list(first.values())), **columns), drops
