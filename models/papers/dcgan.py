"""DCGAN. Radford, Metz, Chintala: "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks", ICLR 2016, https://arxiv.org/abs/1511.06434; as two articles trained it on anime faces:

* `DCGAN96`: mattya, 2015, https://github.com/mattya/chainer-DCGAN. ELU, a softmax over {real, fake}, no tanh.
* `DCGAN128`: taku-buntu, 2018, https://github.com/taku-buntu/Killme_DCGAN, after Keras-GAN. Upsampling and 3×3
  convolutions, dropout, two half batches for D.

Pictures are in [-1, 1]. In shapes: N batch, Z latent, W width, S side.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.contracts import HeldOut
from models.nn.layers import BatchNorm, Dropout, init_normal
from models.nn.losses import binary_cross_entropy, softmax_cross_entropy
from models.papers.gan import GAN
from models.sampling.images import generate_images, grid
from models.training.update import Update, update

REAL, FAKE = 0, 1  # the classes of DCGAN96's softmax


# --- mattya's, 96 px


@dataclass(frozen=True)
class Config96:
    """The settings of DCGAN96. The defaults are the article's."""

    size: int = 96  # S, a multiple of 16
    widths: tuple[int, ...] = (512, 256, 128, 64)  # of G, coarse to fine; of D in reverse
    latent: int = 100  # Z
    unit_norm: bool = True  # G's first BN is over W·(S/16)² units, and layers have biases; the paper: W channels
    tanh: bool = False  # the article clips when it displays
    elu: bool = True  # in D; the paper has leaky ReLU
    classes: int = 2  # of D: 2 for a softmax, 1 for a sigmoid
    middle: float = 128.0  # the grey level that is 0
    hflip: bool = True
    batch_size: int = 100
    micro_batches: int = 1  # parts of a batch whose gradients are summed; each has batch statistics of its own
    learning_rate: float = 2e-4
    beta1: float = 0.5
    weight_decay: float = 1e-5
    augment: str = "none"  # of what D sees: none, or see nn.augment and nn.ada
    ada_pictures: int = 500_000  # real images in which ADA's probability may rise from 0 to 1
    average: float = 0.0  # decay of G's moving average, which is sampled; 0: G itself
    steps: int = 66_000  # the article's last picture: epoch 32 of 200,000 pictures
    sample_every: int = 1000  # steps
    save_every: int = 2000

    @property
    def pictures(self) -> int:
        """Return the number of real images in a step."""
        return self.batch_size


PRESETS96 = {
    "article": Config96(),
    "paper": Config96(
        size=64,
        widths=(1024, 512, 256, 128),
        unit_norm=False,
        tanh=True,
        elu=False,
        classes=1,
        middle=127.5,
        hflip=False,
        batch_size=128,
        weight_decay=0.0,
    ),
    "small": Config96(
        size=64,
        widths=(256, 128, 64, 32),
        batch_size=64,
        ada_pictures=50_000,
        average=0.999,
        steps=8_000,
        sample_every=500,
        save_every=500,
    ),
    "tiny": Config96(size=32, widths=(16, 16, 8, 8), latent=16, batch_size=8, steps=20, sample_every=10, save_every=10),
}


class UniformGenerator(nn.Module):
    """A generator from z of U(-1, 1)^Z."""

    latent: int
    middle: float

    def noise(self, count: int, rng: torch.Generator | None = None) -> Tensor:
        """Return z (count, Z) on the network's device, drawn from `rng` if one is given."""
        device = next(self.parameters()).device
        uniform = torch.rand(count, self.latent, generator=rng, device=rng.device if rng else device)
        return uniform.to(device) * 2 - 1


class Generator96(UniformGenerator):
    """z (N, Z) -> pictures (N, 3, S, S)."""

    def __init__(self, c: Config96) -> None:
        super().__init__()
        self.latent, self.middle = c.latent, c.middle
        side, first = c.size // 16, c.widths[0]
        units = first * side * side
        fold, norm = nn.Unflatten(1, (first, side, side)), BatchNorm(units if c.unit_norm else first)
        normed = (norm, fold) if c.unit_norm else (fold, norm)
        layers: list[nn.Module] = [
            nn.Linear(c.latent, units, bias=c.unit_norm),
            *normed,
            nn.ReLU(inplace=True),
        ]  # (N, W, S/16, S/16)
        for wide, narrow in itertools.pairwise(c.widths):
            up = nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1, bias=c.unit_norm)
            layers += [up, BatchNorm(narrow), nn.ReLU(inplace=True)]  # (N, W/2, S/8, S/8) and on
        layers.append(nn.ConvTranspose2d(c.widths[-1], 3, 4, stride=2, padding=1, bias=c.unit_norm))
        self.layers = nn.Sequential(*layers, *[nn.Tanh()] * c.tanh)
        self.apply(init_normal)

    def forward(self, z: Tensor) -> Tensor:
        """Return images."""
        images: Tensor = self.layers(z)
        return images


