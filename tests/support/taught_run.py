"""A run that paints given pictures: a tiny preset paints noise, in which no detector finds a face."""

from pathlib import Path

import numpy as np
import torch

from models.data.batches import in_range
from models.runs import export
from models.sampling.latents import sample_latents

STEPS, LEARNING_RATE = 300, 1e-2


def teach(run: Path, pictures: np.ndarray) -> None:
    """Replace the weights of an unconditional run by ones that paint these pictures (N, S, S, 3) uint8 for the seeds 0
    to N - 1, about."""
    about = export.read_about(run)
    network = export.load_network(run).requires_grad_(True)
    wanted, z = in_range(torch.from_numpy(pictures), network.middle), sample_latents(network, [*range(len(pictures))])
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        (network(z) - wanted).square().mean().backward()
        optimizer.step()
    export.write_weights(run, network.state_dict(), {name: about[name] for name in ("model", "config", "steps")})
