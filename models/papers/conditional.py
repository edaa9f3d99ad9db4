"""What conditional GANs share: everything but `step` and the networks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from models.data.dataset import HAIR_COLORS
from models.nn.losses import DRAGAN_VERSIONS, dragan, mode_seeking
from models.papers.gan import GAN, NormalGenerator
from models.sampling.images import generate_images, grid


@dataclass(frozen=True)
class ConditionalConfig:
    """The settings of GANs that generate images for given labels."""

    size: int = 128  # S
    labels: tuple[str, ...] = HAIR_COLORS
    latent: int = 128  # Z, of N(0, 1)
    condition: Literal["concat", "norm"] = (
        "concat"  # how it enters G: concat: to z; norm: as scales and shifts of batch normalisation
    )
    squeeze: int = 0  # squeeze-and-excitation in G's blocks, by this factor; 0: none
    penalty: Literal["interpolated", "noise"] = "interpolated"  # DRAGAN's, see `losses.dragan`; or noise
    penalty_weight: float = 0.5
    mode_seeking: float = 0.0  # weight of G's loss for images of one label that are alike, see `losses.mode_seeking`
    d_steps: int = 1  # of D, before each of G
    augment: str = "none"  # of what D sees: none, or see nn.augment and nn.ada
    ada_pictures: int = 500_000  # real images in which ADA's probability may rise from 0 to 1
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
        """Return the number of real images in a step: a batch for each step of D."""
        return self.batch_size * self.d_steps


class ConditionalGenerator(NormalGenerator):
    """A generator from z of N(0, 1)^Z and a condition (N, T): the weight of each of `labels`, one-hot or soft."""

    def __init__(self, c: ConditionalConfig) -> None:
        super().__init__(c.latent)
        if c.condition not in ("concat", "norm"):
            raise ValueError(f"condition: concat or norm expected, {c.condition} found")
        self.labels, self.concat = c.labels, c.condition == "concat"
        self.first_units = c.latent + len(c.labels) * self.concat  # inputs of the first layer
        self.conditions = 0 if self.concat else len(c.labels)  # inputs of each normalisation

    def first_input(self, z: Tensor, y: Tensor) -> Tensor:
        """Return the input of the first layer: z, with y beside it if the condition is concatenated."""
        return torch.cat([z, y.to(z)], dim=1) if self.concat else z


class LabelledGAN(GAN):
    """A GAN whose G takes labels beside z: its sheet, and what it is validated with."""

    def validation_inputs(self) -> tuple[Tensor, ...]:
        """Return a z of its own for each held-out image, and that image's labels."""
        return *super().validation_inputs(), torch.from_numpy(self.held_out["faces"].labels).to(self.device)

    def sheet_inputs(self, count: int) -> tuple[Tensor, ...]:
        """Return z and y of `count` samples: each z with every label in turn."""
        labels = len(self.config.labels)
        (z,) = super().sheet_inputs(-(-count // labels))
        y = torch.eye(labels, device=z.device).repeat(len(z), 1)
        return z.repeat_interleave(labels, dim=0)[:count], y[:count]

    def sheet(self, i: int) -> np.ndarray:
        """Return (H, W, 3) uint8: a row for each of ten z, a column for each label; the same z at every step."""
        labels = len(self.config.labels)
        return grid(generate_images(self.average.network, *self.sheet_inputs(10 * labels)), columns=labels)


class ConditionalGAN(LabelledGAN):
    """A GAN whose fakes have the labels of the real images."""

    def __init__(self, config: ConditionalConfig, generator: nn.Module, discriminator: nn.Module, *rest: Any) -> None:
        if config.penalty not in DRAGAN_VERSIONS:
            raise ValueError(f"penalty: {' or '.join(DRAGAN_VERSIONS)} expected, {config.penalty} found")
        adam: dict[str, Any] = {"lr": config.learning_rate, "betas": (config.beta1, config.beta2)}
        super().__init__(config, generator, discriminator, *rest, **adam)

    def micro_batches(self, batch: dict[str, Tensor], turn: int = 0) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield x (N, 3, S, S), y (N, T) and new z (N, Z) of the part of the batch for D's step `turn`."""
        every = slice(turn, None, self.config.d_steps)  # strided: the same pictures, however many processes share them
        labels = batch["label"][every].chunk(self.config.micro_batches)
        yield from zip(self.real(batch["picture"][every]), labels, self.noise(self.config.batch_size), strict=True)

    def penalty(self, critic: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Return DRAGAN's penalty on x; 0 if its weight is 0, as it costs as much as the rest of D's step."""
        return dragan(critic, x, self.config.penalty) if self.config.penalty_weight else x.new_zeros(())

    def other_noise(self, count: int) -> Iterator[Tensor | None]:
        """Yield micro-batches of new z for `count` images that are to differ from as many others; None if none are."""
        yield from self.noise(count) if self.config.mode_seeking else [None] * self.config.micro_batches

    def likeness(self, fake: Tensor, z: Tensor, other: Tensor | None, y: Tensor) -> Tensor:
        """Return the weighted loss of fakes (N, 3, S, S) of z and y that are like those of other z; 0 if there are
        none."""
        if other is None:
            return z.new_zeros(())
        return self.config.mode_seeking * mode_seeking(fake, self.g(other, y), z, other)
