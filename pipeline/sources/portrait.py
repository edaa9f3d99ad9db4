"""Pixels of a sampled `Look`. It decides nothing by lot: the same look gives the same pixels.

Shapes are tables of points in the head's frame: x from the face's axis to the picture's right, y down from between the
eyes, the chin at CHIN. The face box is the square of side FACE whose bottom edge touches the chin. One similarity
(lean, scale, place) takes the frame to the picture, hence a lean is exact geometry. Everything is painted at SCALE
times the picture's size and reduced once at the end.
"""

import colorsys
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.sources.drawn import RGB, Box, Look

SCALE = 2
SHIFT = 4  # fractional bits of the coordinates given to OpenCV
WHITE = (255, 255, 255)
CHIN, FACE = 0.6, 1.18

# Half outlines run from the top's middle over the picture's right side to the bottom's middle; `both` mirrors them.
# SKULL and CHEEK are one outline, of the head; DOME is the outer edge of the hair over it.
SKULL = ((0, -0.8), (0.24, -0.8), (0.4, -0.6), (0.47, -0.3), (0.47, -0.02))
CHEEK = ((0.44, 0.16), (0.36, 0.34), (0.22, 0.49), (0.09, 0.58), (0, 0.6))
DOME = ((0, -0.93), (0.22, -0.91), (0.42, -0.78), (0.56, -0.55), (0.6, -0.27), (0.6, -0.05))

# The lower edge of the bangs from the picture's left temple to its right: notch, tip, notch, tip, ..., notch.
BANGS = {
    "blunt": ((-0.53, 0.05), (-0.43, -0.16), (-0.38, -0.24), (-0.28, -0.19), (-0.21, -0.24), (-0.09, -0.18),
              (-0.03, -0.24),
              (0.08, -0.18), (0.16, -0.24), (0.27, -0.19), (0.36, -0.24), (0.43, -0.16), (0.53, 0.05)),
    "wispy": ((-0.54, 0.1), (-0.47, 0.1), (-0.4, -0.26), (-0.34, -0.13), (-0.23, -0.3), (-0.11, -0.12),
              (-0.02, -0.32),
              (0.04, -0.2), (0.11, -0.31), (0.25, -0.12), (0.36, -0.3), (0.47, 0.08), (0.54, 0.1)),
    "spiky": ((-0.55, 0.05), (-0.5, 0.12), (-0.4, -0.3), (-0.38, -0.1), (-0.21, -0.36), (-0.16, -0.12),
              (-0.02, -0.38),
              (0.06, -0.06), (0.16, -0.36), (0.29, -0.12), (0.38, -0.34), (0.51, 0.12), (0.55, 0.05)),
    "swept": ((-0.55, 0.1), (-0.51, 0.16), (-0.4, -0.22), (-0.4, -0.06), (-0.23, -0.28), (-0.28, -0.14),
              (-0.02, -0.36),
              (-0.09, -0.18), (0.21, -0.52), (0.38, -0.26), (0.4, -0.3), (0.51, 0.1), (0.55, 0.1)),
    "parted": ((-0.55, 0.15), (-0.5, 0.2), (-0.42, -0.12), (-0.41, -0.02), (-0.3, -0.3), (-0.25, -0.17),
               (0.06, -0.72),
               (0.28, -0.2), (0.32, -0.32), (0.43, 0.0), (0.43, -0.12), (0.51, 0.2), (0.55, 0.15)),
    "curtain": ((-0.55, 0.2), (-0.49, 0.3), (-0.43, 0.0), (-0.4, 0.02), (-0.28, -0.36), (0, -0.76), (0, -0.74),
                (0.01, -0.74), (0.28, -0.36), (0.4, 0.02), (0.43, 0.0), (0.49, 0.3), (0.55, 0.2)),
    "between": ((-0.54, 0.1), (-0.47, 0.1), (-0.39, -0.28), (-0.32, -0.16), (-0.19, -0.34), (-0.09, -0.22),
                (-0.05, -0.36),
                (0.02, 0.08), (0.09, -0.36), (0.19, -0.17), (0.24, -0.32), (0.34, -0.13), (0.4, -0.28),
                (0.47, 0.1), (0.54, 0.1)),
}  # fmt: skip
LOCKS = {  # strands before the ears: outer and inner edge, both down to the tip
    "short": (((0.59, -0.2), (0.6, 0.05), (0.5, 0.3)), ((0.42, -0.2), (0.44, 0.05), (0.5, 0.3))),
    "jaw": (((0.59, -0.2), (0.62, 0.1), (0.6, 0.35), (0.47, 0.62)), ((0.41, -0.2), (0.45, 0.15), (0.47, 0.35),
            (0.47, 0.62))),
    "long": (((0.59, -0.2), (0.63, 0.2), (0.64, 0.6), (0.58, 1.1)), ((0.41, -0.2), (0.45, 0.2), (0.47, 0.6),
             (0.58, 1.1))),
}  # fmt: skip

