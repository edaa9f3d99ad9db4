"""StarGAN v2: pictures of one domain turned into pictures of another, in a style that is drawn or taken from a
reference. Choi, Uh, Yoo, Ha: "StarGAN v2: Diverse Image Synthesis for Multiple Domains", CVPR 2020,
https://arxiv.org/abs/1912.01865; written from the paper and the published figures of its networks and schedule.

As an article used it on photographs of women and anime faces (estyle, 2021): λ_ds = 2, grey pictures. The variant with
high-pass skips (`w_hpf` > 0) is left out: its masks come from a network that was trained on photographs.

Pictures are in [-1, 1] and G's last layer has no tanh: clamp before saving. In shapes: N batch, S side, K domains,
Z latent, E style. A domain is a row of weights (N, K), one-hot in training.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models import distributed
from models.contracts import HeldOut
from models.data.batches import in_range, to_pixels
from models.data.references import held_out_domains
from models.metrics.random_features import KernelDistance
from models.nn.ema import EMA
from models.nn.layers import InstanceNorm, to_channels_last
from models.nn.losses import as_fp32, binary_cross_entropy, r1
from models.sampling.images import grid
from models.seeds import seed_for
from models.training.update import Update, frozen

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue, ITU-R BT.601
BOTTLENECK = 16  # px: side of G's smallest map
LAST_MAP = 4  # px: side of the last map of E and of D
SHEET_SOURCES = 6
MAX_SHEET_STYLES = 2  # of each domain
MAX_JUDGED = 128  # pictures of a domain, and translations into it, that are compared in validation
PART = 16  # pictures that are translated at once for sheets and scores


@dataclass(frozen=True)
class Config:
    """The settings of StarGAN2. The defaults are the article's."""

    size: int = 256  # S, a power of two of 32 or more
    domains: tuple[str, ...] = ("photographs", "anime")  # their names, in the order of labels
    domain_column: str = ""  # of the manifest, whose classes are the domains; empty: each dataset is one
    gray: Literal["none", "anime", "both"] = "both"  # which domains are grey: none; anime: all but the first; both: all
    diversity: Literal["all", "luminance"] = "all"  # of what the difference between two styles is rewarded
    width: int = 64  # channels at S; the official ones: 2¹⁴ / S
    max_width: int = 512
    style: int = 64  # E
    latent: int = 16  # Z, of N(0, 1)
    hidden: int = 512  # units of the mapping network
    style_weight: float = 1.0  # λ_sty
    diversity_weight: float = 2.0  # λ_ds at step 0
    diversity_steps: int = 100_000  # over which λ_ds falls to 0
    cycle_weight: float = 1.0  # λ_cyc
    penalty_weight: float = 1.0  # λ_reg of R1
    crop_share: float = 0.5  # share of pictures that are cropped at random in training
    hflip: bool = True
    batch_size: int = 8
    micro_batches: int = 1
    learning_rate: float = 1e-4
    mapping_rate: float = 1e-6  # F's learning rate
    beta1: float = 0.0
    beta2: float = 0.99
    weight_decay: float = 1e-4
    average: float = 0.999  # decay of the moving averages of G, F and E
    steps: int = 100_000
    sample_every: int = 1000
    save_every: int = 5000

    @property
    def pictures(self) -> int:
        """Return the number of real images in a step: sources, and two references for each."""
        return 3 * self.batch_size

    @property
    def is_gray(self) -> tuple[bool, ...]:
        """Return of each domain whether it is grey."""
        return tuple(self.gray == "both" or (self.gray == "anime" and k > 0) for k in range(len(self.domains)))


PRESETS = {
    "article": Config(),
    "paper": Config(gray="none", diversity_weight=1.0),
    "small": Config(
        size=64,
        width=32,
        max_width=128,
        hidden=128,
        gray="none",
        diversity_weight=1.0,
        diversity_steps=3_000,
        learning_rate=2e-4,
        steps=3_000,
        sample_every=500,
        save_every=500,
    ),
    "tiny": Config(
        size=32,
        width=8,
        max_width=16,
        style=8,
        latent=4,
        hidden=16,
        gray="none",
        batch_size=4,
        diversity_steps=20,
        steps=20,
        sample_every=10,
        save_every=10,
    ),
}


# --- networks


