"""Distances between the features of two sets of images, and neighbors among them."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

MIN_FID_IMAGES = 2048
MAX_BLOCKS, MIN_BLOCK = 10, 8  # KID: parts of the images, and images in each


def fid(real: Tensor, fake: Tensor) -> float | None:
    """Return the Fréchet distance of features (N, F) and (M, F); None below MIN_FID_IMAGES, where it is mostly bias.

    Heusel et al. 2017, https://arxiv.org/abs/1706.08500"""
    return frechet_distance(real, fake) if min(len(real), len(fake)) >= MIN_FID_IMAGES else None


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """Return |μ - μ'|² + tr(C + C' - 2 (C C')^½) of features (N, F) and (M, F) with means μ and covariances C.

    With C = AᵀA the trace of the root is the sum of the singular values of A A'ᵀ: of few images that is a small
    matrix. It is the larger the fewer images there are. N and M are 2 or more."""
    (mean, root), (other_mean, other_root) = map(_mean_and_root, (real, fake))
    cross = torch.linalg.svdvals(root @ other_root.T).sum()
    return float((mean - other_mean).square().sum() + root.square().sum() + other_root.square().sum() - 2 * cross)


def _mean_and_root(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean (F,), and A (R, F) with AᵀA the covariance; R is the smaller of N and F."""
    x = features.double()
    mean = x.mean(0)
    return mean, torch.linalg.qr((x - mean) / math.sqrt(len(x) - 1), mode="r").R


def kid(real: Tensor, fake: Tensor) -> tuple[float, float | None]:
    """Return (the kernel distance of features (N, F) and (M, F), its standard error: None if there are few).

    Both sets are cut into up to MAX_BLOCKS blocks without common images; the distance is the mean over them, which is
    unbiased, so that figures of different numbers of images can be compared. N and M are 2 or more. Bińkowski et al.
    2018, https://arxiv.org/abs/1801.01401"""
    blocks = max(1, min(MAX_BLOCKS, min(len(real), len(fake)) // MIN_BLOCK))
    parts = zip(shuffled(real).tensor_split(blocks), shuffled(fake).tensor_split(blocks), strict=True)
    each = torch.stack([kernel_distance(some.double(), others.double()) for some, others in parts])
    return float(each.mean()), float(each.std() / math.sqrt(blocks)) if blocks > 1 else None


def kernel_distance(some: Tensor, others: Tensor) -> Tensor:
    """Return the squared maximum mean discrepancy of features (N, F) and (M, F) for KID's kernel, (x · y / F + 1)³.

    The unbiased estimate, which may be negative: Gretton et al. 2012, https://jmlr.org/papers/v13/gretton12a.html,
    eq. 3. N and M are 2 or more, and may differ."""
    within = torch.zeros((), dtype=some.dtype)
    for features in (some, others):
        kernel = _kernel(features, features)
        within = within + (kernel.sum() - kernel.trace()) / (len(features) * (len(features) - 1))
    return within - 2 * _kernel(some, others).mean()


def _kernel(some: Tensor, others: Tensor) -> Tensor:
    return (some @ others.T / some.shape[1] + 1) ** 3


def shuffled(features: Tensor) -> Tensor:
    """Return the rows in an order that depends on their number alone: samples may be sorted by label."""
    return features[torch.randperm(len(features), generator=torch.Generator().manual_seed(0))]


def nearest_neighbors(some: Tensor, others: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return ((N, count) cosine distances, rows): for each of `some` (N, F) the nearest `others` (M, F)."""
    alike = F.normalize(some, dim=1) @ F.normalize(others, dim=1).T
    found = alike.topk(count, dim=1)
    return 1 - found.values, found.indices
