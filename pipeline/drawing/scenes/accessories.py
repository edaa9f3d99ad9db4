"""Things worn on the head or held in front of the face. Lengths are in the frame of the head."""

from collections.abc import Callable

import numpy as np

from pipeline.drawing.colors import RGB, WHITE, any_color, mix, tone
from pipeline.drawing.scenes.figure import Figure
from pipeline.drawing.scenes.things import flower, hand
from pipeline.drawing.shapes import curve, direction, ellipse


def accessories(f: Figure) -> None:
    """Paint at most one thing on the head and one in front of the face, both of one colour."""
    color = any_color(f.sampler)
    f.sampler.pick(WORN)(f, color)
    f.sampler.pick(HELD)(f, color)


def _nothing(f: Figure, color: RGB) -> None:
    pass


def _glasses(f: Figure, color: RGB) -> None:
    sampler, eyes = f.sampler, f.style.eyes
    width, is_round, frame = sampler.between(0.008, 0.02), sampler.chance(0.5), sampler.pick({f.style.ink: 2, color: 1})
    y = eyes.y + 0.02
    for x, share in zip(eyes.x, eyes.shares, strict=True):
        rim = (
            ellipse(x, y, sampler.between(0.17, 0.2) * share, sampler.between(0.13, 0.19))
            if is_round
            else np.array([(-0.17, -0.12), (0.17, -0.12), (0.16, 0.13), (-0.16, 0.13)]) * (share, 1) + (x, y)
        )
        if sampler.chance(0.3):
            f.fill(rim, WHITE, alpha=0.3)
        f.line(rim, frame, width)
    left, right = eyes.x
    f.line([(left + 0.16, eyes.y), (right - 0.16, eyes.y)], frame, width, closed=False)


def _animal_ears(f: Figure, color: RGB) -> None:
    for sign in (-1, 1):
        tip = (0.45, f.top - f.sampler.between(0.2, 0.5))
        ear = np.array([(0.25, f.top + 0.1), tip, (0.6, f.top + 0.4)]) * (sign, 1)
        f.paint(ear, f.style.hair)
        f.fill((ear + ear.mean(0)) / 2, mix(f.style.skin, (240, 130, 140), 0.5))


def _hat(f: Figure, color: RGB) -> None:
    between, top = f.sampler.between, f.top
    y, brim, thick = between(-0.62, -0.3), between(0.6, 1.1), between(0.06, 0.16)
    left, right = (-0.3, top - between(0.05, 0.5)), (0.3, top - between(0.05, 0.5))
    f.paint(curve([(-0.62, y), (-0.6, top + 0.1), left, right, (0.6, top + 0.1), (0.62, y)], steps=6), color)
    f.paint(ellipse(0, y, brim, thick), tone(color, 0.85))


def _bows(f: Figure, color: RGB) -> None:
    between = f.sampler.between
    for sign in f.sampler.pick({(-1, 1): 1, (1,): 2, (-1,): 1}):
        center, size = np.array((sign * between(0.3, 0.5), between(-0.9, -0.4))), between(0.1, 0.35)
        for side in (-1, 1):
            f.paint(center + size * np.array([(0, 0), (side, -0.6), (side, 0.6)]), color)
        x, y = center
        f.fill(ellipse(x, y, 0.25 * size, 0.25 * size), tone(color, 0.8))


def _band(f: Figure, color: RGB) -> None:
    angle = np.deg2rad(np.linspace(-80, 80, 15))
    height = 1.15 * (0.3 + 0.55 * (f.style.volume - 0.5))
    band = np.stack([0.6 * np.sin(angle), -0.25 - height * np.cos(angle)], 1)
    f.line(band, color, f.sampler.between(0.03, 0.1), closed=False)


def _flower(f: Figure, color: RGB) -> None:
    between = f.sampler.between
    flower(f, between(-0.5, 0.5), between(-0.75, -0.35), between(0.06, 0.14), color)


def _headphones(f: Figure, color: RGB) -> None:
    for sign in (-1, 1):
        f.paint(ellipse(0.58 * sign, 0, 0.12, 0.2), color)


def _hand(f: Figure, color: RGB) -> None:
    between, style = f.sampler.between, f.style
    center = (between(-0.5, 0.5), between(0.4, 0.75))
    hand(f, center, between(0.18, 0.35), between(-150, -30), style.skin, style.ink, style.line)


def _scarf(f: Figure, color: RGB) -> None:
    """Paint a scarf or a mask over the mouth."""
    sag = 0.25 + 0.3 * f.sampler.between(0.1, 0.3)
    f.fill(curve([(-0.5, 0.35), (0, sag), (0.5, 0.35), (0.4, 0.7), (-0.4, 0.7)], closed=True, steps=6), color)


def _bar(f: Figure, color: RGB) -> None:
    """Paint something straight: a stick, a string, a beam of light."""
    between = f.sampler.between
    center, along = np.array((between(-0.4, 0.4), between(-0.2, 0.5))), 2 * direction(between(0, 180))
    f.line([center - along, center + along], color, between(0.02, 0.1), closed=False)


WORN: dict[Callable[[Figure, RGB], None], float] = {  # -> weight
    _glasses: 0.1,
    _animal_ears: 0.08,
    _hat: 0.09,
    _bows: 0.09,
    _band: 0.06,
    _flower: 0.08,
    _headphones: 0.04,
    _nothing: 0.46,
}
HELD: dict[Callable[[Figure, RGB], None], float] = {_hand: 0.1, _scarf: 0.054, _bar: 0.051, _nothing: 0.795}