class Discriminator96(nn.Sequential):
    """Pictures (N, 3, S, S) -> logits (N, classes)."""

    def __init__(self, c: Config96) -> None:
        widths = c.widths[::-1]
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, stride=2, padding=1, bias=c.unit_norm), _activation(c)]
        for narrow, wide in itertools.pairwise(widths):
            down = nn.Conv2d(narrow, wide, 4, stride=2, padding=1, bias=c.unit_norm)
            layers += [down, BatchNorm(wide), _activation(c)]  # (N, 2W, S/4, S/4) and on
        super().__init__(*layers, nn.Flatten(), nn.Linear(widths[-1] * (c.size // 16) ** 2, c.classes))
        self.apply(init_normal)


def _activation(c: Config96) -> nn.Module:
    return nn.ELU(inplace=True) if c.elu else nn.LeakyReLU(0.2, inplace=True)


class DCGAN96(GAN):
    """mattya's training: one fake batch, both losses before either update."""

    def __init__(self, config: Config96, device: torch.device, held_out: Mapping[str, HeldOut]) -> None:
        adam = {"lr": config.learning_rate, "betas": (config.beta1, 0.999), "weight_decay": config.weight_decay}
        super().__init__(config, Generator96(config), Discriminator96(config), device, held_out, **adam)

    def step(self, batch: dict[str, Tensor], i: int) -> dict[str, Tensor]:
        """Return the losses of G and D."""
        update_g, update_d = Update([self.opt_g]), Update([self.opt_d])
        for real, z in zip(self.real(batch["picture"]), self.noise(self.config.batch_size), strict=True):
            on_fake = self.d(self.augment(self.g(z)))
            on_real = self.d(self.augment(real))  # a pass of its own: batch statistics do not mix
            loss_g = self.loss(on_fake, real=True)
            loss_d = self.loss(on_fake, real=False) + self.loss(on_real, real=True)
            self.observe(on_real[:, REAL] - on_real[:, FAKE] if self.config.classes == 2 else on_real.flatten())
            update_g.add(loss_g, keep_graph=True)
            update_d.add(loss_d)
        losses = {"g": update_g.apply(), "d": update_d.apply()}
        self.average.update(self.g, i)
        return losses

    def loss(self, logits: Tensor, *, real: bool) -> Tensor:
        """Return the cross-entropy of logits (N, classes) with the target real or fake."""
        if self.config.classes == 1:
            return binary_cross_entropy(logits.flatten(), float(real))
        return softmax_cross_entropy(logits, REAL if real else FAKE)


# --- taku-buntu's, 128 px


@dataclass(frozen=True)
class Config128:
    """The settings of DCGAN128. The defaults are the article's."""

    size: int = 128  # S, a multiple of 4
    widths: tuple[int, int] = (128, 64)  # of G
    d_widths: tuple[int, int, int, int] = (32, 64, 128, 256)
    latent: int = 100  # Z
    dropout: float = 0.25  # in D
    momentum: float = 0.2  # of batch statistics: Keras's 0.8, as torch counts
    eps: float = 1e-3  # of batch normalisation: Keras's
    glorot: bool = True  # Keras's initial weights; the paper has N(0, 0.02)
    hflip: bool = False  # hair is not symmetrical
    batch_size: int = 32
    micro_batches: int = 1
    learning_rate: float = 2e-4
    beta1: float = 0.5
    augment: str = "none"
    ada_pictures: int = 500_000
    average: float = 0.0
    steps: int = 200_000
    sample_every: int = 1000  # steps
    save_every: int = 5000

    @property
    def pictures(self) -> int:
        """Return the number of real images in a step: half a batch."""
        return self.batch_size // 2


PRESETS128 = {
    "article": Config128(),
    "paper": replace(Config128(), batch_size=128, glorot=False),
    "small": Config128(
        size=64, widths=(64, 32), ada_pictures=50_000, average=0.999, steps=8_000, sample_every=500, save_every=500
    ),
    "tiny": Config128(
        size=32, widths=(8, 8), d_widths=(8, 8, 8, 8), latent=16, batch_size=8, steps=20, sample_every=10, save_every=10
    ),
}


class Generator128(UniformGenerator):
    """z (N, Z) -> pictures (N, 3, S, S). Convolution, activation, normalisation, in that order."""

    middle = 127.5

    def __init__(self, c: Config128) -> None:
        super().__init__()
        self.latent = c.latent
        side, (wide, narrow) = c.size // 4, c.widths
        norm: dict[str, Any] = {"momentum": c.momentum, "eps": c.eps}
        self.layers = nn.Sequential(
            nn.Linear(c.latent, wide * side * side),
            nn.ReLU(inplace=True),
            nn.Unflatten(1, (wide, side, side)),  # (N, W, S/4, S/4)
            BatchNorm(wide, **norm),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(wide, wide, 3, padding=1),
            nn.ReLU(inplace=True),  # (N, W, S/2, S/2)
            BatchNorm(wide, **norm),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(wide, narrow, 3, padding=1),
            nn.ReLU(inplace=True),  # (N, W/2, S, S)
            BatchNorm(narrow, **norm),
            nn.Conv2d(narrow, 3, 3, padding=1),
            nn.Tanh(),
        )
        self.apply(_glorot if c.glorot else init_normal)

    def forward(self, z: Tensor) -> Tensor:
        """Return images."""
        images: Tensor = self.layers(z)
        return images


class Discriminator128(nn.Sequential):
    """Pictures (N, 3, S, S) -> logits (N,). Convolution, activation, dropout, normalisation, in that order.

    Keras pads an even side right and below only where the stride is 2; the second layer's output once more."""

    def __init__(self, c: Config128) -> None:
        w1, w2, w3, w4 = c.d_widths
        norm: dict[str, Any] = {"momentum": c.momentum, "eps": c.eps}
        side = (c.size // 4 + 2) // 2  # of 128: 64, 33, 17, 17

        def activation() -> tuple[nn.Module, nn.Module]:
            return nn.LeakyReLU(0.2, inplace=True), Dropout(c.dropout)

        super().__init__(
            _pad_right_and_below(),
            nn.Conv2d(3, w1, 3, stride=2),
            *activation(),  # (N, W, 64, 64)
            _pad_right_and_below(),
            nn.Conv2d(w1, w2, 3, stride=2),
            _pad_right_and_below(),  # (N, 2W, 33, 33)
            *activation(),
            BatchNorm(w2, **norm),
            nn.Conv2d(w2, w3, 3, stride=2, padding=1),
            *activation(),
            BatchNorm(w3, **norm),  # (N, 4W, 17, 17)
            nn.Conv2d(w3, w4, 3, padding=1),
            *activation(),  # (N, 8W, 17, 17)
            nn.Flatten(),
            nn.Linear(w4 * side * side, 1),
            nn.Flatten(0),
        )
        self.apply(_glorot if c.glorot else init_normal)


def _pad_right_and_below() -> nn.Module:
    return nn.ZeroPad2d((0, 1, 0, 1))


def _glorot(module: nn.Module) -> None:
    """Set Keras's initial weights. For `Module.apply`."""
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class DCGAN128(GAN):
    """Keras-GAN's training: D on half a batch of real pictures, D on half a batch of fakes, G on a whole one."""

    def __init__(self, config: Config128, device: torch.device, held_out: Mapping[str, HeldOut]) -> None:
        adam = {"lr": config.learning_rate, "betas": (config.beta1, 0.999)}
        super().__init__(config, Generator128(config), Discriminator128(config), device, held_out, **adam)

    def step(self, batch: dict[str, Tensor], i: int) -> dict[str, Tensor]:
        """Return the losses of G, and of D on real images and on fakes."""
        count = self.config.batch_size
        # Two updates, so that batch statistics of real and fake do not mix.
        on_real = update([self.opt_d], (self.loss_on_real(real) for real in self.real(batch["picture"])))
        on_fake = update(
            [self.opt_d], (binary_cross_entropy(self.d(self.augment(fake)), 0) for fake in self.fakes(count // 2))
        )
        loss_g = update(
            [self.opt_g], (binary_cross_entropy(self.d(self.augment(self.g(z))), 1) for z in self.noise(count))
        )
        self.average.update(self.g, i)
        return {"g": loss_g, "d_real": on_real, "d_fake": on_fake}

    def loss_on_real(self, real: Tensor) -> Tensor:
        """Return D's loss on real images (N, 3, S, S)."""
        logits = self.d(self.augment(real))
        self.observe(logits)
        return binary_cross_entropy(logits, 1)

    def fakes(self, count: int) -> Iterator[Tensor]:
        """Yield micro-batches of G's images, without their graph, by its running batch statistics, which stay: Keras's
        `predict`."""
        for z in self.noise(count):
            with torch.no_grad():
                self.g.eval()
                fake = self.g(z)
                self.g.train()
            yield fake

    def sheet(self, i: int) -> np.ndarray:
        """Return (H, W, 3) uint8: 50 samples, and below them the article's latent walk: ten steps from
        the first sample to the second."""
        start, end = self.sheet_inputs(2)[0]
        walk = torch.stack([torch.lerp(start, end, t) for t in torch.linspace(0, 1, 10, device=start.device)])
        pictures = generate_images(self.average.network, torch.cat([self.sheet_inputs(50)[0], walk]))
        return grid(pictures, columns=10)
