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


def attribute_vectors(
    network: Any, label: Callable[[np.ndarray], list[set[str]]], *, samples: int, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Return ({attribute: mean z of the samples with it - mean z of those without}, {attribute: samples with it}).

    `label` returns the attributes of (N, S, S, 3) uint8 images. An attribute that too few samples have, or lack, is
    counted but gets no vector. The rule is mattya's, https://github.com/mattya/chainer-DCGAN."""
    rng = torch.Generator().manual_seed(seed_for("attributes", seed))
    noises: list[Tensor] = []
    found: list[set[str]] = []
    for start in range(0, samples, BATCH_SIZE):
        noise = network.noise(min(BATCH_SIZE, samples - start), rng)
        noises.append(noise)
        found += label(generate_images(network, noise))
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


def apply_attributes(noise: Tensor, moves: list[tuple[Tensor, float]], *, strength: float = 1.0) -> Tensor:
    """Return strength · z0 + Σ s_i · tz_i, clipped to [-1, 1], for z0 (N, Z) and (tz_i, s_i): the article's rule."""
    moved = strength * noise + sum((vector * amount for vector, amount in moves), torch.zeros(()))
    return moved.clamp(-1, 1)


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