# Hair behind the head: the side from the dome down, then its lower edge from the right to the middle: tip, notch, ...
BACK = {
    "short": (((0.61, 0.15), (0.56, 0.4)), ((0.49, 0.56), (0.41, 0.5), (0.29, 0.66), (0.19, 0.56), (0.08, 0.68),
              (0, 0.6))),
    "messy": (((0.62, -0.1),), ((0.74, 0.1), (0.61, 0.1), (0.72, 0.34), (0.56, 0.36), (0.56, 0.62), (0.41, 0.54),
                                (0.29, 0.74), (0.16, 0.6), (0, 0.7))),
    "bob": (((0.66, 0.1), (0.7, 0.36), (0.62, 0.6)), ((0.45, 0.7), (0.43, 0.64), (0.29, 0.68), (0.19, 0.64),
            (0, 0.66))),
    "medium": (((0.64, 0.2), (0.67, 0.55), (0.72, 0.82)), ((0.74, 1.04), (0.6, 0.94), (0.5, 1.1), (0.39, 1.0),
                                                          (0.25, 1.12), (0.1, 1.0), (0, 1.05))),
    "long": (((0.65, 0.2), (0.71, 0.7), (0.8, 1.2), (0.83, 1.7)), ((0.82, 2.3), (0.68, 2.1), (0.49, 2.4), (0, 2.2))),
    "wavy": (((0.68, 0.1), (0.64, 0.3), (0.76, 0.52), (0.72, 0.76), (0.89, 1.0), (0.83, 1.26), (0.97, 1.5)),
             ((0.95, 2.1), (0.78, 1.9), (0.58, 2.2), (0, 2.1))),
}  # fmt: skip
# Tails: before the body?, mirrored?, centre line from root to tip, its half width along it.
TAILS = {
    "twintails": (False, True, ((0.56, -0.56), (0.86, -0.62), (1.06, -0.2), (1.02, 0.5), (1.1, 1.3)),
                  (0.06, 0.17, 0.2, 0.19, 0)),
    "low_twintails": (True, True, ((0.56, 0.42), (0.66, 0.62), (0.7, 0.95), (0.62, 1.4), (0.7, 1.85)),
                      (0.06, 0.13, 0.15, 0.13, 0)),
    "two_side_up": (False, True, ((0.5, -0.74), (0.76, -0.84), (0.9, -0.4), (0.84, 0.1), (0.92, 0.5)),
                    (0.04, 0.1, 0.12, 0.1, 0)),
    "ponytail": (False, False, ((0.2, -0.9), (0.66, -1.12), (0.98, -0.6), (0.95, 0.1), (1.06, 0.85)),
                 (0.1, 0.2, 0.23, 0.2, 0)),
    "side_ponytail": (True, False, ((0.58, 0.16), (0.76, 0.3), (0.8, 0.7), (0.7, 1.15), (0.78, 1.6)),
                      (0.06, 0.16, 0.19, 0.16, 0)),
}  # fmt: skip
HAIRSTYLES = {  # name -> (back, tails)
    "short": ("short", None),
    "messy": ("messy", None),
    "bob": ("bob", None),
    "medium": ("medium", None),
    "long": ("long", None),
    "wavy": ("wavy", None),
    "twintails": ("short", "twintails"),
    "low_twintails": ("short", "low_twintails"),
    "two_side_up": ("long", "two_side_up"),
    "ponytail": ("short", "ponytail"),
    "side_ponytail": ("short", "side_ponytail"),
    "braids": ("short", None),
    "buns": ("bob", None),
}

# Eyes, in widths (u, outwards) and heights (v, down) of the eye: the lids at u = -0.5, -0.25, 0, 0.25, 0.5.
LID_U = (-0.5, -0.28, 0, 0.28, 0.5)
LID_CLOSED = (0.14, 0.33, 0.40, 0.34, 0.16)
EYES = {  # width, height, upper lid, lower lid
    "round": (0.285, 0.29, (0.02, -0.40, -0.5, -0.42, -0.04), (0.10, 0.42, 0.5, 0.46, 0.10)),
    "tall": (0.255, 0.32, (0.0, -0.40, -0.5, -0.43, -0.08), (0.12, 0.44, 0.5, 0.46, 0.06)),
    "sharp": (0.30, 0.255, (0.16, -0.28, -0.48, -0.5, -0.28), (0.24, 0.46, 0.5, 0.38, -0.08)),
    "droopy": (0.295, 0.26, (-0.06, -0.45, -0.5, -0.34, 0.10), (0.06, 0.38, 0.5, 0.5, 0.24)),
}
EYE_X, EYE_Y = 0.225, 0.045  # centre of the picture's right eye
BROWS = {  # y at u = -0.5 (inner) .. 0.5, in eye widths over the brow's place
    "arched": (0.04, -0.05, -0.08, -0.05, 0.06),
    "straight": (0.0, -0.02, -0.03, -0.02, 0.02),
    "raised": (-0.02, -0.16, -0.22, -0.18, -0.04),
    "worried": (-0.12, -0.10, -0.05, 0.02, 0.12),
    "stern": (0.12, 0.03, -0.05, -0.10, -0.08),
}


class Ramp(NamedTuple):
    """A paint that goes from one colour at one point to another at another."""

    start: tuple[float, float]
    end: tuple[float, float]
    colors: tuple[RGB, RGB]


def curve(points, closed: bool = False, steps: int = 8) -> np.ndarray:
    """A Catmull-Rom spline through the points."""
    p = np.asarray(points, float)
    p = np.concatenate([p[-1:], p, p[:2]]) if closed else np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None, None]
    a, b, c, d = p[:-3], p[1:-2], p[2:-1], p[3:]
    sampled = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    sampled = sampled.transpose(1, 0, 2).reshape(-1, 2)
    return sampled if closed else np.concatenate([sampled, p[-2:-1]])


def bow_line(a, b, c, steps: int = 7) -> np.ndarray:
    """A quadratic Bezier from a to c, drawn towards b."""
    t = np.linspace(0, 1, steps)[:, None]
    a, b, c = np.asarray(a, float), np.asarray(b, float), np.asarray(c, float)
    return (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c


def brush(points, widths) -> np.ndarray:
    """The outline of a stroke along a spline; half its width is given at as many places along it as one likes."""
    line = curve(points, steps=9)
    along = np.gradient(line, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], 1) / (np.linalg.norm(along, axis=1, keepdims=True) + 1e-9)
    half = np.interp(np.linspace(0, 1, len(line)), np.linspace(0, 1, len(widths)), widths)[:, None]
    return np.concatenate([line + half * normal, (line - half * normal)[::-1]])


def mirror(points) -> np.ndarray:
    return np.asarray(points, float) * (-1, 1)


def both(half) -> np.ndarray:
    """The whole closed outline of a right half that starts and ends in the middle."""
    half = np.asarray(half, float)
    return np.concatenate([half, mirror(half)[::-1]])


def ellipse(x: float, y: float, rx: float, ry: float, n: int = 28) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], 1)


def tufts(edge, tip: int = 1, curl: float = 0) -> np.ndarray:
    """Hair's edge through notches and tips by turns, the first tip at index `tip`: round strands that end in points.

    `curl` bends all strands to one side: 0 straight, 1 like claws.
    """
    edge = np.asarray(edge, float)
    parts = []
    for k in range(len(edge) - 1):
        at, notch = (k, k + 1) if (k - tip) % 2 == 0 else (k + 1, k)
        other = min(max(2 * at - notch, 0), len(edge) - 1)  # the notch on the strand's other side
        bulge = (0.35 + curl * (notch - at)) * 0.5 * (edge[notch] - edge[other])
        parts.append(bow_line(edge[k], (edge[k] + edge[k + 1]) / 2 + 0.5 * bulge, edge[k + 1]))
    return np.concatenate(parts)


def mix(a: RGB, b: RGB, t: float) -> RGB:
    return tuple(round(x + (y - x) * t) for x, y in zip(a, b, strict=True))


