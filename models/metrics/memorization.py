"""Whether samples are copies of images that were trained on: asked of every sample, with held-out images beside it."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

SIDE = 64  # px: images are compared at this size
COARSE_SIDE = 16  # px: candidates are found at this size
CANDIDATES = 8  # for each sample, of training images and their mirror images
MAX_SHIFT = 3  # px
BLUR = 1.5  # px, standard deviation: evens out noise and differences of sharpness
PART = 64  # images that are compared at once
RARE = 0.01  # share of the held-out images that lie nearest to training images


def memorization(fake: np.ndarray, real: np.ndarray, held_out: np.ndarray, device: torch.device) -> dict[str, float]:
    """Return how much nearer to the training images `real` samples lie than images that were not trained on.

    All are (N, S, S, 3) uint8. The distance of an image is the root mean square difference, in grey levels, to its
    nearest training image, both blurred, over shifts of up to MAX_SHIFT px of SIDE and mirroring. `rare_distance` is
    that of the held-out image whose rank is the share RARE; `nearer` is the share of samples below it: about RARE where
    samples are as new as held-out images are. `p_value` is the probability of so many or more if they are, and if the
    samples are independent: one new face that is repeated and happens to lie so near reads as many copies."""
    fake_distances, held_out_distances = (nearest_distances(pictures, real, device) for pictures in (fake, held_out))
    rank = max(1, round(RARE * len(held_out)))
    rare = float(np.sort(held_out_distances)[rank - 1])
    nearer = int((fake_distances < rare).sum())
    return {
        "median_distance": float(np.median(fake_distances)),
        "held_out_median_distance": float(np.median(held_out_distances)),
        "rare_distance": rare,
        "nearer": nearer / len(fake),
        "p_value": _rank_tail(nearer, len(fake), rank, len(held_out)),
    }


def nearest_distances(some: np.ndarray, others: np.ndarray, device: torch.device) -> np.ndarray:
    """Return the distance (N,) of each of `some` to the nearest of `others`; see `memorization`."""
    found = []
    theirs = torch.cat([_blurred(part, device) for part in _parts(others)])
    coarse = torch.cat([_coarse(part) for part in theirs.split(PART)])
    coarse = torch.cat([coarse, *(_coarse(part.flip(3)) for part in theirs.split(PART))])
    for part in _parts(some):
        ours = _blurred(part, device)
        candidates = torch.cdist(_coarse(ours), coarse).topk(min(CANDIDATES, len(others)), largest=False).indices
        best = torch.full((len(ours),), math.inf, device=device)
        for column in candidates.T:
            candidate = theirs[column % len(others)]
            is_mirrored = (column >= len(others))[:, None, None, None]
            best = torch.minimum(best, _least_difference(ours, torch.where(is_mirrored, candidate.flip(3), candidate)))
        found.append(best.cpu().numpy())
    return np.concatenate(found)


def _parts(pictures: np.ndarray) -> Iterator[np.ndarray]:
    """Yield PART images at a time: a whole dataset at full size would not fit into memory."""
    yield from (pictures[start : start + PART] for start in range(0, len(pictures), PART))


def _blurred(pictures: np.ndarray, device: torch.device) -> Tensor:
    """Return (N, S, S, 3) uint8 images as (N, 3, SIDE, SIDE) grey levels, blurred."""
    x = torch.from_numpy(np.array(pictures)).to(device).permute(0, 3, 1, 2).float()
    if x.shape[-1] != SIDE:
        x = F.interpolate(x, size=(SIDE, SIDE), mode="bilinear", antialias=True)
    at = torch.arange(-4, 5, device=device, dtype=torch.float32)
    kernel = torch.exp(-(at**2) / (2 * BLUR**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, 9)
    x = F.conv2d(F.pad(x, (4, 4, 0, 0), mode="replicate"), kernel, groups=3)
    return F.conv2d(F.pad(x, (0, 0, 4, 4), mode="replicate"), kernel.mT, groups=3)


def _coarse(x: Tensor) -> Tensor:
    """Return (N, 3 · COARSE_SIDE²) averages of blurred images."""
    return F.avg_pool2d(x, SIDE // COARSE_SIDE).flatten(1)


def _least_difference(a: Tensor, b: Tensor) -> Tensor:
    """Return the least root mean square difference (N,) of blurred images over all shifts of b."""
    side = SIDE - 2 * MAX_SHIFT
    middle = a[:, :, MAX_SHIFT : MAX_SHIFT + side, MAX_SHIFT : MAX_SHIFT + side]
    shifts = [(y, x) for y in range(2 * MAX_SHIFT + 1) for x in range(2 * MAX_SHIFT + 1)]
    squares = [(middle - b[:, :, y : y + side, x : x + side]).square().mean((1, 2, 3)) for y, x in shifts]
    return torch.stack(squares).amin(0).sqrt()


def _rank_tail(nearer: int, fakes: int, rank: int, held_out: int) -> float:
    """Return the probability that `nearer` or more of the fakes lie below the held-out image of that rank, if all are
    of one distribution: then fewer than `rank` of the least `nearer + rank - 1` images of both are held-out ones."""
    least = nearer + rank - 1
    ways = sum(math.comb(held_out, k) * math.comb(fakes, least - k) for k in range(rank))
    return ways / math.comb(held_out + fakes, least)
