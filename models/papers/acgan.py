"""AC-GAN of anime faces: the discriminator also classifies, and the generator is trained to be classified correctly.

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

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.contracts import HeldOut
from models.nn.layers import init_normal
from models.nn.losses import as_fp32, binary_cross_entropy
from models.papers.conditional import ConditionalGAN
from models.papers.srresnet import SMALL, TINY, SRResNetConfig, SRResNetFeatures, SRResNetGenerator
from models.training.update import Update, set_learning_rate

TAGS = tuple(
    """
    blonde_hair brown_hair black_hair blue_hair pink_hair purple_hair green_hair red_hair silver_hair
    white_hair orange_hair aqua_hair grey_hair long_hair short_hair twintails drill_hair ponytail blush smile
    open_mouth hat ribbon glasses blue_eyes red_eyes brown_eyes green_eyes purple_eyes yellow_eyes pink_eyes
    aqua_eyes black_eyes orange_eyes
    """.split()
)
"""The paper's 34, in its order."""


@dataclass(frozen=True)
class Config(SRResNetConfig):
    """The settings of ACGAN. The defaults are the author's, for hair colours."""

    half_from: int = 50_000  # step from which the learning rate falls
    half_life: int = 25_000  # steps in which it halves; the paper says exponentially, not how fast
    steps: int = 100_000


PRESETS = {
    "article": Config(),
    "paper": Config(labels=TAGS, d_width=32),
    "small": Config(**SMALL, upsample="nearest", condition="norm", mode_seeking=0.1, learning_rate=5e-4),
    "tiny": Config(**TINY),
}


class Discriminator(nn.Module):
    """Pictures (N, 3, S, S) -> logits of being real (N,), logits of each label (N, T)."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.features = SRResNetFeatures(c)
        units = self.features.features * (c.size // 64) ** 2
        self.real = nn.Sequential(nn.Flatten(), nn.Linear(units, 1), nn.Flatten(0))
        self.label = nn.Sequential(nn.Flatten(), nn.Linear(units, len(c.labels)))
        self.real.apply(init_normal)
        self.label.apply(init_normal)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return both kinds of logits."""
        h = self.features(x)
        return self.real(h), self.label(h)


class ACGAN(ConditionalGAN):
    """`d_steps` updates of D, each on new real images, then one of G.

    The adversarial loss is multiplied by the number of labels, as the losses of labels are summed."""

    def __init__(self, config: Config, device: torch.device, held_out: Mapping[str, HeldOut]) -> None:
        super().__init__(config, SRResNetGenerator(config), Discriminator(config), device, held_out)

    def step(self, batch: dict[str, Tensor], i: int) -> dict[str, Tensor]:
        """Return the losses of D and G, each adversarial and of labels, and the penalty."""
        set_learning_rate([self.opt_g, self.opt_d], self.rate(i))
        weight = len(self.config.labels)
        for turn in range(self.config.d_steps):
            update_d = Update([self.opt_d])
            for x, y, z in self.micro_batches(batch, turn):
                with torch.no_grad():
                    fake = self.augment(self.g(z, y))
                x = self.augment(x)
                (on_real, real_labels), (on_fake, fake_labels) = self.d(x), self.d(fake)
                self.observe(on_real)
                loss_d = binary_cross_entropy(on_real, 1) + binary_cross_entropy(on_fake, 0)
                labels_d = label_loss(real_labels, y) + label_loss(fake_labels, y)
                penalty = self.penalty(lambda near: self.d(near)[0], x)
                loss = weight * loss_d + labels_d + self.config.penalty_weight * penalty
                update_d.add(loss, d=loss_d, d_labels=labels_d, penalty=penalty)
            update_d.apply()
        update_g = Update([self.opt_g])
        others = self.other_noise(self.config.batch_size)
        for (_, y, z), other in zip(self.micro_batches(batch, turn), others, strict=True):
            fake = self.g(z, y)
            on_fake, fake_labels = self.d(self.augment(fake))
            loss_g, labels_g = binary_cross_entropy(on_fake, 1), label_loss(fake_labels, y)
            alike = weight * self.likeness(fake, z, other, y)
            update_g.add(weight * loss_g + labels_g + alike, g=loss_g, g_labels=labels_g)
        update_g.apply()
        self.average.update(self.g, i)
        return update_g.mean_components() | update_d.mean_components()

    def rate(self, i: int) -> float:
        """Return the learning rate of step i."""
        return self.config.learning_rate * 0.5 ** (max(0, i - self.config.half_from) / self.config.half_life)


def label_loss(logits: Tensor, y: Tensor) -> Tensor:
    """Return -E Σ_t [y log σ(x) + (1 - y) log(1 - σ(x))] of logits and labels (N, T)."""
    return F.binary_cross_entropy_with_logits(as_fp32(logits), y.to(as_fp32(logits)), reduction="sum") / len(y)
