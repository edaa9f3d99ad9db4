"""Measures of a trained generator: quality, variety, novelty, and the accuracy of its conditions.

Beside every figure stands its floor: the same of real images that were not trained on, at the network's size.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.data.dataset import HAIR_COLORS, Dataset, UserError, sha256_of
from models.metrics import distances, intra_class, manifold, pixels
from models.metrics.memorization import memorization
from models.nn.layers import to_channels_last
from models.nn.vgg import load_vgg16
from models.sampling.images import generate_images, grid, with_headings
from models.sampling.latents import mix_condition
from models.seeds import seed_for

MIN_SAMPLES, MAX_SAMPLES = 16, 10_000
FEATURE_SIZE = 128  # px: all images are brought to this size for features, so that runs of all sizes are on one scale
MIN_HAIR_SAMPLES = 900  # of hair accuracy, the same number of each colour
NEIGHBORS_SHOWN, SAMPLES_SHOWN = 3, 16
BATCH_SIZE = 64  # images
VGG16_FEATURES, INCEPTION_FEATURES = 512, 2048
FEATURES = "bilinear 2"  # to be raised when the same images and weights give other features


@dataclass(frozen=True)
class Extractor:
    """(N, 3, S, S) RGB in 0..1 -> features (N, F)."""

    network: Callable[[Tensor], Tensor]
    count: int  # F
    digest: str  # of the file with the network's weights

    def __call__(self, x: Tensor) -> Tensor:
        """Return the features of images."""
        return self.network(x)


def vgg16_extractor(path: Path) -> Extractor:
    """Return the features of `conv5_3` after its ReLU, averaged over the map: F = 512."""
    network = to_channels_last(load_vgg16(path))
    return Extractor(lambda x: network.to(x.device)(x).mean((2, 3)), VGG16_FEATURES, sha256_of(path))


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

    def features(x: Tensor) -> Tensor:
        found: Tensor = network.to(x.device)((x * 255).round().to(torch.uint8), return_features=True)
        return found

    return Extractor(features, count, sha256_of(path))


@torch.no_grad()
def extract_features(
    pictures: np.ndarray, extractor: Extractor, device: torch.device, size: int = FEATURE_SIZE
) -> Tensor:
    """Return (N, F), on the CPU, of (N, S, S, 3) uint8 images, which are resampled to `size`."""
    found = []
    for start in range(0, len(pictures), BATCH_SIZE):
        part = torch.from_numpy(np.array(pictures[start : start + BATCH_SIZE])).to(device)
        x = part.permute(0, 3, 1, 2).float() / 255
        if x.shape[-1] != size:
            x = F.interpolate(x, size=(size, size), mode="bilinear", antialias=True)
        found.append(extractor(x).float().cpu())
    return torch.cat(found)


def cached_features(
    faces: Dataset, split: str, size: int, extractor: Extractor, device: torch.device, rows: np.ndarray | None = None
) -> Tensor:
    """Return (N, F), on the CPU, of all images of a split at `size`, or of `rows` (N,) of it; they are made once and
    kept in the cache."""
    causes = [extractor.digest, FEATURE_SIZE, FEATURES]

    def extract(pictures: np.ndarray) -> np.ndarray:
        return extract_features(pictures, extractor, device).numpy()

    return torch.from_numpy(np.array(faces.features(split, size, extractor.count, causes, extract, rows)))


@dataclass(frozen=True)
class Reference:
    """The real images that samples are compared with: functions of the side in px -> (N, S, S, 3) uint8."""

    trained_on: Callable[[int], np.ndarray]
    held_out: Callable[[int], np.ndarray]
    features: Callable[[int, Extractor], tuple[Tensor, Tensor]]  # (N, F) of `trained_on` and of `held_out`
    face: pixels.Box = pixels.WHOLE  # of the face, which may be larger than an image
    labels: np.ndarray | None = None  # (N, T): the conditions of `trained_on`
    held_out_labels: np.ndarray | None = None  # (N, T): those of `held_out`


def generate_samples(network: Any, count: int, labels: np.ndarray | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ((count, S, S, 3) uint8, each of a new z; of a conditional network the row of `labels` (N, T) of each).

    Rows are drawn at random, so labels are as frequent as among the real images."""
    rng = torch.Generator().manual_seed(seed_for("evaluation", seed))
    noise = network.noise(count, rng)
    if labels is None:
        return generate_images(network, noise), np.zeros(count, np.int64)
    rows = torch.randint(len(labels), (count,), generator=rng).numpy()
    return generate_images(network, noise, torch.from_numpy(labels[rows]).to(noise.device)), rows


def compare_features(key: str, of_fake: Tensor, of_real: Tensor, of_held_out: Tensor) -> dict[str, Any]:
    """Return KID, FID, precision, recall, density and coverage of features (N, F) of samples, beside those of held-out
    real images; `key`, in each name, says which features."""
    measured: dict[str, Any] = {}
    for suffix, features in (("", of_fake), ("_floor", of_held_out)):
        value, error = distances.kid(of_real, features)
        measured |= {f"kid_{key}{suffix}": value, f"kid_{key}_error{suffix}": error}
        count = min(len(of_fake), len(of_held_out), len(of_real))  # equal numbers, or the floor were another's
        some, others = (distances.shuffled(rows)[:count] for rows in (of_real, features))
        shares = manifold.fidelity_and_variety(some, others)
        measured |= {f"{measure}_{key}{suffix}": value for measure, value in shares.items()}
    return measured | {f"fid_{key}": distances.fid(of_real, of_fake)}


