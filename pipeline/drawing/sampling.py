"""Random choices: the few distributions that scenes are sampled from."""

from bisect import bisect
from collections.abc import Hashable, Mapping
from itertools import accumulate
from typing import TypeVar

import numpy as np

Choice = TypeVar("Choice")
Key = TypeVar("Key", bound=Hashable)


class Sampler:
    """A random generator whose numbers are drawn in the order of painting."""

    def __init__(self, rng: np.random.Generator):
        self.rng = rng

    def between(self, low: float, high: float) -> float:
        """Draw a number of [low, high), uniformly."""
        return low + (high - low) * self.rng.random()

    def integer(self, low: int, high: int) -> int:
        """Draw an integer of [low, high), uniformly."""
        return int(self.rng.integers(low, high))

    def chance(self, share: float) -> bool:
        """Return True with this probability, 0..1."""
        return self.rng.random() < share

    def choice(self, *options: Choice) -> Choice:
        """Draw one of the options, uniformly."""
        return options[self.integer(0, len(options))]

    def side(self) -> int:
        """Draw -1, the picture's left, or 1, its right."""
        return self.choice(-1, 1)

    def pick(self, weights: Mapping[Key, float]) -> Key:
        """Draw a key of the table with a chance in proportion to its weight."""
        edges = list(accumulate(weights.values()))
        return list(weights)[bisect(edges, edges[-1] * self.rng.random(), hi=len(edges) - 1)]

    def from_ranges(self, ranges: Mapping[tuple[float, float], float]) -> float:
        """Draw one of the ranges (low, high) by its weight, then a number of it."""
        return self.between(*self.pick(ranges))

    def normal(self, spread: float, shape: int | tuple[int, ...] | None = None):
        """Draw from a normal distribution around 0 with this standard deviation: a number, or an array of `shape`."""
        return self.rng.normal(0, spread, shape)

    def point(self, low: float, high: float) -> np.ndarray:
        """Draw a point, (2,), with both coordinates of [low, high)."""
        return self.rng.uniform(low, high, 2)
