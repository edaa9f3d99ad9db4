"""The background of a scene: one colour, patches or blends of several, or clouds of two."""

import cv2
import numpy as np

from pipeline.drawing.canvas import flat
from pipeline.drawing.colors import WHITE, any_color
from pipeline.drawing.sampling import Sampler


def ground(sampler: Sampler, size: int) -> np.ndarray:
    """Return a background, uint8 (size, size, 3)."""
    return sampler.pick(GROUNDS)(sampler, size)


def _plain(sampler: Sampler, size: int) -> np.ndarray:
    return flat((size, size, 3), any_color(sampler) if sampler.chance(0.6) else WHITE)


def _patches(sampler: Sampler, size: int) -> np.ndarray:
    n = sampler.integer(2, 5)
    colors = np.array([any_color(sampler) for _ in range(n * n)], np.uint8).reshape(n, n, 3)
    return cv2.resize(colors, (size, size), interpolation=sampler.pick({cv2.INTER_CUBIC: 3, cv2.INTER_NEAREST: 1}))


def _clouds(sampler: Sampler, size: int) -> np.ndarray:
    n = sampler.integer(4, 40)
    a, b = np.array(any_color(sampler), np.float32), np.array(any_color(sampler), np.float32)
    coarse = sampler.rng.random((n, n), np.float32)
    share = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)[..., None].clip(0, 1)
    return (a + (b - a) * share).clip(0, 255).astype(np.uint8)


GROUNDS = {_plain: 0.25, _patches: 0.35, _clouds: 0.4}  # -> weight
