"""By how much probabilities differ from how often they are right."""

from collections.abc import Sequence

import numpy as np

BINS = 10  # of the probability


def expected_error(probabilities: Sequence[float], right: Sequence[float]) -> float:
    """Return the expected calibration error, 0..1: the mean over ten bins of the probability of the gap between the
    mean probability and the mean of what was right, weighted by their sizes (Guo et al. 2017,
    https://arxiv.org/abs/1706.04599, eq. 3).

    `probabilities`: (N,), 0..1; `right`: (N,), 1 where what was predicted is so, 0 where not, or the share of people
    who agree."""
    number = np.minimum([int(BINS * probability) for probability in probabilities], BINS - 1)
    gaps = np.subtract(probabilities, right)
    return float(sum(abs(gaps[number == k].sum()) for k in range(BINS)) / max(1, len(gaps)))
