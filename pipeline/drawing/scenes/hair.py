"""Hair behind and in front of the head, and the back of a head. Lengths are in the frame of the head."""

import numpy as np

from pipeline.drawing.canvas import vertical_ramp
from pipeline.drawing.colors import vary_shade
from pipeline.drawing.scenes.figure import Figure
from pipeline.drawing.shapes import brush, curve, ellipse, mirror

LENGTHS = {(0.2, 0.5): 3, (0.5, 1.2): 3, (1.2, 3): 3}
NAPE = ((0.62, 0.3), (0.5, 0.62), (0.2, 0.7), (-0.2, 0.7), (-0.5, 0.62), (-0.62, 0.3))
RING, PATCHES = ((-60, 60),), ((-58, -22), (-12, 6), (20, 40))  # spans of shine, degrees from the top


def _over_the_top(f: Figure) -> np.ndarray:
    """Return the outer edge of the hair from the left temple to the right, (N, 2)."""
    return np.concatenate([mirror(f.style.dome)[::-1], f.style.dome[1:]])


def back_hair(f: Figure) -> None:
    """Paint the hair behind head and body: tails, buns, and a curtain of any length."""
    sampler, style = f.sampler, f.style
    length = sampler.from_ranges(LENGTHS)
    for sign in sampler.pick({(): 5, (-1, 1): 2, (sampler.side(),): 1}):
        _tail(f, sign)
    if sampler.chance(0.08):
        for sign in (-1, 1):
            f.paint_hair(ellipse(0.5 * sign, -0.85, sampler.between(0.18, 0.3), sampler.between(0.18, 0.3)))
    f.shape(_curtain(f, length), style.hair_dark, style.hair_ink, style.line)
    for _ in range(sampler.integer(0, 7)):
        x = sampler.between(-0.6, 0.6)
        strand = ((0.5 * x, -0.2), (x, 0.4), (1.15 * x, max(0.5, length)))
        f.stroke(strand, (0, 0.008, 0), style.hair_ink, alpha=0.5)


def _tail(f: Figure, sign: int) -> None:
    between = f.sampler.between
    x, y = between(0.35, 0.6), between(-0.85, 0.4)
    to_knee, to_middle = (between(0.2, 0.5), between(-0.15, 0.2)), (between(0.3, 0.6), between(0.4, 0.8))
    to_tip = (between(0.2, 0.6), between(0.8, 2.2))
    line = np.add([(0, 0), to_knee, to_middle, to_tip], (x, y)) * (sign, 1)
    f.paint_hair(brush(line, (between(0.04, 0.1), between(0.12, 0.25), between(0.12, 0.25), 0)))
    f.stroke(np.add(line, (0.04, 0)), (0, 0.04, 0.04, 0), f.style.hair_dark)


def _curtain(f: Figure, length: float) -> np.ndarray:
    """Return the outline of the hair behind the head, down to `length`, with a ragged lower edge."""
    sampler = f.sampler
    flare, tips = sampler.between(-0.12, 0.3), sampler.integer(3, 9)
    side = np.array([(0.62 + 0.3 * flare, 0.2 * length), (0.62 + 0.7 * flare, 0.6 * length), (0.6 + flare, length)])
    x = np.linspace(0.6 + flare, -0.6 - flare, 2 * tips + 1)
    y = length + np.where(np.arange(len(x)) % 2, sampler.between(0.02, 0.25), 0) + sampler.normal(0.04, len(x))
    low = np.stack([x, y], 1)
    other_side = mirror(side)[::-1] + sampler.normal(0.04, (3, 2))
    right = curve(np.concatenate([side, low[:1]]), steps=6)
    left = curve(np.concatenate([low[-1:], other_side]), steps=6)
    return np.concatenate([f.style.dome, right, low[1:-1], left, mirror(f.style.dome)[::-1]])


def back_of_head(f: Figure) -> None:
    """Paint hair where the face would be."""
    sampler, style = f.sampler, f.style
    f.paint_hair(np.concatenate([_over_the_top(f), NAPE]))
    for _ in range(sampler.integer(2, 9)):
        x, width = sampler.between(-0.5, 0.5), sampler.between(0.005, 0.05)
        color = sampler.choice(style.hair_dark, style.hair_ink, style.hair_light)
        f.stroke(((0.2 * x, -0.9), (x, -0.2), (1.1 * x, 0.6)), (0, width, 0), color)


