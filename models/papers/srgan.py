"""Pictures four times as large, by a residual network and a discriminator. Ledig et al.: "Photo-Realistic Single Image
Super-Resolution Using a Generative Adversarial Network", CVPR 2017, https://arxiv.org/abs/1609.04802.

`article`: as an article trained it on illustrations: pre-trained by the perceptual loss on five layers of VGG16. It
describes no discriminator, nor how long it trained: both are as in ESRGAN. `paper`: the paper's, with VGG16's conv5_3
in place of VGG19's conv5_4, whose weights are not to be had here. `official`: the schedule that ESRGAN's authors have
for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from models.contracts import HeldOutCrops
from models.nn.layers import BatchNorm
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

DOWNS = 16  # S by the side of the paper's discriminator's last map
DENSE = 1024  # units of its dense layer


@dataclass(frozen=True)
class Config(super_resolution.Config):
    """The settings of SRGAN. The defaults are the article's."""

    network: Literal["srresnet", "compact"] = "srresnet"
    discriminator: Literal["paper", "vgg"] = "vgg"


PRESETS = {
    "article": Config(),
    "official": Config(
        **OFFICIAL
        | {"blocks": 16, "activation": "before", "distance": "l1", "adversarial_weight": 5e-3, "pretrain_loss": "l1"}
    ),
    "paper": Config(
        size=96,
        blocks=16,
        discriminator="paper",
        layers=(5,),
        perceptual_weight=0.006,
        pretrain_loss="mse",
        pretrain_steps=1_000_000,
        pretrain_rate=1e-4,
        learning_rate=1e-4,
        milestones=(100_000,),
        decay=0.1,
        beta1=0.9,
        collapse_every=5000,
        batch_size=16,
        steps=1_200_000,
        sample_every=5000,
        save_every=10_000,
    ),
    "compact": Config(**COMPACT),
    "small": Config(**SMALL | {"network": "srresnet", "blocks": 4}),
    "tiny": Config(**TINY),
}


class Block(nn.Module):
    """A residual block of (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            BatchNorm(channels),
            nn.PReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            BatchNorm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the map."""
        inner: Tensor = self.layers(x)
        return x + inner


class SRResNet(Upscaler):
    """The paper's generator. It ends in [-1, 1], which is returned as 0..1."""

    def __init__(self, c: Config) -> None:
        super().__init__(c)
        width = c.width
        self.first = nn.Sequential(nn.Conv2d(3, width, 9, padding=4), nn.PReLU())
        self.body = nn.Sequential(
            *(Block(width) for _ in range(c.blocks)), nn.Conv2d(width, width, 3, padding=1), BatchNorm(width)
        )
        ups = [
            layer
            for _ in range(2)
            for layer in (nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.PReLU())
        ]
        self.last = nn.Sequential(*ups, nn.Conv2d(width, 3, 9, padding=4), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        """Return the large pictures."""
        x = self.first(x)
        enlarged: Tensor = self.last(x + self.body(x))
        return (enlarged + 1) / 2


class PaperDiscriminator(nn.Module):
    """The paper's discriminator: pictures (N, 3, S, S) -> logits (N,). Its dense layer grows with S²."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        if c.size % DOWNS:
            raise ValueError(f"size: a multiple of {DOWNS} expected, {c.size} found")
        width, layers = 3, list[nn.Module]()
        for number, factor in enumerate((1, 1, 2, 2, 4, 4, 8, 8)):
            wide = factor * c.d_width
            norm = [BatchNorm(wide)] if number else []
            layers += [nn.Conv2d(width, wide, 3, 1 + number % 2, 1), *norm, nn.LeakyReLU(0.2, inplace=True)]
            width = wide
        dense = nn.Linear(width * (c.size // DOWNS) ** 2, DENSE)
        self.layers = nn.Sequential(*layers, nn.Flatten(), dense, nn.LeakyReLU(0.2, inplace=True), nn.Linear(DENSE, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.layers(2 * x - 1).squeeze(1)
        return logits


def generator(c: Config) -> nn.Module:
    """Return the generator that the Config names."""
    return Compact(c) if c.network == "compact" else SRResNet(c)


def discriminator(c: Config) -> nn.Module:
    """Return the discriminator that the Config names."""
    return PaperDiscriminator(c) if c.discriminator == "paper" else VGGDiscriminator(c)


class SRGAN(SuperResolution):
    """The training."""

    def __init__(
        self, config: Config, device: torch.device, held_out: Mapping[str, HeldOutCrops], vgg16: Path | None = None
    ) -> None:
        super().__init__(config, generator(config), discriminator(config), device, held_out, vgg16)
