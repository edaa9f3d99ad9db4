"""Measures of a trained generator: the distance of its images from real ones, and the accuracy of its conditions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models import metrics
from models.data.dataset import HAIR_COLORS, UserError
from models.files import atomic_open
from models.nn.vgg import load_vgg16
from models.sampling.images import generate_images, grid
from models.sampling.latents import mix_condition
from models.seeds import seed_for

MIN_SAMPLES, MAX_SAMPLES = 16, 10_000
MAX_HELD_OUT = 900  # held-out images
MIN_HAIR_SAMPLES = 900  # of hair accuracy, the same number of each colour
NEIGHBORS_SHOWN, SAMPLES_SHOWN = 3, 16
BATCH_SIZE = 64  # images
INCEPTION_FEATURES = 2048

Extractor = Callable[[Tensor], Tensor]
"""(N, 3, S, S) RGB in 0..1 -> features (N, F)."""


def vgg16_extractor(path: Path) -> Extractor:
    """Return the features of `conv5_3` after its ReLU, averaged over the map: F = 512."""
    network = load_vgg16(path)
    return lambda x: network.to(x.device)(x).mean((2, 3))


def inception_extractor(path: Path) -> Extractor:
    """Return the features of the last pool of the Inception that FID was defined with: F = 2048.

    StyleGAN's authors publish it as TorchScript. Raise UserError for another file."""
    try:
        network = torch.jit.load(str(path), map_location="cpu").eval()
        count = network(torch.zeros(2, 3, 64, 64, dtype=torch.uint8), return_features=True).shape[1]
    except (RuntimeError, ValueError, OSError, AttributeError, IndexError, torch.jit.Error) as error:
        found = f"no such TorchScript ({(str(error).strip() or 'empty').splitlines()[0][:100]})"
        raise UserError(path, found, "inception-2015-12-05.pt", "give another --inception") from error
    if count != INCEPTION_FEATURES:
        raise UserError(path, f"{count} features", f"{INCEPTION_FEATURES}, of Inception", "give another --inception")
    return lambda x: network.to(x.device)((x * 255).round().to(torch.uint8), return_features=True)


@torch.no_grad()
def extract_features(pictures: np.ndarray, extractor: Extractor, device: torch.device) -> Tensor:
    """Return (N, F), on the CPU, of (N, S, S, 3) uint8 images."""
    found = []
    for start in range(0, len(pictures), BATCH_SIZE):
        part = torch.from_numpy(np.array(pictures[start : start + BATCH_SIZE])).to(device)
        found.append(extractor(part.permute(0, 3, 1, 2).float() / 255).float().cpu())
    return torch.cat(found)


def generate_samples(network: Any, count: int, real_labels: np.ndarray | None, seed: int) -> np.ndarray:
    """Return (count, S, S, 3) uint8 of new z; of a conditional network with labels drawn from `real_labels` (N, T)."""
    rng = torch.Generator().manual_seed(seed_for("evaluation", seed))
    noise = network.noise(count, rng)
    if real_labels is None:
        return generate_images(network, noise)
    rows = torch.randint(len(real_labels), (count,), generator=rng).numpy()
    return generate_images(network, noise, torch.from_numpy(real_labels[rows]).to(noise.device))


def measure_distances(
    fake: np.ndarray, real: np.ndarray, held_out: np.ndarray, extractors: dict[str, Extractor], device: torch.device
) -> tuple[dict[str, Any], np.ndarray]:
    """Return (FID and KID by each extractor, and distances to the nearest real images; a sheet of samples with those).

    `held_out` are real images that were not trained on. If samples lie much nearer to the real ones than these do, the
    network memorized them. All are (N, S, S, 3) uint8."""
    measured: dict[str, Any] = {"samples": len(fake), "reference": len(real)}
    for number, (name, extractor) in enumerate(extractors.items()):
        of_real, of_fake = (extract_features(pictures, extractor, device) for pictures in (real, fake))
        measured |= metrics.distances(of_real, of_fake, name)
        if number == 0:
            near, rows = metrics.nearest_neighbors(of_fake[:SAMPLES_SHOWN], of_real, min(NEIGHBORS_SHOWN, len(real)))
            others = metrics.nearest_neighbors(extract_features(held_out, extractor, device), of_real, 1)[0]
            near_samples, near_held_out = float(near[:, 0].median()), float(others.median())
            measured["nearest"] = {"network": name, "samples": near_samples, "held_out": near_held_out}
    beside = np.concatenate([[sample, *(real[int(i)] for i in row)] for sample, row in zip(fake, rows, strict=False)])
    return measured, grid(beside, columns=2 * (1 + rows.shape[1]))


def hair_accuracy(
    generate: Callable[[str, int], np.ndarray], colors: list[str], tag: Callable[[np.ndarray], list[str | None]]
) -> tuple[dict[str, Any], np.ndarray]:
    """Return (the rates at which the tagger finds the requested colour, (C, 10) counts: requested; found, or none).

    `generate(color, count)` returns (count, S, S, 3) uint8 images, `tag` their colours."""
    each = -(-MIN_HAIR_SAMPLES // len(colors))
    counts = np.zeros((len(colors), len(HAIR_COLORS) + 1), np.int64)
    for row, color in enumerate(colors):
        for name in tag(generate(color, each)):
            counts[row, HAIR_COLORS.index(name) if name else len(HAIR_COLORS)] += 1
    right = {color: int(counts[row, HAIR_COLORS.index(color)]) for row, color in enumerate(colors)}
    return {
        "hair_accuracy": sum(right.values()) / counts.sum(),
        "hair_accuracy_by_color": {color: number / each for color, number in right.items()},
        "hair_samples": int(counts.sum()),
        "hair_none": counts[:, -1].sum() / counts.sum(),
    }, counts


def color_generator(network: Any, seed: int) -> Callable[[str, int], np.ndarray]:
    """Return `generate` of `hair_accuracy` for a conditional network: the same z for every colour."""

    def generate(color: str, count: int) -> np.ndarray:
        noise = network.noise(count, torch.Generator().manual_seed(seed_for("hair", seed)))
        y = mix_condition(network.labels, {color: 1.0}).to(noise.device)
        return generate_images(network, noise, y.expand(count, -1))

    return generate


def save_confusion_matrix(path: Path, colors: list[str], counts: np.ndarray, about: dict[str, Any]) -> None:
    """Draw the counts of `hair_accuracy` as a PNG, with `about` as its texts."""
    from matplotlib.figure import Figure

    shares = counts / counts.sum(1, keepdims=True)
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        if share:
            color = "white" if share > 0.6 else "black"
            axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=color)
    axes.set_xticks(range(len(HAIR_COLORS) + 1), [*HAIR_COLORS, "none"], rotation=45)
    axes.set_yticks(range(len(colors)), colors)
    axes.set(xlabel="named by the tagger", ylabel="asked for", title="hair colours, % of those asked for")
    with atomic_open(path) as file:
        figure.savefig(file, format="png", dpi=80, metadata={key: str(value) for key, value in about.items()})
