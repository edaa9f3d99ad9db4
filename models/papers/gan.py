"""What GANs with one generator and one discriminator share: everything but `step`."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models import distributed, metrics
from models.data.batches import in_range
from models.nn.ema import EMA
from models.nn.layers import to_channels_last
from models.sampling.images import generate_images, grid
from models.seeds import seed_for


class GAN:
    """The networks, G's moving average, the optimizers, the sheet of samples and the score. `step` is each paper's own.

    Networks, average and optimizers are in the checkpoint by the names of their attributes, which must not change."""

    config: Any  # of the paper's own class

    def __init__(
        self,
        config: Any,
        generator: nn.Module,
        discriminator: nn.Module,
        device: torch.device,
        held_out: Mapping[str, np.ndarray],
        **adam: Any,
    ) -> None:
        self.config, self.device = config, device
        self.held_out = held_out  # {"faces": (M, S, S, 3) uint8}, of the val split, or of train if that is empty
        self.g: Any = to_channels_last(generator.to(device))
        self.d: Any = to_channels_last(discriminator.to(device))
        self.average = EMA(self.g, config.average)
        self.opt_g = torch.optim.Adam(self.g.parameters(), **adam, fused=True)
        self.opt_d = torch.optim.Adam(self.d.parameters(), **adam, fused=True)

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
    def _distance(self) -> metrics.SlicedWasserstein:
        return metrics.SlicedWasserstein(self.held_out["faces"], self.device)

    def validate(self, i: int) -> dict[str, float]:
        """Return the distance of samples from held-out images."""
        fake = generate_images(self.average.network, *self.sheet_inputs(len(self.held_out["faces"])))
        return {"sliced_wasserstein": self._distance(fake)}