def tone(color: RGB, value: float, saturation: float = 1, toward: float = 0) -> RGB:
    """The colour with its HSV value and saturation multiplied, and its hue moved towards blue by `toward` turns."""
    h, s, v = colorsys.rgb_to_hsv(*(c / 255 for c in color))
    distance = (0.69 - h + 0.5) % 1 - 0.5
    h += np.clip(distance, -toward, toward)
    rgb = colorsys.hsv_to_rgb(h % 1, min(1, s * saturation), min(1, v * value))
    return tuple(round(255 * c) for c in rgb)


def shadow(color: RGB, depth: float = 1) -> RGB:
    return tone(color, 1 - 0.22 * depth, 1 + 0.22 * depth, 0.03 * depth)


class Sheet:
    """Pixels with a frame: what is painted on it is given in the frame's coordinates."""

    def __init__(self, pixels: np.ndarray, unit: float, origin: tuple[float, float], tilt: float = 0):
        """`unit` in pixels of the sheet; `origin` in the same; `tilt` in degrees, clockwise."""
        angle = np.deg2rad(tilt)
        self.pixels, self.unit = pixels, unit
        self.turn = unit * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        self.origin = np.asarray(origin, float)

    def place(self, points) -> np.ndarray:
        """Frame -> the sheet's pixels, where 0 is the first pixel's outer edge."""
        return np.asarray(points, float) @ self.turn + self.origin

    def _fixed(self, points) -> np.ndarray:
        return np.rint((self.place(points) - 0.5) * (1 << SHIFT)).astype(np.int32)

    def mask(self, points) -> np.ndarray:
        mask = np.zeros(self.pixels.shape[:2], np.uint8)
        return cv2.fillPoly(mask, [self._fixed(points)], 255, shift=SHIFT)

    def line(self, points, color: RGB, width: float, closed: bool = True) -> None:
        """A line of even width; none if it is 0."""
        if width:
            thick = max(1, round(width * self.unit))
            cv2.polylines(self.pixels, [self._fixed(points)], closed, color, thick, cv2.LINE_AA, SHIFT)

    def fill(self, points, paint: "RGB | Ramp", within: np.ndarray | None = None, alpha: float = 1, soft: float = 0):
        """Paint a polygon: within a mask, translucent, or with an edge softened over `soft` units."""
        fixed = self._fixed(points)
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
        mask = np.zeros(region.shape[:2], np.uint8)
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

    def shape(self, points, paint: "RGB | Ramp", ink: RGB | None = None) -> None:
        """A filled outline."""
        self.fill(points, paint)
        self.line(points, ink or self.ink, self.look.line)

    def stroke(self, points, widths, color: RGB, within: np.ndarray | None = None, alpha: float = 1) -> None:
        self.fill(brush(points, widths), color, within, alpha)

    def jitter(self, k: int, amount: float) -> float:
        return amount * self.look.jitter[k % len(self.look.jitter)]


def head_frame(look: Look, scale: float) -> tuple[float, np.ndarray, float]:
    """Unit, origin and tilt of the head's frame in a picture `scale` times its size."""
    unit = look.side / FACE
    angle = np.deg2rad(look.tilt)
    middle = unit * (CHIN - FACE / 2) * np.array([-np.sin(angle), np.cos(angle)])  # of the face box, from the origin
    return unit * scale, (np.array(look.center) - middle) * scale, look.tilt


def render(look: Look) -> np.ndarray:
    """The picture, uint8 RGB (height, width, 3)."""
    width, height = look.size
    pixels = np.empty((height * SCALE, width * SCALE, 3), np.uint8)
    GROUNDS[look.ground](Sheet(pixels, SCALE * min(look.size), (width * SCALE / 2, height * SCALE / 2)), look)
    figure = Figure(pixels, look)
    for paint in (back_hair, body, head, face, front_hair, brows, accessory):
        paint(figure)
    return cv2.resize(pixels, look.size, interpolation=cv2.INTER_AREA)


# ---- ground: in shorter sides of the picture, from its middle


def _plain(sheet: Sheet, look: Look) -> None:
    sheet.pixels[:] = look.ground_colors[0]


def _gradient(sheet: Sheet, look: Look) -> None:
    end = 0.7 * _direction(look.ground_angle)
    sheet.fill(both(((0, -2), (2, -2), (2, 2), (0, 2))), Ramp(tuple(-end), tuple(end), look.ground_colors))


def _dots(sheet: Sheet, look: Look) -> None:
    _plain(sheet, look)
    across, along = _direction(look.ground_angle), _direction(look.ground_angle + 90)
    for row, column in np.ndindex(25, 25):
        x, y = look.ground_pitch * ((row - 12 + 0.5 * (column % 2)) * across + (column - 12) * 0.87 * along)
        if max(abs(x), abs(y)) < 0.95:
            sheet.fill(ellipse(x, y, 0.27 * look.ground_pitch, 0.27 * look.ground_pitch, 20), look.ground_colors[1])


def _stripes(sheet: Sheet, look: Look) -> None:
    _plain(sheet, look)
    across, along = _direction(look.ground_angle), _direction(look.ground_angle + 90)
    for k in range(-12, 13):
        a, b = look.ground_pitch * k * across, look.ground_pitch * (k + 0.5) * across
        sheet.fill((a - 2 * along, b - 2 * along, b + 2 * along, a + 2 * along), look.ground_colors[1])


def _checks(sheet: Sheet, look: Look) -> None:
    _plain(sheet, look)
    across, along = (
        look.ground_pitch * _direction(look.ground_angle),
        look.ground_pitch * _direction(look.ground_angle + 90),
    )
    for row, column in np.ndindex(25, 25):
        corner = (row - 12) * across + (column - 12) * along
        if (row + column) % 2 and np.abs(corner).max() < 1.2:
            sheet.fill((corner, corner + across, corner + across + along, corner + along), look.ground_colors[1])


def _sunburst(sheet: Sheet, look: Look) -> None:
    _plain(sheet, look)
    rays = max(6, round(2 / look.ground_pitch))
    for k in range(rays):
        angle = look.ground_angle + 360 * k / rays
        sheet.fill(((0, 0), 2 * _direction(angle), 2 * _direction(angle + 180 / rays)), look.ground_colors[1])


