"""Samples of a run as the pictures of a dataset: a PNG file for each seed, with its recipe, marked as generated."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from models.data.dataset import HAIR_COLORS, sha256_of
from models.sampling import latents, save
from models.sampling.images import generate_images
from models.seeds import seed_for

VERSION = 1
"""Raise it when the same weights and seed give another file."""
BATCH_SIZE = 20  # samples that are generated together


class Sample(NamedTuple):
    """A file that was written."""

    seed: int
    name: str
    sha256: str
    tags: list[str]  # the labels that were asked for


def write_samples(
    network: Any, folder: Path, seeds: range, conditions: Tensor | None, about: dict[str, Any]
) -> Iterator[Sample]:
    """Write the sample of each seed into `folder`, and yield it. A conditional network's labels are those of a row of
    `conditions` (N, T), drawn by the seed: labels that often occur there often occur here.

    Networks round differently in smaller batches, so the last one is filled up: a seed's file is the same among any
    others."""
    labels = getattr(network, "labels", ())
    for start in range(0, len(seeds), BATCH_SIZE):
        batch = list(seeds[start : start + BATCH_SIZE])
        filled = batch + batch[-1:] * (BATCH_SIZE - len(batch))
        y = () if conditions is None else (torch.stack([_drawn(conditions, seed) for seed in filled]),)
        pictures = generate_images(network, latents.sample_latents(network, filled), *y)
        for number, seed in enumerate(batch):
            found = [label for label, weight in zip(labels, y[0][number], strict=True) if weight] if y else []
            name = f"{seed:06}.png"
            save.save_png(folder / name, pictures[number], **about, seed=seed, condition=" ".join(found))
            tags = [f"{label}_hair" if label in HAIR_COLORS else label for label in found]
            yield Sample(seed, name, sha256_of(folder / name), tags)


def _drawn(conditions: Tensor, seed: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed_for("labels", seed))
    return conditions[torch.randint(len(conditions), (), generator=rng)]
