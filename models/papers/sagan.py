"""SAGAN: a GAN in which every place of a map can look at every other one.

Zhang, Goodfellow, Metaxas, Odena: "Self-Attention Generative Adversarial Networks", ICML 2019,
https://arxiv.org/abs/1805.08318; as the author of an article on U-GAT-IT trained it to draw icons,
https://github.com/zassou65535/image_generator: DCGAN's layers without classes, spectral normalisation in both
networks, and two attentions in each. The preset `paper` has these layers, too, with the paper's attention and numbers;
the paper's own are residual blocks for ImageNet's classes.

Pictures are in [-1, 1]. In shapes: N batch, Z latent, C channels, S side.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from models.contracts import HeldOut
from models.nn.layers import BatchNorm, init_normal
from models.nn.losses import hinge_d_fake, hinge_d_real, hinge_g
from models.papers.gan import GAN, NormalGenerator
from models.training.update import set_learning_rate, update

REDUCTION = 8  # channels of a map, for each one of a query
MAX_ATTENTION_SIDE = 64  # px: each place is compared with every other one


@dataclass(frozen=True)
class Config:
    """The settings of SAGAN. The defaults are the article's."""

    size: int = 64  # S, 4 · 2 to the number of widths
    widths: tuple[int, ...] = (512, 256, 128, 64)  # of G's maps of 4 px, 8 px and on; of D in reverse
    attention: tuple[int, ...] = (16, 32)  # sides of the maps of G that have it, px
    d_attention: tuple[int, ...] = (8, 4)
    narrow_values: bool = False  # values have as few channels as queries; a convolution widens what they are mixed to
    latent: int = 20  # Z
    spectral: bool = True  # normalise the weights of both networks
    spectral_all: bool = False  # those of each network's last layer and of attention, too
    hflip: bool = False
    batch_size: int = 5
    micro_batches: int = 1
    learning_rate: float = 1e-4  # of G
    d_learning_rate: float = 4e-4
    beta1: float = 0.0
    beta2: float = 0.9
    augment: str = "none"  # of what D sees, see nn.augment
    ada_pictures: int = 500_000  # real images in which ADA's probability may rise from 0 to 1
    average: float = 0.0  # decay of G's moving average, which is sampled; 0: G itself
    steps: int = 384_000  # 3,000 epochs of about 640 icons
    sample_every: int = 1000  # steps
    save_every: int = 2000

    def __post_init__(self) -> None:
        """Raise ValueError if the layers do not make pictures of this size, or have no maps of an attention's."""
        sides = [4 * 2**level for level in range(len(self.widths))]
        if self.size != 2 * sides[-1]:
            raise ValueError(f"size: {2 * sides[-1]} expected with {len(sides)} widths, {self.size} found")
        for name, found in (("attention", self.attention), ("d_attention", self.d_attention)):
            if wrong := set(found) - {side for side in sides if side <= MAX_ATTENTION_SIDE}:
                expected = f"sides of maps, 4 8 … {min(sides[-1], MAX_ATTENTION_SIDE)} px"
                raise ValueError(f"{name}: {expected} expected, {min(wrong)} found")

    @property
    def pictures(self) -> int:
        """Return the number of real images in a step."""
        return self.batch_size


PRESETS = {
    "article": Config(),
    "paper": Config(
        attention=(32,),
        d_attention=(32,),
        narrow_values=True,
        latent=128,
        spectral_all=True,
        batch_size=256,
        steps=1_000_000,
    ),
    "small": Config(
        widths=(256, 128, 64, 32),
        attention=(16,),
        d_attention=(16,),
        latent=128,
        hflip=True,
        batch_size=32,
        learning_rate=2e-4,
        ada_pictures=50_000,
        average=0.999,
        steps=8_000,
        sample_every=500,
        save_every=500,
    ),
    "tiny": Config(
        size=32,
        widths=(16, 16, 8),
        attention=(8, 16),
        d_attention=(8, 4),
        latent=16,
        batch_size=8,
        steps=20,
        sample_every=10,
        save_every=10,
    ),
}


