"""R3GAN: a relativistic loss that always has a slope, a penalty that makes it converge, and plain residual networks.

Huang, Gokaslan, Kuleshov, Tompkin: "The GAN is dead; long live the GAN! A Modern Baseline GAN", NeurIPS 2024,
https://arxiv.org/abs/2501.05441. Written from the paper: no normalisation, no style, no kernels of its own.

Trainable parameters, measured:

| preset | size | G | D | G, nine colours | D, nine colours |
|---|---|---|---|---|---|
| `paper` | 64 px | 22,429,824 | 22,381,440 | 22,479,552 | 22,977,408 |
| `paper` | 256 px | 23,057,952 | 23,009,568 | 23,107,680 | 23,605,536 |
| `article` | 64 px | 6,127,680 | 6,103,488 | 6,152,832 | 6,254,016 |
| `small` | 64 px | 277,688 | 269,624 | 286,456 | 287,032 |

Pictures are in [-1, 1]. In shapes: N batch, Z latent, T labels, W width, S side. A condition is (N, T): one-hot, or
soft for a mixture.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.contracts import HeldOut
from models.data.dataset import HAIR_COLORS
from models.nn import ada
from models.nn.losses import relativistic, squared_slopes
from models.papers.conditional import LabelledGAN
from models.papers.gan import GAN, NormalGenerator
from models.training.update import Update, set_learning_rate

GROUP_WIDTH = 16  # channels of a group of the 3×3 convolutions
SLOPE = 0.2  # of leaky ReLUs
LOWPASS = {3: (1.0, 2.0, 1.0), 4: (1.0, 3.0, 3.0, 1.0)}
"""By its taps: the filter of the resampling. With 3, the paper's, every other pixel of a finer map is a copy and the
next one a mean, which leaves a pattern of period two; with 4 all pixels are alike."""
GAMMA_SIZE, GAMMA_POWER = 64, math.log(150 / 2, 256 / 64)  # the penalty's weight is 2 at 64 px, and 150 at 256 px


@dataclass(frozen=True)
class Config:
    """The settings of R3GAN. The defaults are the paper's for 64 px.

    What has a `last_…` beside it goes there along half a cosine in `horizon` steps, and then stays."""

    size: int = 64  # S, 4 to 7 times a power of two
    widths: tuple[int, ...] = (768, 768, 768, 768, 384, 192, 96)  # coarse to fine; as many are taken as S has levels
    blocks: int = 2  # of a level
    expansion: int = 2  # of the width within a block
    latent: int = 64  # Z, of N(0, 1)
    taps: int = 3  # of the filter with which maps are resampled, see LOWPASS
    hflip: bool = True
    batch_size: int = 256
    micro_batches: int = 1
    learning_rate: float = 2e-4
    last_learning_rate: float = 5e-5
    beta2: float = 0.9  # of Adam, whose β1 is 0
    last_beta2: float = 0.99
    gamma: float = 2.0  # weight of the penalties at 64 px; it rises with the size, see `gamma_at`
    last_gamma: float = 0.2
    penalty_every: int = 1  # steps; a penalty stands for those of the steps without one, too
    augment: str = "ramp"  # of what D sees: ADA's operators with p from 0 to last_p; none, or see nn.augment and nn.ada
    last_p: float = 0.3
    ada_pictures: int = 500_000  # real images in which ADA's probability may rise from 0 to 1
    last_half_life: int = 500_000  # images, in which G's moving average forgets half; at first 0
    horizon: int = 78_125  # steps: 20 million images
    steps: int = 78_125
    sample_every: int = 1000
    save_every: int = 2000

    def __post_init__(self) -> None:
        """Raise ValueError if there are no networks of this size, or no such filter."""
        if self.taps not in LOWPASS:
            raise ValueError(f"taps must be 3 or 4, {self.taps} found")
        levels = self.size.bit_length() - 2
        if levels < 1 or self.size % (1 << levels - 1) or levels > len(self.widths):
            most = 7 << len(self.widths) - 1
            raise ValueError(
                f"there are no networks for {self.size} px, but for 4 to 7 px times a power of two, with "
                f"{len(self.widths)} widths up to {most} px"
            )

    @property
    def level_widths(self) -> tuple[int, ...]:
        """Return the width of each level, coarse to fine. The coarsest has 4 to 7 px."""
        return self.widths[: self.size.bit_length() - 2]

    @property
    def coarsest(self) -> int:
        """Return the side of the coarsest map, px."""
        return self.size >> len(self.level_widths) - 1

    @property
    def pictures(self) -> int:
        """Return the number of real images in a step."""
        return self.batch_size

    @property
    def average(self) -> float:
        """Return the last decay of G's moving average."""
        return self.decay(self.horizon)

    def decay(self, i: int) -> float:
        """Return the decay of G's moving average at step i: 0 at first, when half-lives are short."""
        half_life = self.scheduled(i, 0.0, self.last_half_life)
        return 0.5 ** (self.batch_size / half_life) if half_life else 0.0

    def gamma_at(self, i: int) -> float:
        """Return γ at step i: the paper's at 64 and 256 px, and between them, and beyond, along a power of the size."""
        return self.scheduled(i, self.gamma, self.last_gamma) * (self.size / GAMMA_SIZE) ** GAMMA_POWER

    def scheduled(self, i: int, first: float, last: float) -> float:
        """Return what goes from `first` to `last` along half a cosine, at step i."""
        return last + (first - last) * (1 + math.cos(math.pi * min(1.0, i / self.horizon))) / 2


