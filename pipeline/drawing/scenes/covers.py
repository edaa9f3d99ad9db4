"""What lies over the eyes of a face: strands, hands, patches, bars, lenses, and how much of each eye still shows."""

import copy
from collections.abc import Callable

import numpy as np

from pipeline.drawing.colors import WHITE, any_color, mix, tone
from pipeline.drawing.landmarks import hull
from pipeline.drawing.scenes.canvas import SceneCanvas
from pipeline.drawing.scenes.figure import Figure
from pipeline.drawing.scenes.things import hand
from pipeline.drawing.shapes import brush, direction, ellipse


def visible_shares(
    f: Figure, eyes: tuple[np.ndarray, np.ndarray], paint: Callable[[Figure], None]
) -> tuple[float, float]:
    """Paint what is in front of the eyes; return the visible share of each.

    It is painted twice, the second time on a copy whose eyes have other pixels: where the two still differ, an eye
    shows."""
    masks = [SceneCanvas(f.pixels, f.sampler).mask(hull(points)) > 0 for points in eyes]
    probe = copy.copy(f)
    probe.pixels, probe.sampler = f.pixels.copy(), copy.deepcopy(f.sampler)
    probe.pixels[masks[0] | masks[1]] ^= 128
    before = np.abs(probe.pixels.astype(int) - f.pixels).sum(2)
    paint(f)
    paint(probe)
    after = np.abs(probe.pixels.astype(int) - f.pixels).sum(2)
    left, right = (float(after[mask].sum() / before[mask].sum()) if mask.any() else 0.0 for mask in masks)
    return min(left, 1.0), min(right, 1.0)


def nothing(f: Figure) -> None:
    """Paint nothing."""


def strands(f: Figure) -> None:
    """Paint a few strands of hair across the face."""
    sampler = f.sampler
    for _ in range(sampler.integer(1, 5)):
        x, width = sampler.between(-0.45, 0.45), sampler.between(0.008, 0.07)
        line = ((0.3 * x, f.top + 0.1), (x, -0.25), (x + sampler.between(-0.1, 0.1), sampler.between(0.0, 0.45)))
        f.stroke(line, (width, width, 0), sampler.choice(f.style.hair, f.style.hair_dark, f.style.hair_ink))


def _hand(f: Figure) -> None:
    """Paint a hand over one eye."""
    sampler, style, eyes = f.sampler, f.style, f.style.eyes
    center = np.array([eyes.x[sampler.integer(0, 2)], eyes.y]) + sampler.normal(0.08, 2)
    hand(f, center, sampler.between(0.12, 0.3), sampler.between(-170, -10), style.skin, style.ink, style.line)


def _patch(f: Figure) -> None:
    """Paint an eyepatch with its strap, or a bandage."""
    sampler, eyes = f.sampler, f.style.eyes
    side = sampler.integer(0, 2)
    color = sampler.pick({(30, 26, 32): 1, WHITE: 1, any_color(sampler): 1})
    x, reach = eyes.x[side], sampler.between(0.5, 0.62) * eyes.width
    f.line([(-0.6, -0.5), (x, eyes.y), (0.6, -0.1)], tone(color, 0.8), 0.02, closed=False)
    f.paint(ellipse(x, eyes.y, reach, max(reach, 0.55 * eyes.height)), color)


def _bar(f: Figure) -> None:
    """Paint a bar across the eyes or one of them: a mask, a fringe of cloth, a censor's bar."""
    sampler, eyes = f.sampler, f.style.eyes
    center = np.array((sampler.choice(0, *eyes.x), eyes.y + sampler.between(-0.1, 0.1)))
    along = sampler.between(0.15, 0.8) * direction(sampler.normal(15))
    half = sampler.between(0.02, 0.2)
    f.fill(brush([center - along, center, center + along], (half, half)), any_color(sampler))


def lenses(f: Figure) -> None:
    """Paint glasses with tinted, glaring or opaque lenses."""
    sampler, eyes = f.sampler, f.style.eyes
    color, alpha = any_color(sampler), sampler.from_ranges({(0.1, 0.5): 3, (0.9, 1): 1})
    frame, reach = tone(color, sampler.between(0.2, 0.8)), sampler.between(0.55, 0.75)
    for x, share in zip(eyes.x, eyes.shares, strict=True):
        lens = ellipse(x, eyes.y + 0.02, reach * eyes.width * share, max(0.12, reach * eyes.height))
        f.fill(lens, color, alpha=alpha)
        if sampler.chance(0.5):  # a glare
            f.stroke(
                ((x - 0.08, eyes.y + 0.1), (x + 0.06, eyes.y - 0.1)), (0.02, 0.02), mix(color, WHITE, 0.8), alpha=0.6
            )
        f.line(lens, frame, sampler.between(0.01, 0.035))
    left, right = eyes.x
    f.line([(left + 0.5 * eyes.width, eyes.y), (right - 0.5 * eyes.width, eyes.y)], frame, 0.02, closed=False)


COVERS: dict[Callable[[Figure], None], float] = {  # -> weight
    nothing: 0.74,
    strands: 0.08,
    _hand: 0.03,
    _patch: 0.03,
    _bar: 0.04,
    lenses: 0.08,
}
