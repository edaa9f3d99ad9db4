"""What SRGAN and ESRGAN share: two phases of one run, the compact network, the discriminator of ESRGAN's authors, and
the training.

* phase 1 trains the generator alone, for `pretrain_steps`. What it ends with is kept as the network `pretrained`, with
  which that of phase 2 can be mixed later;
* phase 2 trains it against a discriminator, with a perceptual loss. Its optimizer starts anew, as in a run of its own.

The phase is a function of the step. Pictures are in 0..1; what a network returns may be beyond: clamp before saving. In
shapes: N batch, S side of a crop, SCALE = 4; H and W of small pictures.
"""

import functools
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.contracts import HeldOutCrops
from models.data.batches import from_unit_range, in_unit_range
from models.data.dataset import UserError
from models.data.resampling import SCALE, enlarge
from models.metrics.fidelity import psnr, ssim
from models.metrics.lpips import LPIPS
from models.nn.ema import EMA
from models.nn.layers import BatchNorm, to_channels_last
from models.nn.losses import as_fp32, binary_cross_entropy, relativistic_average
from models.nn.perceptual import PerceptualLoss
from models.nn.vgg import BLOCKS, VGG16, load_vgg16, random_vgg16
from models.sampling.images import grid, with_headings
from models.training.collapse import CollapseGuard
from models.training.update import Update, set_learning_rate

COMPACT_CONVOLUTIONS = 16  # between the first and the last one
PRELU_SLOPE, INITIAL_NOISE = 0.25, 0.1  # of the compact network at first
LAST_MAP = 4  # px: side of the discriminator's smallest map, or less
MAX_WIDENING = 8  # the discriminator's widest layer by its first
HIDDEN = 100  # units of the discriminator before its logit
COLUMNS = ["low", "bicubic", "output", "truth"]
SHEET_PICTURES = 6
PART = 8  # pictures that are enlarged or compared at once


@dataclass(frozen=True)
class Config:
    """The settings that SRGAN and ESRGAN share. Weights are those of the terms of G's loss in phase 2."""

    size: int = 256  # S, a multiple of 4
    degrade: Literal["bicubic", "jpeg"] = "bicubic"  # how small pictures are made: jpeg: most are compressed, too
    hflip: bool = False
    turns: bool = False  # whether crops are turned by multiples of 90 degrees
    width: int = 64  # of G
    blocks: int = 15  # of G; COMPACT_CONVOLUTIONS has its own number
    d_width: int = 64  # of D's first layer
    vgg: Literal["imagenet", "random"] = "imagenet"  # weights of the network of the perceptual loss
    vgg_scale: Literal["caffe", "torch"] = "caffe"  # which of both the features are as large as
    layers: tuple[int, ...] = (1, 2, 3, 4, 5)  # the blocks of VGG16 whose last convolutions are compared
    activation: Literal["before", "after"] = "after"  # the ReLU of those
    distance: Literal["l1", "l2"] = "l2"  # of features
    perceptual_weight: float = 1.0
    l1_weight: float = 0.0
    adversarial_weight: float = 1e-3
    relativistic: bool = False  # D compares real pictures with the mean of fakes, and fakes with that of real ones
    pretrain_loss: Literal["perceptual", "l1", "mse"] = "perceptual"
    pretrain_steps: int = 20_000
    pretrain_rate: float = 2e-4
    pretrain_schedule: Literal["constant", "cosine", "halving"] = "constant"
    pretrain_period: int = 250_000  # steps: cosine: from one restart to the next; halving: until the rate is half
    learning_rate: float = 2e-4  # of phase 2
    milestones: tuple[int, ...] = (50_000, 100_000, 200_000, 300_000)  # steps of phase 2 at which the rate changes …
    decay: float = 1.0  # … by this factor
    beta1: float = 0.5
    beta2: float = 0.999
    collapse_ratio: float = 1.5  # a score worse than the best times this is a collapse (CollapseGuard); 0: none is
    collapse_drop: float = 6.0  # dB: so is a PSNR this much below the best: LPIPS hardly sees that all gets darker
    collapse_every: int = 1000  # steps between two looks for it
    average: float = 0.0  # decay of G's moving average, which is validated and exported; 0: G itself
    batch_size: int = 8
    micro_batches: int = 1
    steps: int = 100_000
    sample_every: int = 1000
    save_every: int = 5000

    @property
    def pictures(self) -> int:
        """Return the number of crops in a step."""
        return self.batch_size


