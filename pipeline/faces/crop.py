"""Faces -> square crops, each cut once from the original pixels."""

import functools
import hashlib
import io
import logging
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pyarrow as pa
from PIL import Image

from pipeline import marking
from pipeline.errors import UserError
from pipeline.faces.boxes import Face
from pipeline.faces.views import View
from pipeline.funnel import funnel_row
from pipeline.images.collect import VERSION as images_version
from pipeline.images.decode import load, phash
from pipeline.later_work import Work
from pipeline.manifest import rows_of, with_columns
from pipeline.parallel import OUT_OF_MEMORY, cached_map
from pipeline.store import Store, has_sha256, remove
from pipeline.stored import HEX64, NUMBER

logger = logging.getLogger("luigi-interface")

CROP_VERSION = 2
REDUCED_DENSITY = 3  # px left for one of the crop, at least, when a picture is reduced first: as Pillow advises
MAX_WINDOW_PX = 4096  # px: what is cut out at once has less than twice that side
MONOCHROME_SPREAD = 8  # mean of max - min over the channels, 0..255; scanned line art has about 3, pale colour 15


class Frame(NamedTuple):
    """Where the face's box lies in a crop."""

    box_scale: float  # side of the crop over side of the box
    face_x: float | None = None  # of its centre, in sides of the crop; None: in the middle
    face_y: float | None = None

    @classmethod
    def of_box(cls, x0: float, y0: float, x1: float, y1: float) -> "Frame":
        """Return the frame in which the box, a square, lies there, in sides of the crop: to 32 bits, as in a
        manifest, so that a recipe cuts the same."""
        return cls(*(as_given(value) for value in (1 / (x1 - x0), (x0 + x1) / 2, (y0 + y1) / 2)))

    @property
    def offset(self) -> tuple[float, float]:
        """Return how far right of the middle and below it the face's centre is, in sides of the crop."""
        x, y = (0.0 if at is None else at - 0.5 for at in (self.face_x, self.face_y))
        return x, y

    def box(self, size: float) -> tuple[float, float, float, float]:
        """Return x0, y0, x1, y1 of the face in a crop of `size` px."""
        margin, (x, y) = (size - size / self.box_scale) / 2, (part * size for part in self.offset)
        return margin + x, margin + y, size - margin + x, size - margin + y


def as_given(value: float) -> float:
    """Return a parameter as it was given, from its value in 32 bits: 1.2999999523162842 -> 1.3."""
    return float(str(np.float32(value)))


