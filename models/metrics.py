"""How good pictures are."""

import numpy as np
import torch
from torch.nn import functional as F

PATCH, PATCHES, DIRECTIONS = 7, 64, 256  # px; per picture; as in Karras et al., but for the number
FID_PICTURES = 2048


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
        f"kid_{name}": float(mean), f"kid_{name}_std": float(std),
    }  # fmt: skip


def nearest(some: torch.Tensor, others: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """((N, count) cosine distances, rows) of the nearest of `others` (M, F) to each of `some` (N, F), nearest first."""
    alike = F.normalize(some, dim=1) @ F.normalize(others, dim=1).T
    found = alike.topk(count, dim=1)
    return 1 - found.values, found.indices
