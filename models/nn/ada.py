"""Adaptive discriminator augmentation: as much of it as keeps D from learning a small dataset by heart.

Each operator changes an image with probability p, real or fake, so that G learns images without changes as long as p is
well below 1; and p follows how sure D is of the images that it is trained on. Karras et al. 2020: "Training Generative
Adversarial Networks with Limited Data", https://arxiv.org/abs/2006.06676; the operators are those of its appendix B
with the strengths that R3GAN gave them, https://arxiv.org/abs/2501.05441. Here a warped image is read bilinearly; the
authors filter it at twice its size. Images are (N, 3, S, S) in [-1, 1].
"""

import functools
import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from models import distributed
from models.nn.losses import as_fp32

TARGET = 0.6  # the mean sign of D's logits of real images that p keeps up
INTERVAL = 4  # steps between two changes of p
COLOR_SHARE = 0.5  # of p, with which each operator of colours is applied
MAX_SHIFT, CUTOUT_SIDE = 1 / 8, 1 / 2  # of the image's side


class ADA:
    """An augmentation of what D sees, whose p rises or falls by as much as takes `pictures` real images from 0 to 1.

    `pictures_a_step` is the number of real images in a step. Without `colors` they stay: hair colour is a condition."""

    def __init__(self, device: torch.device, *, pictures_a_step: int, pictures: int, colors: bool) -> None:
        self._interval, self._pictures, self._colors = INTERVAL * pictures_a_step, pictures, colors
        self.p = torch.zeros((), device=device)
        self._signs = torch.zeros((), device=device)  # the sum of those of all processes, since p's last change
        self._seen = 0  # images since then

    def __call__(self, x: Tensor) -> Tensor:
        """Return changed images."""
        return change(x, self.p, colors=self._colors)

    @torch.no_grad()
    def observe(self, logits: Tensor) -> None:
        """Count the signs of D's logits (N,) of real images, this process's part, and change p where it is due."""
        self._signs += distributed.mean(logits.detach().sign().to(self._signs).sum()) * distributed.world_size()
        self._seen += len(logits) * distributed.world_size()
        if self._seen >= self._interval:
            direction = (self._signs / self._seen - TARGET).sign()
            self.p.add_(direction * (self._seen / self._pictures)).clamp_(0, 1)
            self._signs.zero_()
            self._seen = 0

    def state_dict(self) -> dict[str, Any]:
        """Return p, and what is counted since its last change."""
        return {"p": self.p, "signs": self._signs, "seen": self._seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take them from a checkpoint."""
        self.p.copy_(state["p"])
        self._signs.copy_(state["signs"])
        self._seen = state["seen"]


def change(x: Tensor, p: Tensor, *, colors: bool) -> Tensor:
    """Return images (N, 3, S, S), each changed by each operator with probability p, a scalar; at random for each row of
    the global batch."""
    x = as_fp32(x)
    with torch.autocast(x.device.type, enabled=False):  # in bf16 a warp would be off by up to two pixels
        x = warp(x, _random_warp(x, p))
        return _cut_out(recolor(x, _random_recoloring(x, COLOR_SHARE * p)) if colors else x, p)


def warp(x: Tensor, matrices: Tensor) -> Tensor:
    """Return images (N, C, S, S) whose point u shows what was at the point M u, mirrored at the borders.

    `matrices` (N, 3, 3) are of (x, y, 1), in half sides from the middle, y downwards."""
    grid = F.affine_grid(matrices[:, :2].to(x), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def recolor(x: Tensor, matrices: Tensor) -> Tensor:
    """Return images (N, 3, S, S) whose colours (r, g, b, 1) are multiplied by the image's (4, 4) of `matrices`."""
    matrices = matrices.to(x)
    return torch.einsum("nij,njyx->niyx", matrices[:, :3, :3], x) + matrices[:, :3, 3, None, None]


def scaling(x: Tensor, y: Tensor) -> Tensor:
    """Return the warps (N, 3, 3) by factors (N,)."""
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], 1))


def rotation(angle: Tensor) -> Tensor:
    """Return the warps (N, 3, 3) by angles (N,), radians."""
    c, s, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([c, -s, zero, s, c, zero, zero, zero, one], 1).view(-1, 3, 3)


def shift(x: Tensor, y: Tensor) -> Tensor:
    """Return the warps (N, 3, 3) by shares (N,) of the side."""
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    return torch.stack([one, zero, 2 * x, zero, one, 2 * y, zero, zero, one], 1).view(-1, 3, 3)


def brightness(added: Tensor) -> Tensor:
    """Return the matrices (N, 4, 4) that add (N,) to each channel."""
    return _sum(_COLORS + _ONE, (added, _WHITE))


def contrast(factor: Tensor) -> Tensor:
    """Return the matrices (N, 4, 4) that multiply each channel by (N,)."""
    return _sum(_ONE, (factor, _COLORS))