def _blobs(sheet: Sheet, look: Look) -> None:
    _plain(sheet, look)
    for k in range(7):
        x, y = 0.35 * look.jitter[2 * k], 0.35 * look.jitter[2 * k + 1]
        radius = look.ground_pitch * (0.6 + abs(look.jitter[k + 14]))
        sheet.fill(ellipse(x, y, radius, radius), look.ground_colors[1], alpha=0.35, soft=0.02 * (k % 2))


def _disc(sheet: Sheet, look: Look) -> None:
    _plain(sheet, look)
    sheet.fill(ellipse(0, 0, 0.44, 0.44, 60), look.ground_colors[1])


def _halves(sheet: Sheet, look: Look) -> None:
    _plain(sheet, look)
    across, along = _direction(look.ground_angle), _direction(look.ground_angle + 90)
    sheet.fill((-2 * along, 2 * across - 2 * along, 2 * across + 2 * along, 2 * along), look.ground_colors[1])


def _direction(degrees: float) -> np.ndarray:
    return np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])


GROUNDS: dict[str, Callable[[Sheet, Look], None]] = {
    "plain": _plain,
    "gradient": _gradient,
    "dots": _dots,
    "stripes": _stripes,
    "checks": _checks,
    "sunburst": _sunburst,
    "blobs": _blobs,
    "disc": _disc,
    "halves": _halves,
}


# ---- hair


def dome(look: Look) -> np.ndarray:
    """The right half of the hair's outer edge over the head, from the top's middle to the temple."""
    x, y = np.asarray(DOME).T
    return np.stack([x * (0.6 + 0.4 * look.volume), np.where(y < -0.3, -0.3 + (y + 0.3) * look.volume, y)], 1)


def back_hair(f: Figure) -> None:
    """What is behind head and body; the nape's hair is in shadow."""
    back, tails = HAIRSTYLES[f.look.hairstyle]
    if f.look.hairstyle == "buns":
        for x in (-0.5, 0.5):
            f.shape(ellipse(x, -0.86, 0.25, 0.24, 40), f.look.hair, f.hair_ink)
            f.stroke(((x - 0.12, -0.76), (x, -0.72), (x + 0.14, -0.82)), (0, 0.012, 0), f.hair_ink)
            f.stroke(((x - 0.1, -0.94), (x + 0.02, -1.0), (x + 0.12, -0.94)), (0, 0.02, 0), f.hair_dark)
    if tails and not TAILS[tails][0]:
        tail(f, *TAILS[tails][1:])
    side, low = BACK[back]
    low = [(x + f.jitter(k, 0.012) * (x > 0), y + f.jitter(k + 5, 0.02)) for k, (x, y) in enumerate(low)]
    right = curve(np.concatenate([dome(f.look), side, low[:1]]))
    edge = tufts(np.concatenate([low, mirror(low[-2::-1])]), tip=0)
    outline = np.concatenate([right, edge, mirror(right)[::-1]])
    f.shape(outline, f.hair_dark, f.hair_ink)
    if not f.icon:
        within = f.mask(outline)
        for k in range(5):  # strands, seen beside the neck
            x = 0.22 + 0.1 * k
            for sign in (-1, 1):
                points = ((0.5 * x * sign, -0.2), (x * sign, 0.4), (1.15 * x * sign, low[0][1]))
                f.stroke(points, (0, 0.006, 0), f.hair_ink, within, 0.5)


def tail(f: Figure, paired: bool, line, widths) -> None:
    """A tail of hair, or two, with a tie at the root."""
    sides = (-1, 1) if paired else (f.look.flip,)
    sway = f.jitter(20, 0.06)
    for sign in sides:
        points = np.array([(sign * x + sway * k / 4, y) for k, (x, y) in enumerate(line)])
        outline = brush(points, widths)
        f.shape(outline, f.look.hair, f.hair_ink)
        if not f.icon:
            within = f.mask(outline)
            across = np.array([sign * 0.09, 0.02])
            f.stroke(points - across, np.multiply(widths, 0.35), f.hair_dark, within)
            f.stroke(points + across * 0.6, (0, 0.007, 0.007, 0), f.hair_ink, within, 0.6)
            f.stroke(points[1:4] + across * 0.2, (0, 0.02, 0), tone(f.look.hair, 1.2, 0.6), within, 0.7)
        root = points[0] + 0.12 * (points[1] - points[0]) / np.linalg.norm(points[1] - points[0])
        f.shape(ellipse(*root, widths[0] + 0.02, widths[0] + 0.02), f.look.accent)


def braid(f: Figure) -> None:
    """Two plaits before the shoulders."""
    for sign in (-1, 1):
        for k in range(9):
            x, y = 0.58 + 0.02 * np.sin(k), 0.42 + 0.14 * k
            for side in (-1, 1):
                lobe = ellipse(sign * x + 0.05 * side, y + 0.07 * (side > 0), 0.085, 0.1, 20)
                f.shape(lobe, f.look.hair if side * sign > 0 else f.hair_dark, f.hair_ink)
        end = ellipse(sign * x, 0.42 + 0.14 * 9, 0.07, 0.05)
        f.shape(np.add(end, (0, 0.1)), f.look.hair, f.hair_ink)
        f.shape(end, f.look.accent)


def bangs_edge(f: Figure) -> np.ndarray:
    """The notches and tips of this look's bangs from the left to the right; the temples stay where the locks begin."""
    edge = np.array(BANGS[f.look.bangs])
    edge[2:-2] += [(f.jitter(k, 0.014), f.jitter(k + 9, 0.016)) for k in range(2, len(edge) - 2)]
    return edge if f.look.flip > 0 else mirror(edge)[::-1]


def bangs(f: Figure) -> np.ndarray:
    """Their lower edge, from the left to the right."""
    return tufts(bangs_edge(f), curl=0.25 * f.look.flip)


def front_hair(f: Figure) -> None:
    """Everything before the face: the locks, the crown with its bangs, tails that fall over the shoulders."""
    look = f.look
    _, tails = HAIRSTYLES[look.hairstyle]
    if tails and TAILS[tails][0]:
        tail(f, *TAILS[tails][1:])
    if look.hairstyle == "braids":
        braid(f)
    if look.locks != "none":
        outer, inner = LOCKS[look.locks]
        for sign in (-1, 1):
            outline = np.concatenate([curve(outer), curve(inner)[::-1]]) * (sign, 1)
            f.shape(outline, look.hair, f.hair_ink)
            f.stroke(np.add(inner, (0.02, 0)) * (sign, 1), (0.02, 0.04, 0), f.hair_dark, f.mask(outline))
    edge = bangs_edge(f)
    right = curve(np.concatenate([dome(look), edge[-1:]]))
    outline = np.concatenate([mirror(right)[::-1], right[1:], bangs(f)[::-1]])
    f.shape(outline, look.hair, f.hair_ink)
    within = f.mask(outline)
    if look.shading != "flat":
        shade_crown(f, within)
    strands(f, edge, within)
    if look.shine != "none":
        shine(f, within)
    f.line(outline, f.hair_ink, look.line)
    if look.ahoge:
        top = -0.3 + (-1.0 + 0.3) * look.volume
        points = np.multiply(
            ((0.0, top + 0.03), (0.02, top - 0.14), (0.14, top - 0.24), (0.26, top - 0.17)), (look.flip, 1)
        )
        f.shape(brush(points, (0.035, 0.04, 0.03, 0)), look.hair, f.hair_ink)


