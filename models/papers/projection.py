"""Faces of a requested hair colour: a GAN with a projection discriminator.

Miyato, Koyama: "cGANs with Projection Discriminator", ICLR 2018, https://arxiv.org/abs/1802.05637; as an article
trained it on faces of nine hair colours, with two pairs of networks:

* `SRResNetCGAN`: Jin et al., "Towards the Automatic Anime Characters Creation with GANs", 2017,
  https://arxiv.org/abs/1708.05509, without its heads for tags.
* `ResBlockCGAN`: the residual blocks of the projection paper, with spectral normalisation: Miyato et al., ICLR 2018,
  https://arxiv.org/abs/1802.05957.

Both: hinge loss, DRAGAN's penalty, D twice and then G. Pictures are in [-1, 1]. In shapes: N batch, Z latent, T labels,
W width, S side. A condition is (N, T): one-hot, or soft for a mixture.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from models import distributed
from models.contracts import HeldOut
from models.nn.layers import ConditionalBatchNorm, SqueezeExcite, init_normal
from models.nn.losses import hinge_d_fake, hinge_d_real, hinge_g
from models.papers import srresnet
from models.papers.conditional import ConditionalConfig, ConditionalGAN, ConditionalGenerator
from models.training.update import Update, set_learning_rate


@dataclass(frozen=True)
class Config(ConditionalConfig):
    """The settings that both pairs share. The defaults are the article's for the first pair."""

    d_steps: int = 2
    g_first: bool = False  # G's step comes before those of D
    g_batches: int = 1  # fakes of G's step, in batches
    uniform_labels: bool = False  # fakes have each label as often; otherwise those of the batch of real images
    decay_from: int = 0  # step from which the rate falls linearly, to 0 at decay_to; 0: it stays
    decay_to: int = 0
    steps: int = 13_600  # 77 epochs of 22,665 pictures, as its author says: a step takes two batches of 64

    def __post_init__(self) -> None:
        """Raise ValueError if the rate would not fall."""
        if self.decay_from and self.decay_to <= self.decay_from:
            raise ValueError(f"decay_to must be more than decay_from: {self.decay_to} and {self.decay_from} found")


# --- Jin et al.'s


@dataclass(frozen=True)
class PairConfig(Config, srresnet.SRResNetConfig):
    """The article's settings: the networks of the AC-GAN, with a projection in place of the heads."""


_MODERN_PAIR = PairConfig(
    condition="norm", upsample="nearest", downsample="pool", mode_seeking=0.1, augment="diff", average=0.999
)
SRRESNET = {
    "article": PairConfig(),
    "paper": PairConfig(d_width=32),
    "modern": _MODERN_PAIR,
    "small": replace(_MODERN_PAIR, augment="none", learning_rate=4e-4, **srresnet.SMALL),
    "tiny": PairConfig(**srresnet.TINY),
}


class Projection(nn.Module):
    """D(x, y) = l(h) + ⟨e(y), h⟩, with h (N, F) the features of x, summed over the map: §3 of the projection paper."""

    def __init__(self, features: int, labels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 1)
        self.embed = nn.Linear(labels, features, bias=False)  # of one-hot y: an embedding, but y may be soft

    def forward(self, h: Tensor, y: Tensor) -> Tensor:
        """Return logits (N,)."""
        return self.linear(h).squeeze(1) + (self.embed(y.to(h)) * h).sum(1)


class SRResNetDiscriminator(nn.Module):
    """Pictures (N, 3, S, S), y (N, T) -> logits (N,)."""

    def __init__(self, c: PairConfig) -> None:
        super().__init__()
        self.features = srresnet.SRResNetFeatures(c)
        self.projection = Projection(self.features.features, len(c.labels))
        self.projection.apply(init_normal)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return logits."""
        return self.projection(self.features(x).sum((2, 3)), y)


# --- the projection paper's


@dataclass(frozen=True)
class ResBlockConfig(Config):
    """The settings of ResBlockCGAN: the article's, which does not say how the condition enters G."""

    condition: Literal["concat", "norm"] = "norm"
    batch_size: int = 100
    widths: tuple[int, ...] = (1024, 1024, 512, 256, 128, 64)  # of G, coarse to fine: S/32 to S
    d_widths: tuple[int, ...] = (64, 128, 256, 512, 1024, 1024)  # of D, fine to coarse: S/2 to S/32, and S/32 again
    spectral: bool = True  # normalise D's weights
    steps: int = 7_900  # 70 epochs


