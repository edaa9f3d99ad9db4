"""Things worn on the head. Coordinates are those of the head's frame."""

from collections.abc import Callable

import numpy as np

from pipeline.drawing.colors import mix, shadow, tone
from pipeline.drawing.portrait.clothes import ribbon
from pipeline.drawing.portrait.face import EYE_X
from pipeline.drawing.portrait.figure import Figure
from pipeline.drawing.portrait.hair import dome
from pipeline.drawing.shapes import brush, curve, direction, ellipse, mirror


def accessory(f: Figure) -> None:
    """Paint what the look wears on its head."""
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
        f.paint(brush((a, b), (0.022, 0.022)), f.look.accent)


def _flower(f: Figure) -> None:
    x, y = 0.42 * f.look.flip, -0.6
    for k in range(5):
        dx, dy = 0.1 * direction(72 * k - 90)
        f.paint(ellipse(x + dx, y + dy, 0.085, 0.085, 20), f.look.accent)
    f.paint(ellipse(x, y, 0.055, 0.055, 16), (250, 214, 90))


def _hairband(f: Figure) -> None:
    volume = f.look.volume
    outer = np.array(((-0.6, -0.2), (-0.52, -0.56), (-0.3, -0.8), (0, -0.87), (0.3, -0.8), (0.52, -0.56), (0.6, -0.2)))
    outer[:, 1] = np.where(outer[:, 1] < -0.3, -0.3 + (outer[:, 1] + 0.3) * volume, outer[:, 1])
    f.paint(brush(outer, (0.035, 0.035)), f.look.accent)


def _headphones(f: Figure) -> None:
    arc = curve(np.concatenate([mirror(dome(f.look))[:0:-1], dome(f.look)]) * (1.03, 1.03))
    f.paint(brush(arc[::4], (0.045, 0.045)), f.look.accent)
    for sign in (-1, 1):
        f.paint(ellipse(sign * 0.63, 0.0, 0.12, 0.19), f.look.accent)
        f.paint(ellipse(sign * 0.65, 0.0, 0.07, 0.13), shadow(f.look.accent, 1.5))


def _glasses(f: Figure) -> None:
    frame = tone(f.look.accent, 0.55)
    for sign in (-1, 1):
        x = sign * EYE_X + f.look.turn
        angle = np.linspace(0, 2 * np.pi, 40)
        cos, sin = np.cos(angle), np.sin(angle)
        rim_x, rim_y = 0.2 * np.sign(cos) * np.abs(cos) ** 0.6, 0.17 * np.sign(sin) * np.abs(sin) ** 0.6
        rim = np.stack([x + rim_x, 0.04 + rim_y], 1)
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
        f.paint(outline, f.look.hair, f.hair_ink)
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
