"""U-Nets in two and three dimensions. Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.nn.layers import InstanceNorm


class Layer(nn.Module):
    """A convolution, instance normalisation and a leaky ReLU.

    A condition (N, C) scales and shifts each map after its normalisation, which would take a constant input away: Perez
    et al.: "FiLM: Visual Reasoning with a General Conditioning Layer", AAAI 2018."""

    def __init__(self, dimensions: int, inputs: int, outputs: int, conditions: int, *, down: bool = False) -> None:
        super().__init__()
        conv = {2: nn.Conv2d, 3: nn.Conv3d}[dimensions]
        kernel, stride = (4, 2) if down else (3, 1)
        self.conv = conv(inputs, outputs, kernel, stride, padding=1, bias=False)
        self.norm = InstanceNorm(outputs)
        self.modulation = nn.Linear(conditions, 2 * outputs) if conditions else None
        if self.modulation is not None:
            nn.init.zeros_(self.modulation.weight)
            nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Return maps (N, O, …)."""
        x = self.norm(self.conv(x))
        if self.modulation is not None:
            changes = self.modulation(condition).unflatten(1, (2, -1))  # (N, 2, O)
            scale, shift = changes.view(*changes.shape, *(1,) * (x.dim() - 2)).unbind(1)
            x = x * (1 + scale) + shift
        return F.leaky_relu(x, 0.2)


class Pair(nn.Module):
    """Two layers, of which the first may halve the size."""

    def __init__(self, dimensions: int, inputs: int, outputs: int, conditions: int, *, down: bool = False) -> None:
        super().__init__()
        self.first = Layer(dimensions, inputs, outputs, conditions, down=down)
        self.second = Layer(dimensions, outputs, outputs, conditions)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Return maps (N, O, …)."""
        maps: Tensor = self.second(self.first(x, condition), condition)
        return maps


class UNet(nn.Module):
    """Maps (N, I, …), and a condition (N, C) if it has `conditions`, -> maps (N, O, …) of the same height and width,
    and in three dimensions length.

    The first level has full size, each further one of `widths` half of that in every dimension. Down: a convolution of
    4 with stride 2, and one of 3. Up: the nearest neighbour, beside what came down, and two convolutions of 3. All but
    the last are followed by instance normalisation and a leaky ReLU."""

    def __init__(
        self, dimensions: int, inputs: int, outputs: int, widths: tuple[int, ...], conditions: int = 0
    ) -> None:
        super().__init__()
        steps = list(itertools.pairwise(widths))
        self.first = Layer(dimensions, inputs, widths[0], conditions)
        self.downs = nn.ModuleList(Pair(dimensions, wide, deep, conditions, down=True) for wide, deep in steps)
        self.up = nn.Upsample(scale_factor=2)
        self.ups = nn.ModuleList(Pair(dimensions, deep + wide, wide, conditions) for wide, deep in reversed(steps))
        self.last = {2: nn.Conv2d, 3: nn.Conv3d}[dimensions](widths[0], outputs, 1)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the maps. Every size must be divisible by 2 to the number of levels less one."""
        x = self.first(x, condition)
        before = []
        for down in self.downs:
            before.append(x)
            x = down(x, condition)
        for up in self.ups:
            x = up(torch.cat([self.up(x), before.pop()], 1), condition)
        output: Tensor = self.last(x)
        return output