_MODERN_RESBLOCK = ResBlockConfig(
    penalty_weight=0.0,  # the author turned it off: unstable with this pair
    mode_seeking=0.5,
    augment="diff",
    average=0.999,
)
# `paper` is the authors' program, which also adds noise of one grey level to real images; ours does not.
RESBLOCK = {
    "article": ResBlockConfig(),
    "paper": ResBlockConfig(
        penalty_weight=0.0,
        d_steps=5,
        g_first=True,
        g_batches=2,
        uniform_labels=True,
        hflip=False,
        batch_size=64,
        beta1=0.0,
        beta2=0.9,
        steps=450_000,
        decay_from=400_000,
        decay_to=450_000,
    ),
    "modern": _MODERN_RESBLOCK,
    "small": replace(
        _MODERN_RESBLOCK,
        augment="none",
        learning_rate=4e-4,
        size=64,
        widths=(128, 128, 64, 32, 32),
        d_widths=(16, 32, 64, 128, 128),
        batch_size=16,
        ada_pictures=50_000,
        steps=5_000,
        sample_every=500,
        save_every=500,
    ),
    "tiny": ResBlockConfig(
        size=32,
        widths=(16, 16, 8, 8),
        d_widths=(8, 8, 16, 16),
        latent=16,
        batch_size=8,
        steps=20,
        sample_every=10,
        save_every=10,
    ),
}


class ResBlockGenerator(ConditionalGenerator):
    """z (N, Z), y (N, T) -> pictures (N, 3, S, S)."""

    def __init__(self, c: ResBlockConfig) -> None:
        super().__init__(c)
        side = c.size // 2 ** (len(c.widths) - 1)
        self.first = _glorot(nn.Linear(self.first_units, c.widths[0] * side * side))
        self.shape = nn.Unflatten(1, (c.widths[0], side, side))
        self.blocks = nn.ModuleList(
            _UpBlock(wide, narrow, self.conditions, c.squeeze) for wide, narrow in itertools.pairwise(c.widths)
        )
        self.norm = ConditionalBatchNorm(c.widths[-1], 0)
        self.paint = _glorot(nn.Conv2d(c.widths[-1], 3, 3, padding=1))

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """Return images."""
        x = self.shape(self.first(self.first_input(z, y)))
        for block in self.blocks:
            x = block(x, y)
        return self.paint(self.norm(x, y).relu()).tanh()


class _UpBlock(nn.Module):
    def __init__(self, wide: int, narrow: int, conditions: int, squeeze: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = ConditionalBatchNorm(wide, conditions), ConditionalBatchNorm(narrow, conditions)
        self.conv1 = _glorot(nn.Conv2d(wide, narrow, 3, padding=1), math.sqrt(2))
        self.conv2 = _glorot(nn.Conv2d(narrow, narrow, 3, padding=1), math.sqrt(2))
        self.skip = _glorot(nn.Conv2d(wide, narrow, 1))
        self.up = nn.Upsample(scale_factor=2)
        self.excite = SqueezeExcite(narrow, squeeze) if squeeze else nn.Identity()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return (N, narrow, 2 H, 2 W)."""
        inner = self.conv1(self.up(self.norm1(x, y).relu()))
        inner = self.conv2(self.norm2(inner, y).relu())
        return self.up(self.skip(x)) + self.excite(inner)  # 1 × 1 and nearest: the same in either order, and this is ¼


class ResBlockDiscriminator(nn.Module):
    """Pictures (N, 3, S, S), y (N, T) -> logits (N,)."""

    def __init__(self, c: ResBlockConfig) -> None:
        super().__init__()
        first, *rest = c.d_widths
        pairs = list(itertools.pairwise(c.d_widths))
        downs = [_DownBlock(narrow, wide, down=True) for narrow, wide in pairs[:-1]]
        self.blocks = nn.Sequential(_FirstBlock(first), *downs, _DownBlock(*pairs[-1], down=False), nn.ReLU())
        self.projection = Projection(rest[-1], len(c.labels))
        _glorot(self.projection.linear)
        _glorot(self.projection.embed)
        if c.spectral:
            for module in [m for m in self.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]:
                spectral_norm(module)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return logits."""
        return self.projection(self.blocks(x).sum((2, 3)), y)


class _FirstBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = _glorot(nn.Conv2d(3, width, 3, padding=1), math.sqrt(2))
        self.conv2 = _glorot(nn.Conv2d(width, width, 3, padding=1), math.sqrt(2))
        self.skip = _glorot(nn.Conv2d(3, width, 1))
        self.down = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.conv2(self.conv1(x).relu())) + self.skip(self.down(x))


