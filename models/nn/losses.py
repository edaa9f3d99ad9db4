"""Adversarial objectives and penalties: functions of tensors, without weights. All are computed in fp32 at least."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from models import distributed as ranks

NEAR = 10 / 127.5  # σ of DRAGAN's small noise, of pictures in [-1, 1]: its paper's c is 10 grey levels


def precise(x: Tensor) -> Tensor:
    """x in fp32 if it is of a half precision."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def binary_cross_entropy(logits: Tensor, target: float) -> Tensor:
    """-E [t log σ(x) + (1 - t) log(1 - σ(x))] of logits x (N,), all with the target t: 1 real, 0 fake.

    Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661, eq. 1; with t = 1 on fakes, G's non-saturating loss."""
    logits = precise(logits)
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def softmax_cross_entropy(logits: Tensor, target: int) -> Tensor:
    """-E log softmax(x)_t of logits x (N, K), all of class t."""
    return F.cross_entropy(precise(logits), torch.full((len(logits),), target, device=logits.device))


def hinge_d_real(logits: Tensor) -> Tensor:
    """E max(0, 1 - D(x)): D's loss on real pictures. Lim, Ye 2017, https://arxiv.org/abs/1705.02894"""
    return F.relu(1 - precise(logits)).mean()


def hinge_d_fake(logits: Tensor) -> Tensor:
    """E max(0, 1 + D(G(z))): D's loss on fakes."""
    return F.relu(1 + precise(logits)).mean()


def hinge_g(logits: Tensor) -> Tensor:
    """-E D(G(z)): G's loss."""
    return -precise(logits).mean()


def dragan(critic: Callable[[Tensor], Tensor], x: Tensor, version: str = "interpolated") -> Tensor:
    """E (‖∇ D(x̂)‖₂ - 1)², for x̂ near the real pictures x (N, C, H, W) of this process, a part of the global batch.

    `interpolated`: x̂ = α x + (1 - α) x_p, x_p = x + σ(x) U(0, 1) / 2, as in its authors' code.
    `noise`: x̂ = x + N(0, c²), as they later say to do. `critic` gives (N,) logits, of each sample alone.
    Kodali et al. 2017, https://arxiv.org/abs/1705.07215"""
    rows = len(x) * ranks.world()

    def drawn(*shape: int) -> Tensor:
        return ranks.share(torch.rand(rows, *shape, device=x.device))

    if version == "interpolated":
        mean = ranks.mean(x.mean())
        deviation = ranks.mean((x - mean).square().mean()).sqrt()
        alpha = drawn(1, 1, 1)
        near = alpha * x + (1 - alpha) * (x + 0.5 * deviation * drawn(*x.shape[1:]))
    elif version == "noise":
        near = x + NEAR * ranks.share(torch.randn(rows, *x.shape[1:], device=x.device))
    else:
        raise ValueError(f"DRAGAN's version: interpolated or noise expected, {version} found")
    near = near.detach().requires_grad_()
    with torch.autocast(x.device.type, enabled=False):
        (gradient,) = torch.autograd.grad(critic(near).sum(), near, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()
