"""Fidelity and variety of generated images, apart: how many look real, and how much of what is real they show."""

import torch
from torch import Tensor

NEIGHBORS = 5  # k, as in Naeem et al.
MEASURES = ("precision", "recall", "density", "coverage")
ROWS = 1024  # of a matrix of distances that are in memory at once


def fidelity_and_variety(real: Tensor, fake: Tensor, k: int = NEIGHBORS) -> dict[str, float]:
    """Return MEASURES of the features (N, F) of real images and (M, F) of fakes.

    The ball of an image reaches to its k-th nearest neighbor of the same set. Precision is the share of fakes in a ball
    of a real image, recall the share of real images in a ball of a fake: Kynkäänniemi et al. 2019,
    https://arxiv.org/abs/1904.06991. Density is the number of balls of real images that a fake lies in, divided by k;
    coverage the share of real images whose ball holds a fake: Naeem et al. 2020, https://arxiv.org/abs/2002.09797.
    Copies of few real images have full precision and little recall and coverage. Raise ValueError for fewer than k + 1
    images."""
    if min(len(real), len(fake)) <= k:
        raise ValueError(f"{k + 1} images or more expected, {len(real)} and {len(fake)} found")
    real, fake = real.double(), fake.double()
    real_radii, fake_radii = _radii(real, k), _radii(fake, k)
    balls = torch.zeros(len(fake), dtype=torch.int64)  # of real images, that each fake lies in
    is_covered, is_recalled = (torch.zeros(len(real), dtype=torch.bool) for _ in range(2))
    for start in range(0, len(real), ROWS):
        rows = slice(start, start + ROWS)
        apart = _distances(real[rows], fake)
        is_inside = apart <= real_radii[rows, None]
        balls += is_inside.sum(0)
        is_covered[rows] = is_inside.any(1)
        is_recalled[rows] = (apart <= fake_radii).any(1)
    shares = (
        (balls > 0).double().mean(),
        is_recalled.double().mean(),
        balls.double().mean() / k,
        is_covered.double().mean(),
    )
    return dict(zip(MEASURES, map(float, shares), strict=True))


def _radii(features: Tensor, k: int) -> Tensor:
    """Return the distance (N,) from each of the features (N, F) to its k-th nearest other."""
    return torch.cat([_distances(rows, features).kthvalue(k + 1, dim=1).values for rows in features.split(ROWS)])


def _distances(some: Tensor, others: Tensor) -> Tensor:
    """Return (N, M) Euclidean distances, without the shortcut by which copies are some rounding errors apart."""
    return torch.cdist(some, others, compute_mode="donot_use_mm_for_euclid_dist")