class SelfAttention(nn.Module):
    """Maps x (N, C, H, W) -> x + γ · o, where o is at each place a mean of values of all places, by how much their keys
    are like its query: eq. 1 to 3 of the paper. γ is 0 at first."""

    def __init__(self, features: int, *, narrow_values: bool = False) -> None:
        super().__init__()
        narrow = max(1, features // REDUCTION)
        self.query, self.key = nn.Conv2d(features, narrow, 1), nn.Conv2d(features, narrow, 1)
        self.value = nn.Conv2d(features, narrow if narrow_values else features, 1)
        self.widen = nn.Conv2d(narrow, features, 1) if narrow_values else nn.Identity()
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of the same shape."""
        query, key, value = (conv(x).flatten(2).mT for conv in (self.query, self.key, self.value))  # (N, H·W, ·)
        mixed = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        return x + self.gamma * self.widen(mixed.mT.unflatten(2, x.shape[2:]))


class Generator(NormalGenerator):
    """z (N, Z) -> pictures (N, 3, S, S)."""

    def __init__(self, c: Config) -> None:
        super().__init__(c.latent)
        layers: list[nn.Module] = [nn.Unflatten(1, (c.latent, 1, 1)), nn.ConvTranspose2d(c.latent, c.widths[0], 4)]
        for level, (wide, narrow) in enumerate(itertools.pairwise((*c.widths, 3))):
            layers += [BatchNorm(wide), nn.ReLU(inplace=True), *_attention(c, wide, 4 * 2**level, c.attention)]
            layers.append(nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1))
        self.layers = nn.Sequential(*layers, nn.Tanh())
        _initialize(self.layers, c)

    def forward(self, z: Tensor) -> Tensor:
        """Return images."""
        images: Tensor = self.layers(z)
        return images


class Discriminator(nn.Sequential):
    """Pictures (N, 3, S, S) -> logits (N,)."""

    def __init__(self, c: Config) -> None:
        layers: list[nn.Module] = []
        for level, (narrow, wide) in enumerate(itertools.pairwise((3, *c.widths[::-1]))):
            layers += [nn.Conv2d(narrow, wide, 4, stride=2, padding=1), nn.LeakyReLU(0.1, inplace=True)]
            layers += _attention(c, wide, c.size // 2 ** (level + 1), c.d_attention)
        super().__init__(*layers, nn.Conv2d(c.widths[0], 1, 4), nn.Flatten(0))
        _initialize(self, c)


def _attention(c: Config, features: int, side: int, sides: tuple[int, ...]) -> Iterator[nn.Module]:
    """Yield the attention of maps of this side, if they have one."""
    if side in sides:
        yield SelfAttention(features, narrow_values=c.narrow_values)


def _initialize(network: nn.Sequential, c: Config) -> None:
    """Draw the first weights, and normalise those that the settings name."""
    network.apply(init_normal)
    for layer in network.modules():
        if isinstance(layer, BatchNorm):
            nn.init.normal_(layer.weight, 1, 0.02)
    own = [layer for layer in network if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))]
    every = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))]
    for layer in (every if c.spectral_all else own[:-1]) if c.spectral else []:
        spectral_norm(layer)


class SAGAN(GAN):
    """The hinge loss: an update of D, then one of G, each with new fakes, and with a learning rate of its own."""

    def __init__(self, config: Config, device: torch.device, held_out: Mapping[str, HeldOut]) -> None:
        adam: dict[str, Any] = {"lr": config.learning_rate, "betas": (config.beta1, config.beta2)}
        super().__init__(config, Generator(config), Discriminator(config), device, held_out, **adam)
        set_learning_rate([self.opt_d], config.d_learning_rate)

    def step(self, batch: dict[str, Tensor], i: int) -> dict[str, Tensor]:
        """Return the losses of G and D."""
        count = self.config.batch_size
        pairs = zip(self.real(batch["picture"]), self.noise(count), strict=True)
        loss_d = update([self.opt_d], (self.loss_d(x, z) for x, z in pairs))
        loss_g = update([self.opt_g], (hinge_g(self.d(self.augment(self.g(z)))) for z in self.noise(count)))
        self.average.update(self.g, i)
        return {"g": loss_g, "d": loss_d}

    def loss_d(self, x: Tensor, z: Tensor) -> Tensor:
        """Return D's loss on real images (N, 3, S, S), and on fakes of z (N, Z)."""
        with torch.no_grad():
            fake = self.augment(self.g(z))
        on_real = self.d(self.augment(x))
        self.observe(on_real)
        return hinge_d_real(on_real) + hinge_d_fake(self.d(fake))