class AdaIN(nn.Module):
    """Instance normalisation whose scale and shift are computed from a style."""

    def __init__(self, style: int, features: int) -> None:
        super().__init__()
        self.norm = InstanceNorm(features, affine=False)
        self.linear = nn.Linear(style, 2 * features)

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        """Return (N, C, H, W): (1 + γ) IN(x) + β, with γ and β of s (N, E)."""
        gamma, beta = self.linear(s)[:, :, None, None].chunk(2, dim=1)
        return (1 + gamma) * self.norm(x) + beta


class ResBlock(nn.Module):
    """A pre-activation residual block (N, narrow, H, W) -> (N, wide, H, W), or half as high and wide with `down`."""

    def __init__(self, narrow: int, wide: int, *, norm: bool = False, down: bool = False) -> None:
        super().__init__()
        self.norm1, self.norm2 = (InstanceNorm(narrow, affine=True) if norm else nn.Identity() for _ in range(2))
        self.conv1, self.conv2 = nn.Conv2d(narrow, narrow, 3, padding=1), nn.Conv2d(narrow, wide, 3, padding=1)
        self.skip = nn.Conv2d(narrow, wide, 1, bias=False) if narrow != wide else nn.Identity()
        self.down = nn.AvgPool2d(2) if down else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both ways over √2."""
        inner = self.down(self.conv1(_activation(self.norm1(x))))
        inner = self.conv2(_activation(self.norm2(inner)))
        return (self.skip(self.down(x)) + inner) / math.sqrt(2)  # 1 × 1 and mean: the same in either order


class StyledBlock(nn.Module):
    """A residual block (N, wide, H, W), s (N, E) -> (N, narrow, H, W), or twice as high and wide with `up`."""

    def __init__(self, wide: int, narrow: int, style: int, *, up: bool = False) -> None:
        super().__init__()
        self.norm1, self.norm2 = AdaIN(style, wide), AdaIN(style, narrow)
        self.conv1, self.conv2 = nn.Conv2d(wide, narrow, 3, padding=1), nn.Conv2d(narrow, narrow, 3, padding=1)
        self.skip = nn.Conv2d(wide, narrow, 1, bias=False) if narrow != wide else nn.Identity()
        self.up = nn.Upsample(scale_factor=2) if up else nn.Identity()

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        """Return the sum of both ways over √2."""
        inner = self.conv1(self.up(_activation(self.norm1(x, s))))
        inner = self.conv2(_activation(self.norm2(inner, s)))
        return (self.up(self.skip(x)) + inner) / math.sqrt(2)  # 1 × 1 and nearest: the same in either order


class Generator(nn.Module):
    """Pictures (N, 3, S, S), styles (N, E) -> pictures (N, 3, S, S), not clamped."""

    middle = 127.5

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.size, self.style = c.size, c.style
        widths = _widths(c, BOTTLENECK)
        wide = widths[-1]
        pairs = list(itertools.pairwise(widths))
        self.first = nn.Conv2d(3, c.width, 3, padding=1)
        down = [ResBlock(narrow, wide, norm=True, down=True) for narrow, wide in pairs]
        self.encode = nn.Sequential(*down, ResBlock(wide, wide, norm=True), ResBlock(wide, wide, norm=True))
        up = [StyledBlock(wide, narrow, c.style, up=True) for narrow, wide in reversed(pairs)]
        self.decode = nn.ModuleList([StyledBlock(wide, wide, c.style), StyledBlock(wide, wide, c.style), *up])
        self.norm = InstanceNorm(c.width, affine=True)
        self.paint = nn.Conv2d(c.width, 3, 1)
        self.apply(init_he)

    def io_shapes(self) -> tuple[list[tuple[int, ...]], tuple[int, ...]]:
        """Return the shapes of the inputs, and of the output, for one picture."""
        image = (1, 3, self.size, self.size)
        return [image, (1, self.style)], image

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        """Return x in the style s."""
        x = self.encode(self.first(x))
        for block in self.decode:
            x = block(x, s)
        painted: Tensor = self.paint(_activation(self.norm(x)))
        return painted


class MappingNetwork(nn.Module):
    """z (N, Z), domains y (N, K) -> styles (N, E)."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.latent, self.domains, self.style = c.latent, len(c.domains), c.style

        def hidden(count: int, units: int) -> list[nn.Module]:
            layers = [(nn.Linear(units if i == 0 else c.hidden, c.hidden), nn.ReLU()) for i in range(count)]
            return [layer for pair in layers for layer in pair]

        self.shared = nn.Sequential(*hidden(4, c.latent))
        self.own = nn.ModuleList(
            nn.Sequential(*hidden(3, c.hidden), nn.Linear(c.hidden, c.style)) for _ in range(self.domains)
        )
        self.apply(init_he)

    def io_shapes(self) -> tuple[list[tuple[int, ...]], tuple[int, ...]]:
        """Return the shapes of the inputs, and of the output, for one z."""
        return [(1, self.latent), (1, self.domains)], (1, self.style)

    def noise(self, count: int, rng: torch.Generator | None = None) -> Tensor:
        """Return z (count, Z) on the network's device, drawn from `rng` if one is given."""
        device = next(self.parameters()).device
        return torch.randn(count, self.latent, generator=rng, device=rng.device if rng else device).to(device)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """Return styles."""
        h = self.shared(z)
        return _pick(torch.stack([layers(h) for layers in self.own], dim=1), y)


