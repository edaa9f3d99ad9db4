"""Blinks on curves of every kind, with and without noise."""

import numpy as np
import pytest

from pipeline.clips.blinks import Blink, find_blinks

FPS = 18


def _dip(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Return a blink's openness at 360 steps a second, and the second in which it is closed first."""
    if rng.random() < 0.6:  # anime, at 24 frames a second
        values = [0.0] * rng.integers(2, 4) + list(np.linspace(0, 1, rng.integers(4, 6))[1:-1])
        if rng.random() < 0.3:
            values = [0.5, *values]
        return np.repeat(values, round(360 / 24)), values.index(0.0) / 24
    down, held, up = rng.uniform(0.06, 0.14), rng.uniform(0.03, 0.1), rng.uniform(0.1, 0.25)
    parts = [np.linspace(1, 0, round(360 * down)), np.zeros(round(360 * held)), np.linspace(0, 1, round(360 * up))]
    return np.concatenate(parts), down


def curve(seed: int, *, seconds: float = 12) -> tuple[np.ndarray, list[float]]:
    """Return (T, 2) with blinks, winks, half-closed lids and closed spells in turn, and the times of the blinks."""
    rng = np.random.default_rng(seed)
    steps = round(360 * seconds)
    lids = np.full((steps, 2), rng.uniform(0.75, 1.0))
    times, at = [], rng.uniform(0.8, 1.5)
    while at < seconds - 2.5:
        start, kind = round(360 * at), rng.choice(["blink", "blink", "wink", "half", "closed", "flutter"])
        if kind in ("blink", "wink"):
            dip, closed = _dip(rng)
            eyes = slice(None) if kind == "blink" else slice(side := int(rng.integers(2)), side + 1)
            lids[start : start + len(dip), eyes] *= dip[:, None]
            times += [at + closed] if kind == "blink" else []
        elif kind == "flutter":
            lids[start : start + 60] *= rng.uniform(0.6, 0.9)
        else:
            length = round(360 * rng.uniform(1.0, 1.6))
            lids[start : start + length] *= rng.uniform(0.42, 0.6) if kind == "half" else 0.0
            at += length / 360
        at += rng.uniform(1.0, 2.0)
    return lids[:: 360 // FPS], times


def score(noise: float, count: int) -> tuple[int, int, int]:
    """Return how many blinks there were, how many were missed, and how many others were found."""
    total = missed = false = 0
    for seed in range(count):
        lids, times = curve(seed)
        rng = np.random.default_rng((1, seed))
        found = [blink.closed / FPS for blink in find_blinks(lids + rng.normal(0, noise, lids.shape), FPS)]
        hits = sum(any(abs(time - each) <= 1.5 / FPS for each in found) for time in times)
        total, missed, false = total + len(times), missed + len(times) - hits, false + len(found) - hits
    return total, missed, false


def test_every_blink_of_a_true_curve_is_found_and_nothing_else():
    total, missed, false = score(0.0, 100)
    assert total > 150
    assert (missed, false) == (0, 0)


def test_noise_costs_hardly_any_blink():
    total, missed, false = score(0.1, 100)
    assert missed <= 0.02 * total
    assert false <= 0.02 * total


def lids(*runs: tuple[int, float, float]) -> np.ndarray:
    return np.concatenate([np.tile([left, right], (count, 1)) for count, left, right in runs])


OPEN = (20, 1.0, 1.0)


@pytest.mark.parametrize(
    ("middle", "found"),
    [
        ([(2, 0, 0), (1, 0.3, 0.3), (1, 0.7, 0.7)], [Blink(19, 20, 23)]),
        ([(1, 0, 0)], [Blink(19, 20, 21)]),
        ([(1, 0.5, 0.5), (2, 0, 0), (1, 0.5, 0.5)], [Blink(19, 21, 24)]),
        ([(3, 0, 1)], []),
        ([(3, 1, 0)], []),
        ([(3, 0.5, 0.5)], []),
        ([(20, 0, 0)], []),
        ([(3, 0, np.nan)], [Blink(19, 20, 23)]),
        ([(3, np.nan, np.nan)], []),
        ([(2, 0, 0), (8, 1, 1), (2, 0, 0)], [Blink(19, 20, 22), Blink(29, 30, 32)]),
    ],
)
def test_both_eyes_must_close_soon_after_and_before_they_are_open(middle, found):
    assert find_blinks(lids(OPEN, *middle, OPEN), FPS) == found


def test_eyes_that_are_closed_at_the_ends_do_not_blink():
    assert find_blinks(lids((3, 0, 0), OPEN, (3, 0, 0)), FPS) == []


def test_a_curve_may_be_empty_or_hidden():
    assert find_blinks(np.zeros((0, 2)), FPS) == []
    assert find_blinks(np.full((5, 2), np.nan), FPS) == []