def crown(f: Figure) -> tuple[float, float]:
    """Where the strands part."""
    return 0.1 * f.look.flip * (f.look.bangs in ("parted", "swept")), -0.3 - 0.62 * f.look.volume


def shade_crown(f: Figure, within: np.ndarray) -> None:
    """The head's round: darker at its sides, lighter or darker towards the tips."""
    soft = 0.06 if f.look.shading == "soft" else 0
    for sign, depth in ((1, 0.2), (-1, 0.1)):
        sign *= f.look.flip
        side = curve(
            ((0.3 * sign, -1.1), (sign * (0.56 - depth), -0.62), (sign * (0.57 - depth), -0.3), (sign * 0.5, 0.3))
        )
        f.fill(np.concatenate([side, [(sign, 0.3), (sign, -1.1)]]), f.hair_dark, within, soft=soft)
    if f.look.shading == "soft":
        f.fill(
            ((-0.7, -0.5), (0.7, -0.5), (0.7, -0.05), (-0.7, -0.05)), tone(f.look.hair, 1.12, 0.8), within, 0.5, 0.08
        )


def strands(f: Figure, edge: np.ndarray, within: np.ndarray) -> None:
    """Wedges of shade from the notches up to the crown."""
    top = np.array(crown(f))
    for notch in edge[2:-2:2]:
        middle = notch * (1.02, 0.5) + top * (0.05, 0.5) + (0, 0.02)
        end = 0.25 * notch + 0.75 * top
        points = np.array([np.add(notch, (0, 0.01)), middle, end])
        if f.look.shading != "flat":
            f.stroke(np.add(points, (0.02 * f.look.flip, 0)), (0.03, 0.022, 0), f.hair_dark, within)
        f.stroke(points, (0.008 + 0.4 * f.look.line, 0.005 + 0.25 * f.look.line, 0), f.hair_ink, within)


def shine(f: Figure, within: np.ndarray) -> None:
    """A band of light around the head with a ragged edge."""
    look = f.look
    light = mix(tone(look.hair, 1.3, 0.55), WHITE, 0.3)
    spans = ((-62, 62),) if look.shine == "ring" else ((-58, -22), (-12, 6))
    for low, high in spans:
        angle = np.deg2rad(np.linspace(low, high, 2 * max(3, round((high - low) / 7)) + 1))
        ragged = np.where(np.arange(len(angle)) % 2, 0.055, 0.015) * np.cos(np.linspace(-1.3, 1.3, len(angle)))
        middle = -0.3 - 0.36 * look.volume
        upper = np.stack([0.53 * np.sin(angle), middle + 0.2 * (1 - np.cos(angle)) - ragged], 1)
        lower = np.stack([0.53 * np.sin(angle), middle + 0.05 + 0.2 * (1 - np.cos(angle)) + ragged[::-1]], 1)
        f.fill(np.concatenate([upper, lower[::-1]]) * (look.flip, 1), light, within, 0.75)


# ---- head and face


def jaw_line(look: Look) -> np.ndarray:
    """The right half of the head's outline, from the skull's top to the chin."""
    narrow = 1 - 0.06 * (1 - look.jaw) * np.array([0.3, 1, 1.6, 1, 1])
    cheek = np.array(CHEEK) * np.stack([narrow, np.ones(5)], 1)
    return curve(np.concatenate([SKULL, cheek]))


def head(f: Figure) -> None:
    """Skin, ears, and the shadow that the hair throws on the forehead."""
    look = f.look
    if look.ears:
        for sign in (-1, 1):
            ear = curve(
                np.multiply(((0.44, -0.06), (0.51, -0.11), (0.555, -0.04), (0.52, 0.1), (0.44, 0.15)), (sign, 1)),
                closed=True,
            )
            f.shape(ear, look.skin)
            f.stroke(np.multiply(((0.475, -0.03), (0.515, -0.05), (0.5, 0.06)), (sign, 1)), (0, 0.008, 0), f.skin_dark)
    outline = both(jaw_line(look))
    f.shape(outline, look.skin)
    within = f.mask(outline)
    if not f.icon:
        shade = np.concatenate([np.add(bangs(f), (0.015, 0.055)), [(1, -1), (-1, -1)]])
        f.fill(shade, f.skin_dark, within, soft=0.012 if look.shading == "soft" else 0)
    f.line(outline, f.ink if look.line else f.skin_dark, look.line or 0.012)
    blush(f)


def blush(f: Figure) -> None:
    color = mix(f.look.skin, (244, 96, 104), 0.5)
    for sign in (-1, 1):
        x = sign * 0.29 + 0.3 * f.look.turn
        if f.look.blush == "soft":
            f.fill(ellipse(x, 0.265, 0.085, 0.045), color, alpha=0.8, soft=0.03)
        elif f.look.blush == "lines":
            for k in (-1, 0, 1):
                f.stroke(((x + 0.045 * k + 0.02, 0.24), (x + 0.045 * k - 0.015, 0.285)), (0.007, 0.007), color)


def face(f: Figure) -> None:
    for sign in (-1, 1):
        (icon_eye if f.icon else eye)(f, sign)
    x = f.look.turn
    f.stroke(
        ((x - 0.004, 0.235), (x + 0.012, 0.267), (x - 0.006, 0.273)),
        (0.002, 0.008, 0.002),
        mix(f.skin_dark, f.ink, 0.45),
    )
    MOUTHS[f.look.mouth](f, 0.8 * x)


class Eye(NamedTuple):
    """One eye's places in the head's frame."""

    center: np.ndarray
    size: np.ndarray  # width, height; width is negative where the outer corner is on the left
    upper: np.ndarray  # the lids, from the inner to the outer corner
    lower: np.ndarray


