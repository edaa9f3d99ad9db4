"""The surface that portraits and scenes are painted on: pixels with a frame that may be tilted, scaled and warped."""

from typing import NamedTuple

import cv2
import numpy as np

from pipeline.drawing.colors import RGB
from pipeline.drawing.shapes import brush

SHIFT = 4  # fractional bits of the coordinates given to OpenCV
CHIN, FACE = 0.6, 1.18  # y of the chin, side of the face's square, in the frame of a head


class Ramp(NamedTuple):
    """A paint that blends from one colour at `start` to another at `end`."""

    start: tuple[float, float]
    end: tuple[float, float]
    colors: tuple[RGB, RGB]


def vertical_ramp(points, top: RGB, bottom: RGB) -> Ramp:
    """Return a vertical ramp from one colour at the top of the points to another at their bottom."""
    (x0, y0), (_, y1) = np.min(points, 0), np.max(points, 0)
    return Ramp((float(x0), float(y0)), (float(x0), float(y1)), (top, bottom))


def flat(shape: tuple[int, ...], color: RGB) -> np.ndarray:
    """Return pixels of one colour, uint8 (height, width, 3)."""
    pixels = np.empty(shape, np.uint8)
    pixels[0] = color
    pixels[1:] = pixels[0]  # by rows: NumPy takes ten times as long to repeat three bytes
    return pixels


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


class Canvas:
    """Pixels with a frame. Points and lengths to paint are in the frame's coordinates."""

    def __init__(
        self,
        pixels: np.ndarray,
        unit: float = 1,
        origin: tuple[float, float] | np.ndarray = (0, 0),
        tilt: float = 0,
        *,
        warp: Warp | None = None,
        has_smooth_masks: bool = False,
    ):
        """Take `pixels`, uint8 RGB (height, width, 3), painted in place; `unit` and `origin` in px; `tilt` in degrees.

        A positive tilt is clockwise. `warp` deforms the frame before it is placed. With `has_smooth_masks`, masks are
        antialiased.
        """
        angle = np.deg2rad(tilt)
        self.pixels, self.unit, self.warp = pixels, unit, warp
        self.turn = unit * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        self.origin = np.asarray(origin, float)
        self.mask_line = cv2.LINE_AA if has_smooth_masks else cv2.LINE_8

    def place(self, points) -> np.ndarray:
        """Convert points of the frame to px, where 0 is the outer edge of the first pixel."""
        points = np.asarray(points, float)
        return (points if self.warp is None else self.warp.bend(points)) @ self.turn + self.origin

    def _fixed_point(self, points) -> np.ndarray:
        return np.rint((self.place(points) - 0.5) * (1 << SHIFT)).astype(np.int32)

    def mask(self, points) -> np.ndarray:
        """Return the mask of a polygon, uint8 (height, width)."""
        mask = np.zeros(self.pixels.shape[:2], np.uint8)
        return cv2.fillPoly(mask, [self._fixed_point(points)], 255, self.mask_line, SHIFT)

    def line(self, points, color: RGB, width: float, closed: bool = True) -> None:
        """Draw a line of constant width; none if the width is 0."""
        if width:
            thick = max(1, round(width * self.unit))
            cv2.polylines(self.pixels, [self._fixed_point(points)], closed, color, thick, cv2.LINE_AA, SHIFT)

    def fill(
        self, points, paint: RGB | Ramp, within: np.ndarray | None = None, alpha: float = 1, soft: float = 0
    ) -> None:
        """Paint a polygon: within a mask, translucent, or with an edge softened over `soft` units."""
        fixed = self._fixed_point(points)
        if within is None and alpha == 1 and not soft and not isinstance(paint, Ramp):
            cv2.fillPoly(self.pixels, [fixed], paint, cv2.LINE_AA, SHIFT)
            return
        pad = 2 + 2 * round(soft * self.unit)
        height, width = self.pixels.shape[:2]
        (x0, y0), (x1, y1) = (fixed.min(0) >> SHIFT) - pad, (fixed.max(0) >> SHIFT) + pad + 1
        x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
        if x0 >= x1 or y0 >= y1:
            return
        region = self.pixels[y0:y1, x0:x1]
        mask: np.ndarray = np.zeros(region.shape[:2], np.uint8)
        cv2.fillPoly(mask, [fixed - np.array([x0, y0], np.int32) * (1 << SHIFT)], 255, cv2.LINE_AA, SHIFT)
        if soft:
            size = 2 * round(soft * self.unit) + 1
            mask = cv2.blur(cv2.blur(mask, (size, size)), (size, size))
        if within is not None:
            mask = cv2.bitwise_and(mask, within[y0:y1, x0:x1])
        source = self._ramp(paint, x0, y0, region.shape) if isinstance(paint, Ramp) else flat(region.shape, paint)
        weight = mask.astype(np.float32) * (alpha / 255)
        region[:] = cv2.blendLinear(source, region, weight, 1 - weight)

    def stroke(self, points, widths, color: RGB, within: np.ndarray | None = None, alpha: float = 1) -> None:
        """Paint a stroke along a spline; `widths` are half widths at equal distances."""
        self.fill(brush(points, widths), color, within, alpha)

    def shape(self, points, paint: RGB | Ramp, ink: RGB, width: float) -> None:
        """Paint a polygon and its outline."""
        self.fill(points, paint)
        self.line(points, ink, width)

    def _ramp(self, ramp: Ramp, x0: int, y0: int, shape: tuple[int, ...]) -> np.ndarray:
        start, end = self.place([ramp.start, ramp.end])
        step = (end - start) / ((end - start) ** 2).sum()
        x, y = np.arange(shape[1], dtype=np.float32) + x0, np.arange(shape[0], dtype=np.float32) + y0
        t = ((x - start[0]) * step[0])[None] + ((y - start[1]) * step[1])[:, None]
        colors = np.linspace(*ramp.colors, 256).round().astype(np.uint8)[:, None]
        return cv2.applyColorMap((t * 255).clip(0, 255).astype(np.uint8), colors)
