"""The constants of the detectors are those that the tool says it chooses."""

import numpy as np
import pytest

from tests.benchmarks.scoreboard import Match
from tests.tools.choose_threshold import best_line, best_threshold, found


def test_the_threshold_is_the_middle_of_those_of_most_recall_at_the_precision():
    right, wrong = Match([3.0, 2.0, 0.5], [0, 1, 2], 4), Match([1.0], [-1], 0)
    assert best_threshold([right]) == pytest.approx(-0.75)  # -2.0 … 0.5: all count
    assert best_threshold([right, wrong]) == pytest.approx(1.55)  # 1.1 … 2.0: a fourth find would be 75 %


def test_no_threshold_is_precise_enough():
    with pytest.raises(ValueError, match="empty"):
        best_threshold([Match([9.0], [-1], 1)])


def test_the_line_and_the_gain_are_those_that_the_finds_were_drawn_from():
    rng = np.random.default_rng(0)
    logits = rng.normal(0.5, 1, 4000)
    is_face = rng.random(4000) < 1 / (1 + np.exp(-4 * (logits - 0.5)))
    matches = [Match([logit], [0 if right else -1], 1) for logit, right in zip(logits, is_face, strict=True)]
    lowered = [Match([one.scores[0] - 1.5], one.owners, 1) for one in matches[:1500]]
    even, slope, gain = best_line(matches[1500:], lowered)
    assert (even, slope) == (pytest.approx(0.5, abs=0.051), pytest.approx(4, abs=0.5))
    assert gain == pytest.approx(1.5, abs=0.11)


def test_finds_below_the_threshold_are_left_out():
    assert found([Match([2.0, 1.0, 0.5], [1, -1, 0], 3)], 1.0) == [Match([2.0, 1.0], [1, -1], 3)]
