"""What GANs with one generator and one discriminator share: not how they are trained."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from models import distributed as ranks
from models import metrics
from models.data.dataset import HAIR_COLORS, in_range, seed_for
from models.nn.ema import EMA
from models.nn.losses import dragan
from models.sampling.images import generate_images, grid


class GAN:
    """The networks, G's average and the optimizers; what is shown, and how it is judged while it trains.

    `step` is each paper's own. A conditional GAN also says which conditions its samples are shown with."""

    def __init__(
        self, config, generator: nn.Module, discriminator: nn.Module, device: torch.device, held_out: np.ndarray, **adam
    ):
        self.config, self.device = config, device
        self.held_out = held_out  # (M, S, S, 3) uint8 pictures that are not trained on
        self.g = generator.to(device, memory_format=torch.channels_last)
        self.d = discriminator.to(device, memory_format=torch.channels_last)
        self.average = EMA(self.g, config.average)
        self.opt_g = torch.optim.Adam(self.g.parameters(), **adam, fused=True)
        self.opt_d = torch.optim.Adam(self.d.parameters(), **adam, fused=True)

    def real(self, picture: Tensor) -> Iterator[Tensor]:
        """(N, S, S, 3) uint8 as (N, 3, S, S) in [-1, 1], in micro-batches."""
        yield from in_range(picture, self.g.middle).chunk(self.config.micro_batches)

    def noise(self, count: int) -> Iterator[Tensor]:
        """This process's share of z for `count` pictures, in micro-batches."""
        yield from ranks.share(self.g.noise(count)).chunk(self.config.micro_batches)

    def exported(self) -> nn.Module:
        """The network that a run is kept for."""
        return self.average.network

    def shown(self, count: int) -> tuple[Tensor, ...]:
        """What G paints `count` samples from: the same at every step."""
        return (self.average.network.noise(count, torch.Generator().manual_seed(seed_for("sheet"))),)

    def sheet(self, i: int) -> np.ndarray:
        """(H, W, 3) uint8: ten by ten of the averaged G's pictures, of the same z at every step."""
        return grid(generate_images(self.average.network, *self.shown(100)), columns=10)

    @functools.cached_property
    def _distance(self) -> metrics.SlicedWasserstein:
        return metrics.SlicedWasserstein(self.held_out, self.device)

    def validate(self, i: int) -> dict[str, float]:
        """How far samples lie from held-out pictures: lower is better."""
        fake = generate_images(self.average.network, *self.shown(len(self.held_out)))
        return {"sliced_wasserstein": self._distance(fake)}


@dataclass(frozen=True)
class ConditionalConfig:
    """What GANs have that paint what they are asked for."""

    size: int = 128  # S
    labels: tuple[str, ...] = HAIR_COLORS
    latent: int = 128  # Z, of N(0, 1)
    condition: str = "concat"  # how it enters G: concat to z, or norm, by the scales and shifts of batch normalisation
    squeeze: int = 0  # squeeze-and-excitation in G's blocks, by this factor; 0: none
    penalty: str = "interpolated"  # DRAGAN's, see `losses.dragan`; or noise
    penalty_weight: float = 0.5
    d_steps: int = 1  # of D, before each of G
    hflip: bool = True
    batch_size: int = 64
    micro_batches: int = 1
    learning_rate: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    average: float = 0.0  # decay of G's moving average, which is sampled; 0: G itself
    steps: int = 50_000  # of G
    sample_every: int = 1000
    save_every: int = 2000

    @property
    def pictures(self) -> int:
        """Real pictures that a step takes: a batch for each step of D."""
        return self.batch_size * self.d_steps


class ConditionalGenerator(nn.Module):
    """A generator from z of N(0, 1)^Z and a condition (N, T): the share of each of `labels`, one-hot or soft."""

    middle = 127.5
    normal = True  # z is of N(0, 1), which has tails

    def __init__(self, c: ConditionalConfig):
        super().__init__()
        if c.condition not in ("concat", "norm"):
            raise ValueError(f"condition: concat or norm expected, {c.condition} found")
        self.latent, self.labels, self.concat = c.latent, c.labels, c.condition == "concat"
        self.entering = c.latent + len(c.labels) * self.concat  # units of the first layer
        self.conditions = 0 if self.concat else len(c.labels)  # units of each normalisation's condition

    def noise(self, count: int, rng: torch.Generator | None = None) -> Tensor:
        """(count, Z), on the network's device; from `rng` if one is given."""
        device = next(self.parameters()).device
        return torch.randn(count, self.latent, generator=rng, device=rng.device if rng else device).to(device)

    def entry(self, z: Tensor, y: Tensor) -> Tensor:
        """What the first layer sees."""
        return torch.cat([z, y.to(z)], dim=1) if self.concat else z


class ConditionalGAN(GAN):
    """One whose fakes are asked for in the labels of the real pictures."""

    def __init__(self, config: ConditionalConfig, generator: nn.Module, discriminator: nn.Module, *rest):
        adam = {"lr": config.learning_rate, "betas": (config.beta1, config.beta2)}
        super().__init__(config, generator, discriminator, *rest, **adam)

    def micro_batches(self, batch: dict[str, Tensor], turn: int = 0) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """x (N, 3, S, S), y (N, T) and new z (N, Z), of the batch for D's step `turn`."""
        every = slice(turn, None, self.config.d_steps)  # strided: the same pictures, however many processes share them
        labels = batch["label"][every].chunk(self.config.micro_batches)
        yield from zip(self.real(batch["picture"][every]), labels, self.noise(self.config.batch_size), strict=True)

    def penalty(self, critic: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """DRAGAN's, of x; 0 if it weighs nothing, for it costs as much as all else of D."""
        return dragan(critic, x, self.config.penalty) if self.config.penalty_weight else x.new_zeros(())

    def shown(self, count: int) -> tuple[Tensor, Tensor]:
        """Each z with every label, in turn."""
        labels = len(self.config.labels)
        (z,) = super().shown(-(-count // labels))
        y = torch.eye(labels, device=z.device).repeat(len(z), 1)
        return z.repeat_interleave(labels, dim=0)[:count], y[:count]

    def sheet(self, i: int) -> np.ndarray:
        """(H, W, 3) uint8: a row for each of ten z, a column for each label; the same z at every step."""
        labels = len(self.config.labels)
        return grid(generate_images(self.average.network, *self.shown(10 * labels)), columns=labels)
