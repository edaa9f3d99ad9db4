"""Adversarial objectives and penalties: functions of tensors, without weights. All are computed in fp32 at least."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from models import distributed

DRAGAN_VERSIONS = ("interpolated", "noise")
DRAGAN_NOISE_STD = 10 / 127.5  # for images in [-1, 1]: the paper's c, 10 grey levels


def as_fp32(x: Tensor) -> Tensor:
    """Return x in fp32 if it is in half precision."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def binary_cross_entropy(logits: Tensor, target: float) -> Tensor:
    """Return -E [t log σ(x) + (1 - t) log(1 - σ(x))] of logits x (N,), all with the target t: 1 real, 0 fake.

    Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661, eq. 1; with t = 1 on fakes, G's non-saturating loss."""
    logits = as_fp32(logits)
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def softmax_cross_entropy(logits: Tensor, target: int) -> Tensor:
    """Return -E log softmax(x)_t of logits x (N, K), all of class t."""
    return F.cross_entropy(as_fp32(logits), torch.full((len(logits),), target, device=logits.device))


def hinge_d_real(logits: Tensor) -> Tensor:
    """Return E max(0, 1 - D(x)): D's loss on real pictures. Lim, Ye 2017, https://arxiv.org/abs/1705.02894"""
    return F.relu(1 - as_fp32(logits)).mean()


def hinge_d_fake(logits: Tensor) -> Tensor:
    """Return E max(0, 1 + D(G(z))): D's loss on fakes."""
    return F.relu(1 + as_fp32(logits)).mean()


def hinge_g(logits: Tensor) -> Tensor:
    """Return -E D(G(z)): G's loss."""
    return -as_fp32(logits).mean()


def mode_seeking(fakes: Tensor, others: Tensor, z: Tensor, other_z: Tensor) -> Tensor:
    """Return E ‖z - z'‖₁ / ‖G(z) - G(z')‖₁, with means for norms: small if G's images differ as much as their latents.

    `fakes` and `others` (N, C, H, W) are of z and z' (N, Z), pair by pair under the same condition. Here it is the mean
    of the pairs' ratios; the authors take the ratio of the means. Mao et al. 2019, https://arxiv.org/abs/1903.05628"""
    apart = (as_fp32(fakes) - as_fp32(others)).abs().flatten(1).mean(1)
    return ((z - other_z).abs().mean(1) / (apart + 1e-5)).mean()


def dragan(critic: Callable[[Tensor], Tensor], x: Tensor, version: str = "interpolated") -> Tensor:
    """Return E (‖∇ D(x̂)‖₂ - 1)² for x̂ near the real images x (N, C, H, W), this process's part of the global batch.

    `interpolated`: x̂ = α x + (1 - α) x_p, x_p = x + σ(x) U(0, 1) / 2, as in its authors' code.
    `noise`: x̂ = x + N(0, c²), as they later recommend. `critic` returns (N,) logits, independent of each other.
    Kodali et al. 2017, https://arxiv.org/abs/1705.07215"""
    rows = len(x) * distributed.world_size()

    def uniform(*shape: int) -> Tensor:
        return distributed.shard(torch.rand(rows, *shape, device=x.device))

    if version == "interpolated":
        mean = distributed.mean(x.mean())
        deviation = distributed.mean((x - mean).square().mean()).sqrt()
        alpha = uniform(1, 1, 1)
        near = alpha * x + (1 - alpha) * (x + 0.5 * deviation * uniform(*x.shape[1:]))
    elif version == "noise":
        near = x + DRAGAN_NOISE_STD * distributed.shard(torch.randn(rows, *x.shape[1:], device=x.device))
    else:
        raise ValueError(f"DRAGAN's version: interpolated or noise expected, {version} found")
    near = near.detach().requires_grad_()
    with torch.autocast(x.device.type, enabled=False):
        (gradient,) = torch.autograd.grad(critic(near).sum(), near, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], x: Tensor, fakes: Tensor) -> Tensor:
    """Return E (‖∇ D(x̂)‖₂ - 1)² for x̂ = ε x + (1 - ε) x̃ between real images x and fakes x̃ (N, C, H, W), with ε of
    U(0, 1) for each pair; both are this process's part of the global batch.

    `critic` returns (N,) values. Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028"""
    share = distributed.shard(torch.rand(len(x) * distributed.world_size(), 1, 1, 1, device=x.device))
    between = torch.lerp(fakes.detach().to(x), x.detach(), share.to(x)).requires_grad_()
    with torch.autocast(x.device.type, enabled=False):
        (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def squared_slopes(critic: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Return (the logits of images x (N, C, H, W), ‖∇ D(x)‖² (N,)), both in fp32 at least.

    `critic` returns (N,) logits, independent of each other."""
    x = x.detach().requires_grad_()
    with torch.autocast(x.device.type, enabled=False):
        logits = critic(x)
        (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return logits, gradient.square().flatten(1).sum(1)


def r1(critic: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Return (the logits of real images x (N, C, H, W), E ‖∇ D(x)‖² / 2), both in fp32 at least.

    `critic` is as in `squared_slopes`. Mescheder et al. 2018, https://arxiv.org/abs/1801.04406"""
    logits, slopes = squared_slopes(critic, x)
    return logits, slopes.mean() / 2


def relativistic_average(winning: Tensor, losing: Tensor) -> Tensor:
    """Return -(E log σ(a - E b) + E log(1 - σ(b - E a))) / 2 of logits a of `winning` and b of `losing`, small where a
    is above b. D's loss is that of real images over fakes, G's the reverse.

    The means are over this process's and all others' logits. Jolicoeur-Martineau 2019,
    https://arxiv.org/abs/1807.00734, with half of the paper's sum, as ESRGAN's code has it."""
    winning, losing = as_fp32(winning), as_fp32(losing)
    winning_mean, losing_mean = distributed.mean(winning.mean()), distributed.mean(losing.mean())
    return (binary_cross_entropy(winning - losing_mean, 1) + binary_cross_entropy(losing - winning_mean, 0)) / 2


def relativistic(winning: Tensor, losing: Tensor) -> Tensor:
    """Return E softplus(D(b) - D(a)), small where each of `winning` logits D(a) (N,) is above its partner of `losing`,
    D(b). D's loss is that of real images over fakes, G's the reverse.

    Jolicoeur-Martineau 2019, https://arxiv.org/abs/1807.00734, paired as in https://arxiv.org/abs/2501.05441, eq. 2"""
    return F.softplus(as_fp32(losing) - as_fp32(winning)).mean()
