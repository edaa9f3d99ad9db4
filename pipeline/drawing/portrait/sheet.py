"""The surface that a portrait is painted on: frames, curves, brushes, colours.

Everything is painted at SCALE times the picture's size and reduced once at the end.
"""

import colorsys
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.drawing.portrait.look import RGB, Look

SCALE = 2

SHIFT = 4  # fractional bits of the coordinates given to OpenCV

WHITE = (255, 255, 255)

CHIN, FACE = 0.6, 1.18


class Ramp(NamedTuple):
    """A paint that goes from one colour at one point to another at another."""

    start: tuple[float, float]
    end: tuple[float, float]
    colors: tuple[RGB, RGB]


def curve(points, closed: bool = False, steps: int = 8) -> np.ndarray:
    """Return a Catmull-Rom spline through the points, (N, 2), with `steps` points per segment."""
    p = np.asarray(points, float)
    p = np.concatenate([p[-1:], p, p[:2]]) if closed else np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None, None]
    a, b, c, d = p[:-3], p[1:-2], p[2:-1], p[3:]
    sampled = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    sampled = sampled.transpose(1, 0, 2).reshape(-1, 2)
    return sampled if closed else np.concatenate([sampled, p[-2:-1]])


def bezier(a, b, c, steps: int = 7) -> np.ndarray:
    """Return a quadratic Bezier curve from a to c with control point b, (steps, 2)."""
    t = np.linspace(0, 1, steps)[:, None]
    a, b, c = np.asarray(a, float), np.asarray(b, float), np.asarray(c, float)
    return (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c


def brush(points, widths) -> np.ndarray:
    """Return the outline of a stroke along a spline through the points; `widths` are half widths at equal distances."""
    line = curve(points, steps=9)
    along = np.gradient(line, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], 1) / (np.linalg.norm(along, axis=1, keepdims=True) + 1e-9)
    half = np.interp(np.linspace(0, 1, len(line)), np.linspace(0, 1, len(widths)), widths)[:, None]
    return np.concatenate([line + half * normal, (line - half * normal)[::-1]])


def mirror(points) -> np.ndarray:
    """Return the points mirrored at the axis x = 0, (N, 2)."""
    return np.asarray(points, float) * (-1, 1)


def symmetric(half) -> np.ndarray:
    """Return the closed outline of a shape from its right half, which starts and ends on the axis."""
    half = np.asarray(half, float)
    return np.concatenate([half, mirror(half)[::-1]])


def ellipse(x: float, y: float, rx: float, ry: float, n: int = 28) -> np.ndarray:
    """Return n points of an ellipse, (n, 2)."""
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], 1)


def tufts(edge, tip: int = 1, curl: float = 0) -> np.ndarray:
    """Return the edge of hair through alternating notches and tips: strands that are round and end in points.

    The first tip has index `tip`. `curl` bends all strands to one side: 0 straight, 1 like claws.
    """
    edge = np.asarray(edge, float)
    parts = []
    for k in range(len(edge) - 1):
        at, notch = (k, k + 1) if (k - tip) % 2 == 0 else (k + 1, k)
        other = min(max(2 * at - notch, 0), len(edge) - 1)  # the notch on the strand's other side
        bulge = (0.35 + curl * (notch - at)) * 0.5 * (edge[notch] - edge[other])
        parts.append(bezier(edge[k], (edge[k] + edge[k + 1]) / 2 + 0.5 * bulge, edge[k + 1]))
    return np.concatenate(parts)


def mix(a: RGB, b: RGB, t: float) -> RGB:
    """Return the colour at share t of the way from a to b."""
    red, green, blue = (round(x + (y - x) * t) for x, y in zip(a, b, strict=True))
    return red, green, blue


def tone(color: RGB, value: float, saturation: float = 1, toward: float = 0) -> RGB:
    """Multiply the HSV value and saturation of a colour, and move its hue towards blue by at most `toward` turns."""
    h, s, v = colorsys.rgb_to_hsv(*(c / 255 for c in color))
    distance = (0.69 - h + 0.5) % 1 - 0.5
    h += np.clip(distance, -toward, toward)
    rgb = colorsys.hsv_to_rgb(h % 1, min(1, s * saturation), min(1, v * value))
    red, green, blue = (round(255 * c) for c in rgb)
    return red, green, blue