def front_hair(f: Figure, knots: np.ndarray, edge: np.ndarray, sides: tuple[int, ...] = (-1, 1)) -> None:
    """Paint the sidelocks on these sides, and the crown down to the fringe's edge."""
    sampler, style = f.sampler, f.style
    if sampler.chance(0.75):
        _locks(f, sides)
    crown = np.concatenate([_over_the_top(f), edge[::-1]])
    alpha = 1 if sampler.chance(0.85) else sampler.between(0.6, 0.9)
    tips = vary_shade(sampler, style.hair, (0.8, 1.15), hue=(-0.06, 0.06))
    f.fill(crown, vertical_ramp(crown, style.hair, tips) if sampler.chance(0.3) else style.hair, alpha=alpha)
    within = f.mask(crown)
    if sampler.chance(0.6):
        _side_shade(f, within)
    _strands(f, knots, within)
    for low, high in sampler.pick({RING: 0.3, PATCHES: 0.25, (): 0.45}):
        _shine(f, low, high, within)
    f.line(crown, style.hair_ink, style.line)
    if sampler.chance(0.15):
        lift = np.array((0.95, 1.1, 1.2, 1.1)) * style.volume
        f.fill(brush(np.stack([(0, 0.03, 0.15, 0.28), -lift], 1), (0.03, 0.04, 0.03, 0)), style.hair)


def _locks(f: Figure, sides: tuple[int, ...]) -> None:
    """Paint sidelocks of one length; each is left out in one of ten cases."""
    sampler = f.sampler
    length, inner = sampler.between(0.1, 1.2), sampler.between(0.36, 0.45)
    for sign in sides:
        if sampler.chance(0.1):
            continue
        outer_tip, inner_tip = (sampler.between(0.42, 0.6), length), (sampler.between(0.42, 0.6), length)
        outside = curve([(0.59, -0.3), (0.6, 0.05), (0.58, 0.6 * length), outer_tip], steps=6)
        inside = curve([(inner, -0.3), (inner + 0.02, 0.05), (inner + 0.04, 0.6 * length), inner_tip], steps=6)
        f.paint_hair(np.concatenate([outside, inside[::-1]]) * (sign, 1))
        if sampler.chance(0.6):
            shade = np.array([(0.5, -0.3), (0.5, 0.3 * length), (0.52, 0.8 * length)]) * (sign, 1)
            f.stroke(shade, (0.01, 0.03, 0), f.style.hair_dark)


def _side_shade(f: Figure, within: np.ndarray) -> None:
    sampler = f.sampler
    middle = ((sampler.between(0.3, 0.5), -0.62), (sampler.between(0.25, 0.5), -0.3))
    edge = curve([(0.3, -1.2), *middle, (0.5, 0.4)], steps=6)
    shade = np.concatenate([edge, [(1, 0.4), (1, -1.2)]]) * (sampler.side(), 1)
    f.fill(shade, f.style.hair_dark, within, soft=sampler.choice(0, 0.06))


def _strands(f: Figure, knots: np.ndarray, within: np.ndarray) -> None:
    """Paint wedges from the fringe's notches to the parting, and single hairs."""
    sampler, style = f.sampler, f.style
    top = np.array((sampler.between(-0.15, 0.15), f.top))
    widths = (0.006 + 0.4 * style.line, 0.004 + 0.2 * style.line, 0)
    for notch in knots[2:-2:2] if sampler.chance(0.8) else ():
        line = np.array([notch, notch * (1.02, 0.5) + top * (0.05, 0.5), 0.25 * notch + 0.75 * top])
        if sampler.chance(0.5):
            f.stroke(np.add(line, (0.02, 0)), (0.03, 0.02, 0), style.hair_dark, within)
        f.stroke(line, widths, style.hair_ink, within)
    for _ in range(sampler.pick({0: 2, 3: 2, 12: 1})):
        x, width = sampler.between(-0.5, 0.5), sampler.between(0.004, 0.02)
        color = sampler.choice(style.hair_dark, style.hair_light)
        f.stroke((top, (0.8 * x, -0.5), (x, -0.15)), (0, width, 0), color, within, 0.7)


def _shine(f: Figure, low: int, high: int, within: np.ndarray) -> None:
    """Paint a ragged band of light around the head between two angles, degrees from the top."""
    angle = np.deg2rad(np.linspace(low, high, 2 * max(3, round((high - low) / 8)) + 1))
    ragged = np.where(np.arange(len(angle)) % 2, 0.055, 0.015)
    x, y = 0.53 * np.sin(angle), -0.3 - 0.36 * f.style.volume + 0.2 * (1 - np.cos(angle))
    band = np.concatenate([np.stack([x, y - ragged], 1), np.stack([x, y + 0.05 + ragged], 1)[::-1]])
    f.fill(band, f.style.hair_light, within, f.sampler.between(0.4, 0.9))
