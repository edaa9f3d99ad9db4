"""The lower edge of the hair over the forehead. Lengths are in the frame of the head."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from pipeline.drawing.sampling import Sampler
from pipeline.drawing.shapes import bezier


def fringe_knots(sampler: Sampler, covered: int) -> np.ndarray:
    """Return notch, tip, notch, ... from the left temple to the right, (2 n + 1, 2).

    Hair may fall over the `covered` eye.
    """
    tips = sampler.integer(2, 9)
    x = np.linspace(-0.54, 0.54, 2 * tips + 1) + sampler.normal(0.012, 2 * tips + 1)
    x[0], x[-1] = -0.55, 0.55
    low = sampler.between(-0.3, 0)
    y = np.empty(2 * tips + 1)
    y[1::2] = low + sampler.normal(0.08, tips)
    y[::2] = y[1::2].mean() - sampler.between(0.03, 0.25) + sampler.normal(0.05, tips + 1)
    y = sampler.pick(CUTS)(sampler, x, y, covered)
    if covered:
        y = y + _bulge(x, 0.28 * covered, 0.17) * sampler.between(0.3, 0.55)
    y = y.clip(-0.85, 0.42)
    y[0] = y[-1] = sampler.between(-0.1, 0.2)
    return np.stack([x, y], 1)


def fringe_edge(sampler: Sampler, knots: np.ndarray) -> np.ndarray:
    """Return the edge through the knots, (N, 2): strands that are straight, curled to one side, or bulging."""
    curl, fat = sampler.between(-0.16, 0.16), sampler.between(0, 0.35)
    parts = []
    for a, b in pairwise(knots):
        width, height = np.abs(b - a)
        parts.append(bezier(a, (a + b) / 2 + (curl * height, fat * width), b, steps=5)[:-1])
    return np.concatenate([*parts, knots[-1:]])


def _bulge(x: np.ndarray, center: float, width: float) -> np.ndarray:
    return np.exp(-(((x - center) / width) ** 2))


def _plain(sampler: Sampler, x: np.ndarray, y: np.ndarray, covered: int) -> np.ndarray:
    return y


def _parted(sampler: Sampler, x: np.ndarray, y: np.ndarray, covered: int) -> np.ndarray:
    away = np.abs(x - sampler.between(-0.3, 0.3))
    return y - (0.45 - away).clip(0, 1) * sampler.between(0.6, 1.4)


def _blunt(sampler: Sampler, x: np.ndarray, y: np.ndarray, covered: int) -> np.ndarray:
    return sampler.between(-0.3, 0) - 0.03 + np.where(np.arange(len(x)) % 2, 0.02, -0.03)


def _over_an_eye(sampler: Sampler, x: np.ndarray, y: np.ndarray, covered: int) -> np.ndarray:
    center = 0.3 * covered if covered else sampler.between(-0.4, 0.4)
    return y + _bulge(x, center, 0.16) * sampler.between(0.15, 0.4)


def _swept_back(sampler: Sampler, x: np.ndarray, y: np.ndarray, covered: int) -> np.ndarray:
    return 0.3 * y - 0.5


CUTS: dict[Callable, float] = {_plain: 0.43, _parted: 0.3, _blunt: 0.1, _over_an_eye: 0.1, _swept_back: 0.07}
