"""Neck, shoulders and clothes. Lengths are in the frame of the head."""

import numpy as np

from pipeline.drawing.canvas import vertical_ramp
from pipeline.drawing.colors import RGB, any_color, tone, vary_shade
from pipeline.drawing.scenes.canvas import SceneCanvas
from pipeline.drawing.scenes.figure import Figure
from pipeline.drawing.shapes import curve, ellipse


def body(f: Figure) -> None:
    """Paint a clothed bust that leans to one side."""
    sampler, style = f.sampler, f.style
    cloth, lean = any_color(sampler), sampler.between(-0.25, 0.25)
    neck = sampler.between(0.11, 0.2)
    f.fill([(-neck, 0.35), (neck, 0.35), (neck + 0.7 * lean, 0.95), (-neck + 0.7 * lean, 0.95)], style.skin)
    shadow = [(-neck, 0.4), (neck, 0.4), (0.9 * neck + 0.4 * lean, 0.72), (-neck + 0.4 * lean, 0.62)]
    f.fill(shadow, style.skin_dark)
    outline = _bust(f, lean)
    f.fill(outline, cloth)
    clothes(f, f.mask(outline), cloth, style.skin, lean)
    f.line(outline, style.ink, style.line, closed=False)
    if sampler.chance(0.5):
        sampler.choice(_flaps, _bow)(f, lean, any_color(sampler))


def _bust(f: Figure, lean: float) -> np.ndarray:
    sampler = f.sampler
    width, fall = sampler.between(0.5, 1.0), sampler.between(0.85, 1.05)
    left, right = sampler.between(0.7, 1.3), sampler.between(0.7, 1.3)  # the lower end, in shoulder widths
    x = np.array([0, -0.7, -1, -left, right, 1, 0.7, 0]) * width
    y = (0.75, fall, fall + 0.3, 3.2, 3.2, fall + 0.3, fall, 0.75)
    points = np.stack([x + lean, y], 1)
    points[0, 0], points[-1, 0] = -0.15 + 0.6 * lean, 0.15 + 0.6 * lean
    return curve(points, steps=6)


def _flaps(f: Figure, lean: float, color: RGB) -> None:
    """Paint the flaps of a collar."""
    between = f.sampler.between
    for sign in (-1, 1):
        middle, tip = (0.6 * lean, between(0.9, 1.1)), (sign * between(0.25, 0.5) + 0.8 * lean, between(0.9, 1.2))
        f.paint(np.array([middle, (0.22 * sign + 0.6 * lean, 0.72), tip]), color)


def _bow(f: Figure, lean: float, color: RGB) -> None:
    for sign in (-1, 1):
        loop = np.array([(0, 1.0), (0.15, 0.9), (0.28, 0.92), (0.28, 1.14), (0.12, 1.08)]) * (sign, 1)
        f.paint(curve(np.add(loop, (0.7 * lean, 0)), closed=True, steps=6), color)


def clothes(canvas: SceneCanvas, within: np.ndarray, cloth: RGB, skin: RGB, lean: float) -> None:
    """Paint on the cloth of a torso: a pattern, a bosom, buttons, a neckline."""
    sampler = canvas.sampler
    second = any_color(sampler)
    sampler.pick(PATTERNS)(canvas, within, cloth, second, lean)
    if sampler.chance(0.3):
        _bosom(canvas, within, cloth, lean)
    if sampler.chance(0.3):
        for k in range(sampler.integer(2, 6)):
            canvas.fill(ellipse(lean, 1 + 0.2 * k, 0.03, 0.03, 10), second, within)
    if sampler.chance(0.2):
        neckline = [(-0.3 + lean, 0.8), (lean, sampler.between(1.1, 1.6)), (0.3 + lean, 0.8)]
        canvas.fill(curve(neckline, closed=True, steps=6), skin, within)


def _bosom(canvas: SceneCanvas, within: np.ndarray, cloth: RGB, lean: float) -> None:
    between = canvas.sampler.between
    y, rx, ry = between(1.3, 1.6), between(0.2, 0.4), between(0.15, 0.4)
    for sign in (-1, 1):
        half = ellipse(lean + sign * rx, y, rx, ry)
        canvas.fill(half, vertical_ramp(half, tone(cloth, 0.9), tone(cloth, 1.05)), within)


def _plain(canvas: SceneCanvas, within: np.ndarray, cloth: RGB, second: RGB, lean: float) -> None:
    pass


def _stripes(canvas: SceneCanvas, within: np.ndarray, cloth: RGB, second: RGB, lean: float) -> None:
    for x in np.linspace(-1, 1, canvas.sampler.integer(3, 12), endpoint=False):
        stripe = ((x, 0.5), (x + 0.08, 0.5), (x + 0.08 + lean, 3.5), (x + lean, 3.5))
        canvas.fill(stripe, second, within)


def _dots(canvas: SceneCanvas, within: np.ndarray, cloth: RGB, second: RGB, lean: float) -> None:
    sampler = canvas.sampler
    for _ in range(sampler.integer(5, 30)):
        canvas.fill(ellipse(sampler.between(-1, 1), sampler.between(0.8, 2.5), 0.05, 0.05, 12), second, within)


def _folds(canvas: SceneCanvas, within: np.ndarray, cloth: RGB, second: RGB, lean: float) -> None:
    sampler, between = canvas.sampler, canvas.sampler.between
    for _ in range(sampler.integer(2, 10)):
        start = np.array((between(-1, 1), between(0.7, 1.6)))
        bends = ((0, 0), (between(-0.3, 0.3), 0.4), (between(-0.4, 0.4), between(0.5, 1.2)))
        canvas.stroke(
            start + np.array(bends), (0, between(0.01, 0.06), 0), vary_shade(sampler, cloth, (0.5, 0.9)), within
        )


PATTERNS = {_stripes: 0.25, _dots: 0.15, _folds: 0.3, _plain: 0.3}  # -> weight
