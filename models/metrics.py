"""How good pictures are."""

from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional as F

PATCH, PATCHES, DIRECTIONS = 7, 64, 256  # px; per picture; as in Karras et al., but for the number


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
