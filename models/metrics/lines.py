"""How far apart the lines of two drawings lie: the chamfer distance, which agrees with what people see in animation.

Chen, Zwicker: "Improving the Perceptual Quality of 2D Animation Interpolation", ECCV 2022,
https://arxiv.org/abs/2111.12792. There the distances are summed over the lines and divided by the picture's area; here
they are averaged over the lines, so that a picture with few of them does not count as a better one.
"""

import math

import cv2
import numpy as np

LOW, HIGH = 60, 150  # of Canny's detector: gradients, in grey levels, at which a line goes on, and begins


def find_lines(picture: np.ndarray) -> np.ndarray:
    """Return (H, W) bool: the edges, one pixel wide, in a picture (H, W, 3) uint8 RGB."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return cv2.Canny(grey, LOW, HIGH, L2gradient=True) > 0


def line_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the chamfer distance of the lines of two pictures (H, W, 3) uint8, as a share of their diagonal, 0 to 1.

    It is the mean distance from a line's pixel to the other picture's nearest one, averaged over both ways. Without a
    line in either picture it is 0; in one of them alone it is 1, the largest. Raise ValueError if the sizes differ."""
    if a.shape != b.shape:
        raise ValueError(f"pictures of one size expected, {a.shape} and {b.shape} found")
    lines = find_lines(a), find_lines(b)
    if not all(each.any() for each in lines):
        return float(any(each.any() for each in lines))
    to_a, to_b = (cv2.distanceTransform(np.uint8(~each), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for each in lines)
    mean_px = (to_b[lines[0]].mean() + to_a[lines[1]].mean()) / 2
    return float(mean_px / math.hypot(*a.shape[:2]))