def eye_shape(look: Look, sign: int, openness: float) -> Eye:
    """The eye on the right (sign 1) or left (-1) of the picture."""
    width, height, upper, lower = EYES[look.eye]
    foreshortened = 1 - 0.9 * max(0, sign * look.turn)  # the far eye of a turned face
    size = np.array([sign * width * look.eye_size * foreshortened, height * look.eye_size])
    center = np.array([sign * EYE_X + look.turn, EYE_Y])
    lids = [
        curve(center + size * np.stack([LID_U, openness * np.array(lid) + (1 - openness) * np.array(LID_CLOSED)], 1))
        for lid in (upper, lower)
    ]
    return Eye(center, size, *lids)


def lash(eye: Eye, openness: float) -> np.ndarray:
    """The upper lashes: a stroke along the lid that ends in a wing beyond the outer corner."""
    wing = eye.upper[-1] + eye.size * (0.09, 0.07 - 0.13 * openness)
    return brush(
        np.concatenate([eye.upper[::4], [wing]]), np.array([0.2, 0.6, 0.8, 0.9, 1, 1, 1.1, 1.1, 0.9, 0]) * 0.022
    )


def eye_boxes(look: Look) -> tuple[Box, Box]:
    """The boxes of the open eyes on the picture's left and right, lashes included, px."""
    frame = Sheet(np.empty((0, 0, 3), np.uint8), *head_frame(look, 1))
    boxes = []
    for sign in (-1, 1):
        eye = eye_shape(look, sign, 1)
        points = frame.place(np.concatenate([lash(eye, 1), eye.lower]))
        boxes.append(tuple(float(v) for v in (*points.min(0), *points.max(0))))
    return boxes[0], boxes[1]


