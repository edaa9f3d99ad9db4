"""The colours of pictures: how often each level of a channel occurs, and how far that is from other pictures'."""

import numpy as np

LEVELS = 256


def count_levels(picture: np.ndarray) -> np.ndarray:
    """Return (3, LEVELS): how many pixels of a picture (H, W, 3) uint8 have each level of red, green and blue."""
    return np.stack([np.bincount(picture[..., channel].ravel(), minlength=LEVELS) for channel in range(3)])


def color_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the earth mover's distance (3,) of counts (3, LEVELS), whatever their sums, by channel: by how many levels
    a pixel of one must change, in the mean, for its histogram to be the other's."""
    shares = [counts / counts.sum(1, keepdims=True) for counts in (a, b)]
    distance: np.ndarray = np.abs(np.cumsum(shares[0] - shares[1], axis=1)).sum(1)
    return distance