TINY: dict[str, Any] = {
    "size": 32,
    "width": 8,
    "blocks": 1,
    "d_width": 4,
    "vgg": "random",
    "vgg_scale": "torch",
    "layers": (1, 2),
    "pretrain_steps": 1,
    "collapse_ratio": 0.0,
    "average": 0.9,
    "batch_size": 4,
    "steps": 20,
    "sample_every": 10,
    "save_every": 10,
}
"""What the preset `tiny` of both changes."""
OFFICIAL: dict[str, Any] = {
    "size": 128,
    "hflip": True,
    "turns": True,
    "vgg_scale": "torch",
    "layers": (5,),
    "l1_weight": 0.01,
    "pretrain_steps": 1_000_000,
    "pretrain_schedule": "cosine",
    "learning_rate": 1e-4,
    "decay": 0.5,
    "beta1": 0.9,
    "beta2": 0.99,
    "collapse_every": 5000,
    "average": 0.999,
    "batch_size": 16,
    "steps": 1_400_000,
    "sample_every": 5000,
    "save_every": 10_000,
}
"""What the preset `official` of both changes."""
COMPACT: dict[str, Any] = {
    "network": "compact",
    "size": 96,
    "hflip": True,
    "turns": True,
    "d_width": 32,
    "vgg_scale": "torch",
    "layers": (1, 2, 3, 4),
    "activation": "before",
    "distance": "l1",
    "perceptual_weight": 0.1,  # the features differ by 15 or so: with 1 nothing else would count
    "adversarial_weight": 1e-2,
    "l1_weight": 0.1,
    "relativistic": True,
    "pretrain_loss": "l1",
    "pretrain_steps": 20_000,
    "pretrain_rate": 5e-4,
    "pretrain_schedule": "cosine",
    "pretrain_period": 20_000,
    "learning_rate": 1e-4,
    "milestones": (2_000, 3_000),
    "decay": 0.5,
    "beta1": 0.9,
    "beta2": 0.99,
    "collapse_every": 500,
    "average": 0.999,
    "steps": 24_000,
    "sample_every": 500,
    "save_every": 500,
}
"""What the preset `compact` of both changes."""
SMALL: dict[str, Any] = COMPACT | {
    "size": 64,
    "width": 32,
    "pretrain_steps": 10_000,
    "pretrain_period": 10_000,
    "milestones": (1_000, 1_500),
    "steps": 12_000,
}
"""What the preset `small` of both changes."""


class Upscaler(nn.Module):
    """A generator: pictures (N, 3, H, W) -> (N, 3, SCALE H, SCALE W), of any H and W."""

    reach = 28
    """Px of the small picture from which on others hardly change a pixel: by less than 1e-3."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.size = c.size

    def io_shapes(self) -> tuple[list[tuple[int, ...]], tuple[int, ...]]:
        """Return the shapes of the input for one crop, and of the output."""
        low = self.size // SCALE
        return [(1, 3, low, low)], (1, 3, self.size, self.size)


class Compact(Upscaler):
    """Convolutions of the small picture, and one that makes a square of SCALE × SCALE px of each of its pixels, which
    are added to that pixel. The layout of SRVGGNetCompact of Real-ESRGAN's authors (Wang et al. 2021,
    https://arxiv.org/abs/2107.10833): 621,424 weights at width 64."""

    reach = COMPACT_CONVOLUTIONS + 2

    def __init__(self, c: Config) -> None:
        super().__init__(c)
        widths = [3, *[c.width] * (1 + COMPACT_CONVOLUTIONS)]
        layers: list[nn.Module] = []
        for narrow, wide in itertools.pairwise(widths):
            layers += [nn.Conv2d(narrow, wide, 3, padding=1), nn.PReLU(wide, PRELU_SLOPE)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(c.width, 3 * SCALE**2, 3, padding=1), nn.PixelShuffle(SCALE))
        self._init_near_identity()

    def _init_near_identity(self) -> None:
        """Let each convolution between the first and the last one pass on its maps, with a little noise. With PyTorch's
        weights a picture is 1e-4 of itself behind all of them, and drawings are enlarged pixels for many steps."""
        first, *inner, last = (layer for layer in self.layers if isinstance(layer, nn.Conv2d))
        nn.init.kaiming_normal_(first.weight, a=PRELU_SLOPE)
        for layer in inner:
            identity = nn.init.dirac_(torch.empty_like(layer.weight))
            nn.init.kaiming_normal_(layer.weight, a=PRELU_SLOPE).data.mul_(INITIAL_NOISE).add_(identity)
        last.weight.data.mul_(INITIAL_NOISE)
        for layer in (first, *inner, last):
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the large pictures."""
        enlarged: Tensor = self.layers(x) + F.interpolate(x, scale_factor=float(SCALE))
        return enlarged


class VGGDiscriminator(nn.Module):
    """Pictures (N, 3, S, S) -> logits (N,), as in ESRGAN's code: S is halved until LAST_MAP or less is left."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        side, level, width = c.size, 0, c.d_width
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), _leaky_relu()]
        while side > LAST_MAP and side % 2 == 0:
            wide = c.d_width * min(2**level, MAX_WIDENING)
            if level:
                layers += [nn.Conv2d(width, wide, 3, padding=1, bias=False), BatchNorm(wide), _leaky_relu()]
            layers += [nn.Conv2d(wide, wide, 4, 2, 1, bias=False), BatchNorm(wide), _leaky_relu()]
            side, level, width = side // 2, level + 1, wide
        head = [nn.Linear(width * side**2, HIDDEN), _leaky_relu(), nn.Linear(HIDDEN, 1)]
        self.layers = nn.Sequential(*layers, nn.Flatten(), *head)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.layers(x).squeeze(1)
        return logits


