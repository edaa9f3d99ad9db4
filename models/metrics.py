"""How good pictures are."""

import warnings
from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional as F

PATCH, PATCHES, DIRECTIONS = 7, 64, 256  # px; per picture; as in Karras et al., but for the number
FID_PICTURES = 2048


class SlicedWasserstein:
    """The sliced Wasserstein distance between patches of real and fake pictures (N, S, S, 3) uint8, mean over the
    levels of a Laplacian pyramid down to 16 px, × 1000. 0: the same patches. It needs no network, and sees blur and
    collapse.

    Karras et al. 2018, https://arxiv.org/abs/1710.10196, §5. The same pictures give the same number, on one device."""

    def __init__(self, real: np.ndarray, device: torch.device):
        self._device = device
        self._scales, self._real = [], []  # per level: what makes patches comparable; what they are, projected
        for patches in self._levels(real):
            mean, std = patches.mean((0, 1, 2)), patches.std((0, 1, 2)) + 1e-8  # of the real: a shift of colour is far
            self._scales.append((mean, std))
            self._real.append(_projected(patches, mean, std))

    def __call__(self, fake: np.ndarray) -> float:
        """Of as many pictures as the real ones."""
        levels = zip(self._levels(fake), self._scales, self._real, strict=True)
        apart = [float((real - _projected(patches, *scale)).abs().mean()) for patches, scale, real in levels]
        return float(np.mean(apart)) * 1000

    def _levels(self, pictures: np.ndarray) -> Iterator[torch.Tensor]:
        for level in _pyramid(torch.from_numpy(np.array(pictures)).to(self._device)):
            yield _patches(level)


def _pyramid(pictures: torch.Tensor) -> list[torch.Tensor]:
    """(N, S, S, 3) uint8 -> what each halving takes away, fine to coarse, and what is left: (N, 3, H, W) in 0..1."""
    rest, levels = pictures.permute(0, 3, 1, 2).float() / 255, []
    while rest.shape[-1] // 2 >= 16:
        coarse = F.avg_pool2d(rest, 2)
        levels.append(rest - F.interpolate(coarse, size=rest.shape[-2:], mode="bilinear"))
        rest = coarse
    return [*levels, rest]


def _projected(patches: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """(N, DIRECTIONS), each column sorted."""
    rng = torch.Generator().manual_seed(1)
    directions = F.normalize(torch.randn(3 * PATCH * PATCH, DIRECTIONS, generator=rng, dtype=torch.float32), dim=0)
    return (((patches - mean) / std).flatten(1) @ directions.to(patches.device)).sort(dim=0).values


def _patches(level: torch.Tensor) -> torch.Tensor:
    """(N · PATCHES, PATCH, PATCH, 3) at random places, the same in every set."""
    rng = torch.Generator().manual_seed(0)
    count, _, height, width = level.shape
    y = torch.randint(height - PATCH + 1, (count, PATCHES, 1, 1), generator=rng) + torch.arange(PATCH)[:, None]
    x = torch.randint(width - PATCH + 1, (count, PATCHES, 1, 1), generator=rng) + torch.arange(PATCH)
    rows, y, x = (index.to(level.device) for index in (torch.arange(count)[:, None, None, None], y, x))
    return level.permute(0, 2, 3, 1)[rows, y, x].flatten(0, 1)


def distances(real: torch.Tensor, fake: torch.Tensor, name: str) -> dict[str, float | None]:
    """`fid_NAME` and `kid_NAME` of the features (N, F) of two sets of pictures, made by the network NAME.

    FID: Heusel et al. 2017, https://arxiv.org/abs/1706.08500; None below FID_PICTURES, where bias hides what it says.
    KID: Bińkowski et al. 2018, https://arxiv.org/abs/1801.01401; unbiased, the mean over 100 pairs of subsets, and its
    standard deviation over them as `kid_NAME_std`. Figures of different networks are of different scales."""
    from torchmetrics.image.fid import FrechetInceptionDistance  # slow to import
    from torchmetrics.image.kid import KernelInceptionDistance

    as_they_are = torch.nn.Identity()
    as_they_are.num_features = real.shape[1]
    count = min(len(real), len(fake))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it keeps the features, which are here already
        kid = KernelInceptionDistance(as_they_are, subset_size=min(100, count))
    fid = FrechetInceptionDistance(as_they_are)
    for metric in (kid, fid):
        metric.update(real, real=True)
        metric.update(fake, real=False)
    with torch.random.fork_rng():
        torch.manual_seed(0)  # of the subsets: the same pictures give the same number
        mean, std = kid.compute()
    return {
        f"fid_{name}": float(fid.compute()) if count >= FID_PICTURES else None,
        f"kid_{name}": float(mean),
        f"kid_{name}_std": float(std),
    }


def nearest(some: torch.Tensor, others: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """((N, count) cosine distances, rows) of the nearest of `others` (M, F) to each of `some` (N, F), nearest first."""
    alike = F.normalize(some, dim=1) @ F.normalize(others, dim=1).T
    found = alike.topk(count, dim=1)
    return 1 - found.values, found.indices
