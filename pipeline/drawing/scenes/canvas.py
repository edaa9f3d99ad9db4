"""The surface that scenes are painted on: the portrait's sheet with a sampler and a frame that may be warped.

Unlike portraits, scenes are painted at their final size: that is fast, and real pictures have such edges too.
"""

from typing import NamedTuple

import cv2
import numpy as np

from pipeline.drawing.portrait.look import RGB
from pipeline.drawing.portrait.sheet import CHIN, FACE, SHIFT, Ramp, Sheet, brush, direction, ellipse
from pipeline.drawing.sampling import Sampler


class Spot(NamedTuple):
    """A square that a face fills, hair left out."""

    x: float  # centre, px
    y: float
    side: float  # px
    tilt: float  # degrees, clockwise


class Warp(NamedTuple):
    """The deformation of a frame before it is placed: wide, long, slanted, tapered or mirrored faces."""

    width: float = 1  # negative: mirrored
    height: float = 1
    shear: float = 0  # sideways, by y
    bow: float = 0  # sideways, by y²
    taper: float = 0  # wider downwards if positive

    def bend(self, points: np.ndarray) -> np.ndarray:
        """Deform points, (N, 2) -> (N, 2)."""
        x, y = points[:, 0], points[:, 1]
        return np.stack([self.width * x * (1 + self.taper * y) + self.shear * y + self.bow * y * y, self.height * y], 1)


class Canvas(Sheet):
    """A sheet whose frame may be warped."""

    def __init__(
        self,
        pixels: np.ndarray,
        sampler: Sampler,
        unit: float = 1,
        origin: tuple[float, float] | np.ndarray = (0, 0),
        tilt: float = 0,
        warp: Warp | None = None,
    ):
        """Take `pixels`, uint8 RGB (size, size, 3), painted in place; `unit` and `origin` in px; `tilt` in degrees."""
        super().__init__(pixels, unit, origin, tilt)
        self.sampler = sampler
        self.warp = warp

    @property
    def size(self) -> int:
        """The picture's side, px."""
        return self.pixels.shape[0]

    def place(self, points) -> np.ndarray:
        """Convert points of the frame to px."""
        points = np.asarray(points, float)
        return super().place(points if self.warp is None else self.warp.bend(points))

    def mask(self, points) -> np.ndarray:
        """Return the mask of a polygon, uint8 (size, size), antialiased."""
        mask = np.zeros(self.pixels.shape[:2], np.uint8)
        return cv2.fillPoly(mask, [self._fixed_point(points)], 255, cv2.LINE_AA, SHIFT)

    def stroke(self, points, widths, color: RGB, within: np.ndarray | None = None, alpha: float = 1) -> None:
        """Paint a stroke along a spline; `widths` are half widths at equal distances."""
        self.fill(brush(points, widths), color, within, alpha)

    def shape(self, points, paint: RGB | Ramp, ink: RGB, width: float) -> None:
        """Paint a polygon and its outline."""
        self.fill(points, paint)
        self.line(points, ink, width)


def face_frame(spot: Spot) -> tuple[float, np.ndarray, float]:
    """Return unit, origin and tilt of the frame in which a face fills the spot."""
    unit = spot.side / FACE
    below = direction(spot.tilt + 90) * unit * (CHIN - FACE / 2)  # the square's centre, seen from the frame's origin
    return unit, np.array([spot.x, spot.y]) - below, spot.tilt


def vertical_ramp(points, top: RGB, bottom: RGB) -> Ramp:
    """Return a vertical ramp from one colour at the top of the points to another at their bottom."""
    (x0, y0), (_, y1) = np.min(points, 0), np.max(points, 0)
    return Ramp((float(x0), float(y0)), (float(x0), float(y1)), (top, bottom))


def leaf(x: float, y: float, rx: float, ry: float, turn: float, n: int = 14) -> np.ndarray:
    """Return an ellipse rotated clockwise by `turn` radians, (n, 2)."""
    across, along = direction(np.rad2deg(turn)), direction(np.rad2deg(turn) + 90)
    return ellipse(0, 0, rx, ry, n) @ np.array([across, along]) + (x, y)
