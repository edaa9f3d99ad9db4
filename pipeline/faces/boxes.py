"""Boxes of faces: their geometry, their overlap, and non-maximum suppression."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import cv2

TURNED_DEG = 60  # degrees, either way: a face that leans further is turned
TURNED_ODDS = 1 / 9  # of a face being turned, one in ten: assumed, not measured


class Face(NamedTuple):
    """A face in a picture."""

    box: tuple[float, float, float, float]
    """x0, y0, x1, y1 in px of the picture: the upright square of the face's side round its centre."""
    tilt: float
    """Degrees it leans, clockwise positive."""
    score: float
    """The detector's own confidence."""


def face_at(x: float, y: float, side: float, tilt: float, score: float) -> Face:
    """Return the face of this centre and side, px, its tilt brought to -180..180 degrees."""
    x0, y0, x1, y1 = (round(float(end), 2) for end in (x - side / 2, y - side / 2, x + side / 2, y + side / 2))
    return Face((x0, y0, x1, y1), round((float(tilt) + 180) % 360 - 180, 1), float(score))


def non_max_suppression(faces: Iterable[Face]) -> list[Face]:
    """Return the faces, best first, without those that overlap a better one; see `overlap`."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: (-face.score, face.box)):
        if not any(overlap(face, other) for other in kept):
            kept.append(face)
    return kept


def overlap(a: Face, b: Face) -> bool:
    """Return whether the two tilted squares share more than half of the smaller one.

    Unlike IoU, this also holds for a small square inside a large one."""
    square_a, square_b = square(a), square(b)
    (center_a, (side_a, _), _), (center_b, (side_b, _), _) = square_a, square_b
    if math.dist(center_a, center_b) >= (side_a + side_b) / math.sqrt(2):  # their corners do not reach each other
        return False
    kind, corners = cv2.rotatedRectangleIntersection(square_a, square_b)
    if kind == cv2.INTERSECT_NONE:
        return False
    smaller = min(side_a**2, side_b**2)
    return cv2.contourArea(cv2.convexHull(corners)) > 0.5 * smaller


def square(face: Face) -> tuple[tuple[float, float], tuple[float, float], float]:
    """Return the face as a rotated rectangle of OpenCV: centre and size, px, and degrees."""
    x0, y0, x1, y1 = face.box
    return ((x0 + x1) / 2, (y0 + y1) / 2), (x1 - x0, y1 - y0), face.tilt


def is_turned(face: Face) -> bool:
    """Return whether it lies on its side or stands on its head.

    Few faces do, while what only looks like a face is as frequent in a turned copy of a picture as in the upright one.
    So the cascade and the network multiply the odds of such a find by TURNED_ODDS."""
    return abs(face.tilt) > TURNED_DEG


def is_wanted(face: Face, min_face: int) -> bool:
    """Return whether the face is large enough.

    Filter by it before `non_max_suppression`: a face that is too small could suppress one that is not."""
    return face.box[2] - face.box[0] >= min_face
