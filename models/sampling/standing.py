"""Batch statistics of a generator for truncated z: those of training are of z of any length."""

from typing import Any

import torch
from torch import Tensor

from models.nn.layers import BatchNorm
from models.sampling.latents import truncated
from models.seeds import seed_for

BATCHES, BATCH_SIZE = 16, 64


@torch.no_grad()
def standing_statistics(network: Any, truncation: float, y: Tensor | None = None) -> None:
    """Replace the running statistics of a network in evaluation mode by means over BATCHES batches of truncated z, with
    conditions drawn from the rows y (K, T) if it is conditional. Brock et al. 2019, https://arxiv.org/abs/1809.11096,
    appendix C."""
    norms = [module for module in network.modules() if isinstance(module, BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    rng = torch.Generator().manual_seed(seed_for("standing"))
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all batches
        norm.train()
    for _ in range(BATCHES):
        inputs = [truncated(network, BATCH_SIZE, truncation, rng)]
        if y is not None:
            inputs.append(y[torch.randint(len(y), (BATCH_SIZE,), generator=rng)].to(inputs[0].device))
        network(*inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
