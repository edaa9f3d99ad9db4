"""The SRResNet pair of networks that two papers' files share.

Jin et al., "Towards the Automatic Anime Characters Creation with GANs", 2017, https://arxiv.org/abs/1708.05509.

Pictures are in [-1, 1]. In shapes: N batch, Z latent, T labels, W width, S side.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from models.nn.layers import ConditionalBatchNorm, SqueezeExcite, init_normal
from models.papers.conditional import ConditionalConfig, ConditionalGenerator


@dataclass(frozen=True)
class SRResNetConfig(ConditionalConfig):
    """The sizes of the networks. The author uses half of the paper's discriminator widths."""

    width: int = 64  # W, of G
    blocks: int = 16
    d_width: int = 16  # of D's first layer; the paper has 32
    upsample: Literal["shuffle", "nearest"] = (
        "shuffle"  # of G: shuffle: PixelShuffle, as the paper; nearest: no grain of period two
    )
    downsample: Literal["stride", "pool"] = (
        "stride"  # of D: stride: 4 × 4 convolutions, as the paper; pool: means, of activations
    )


SMALL: dict[str, Any] = {
    "size": 64,
    "width": 32,
    "blocks": 8,
    "d_width": 8,
    "batch_size": 16,
    "ada_pictures": 50_000,
    "average": 0.999,
    "steps": 5_000,
    "sample_every": 500,
    "save_every": 500,
}
TINY: dict[str, Any] = {
    "size": 64,
    "width": 8,
    "blocks": 2,
    "d_width": 4,
    "latent": 16,
    "batch_size": 8,
    "steps": 20,
    "sample_every": 10,
    "save_every": 10,
}


MAX_BLOCKS = 1000  # of a run's file from outside: even without their weights a billion would fill the memory

UPSAMPLINGS: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module], int]] = {
    "shuffle": (nn.Identity, lambda: nn.PixelShuffle(2), 4),
    "nearest": (lambda: nn.Upsample(scale_factor=2), nn.Identity, 1),
}
"""By `upsample`: the layers before and after a convolution that doubles the side, and its output per input feature."""

DOWNSAMPLINGS: dict[str, Callable[[int, int], list[nn.Module]]] = {
    "stride": lambda before, after: [nn.Conv2d(before, after, 4, stride=2, padding=1), _leaky()],
    "pool": lambda before, after: [nn.Conv2d(before, after, 3, padding=1), _leaky(), nn.AvgPool2d(2)],
}
"""By `downsample`: the layers that halve the side, for numbers of features before and after. A pattern of period two
passes an activation before the mean; a convolution with stride need not see it."""


class SRResNetGenerator(ConditionalGenerator):
    """z (N, Z), y (N, T) -> pictures (N, 3, S, S)."""

    def __init__(self, c: SRResNetConfig) -> None:
        super().__init__(c)
        width, side = c.width, c.size // 8
        if c.blocks > MAX_BLOCKS:
            raise ValueError(f"blocks: {MAX_BLOCKS} or fewer expected, {c.blocks} found")

        def norm(features: int = width) -> nn.Module:
            return ConditionalBatchNorm(features, self.conditions)

        self.first = nn.Linear(self.first_units, width * side * side)  # (N, W, S/8, S/8)
        self.shape = nn.Unflatten(1, (width, side, side))
        self.first_norm = norm()
        self.blocks = nn.ModuleList(_SRBlock(width, self.conditions, c.squeeze) for _ in range(c.blocks))
        self.last_norm = norm()
        if c.upsample not in UPSAMPLINGS:
            raise ValueError(f"upsample: {' or '.join(UPSAMPLINGS)} expected, {c.upsample} found")
        before, after, features = UPSAMPLINGS[c.upsample]
        self.before, self.after = before(), after()
        self.ups = nn.ModuleList(nn.Conv2d(width, features * width, 3, padding=1) for _ in range(3))
        self.up_norms = nn.ModuleList(norm() for _ in range(3))
        self.paint = nn.Conv2d(width, 3, 9, padding=4)
        self.apply(init_normal)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """Return images."""
        first = x = self.first_norm(self.shape(self.first(self.first_input(z, y))), y).relu()
        for block in self.blocks:
            x = block(x, y)
        x = self.last_norm(x, y).relu() + first
        for up, norm in zip(self.ups, self.up_norms, strict=True):  # S/4, S/2, S
            x = norm(self.after(up(self.before(x))), y).relu()
        return self.paint(x).tanh()


class _SRBlock(nn.Module):
    def __init__(self, width: int, conditions: int, squeeze: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.norm1, self.norm2 = (ConditionalBatchNorm(width, conditions) for _ in range(2))
        self.excite = SqueezeExcite(width, squeeze) if squeeze else nn.Identity()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        inner = self.norm1(self.conv1(x), y).relu()
        return x + self.excite(self.norm2(self.conv2(inner), y))


class SRResNetFeatures(nn.Sequential):
    """Pictures (N, 3, S, S) -> maps (N, 32 W, S/64, S/64). No normalisation: the penalty is of each sample alone.

    The paper does not give its initial weights. With N(0, 0.02) activations shrink by a factor of 10,000 through
    the layers, so D could not learn at first. He's are used, and each of the ten residual blocks adds a tenth of the
    variance."""

    def __init__(self, c: SRResNetConfig) -> None:
        if c.downsample not in DOWNSAMPLINGS:
            raise ValueError(f"downsample: {' or '.join(DOWNSAMPLINGS)} expected, {c.downsample} found")
        down, width = DOWNSAMPLINGS[c.downsample], c.d_width
        layers = down(3, width)
        for features in (width * 2**level for level in range(5)):  # (W, S/2) … (16 W, S/32)
            layers += [_LeakyBlock(features), _LeakyBlock(features), *down(features, 2 * features)]
        super().__init__(*layers)
        self.features = 32 * width
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, 0.2)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        with torch.no_grad():
            for block in (layer for layer in self if isinstance(layer, _LeakyBlock)):
                block.conv2.weight.div_(math.sqrt(10))


class _LeakyBlock(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(features, features, 3, padding=1) for _ in range(2))
        self.leaky = _leaky()

    def forward(self, x: Tensor) -> Tensor:
        return self.leaky(x + self.conv2(self.leaky(self.conv1(x))))


def _leaky() -> nn.Module:
    return nn.LeakyReLU(0.2)
