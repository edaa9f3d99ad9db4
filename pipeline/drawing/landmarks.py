"""What is known of a drawn face because our own code drew it: points, and how far its eyes are open."""

from typing import NamedTuple

import cv2
import numpy as np

from pipeline.drawing.sampling import Sampler

OPENNESSES = {(0, 0): 0.22, (1, 1): 0.3, (0, 0.2): 0.08, (0.8, 1): 0.1, (0, 1): 0.3}  # ranges -> weight


class DrawnFace(NamedTuple):
    """One face of a picture. Points are in px, 0 is the outer edge of the first pixel; left and right are those of the
    picture while the head is upright."""

    picture: np.ndarray
    """(H, W, 3) uint8, RGB."""
    square: tuple[float, float, float, float]
    """x, y and side of the square that the face fills, px; the degrees it leans, clockwise."""
    outlines: tuple[np.ndarray, np.ndarray]
    """(N, 2) each: the hulls of both eyes, lashes included, as they are when wide open."""
    openness: tuple[float, float]
    """1 open .. 0 closed."""
    visible: tuple[float, float]
    """The share of each eye's outline that nothing covers, 0..1."""
    mouth: tuple[float, float]
    chin: tuple[float, float]


def hull(points: np.ndarray) -> np.ndarray:
    """Return those of the points, (N, 2), that are the corners of their convex hull."""
    return points[cv2.convexHull(points.astype(np.float32), returnPoints=False)[:, 0]]


def sample_openness(sampler: Sampler) -> tuple[float, float]:
    """Sample the openness of both eyes: mostly equal; one in ten faces winks."""
    both = sampler.from_ranges(OPENNESSES)
    left, right = both, both
    if sampler.chance(0.05):
        left = sampler.from_ranges(OPENNESSES)
    elif sampler.chance(0.05):
        right = sampler.from_ranges(OPENNESSES)
    return left, right
