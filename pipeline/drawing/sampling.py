"""What is decided by lot: names for the few kinds of chance that a scene needs."""

from bisect import bisect
from collections.abc import Hashable, Mapping
from itertools import accumulate
from typing import TypeVar

import numpy as np

Choice = TypeVar("Choice")
Key = TypeVar("Key", bound=Hashable)


class Sampler:
    """One generator, asked in the order in which things are painted."""

    def __init__(self, rng: np.random.Generator):
        self.rng = rng

    def between(self, low: float, high: float) -> float:
        """Any number of [low, high), all of equal chance."""
        return low + (high - low) * self.rng.random()

    def whole(self, low: int, high: int) -> int:
        """A whole number of [low, high)."""
        return int(self.rng.integers(low, high))

    def chance(self, share: float) -> bool:
        """True in this share of all cases, 0..1."""
        return self.rng.random() < share

    def one(self, *options: Choice) -> Choice:
        """One of these, all of equal chance."""
        return options[self.whole(0, len(options))]

    def side(self) -> int:
        """-1, the picture's left, or 1, its right."""
        return self.one(-1, 1)

    def pick(self, weights: Mapping[Key, float]) -> Key:
        """A key of the table; its chance is its weight over the sum of all."""
        edges = list(accumulate(weights.values()))
        return list(weights)[bisect(edges, edges[-1] * self.rng.random(), hi=len(edges) - 1)]

    def amount(self, ranges: Mapping[tuple[float, float], float]) -> float:
        """A number of one of the ranges (low, high), which have weights."""
        return self.between(*self.pick(ranges))

    def normal(self, spread: float, shape: int | tuple[int, ...] | None = None):
        """Around 0 with this standard deviation: a number, or an array of a shape."""
        return self.rng.normal(0, spread, shape)

    def point(self, low: float, high: float) -> np.ndarray:
        """(2,), both of [low, high)."""
        return self.rng.uniform(low, high, 2)
