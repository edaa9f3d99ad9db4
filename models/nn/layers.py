"""Normalisations, whose batches are those of all processes, and the order of weights in memory."""

from typing import TypeVar

import torch
from torch import Tensor, nn

from models import distributed
from models.nn.losses import as_fp32

N = TypeVar("N", bound=nn.Module)


class BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation of (N, C), (N, C, H, W) or (N, C, T, H, W).

    Its statistics are over the batches of all processes. torch's SyncBatchNorm is the same, but has no CPU form.
    Ioffe, Szegedy 2015, https://arxiv.org/abs/1502.03167"""

    def _check_input_dim(self, x: Tensor) -> None:
        if x.ndim not in (2, 4, 5):
            raise ValueError(f"(N, C), (N, C, H, W) or (N, C, T, H, W) expected, {tuple(x.shape)} found")

    def forward(self, x: Tensor) -> Tensor:
        """Return x normalised."""
        if not self.training or distributed.world_size() == 1:
            return super().forward(x)
        self._check_input_dim(x)
        axes = [0, *range(2, x.ndim)]
        shape = [1, -1] + [1] * (x.ndim - 2)
        exact = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
        mean = distributed.mean(exact.mean(axes))
        centred = exact - mean.view(shape)
        variance = distributed.mean(centred.square().mean(axes))
        count = x.numel() / x.shape[1] * distributed.world_size()
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
            self.num_batches_tracked.add_(1)
        scale = (variance + self.eps).rsqrt()
        if not self.affine:
            return (centred * scale.view(shape)).to(x.dtype)
        return (centred * (self.weight * scale).view(shape) + self.bias.view(shape)).to(x.dtype)


class InstanceNorm(nn.GroupNorm):
    """Instance normalisation of (N, C, H, W) or (N, C, T, H, W), in fp32 at least, as bf16 takes 2.6 times as long on a
    CPU. Unlike torch's own it keeps the order of the input in memory."""

    def __init__(self, features: int, *, affine: bool = True) -> None:
        super().__init__(features, features, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        """Return x normalised, each map by itself."""
        return super().forward(as_fp32(x)).to(x.dtype)


class ConditionalBatchNorm(nn.Module):
    """Batch normalisation of (N, C, H, W) whose scale and shift depend on a condition (N, T), mixed if it is soft.

    With 0 `labels` it has one scale and one shift, and the condition is ignored. Dumoulin et al. 2017,
    https://arxiv.org/abs/1610.07629"""

    def __init__(self, features: int, labels: int) -> None:
        super().__init__()
        self.norm = BatchNorm(features, eps=2e-5, momentum=0.1, affine=not labels)  # Chainer's figures, as the sources'
        self.labels = labels
        if labels:
            self.scale = nn.Parameter(torch.ones(labels, features))
            self.shift = nn.Parameter(torch.zeros(labels, features))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return x normalised, scaled and shifted by the condition y."""
        x = self.norm(x)
        if not self.labels:
            return x
        y = y.to(x)
        return x * (y @ self.scale)[:, :, None, None] + (y @ self.shift)[:, :, None, None]


class SqueezeExcite(nn.Module):
    """A gate on each channel, computed from the means of all channels. Hu et al. 2018, https://arxiv.org/abs/1709.01507"""

    def __init__(self, features: int, reduction: int) -> None:
        super().__init__()
        if reduction > features:
            raise ValueError(f"squeeze={reduction} of {features} channels leaves none")
        self.squeeze = nn.Linear(features, features // reduction)
        self.excite = nn.Linear(features // reduction, features)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H, W) with scaled channels."""
        scale = self.excite(self.squeeze(x.mean((2, 3))).relu()).sigmoid()
        return x * scale[:, :, None, None]


class Dropout(nn.Dropout):
    """Dropout whose mask is drawn for the global batch, of which each process takes its slice."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x with some numbers dropped."""
        if not self.training or self.p == 0 or distributed.world_size() == 1:
            return super().forward(x)
        mask = torch.empty((len(x) * distributed.world_size(), *x.shape[1:]), dtype=x.dtype, device=x.device)
        return x * distributed.shard(mask.bernoulli_(1 - self.p)) / (1 - self.p)


def to_channels_last(network: N) -> N:
    """Lay out the weights channels last, which is faster for 2-D convolutions, unless there are 3-D ones. Return the
    network."""
    if any(parameter.ndim == 5 for parameter in network.parameters()):
        return network
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    return network


def init_normal(module: nn.Module) -> None:
    """Draw weights from N(0, 0.02) and set biases to 0, as in DCGAN's paper. For `Module.apply`."""
    if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
