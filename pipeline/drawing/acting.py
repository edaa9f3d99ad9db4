"""What a film asks of a character, and of the renderer that draws it: the same person in any pose."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from pipeline.drawing.portrait.look import Box

Key = tuple[int, ...]


class Pose(NamedTuple):
    """What changes of a character between two frames."""

    center: tuple[float, float]  # of the face, px
    tilt: float  # degrees, clockwise positive
    speech: int | None  # number of a mouth that talks, 0..3; None: the mouth is at rest
    openness: tuple[float, float]  # of the picture's left and right eye: 1 open, 0 closed


class Places(NamedTuple):
    """Where a face is. Boxes are x0, y0, x1, y1 in px."""

    box: Box
    """The upright square of the face's side round its centre."""
    left_eye: Box
    """Lashes included, as the eye is when wide open; left and right are those of the picture."""
    right_eye: Box


class Character(Protocol):
    """A drawn person. Equal poses give equal pixels, and what a pose leaves as it was stays as it was drawn."""

    def paint(self, pixels: np.ndarray, scale: int, pose: Pose) -> None:
        """Paint the person over `pixels`, uint8 RGB, which are `scale` times as large as the picture."""

    def places(self, pose: Pose) -> Places:
        """Return where the face is in the picture."""


class Renderer(NamedTuple):
    """A way of drawing. Equal keys give equal drawings."""

    sample: Callable[[Key, float], Character]
    """Sample a character whose face has this side, px."""
    background: Callable[[Key, tuple[int, int]], np.ndarray]
    """Draw a background of this width and height, px: uint8 RGB."""


def square(center: tuple[float, float], side: float) -> Box:
    """Return the box of an upright square."""
    (x, y), half = center, side / 2
    return x - half, y - half, x + half, y + half


def bounding_box(points: np.ndarray) -> Box:
    """Return the least box round points, (N, 2)."""
    (x0, y0), (x1, y1) = points.min(0).tolist(), points.max(0).tolist()
    return x0, y0, x1, y1