def crop(
    picture: np.ndarray,
    face: Face,
    *,
    size: int,
    box_scale: float = 1.0,
    rotation: float = 0.0,
    offset: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """Return (size, size, 3) uint8: the square of `box_scale` × the face's side round its centre, turned so that the
    face leans by `rotation` degrees, clockwise positive. Resampled once, antialiased, a large face from means of its
    pixels. Beyond the picture's edge its last pixels are repeated: a plain background stays plain and no corner is
    black.

    `offset`: how far right of the crop's middle and below it the face's centre comes to lie, in sides of the crop."""
    side, angle = (face.box[2] - face.box[0]) * box_scale, math.radians(rotation - face.tilt)
    center_x, center_y = _center(face.box, side, angle, offset)
    # The window: all pixels that the turned square and the filter's support can touch.
    reach = side / 2 * (abs(math.cos(angle)) + abs(math.sin(angle))) + 4 * max(1.0, side / size)
    shrink = int(side / min(REDUCED_DENSITY * size, MAX_WINDOW_PX))
    if shrink > 1:  # far more pixels than needed: means of them suffice, and save time and memory
        picture, left, top = _reduce(picture, shrink, center_x, center_y, reach)
        center_x, center_y = (center_x - left) / shrink, (center_y - top) / shrink
        side, reach = side / shrink, reach / shrink
    left, top = math.floor(center_x - reach), math.floor(center_y - reach)
    window = _window(picture, left, top, math.ceil(center_x + reach), math.ceil(center_y + reach))
    center_x, center_y = center_x - left, center_y - top
    if angle:
        # Sample at the original's own density or finer, so that turning blurs nothing, then shrink with the filter.
        dense = size * max(1, math.ceil(side / size if side > 2 * size else 1.5 * side / size))
        window = _rotate(window, center_x, center_y, side / dense, angle, dense)
        box: tuple[float, float, float, float] = (0, 0, dense, dense)
    else:
        box = (center_x - side / 2, center_y - side / 2, center_x + side / 2, center_y + side / 2)
    return np.asarray(Image.fromarray(window).resize((size, size), Image.Resampling.LANCZOS, box=box))


def view_of_crop(face: Face, *, size: int, frame: Frame, rotation: float = 0.0) -> View:
    """Return which part of a picture `crop` shows of the face, as a copy of `size` px."""
    side, tilt = (face.box[2] - face.box[0]) * frame.box_scale, face.tilt - rotation
    center = _center(face.box, side, math.radians(-tilt), frame.offset)
    return View(center, (size, size), side / size, tilt)


def _center(
    box: tuple[float, float, float, float], side: float, angle: float, offset: tuple[float, float]
) -> tuple[float, float]:
    """Return the middle of a crop of `side` px, in px of the picture."""
    x0, y0, x1, y1 = box
    center_x, center_y = (x0 + x1) / 2, (y0 + y1) / 2
    if any(offset):
        right, down = (side * part for part in offset)
        center_x -= math.cos(angle) * right + math.sin(angle) * down
        center_y -= math.cos(angle) * down - math.sin(angle) * right
    return center_x, center_y


def _reduce(picture: np.ndarray, factor: int, x: float, y: float, reach: float) -> tuple[np.ndarray, int, int]:
    """Return (the picture within `reach` of x, y, each pixel the mean of factor × factor; its left and top, px of the
    picture). It has a pixel at least, at the picture's edge."""
    left, right = _squares(x, reach, factor, picture.shape[1])
    top, bottom = _squares(y, reach, factor, picture.shape[0])
    return np.asarray(Image.fromarray(picture[top:bottom, left:right]).reduce(factor)), left, top


def _squares(at: float, reach: float, factor: int, length: int) -> tuple[int, int]:
    """Return the start of the first and the end of the last `factor` px that are within `reach` of a place on a side of
    `length` px."""
    last = (length - 1) // factor
    first, last = (min(max(int((at + by) // factor), 0), last) for by in (-reach, reach))
    return first * factor, (last + 1) * factor


def _window(picture: np.ndarray, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    """Return picture[y0:y1, x0:x1], which may lie partly outside: edge pixels are repeated."""
    (top, bottom, rows), (left, right, columns) = _clip(y0, y1, picture.shape[0]), _clip(x0, x1, picture.shape[1])
    return cv2.copyMakeBorder(picture[rows, columns], top, bottom, left, right, cv2.BORDER_REPLICATE)


def _clip(start: int, end: int, length: int) -> tuple[int, int, slice]:
    """Return (px of start:end before a side of `length` px, px after it, the part within it, of 1 px at least)."""
    inside = slice(min(max(start, 0), length - 1), max(min(end, length), 1))
    before = min(max(-start, 0), end - start - 1)
    return before, end - start - before - (inside.stop - inside.start), inside


def _rotate(window: np.ndarray, center_x: float, center_y: float, step: float, angle: float, size: int) -> np.ndarray:
    """Return (size, size, 3) samples of `window`, `step` px apart, turned by `angle` radians round (center_x,
    center_y)."""
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


def cutting(store: Store, *, size: int, frame: Frame, rotation: float) -> Work:
    """Return the work of cutting a picture's faces into the cache, and of measuring the crops."""
    cache = f"crops/{images_version}.{CROP_VERSION}/{size}/{frame.box_scale}/{rotation}"
    if any(frame.offset):
        cache += f"/{frame.face_x}/{frame.face_y}"
    return Work(cache, functools.partial(_cut_faces, store=store, size=size, frame=frame, rotation=rotation))


def _cut_faces(
    picture: np.ndarray, faces: list[Face], file: Path, *, store: Store, size: int, frame: Frame, rotation: float
) -> list[dict]:
    """Cut the faces of a picture, which `file` holds, into the cache. Return the columns of FACES of each crop."""
    is_generated = marking.is_generated(file)
    how: dict[str, Any] = {"box_scale": frame.box_scale, "rotation": rotation, "offset": frame.offset}
    return [_keep(crop(picture, face, size=size, **how), store, is_generated=is_generated) for face in faces]


def _keep(pixels: np.ndarray, store: Store, *, is_generated: bool) -> dict:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", pnginfo=marking.generated_texts() if is_generated else None)
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


_CROP = {
    "face_id": HEX64,
    "path": re.compile("faces/[0-9a-f]{2}/[0-9a-f]{64}[.]png"),
    "sharpness": NUMBER,
    "brightness": NUMBER,
    "monochrome": bool,
    "phash": str,
}
"""The shape of what `_keep` returns."""


def _is_whole(file: Path, sha256: str) -> bool:
    """Return whether the file is there, with those bytes. Remove it if it is damaged: it is cut again."""
    if has_sha256(file, sha256):
        return True
    if os.path.lexists(file):
        logger.warning("%s is damaged: it is cut again", file)
        remove(file)
    return False


def by_image(faces: pa.Table) -> dict[str, tuple[str, list[Face]]]:
    """Return {image_id: (path of the original, its faces)}, in the table's order."""
    images: dict[str, tuple[str, list[Face]]] = {}
    for image_id, path, box, tilt, score in rows_of(faces, "image_id", "image_path", "box", "tilt", "score"):
        images.setdefault(image_id, (path, []))[1].append(Face(tuple(box), tilt, score))
    return images


def image_key(image_id: str, faces: list[Face]) -> str:
    """Return the cache key of results about these faces of this picture."""
    return f"{image_id} {[(*face.box, face.tilt) for face in faces]}"


def per_face(
    faces: pa.Table, store: Store, work: Work, *, shape: list, what: str, jobs: int, is_valid: Callable = bool
) -> list:
    """Do the work, a function of (picture, its faces, its file), for each picture. Return its results, one per face,
    in the table's order; None for each face of a picture that needed too much memory. Results are cached; `shape` is
    that of one picture's results."""
    images = {image_key(image_id, image[1]): image for image_id, image in by_image(faces).items()}
    function = functools.partial(_work_on_file, function=work.function, root=store.root)
    with store.memory(work.cache, shape) as memory:
        results = dict(cached_map(memory, function, images.items(), what=what, jobs=jobs, is_valid=is_valid))
    return [result for key in images for result in results[key] or [None] * len(images[key][1])]


def _work_on_file(image: tuple[str, list[Face]], function: Callable, root: Path) -> list:
    path, faces = image
    return function(load(root / path), faces, root / path)


def cut(
    faces: pa.Table, store: Store, *, size: int, frame: Frame, rotation: float, jobs: int = 0
) -> tuple[pa.Table, list[dict]]:
    """Return (the detected faces with their crops' columns, rows of FUNNEL). The PNGs are written into the cache.

    Two crops of equal bytes are one row, the first's."""

    def are_stored(crops: list[dict]) -> bool:
        whole = [_is_whole(store.root / "cache" / crop["path"], crop["face_id"]) for crop in crops]
        return all(whole)  # only now, so that every damaged crop has been removed

    work = cutting(store, size=size, frame=frame, rotation=rotation)
    crops = per_face(faces, store, work, shape=[_CROP], what="cutting", jobs=jobs, is_valid=are_stored)
    first: dict[str, int] = {}
    for row, result in enumerate(crops):
        if result:
            first.setdefault(result["face_id"], row)
    drops = []
    for row, (source, source_id, image_id) in enumerate(rows_of(faces, "source", "source_id", "image_id")):
        if crops[row] is None:
            drops.append(funnel_row("crops", source, source_id, "out_of_memory", OUT_OF_MEMORY, image_id))
        elif (twin := first[crops[row]["face_id"]]) != row:
            detail = f"the same crop as from {faces['source_id'][twin].as_py()}"
            drops.append(funnel_row("crops", source, source_id, "duplicate", detail, image_id))
    if not first:
        cure = "use fewer jobs, or smaller pictures"
        raise UserError(f"{len(faces)} faces", "there was not enough memory to cut any", "enough for one picture", cure)
    distinct = [crops[row] for row in first.values()]
    made = {"size": size, "rotation": rotation, **frame._asdict()}
    columns = {name: [result[name] for result in distinct] for name in distinct[0]}
    columns |= {name: [value] * len(distinct) for name, value in made.items()}
    return with_columns(faces.take(list(first.values())), **columns), drops
