"""Latent vectors from seeds, interpolations between them, and conditions.

A seed is one z: the same seed and weights give the same face, alone or in a batch, up to rounding.
"""

from typing import Any

import torch
from torch import Tensor

from models.data.dataset import HAIR_COLORS
from models.seeds import seed_for


def sample_latents(network: Any, seeds: list[int], truncation: float = 0.0) -> Tensor:
    """Return z (N, Z), one for each seed.

    With `truncation` numbers of N(0, 1) of a larger magnitude are drawn again: fewer odd faces, but less variety.
    Brock et al. 2019, https://arxiv.org/abs/1809.11096, §3.1."""
    latents = []
    for seed in seeds:
        rng = torch.Generator().manual_seed(seed_for("face", seed))
        noise = network.noise(1, rng)
        while truncation and bool((far := noise.abs() > truncation).any()):
            noise = torch.where(far, network.noise(1, rng), noise)
        latents.append(noise)
    return torch.cat(latents)


def label_index(color: str, labels: tuple[str, ...]) -> int:
    """Return the index of a hair colour among labels: colours, or tags such as blue_hair. Raise ValueError."""
    return labels.index(color if color in labels else f"{color}_hair")


def mix_condition(labels: tuple[str, ...], mixture: dict[str, float]) -> Tensor:
    """Return the condition (1, T) of hair colours mixed by their weights, which need not sum to 1."""
    y = torch.zeros(1, len(labels))
    for color, weight in mixture.items():
        y[0, label_index(color, labels)] = weight / sum(mixture.values())
    return y


def learned_colors(learned: dict[str, int]) -> list[str]:
    """Return the hair colours among the labels that a network was trained on a face of."""
    colors = {label.removesuffix("_hair") for label, count in learned.items() if count}
    return [color for color in HAIR_COLORS if color in colors]


def interpolate(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Return (steps, Z): z(t) = (1 - t) z_a + t z_b, both ends included."""
    return torch.stack([torch.lerp(start, end, t) for t in torch.linspace(0, 1, steps)])