def _leaky_relu() -> nn.Module:
    return nn.LeakyReLU(0.2, inplace=True)


def learning_rate(i: int, c: Config) -> float:
    """Return the learning rate of step i, in either phase."""
    if i >= c.pretrain_steps:
        return c.learning_rate * c.decay ** sum(i - c.pretrain_steps >= milestone for milestone in c.milestones)
    if c.pretrain_schedule == "cosine":
        return c.pretrain_rate * (1 + math.cos(math.pi * (i % c.pretrain_period) / c.pretrain_period)) / 2
    return c.pretrain_rate * (0.5 ** (i // c.pretrain_period) if c.pretrain_schedule == "halving" else 1.0)


class SuperResolution:
    """The training. `vgg16` is the file with VGG16's weights, which `vgg` imagenet needs."""

    def __init__(
        self,
        config: Config,
        generator: nn.Module,
        discriminator: nn.Module,
        device: torch.device,
        held_out: Mapping[str, HeldOutCrops],
        vgg16: Path | None,
    ) -> None:
        self.config, self.device, self.held_out = config, device, held_out
        self.g: Any = to_channels_last(generator.to(device))
        self.d: Any = to_channels_last(discriminator.to(device))
        self.average, self.pretrained = EMA(self.g, config.average), EMA(self.g, 0)
        betas = (config.beta1, config.beta2)
        self.opt_g, self.opt_d = (
            torch.optim.Adam(network.parameters(), config.learning_rate, betas, fused=True)
            for network in (self.g, self.d)
        )
        self.collapse: CollapseGuard | None = None
        if config.collapse_ratio:
            networks = {"g": self.g, "d": self.d, "average": self.average, "pretrained": self.pretrained}
            every, ratio, drops = config.collapse_every, config.collapse_ratio, {"psnr": config.collapse_drop}
            self.collapse = CollapseGuard(networks, [self.opt_g, self.opt_d], every=every, ratio=ratio, drops=drops)
        network = to_channels_last(_vgg16(config, vgg16).to(device))
        is_activated = config.activation == "after"
        self._perceptual = PerceptualLoss(
            network, config.layers, activated=is_activated, distance=config.distance, scale=config.vgg_scale
        )
        self._lpips = LPIPS(network.block_features)

    def step(self, batch: dict[str, Tensor], i: int) -> dict[str, Tensor]:
        """Return the weighted terms of G's loss, and D's loss in phase 2."""
        c = self.config
        rate = self.collapse.rate if self.collapse else 1.0
        set_learning_rate([self.opt_g, self.opt_d], rate * learning_rate(i, c))
        if i == c.pretrain_steps:
            self.opt_g.state.clear()
        parts = zip(*(in_unit_range(batch[key]).chunk(c.micro_batches) for key in ("low", "high")), strict=True)
        is_pretraining = i < c.pretrain_steps
        losses = self._pretrain(parts) if is_pretraining else self._compete(parts)
        self.average.update(self.g, i)
        if is_pretraining:
            self.pretrained.update(self.average.network, i)
        return losses

    def _pretrain(self, parts: Iterator[tuple[Tensor, ...]]) -> dict[str, Tensor]:
        """Update G alone. Return its loss."""
        update = Update([self.opt_g])
        for low, high in parts:
            fake = self.g(low)
            if self.config.pretrain_loss == "perceptual":
                loss = self._perceptual(fake, high)
            else:
                error = as_fp32(fake) - high
                loss = error.abs().mean() if self.config.pretrain_loss == "l1" else error.square().mean()
            update.add(loss, pretrain=loss)
        update.apply()
        return update.mean_components()

    def _compete(self, parts: Iterator[tuple[Tensor, ...]]) -> dict[str, Tensor]:
        """Update G, and D as it was when it judged G's pictures: one pass of D serves both. Return the losses."""
        update_g, update_d = Update([self.opt_g]), Update([self.opt_d])
        for low, high in parts:
            fake = self.g(low)
            of_real, of_fake = self.d(high), self.d(fake)
            terms = self._terms(fake, high, of_real.detach(), of_fake)
            update_g.add(torch.stack([*terms.values()]).sum(), keep_graph=True, **terms)
            loss = self._d_loss(of_real, of_fake)
            update_d.add(loss, d=loss)
        update_g.apply()
        update_d.apply()
        return update_g.mean_components() | update_d.mean_components()

    def _terms(self, fake: Tensor, high: Tensor, of_real: Tensor, of_fake: Tensor) -> dict[str, Tensor]:
        """Return the weighted terms of G's loss; one of weight 0 is left out."""
        c = self.config
        found = {"adversarial": c.adversarial_weight * self._g_loss(of_real, of_fake)}
        if c.perceptual_weight:
            found["perceptual"] = c.perceptual_weight * self._perceptual(fake, high)
        if c.l1_weight:
            found["l1"] = c.l1_weight * (as_fp32(fake) - high).abs().mean()
        return found

    def _g_loss(self, of_real: Tensor, of_fake: Tensor) -> Tensor:
        if self.config.relativistic:
            return relativistic_average(of_fake, of_real)
        return binary_cross_entropy(of_fake, 1)

    def _d_loss(self, of_real: Tensor, of_fake: Tensor) -> Tensor:
        if self.config.relativistic:
            return relativistic_average(of_real, of_fake)
        return binary_cross_entropy(of_real, 1) + binary_cross_entropy(of_fake, 0)

    def exported(self) -> dict[str, nn.Module]:
        """Return the averaged network, and that which phase 1 ended with: in phase 1 they are the same."""
        return {"generator": self.average.network, "pretrained": self.pretrained.network}

    # --- what is shown and measured

    @torch.no_grad()
    def _enlarged(self, count: int) -> np.ndarray:
        """Return (M, S, S, 3) uint8: the first `count` held-out crops by the averaged network."""
        low = torch.from_numpy(self._held_out.low[:count])
        parts = (self.average(in_unit_range(part.to(self.device))) for part in low.split(PART))
        return np.concatenate([from_unit_range(part) for part in parts])

    def sheet(self, i: int) -> np.ndarray:
        """Return (H, W, 3) uint8: a row for each of some held-out crops, as COLUMNS says; the small one is shown as
        squares."""
        high, low = (pictures[:SHEET_PICTURES] for pictures in self._held_out)
        squares = low.repeat(SCALE, 1).repeat(SCALE, 2)
        columns = [squares, self._bicubic[:SHEET_PICTURES], self._enlarged(SHEET_PICTURES), high]
        rows = np.stack(columns, 1).reshape(-1, *high.shape[1:])
        return with_headings(grid(rows, columns=len(COLUMNS)), COLUMNS)

    def validate(self, i: int) -> dict[str, float]:
        """Return LPIPS, PSNR (dB) and SSIM of held-out crops, and those of bicubic interpolation. With random weights
        of VGG16 the first is no LPIPS, and not called so."""
        found = self._measures(self._enlarged(len(self._held_out.low)))
        return found | {f"{name}_bicubic": value for name, value in self._measures_of_bicubic.items()}

    @torch.no_grad()
    def _measures(self, pictures: np.ndarray) -> dict[str, float]:
        high = self._held_out.high
        pairs = zip(*(torch.from_numpy(each).split(PART) for each in (pictures, high)), strict=True)
        distances = torch.cat(
            [self._lpips(*(2 * in_unit_range(part.to(self.device)) - 1 for part in pair)) for pair in pairs]
        )
        name = "lpips" if self.config.vgg == "imagenet" else "random_features"
        scores = {name: distances.cpu().numpy(), "psnr": psnr(pictures, high), "ssim": ssim(pictures, high)}
        return {key: float(values.mean()) for key, values in scores.items()}

    @functools.cached_property
    def _bicubic(self) -> np.ndarray:
        return np.stack([enlarge(low) for low in self._held_out.low])

    @functools.cached_property
    def _measures_of_bicubic(self) -> dict[str, float]:
        return self._measures(self._bicubic)

    @property
    def _held_out(self) -> HeldOutCrops:
        (held_out,) = self.held_out.values()
        return held_out


def _vgg16(c: Config, path: Path | None) -> VGG16:
    """Return VGG16 with the weights that the Config names. Raise UserError if it has no file, or no such layer."""
    if not 1 <= min(c.layers) <= max(c.layers) <= BLOCKS:
        found = f"layers={','.join(map(str, c.layers))} given"
        raise UserError("--set", found, f"blocks of VGG16, 1 to {BLOCKS}", "give others")
    if c.vgg == "random":
        return random_vgg16()
    if path is None:
        raise UserError("VGG16", "no file with its weights", "vgg16.ckpt", "give it, or --set vgg=random")
    return load_vgg16(path)
