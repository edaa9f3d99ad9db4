"""Augmentation of whatever a discriminator sees, so that it cannot learn a small dataset by heart.

It is differentiable, and real images and fakes get the same kinds of change, so that G's images do not show it.
Zhao et al. 2020: "Differentiable Augmentation for Data-Efficient GAN Training", https://arxiv.org/abs/2006.10738.
Another augmentation, with a state, is `nn.ada`. Images are in [-1, 1].
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from models import distributed

MAX_SHIFT, CUTOUT_SIDE = 1 / 8, 1 / 2  # of the image's side: the paper's


def diff_augment(x: Tensor, *, colors: bool) -> Tensor:
    """Return images (N, C, S, S) that are recoloured, shifted, and of which a square is 0; of each at random. Without
    `colors` they stay: hair colour is a condition."""
    return _cut_out(_translate(_recolor(x) if colors else x))


def _recolor(x: Tensor) -> Tensor:
    """Change each image's brightness, saturation and contrast, in this order."""
    x = x + _uniform(x, -0.5, 0.5)
    x = _scale_distance(x, x.mean(1, keepdim=True), _uniform(x, 0, 2))  # from grey
    return _scale_distance(x, x.mean((1, 2, 3), keepdim=True), _uniform(x, 0.5, 1.5))


def _scale_distance(x: Tensor, center: Tensor, factor: Tensor) -> Tensor:
    """Return images (N, C, S, S) whose distance from `center`, broadcast to them, is multiplied by (N, 1, 1, 1)."""
    return center + factor * (x - center)


def _translate(x: Tensor) -> Tensor:
    """Shift each image by up to MAX_SHIFT of its side; what comes in from outside is 0."""
    count, side = len(x), x.shape[-1]
    margin = round(MAX_SHIFT * side)
    padded = F.pad(x, (margin,) * 4).permute(0, 2, 3, 1)
    each = torch.arange(count, device=x.device)[:, None, None]
    y, x_ = (_whole_numbers(x, 2 * margin + 1) + torch.arange(side, device=x.device) for _ in range(2))
    return padded[each, y[:, :, None], x_[:, None, :]].permute(0, 3, 1, 2)


def _cut_out(x: Tensor) -> Tensor:
    """Set a square of CUTOUT_SIDE of the side to 0, with its centre anywhere in the image."""
    side = x.shape[-1]
    half = round(CUTOUT_SIDE * side / 2)
    at = torch.arange(side, device=x.device)
    y, x_ = (((at - _whole_numbers(x, side + 1)).add(0.5)).abs() < half for _ in range(2))
    return x * ~(y[:, None, :, None] & x_[:, None, None, :])


def _uniform(x: Tensor, start: float, end: float) -> Tensor:
    """Return (N, 1, 1, 1) numbers of U(start, end) for this process's rows x of the global batch."""
    rows = len(x) * distributed.world_size()
    return distributed.shard(torch.empty(rows, 1, 1, 1, device=x.device, dtype=x.dtype).uniform_(start, end))


def _whole_numbers(x: Tensor, end: int) -> Tensor:
    """Return (N, 1) numbers of 0 to `end` - 1 for this process's rows x of the global batch."""
    rows = len(x) * distributed.world_size()
    return distributed.shard(torch.randint(end, (rows, 1), device=x.device))
