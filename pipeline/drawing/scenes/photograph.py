"""Grounds that look like photographs: skies over land, lights out of focus, foliage, walls, floors, close-ups."""

from collections.abc import Callable

import cv2
import numpy as np

from pipeline.drawing.colors import any_color, sample_color
from pipeline.drawing.sampling import Sampler

SKIES = ((0.5, 0.7), (0, 0.6), (0.5, 1))  # ranges of hue, saturation and value
LANDS = ((0.05, 0.4), (0.1, 0.6), (0.15, 0.7))
LEAVES = ((0.15, 0.42), (0.2, 0.8), (0.1, 0.8))
STONES = ((0.0, 0.15), (0, 0.5), (0.25, 0.9))


def photograph(sampler: Sampler, size: int) -> np.ndarray:
    """Return a ground, uint8 (size, size, 3), with the falling light, grain and blur of a photograph."""
    picture = sampler.pick(PHOTOGRAPHS)(sampler, size).astype(np.float32)
    slope = np.linspace(-1, 1, size, dtype=np.float32)
    falling = 1 + np.add.outer(slope * sampler.between(-0.3, 0.3), slope * sampler.between(-0.3, 0.3))
    picture *= falling[..., None]
    picture += sampler.normal(sampler.between(1, 8), (size, size, 1))
    picture = picture.clip(0, 255).astype(np.uint8)
    return cv2.GaussianBlur(picture, (0, 0), sampler.between(0.3, 1.5))


def _fractal(sampler: Sampler, size: int, coarsest: int = 3, roughness: float = 0.55) -> np.ndarray:
    """Return noise of all scales, float32 (size, size), of mean 0 and standard deviation 1."""
    total, weight, cells = np.zeros((size, size), np.float32), 1.0, coarsest
    while cells < size:
        coarse = sampler.normal(weight, (cells, cells)).astype(np.float32)
        total += cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
        cells, weight = 2 * cells, weight * roughness
    return (total - total.mean()) / (total.std() + 1e-6)


def _between(a, b, share: np.ndarray) -> np.ndarray:
    """Blend two colours by a share that is clipped to 0..1, (size, size) -> (size, size, 3)."""
    a, b = np.array(a, np.float32), np.array(b, np.float32)
    return a + (b - a) * share.clip(0, 1)[..., None]


def _landscape(sampler: Sampler, size: int) -> np.ndarray:
    """Paint clouds over hills, one behind the other."""
    picture = _between(sample_color(sampler, SKIES), (250, 250, 250), 0.4 + 0.4 * _fractal(sampler, size))
    x, y = np.arange(size), np.arange(size)[:, None]
    for base in np.sort(sampler.rng.uniform(0.3, 1.0, sampler.integer(1, 5))):
        ridge = size * (base + 0.06 * _fractal(sampler, size)[0])
        land = _between(sample_color(sampler, LANDS), sample_color(sampler, LANDS), 0.5 + 0.3 * _fractal(sampler, size))
        picture = np.where((y > ridge[x])[..., None], land, picture)
    return picture


def _bokeh(sampler: Sampler, size: int) -> np.ndarray:
    """Paint lights far out of focus: translucent discs."""
    dark = 0.7 + 0.3 * _fractal(sampler, size)
    picture: np.ndarray = _between(any_color(sampler), (10, 10, 20), dark).astype(np.uint8)
    for _ in range(sampler.integer(10, 50)):
        layer = picture.copy()
        center, radius = sampler.point(0, size).astype(int).tolist(), int(size * sampler.between(0.02, 0.12))
        cv2.circle(layer, center, radius, sample_color(sampler, ((0, 1), (0.1, 0.8), (0.7, 1))), -1, cv2.LINE_AA)
        share = sampler.between(0.2, 0.7)
        picture = cv2.addWeighted(layer, share, picture, 1 - share, 0)
    return cv2.GaussianBlur(picture, (0, 0), sampler.between(0.5, 4))


def _foliage(sampler: Sampler, size: int) -> np.ndarray:
    share = 0.5 + 0.5 * _fractal(sampler, size, sampler.integer(6, 30), 0.9)
    return _between(sample_color(sampler, LEAVES), sample_color(sampler, LEAVES), share)


def _wall(sampler: Sampler, size: int) -> np.ndarray:
    """Paint bricks, tiles or planks with stains."""
    wide, high = size / sampler.between(2, 9), size / sampler.between(3, 16)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    row = np.floor(y / high)
    u, v = (x / wide + 0.5 * (row % 2)), y / high
    joint = np.maximum(np.abs(u % 1 - 0.5), np.abs(v % 1 - 0.5)) > 0.5 - sampler.between(0.02, 0.06)
    each = np.sin(12.9 * np.floor(u) + 78.2 * row) * 43758.5 % 1  # a number of each brick
    share = 0.5 + 0.4 * (each - 0.5) + 0.2 * _fractal(sampler, size)
    picture = _between(sample_color(sampler, STONES), sample_color(sampler, STONES), share)
    return np.where(joint[..., None], np.array(sample_color(sampler, STONES), np.float32), picture)


def _grain(sampler: Sampler, size: int) -> np.ndarray:
    """Paint wood, cloth or hair: noise that is stretched along one direction."""
    noise = cv2.resize(_fractal(sampler, size, 8, 0.8)[:: sampler.integer(4, 20)], (size, size))
    noise = noise if sampler.chance(0.5) else noise.T
    return _between(sample_color(sampler, STONES), any_color(sampler), 0.5 + 0.35 * noise)


def _blur(sampler: Sampler, size: int) -> np.ndarray:
    """Paint a few large, soft shapes: something close, out of focus."""
    picture = np.zeros((size, size, 3), np.float32) + np.array(any_color(sampler))
    for _ in range(sampler.integer(2, 5)):
        picture = np.where(
            (_fractal(sampler, size, 2, 0.3) > sampler.between(0, 1))[..., None], any_color(sampler), picture
        )
    return cv2.GaussianBlur(picture.astype(np.uint8), (0, 0), size * sampler.between(0.01, 0.06))


PHOTOGRAPHS: dict[Callable[[Sampler, int], np.ndarray], float] = {  # -> weight
    _landscape: 2,
    _bokeh: 1,
    _foliage: 1,
    _wall: 1,
    _grain: 1,
    _blur: 1,
}
