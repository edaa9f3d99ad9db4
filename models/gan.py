"""What GANs with one generator and one discriminator share: not how they are trained."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from models import metrics, ranks
from models.average import Average
from models.data import in_range, seed_for
from models.sheet import grid, painted


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
        self.average = Average(self.g, config.average)
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
        return grid(painted(self.average.network, *self.shown(100)), columns=10)

    def validate(self, i: int) -> dict[str, float]:
        """How far samples lie from held-out pictures: lower is better."""
        fake = painted(self.average.network, *self.shown(len(self.held_out)))
        return {"sliced_wasserstein": metrics.sliced_wasserstein(self.held_out, fake)}