def split_by_label(items: Any, conditions: np.ndarray, labels: tuple[str, ...]) -> dict[str, Any]:
    """Return the items (N, …) that have each label, of their conditions (N, T)."""
    return {label: items[conditions[:, i] > 0] for i, label in enumerate(labels)}


def measure_features(
    fake: np.ndarray,
    rows: np.ndarray,
    reference: Reference,
    labels: tuple[str, ...],
    extractors: Mapping[str, Extractor],
    device: torch.device,
) -> tuple[dict[str, Any], np.ndarray]:
    """Return (KID, FID, precision, recall, density and coverage by each extractor, KID and FID within a label too if
    there are labels; a sheet of samples, each beside its nearest training images). Real images are at the samples'
    size, as those are. `NAME_SIZE` of the features is in each key. `rows` are those of `reference.labels` that the
    samples were generated for."""
    size = fake.shape[1]
    real, held_out = reference.trained_on(size), reference.held_out(size)
    measured: dict[str, Any] = {"samples": len(fake), "reference": len(real), "held_out": len(held_out)}
    sheet = np.empty(0)
    for name, extractor in extractors.items():
        key = f"{name}_{FEATURE_SIZE}"
        of_real, of_held_out = reference.features(size, extractor)
        of_fake = extract_features(fake, extractor, device)
        measured |= compare_features(key, of_fake, of_real, of_held_out)
        if reference.labels is not None:
            assert reference.held_out_labels is not None
            within = intra_class.compare_labels(
                split_by_label(of_fake, reference.labels[rows], labels),
                split_by_label(of_real, reference.labels, labels),
                split_by_label(of_held_out, reference.held_out_labels, labels),
            )
            measured |= intra_class.mean_over_labels(key, within)
            measured["intra_by_label"] = measured.get("intra_by_label", {}) | {key: within}
        if not sheet.size:
            shown = of_fake[:SAMPLES_SHOWN]
            nearest = distances.nearest_neighbors(shown, of_real, min(NEIGHBORS_SHOWN, len(real)))[1]
            beside = [[sample, *(real[int(i)] for i in row)] for sample, row in zip(fake, nearest, strict=False)]
            headings = ["sample", *(f"nearest {i + 1}" for i in range(nearest.shape[1]))] * 2
            sheet = with_headings(grid(np.concatenate(beside), columns=len(headings)), headings)
    return measured, sheet


def measure_pixels(
    fake: np.ndarray, rows: np.ndarray, reference: Reference, labels: tuple[str, ...], device: torch.device
) -> dict[str, Any]:
    """Return grain, variety within each label, and memorization. `rows` are those of `reference.labels` that the
    samples were generated for; without labels all images are of one."""
    real, held_out = (images(fake.shape[1]) for images in (reference.trained_on, reference.held_out))
    if reference.labels is None:
        fakes, reals = {"all": fake}, {"all": real}
    else:
        fakes = split_by_label(fake, reference.labels[rows], labels)
        reals = split_by_label(real, reference.labels, labels)
    by_label = pixels.variety(fakes, reals, reference.face)
    return {
        "grain": pixels.grain(fake),
        "grain_floor": pixels.grain(held_out),
        "variety": float(np.mean(list(by_label.values()))) if by_label else None,
        "variety_by_label": by_label,
        "memorization": memorization(fake, real, held_out, device),
    }


Judge = Callable[[np.ndarray], list[str | None]]
"""(N, S, S, 3) uint8 -> the hair colour of each, or None."""


def judge_ceiling(tag: Judge, held_out: np.ndarray, colors: list[str | None]) -> dict[str, Any]:
    """Return how often the judge gives real held-out images the colour that the dataset has for them: no generator can
    be expected to do better. By colour too; images without a colour are left out."""
    pairs = [(color, found == color) for color, found in zip(colors, tag(held_out), strict=True) if color]
    by_color = {name: [right for color, right in pairs if color == name] for name in HAIR_COLORS}
    return {
        "hair_ceiling": float(np.mean([right for _, right in pairs])) if pairs else None,
        "hair_ceiling_by_color": {name: float(np.mean(right)) for name, right in by_color.items() if right},
    }


def hair_accuracy(
    generate: Callable[[str, int], np.ndarray], colors: list[str], tag: Judge
) -> tuple[dict[str, Any], np.ndarray]:
    """Return (the rates at which the judge finds the requested colour, (C, 10) counts: requested; found, or none).

    `generate(color, count)` returns (count, S, S, 3) uint8 images."""
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


def color_generator(network: Any, labels: np.ndarray, seed: int) -> Callable[[str, int], np.ndarray]:
    """Return `generate` of `hair_accuracy` for a conditional network: the same z for every colour, with the other
    labels of rows of `labels` (N, T), the conditions that the network was trained with."""
    is_color = np.array([name.removesuffix("_hair") in HAIR_COLORS for name in network.labels])

    def generate(color: str, count: int) -> np.ndarray:
        rng = torch.Generator().manual_seed(seed_for("hair", seed))
        noise = network.noise(count, rng)
        y = torch.from_numpy(labels[torch.randint(len(labels), (count,), generator=rng).numpy()])
        y = torch.where(torch.from_numpy(is_color), mix_condition(network.labels, {color: 1.0}), y)
        return generate_images(network, noise, y.to(noise.device))

    return generate
