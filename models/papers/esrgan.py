"""Pictures four times as large, by residual dense blocks and a relativistic discriminator. Wang et al.: "ESRGAN:
Enhanced Super-Resolution Generative Adversarial Networks", ECCV-W 2018, https://arxiv.org/abs/1809.00219.

`article`: as an article trained it on illustrations: 15 blocks, the perceptual loss on five layers of VGG16 before the
ReLU. It does not say how long it trained, but that it collapsed after 60,000 steps. `official`: the authors' code, with
VGG16's conv5_3 in place of VGG19's conv5_4, whose weights are not to be had here. `paper` differs in the schedule of
phase 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.contracts import HeldOutCrops
from models.papers import super_resolution
from models.papers.super_resolution import (
    COMPACT,
    OFFICIAL,
    SMALL,
    TINY,
    Compact,
    SuperResolution,
    Upscaler,
    VGGDiscriminator,
)

RESIDUAL_SCALE = 0.2  # of what a dense block, and a block of three, add to their input
INITIAL_SCALE = 0.1  # of the initial weights in dense blocks


@dataclass(frozen=True)
class Config(super_resolution.Config):
    """The settings of ESRGAN. The defaults are the article's."""

    network: Literal["rrdb", "compact"] = "rrdb"
    activation: Literal["before", "after"] = "before"
    distance: Literal["l1", "l2"] = "l1"
    l1_weight: float = 0.1
    adversarial_weight: float = 5e-3
    relativistic: bool = True
    pretrain_loss: Literal["perceptual", "l1", "mse"] = "l1"


_OFFICIAL = Config(**OFFICIAL | {"blocks": 23})
PRESETS = {
    "article": Config(),
    "official": _OFFICIAL,
    "paper": replace(_OFFICIAL, pretrain_schedule="halving", pretrain_period=200_000, beta2=0.999, average=0.0),
    "compact": Config(**COMPACT),
    "small": Config(**SMALL | {"network": "rrdb", "blocks": 2}),
    "tiny": Config(**TINY),
}


class DenseBlock(nn.Module):
    """Five convolutions (N, C, H, W), each of all maps before it; C / 2 maps more by each of the first four."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        growth = channels // 2
        inputs = [channels + k * growth for k in range(5)]
        outputs = [growth] * 4 + [channels]
        self.convs = nn.ModuleList(nn.Conv2d(*pair, 3, padding=1) for pair in zip(inputs, outputs, strict=True))
        self.convs.apply(_init_small)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map."""
        maps = [x]
        *convs, last = self.convs
        for conv in convs:
            maps.append(_activation(conv(torch.cat(maps, 1))))
        return x + RESIDUAL_SCALE * last(torch.cat(maps, 1))


class RRDB(nn.Module):
    """A residual block of three residual dense blocks, (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(DenseBlock(channels) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the map."""
        inner: Tensor = self.blocks(x)
        return x + RESIDUAL_SCALE * inner


class RRDBNet(Upscaler):
    """The paper's generator."""

    def __init__(self, c: Config) -> None:
        super().__init__(c)
        width = c.width

        def conv(inputs: int, outputs: int) -> nn.Module:
            return nn.Conv2d(inputs, outputs, 3, padding=1)

        self.first = conv(3, width)
        self.body = nn.Sequential(*(RRDB(width) for _ in range(c.blocks)), conv(width, width))
        self.ups = nn.ModuleList(conv(width, width) for _ in range(2))
        self.inner, self.last = conv(width, width), conv(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return the large pictures."""
        x = self.first(x)
        x = x + self.body(x)
        for up in self.ups:
            x = _activation(up(F.interpolate(x, scale_factor=2.0)))
        enlarged: Tensor = self.last(_activation(self.inner(x)))
        return enlarged


def _init_small(module: nn.Module) -> None:
    """Draw He's weights times INITIAL_SCALE, and set biases to 0. For `Module.apply`."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight).data.mul_(INITIAL_SCALE)
        assert module.bias is not None
        nn.init.zeros_(module.bias)


def _activation(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2, inplace=True)


def generator(c: Config) -> nn.Module:
    """Return the generator that the Config names."""
    return Compact(c) if c.network == "compact" else RRDBNet(c)


class ESRGAN(SuperResolution):
    """The training."""

    def __init__(
        self, config: Config, device: torch.device, held_out: Mapping[str, HeldOutCrops], vgg16: Path | None = None
    ) -> None:
        super().__init__(config, generator(config), VGGDiscriminator(config), device, held_out, vgg16)
