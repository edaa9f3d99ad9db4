"""AC-GAN of anime faces: D also says what it sees, and G is to be understood.

Odena, Olah, Shlens: "Conditional Image Synthesis with Auxiliary Classifier GANs", ICML 2017,
https://arxiv.org/abs/1610.09585; as Jin et al. trained it, "Towards the Automatic Anime Characters Creation with GANs",
2017, https://arxiv.org/abs/1708.05509: an SRResNet, DRAGAN's penalty, and a sigmoid for each label.

Trainable parameters at the presets `article` and `paper`, measured:

| labels | G | D, width 16 (article) | D, width 32 (paper) |
|---|---|---|---|
| nine hair colours | 3,906,115 | 5,960,378 | 23,793,002 |
| 34 tags | 4,315,715 | 6,011,603 | 23,895,427 |

Pictures are in [-1, 1]. In shapes: N batch, Z latent, T labels, S side.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.nn.layers import ConditionalBatchNorm, SqueezeExcite, normal
from models.nn.losses import binary_cross_entropy, precise
from models.papers.gan import ConditionalConfig, ConditionalGAN, ConditionalGenerator
from models.training.loop import Update, set_learning_rate

TAGS = (
    "blonde_hair",
    "brown_hair",
    "black_hair",
    "blue_hair",
    "pink_hair",
    "purple_hair",
    "green_hair",
    "red_hair",
    "silver_hair",
    "white_hair",
    "orange_hair",
    "aqua_hair",
    "grey_hair",
    "long_hair",
    "short_hair",
    "twintails",
    "drill_hair",
    "ponytail",
    "blush",
    "smile",
    "open_mouth",
    "hat",
    "ribbon",
    "glasses",
    "blue_eyes",
    "red_eyes",
    "brown_eyes",
    "green_eyes",
    "purple_eyes",
    "yellow_eyes",
    "pink_eyes",
    "aqua_eyes",
    "black_eyes",
    "orange_eyes",
)
"""The paper's 34, in its order."""


@dataclass(frozen=True)
class SRResNetConfig(ConditionalConfig):
    """The networks' sizes. The author halved the discriminator's widths against the paper's."""

    width: int = 64  # W, of G
    blocks: int = 16
    d_width: int = 16  # of D's first layer; the paper has 32


@dataclass(frozen=True)
class Config(SRResNetConfig):
    """The defaults are the author's, for hair colours."""

    half_from: int = 50_000  # step from which the learning rate falls
    half_life: int = 25_000  # steps in which it halves; the paper says exponentially, not how fast
    steps: int = 100_000


SMALL = {
    "size": 64,
    "width": 32,
    "blocks": 8,
    "d_width": 8,
    "batch_size": 16,
    "average": 0.999,
    "steps": 5_000,
    "sample_every": 500,
    "save_every": 500,
}
TINY = {
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
PRESETS = {
    "article": Config(),
    "paper": Config(labels=TAGS, d_width=32),
    "small": Config(**SMALL),
    "tiny": Config(**TINY),
}


class SRResNetGenerator(ConditionalGenerator):
    """z (N, Z), y (N, T) -> pictures (N, 3, S, S)."""

    def __init__(self, c: SRResNetConfig):
        super().__init__(c)
        width, side = c.width, c.size // 8

        def norm(features: int = width) -> nn.Module:
            return ConditionalBatchNorm(features, self.conditions)

        self.first = nn.Linear(self.entering, width * side * side)  # (N, W, S/8, S/8)
        self.shape = nn.Unflatten(1, (width, side, side))
        self.first_norm = norm()
        self.blocks = nn.ModuleList(_SRBlock(width, self.conditions, c.squeeze) for _ in range(c.blocks))
        self.last_norm = norm()
        self.ups = nn.ModuleList(nn.Conv2d(width, 4 * width, 3, padding=1) for _ in range(3))
        self.up_norms = nn.ModuleList(norm() for _ in range(3))
        self.shuffle = nn.PixelShuffle(2)
        self.paint = nn.Conv2d(width, 3, 9, padding=4)
        self.apply(normal)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        first = x = self.first_norm(self.shape(self.first(self.entry(z, y))), y).relu()
        for block in self.blocks:
            x = block(x, y)
        x = self.last_norm(x, y).relu() + first
        for up, norm in zip(self.ups, self.up_norms, strict=True):  # S/4, S/2, S
            x = norm(self.shuffle(up(x)), y).relu()
        return self.paint(x).tanh()


class _SRBlock(nn.Module):
    def __init__(self, width: int, conditions: int, squeeze: int):
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.norm1, self.norm2 = (ConditionalBatchNorm(width, conditions) for _ in range(2))
        self.excite = SqueezeExcite(width, squeeze) if squeeze else nn.Identity()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        inner = self.norm1(self.conv1(x), y).relu()
        return x + self.excite(self.norm2(self.conv2(inner), y))


class SRResNetFeatures(nn.Sequential):
    """Pictures (N, 3, S, S) -> maps (N, 32 W, S/64, S/64). No normalisation: the penalty is of each sample alone.

    Its first weights are given nowhere. With N(0, 0.02) a signal shrinks to 1e-4 of itself on its way through, and D is
    blind at first; so they are He's, and the blocks' ten additions each add a tenth of the variance."""

    def __init__(self, width: int):
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, stride=2, padding=1), _leaky()]
        for features in (width * 2**level for level in range(5)):  # W, S/2 to 16 W, S/32
            down = nn.Conv2d(features, 2 * features, 4, stride=2, padding=1)
            layers += [_LeakyBlock(features), _LeakyBlock(features), down, _leaky()]
        super().__init__(*layers)
        self.features = 32 * width
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, 0.2)
                nn.init.zeros_(module.bias)
        with torch.no_grad():
            for block in (layer for layer in self if isinstance(layer, _LeakyBlock)):
                block.conv2.weight /= math.sqrt(10)


