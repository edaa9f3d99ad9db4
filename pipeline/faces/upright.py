"""A face of a picture, brought upright at the picture's own scale, and its eyes."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from pipeline.faces.boxes import Face, square
from pipeline.faces.landmarks import Box, Landmarks
from pipeline.faces.views import View

BOX_SCALE = 1.5  # side of a crop, and of a frame of a blink clip, in sides of the face
MIN_VISIBLE = 0.35  # share of an eye: if more shows, behind a strand of hair, it still blinks; less counts as hidden

FindLandmarks = Callable[[np.ndarray, Sequence[Face]], list[Landmarks]]
"""A picture (H, W, 3) uint8 and its faces -> the landmarks of each."""


class SeenEyes(NamedTuple):
    """The eyes of a face that count; None: it is hidden, or not open enough."""

    left_eye: Box | None
    right_eye: Box | None
    openness: float  # mean of those that count, 1 open to 0 closed; NaN if none does


def seen_eyes(face: Landmarks, least: float = 0.0) -> SeenEyes:
    """Return the eyes of which MIN_VISIBLE or more shows, and that are open by `least` or more."""
    left = face.left_visible >= MIN_VISIBLE and face.left_openness >= least
    right = face.right_visible >= MIN_VISIBLE and face.right_openness >= least
    levels = [face.left_openness] * left + [face.right_openness] * right
    return SeenEyes(
        face.left_eye if left else None, face.right_eye if right else None, float(np.mean(levels or [np.nan]))
    )


def view_of(face: Face) -> View:
    """Return the upright square crop round a face, of as many px as in the picture. That of a face that does not lean
    has whole pixels of the picture."""
    (x, y), (side, _), tilt = square(face)
    size = max(2, round(BOX_SCALE * side))
    center = round(x - size / 2) + size / 2, round(y - size / 2) + size / 2
    return View(center, (size, size), 1.0, tilt)


def face_box(size: float, box_scale: float) -> Box:
    """Return the box of the face in the middle of a crop of `size` px, which is `box_scale` sides of the face."""
    margin = size * (1 - 1 / box_scale) / 2
    return margin, margin, size - margin, size - margin
