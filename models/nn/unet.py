"""U-Nets in two and three dimensions. Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597"""

import itertools

import torch
from torch import Tensor, nn


class UNet(nn.Module):
    """Maps (N, I, …) -> maps (N, O, …) of the same height and width, and in three dimensions length.

    The first level has full size, each further one of `widths` half of that in every dimension. Down: a convolution of
    4 with stride 2, and one of 3. Up: the nearest neighbour, beside what came down, and two convolutions of 3. All but
    the last are followed by instance normalisation and a leaky ReLU."""

    def __init__(self, dimensions: int, inputs: int, outputs: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self._conv = {2: nn.Conv2d, 3: nn.Conv3d}[dimensions]
        self._norm = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}[dimensions]
        steps = list(itertools.pairwise(widths))
        self.first = self._layer(inputs, widths[0])
        self.downs = nn.ModuleList(
            nn.Sequential(self._layer(wide, deep, down=True), self._layer(deep, deep)) for wide, deep in steps
        )
        self.up = nn.Upsample(scale_factor=2)
        self.ups = nn.ModuleList(
            nn.Sequential(self._layer(deep + wide, wide), self._layer(wide, wide)) for wide, deep in reversed(steps)
        )
        self.last = self._conv(widths[0], outputs, 1)

    def _layer(self, inputs: int, outputs: int, *, down: bool = False) -> nn.Module:
        kernel, stride = (4, 2) if down else (3, 1)
        conv = self._conv(inputs, outputs, kernel, stride, padding=1, bias=False)
        return nn.Sequential(conv, self._norm(outputs, affine=True), nn.LeakyReLU(0.2))

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps. Every size must be divisible by 2 to the number of levels less one."""
        x = self.first(x)
        before = []
        for down in self.downs:
            before.append(x)
            x = down(x)
        for up in self.ups:
            x = up(torch.cat([self.up(x), before.pop()], 1))
        output: Tensor = self.last(x)
        return output