class _LeakyBlock(nn.Module):
    def __init__(self, features: int):
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(features, features, 3, padding=1) for _ in range(2))
        self.leaky = _leaky()

    def forward(self, x: Tensor) -> Tensor:
        return self.leaky(x + self.conv2(self.leaky(self.conv1(x))))


def _leaky() -> nn.Module:
    return nn.LeakyReLU(0.2)


class Discriminator(nn.Module):
    """Pictures (N, 3, S, S) -> logits of being real (N,), logits of each label (N, T)."""

    def __init__(self, c: Config):
        super().__init__()
        self.features = SRResNetFeatures(c.d_width)
        units = self.features.features * (c.size // 64) ** 2
        self.real = nn.Sequential(nn.Flatten(), nn.Linear(units, 1), nn.Flatten(0))
        self.label = nn.Sequential(nn.Flatten(), nn.Linear(units, len(c.labels)))
        self.real.apply(normal)
        self.label.apply(normal)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.features(x)
        return self.real(h), self.label(h)


class ACGAN(ConditionalGAN):
    """D, some times on new pictures each, then G.

    The adversarial loss weighs as much as there are labels, whose losses are summed."""

    def __init__(self, config: Config, device: torch.device, held_out: np.ndarray):
        super().__init__(config, SRResNetGenerator(config), Discriminator(config), device, held_out)

    def step(self, batch: dict[str, Tensor], i: int) -> dict[str, Tensor]:
        set_learning_rate([self.opt_g, self.opt_d], self.rate(i))
        weight = len(self.config.labels)
        for turn in range(self.config.d_steps):
            update_d = Update([self.opt_d])
            for x, y, z in self.micro_batches(batch, turn):
                with torch.no_grad():
                    fake = self.g(z, y)
                (on_real, seen), (on_fake, seen_in_fake) = self.d(x), self.d(fake)
                loss_d = binary_cross_entropy(on_real, 1) + binary_cross_entropy(on_fake, 0)
                labels_d = label_loss(seen, y) + label_loss(seen_in_fake, y)
                penalty = self.penalty(lambda near: self.d(near)[0], x)
                loss = weight * loss_d + labels_d + self.config.penalty_weight * penalty
                update_d.add(loss, d=loss_d, d_labels=labels_d, penalty=penalty)
            update_d.apply()
        update_g = Update([self.opt_g])
        for _, y, z in self.micro_batches(batch, turn):
            on_fake, seen = self.d(self.g(z, y))
            loss_g, labels_g = binary_cross_entropy(on_fake, 1), label_loss(seen, y)
            update_g.add(weight * loss_g + labels_g, g=loss_g, g_labels=labels_g)
        update_g.apply()
        self.average.update(self.g, i)
        return update_g.said() | update_d.said()

    def rate(self, i: int) -> float:
        """The learning rate of step i."""
        return self.config.learning_rate * 0.5 ** (max(0, i - self.config.half_from) / self.config.half_life)


def label_loss(logits: Tensor, y: Tensor) -> Tensor:
    """-E Σ_t [y log σ(x) + (1 - y) log(1 - σ(x))] of logits and labels (N, T)."""
    return F.binary_cross_entropy_with_logits(precise(logits), y.to(precise(logits)), reduction="sum") / len(y)
