"""How good pictures are."""

import numpy as np
import torch
from torch.nn import functional as F

PATCH, PATCHES, DIRECTIONS = 7, 64, 256  # px; per picture; as in Karras et al., but for the number


def sliced_wasserstein(real: np.ndarray, fake: np.ndarray) -> float:
    """The sliced Wasserstein distance between patches of two sets of (N, S, S, 3) uint8 pictures, mean over the levels
    of a Laplacian pyramid down to 16 px, × 1000. 0: the same patches. It needs no network, and sees blur and collapse.

    Karras et al. 2018, https://arxiv.org/abs/1710.10196, §5. The same pictures give the same number."""
    levels = zip(*(_pyramid(torch.from_numpy(np.array(pictures))) for pictures in (real, fake)), strict=True)
    return float(np.mean([_distance(a, b) for a, b in levels])) * 1000


def _pyramid(pictures: torch.Tensor) -> list[torch.Tensor]:
    """(N, S, S, 3) uint8 -> what each halving takes away, fine to coarse, and what is left: (N, 3, H, W) in 0..1."""
    rest, levels = pictures.permute(0, 3, 1, 2).float() / 255, []
    while rest.shape[-1] // 2 >= 16:
        coarse = F.avg_pool2d(rest, 2)
        levels.append(rest - F.interpolate(coarse, size=rest.shape[-2:], mode="bilinear"))
        rest = coarse
    return [*levels, rest]


def _distance(real: torch.Tensor, fake: torch.Tensor) -> float:
    patches, others = _patches(real), _patches(fake)
    mean, std = patches.mean((0, 1, 2)), patches.std((0, 1, 2)) + 1e-8  # of the real: a shift of colour is a distance
    rng = torch.Generator().manual_seed(1)
    directions = F.normalize(torch.randn(3 * PATCH * PATCH, DIRECTIONS, generator=rng, dtype=torch.float32), dim=0)
    projected = [(((some - mean) / std).flatten(1) @ directions).sort(dim=0).values for some in (patches, others)]
    return float((projected[0] - projected[1]).abs().mean())


def _patches(level: torch.Tensor) -> torch.Tensor:
    """(N · PATCHES, PATCH, PATCH, 3) at random places, the same in every set."""
    rng = torch.Generator().manual_seed(0)
    count, _, height, width = level.shape
    y = torch.randint(height - PATCH + 1, (count, PATCHES, 1, 1), generator=rng) + torch.arange(PATCH)[:, None]
    x = torch.randint(width - PATCH + 1, (count, PATCHES, 1, 1), generator=rng) + torch.arange(PATCH)
    return level.permute(0, 2, 3, 1)[torch.arange(count)[:, None, None, None], y, x].flatten(0, 1)