def eye(f: Figure, sign: int) -> None:
    look, openness = f.look, f.look.openness
    e = eye_shape(look, sign, openness)
    dark = mix(f.ink, (30, 16, 28), 0.5)
    if openness > 0.03:
        opening = np.concatenate([e.upper, e.lower[::-1]])
        f.fill(opening, (252, 250, 252))
        iris(f, e, f.mask(opening))
        f.stroke(e.lower[len(e.lower) // 3 :: 4], (0.002, 0.006, 0.008, 0.004), dark, alpha=0.8)
    f.fill(lash(e, openness), dark)
    corner = e.upper[-1]
    for k in (0, 1):
        root = corner + e.size * (-0.05 - 0.1 * k, -0.03 - 0.06 * k)
        f.stroke((root, root + e.size * (0.12, -0.06 - 0.03 * k)), (0.013, 0), dark)
    crease = e.upper[6:-6:4] + np.abs(e.size) * (0, -0.13)
    f.stroke(crease, (0, 0.006, 0.007, 0), mix(f.skin_dark, f.ink, 0.5))


def iris(f: Figure, e: Eye, within: np.ndarray) -> None:
    color = f.look.iris
    x, y = e.center + e.size * (-0.03, 0.03)
    rx, ry = 0.33 * abs(e.size[0]), 0.47 * e.size[1]
    deep, light = tone(color, 0.42, 1.2), mix(tone(color, 1.25, 0.9), WHITE, 0.25)
    f.fill(ellipse(x, y, rx, ry), tone(color, 0.35, 1.2), within)
    f.fill(ellipse(x, y, 0.88 * rx, 0.9 * ry), Ramp((x, y - 0.7 * ry), (x, y + 0.9 * ry), (deep, light)), within)
    f.fill(ellipse(x, y + 0.5 * ry, 0.6 * rx, 0.32 * ry), light, within, 0.6)
    f.fill(ellipse(x, y - 0.04 * ry, 0.4 * rx, 0.46 * ry), tone(color, 0.2, 1.2), within)
    lid = np.concatenate([e.upper, (e.upper + np.abs(e.size) * (0, 0.17))[::-1]])
    f.fill(lid, (40, 30, 60), within, 0.35)
    f.fill(ellipse(x - 0.36 * rx, y - 0.42 * ry, 0.36 * rx, 0.26 * ry, 20), WHITE, within)
    f.fill(ellipse(x + 0.42 * rx, y + 0.45 * ry, 0.18 * rx, 0.14 * ry, 16), WHITE, within)


def icon_eye(f: Figure, sign: int) -> None:
    """A dark oval with one light; a line when closed."""
    e = eye_shape(f.look, sign, f.look.openness)
    rx, ry = 0.3 * abs(e.size[0]), 0.46 * e.size[1] * f.look.openness
    if ry < 0.02:
        f.line(e.lower, f.ink, f.look.line, closed=False)
        return
    x, y = e.center
    y += 0.2 * e.size[1] * (1 - f.look.openness)
    f.fill(ellipse(x, y, rx, ry), f.ink)
    f.fill(ellipse(x, y + 0.4 * ry, 0.62 * rx, 0.42 * ry), f.look.iris)
    f.fill(ellipse(x - 0.25 * rx, y - 0.42 * ry, 0.4 * rx, 0.28 * ry), WHITE)


def brows(f: Figure) -> None:
    """Over the bangs, as is the custom, but faint where hair covers them."""
    shape = np.array(BROWS[f.look.brow])
    color = f.ink if f.icon else tone(f.look.hair, 0.5, 1.2, 0.02)
    for sign in (-1, 1):
        x = sign * (EYE_X + 0.01) + f.look.turn
        points = np.stack([x + sign * 0.21 * np.array(LID_U), -0.255 + 0.21 * shape], 1)
        f.stroke(points, (0.008, 0.016, 0.014, 0.002) if not f.icon else (0.5 * f.look.line,) * 2, color, alpha=0.85)


def _smile(f: Figure, x: float) -> None:
    f.stroke(
        ((x - 0.085, 0.37), (x - 0.045, 0.395), (x, 0.402), (x + 0.045, 0.395), (x + 0.085, 0.37)), _lips(f), f.ink
    )


def _neutral(f: Figure, x: float) -> None:
    f.stroke(((x - 0.05, 0.39), (x, 0.387), (x + 0.05, 0.39)), _lips(f), f.ink)


def _frown(f: Figure, x: float) -> None:
    f.stroke(((x - 0.06, 0.405), (x, 0.383), (x + 0.06, 0.405)), _lips(f), f.ink)


def _cat(f: Figure, x: float) -> None:
    for sign in (-1, 1):
        f.stroke(
            ((x, 0.38), (x + 0.03 * sign, 0.405), (x + 0.065 * sign, 0.397), (x + 0.085 * sign, 0.367)), _lips(f), f.ink
        )


def _open(f: Figure, x: float) -> None:
    upper = curve(((x - 0.09, 0.363), (x, 0.377), (x + 0.09, 0.363)))
    outline = np.concatenate(
        [upper, curve(((x + 0.09, 0.363), (x + 0.06, 0.435), (x, 0.463), (x - 0.06, 0.435), (x - 0.09, 0.363)))]
    )
    f.fill(outline, (150, 52, 60))
    f.fill(ellipse(x, 0.455, 0.055, 0.04), (232, 122, 122), f.mask(outline))
    f.line(outline, f.ink, max(0.009, 0.8 * f.look.line))


def _round(f: Figure, x: float) -> None:
    f.fill(ellipse(x, 0.4, 0.038, 0.045), (160, 60, 66))
    f.line(ellipse(x, 0.4, 0.038, 0.045), f.ink, max(0.009, 0.8 * f.look.line))


def _lips(f: Figure) -> tuple[float, ...]:
    """Half widths along a closed mouth."""
    return (0.5 * f.look.line,) * 2 if f.icon else (0.002, 0.007, 0.008, 0.007, 0.002)


MOUTHS: dict[str, Callable[[Figure, float], None]] = {
    "smile": _smile,
    "open": _open,
    "neutral": _neutral,
    "cat": _cat,
    "round": _round,
    "frown": _frown,
}


# ---- body and clothes

NECK = ((0, 0.39), (0.15, 0.39), (0.145, 0.71), (0.2, 0.83), (0.4, 0.9), (0.59, 0.97), (0.7, 1.12), (0.755, 1.5),
        (0.77, 2.2), (0.78, 5))  # fmt: skip
SHOULDER = (
    *curve(((0.24, 0.83), (0.42, 0.885), (0.61, 0.955), (0.73, 1.1), (0.785, 1.5), (0.81, 2.2), (0.82, 5))),
    (0, 5),
)
# Each garment is layers from below to above: (colour, right half of its outline).
CLOTHES = {
    "sailor": (
        ("white", ((0, 1.39), (0.2, 0.83), *SHOULDER)),
        ("cloth", ((0, 1.45), (0.12, 1.09), (0.19, 0.79), (0.38, 0.85), (0.6, 0.99), (0.57, 1.21), (0.3, 1.39),
        (0, 1.59))),
        ("trim", ((0, 1.51), (0.28, 1.33), (0.53, 1.18), (0.54, 1.15), (0.28, 1.29), (0, 1.47))),
    ),
    "shirt": (
        ("cloth", ((0, 0.99), (0.2, 0.81), *SHOULDER)),
        ("accent", ((0, 0.93), (0.07, 0.95), (0.05, 1.05), (0.1, 1.59), (0, 1.69))),
        ("collar", ((0.02, 0.95), (0.17, 0.73), (0.23, 0.79), (0.3, 0.95), (0.15, 1.09))),
    ),
    "blazer": (
        ("white", ((0, 0.99), (0.2, 0.79), *SHOULDER)),
        ("cloth", ((0, 1.79), (0.1, 1.54), (0.26, 0.83), *SHOULDER)),
        ("collar", ((0.02, 0.95), (0.17, 0.75), (0.22, 0.79), (0.26, 0.95), (0.13, 1.07))),
        ("lapel", ((0.1, 1.54), (0.2, 1.09), (0.25, 0.85), (0.35, 0.89), (0.42, 1.14), (0.35, 1.15), (0.35, 1.25))),
    ),
    "hoodie": (
        ("hood", ((0, 0.71), (0.2, 0.61), (0.45, 0.71), (0.52, 0.91), (0.3, 1.09), (0, 1.11))),
        ("cloth", ((0, 1.09), (0.16, 0.99), (0.3, 0.85), *SHOULDER)),
        ("string", ((0.12, 1.05), (0.14, 1.05), (0.16, 1.45), (0.12, 1.45))),
    ),
    "sweater": (
        ("cloth", ((0, 0.89), (0.2, 0.81), *SHOULDER)),
        ("cloth", ((0, 0.69), (0.16, 0.65), (0.18, 0.77), (0.22, 0.87), (0.1, 0.93), (0, 0.94))),
        ("shade", ((0, 0.71), (0.17, 0.67), (0.17, 0.69), (0, 0.73))),
    ),
    "tee": (
        ("cloth", ((0, 1.03), (0.12, 0.99), (0.24, 0.83), *SHOULDER)),
        ("trim", ((0, 1.07), (0.14, 1.03), (0.28, 0.84), (0.24, 0.83), (0.12, 0.99), (0, 1.03))),
    ),
    "kimono": (("cloth", ((0, 1.29), (0.26, 0.83), *SHOULDER)),),
    "dress": (
        ("cloth", ((0, 1.31), (0.2, 1.25), (0.42, 1.15), (0.57, 1.23), (0.6, 1.49), (0.6, 5), (0, 5))),
        ("trim", ((0, 1.37), (0.2, 1.31), (0.42, 1.21), (0.57, 1.28), (0.57, 1.22), (0.42, 1.14), (0.2, 1.24),
        (0, 1.3))),
        ("trim", ((0.38, 1.17), (0.35, 0.88), (0.4, 0.89), (0.45, 1.17))),
    ),
    "frill": (
        ("cloth", ((0, 0.93), (0.2, 0.81), *SHOULDER)),
        ("white", ((0, 0.85), (0.2, 0.75), (0.32, 0.85), (0.42, 0.89), (0.4, 1.04), (0.3, 1.09), (0.22, 1.07),
        (0.14, 1.17),
                   (0.06, 1.11), (0, 1.13))),
    ),
}  # fmt: skip
RIBBONED = {"sailor": (1.5, 0.28), "blazer": (1.02, 0.17), "frill": (0.95, 0.24)}  # the bow's height and size


def body(f: Figure) -> None:
    look = f.look
    linen = (246, 244, 248)
    paints = {
        "cloth": look.cloth,
        "hood": shadow(look.cloth),
        "shade": shadow(look.cloth),
        "lapel": shadow(look.cloth, 0.6),
        "trim": look.trim,
        "accent": look.accent,
        "white": linen,
        "string": linen,
        "collar": look.cloth if look.clothes == "shirt" else linen,
    }
    if look.clothes == "hoodie":
        f.shape(both(curve(CLOTHES["hoodie"][0][1])), paints["hood"])
    outline = both(curve(NECK))
    f.shape(outline, look.skin)
    f.fill(both(((0, 0.3), (0.3, 0.3), (0.2, 0.62), (0, 0.76))), f.skin_dark, f.mask(outline))
    for sign in (-1, 1):
        f.stroke(((sign * 0.08, 0.96), (sign * 0.2, 0.935), (sign * 0.3, 0.94)), (0, 0.007, 0), f.skin_dark)
    for paint, half in CLOTHES[look.clothes][look.clothes == "hoodie" :]:
        if half[0][0] == 0:
            f.shape(both(half), paints[paint])
        else:
            f.shape(half, paints[paint])
            f.shape(mirror(half), paints[paint])
    if look.clothes == "kimono":
        for sign in (-1, 1):
            lapel = ((sign * 0.18, 0.76), (sign * 0.3, 0.83), (-sign * 0.22, 2.0), (-sign * 0.36, 1.9))
            f.shape(np.multiply(lapel, (look.flip, 1)), look.trim)
    for sign in (-1, 1):
        f.stroke(
            ((sign * 0.56, 1.28), (sign * 0.6, 1.6), (sign * 0.6, 2.4)),
            (0, 0.5 * look.line + 0.003, 0.5 * look.line),
            f.ink,
        )
    if look.clothes in RIBBONED:
        y, size = RIBBONED[look.clothes]
        ribbon(f, (0, y), size, 0)


def ribbon(f: Figure, center: tuple[float, float], size: float, degrees: float) -> None:
    """A bow with two loops, two ends and a knot; `size` is the half width."""
    angle = np.deg2rad(degrees)
    turn = size * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    color, dark = f.look.accent, shadow(f.look.accent, 1.2)
    for sign in (-1, 1):
        end = np.multiply(((0.05, 0), (0.3, 0.35), (0.5, 1.0), (0.3, 0.9), (0.12, 1.05)), (sign, 1)) @ turn + center
        f.shape(end, dark)
        loop = curve(((0, 0), (0.45, -0.45), (0.95, -0.5), (1.0, 0.05), (0.9, 0.45), (0.45, 0.3)), closed=True)
        f.shape(loop * (sign, 1) @ turn + center, color)
        f.stroke(
            np.multiply(((0.1, 0.02), (0.4, 0.0), (0.62, -0.08)), (sign, 1)) @ turn + center,
            (0.07 * size, 0.03 * size, 0),
            dark,
        )
    f.shape(ellipse(0, 0, 0.17, 0.2, 20) @ turn + center, color)


# ---- accessories


def accessory(f: Figure) -> None:
    ACCESSORIES[f.look.accessory](f)


def _side_ribbon(f: Figure) -> None:
    for sign in (-1, 1):
        ribbon(f, (sign * 0.5, -0.66), 0.19, sign * 35)


def _big_bow(f: Figure) -> None:
    top = -0.3 - 0.66 * f.look.volume
    ribbon(f, (0.22 * f.look.flip, top), 0.36, 14 * f.look.flip)


def _hairclip(f: Figure) -> None:
    for k in (0, 1):
        a, b = np.multiply(((0.3, -0.46 + 0.075 * k), (0.47, -0.42 + 0.075 * k)), (f.look.flip, 1))
        f.shape(brush((a, b), (0.022, 0.022)), f.look.accent)


def _flower(f: Figure) -> None:
    x, y = 0.42 * f.look.flip, -0.6
    for k in range(5):
        dx, dy = 0.1 * _direction(72 * k - 90)
        f.shape(ellipse(x + dx, y + dy, 0.085, 0.085, 20), f.look.accent)
    f.shape(ellipse(x, y, 0.055, 0.055, 16), (250, 214, 90))


def _hairband(f: Figure) -> None:
    volume = f.look.volume
    outer = np.array(((-0.6, -0.2), (-0.52, -0.56), (-0.3, -0.8), (0, -0.87), (0.3, -0.8), (0.52, -0.56), (0.6, -0.2)))
    outer[:, 1] = np.where(outer[:, 1] < -0.3, -0.3 + (outer[:, 1] + 0.3) * volume, outer[:, 1])
    f.shape(brush(outer, (0.035, 0.035)), f.look.accent)


def _headphones(f: Figure) -> None:
    arc = curve(np.concatenate([mirror(dome(f.look))[:0:-1], dome(f.look)]) * (1.03, 1.03))
    f.shape(brush(arc[::4], (0.045, 0.045)), f.look.accent)
    for sign in (-1, 1):
        f.shape(ellipse(sign * 0.63, 0.0, 0.12, 0.19), f.look.accent)
        f.shape(ellipse(sign * 0.65, 0.0, 0.07, 0.13), shadow(f.look.accent, 1.5))


def _glasses(f: Figure) -> None:
    frame = tone(f.look.accent, 0.55)
    for sign in (-1, 1):
        x = sign * EYE_X + f.look.turn
        angle = np.linspace(0, 2 * np.pi, 40)
        rim = np.stack([x + 0.2 * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.6,
                        0.04 + 0.17 * np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** 0.6], 1)  # fmt: skip
        f.line(rim, frame, 0.018)
        f.line(((x + sign * 0.2, 0.0), (sign * 0.48, -0.03)), frame, 0.018, closed=False)
    f.line(((f.look.turn - 0.04, 0.02), (f.look.turn, 0.005), (f.look.turn + 0.04, 0.02)), frame, 0.018, closed=False)


def _cat_ears(f: Figure) -> None:
    lift = -0.3 - 0.42 * f.look.volume
    for sign in (-1, 1):
        ear = np.array(
            ((0.56, lift + 0.2), (0.68, lift - 0.2), (0.6, lift - 0.52), (0.34, lift - 0.36), (0.14, lift - 0.16))
        )
        outline = np.concatenate([curve(ear[:3]), curve(ear[2:])[1:]]) * (sign, 1)
        f.shape(outline, f.look.hair, f.hair_ink)
        f.fill((outline - outline.mean(0)) * 0.62 + outline.mean(0), mix(f.look.hair, (255, 190, 190), 0.75))


ACCESSORIES: dict[str, Callable[[Figure], None]] = {
    "none": lambda f: None,
    "ribbon": _side_ribbon,
    "big_bow": _big_bow,
    "hairclip": _hairclip,
    "flower": _flower,
    "hairband": _hairband,
    "headphones": _headphones,
    "glasses": _glasses,
    "cat_ears": _cat_ears,
}
