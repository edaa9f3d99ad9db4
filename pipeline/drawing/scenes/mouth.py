"""Mouths, from a line to a grin with teeth. Lengths are in the frame of the head."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from pipeline.drawing.colors import RGB, WHITE, mix
from pipeline.drawing.scenes.canvas import SceneCanvas
from pipeline.drawing.shapes import curve, ellipse

TEETH, TONGUE = (250, 248, 248), (255, 130, 130)
INSIDES = {(150, 52, 60): 3, (200, 110, 110): 1, (90, 30, 40): 1, (30, 20, 25): 0.5}
LINE_TAPER = np.array([0.2, 0.8, 1, 0.8, 0.2])


class Mouth(NamedTuple):
    """Where a mouth goes, and its paints."""

    canvas: SceneCanvas
    center: np.ndarray
    scale: float  # 0.5..1.3
    ink: RGB
    width: float  # half the width of its lines
    shade: RGB  # of the lip's shadow
    inside: RGB

    def at(self, points) -> np.ndarray:
        """Convert points in mouth sizes to the frame of the head."""
        return self.center + self.scale * np.asarray(points)


def paint_mouth(
    canvas: SceneCanvas, center: tuple[float, float], ink: RGB, shade: RGB, *, speech: int | None = None
) -> None:
    """Paint a random mouth with lines of `ink`, or one of SPEECH; `shade` is the shadow colour of the skin."""
    sampler = canvas.sampler
    scale, width, inside = sampler.between(0.5, 1.3), sampler.between(0.006, 0.012), sampler.pick(INSIDES)
    kind = sampler.pick(MOUTHS) if speech is None else SPEECH[speech]
    kind(Mouth(canvas, np.array(center), scale, ink, width, shade, inside))


def _none(mouth: Mouth) -> None:
    pass


def _line(mouth: Mouth, heights: tuple[float, ...]) -> None:
    """Paint closed lips through five heights, which do not scale with the mouth; they may be tilted or pout."""
    sampler = mouth.canvas.sampler
    along = np.array([-1, -0.5, 0, 0.5, 1])
    tilt = sampler.between(-0.02, 0.02)
    points = np.stack([0.09 * mouth.scale * along, np.array(heights) + tilt * along], 1)
    mouth.canvas.stroke(mouth.center + points, mouth.width * LINE_TAPER, mouth.ink)
    if sampler.chance(0.25):
        lip = np.add(mouth.center, [(-0.03, 0.055), (0.03, 0.055)])
        mouth.canvas.stroke(lip, (0, 0.5 * mouth.width, 0), mouth.shade)


def _bent(bend: float) -> tuple[float, ...]:
    return (-bend, 0.6 * bend, bend, 0.6 * bend, -bend)


def _cat(mouth: Mouth) -> None:
    for sign in (-1, 1):
        x = np.array([0, 0.03, 0.065, 0.09]) * sign * mouth.scale
        points = mouth.center + np.stack([x, (-0.01, 0.02, 0.012, -0.02)], 1)
        mouth.canvas.stroke(points, np.array([1, 1, 0.4]) * mouth.width, mouth.ink)


def _hole(mouth: Mouth, outline: np.ndarray, inside: RGB) -> None:
    mouth.canvas.shape(outline, inside, mouth.ink, 0.9 * mouth.width)


def _open(mouth: Mouth) -> None:
    canvas, sampler, scale = mouth.canvas, mouth.canvas.sampler, mouth.scale
    height = sampler.between(0.05, 0.15)
    corner = 0.02 / scale  # the upper lip does not grow with the mouth
    upper = curve(mouth.at([(-0.095, -corner), (0, -0.25 * corner), (0.095, -corner)]), steps=6)
    lower = [(0.095, -corner), (0.06, 0.7 * height), (0, height), (-0.06, 0.7 * height), (-0.095, -corner)]
    outline = np.concatenate([upper, curve(mouth.at(lower), steps=6)])
    canvas.fill(outline, mouth.inside)
    within = canvas.mask(outline)
    if sampler.chance(0.6):
        x, y = mouth.at((0, height))
        tongue = ellipse(x, y, 0.06 * scale, 0.045 * scale)
        canvas.fill(tongue, mix(mouth.inside, TONGUE, 0.6), within)
    if sampler.chance(0.4):
        x, y = mouth.at((0, -corner))
        teeth = ellipse(x, y, 0.08 * scale, 0.025 * scale)
        canvas.fill(teeth, WHITE, within)
    canvas.line(outline, mouth.ink, 0.9 * mouth.width)


def _round(mouth: Mouth) -> None:
    sampler, (x, y) = mouth.canvas.sampler, mouth.center
    rx, ry = mouth.scale * sampler.between(0.02, 0.06), mouth.scale * sampler.between(0.03, 0.07)
    _hole(mouth, ellipse(x, y + 0.01, rx, ry), mouth.inside)


def _triangle(mouth: Mouth) -> None:
    x = 0.05 * mouth.scale
    _hole(mouth, np.add(mouth.center, [(-x, 0.05), (0, -0.03), (x, 0.05)]), mouth.inside)


def _grin(mouth: Mouth) -> None:
    x = 0.13 * mouth.scale
    upper, lower = [(-x, -0.03), (0, 0), (x, -0.03)], [(x, -0.03), (0, 0.09 * mouth.scale), (-x, -0.03)]
    outline = np.concatenate([curve(upper, steps=6), curve(lower, steps=6)])
    _hole(mouth, mouth.center + outline, TEETH)


MOUTHS: dict[Callable[[Mouth], None], float] = {  # -> weight
    partial(_line, heights=_bent(0.035)): 4,  # smile
    _open: 3,
    partial(_line, heights=_bent(0)): 2,
    partial(_line, heights=_bent(-0.03)): 1,  # frown
    partial(_line, heights=(0, -0.018, 0.012, -0.018, 0.01)): 0.5,
    _cat: 1,
    _round: 1.5,
    _triangle: 0.5,
    _grin: 1,
    _none: 0.5,
}
SPEECH = (partial(_line, heights=_bent(0.02)), _open, partial(_line, heights=_bent(0)), _round)  # mouths that talk
