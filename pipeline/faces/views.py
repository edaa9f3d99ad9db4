"""Copies of a picture at several angles and scales, and the way from their coordinates to those of the picture."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.faces.boxes import Face, non_max_suppression

TURNED_STEP_RATIO = 2  # how much coarser a turned copy is than the upright one: a quarter of the time
FRAMED_WINDOWS = 8 / 3  # longer side of the small copy in white, in sides of the detector's window
MIN_PART_PX = 4096  # px: a part of a strip that is too long has at least this length
MAX_WARP_PX = 16_000  # px: side of what cv2 warps, of 32,766 at most after turning
WHITE = 255  # what lies beyond a picture's edge


class View(NamedTuple):
    """A copy of a picture, or of a part of it, for a detector."""

    center: tuple[float, float]  # x, y in px of the picture: what lies in the copy's middle
    size: tuple[int, int]  # width and height of the copy, px
    step: float  # px of the picture from one px of the copy to the next
    angle: float = 0.0  # degrees, clockwise: a face that leans by it stands upright in the copy

    def to_picture(self) -> np.ndarray:
        """Return the (2, 3) matrix from points of the copy to points of the picture, pixel centres at whole numbers."""
        cos, sin = (self.step * f(math.radians(self.angle)) for f in (math.cos, math.sin))
        turn = np.array([[cos, -sin], [sin, cos]])
        middle = (np.array(self.size) - 1) / 2
        return np.column_stack([turn, np.array(self.center) - 0.5 - turn @ middle])


class Pyramid:
    """A picture and its halves: a coarse copy is made from pixels that were averaged."""

    def __init__(self, pixels: np.ndarray):
        self.width, self.height = pixels.shape[1], pixels.shape[0]
        self._levels = [pixels]  # each half the one before; the first ones, if too large for cv2, are not kept
        self._first = max(0, math.ceil(math.log2(max(pixels.shape[:2]) / MAX_WARP_PX)))
        for _ in range(self._first):
            self._levels = [_half(self._levels[0])]

    def show(self, copy: View) -> np.ndarray:
        """Return the pixels of the copy, uint8."""
        level = max(0, int(math.log2(copy.step) + 1e-9) - self._first)
        while len(self._levels) <= level:
            self._levels.append(_half(self._levels[-1]))
        pixels = self._levels[level]
        shrink = np.array([[pixels.shape[1] / self.width], [pixels.shape[0] / self.height]])
        matrix = copy.to_picture()
        matrix[:, 2] += 0.5
        matrix *= shrink
        matrix[:, 2] -= 0.5
        return cv2.warpAffine(
            pixels, matrix, copy.size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderValue=(WHITE,) * 3
        )


def _half(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    return cv2.resize(pixels, ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA)


def detection_views(width: int, height: int, smallest: float, window: int, angles: Iterable[float]) -> list[View]:
    """Return the copies of a picture of that size in which a detector with that window finds faces of `smallest` px and
    more: upright, turned by each of `angles`, and small with a white frame. All in px."""
    center, longer = (width / 2, height / 2), max(width, height)
    step = max(smallest / window, longer / MAX_WARP_PX)

    def whole(step: float, angle: float = 0.0, room: float = 1.0) -> View:
        cos, sin = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
        size = (width * cos + height * sin) * room / step, (width * sin + height * cos) * room / step
        return View(center, (max(1, round(size[0])), max(1, round(size[1]))), step, angle)

    turned = [whole(step * TURNED_STEP_RATIO, angle) for angle in angles]
    return [whole(step), *turned, whole(longer / (FRAMED_WINDOWS * window), room=2.0)]


def sweep(pyramid: Pyramid, wanted: Iterable[View], find: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return (N, 5), x, y, side, angle and score of what `find` finds in all copies, in px and degrees of the picture.

    `find` returns the same in px and degrees of one copy."""
    seen = [np.empty((0, 5))]
    for copy in wanted:
        found = find(pyramid.show(copy))
        if len(found):
            matrix = copy.to_picture()
            points = (found[:, :2] - 0.5) @ matrix[:, :2].T + matrix[:, 2] + 0.5
            seen.append(np.column_stack([points, found[:, 2:] * (copy.step, 1, 1) + (0, copy.angle, 0)]))
    return np.concatenate(seen)


def find_in_parts(picture: np.ndarray, find: Callable[[np.ndarray], list[Face]], min_face: int) -> list[Face]:
    """Return the faces that `find` finds in a strip, (H, W, 3) and too long for cv2, best first.

    It is searched in parts, each of which overlaps the next by the strip's shorter side: every face is whole in one."""
    is_wide = picture.shape[1] > picture.shape[0]
    longer, shorter = max(picture.shape[:2]), min(picture.shape[:2])
    if shorter < min_face:
        return []
    found = []
    for start, end, first, last in split_strip(longer, shorter):
        part = picture[:, start:end] if is_wide else picture[start:end]
        for face in find(np.ascontiguousarray(part)):
            shift = (start, 0, start, 0) if is_wide else (0, start, 0, start)
            x0, y0, x1, y1 = (round(value + by, 2) for value, by in zip(face.box, shift, strict=True))
            center = (x0 + x1) / 2 if is_wide else (y0 + y1) / 2
            if first <= center < last:
                found.append(face._replace(box=(x0, y0, x1, y1)))
    return non_max_suppression(found)


def split_strip(longer: int, shorter: int) -> Iterator[tuple[int, int, float, float]]:
    """Yield (start, end, first, last), px along a strip of `longer` × `shorter` px: the bounds of each part, and the
    range of centres whose faces are taken from it.

    Parts overlap by `shorter` or more, and the ranges meet in the middle of each overlap, so that no face is cut by all
    parts and none is taken twice. `longer` must exceed `shorter`."""
    length = min(longer, max(MIN_PART_PX, 2 * shorter))
    count = max(1, math.ceil((longer - shorter) / (length - shorter)))
    starts = [round(number * (longer - length) / max(1, count - 1)) for number in range(count)]
    middles = [(start + length + following) / 2 for start, following in itertools.pairwise(starts)]
    edges = [-math.inf, *middles, math.inf]
    for start, (first, last) in zip(starts, itertools.pairwise(edges), strict=True):
        yield start, start + length, first, last
