"""Pictures of several domains: the i-th batch of sources and of references, as a function of (seed, i).

A domain is a dataset of its own, or a class of a column of one dataset.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.contracts import Datasets, DomainConfig, FaceDataset, HeldOut
from models.data.batches import own_part
from models.data.dataset import UserError
from models.data.labels import class_labels
from models.seeds import seed_for

CROP_AREA, CROP_RATIO = (0.8, 1.0), (0.9, 1.1)  # of a random crop: of the picture's area, and width over height
CROP_TRIES = 10  # until one lies in the picture

Domain = tuple[np.ndarray, np.ndarray]
"""(pictures (N, S, S, 3) uint8, the rows (M,) of them that are of the domain)."""


class References:
    """The map i -> a batch of B sources, and of two references of the domain that each source is turned into.

    {"picture", "reference", "other_reference": (B, S, S, 3) uint8, "label", "target": (B, K) one-hot}. Domains are
    drawn with equal chances, whatever their sizes, and pictures of each with equal chances; the two references differ.
    Pictures are mirrored and cropped at random. B is this process's part of the global batch."""

    def __init__(self, domains: Sequence[Domain], config: DomainConfig, *, seed: int, device: torch.device) -> None:
        self.domains, self.config, self.seed, self.device = domains, config, seed, device

    def __call__(self, i: int) -> dict[str, Tensor]:
        """Return the i-th batch."""
        sources, targets = self.drawn(i, "sources"), self.drawn(i, "targets")
        return {
            "picture": self._pictures(sources[0], sources[1], i, "picture"),
            "reference": self._pictures(targets[0], targets[1], i, "reference"),
            "other_reference": self._pictures(targets[0], targets[2], i, "other_reference"),
            "label": self._one_hot(sources[0]),
            "target": self._one_hot(targets[0]),
        }

    def drawn(self, i: int, purpose: str) -> np.ndarray:
        """Return (3, B): the domain of each item of the i-th batch, and two different rows of it."""
        rng = np.random.default_rng(seed_for(self.seed, i, purpose))
        domain = rng.integers(len(self.domains), size=self.config.batch_size)
        counts = np.array([len(rows) for _, rows in self.domains])[domain]
        first = rng.integers(counts)
        second = (first + 1 + rng.integers(counts - 1)) % counts
        rows = [[self.domains[k][1][row] for k, row in zip(domain, of, strict=True)] for of in (first, second)]
        return np.array([domain, *rows])[:, own_part(self.config.batch_size)]

    def _pictures(self, domain: np.ndarray, rows: np.ndarray, i: int, purpose: str) -> Tensor:
        pixels = np.stack([self.domains[k][0][row] for k, row in zip(domain, rows, strict=True)])
        rng = np.random.default_rng(seed_for(self.seed, i, purpose))
        boxes = random_crops(rng, self.config.batch_size, self.config.crop_share)
        if self.config.hflip:
            flipped = rng.random(self.config.batch_size) < 0.5
            boxes[flipped] = boxes[flipped][:, [2, 1, 0, 3]]
        return resample(torch.from_numpy(pixels).to(self.device), boxes[own_part(self.config.batch_size)])

    def _one_hot(self, domain: np.ndarray) -> Tensor:
        return torch.from_numpy(np.eye(len(self.domains), dtype=np.float32)[domain]).to(self.device)


def random_crops(rng: np.random.Generator, count: int, share: float) -> np.ndarray:
    """Return (count, 4), x0 y0 x1 y1 in sides of the picture: of a `share` of them a part of the picture, of CROP_AREA
    and CROP_RATIO, and of the others all of it."""
    area = rng.uniform(*CROP_AREA, (CROP_TRIES, count))
    narrow, wide = map(math.log, CROP_RATIO)
    ratio = np.exp(rng.uniform(narrow, wide, (CROP_TRIES, count)))
    sides = np.sqrt([area * ratio, area / ratio])  # (2, CROP_TRIES, count)
    best = (sides.max(0) <= 1).argmax(0)
    sides = sides[:, best, np.arange(count)].clip(max=1)
    start = rng.random((2, count)) * (1 - sides)
    is_cropped = rng.random(count) < share
    boxes: np.ndarray = np.where(is_cropped, [*start, *(start + sides)], [[0], [0], [1], [1]]).T
    return boxes


