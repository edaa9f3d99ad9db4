"""Directions in z that change one attribute."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.data.dataset import UserError, read_json
from models.sampling.images import BATCH_SIZE, generate_images
from models.seeds import seed_for

MIN_SAMPLES_WITH = 30  # samples with an attribute, below which its vector is noise, and …
MIN_SHARE_WITH = 1 / 200  # … the article's share of the samples: 100 of its 20,000
OBEDIENCE_SAMPLES = 100
OBEDIENCE_STRENGTHS = (0.5, 1.0, 2.0)  # the article's 0.5 first

Labeller = Callable[[np.ndarray], list[set[str]]]
"""(N, S, S, 3) uint8 images -> the attributes of each."""


def attribute_vectors(
    network: Any, label: Labeller, *, samples: int, seed: int, conditions: np.ndarray | None = None
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Return ({attribute: mean z of the samples with it - mean z of those without}, {attribute: samples with it}).

    A conditional network's labels are drawn from the rows of `conditions` (N, T). An attribute that too few samples
    have, or lack, is counted but gets no vector. The rule is mattya's, https://github.com/mattya/chainer-DCGAN."""
    rng = torch.Generator().manual_seed(seed_for("attributes", seed))
    noises: list[Tensor] = []
    found: list[set[str]] = []
    for start in range(0, samples, BATCH_SIZE):
        noise = network.noise(min(BATCH_SIZE, samples - start), rng)
        noises.append(noise)
        found += label(generate_images(network, noise, *_drawn(conditions, noise, rng)))
    noise = torch.cat(noises)
    vectors: dict[str, np.ndarray] = {}
    counts: dict[str, int] = {}
    for name in sorted(set[str]().union(*found)):
        has = torch.tensor([name in attributes for attributes in found])
        counts[name] = int(has.sum())
        few = max(MIN_SAMPLES_WITH, MIN_SHARE_WITH * samples)
        if few <= counts[name] <= samples - few:
            vectors[name] = (noise[has].mean(0) - noise[~has].mean(0)).numpy()
    return vectors, counts


def measure_obedience(
    network: Any, label: Labeller, vectors: dict[str, np.ndarray], *, seed: int, conditions: np.ndarray | None = None
) -> dict[str, list[float]]:
    """Return, by attribute, the shares of OBEDIENCE_SAMPLES new samples that have it: as they are, and with its vector
    added at each of OBEDIENCE_STRENGTHS."""
    rng = torch.Generator().manual_seed(seed_for("obedience", seed))
    noise = network.noise(OBEDIENCE_SAMPLES, rng)
    y = _drawn(conditions, noise, rng)
    unmoved = label(generate_images(network, noise, *y))
    shares = {}
    for name, vector in vectors.items():
        moves = [[(torch.from_numpy(vector), strength)] for strength in OBEDIENCE_STRENGTHS]
        moved = [label(generate_images(network, apply_attributes(network, noise, move), *y)) for move in moves]
        shares[name] = [sum(name in found for found in each) / len(noise) for each in (unmoved, *moved)]
    return shares


def _drawn(conditions: np.ndarray | None, noise: Tensor, rng: torch.Generator) -> tuple[Tensor, ...]:
    """Return conditions (N, T) for z (N, Z), drawn from the rows; nothing for a network without."""
    if conditions is None:
        return ()
    rows = torch.randint(len(conditions), (len(noise),), generator=rng)
    return (torch.from_numpy(conditions)[rows].to(noise.device),)


def apply_attributes(
    network: Any, noise: Tensor, moves: list[tuple[Tensor, float]], *, strength: float = 1.0
) -> Tensor:
    """Return strength · z0 + Σ s_i · tz_i for z0 (N, Z) and (tz_i, s_i): the article's rule. z of U(-1, 1) is clipped,
    as the article does."""
    moved = strength * noise + sum((vector * amount for vector, amount in moves), torch.zeros(()))
    return moved if getattr(network, "normal", False) else moved.clamp(-1, 1)


def read_vectors(path: Path, length: int) -> dict[str, list[float]]:
    """Return the vectors of an attributes.json. Raise UserError unless each has `length` numbers."""
    try:
        content: Any = read_json(path, {"vectors": {str: [(float, int)]}})
        vectors: dict[str, list[float]] = content["vectors"]
        if any(len(vector) != length for vector in vectors.values()):
            raise ValueError("vectors of another length")
    except (FileNotFoundError, ValueError) as error:
        found = f"damaged ({' '.join(str(error).split())[:120]})"
        raise UserError(path, found, f"vectors of {length} numbers", "remove it: LearnAttributes makes it") from error
    return vectors