def shadow(color: RGB, depth: float = 1) -> RGB:
    """Return the colour in shadow: darker, more saturated and bluer."""
    return tone(color, 1 - 0.22 * depth, 1 + 0.22 * depth, 0.03 * depth)


class Sheet:
    """Pixels with a frame: what is painted on it is given in the frame's coordinates."""

    def __init__(self, pixels: np.ndarray, unit: float, origin: tuple[float, float] | np.ndarray, tilt: float = 0):
        """Take `unit` and `origin` in pixels of the sheet, and `tilt` in degrees, clockwise."""
        angle = np.deg2rad(tilt)
        self.pixels, self.unit = pixels, unit
        self.turn = unit * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        self.origin = np.asarray(origin, float)

    def place(self, points) -> np.ndarray:
        """Convert points of the frame to pixels of the sheet, where 0 is the outer edge of the first pixel."""
        return np.asarray(points, float) @ self.turn + self.origin

    def _fixed_point(self, points) -> np.ndarray:
        return np.rint((self.place(points) - 0.5) * (1 << SHIFT)).astype(np.int32)

    def mask(self, points) -> np.ndarray:
        """Return the mask of a polygon, uint8 (height, width), without antialiasing."""
        mask = np.zeros(self.pixels.shape[:2], np.uint8)
        return cv2.fillPoly(mask, [self._fixed_point(points)], 255, shift=SHIFT)

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
        source = self._ramp(paint, x0, y0, region.shape) if isinstance(paint, Ramp) else np.full_like(region, paint)
        weight = mask.astype(np.float32) * (alpha / 255)
        region[:] = cv2.blendLinear(source, region, weight, 1 - weight)

    def _ramp(self, ramp: Ramp, x0: int, y0: int, shape: tuple[int, ...]) -> np.ndarray:
        start, end = self.place([ramp.start, ramp.end])
        step = (end - start) / ((end - start) ** 2).sum()
        x, y = np.arange(shape[1], dtype=np.float32) + x0, np.arange(shape[0], dtype=np.float32) + y0
        t = ((x - start[0]) * step[0])[None] + ((y - start[1]) * step[1])[:, None]
        colors = np.linspace(*ramp.colors, 256).round().astype(np.uint8)[:, None]
        return cv2.applyColorMap((t * 255).clip(0, 255).astype(np.uint8), colors)


class Figure(Sheet):
    """A sheet in the head's frame, with the colours and the line of one look."""

    def __init__(self, pixels: np.ndarray, look: Look):
        super().__init__(pixels, *head_frame(look, SCALE))
        self.look = look
        self.icon = look.style == "icon"
        self.hair_dark = look.hair if look.shading == "flat" else shadow(look.hair, 1.1)
        self.skin_dark = tone(look.skin, 0.88, 1.45)
        self.ink = (28, 22, 34) if self.icon else mix(tone(look.hair, 0.32, 1.1, 0.05), (52, 30, 42), 0.5)
        self.hair_ink = self.ink if self.icon else tone(look.hair, 0.4, 1.25, 0.03)

    def shape(self, points, paint: RGB | Ramp, ink: RGB | None = None) -> None:
        """Paint a polygon and its outline."""
        self.fill(points, paint)
        self.line(points, ink or self.ink, self.look.line)

    def stroke(self, points, widths, color: RGB, within: np.ndarray | None = None, alpha: float = 1) -> None:
        """Paint a stroke along a spline; `widths` are half widths at equal distances."""
        self.fill(brush(points, widths), color, within, alpha)

    def jitter(self, k: int, amount: float) -> float:
        """Return the k-th irregularity of the look, scaled by `amount`."""
        return amount * self.look.jitter[k % len(self.look.jitter)]


def head_frame(look: Look, scale: float) -> tuple[float, np.ndarray, float]:
    """Return unit, origin and tilt of the head's frame in a picture enlarged by `scale`."""
    unit = look.side / FACE
    angle = np.deg2rad(look.tilt)
    middle = unit * (CHIN - FACE / 2) * np.array([-np.sin(angle), np.cos(angle)])  # of the face box, from the origin
    return unit * scale, (np.array(look.center) - middle) * scale, look.tilt


def direction(degrees: float) -> np.ndarray:
    """Return the unit vector at an angle, clockwise from the right, (2,)."""
    return np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])
