"""Histograms of colours, and how far they are apart."""

import numpy as np
import pytest

from models.metrics.colors import color_distance, count_levels
from tests.support import drawn_pictures


def test_levels_are_counted_by_channel():
    picture = np.array([[[0, 7, 255], [0, 9, 255]]], np.uint8)
    counts = count_levels(picture)
    assert counts.shape == (3, 256)
    assert [{int(level): int(row[level]) for level in row.nonzero()[0]} for row in counts] == [
        {0: 2},
        {7: 1, 9: 1},
        {255: 2},
    ]


def test_the_distance_is_by_how_many_levels_pixels_change():
    picture = drawn_pictures.draw(0, 40, 32) // 2
    counts = count_levels(picture)
    assert color_distance(counts, 3 * counts) == pytest.approx([0, 0, 0])
    assert color_distance(counts, count_levels(picture + np.array([0, 5, 100], np.uint8))) == pytest.approx([0, 5, 100])
    half = picture.copy()
    half[:16, :, 1] += 20
    assert color_distance(counts, count_levels(half))[1] <= 10 + 1e-9
    assert color_distance(counts, count_levels(half))[1] > 5
