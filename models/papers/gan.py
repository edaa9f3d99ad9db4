"""What GANs with one generator and one discriminator share: everything but `step`."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models import distributed
from models.contracts import HeldOut
from models.data.batches import in_range
from models.metrics.random_features import KernelDistance
from models.nn.ada import ADA
from models.nn.augment import diff_augment
from models.nn.ema import EMA
from models.nn.layers import to_channels_last
from models.sampling.images import generate_images, grid
from models.seeds import seed_for


class NormalGenerator(nn.Module):
    """A generator from z of N(0, 1)^Z."""

    middle = 127.5
    normal = True  # z is of N(0, 1), which can be truncated

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.latent = latent

    def noise(self, count: int, rng: torch.Generator | None = None) -> Tensor:
        """Return z (count, Z) on the network's device, drawn from `rng` if one is given."""
        device = next(self.parameters()).device
        return torch.randn(count, self.latent, generator=rng, device=rng.device if rng else device).to(device)


class GAN:
    """The networks, G's moving average, the optimizers, the augmentation of what D sees, the sheet of samples and the
    score. `step` is each paper's own; it must pass whatever D sees through `augment`, and D's logits to `observe`.

    Networks, average, optimizers and ADA's state are in the checkpoint by the names of their attributes, which must not
    change."""

    config: Any  # of the paper's own class

    def __init__(
        self,
        config: Any,
        generator: nn.Module,
        discriminator: nn.Module,
        device: torch.device,
        held_out: Mapping[str, HeldOut],
        **adam: Any,
    ) -> None:
        self.config, self.device = config, device
        self.augment = self._augmentation()  # changes whatever D sees
        self.held_out = held_out
        self.g: Any = to_channels_last(generator.to(device))
        self.d: Any = to_channels_last(discriminator.to(device))
        self.average = EMA(self.g, config.average)
        self.opt_g = torch.optim.Adam(self.g.parameters(), **adam, fused=True)
        self.opt_d = torch.optim.Adam(self.d.parameters(), **adam, fused=True)

    def _augmentation(self) -> Callable[[Tensor], Tensor]:
        """Return the `--augment` of the config: images (N, 3, S, S) -> changed ones, random for each row of the global
        batch."""
        c = self.config
        colors = not getattr(c, "labels", ())
        if c.augment == "ada":
            return ADA(self.device, pictures_a_step=c.pictures, pictures=c.ada_pictures, colors=colors)
        if c.augment == "diff":
            return functools.partial(diff_augment, colors=colors)
        return lambda x: x

    def observe(self, on_real: Tensor) -> None:
        """Let ADA see D's logits (N,), above 0 for real, of the real images of a micro-batch; of a relativistic D how
        much higher they are than those of fakes, pair by pair."""
        if isinstance(self.augment, ADA):
            self.augment.observe(on_real)

    def real(self, picture: Tensor) -> Iterator[Tensor]:
        """Yield micro-batches of (N, S, S, 3) uint8 as (N, 3, S, S) in [-1, 1]."""
        yield from in_range(picture, self.g.middle).chunk(self.config.micro_batches)

    def noise(self, count: int) -> Iterator[Tensor]:
        """Yield micro-batches of this process's part of z for `count` pictures."""
        yield from distributed.shard(self.g.noise(count)).chunk(self.config.micro_batches)

    def exported(self) -> dict[str, nn.Module]:
        """Return the averaged generator."""
        return {"generator": self.average.network}

    def sheet_inputs(self, count: int) -> tuple[Tensor, ...]:
        """Return G's inputs for `count` samples: the same at every step."""
        return (self.average.network.noise(count, torch.Generator().manual_seed(seed_for("sheet"))),)

    def sheet(self, i: int) -> np.ndarray:
        """Return (H, W, 3) uint8: ten by ten samples of the averaged G, of the same z at every step."""
        return grid(generate_images(self.average.network, *self.sheet_inputs(100)), columns=10)

    @functools.cached_property
    def _distance(self) -> KernelDistance:
        return KernelDistance(self.held_out["faces"].pictures, self.device)

    def validation_inputs(self) -> tuple[Tensor, ...]:
        """Return G's inputs for as many samples as there are held-out images: the same at every step."""
        count = len(self.held_out["faces"].pictures)
        return (self.average.network.noise(count, torch.Generator().manual_seed(seed_for("validation"))),)

    def validate(self, i: int) -> dict[str, float]:
        """Return the distance of samples from held-out images."""
        return {"kid_random": self._distance(generate_images(self.average.network, *self.validation_inputs()))}