def resample(pictures: Tensor, boxes: np.ndarray) -> Tensor:
    """Return (N, S, S, 3) uint8: the box (N, 4) of each picture, enlarged to all of it; mirrored where x1 < x0."""
    low, high = torch.from_numpy(boxes.astype(np.float32)).to(pictures.device).split(2, dim=1)
    scale, shift = high - low, high + low - 1  # of coordinates from -1 to 1
    matrix = torch.cat([torch.diag_embed(scale), shift[:, :, None]], dim=2)
    x = pictures.permute(0, 3, 1, 2).float()
    at = F.affine_grid(matrix, list(x.shape), align_corners=False)
    found = F.grid_sample(x, at, padding_mode="border", align_corners=False)
    return found.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def references(datasets: Datasets, config: DomainConfig, *, seed: int, device: torch.device) -> References:
    """Return batches of the train split. Raise UserError unless there are two domains or more, with two pictures or
    more of each."""
    check_domains(config.domains)
    found = [(dataset.pixels("train", config.size), dataset) for dataset in datasets.values()]
    if config.domain_column:
        ((pixels, dataset),) = found
        domains = [(pixels, rows) for rows in rows_by_class(dataset, "train", config)]
    else:
        domains = [(pixels, np.arange(len(pixels))) for pixels, _ in found]
    for name, (_, rows) in zip(config.domains, domains, strict=True):
        if len(rows) < 2:
            cure = "leave it out of --domains" if config.domain_column else "build a larger dataset"
            raise UserError(f"domain {name}", f"has {len(rows)} pictures in split train", "two or more", cure)
    return References(domains, config, seed=seed, device=device)


def check_domains(domains: Sequence[str]) -> None:
    """Raise UserError unless there are two domains or more, no two of one name."""
    if len(domains) < 2:
        found = f"{' '.join(domains) or 'none'} alone"
        raise UserError("domains", found, "two or more to translate between", "name them: --datasets A,B or --domains")
    if len(set(domains)) < len(domains):
        raise UserError("domains", f"{' '.join(domains)} given", "different ones", "name each once")


def rows_by_class(dataset: FaceDataset, split: str, config: DomainConfig) -> list[np.ndarray]:
    """Return for each of the config's domains the rows of the split whose class in the column it is.

    Raise UserError for another column, or a domain that is no class of it."""
    names, classes = class_labels(dataset.faces, config.domain_column)
    if unknown := [name for name in config.domains if name not in names]:
        found = f"{unknown[0][:40]} is no class of {config.domain_column}"
        raise UserError("--domains", found, f"some of {' '.join(names)[:200]}", "give another")
    classes = classes[np.array(dataset.faces["split"]) == split]
    return [np.flatnonzero(classes == names.index(name)) for name in config.domains]


def classes_with_pictures(dataset: FaceDataset, column: str) -> list[str]:
    """Return the classes of a column that have two pictures or more in split train. Raise UserError for another
    column."""
    names, classes = class_labels(dataset.faces, column)
    counts = np.bincount(classes[(np.array(dataset.faces["split"]) == "train") & (classes >= 0)], minlength=len(names))
    return [name for name, count in zip(names, counts, strict=True) if count > 1]


def held_out(dataset: FaceDataset, config: DomainConfig, count: int) -> HeldOut:
    """Return up to `count` faces of val, and if the dataset has several domains, the domain (M, K) of each.

    Of a domain that has fewer than two there they are of train. Raise UserError if that has too few, too."""
    by_split = {}
    for split in ("val", "train"):
        pixels = dataset.pixels(split, config.size)
        rows = rows_by_class(dataset, split, config) if config.domain_column else [np.arange(len(pixels))]
        by_split[split] = [pixels[some[: count // len(rows)]] for some in rows]
    kept = [val if len(val) > 1 else train for val, train in zip(by_split["val"], by_split["train"], strict=True)]
    if min(map(len, kept)) < 2:
        raise UserError(dataset.folder, "has a domain of fewer than two pictures", "two or more", "build a larger one")
    labels = np.repeat(np.eye(len(kept), dtype=np.float32), list(map(len, kept)), axis=0)
    return HeldOut(np.concatenate(kept), labels if config.domain_column else None)


def held_out_domains(held_out: Mapping[str, HeldOut], count: int) -> list[np.ndarray]:
    """Return the held-out pictures (M, S, S, 3) of each of `count` domains."""
    if len(held_out) == count:
        return [held.pictures for held in held_out.values()]
    (held,) = held_out.values()
    assert held.labels is not None
    return [held.pictures[held.labels[:, domain] > 0.5] for domain in range(count)]
