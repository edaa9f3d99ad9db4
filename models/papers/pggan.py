"""PGGAN: networks that begin with pictures of 4 px, and grow by a level of twice the side now and then.

Karras, Aila, Laine, Lehtinen: "Progressive Growing of GANs for Improved Quality, Stability, and Variation", ICLR 2018,
https://arxiv.org/abs/1710.10196; as the author of an article on U-GAT-IT trained it to draw icons,
https://github.com/zassou65535/image_generator_2, with networks of its own:

| | article | paper |
|---|---|---|
| z | 8,192, taken as a map of 512 channels, 4 × 4 | 512, of length √512; a first layer of 4 × 4 |
| layer | convolution, PixelNorm, leaky ReLU, in both networks | convolution, leaky ReLU, PixelNorm in G alone |
| weights | He's first ones, times √(2 / channels); reflected borders | N(0, 1), times He's constant; borders of 0 |
| colours | a sigmoid: D sees them in [0, 1] | linear, in [-1, 1] |
| a new level fades in | over its whole stage | over half of it; in real images, too |
| update | G, then D | D, then G |

Both: Wasserstein loss with a penalty on gradients, and a small one on D's values. What has grown at a step is a
function of that step. PixelNorm has the paper's ε within the root, the article's 1e-7 is outside; the average is warmed
up as our other models' is. Pictures are in [-1, 1]. In shapes: N batch, Z latent, C channels, S side.
"""

import functools
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models import distributed
from models.contracts import HeldOut
from models.nn.losses import as_fp32, gradient_penalty
from models.papers.gan import GAN, NormalGenerator
from models.training.update import Update, set_learning_rate, update

FIRST_SIDE = 4  # px
EPSILON = 1e-8


class Growth(NamedTuple):
    """How far the networks have grown."""

    level: int
    """Pictures have 4 · 2^level px."""
    alpha: float
    """The share of this level, above 0 to 1; the rest is that of the level below, enlarged."""


