"""Latent vectors from seeds, interpolations between them, and conditions.

A seed is one z: the same seed and weights give the same face, alone or in a batch, up to rounding.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from models.data.dataset import HAIR_COLORS
from models.seeds import seed_for


def sample_latents(network: Any, seeds: list[int], truncation: float = 0.0) -> Tensor:
    """Return z (N, Z), one for each seed.

    With `truncation` they are `truncated`."""
    rngs = (torch.Generator().manual_seed(seed_for("face", seed)) for seed in seeds)
    return torch.cat([truncated(network, 1, truncation, rng) for rng in rngs])


def truncated(network: Any, count: int, truncation: float, rng: torch.Generator) -> Tensor:
    """Return z (count, Z) of which numbers of N(0, 1) with a magnitude above `truncation` are drawn again; 0: none is.

    Fewer odd faces, but less variety: Brock et al. 2019, https://arxiv.org/abs/1809.11096, §3.1."""
    noise: Tensor = network.noise(count, rng)
    while truncation and bool((far := noise.abs() > truncation).any()):
        noise = torch.where(far, network.noise(count, rng), noise)
    return noise


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


def interpolate(start: Tensor, end: Tensor, steps: int, *, spherical: bool = False) -> Tensor:
    """Return (steps, Z), both ends included: along a straight line, or along a great circle, as z of N(0, 1) needs it.

    In the middle of a line between two such z the length is 0.71 of theirs, which the network never saw. White 2016,
    https://arxiv.org/abs/1609.04468"""
    ts = torch.linspace(0, 1, steps)[:, None]
    angle = torch.acos(torch.cosine_similarity(start, end, dim=0).clamp(-1, 1))
    if not spherical or torch.sin(angle) < 1e-4:
        return torch.lerp(start, end, ts)
    length = torch.lerp(start.norm(), end.norm(), ts)
    ours, theirs = F.normalize(start, dim=0), F.normalize(end, dim=0)
    return length * (torch.sin((1 - ts) * angle) * ours + torch.sin(ts * angle) * theirs) / torch.sin(angle)