@dataclass(frozen=True)
class ColorConfig(Config):
    """The settings of ColorR3GAN."""

    labels: tuple[str, ...] = HAIR_COLORS


_ONE_GPU = Config(
    widths=(384, 384, 384, 384, 192, 96, 48),
    batch_size=64,
    last_half_life=50_000,
    horizon=31_250,  # 2 million images
    steps=31_250,
)
PRESETS = {
    "article": _ONE_GPU,
    "paper": Config(),
    "small": replace(
        _ONE_GPU,
        widths=(128, 128, 64, 32, 8, 8, 8),
        blocks=1,
        taps=4,
        gamma=16.0,  # a small batch needs more of it
        last_gamma=1.6,
        penalty_every=5,
        batch_size=16,
        learning_rate=2e-3,
        last_learning_rate=2e-4,
        augment="none",
        ada_pictures=50_000,
        last_half_life=3_200,
        horizon=8_000,
        steps=8_000,
        sample_every=500,
        save_every=500,
    ),
    "tiny": Config(
        size=32,
        widths=(16, 16, 16, 8, 8, 8, 8),
        latent=16,
        batch_size=8,
        augment="none",
        last_half_life=100,
        horizon=20,
        steps=20,
        sample_every=10,
        save_every=10,
    ),
}
"""There is no article: `article` is a quarter of the paper's weights, for one GPU, and a tenth of its images."""
COLOR_PRESETS = {name: ColorConfig(**vars(config)) for name, config in PRESETS.items()}