class StyleEncoder(nn.Module):
    """Pictures (N, 3, S, S), their domains y (N, K) -> their styles (N, E)."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.size, self.domains, self.style = c.size, len(c.domains), c.style
        self.trunk, wide = _trunk(c)
        self.own = nn.Linear(wide, self.domains * c.style)
        self.apply(init_he)

    def io_shapes(self) -> tuple[list[tuple[int, ...]], tuple[int, ...]]:
        """Return the shapes of the inputs, and of the output, for one picture."""
        return [(1, 3, self.size, self.size), (1, self.domains)], (1, self.style)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return styles."""
        return _pick(self.own(self.trunk(x)).unflatten(1, (self.domains, self.style)), y)


class Discriminator(nn.Module):
    """Pictures (N, 3, S, S), domains y (N, K) -> logits (N,): whether they are real ones of that domain."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.trunk, wide = _trunk(c)
        self.own = nn.Linear(wide, len(c.domains))
        self.apply(init_he)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return logits."""
        return _pick(self.own(self.trunk(x)), y)


def _activation(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


def _pick(each: Tensor, y: Tensor) -> Tensor:
    """Return (N, …) of each domain's (N, K, …): that of y (N, K), mixed if it is soft."""
    return torch.einsum("nk...,nk->n...", each, y.to(each))


def _widths(c: Config, last: int) -> list[int]:
    """Return the channels of the maps of S, S/2, … `last` px."""
    halvings = round(math.log2(c.size / last))
    if halvings < 1 or last << halvings != c.size:
        raise ValueError(f"size={c.size}: a power of two of {2 * BOTTLENECK} or more expected")
    return [min(c.width << level, c.max_width) for level in range(halvings + 1)]


def _trunk(c: Config) -> tuple[nn.Sequential, int]:
    """Return (layers (N, 3, S, S) -> (N, W), W): those of E and of D before what each domain has of its own."""
    widths = _widths(c, LAST_MAP)
    wide = widths[-1]
    down = [ResBlock(narrow, wider, down=True) for narrow, wider in itertools.pairwise(widths)]
    last = nn.Conv2d(wide, wide, LAST_MAP)
    layers = [nn.Conv2d(3, c.width, 3, padding=1), *down, nn.LeakyReLU(0.2), last, nn.LeakyReLU(0.2), nn.Flatten()]
    return nn.Sequential(*layers), wide


def init_he(module: nn.Module) -> None:
    """Draw He's weights and set biases to 0. For `Module.apply`."""
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


# --- colour


def luminance(x: Tensor) -> Tensor:
    """Return (N, 1, H, W) of pictures (N, 3, H, W)."""
    return (x * x.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)


def grayed(x: Tensor, y: Tensor, is_gray: tuple[bool, ...]) -> Tensor:
    """Return pictures x (N, 3, H, W), of which those whose domain y (N, K) is grey are so."""
    if not any(is_gray):
        return x
    share = y.to(x) @ x.new_tensor(is_gray)
    return torch.where(share[:, None, None, None] > 0.5, luminance(x).expand_as(x), x)


# --- training


class _Part(NamedTuple):
    """A micro-batch."""

    x: Tensor  # (N, 3, S, S) sources
    y: Tensor  # (N, K) their domains
    target: Tensor  # (N, K) domains to translate to
    references: tuple[Tensor, Tensor]  # (N, 3, S, S) each, of the domain `target`
    latents: tuple[Tensor, Tensor]  # (N, Z) each


class StarGAN2:
    """Four updates in a step: of D, with styles of z and with styles of references; of G, F and E with styles of z; of
    G alone with styles of references, as training E there makes it diverge."""

    def __init__(self, config: Config, device: torch.device, held_out: Mapping[str, HeldOut]) -> None:
        self.config, self.device, self.held_out = config, device, held_out
        self.g: Any = to_channels_last(Generator(config).to(device))
        self.f: Any = to_channels_last(MappingNetwork(config).to(device))
        self.e: Any = to_channels_last(StyleEncoder(config).to(device))
        self.d: Any = to_channels_last(Discriminator(config).to(device))
        self.average_g, self.average_f, self.average_e = (EMA(net, config.average) for net in (self.g, self.f, self.e))
        adam: dict[str, Any] = {"betas": (config.beta1, config.beta2), "weight_decay": config.weight_decay}

        def optimizer(network: nn.Module, rate: float) -> torch.optim.Adam:
            return torch.optim.Adam(network.parameters(), rate, **adam, fused=True)

        self.opt_g, self.opt_f = optimizer(self.g, config.learning_rate), optimizer(self.f, config.mapping_rate)
        self.opt_e, self.opt_d = (optimizer(net, config.learning_rate) for net in (self.e, self.d))

    def exported(self) -> dict[str, nn.Module]:
        """Return the averaged networks that translate."""
        averages = {"generator": self.average_g, "mapping": self.average_f, "style_encoder": self.average_e}
        return {name: average.network for name, average in averages.items()}

    def diversity_weight(self, i: int) -> float:
        """Return λ_ds of step i: it falls linearly to 0. A function of i, so that resuming changes nothing."""
        return self.config.diversity_weight * max(0.0, 1 - i / self.config.diversity_steps)

    def step(self, batch: dict[str, Tensor], i: int) -> dict[str, Tensor]:
        """Do the four updates, all on the same pictures and z. Return their losses."""
        parts, weight = self._parts(batch), self.diversity_weight(i)
        losses = self._update_d(parts, "latent") | self._update_d(parts, "reference")
        losses |= self._update_g(parts, "latent", weight) | self._update_g(parts, "reference", weight)
        for average, network in ((self.average_g, self.g), (self.average_f, self.f), (self.average_e, self.e)):
            average.update(network, i)
        return losses

    def _parts(self, batch: dict[str, Tensor]) -> list[_Part]:
        """Return the micro-batches of a batch, with this process's part of z."""
        y, target = batch["label"], batch["target"]
        x, *references = (
            grayed(in_range(batch[key], self.g.middle), domain, self.config.is_gray)
            for key, domain in (("picture", y), ("reference", target), ("other_reference", target))
        )
        latents = (distributed.shard(self.f.noise(self.config.batch_size)) for _ in range(2))
        columns = (tensor.chunk(self.config.micro_batches) for tensor in (x, y, target, *references, *latents))
        return [_Part(x, y, to, (r, r2), (z, z2)) for x, y, to, r, r2, z, z2 in zip(*columns, strict=True)]

    def _styles(self, part: _Part, kind: str, index: int) -> Tensor:
        if kind == "latent":
            styles: Tensor = self.f(part.latents[index], part.target)
        else:
            styles = self.e(part.references[index], part.target)
        return styles

    def _translate(self, x: Tensor, s: Tensor, y: Tensor) -> Tensor:
        return grayed(self.g(x, s), y, self.config.is_gray)

    def _update_d(self, parts: list[_Part], kind: str) -> dict[str, Tensor]:
        """Update D on real pictures and on translations in styles of `kind`. Return its loss, and R1's."""
        update = Update([self.opt_d])
        for part in parts:
            with torch.no_grad():
                fake = self._translate(part.x, self._styles(part, kind, 0), part.target)
            logits, penalty = r1(lambda x, y=part.y: self.d(x, y), part.x)  # type: ignore[misc]
            loss = binary_cross_entropy(logits, 1) + binary_cross_entropy(self.d(fake, part.target), 0)
            update.add(loss + self.config.penalty_weight * penalty, d=loss, penalty=penalty)
        update.apply()
        return _components(update, kind)

    def _update_g(self, parts: list[_Part], kind: str, diversity_weight: float) -> dict[str, Tensor]:
        """Update G, and with latents F and E too, on translations in two styles each. Return the loss's terms."""
        is_latent = kind == "latent"
        update = Update([self.opt_g, self.opt_f, self.opt_e] if is_latent else [self.opt_g])
        with frozen(self.d, *(() if is_latent else (self.e,))):
            for part in parts:
                g, style, diversity, cycle = self._terms(part, kind)
                loss = g + self.config.style_weight * style + self.config.cycle_weight * cycle
                update.add(loss - diversity_weight * diversity, g=g, style=style, diversity=diversity, cycle=cycle)
            update.apply()
        return _components(update, kind)

    def _terms(self, part: _Part, kind: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the four terms of the loss of G: adversarial, of style, of diversity and of the cycle."""
        s = self._styles(part, kind, 0)
        fake = self._translate(part.x, s, part.target)
        with torch.no_grad():
            other = self._translate(part.x, self._styles(part, kind, 1), part.target)
        seen = luminance if self.config.diversity == "luminance" else as_fp32
        back = self._translate(fake, self.e(part.x, part.y), part.y)
        return (
            binary_cross_entropy(self.d(fake, part.target), 1),
            _l1(self.e(fake, part.target), s),
            _l1(seen(as_fp32(fake)), seen(as_fp32(other))),
            _l1(back, part.x),
        )

    # --- what is shown and measured

    @torch.no_grad()
    def _painted(self, x: Tensor, s: Tensor, y: Tensor) -> np.ndarray:
        """Return (N, S, S, 3) uint8 translations of x in the styles s by the averaged G."""
        parts = []
        for some, styles, domains in zip(x.split(PART), s.split(PART), y.split(PART), strict=True):
            painted = grayed(self.average_g(some, styles), domains, self.config.is_gray)
            parts.append(to_pixels(painted, self.g.middle))
        return np.concatenate(parts)

    def _pictures(self, domain: int, count: int) -> tuple[Tensor, Tensor]:
        """Return the first `count` held-out pictures (N, 3, S, S) of a domain, in its colours; and y (N, K)."""
        pictures = held_out_domains(self.held_out, len(self.config.domains))[domain][:count]
        y = self._one_hot(domain, len(pictures))
        x = in_range(torch.from_numpy(np.array(pictures)).to(self.device), self.g.middle)
        return grayed(x, y, self.config.is_gray), y

    def _one_hot(self, domain: int, count: int) -> Tensor:
        return torch.eye(len(self.config.domains), device=self.device)[[domain] * count]

    @torch.no_grad()
    def sheet(self, i: int) -> np.ndarray:
        """Return (H, W, 3) uint8: a row for each source picture, which comes first; then its translations, in styles of
        the same z of each domain at every step. Below, the same in the styles of the references that head the columns.
        """
        domains = len(self.config.domains)
        styles = MAX_SHEET_STYLES if domains <= 4 else 1
        own = [self._pictures(domain, max(styles, SHEET_SOURCES)) for domain in range(domains)]
        x = torch.cat([own[k % domains][0][k // domains :][:1] for k in range(SHEET_SOURCES)])
        references = torch.cat([pictures[-styles:] for pictures, _ in own])
        y = torch.cat([y[-styles:] for _, y in own])
        z = self.average_f.network.noise(len(y), torch.Generator().manual_seed(seed_for("sheet")))
        white = torch.ones_like(x[:1])
        rows = [self._rows(x, self.average_f(z, y), y)]
        rows += [
            to_pixels(torch.cat([white, references]), self.g.middle),
            self._rows(x, self.average_e(references, y), y),
        ]
        return grid(np.concatenate(rows), columns=1 + len(y))

    def _rows(self, x: Tensor, s: Tensor, y: Tensor) -> np.ndarray:
        """Return (N (1 + M), S, S, 3) uint8: each of x (N, …), then its translations in the styles s (M, E)."""
        found = []
        for source in x:
            found += [to_pixels(source[None], self.g.middle), self._painted(source.expand(len(s), -1, -1, -1), s, y)]
        return np.concatenate(found)

    @torch.no_grad()
    def validate(self, i: int) -> dict[str, float]:
        """Return the distance of translations, in styles of the same z at every step, from held-out pictures of the
        domain they are translated to: the mean over domains."""
        domains, found = range(len(self.config.domains)), []
        for domain in domains:
            real, _ = self._pictures(domain, MAX_JUDGED)
            each = -(-MAX_JUDGED // (len(domains) - 1))
            x = torch.cat([self._pictures(other, each)[0] for other in domains if other != domain])[:MAX_JUDGED]
            y = self._one_hot(domain, len(x))
            z = self.average_f.network.noise(len(x), torch.Generator().manual_seed(seed_for("validation", domain)))
            found.append(
                KernelDistance(to_pixels(real, self.g.middle), self.device)(self._painted(x, self.average_f(z, y), y))
            )
        return {"kid_random": sum(found) / len(found)}


def _components(update: Update, kind: str) -> dict[str, Tensor]:
    return {f"{name}_{kind}": loss for name, loss in update.mean_components().items()}


def _l1(a: Tensor, b: Tensor) -> Tensor:
    return (as_fp32(a) - as_fp32(b)).abs().mean()