def luma_flip(flip: Tensor) -> Tensor:
    """Return the matrices (N, 4, 4) that turn light into dark and leave hues as they are, where (N,) is 1, not 0."""
    return _sum(_COLORS + _ONE, (-2 * flip, _GREY))


def hue(angle: Tensor) -> Tensor:
    """Return the matrices (N, 4, 4) that turn colours about the axis of grey, by (N,) radians."""
    return _sum(_GREY + _ONE, (angle.cos(), _COLORS - _GREY), (angle.sin(), _ACROSS))


def saturation(factor: Tensor) -> Tensor:
    """Return the matrices (N, 4, 4) that multiply the distance from grey by (N,)."""
    return _sum(_GREY + _ONE, (factor, _COLORS - _GREY))


_ONE = torch.diag(torch.tensor([0.0, 0, 0, 1]))  # all (4, 4), of (r, g, b, 1)
_COLORS = torch.eye(4) - _ONE
_WHITE = torch.tensor([[0.0, 0, 0, 1]] * 3 + [[0.0] * 4])
_GREY = F.pad(torch.ones(3, 3, dtype=torch.float64) / 3, (0, 1, 0, 1))  # the projection onto the axis of grey
_ACROSS = F.pad(torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], dtype=torch.float64) / math.sqrt(3), (0, 1, 0, 1))


def _sum(constant: Tensor, *terms: tuple[Tensor, Tensor]) -> Tensor:
    """Return the sum (N, 4, 4) of a constant (4, 4), and of factors (N,) times matrices (4, 4)."""
    products = (factor[:, None, None] * matrix.to(factor) for factor, matrix in terms)
    return functools.reduce(torch.add, products, constant.to(terms[0][0]))


def _random_warp(x: Tensor, p: Tensor) -> Tensor:
    """Return the warp (N, 3, 3) of each image, back from the changed one; each factor is as probable as its inverse."""
    side = x.shape[-1]

    def applied(p: Tensor, value: Tensor, neutral: float = 0.0) -> Tensor:
        return torch.where(_uniform(x) < p, value, neutral)

    def turn() -> Tensor:
        return rotation(applied(1 - (1 - p).sqrt(), _uniform(x, -math.pi, math.pi)))  # one of two turns with p

    flip = applied(p, 1 - 2 * _uniform(x, 0, 2).floor(), 1.0)
    quarters = applied(p, _uniform(x, 0, 4).floor())
    is_shifted, is_moved = _uniform(x) < p, _uniform(x) < p
    pixels = (torch.where(is_shifted, _uniform(x, -MAX_SHIFT, MAX_SHIFT) * side, 0.0) for _ in range(2))
    size = applied(p, (0.2 * _normal(x)).exp2(), 1.0)
    stretch = applied(p, (0.2 * _normal(x)).exp2(), 1.0)
    fractions = (torch.where(is_moved, MAX_SHIFT * _normal(x), 0.0) for _ in range(2))
    warps = [
        scaling(flip, torch.ones_like(flip)),
        rotation(quarters * (math.pi / 2)),
        shift(*(each.round() / side for each in pixels)),
        scaling(size, size),
        turn(),
        scaling(stretch, 1 / stretch),
        turn(),
        shift(*fractions),
    ]
    return functools.reduce(torch.matmul, warps)


def _random_recoloring(x: Tensor, p: Tensor) -> Tensor:
    """Return the matrix (N, 4, 4) of each image's colours."""

    def applied(value: Tensor, neutral: float = 0.0) -> Tensor:
        return torch.where(_uniform(x) < p, value, neutral)

    matrices = [
        brightness(applied(0.2 * _normal(x))),
        contrast(applied((0.5 * _normal(x)).exp2(), 1.0)),
        luma_flip(applied(_uniform(x, 0, 2).floor())),
        hue(applied(_uniform(x, -math.pi, math.pi))),
        saturation(applied(_normal(x).exp2(), 1.0)),
    ]
    return functools.reduce(torch.matmul, reversed(matrices))


def _cut_out(x: Tensor, p: Tensor) -> Tensor:
    """Set a square of CUTOUT_SIDE of the side to 0 with probability p, with its centre anywhere in the image."""
    at = (torch.arange(x.shape[-1], device=x.device) + 0.5) / x.shape[-1]
    rows, columns = ((at - _uniform(x)[:, None]).abs() < CUTOUT_SIDE / 2 for _ in range(2))
    is_cut = (_uniform(x) < p)[:, None, None] & rows[:, :, None] & columns[:, None, :]
    return x * ~is_cut[:, None]


def _uniform(x: Tensor, start: float = 0.0, end: float = 1.0) -> Tensor:
    """Return (N,) numbers of U(start, end) for this process's rows x of the global batch."""
    rows = len(x) * distributed.world_size()
    return start + (end - start) * distributed.shard(torch.rand(rows, device=x.device))


def _normal(x: Tensor) -> Tensor:
    """Return (N,) numbers of N(0, 1) for this process's rows x of the global batch."""
    return distributed.shard(torch.randn(len(x) * distributed.world_size(), device=x.device))
