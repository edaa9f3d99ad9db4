"""The surface that scenes are painted on: the portrait's sheet with a lot at hand and a frame that may be bent.

Unlike portraits, scenes are painted at their own size: that is fast, and a detector sees such edges in real pictures.
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
    """How a frame is bent before it is placed: faces that are wide, long, slanted or tapering, or seen mirrored."""

    width: float = 1  # negative: mirrored
    height: float = 1
    shear: float = 0  # sideways, by y
    bow: float = 0  # sideways, by y²
    taper: float = 0  # wider downwards if positive

    def bend(self, points: np.ndarray) -> np.ndarray:
        """(N, 2) -> (N, 2)."""
        x, y = points[:, 0], points[:, 1]
        return np.stack([self.width * x * (1 + self.taper * y) + self.shear * y + self.bow * y * y, self.height * y], 1)


class Canvas(Sheet):
    """A sheet whose frame may be bent."""

    def __init__(
        self,
        pixels: np.ndarray,
        sampler: Sampler,
        unit: float = 1,
        origin: tuple[float, float] = (0, 0),
        tilt: float = 0,
        warp: Warp | None = None,
    ):
        """`pixels` uint8 RGB (size, size, 3), painted on in place; `unit` and `origin` in px; `tilt` in degrees."""
        super().__init__(pixels, unit, origin, tilt)
        self.sampler = sampler
        self.warp = warp

    @property
    def size(self) -> int:
        """The picture's side, px."""
        return self.pixels.shape[0]

    def place(self, points) -> np.ndarray:
        """Frame -> px."""
        points = np.asarray(points, float)
        return super().place(points if self.warp is None else self.warp.bend(points))

    def mask(self, points) -> np.ndarray:
        """Where the polygon is: uint8 (size, size), smooth at its edge."""
        mask = np.zeros(self.pixels.shape[:2], np.uint8)
        return cv2.fillPoly(mask, [self._fixed(points)], 255, cv2.LINE_AA, SHIFT)

    def stroke(self, points, widths, color: RGB, within: np.ndarray | None = None, alpha: float = 1) -> None:
        """A line whose half width changes along it."""
        self.fill(brush(points, widths), color, within, alpha)

    def shape(self, points, paint: RGB | Ramp, ink: RGB, width: float) -> None:
        """A filled polygon with its outline."""
        self.fill(points, paint)
        self.line(points, ink, width)


def face_frame(spot: Spot) -> tuple[float, np.ndarray, float]:
    """Unit, origin and tilt of the frame in which a face fills the spot."""
    unit = spot.side / FACE
    below = direction(spot.tilt + 90) * unit * (CHIN - FACE / 2)  # the square's centre, seen from the frame's origin
    return unit, np.array([spot.x, spot.y]) - below, spot.tilt


def down(points, top: RGB, bottom: RGB) -> Ramp:
    """A paint that goes from one colour at the top of these points to another at their bottom."""
    (x0, y0), (_, y1) = np.min(points, 0), np.max(points, 0)
    return Ramp((float(x0), float(y0)), (float(x0), float(y1)), (top, bottom))


def leaf(x: float, y: float, rx: float, ry: float, turn: float, n: int = 14) -> np.ndarray:
    """An ellipse that is turned, by radians clockwise."""
    across, along = direction(np.rad2deg(turn)), direction(np.rad2deg(turn) + 90)
    return ellipse(0, 0, rx, ry, n) @ np.array([across, along]) + (x, y)