class _DownBlock(nn.Module):
    """A residual block that halves the map; or keeps it and the number of features, with an identity skip."""

    def __init__(self, narrow: int, wide: int, *, down: bool) -> None:
        super().__init__()
        self.conv1 = _glorot(nn.Conv2d(narrow, narrow, 3, padding=1), math.sqrt(2))
        self.conv2 = _glorot(nn.Conv2d(narrow, wide, 3, padding=1), math.sqrt(2))
        self.skip = _glorot(nn.Conv2d(narrow, wide, 1)) if down else nn.Identity()
        self.down = nn.AvgPool2d(2) if down else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv2(self.conv1(x.relu()).relu())
        return self.down(inner) + self.skip(self.down(x))  # 1 × 1 and mean: the same in either order


def _glorot(layer: Any, gain: float = 1.0) -> Any:
    """Return a linear or convolutional layer with Glorot's weights and zero biases."""
    nn.init.xavier_uniform_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


# --- the training of both


class _ProjectionCGAN(ConditionalGAN):
    """`d_steps` updates of D, each on new real images, then one of G."""

    def step(self, batch: dict[str, Tensor], i: int) -> dict[str, Tensor]:
        """Return the losses of G and D, and the penalty."""
        set_learning_rate([self.opt_g, self.opt_d], self.rate(i))
        if self.config.g_first:
            loss_g = self.update_g(batch)
        for turn in range(self.config.d_steps):
            losses_d = self.update_d(batch, turn)
        if not self.config.g_first:
            loss_g = self.update_g(batch, turn)
        self.average.update(self.g, i)
        return {"g": loss_g, **losses_d}

    def update_d(self, batch: dict[str, Tensor], turn: int) -> dict[str, Tensor]:
        """Update D on the images of its step `turn` and as many fakes. Return its loss and the penalty."""
        update = Update([self.opt_d])
        for x, y, z in self.micro_batches(batch, turn):
            with torch.no_grad():
                wanted = self.fake_labels(y, len(z))
                fake = self.augment(self.g(z, wanted))
            x = self.augment(x)
            on_real = self.d(x, y)
            loss = hinge_d_real(on_real) + hinge_d_fake(self.d(fake, wanted))
            self.observe(on_real)

            def critic(near: Tensor, y: Tensor = y) -> Tensor:
                logits: Tensor = self.d(near, y)
                return logits

            penalty = self.penalty(critic, x)
            update.add(loss + self.config.penalty_weight * penalty, d=loss, penalty=penalty)
        update.apply()
        return update.mean_components()

    def update_g(self, batch: dict[str, Tensor], turn: int = 0) -> Tensor:
        """Update G on `g_batches` batches of fakes at once. Return its loss."""
        update = Update([self.opt_g])
        labels = batch["label"][turn :: self.config.d_steps].chunk(self.config.micro_batches)
        count = self.config.g_batches * self.config.batch_size
        for y, z, other in zip(labels, self.noise(count), self.other_noise(count), strict=True):
            wanted = self.fake_labels(y, len(z))
            fake = self.g(z, wanted)
            update.add(hinge_g(self.d(self.augment(fake), wanted)) + self.likeness(fake, z, other, wanted))
        return update.apply()

    def fake_labels(self, y: Tensor, count: int) -> Tensor:
        """Return the conditions (count, T) of fakes: those of the real images y (N, T), or each label as often."""
        if self.config.uniform_labels:
            labels = y.shape[1]
            drawn = torch.randint(labels, (count * distributed.world_size(),), device=y.device)
            return functional.one_hot(distributed.shard(drawn), labels).to(y)
        return y.repeat(count // len(y), 1)

    def rate(self, i: int) -> float:
        """Return the learning rate of step i."""
        c = self.config
        if not c.decay_from:
            return c.learning_rate
        return c.learning_rate * min(1, max(0, (c.decay_to - i) / (c.decay_to - c.decay_from)))


class SRResNetCGAN(_ProjectionCGAN):
    """The training of the SRResNet pair."""

    def __init__(self, config: PairConfig, device: torch.device, held_out: Mapping[str, HeldOut]) -> None:
        super().__init__(config, srresnet.SRResNetGenerator(config), SRResNetDiscriminator(config), device, held_out)


class ResBlockCGAN(_ProjectionCGAN):
    """The training of the ResBlock pair."""

    def __init__(self, config: ResBlockConfig, device: torch.device, held_out: Mapping[str, HeldOut]) -> None:
        super().__init__(config, ResBlockGenerator(config), ResBlockDiscriminator(config), device, held_out)
