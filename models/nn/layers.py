"""Layers that treat the batches of all processes as one."""

import torch
from torch import Tensor, nn

from models import distributed as ranks


class BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation of (N, C) or (N, C, H, W), with statistics of the batches of all processes.

    torch's SyncBatchNorm is the same, but has no CPU form. Ioffe, Szegedy 2015, https://arxiv.org/abs/1502.03167"""

    def _check_input_dim(self, x: Tensor) -> None:
        if x.ndim not in (2, 4):
            raise ValueError(f"(N, C) or (N, C, H, W) expected, {tuple(x.shape)} found")

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or ranks.world() == 1:
            return super().forward(x)
        self._check_input_dim(x)
        axes = [0, *range(2, x.ndim)]
        shape = [1, -1] + [1] * (x.ndim - 2)
        exact = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
        mean = ranks.mean(exact.mean(axes))
        centred = exact - mean.view(shape)
        variance = ranks.mean(centred.square().mean(axes))
        count = x.numel() / x.shape[1] * ranks.world()
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
            self.num_batches_tracked += 1
        scale = (variance + self.eps).rsqrt()
        if not self.affine:
            return (centred * scale.view(shape)).to(x.dtype)
        return (centred * (self.weight * scale).view(shape) + self.bias.view(shape)).to(x.dtype)


class ConditionalBatchNorm(nn.Module):
    """Batch normalisation of (N, C, H, W) whose scale and shift are those of a condition (N, T), mixed if it is soft.

    With no `labels` it has a scale and a shift of its own, and the condition does not matter. Dumoulin et al. 2017,
    https://arxiv.org/abs/1610.07629"""

    def __init__(self, features: int, labels: int):
        super().__init__()
        self.norm = BatchNorm(features, eps=2e-5, momentum=0.1, affine=not labels)  # Chainer's figures, as the sources'
        self.labels = labels
        if labels:
            self.scale = nn.Parameter(torch.ones(labels, features))
            self.shift = nn.Parameter(torch.zeros(labels, features))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        x = self.norm(x)
        if not self.labels:
            return x
        y = y.to(x)
        return x * (y @ self.scale)[:, :, None, None] + (y @ self.shift)[:, :, None, None]


class SqueezeExcite(nn.Module):
    """Scales each channel by what all of them are on average. Hu et al. 2018, https://arxiv.org/abs/1709.01507"""

    def __init__(self, features: int, reduction: int):
        super().__init__()
        self.squeeze, self.excite = (
            nn.Linear(features, features // reduction),
            nn.Linear(features // reduction, features),
        )

    def forward(self, x: Tensor) -> Tensor:
        scale = self.excite(self.squeeze(x.mean((2, 3))).relu()).sigmoid()
        return x * scale[:, :, None, None]


class Dropout(nn.Dropout):
    """Dropout whose mask is drawn for the global batch: each process takes its slice."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0 or ranks.world() == 1:
            return super().forward(x)
        kept = torch.empty((len(x) * ranks.world(), *x.shape[1:]), dtype=x.dtype, device=x.device)
        return x * ranks.share(kept.bernoulli_(1 - self.p)) / (1 - self.p)


def normal(module: nn.Module) -> None:
    """Weights from N(0, 0.02), biases 0, as in DCGAN's paper. For `Module.apply`."""
    if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
