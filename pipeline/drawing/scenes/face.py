"""The head without its hair: outline, ears, shade, blush, nose, brows. Lengths are in the frame of the head."""

from collections.abc import Callable

import numpy as np

from pipeline.drawing.canvas import Ramp, vertical_ramp
from pipeline.drawing.colors import RGB, mix, vary_shade
from pipeline.drawing.portrait.face import SKULL
from pipeline.drawing.scenes.eye import paint_eyes
from pipeline.drawing.scenes.figure import Figure
from pipeline.drawing.scenes.mouth import paint_mouth
from pipeline.drawing.shapes import curve, ellipse

# The right half of an outline from the skull's top to the chin, and how a broad jaw and a turn change its x.
HALF = np.array((*SKULL, (0.44, 0.16), (0.35, 0.34), (0.2, 0.49)))
BY_JAW = np.array((0, 0, 0, 0, 0, 0.5, 1, 1))
BY_TURN = np.array((0, 0, 0, 0, 0.1, 0.12, 0.2, 0.1))

EAR = np.array(((0.44, -0.06), (0.51, -0.11), (0.56, -0.04), (0.52, 0.1), (0.44, 0.15)))
BLUSH = (244, 90, 100)
LIPS = (120, 50, 50)


def head_outline(f: Figure) -> np.ndarray:
    """Return the closed outline of the head, (N, 2).

    The chin of a turned head lies to one side, and its far cheek is flatter.
    """
    sampler, turn = f.sampler, f.style.turn
    jaw, chin, chin_width = (
        sampler.between(-0.05, 0.12),
        0.6 + sampler.between(-0.04, 0.03),
        sampler.between(0.04, 0.16),
    )
    halves = []
    for sign in (-1, 1):
        x = HALF[:, 0] + jaw * BY_JAW + 0.35 * turn * sign * BY_TURN
        half = np.concatenate([np.stack([x, HALF[:, 1]], 1), [(chin_width, chin - 0.02), (0, chin)]])
        sway = 0.6 * turn * np.linspace(0, 1, len(half)) ** 2
        halves.append(curve(half * (sign, 1) + np.stack([sway, np.zeros(len(half))], 1), steps=6))
    left, right = halves
    return np.concatenate([right, left[::-1]])


def ears(f: Figure) -> None:
    """Paint a pair of ears in half of the cases, sometimes pointed ones."""
    sampler = f.sampler
    if not sampler.chance(0.5):
        return
    length = sampler.from_ranges({(0, 0): 5, (0.1, 0.4): 1})
    for sign in (-1, 1):
        ear = EAR.copy()
        ear[2] += (length, -0.3 * length)
        outline = curve(ear * (sign, 1) + (0, sampler.between(-0.02, 0.05)), closed=True, steps=6)
        f.shape(outline, f.style.skin, f.style.ink, 0.8 * f.style.line)


def head(f: Figure, outline: np.ndarray, fringe: np.ndarray) -> np.ndarray:
    """Paint skin within the outline, with the shadow of the fringe on it; return the head's mask."""
    sampler, style = f.sampler, f.style
    skin: RGB | Ramp = style.skin
    if sampler.chance(0.3):
        skin = vertical_ramp(outline, style.skin, mix(style.skin, style.skin_dark, sampler.between(0, 0.6)))
    f.fill(outline, skin)
    within = f.mask(outline)
    if sampler.chance(0.4):
        _side_shade(f, within)
    if sampler.chance(0.6):
        shadow = np.concatenate([np.add(fringe, (0.015, 0.06)), [(1, -1), (-1, -1)]])
        f.fill(shadow, style.skin_dark, within, soft=sampler.choice(0, 0.015))
    f.line(outline, style.ink if style.line else style.skin_dark, style.line or 0.012)
    return within


def _side_shade(f: Figure, within: np.ndarray) -> None:
    sampler = f.sampler
    x = (0.8, sampler.between(0.15, 0.4), sampler.between(0.1, 0.4), sampler.between(0, 0.3), 0.8)
    shade = curve(np.stack([x, (-0.9, -0.4, 0.2, 0.7, 0.8)], 1) * (sampler.side(), 1), steps=6)
    f.fill(shade, f.style.skin_dark, within, sampler.between(0.5, 1), sampler.choice(0, 0.04))


