"""The canvas of a scene, and the spots of its faces.

Unlike portraits, scenes are painted at their final size: that is fast, and real pictures have such edges too.
"""

from typing import NamedTuple

import numpy as np

from pipeline.drawing.canvas import CHIN, FACE, Canvas, Warp
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.shapes import direction


class Spot(NamedTuple):
    """A square that a face fills, hair left out."""

    x: float  # centre, px
    y: float
    side: float  # px
    tilt: float  # degrees, clockwise


class SceneCanvas(Canvas):
    """A square canvas with a sampler and antialiased masks."""

    def __init__(
        self,
        pixels: np.ndarray,
        sampler: Sampler,
        unit: float = 1,
        origin: tuple[float, float] | np.ndarray = (0, 0),
        tilt: float = 0,
        warp: Warp | None = None,
    ):
        super().__init__(pixels, unit, origin, tilt, warp=warp, has_smooth_masks=True)
        self.sampler = sampler

    @property
    def size(self) -> int:
        """Return the picture's side, px."""
        return self.pixels.shape[0]


def face_frame(spot: Spot) -> tuple[float, np.ndarray, float]:
    """Return unit, origin and tilt of the frame in which a face fills the spot."""
    unit = spot.side / FACE
    below = direction(spot.tilt + 90) * unit * (CHIN - FACE / 2)  # the square's centre, seen from the frame's origin
    return unit, np.array([spot.x, spot.y]) - below, spot.tilt