class Block(nn.Module):
    """Maps (N, W, S, S) -> the same and a residual, which is 0 at first."""

    def __init__(self, width: int, c: Config) -> None:
        super().__init__()
        inner = width * c.expansion
        if inner % GROUP_WIDTH:
            raise ValueError(f"widths times {c.expansion} must be multiples of {GROUP_WIDTH}, {inner} found")
        self.narrow = nn.Conv2d(width, inner, 1)
        self.grouped = nn.Conv2d(inner, inner, 3, padding=1, groups=inner // GROUP_WIDTH)
        self.wide = nn.Conv2d(inner, width, 1, bias=False)
        blocks = c.blocks * len(c.level_widths)  # of the network; its variance stays as it would with one
        for conv in (self.narrow, self.grouped):
            init_scaled(conv, math.sqrt(2 / (1 + SLOPE**2)) * blocks**-0.25)
            assert conv.bias is not None
            nn.init.zeros_(conv.bias)
        nn.init.zeros_(self.wide.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps (N, W, S, S)."""
        h = F.leaky_relu(self.narrow(x), SLOPE, inplace=True)
        h = F.leaky_relu(self.grouped(h), SLOPE, inplace=True)
        return x + self.wide(h)


class Resampling(nn.Module):
    """Maps (N, V, S, S) -> (N, W, 2S, 2S), or (N, W, S/2, S/2): bilinearly, with a 1×1 convolution on the coarse side
    if V and W differ."""

    def __init__(self, narrow: int, wide: int, taps: int, *, up: bool) -> None:
        super().__init__()
        self.up = up
        self.conv = init_scaled(nn.Conv2d(narrow, wide, 1, bias=False)) if narrow != wide else nn.Identity()
        line = torch.tensor(LOWPASS[taps])
        kernel = torch.outer(line, line)[None, None] * (4 if up else 1) / line.sum() ** 2
        self.kernel: Tensor
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps."""
        if self.up:
            x = self.conv(x)
            kernel = self.kernel.to(x).expand(x.shape[1], -1, -1, -1)
            odd = kernel.shape[-1] % 2
            return F.conv_transpose2d(x, kernel, stride=2, padding=1, output_padding=odd, groups=len(kernel))
        kernel = self.kernel.to(x).expand(x.shape[1], -1, -1, -1)
        resampled: Tensor = self.conv(F.conv2d(x, kernel, stride=2, padding=1, groups=len(kernel)))
        return resampled


class Generator(NormalGenerator):
    """z (N, Z), and conditions y (N, T) if it has labels, -> pictures (N, 3, S, S), without a tanh."""

    def __init__(self, c: Config) -> None:
        super().__init__(c.latent)
        self.labels = getattr(c, "labels", ())
        self.embed = init_scaled(nn.Linear(len(self.labels), c.latent, bias=False)) if self.labels else None
        first, last = c.level_widths[0], c.level_widths[-1]
        self.basis = nn.Parameter(torch.randn(first, c.coarsest, c.coarsest))
        self.weights = init_scaled(nn.Linear(c.latent * (2 if self.labels else 1), first, bias=False))
        layers: list[nn.Module] = [Block(first, c) for _ in range(c.blocks)]
        for wide, narrow in itertools.pairwise(c.level_widths):
            layers += [Resampling(wide, narrow, c.taps, up=True), *(Block(narrow, c) for _ in range(c.blocks))]
        self.layers = nn.Sequential(*layers, init_scaled(nn.Conv2d(last, 3, 1, bias=False)))

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return images."""
        if self.embed is not None:
            assert y is not None
            z = torch.cat([z, self.embed(y.to(z))], 1)
        images: Tensor = self.layers(self.weights(z)[:, :, None, None] * self.basis)
        return images


class Discriminator(nn.Module):
    """Pictures (N, 3, S, S), and conditions y (N, T) if it has labels, -> logits (N,)."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        labels, (last, *_), first = len(getattr(c, "labels", ())), c.level_widths, c.level_widths[-1]
        layers: list[nn.Module] = [init_scaled(nn.Conv2d(3, first, 1, bias=False))]
        for narrow, wide in itertools.pairwise(c.level_widths[::-1]):
            layers += [*(Block(narrow, c) for _ in range(c.blocks)), Resampling(narrow, wide, c.taps, up=False)]
        layers += [Block(last, c) for _ in range(c.blocks)]
        layers += [init_scaled(nn.Conv2d(last, last, c.coarsest, groups=last, bias=False)), nn.Flatten()]
        self.layers = nn.Sequential(*layers)
        self.logits = init_scaled(nn.Linear(last, last if labels else 1, bias=False))
        self.embed = init_scaled(nn.Linear(labels, last, bias=False), last**-0.5) if labels else None

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Return logits."""
        logits: Tensor = self.logits(self.layers(x))
        if self.embed is None:
            return logits.squeeze(1)
        assert y is not None
        return (logits * self.embed(y.to(logits))).sum(1)


L = TypeVar("L", nn.Conv2d, nn.Linear)


def init_scaled(layer: L, gain: float = 1.0) -> L:
    """Draw weights from N(0, gain² / inputs). Return the layer."""
    nn.init.normal_(layer.weight, 0, gain / math.sqrt(layer.weight[0].numel()))
    return layer


class R3GAN(GAN):
    """An update of D and one of G, each on new fakes, pair by pair with the same real images."""

    def __init__(self, config: Config, device: torch.device, held_out: Mapping[str, HeldOut]) -> None:
        adam = {"lr": config.learning_rate, "betas": (0.0, config.beta2)}
        super().__init__(config, Generator(config), Discriminator(config), device, held_out, **adam)

    def step(self, batch: dict[str, Tensor], i: int) -> dict[str, Tensor]:
        """Return the losses of G and D, and at steps with a penalty D's squared slopes on real images and fakes."""
        self.follow_schedules(i)
        every = self.config.penalty_every
        penalizes, gamma = (i + 1) % every == 0, every * self.config.gamma_at(i)
        update_d, update_g = Update([self.opt_d]), Update([self.opt_g])
        for x, y, z in self.micro_batches(batch):
            with torch.no_grad():
                fake = self.g(z, *y)

            def critic(both: Tensor, y: tuple[Tensor, ...] = y) -> Tensor:
                seen = torch.cat([self.augment(part) for part in both.chunk(2)])
                logits: Tensor = self.d(seen, *(torch.cat([each, each]) for each in y))
                return logits

            both = torch.cat([x, fake])
            logits, slopes = squared_slopes(critic, both) if penalizes else (critic(both), None)
            on_real, on_fake = logits.chunk(2)
            self.observe(on_real - on_fake)  # one alone is of no meaning: a constant in D changes no loss
            loss = relativistic(on_real, on_fake)
            if slopes is None:
                update_d.add(loss, d=loss)
            else:
                r1, r2 = slopes.view(2, -1).mean(1)
                update_d.add(loss + gamma / 2 * (r1 + r2), d=loss, r1=r1, r2=r2)
        update_d.apply()
        for x, y, z in self.micro_batches(batch):
            on_fake = self.d(self.augment(self.g(z, *y)), *y)
            with torch.no_grad():
                on_real = self.d(self.augment(x), *y)
            update_g.add(relativistic(on_fake, on_real))
        loss_g = update_g.apply()
        self.average.update(self.g, i)
        return {"g": loss_g, **update_d.mean_components()}

    def micro_batches(self, batch: dict[str, Tensor]) -> Iterator[tuple[Tensor, tuple[Tensor, ...], Tensor]]:
        """Yield x (N, 3, S, S), (y (N, T),) or () without labels, and new z (N, Z)."""
        labels = [(y,) for y in batch["label"].chunk(self.config.micro_batches)] if "label" in batch else None
        unlabelled: list[tuple[()]] = [()] * self.config.micro_batches
        yield from zip(
            self.real(batch["picture"]), labels or unlabelled, self.noise(self.config.batch_size), strict=True
        )

    def follow_schedules(self, i: int) -> None:
        """Set the rates, the moving average's decay, and p of the operators that step i has."""
        c = self.config
        set_learning_rate([self.opt_g, self.opt_d], c.scheduled(i, c.learning_rate, c.last_learning_rate))
        for group in (*self.opt_g.param_groups, *self.opt_d.param_groups):
            group["betas"] = (0.0, c.scheduled(i, c.beta2, c.last_beta2))
        self.average.decay = c.decay(i)
        if c.augment == "ramp":
            self.augment = self.operators(c.scheduled(i, 0.0, c.last_p))

    def operators(self, p: float) -> Callable[[Tensor], Tensor]:
        """Return ADA's operators with a given p."""
        colors = not getattr(self.config, "labels", ())
        return functools.partial(ada.change, p=torch.full((), p, device=self.device), colors=colors)

    def _augmentation(self) -> Callable[[Tensor], Tensor]:
        return self.operators(0.0) if self.config.augment == "ramp" else super()._augmentation()


class ColorR3GAN(R3GAN, LabelledGAN):
    """R3GAN whose images have the hair colours that are asked for. A pair of a real image and a fake has one colour."""