def features(
    f: Figure, within: np.ndarray, eyes: Callable[..., None] | None = None, mouth: Callable[..., None] | None = None
) -> tuple[float, float]:
    """Paint blush, eyes, nose and mouth; return the mouth's middle. `eyes` and `mouth` take the places of `paint_eyes`
    and `paint_mouth`."""
    sampler, style = f.sampler, f.style
    sampler.pick(BLUSHES)(f, within)
    (eyes or paint_eyes)(f, style.eyes, style.skin_dark)
    sampler.pick(NOSES)(f, 1.25 * style.turn, 0.24 + style.pitch + sampler.between(-0.03, 0.04))
    ink = mix(style.ink, LIPS, sampler.between(0, 0.7))
    middle = (1.05 * style.turn, sampler.between(0.36, 0.42) + 0.6 * style.pitch)
    (mouth or paint_mouth)(f, middle, ink, style.skin_dark)
    return middle


def _nothing(*_) -> None:
    pass


def _blush_color(f: Figure) -> RGB:
    return mix(f.style.skin, BLUSH, f.sampler.between(0.25, 0.7))


def _soft_blush(f: Figure, within: np.ndarray) -> None:
    color = _blush_color(f)
    for sign in (-1, 1):
        x, rx, ry = sign * 0.29 + 0.8 * f.style.turn, f.sampler.between(0.06, 0.12), f.sampler.between(0.03, 0.07)
        f.fill(ellipse(x, 0.26, rx, ry), color, within, 0.8, soft=0.03)


def _hatched_blush(f: Figure, within: np.ndarray) -> None:
    color = _blush_color(f)
    for sign in (-1, 1):
        for k in (-1, 0, 1):
            x = sign * 0.29 + 0.8 * f.style.turn + 0.045 * k
            f.stroke(((x + 0.02, 0.24), (x - 0.015, 0.285)), (0.007, 0.007), color)


def _broad_blush(f: Figure, within: np.ndarray) -> None:
    f.fill(ellipse(f.style.turn, 0.22, 0.33, 0.06), _blush_color(f), within, 0.7, soft=0.04)


BLUSHES = {_soft_blush: 0.4, _hatched_blush: 0.1, _broad_blush: 0.06, _nothing: 0.44}  # -> weight


def _toward(f: Figure) -> int:
    """Return the side that the head is turned to, and its nose points to."""
    return 1 if f.style.turn >= 0 else -1


def _nose_ink(f: Figure) -> RGB:
    return mix(f.style.skin_dark, f.style.ink, f.sampler.between(0.2, 0.8))


def _short_nose(f: Figure, x: float, y: float) -> None:
    line = ((x - 0.004, y - 0.03), (x + 0.015 * _toward(f), y), (x - 0.006, y + 0.006))
    f.stroke(line, (0.002, 0.009, 0.002), _nose_ink(f))


def _dot_nose(f: Figure, x: float, y: float) -> None:
    f.fill(ellipse(x, y, 0.009, 0.009), _nose_ink(f))


def _shade_nose(f: Figure, x: float, y: float) -> None:
    sign = _toward(f)
    f.fill(((x, y - 0.07), (x + 0.03 * sign, y), (x - 0.025 * sign, y + 0.008)), f.style.skin_dark)


def _long_nose(f: Figure, x: float, y: float) -> None:
    sign = _toward(f)
    line = ((x - 0.02 * sign, y - 0.16), (x + 0.01 * sign, y - 0.05), (x + 0.03 * sign, y), (x - 0.01, y + 0.01))
    f.stroke(line, (0, 0.006, 0.009, 0.004), _nose_ink(f))


NOSES = {_short_nose: 0.3, _dot_nose: 0.15, _shade_nose: 0.15, _long_nose: 0.15, _nothing: 0.25}  # -> weight


def brows(f: Figure) -> None:
    """Paint the brows over the fringe, as is usual in anime."""
    sampler, eyes = f.sampler, f.style.eyes
    color = vary_shade(sampler, f.style.hair, (0.35, 0.8), (1.2, 1.2)) if sampler.chance(0.8) else f.style.ink
    y = -0.25 + eyes.y + sampler.between(-0.03, 0.06)
    bend, tilt, width = sampler.between(-0.02, 0.1), sampler.between(-0.12, 0.12), sampler.between(0.004, 0.022)
    u = np.linspace(-0.5, 0.5, 5)
    for sign, x, share in zip((-1, 1), eyes.x, eyes.shares, strict=True):
        points = np.stack([x + 0.2 * share * sign * u, y - bend * (1 - 4 * u * u) + tilt * u], 1)
        f.stroke(points, np.array([0.6, 1, 0.9, 0.2]) * width, color, alpha=sampler.between(0.6, 1))