@dataclass(frozen=True)
class Config:
    """The settings of PGGAN. The defaults are the article's."""

    size: int = 256  # S, 8 or more, and at most 4 · 2 to the number of widths less one
    widths: tuple[int, ...] = (256, 128, 64, 32, 16, 8, 4)  # of both networks' maps of 4 px, 8 px and on
    d_width: int = 512  # of D before its last layer
    latent: int = 8192  # Z
    networks: Literal["article", "paper"] = "article"
    minibatch_std: bool = True  # D sees how different the pictures of a batch are
    first: int = 7_500  # steps of the first level
    fade: int = 7_500  # steps in which another one fades in
    hold: int = 0  # steps from then to the next level
    fade_real: bool = False  # real images fade as G's do
    g_first: bool = True  # G's update comes before that of D
    penalty_weight: float = 10.0
    drift_weight: float = 1e-3
    hflip: bool = False
    batch_size: int = 8
    micro_batches: int = 1
    learning_rate: float = 5e-4
    late_learning_rate: float = 1e-4
    late_from: int = 56_250  # step from which the rate is the late one; 0: it stays
    beta1: float = 0.0
    beta2: float = 0.99
    augment: str = "none"  # of what D sees, see nn.augment
    ada_pictures: int = 500_000  # real images in which ADA's probability may rise from 0 to 1
    average: float = 0.995  # decay of G's moving average, which is sampled; 0: G itself
    steps: int = 60_000
    sample_every: int = 500  # steps
    save_every: int = 2500

    def __post_init__(self) -> None:
        """Raise ValueError for a size without a level, a z that is no map, or a level that never comes."""
        sizes = [FIRST_SIDE * 2**level for level in range(1, len(self.widths))]
        if self.size not in sizes:
            expected = " or ".join(map(str, sizes)) or "two widths or more"
            raise ValueError(f"size: {expected} expected with {len(self.widths)} widths, {self.size} found")
        if self.networks == "article" and self.latent % FIRST_SIDE**2:
            raise ValueError(f"latent: a multiple of {FIRST_SIDE**2} expected, {self.latent} found")
        if self.fade < 1:
            raise ValueError(f"fade: 1 or more steps expected, {self.fade} found")

    @property
    def pictures(self) -> int:
        """Return the number of real images in a step."""
        return self.batch_size

    @property
    def top(self) -> int:
        """Return the last level."""
        return int(math.log2(self.size // FIRST_SIDE))

    @property
    def grown(self) -> int:
        """Return the first step at which the networks have grown up."""
        return self.first + self.top * self.fade + (self.top - 1) * self.hold

    def growth(self, i: int) -> Growth:
        """Return how far the networks have grown at step i."""
        stage = self.fade + self.hold
        level = -(-(i - self.first) // stage)  # rounded up: the article's last step of a stage shows it alone
        if level < 1:
            return Growth(0, 1.0)
        if level > self.top:
            return Growth(self.top, 1.0)
        return Growth(level, min(1.0, (i - self.first - (level - 1) * stage) / self.fade))


PRESETS = {
    "article": Config(),
    "paper": Config(
        widths=(512, 512, 512, 512, 256, 128, 64),
        latent=512,
        networks="paper",
        first=50_000,  # 800,000 pictures
        fade=50_000,
        hold=50_000,
        fade_real=True,
        g_first=False,
        batch_size=16,  # the paper's up to 128 px; at 256 px it has 14
        learning_rate=1e-3,
        late_from=0,
        average=0.999,
        steps=750_000,  # 12 million pictures
        sample_every=1000,
        save_every=5000,
    ),
    "small": Config(
        size=64,
        widths=(128, 128, 64, 32, 16),
        d_width=128,
        latent=128,
        networks="paper",
        first=500,
        fade=500,
        hold=500,
        fade_real=True,
        g_first=False,
        hflip=True,
        batch_size=16,
        learning_rate=1e-3,
        late_from=0,
        ada_pictures=50_000,
        average=0.99,  # with 0.999 layers that have just faded in would be mostly as they were at first
        steps=12_000,
        sample_every=500,
        save_every=500,
    ),
    "tiny": Config(
        size=32,
        widths=(16, 16, 8, 8),
        d_width=16,
        latent=64,
        first=1,
        fade=2,
        hold=1,
        late_from=15,
        batch_size=8,
        steps=20,
        sample_every=10,
        save_every=10,
    ),
}


class PixelNorm(nn.Module):
    """Maps or vectors (N, C, …) -> the same, of which the squares of the channels have the mean 1 at each place."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x normalised."""
        return x * (x.square().mean(1, keepdim=True) + EPSILON).rsqrt()


class MinibatchStd(nn.Module):
    """Maps (N, C, H, W) -> (N, C + 1, H, W): beside them a map of one number, the mean over all channels and places of
    the standard deviation over the batches of all processes. `unbiased`: as torch's default has it."""

    def __init__(self, *, unbiased: bool) -> None:
        super().__init__()
        self.unbiased = unbiased

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps with one more."""
        exact, count = as_fp32(x), len(x) * distributed.world_size()
        mean = distributed.mean(exact.mean(0))
        variance = distributed.mean((exact - mean).square().mean(0))
        if self.unbiased:
            variance = variance * count / (count - 1)
        deviation = (variance + EPSILON).sqrt().mean().to(x)
        return torch.cat([x, deviation.expand(len(x), 1, *x.shape[2:])], dim=1)


class ScaledConv(nn.Conv2d):
    """A convolution whose weights are multiplied by a constant when they are used, so that all learn equally fast."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, scale: float, **padding: Any) -> None:
        super().__init__(inputs, outputs, kernel, **padding)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Return maps."""
        return self._conv_forward(x, self.weight * self.scale, self.bias)


def _article_conv(inputs: int, outputs: int, kernel: int, padding: int) -> nn.Conv2d:
    mode = "reflect" if padding else "zeros"
    conv = ScaledConv(inputs, outputs, kernel, scale=math.sqrt(2 / inputs), padding=padding, padding_mode=mode)
    nn.init.kaiming_normal_(conv.weight)
    return conv


def _paper_conv(inputs: int, outputs: int, kernel: int, padding: int = 0, gain: float = math.sqrt(2)) -> nn.Conv2d:
    conv = ScaledConv(inputs, outputs, kernel, scale=gain / math.sqrt(inputs * kernel**2), padding=padding)
    nn.init.normal_(conv.weight)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv


def _layer(c: Config, inputs: int, outputs: int, kernel: int = 3, padding: int = 1, *, norm: bool) -> nn.Module:
    """Return a convolution with its activation; in the paper's networks with a normalisation if `norm`."""
    if c.networks == "article":
        return nn.Sequential(_article_conv(inputs, outputs, kernel, padding), PixelNorm(), nn.LeakyReLU(0.2))
    return nn.Sequential(_paper_conv(inputs, outputs, kernel, padding), nn.LeakyReLU(0.2), *[PixelNorm()] * norm)


def _colors(c: Config, inputs: int, outputs: int) -> nn.Module:
    """Return a linear layer of each place, without an activation."""
    return nn.Conv2d(inputs, outputs, 1) if c.networks == "article" else _paper_conv(inputs, outputs, 1, gain=1)


class Generator(NormalGenerator):
    """z (N, Z) -> pictures (N, 3, S, S), enlarged from those of the level that it has grown to.

    What it has grown to follows from `trained_step`, the last step of its training, which is a part of its state. A new
    network has grown up."""

    def __init__(self, c: Config) -> None:
        super().__init__(c.latent)
        self.config, self.trained_step = c, c.grown
        widths = c.widths[: c.top + 1]
        layer = functools.partial(_layer, c, norm=True)
        if c.networks == "article":
            shape = (c.latent // FIRST_SIDE**2, FIRST_SIDE, FIRST_SIDE)
            first = [nn.Unflatten(1, shape), layer(shape[0], widths[0])]
        else:
            first = [PixelNorm(), nn.Unflatten(1, (c.latent, 1, 1)), layer(c.latent, widths[0], FIRST_SIDE, 3)]
        blocks = [nn.Sequential(*first, layer(widths[0], widths[0]))]
        for wide, narrow in itertools.pairwise(widths):
            blocks.append(nn.Sequential(nn.Upsample(scale_factor=2), layer(wide, narrow), layer(narrow, narrow)))
        self.blocks = nn.ModuleList(blocks)
        self.to_rgb = nn.ModuleList(_colors(c, width, 3) for width in widths)

    def get_extra_state(self) -> Tensor:
        """Return the last step of its training, for `state_dict`."""
        return torch.tensor(self.trained_step)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the last step of its training from a `state_dict`."""
        self.trained_step = int(state)

    def forward(self, z: Tensor) -> Tensor:
        """Return images."""
        return F.interpolate(self.paint(z), size=(self.config.size,) * 2)

    def paint(self, z: Tensor) -> Tensor:
        """Return images (N, 3, ·, ·) of the level's own side."""
        level, alpha = self.config.growth(self.trained_step)
        x = z
        for block in self.blocks[:level]:
            x = block(x)
        images = self.to_rgb[level](self.blocks[level](x))
        if alpha < 1:
            images = torch.lerp(_doubled(self.to_rgb[level - 1](x)), images, alpha)
        return 2 * images.sigmoid() - 1 if self.config.networks == "article" else images


class Discriminator(nn.Module):
    """Pictures (N, 3, ·, ·) of a level -> values (N,), higher for real ones. The article's are in [0, 1]."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        widths, is_articles = c.widths[: c.top + 1], c.networks == "article"
        layer = functools.partial(_layer, c, norm=False)
        inner = c.d_width if is_articles else widths[0]
        last = [
            layer(widths[0] + c.minibatch_std, inner),
            layer(inner, c.d_width, FIRST_SIDE, 0),
            _colors(c, c.d_width, 1),
        ]
        blocks = [nn.Sequential(*[MinibatchStd(unbiased=is_articles)] * c.minibatch_std, *last)]
        for wide, narrow in itertools.pairwise(widths):
            inner = wide if is_articles else narrow
            blocks.append(nn.Sequential(layer(narrow, inner), layer(inner, wide), nn.AvgPool2d(2)))
        self.blocks = nn.ModuleList(blocks)
        self.from_rgb = nn.ModuleList(
            _colors(c, 3, width) if is_articles else layer(3, width, 1, 0) for width in widths
        )

    def forward(self, x: Tensor, growth: Growth) -> Tensor:
        """Return the values of images at a level."""
        level, alpha = growth
        h = self.blocks[level](self.from_rgb[level](x))
        if alpha < 1:
            h = torch.lerp(self.from_rgb[level - 1](F.avg_pool2d(x, 2)), h, alpha)
        for block in reversed(self.blocks[:level]):
            h = block(h)
        return h.flatten()


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2)


class PGGAN(GAN):
    """An update of each network, at the level of the step."""

    def __init__(self, config: Config, device: torch.device, held_out: Mapping[str, HeldOut]) -> None:
        adam: dict[str, Any] = {"lr": config.learning_rate, "betas": (config.beta1, config.beta2)}
        super().__init__(config, Generator(config), Discriminator(config), device, held_out, **adam)
        self._grow(0)

    def _grow(self, i: int) -> None:
        self.g.trained_step = self.average.network.trained_step = i

    def step(self, batch: dict[str, Tensor], i: int) -> dict[str, Tensor]:
        """Return the losses of G and D, and the penalty."""
        self._grow(i)
        set_learning_rate([self.opt_g, self.opt_d], self.rate(i))
        growth = self.config.growth(i)
        if self.config.g_first:
            loss_g = self.update_g(growth)
        losses_d = self.update_d(batch["picture"], growth)
        if not self.config.g_first:
            loss_g = self.update_g(growth)
        self.average.update(self.g, i)
        return {"g": loss_g, **losses_d}

    def update_g(self, growth: Growth) -> Tensor:
        """Update G. Return its loss."""
        noise = self.noise(self.config.batch_size)
        return update([self.opt_g], (-as_fp32(self.d(self.seen(self.g.paint(z)), growth)).mean() for z in noise))

    def update_d(self, picture: Tensor, growth: Growth) -> dict[str, Tensor]:
        """Update D on real images (N, S, S, 3) and as many fakes. Return its loss and the penalty."""
        step, critic = Update([self.opt_d]), functools.partial(self.d, growth=growth)
        for x, z in zip(self.real(picture), self.noise(self.config.batch_size), strict=True):
            with torch.no_grad():
                fake = self.seen(self.g.paint(z))
            x = self.seen(self.reduced(x, growth))
            on_real, on_fake = as_fp32(critic(x)), as_fp32(critic(fake))
            self.observe(on_real - on_fake)  # one alone means little: a constant in D changes no loss but the drift's
            loss = on_fake.mean() - on_real.mean()
            penalty = gradient_penalty(critic, x, fake) if self.config.penalty_weight else x.new_zeros(())
            drift = self.config.drift_weight * on_real.square().mean()
            step.add(loss + self.config.penalty_weight * penalty + drift, d=loss, penalty=penalty)
        step.apply()
        return step.mean_components()

    def reduced(self, x: Tensor, growth: Growth) -> Tensor:
        """Return real images (N, 3, S, S) at the level's side, as far as it has faded in."""
        x = F.avg_pool2d(x, self.config.size // (FIRST_SIDE * 2**growth.level))
        if self.config.fade_real and growth.alpha < 1:
            x = torch.lerp(_doubled(F.avg_pool2d(x, 2)), x, growth.alpha)
        return x

    def seen(self, x: Tensor) -> Tensor:
        """Return images in [-1, 1] as D sees them: augmented, and in the range of its networks."""
        x = self.augment(x)
        return (x + 1) / 2 if self.config.networks == "article" else x

    def rate(self, i: int) -> float:
        """Return the learning rate of step i."""
        c = self.config
        return c.late_learning_rate if c.late_from and i >= c.late_from else c.learning_rate
