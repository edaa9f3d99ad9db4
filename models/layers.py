"""Layers that treat the batches of all processes as one."""

import torch
from torch import Tensor, nn

from models import ranks


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
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale.view(shape) + self.bias.view(shape)).to(x.dtype)


class Dropout(nn.Dropout):
    """Dropout whose mask is drawn for the global batch: each process takes its slice."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0 or ranks.world() == 1:
            return super().forward(x)
        kept = torch.empty((len(x) * ranks.world(), *x.shape[1:]), dtype=x.dtype, device=x.device)
        return x * ranks.share(kept.bernoulli_(1 - self.p)) / (1 - self.p)
