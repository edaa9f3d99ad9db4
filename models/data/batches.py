"""The i-th batch, as a function of (seed, i): nothing to save, nothing to replay on resuming.

A kind of batch is a function (datasets by role, config, seed, device) -> Batches, for a row of `zoo.MODELS`.
"""

import functools
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from models import distributed
from models.contracts import ConditionalConfig, Config, Datasets, FaceDataset, HeldOut
from models.data.dataset import UserError
from models.data.labels import class_labels, conditions
from models.seeds import seed_for

MAX_GPU_MEMORY_SHARE = 0.5  # of the free memory that images may take


class MadeAhead:
    """The map i -> batch, made by `_make` on the CPU. For a GPU the next batch is made while one is used."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = ThreadPoolExecutor(1) if device.type == "cuda" else None
        self._next: tuple[int, Future[dict[str, Tensor]]] | None = None

    def __call__(self, i: int) -> dict[str, Tensor]:
        """Return the i-th batch, on the device."""
        if self._pool is None:
            return self._make(i)
        is_ahead = self._next is not None and self._next[0] == i
        batch = self._next[1].result() if self._next and is_ahead else self._make_pinned(i)
        self._next = i + 1, self._pool.submit(self._make_pinned, i + 1)
        return {name: tensor.to(self._device, non_blocking=True) for name, tensor in batch.items()}

    def _make(self, i: int) -> dict[str, Tensor]:
        raise NotImplementedError

    def _make_pinned(self, i: int) -> dict[str, Tensor]:
        return {name: tensor.pin_memory() for name, tensor in self._make(i).items()}


class Pictures:
    """The map i -> {"picture": (B, S, S, 3) uint8 on the device}, with {"label": (B, …)} if `labels` are given.

    Each epoch is a permutation of all images, or of the rows `kept`; with `hflip` half of them are mirrored. B is this
    process's part of the global batch. On a GPU the images are held in its memory if they fit; otherwise the next
    batch is fetched ahead. Raise UserError if there is no image."""

    def __init__(
        self,
        pixels: np.ndarray,
        batch_size: int,
        *,
        seed: int,
        device: torch.device,
        hflip: bool = False,
        labels: np.ndarray | None = None,
        kept: np.ndarray | None = None,
    ) -> None:
        self._kept = np.arange(len(pixels)) if kept is None else kept
        if not len(self._kept):
            raise UserError("split train", "holds no picture", "at least one", "build a larger dataset")
        self.batch_size, self.seed, self.device, self.hflip = batch_size, seed, device, hflip
        self._pixels, self._labels = pixels, labels
        self._resident = None
        if device.type == "cuda" and pixels.nbytes < MAX_GPU_MEMORY_SHARE * torch.cuda.mem_get_info(device)[0]:
            self._resident = torch.from_numpy(np.array(pixels)).to(device)
        self._pool = ThreadPoolExecutor(1) if device.type == "cuda" and self._resident is None else None
        self._next: tuple[int, Future[Tensor]] | None = None

    def __call__(self, i: int) -> dict[str, Tensor]:
        """Return the i-th batch."""
        rows, flipped = self.rows(i)
        picture = self._fetch(rows, i)
        if self.hflip:
            flip = self._to_device(flipped)
            picture = torch.where(flip[:, None, None, None], picture.flip(2), picture)
        batch = {"picture": picture}
        if self._labels is not None:
            batch["label"] = self._to_device(self._labels[rows])
        return batch

    def rows(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (B,) the row of each image of the i-th batch, and (B,) whether it is mirrored."""
        order = shuffled(self.seed, i, self.batch_size, len(self._kept))
        flipped = np.random.default_rng(seed_for(self.seed, i, "flip")).random(self.batch_size) < 0.5
        part = own_part(self.batch_size)
        return self._kept[order[part]], flipped[part]

    def _fetch(self, rows: np.ndarray, i: int) -> Tensor:
        if self._resident is not None:
            return self._resident[self._to_device(rows)]
        if self._pool is None:
            return torch.from_numpy(self._pixels[rows])
        is_ahead = self._next is not None and self._next[0] == i
        picture = self._next[1].result() if self._next and is_ahead else self._pinned(i)
        self._next = i + 1, self._pool.submit(self._pinned, i + 1)
        return picture.to(self.device, non_blocking=True)

    def _to_device(self, array: np.ndarray) -> Tensor:
        """Return the array on the device; a GPU is not waited for."""
        tensor = torch.from_numpy(array)
        return tensor.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else tensor

    def _pinned(self, i: int) -> Tensor:
        return torch.from_numpy(self._pixels[self.rows(i)[0]]).pin_memory()


def shuffled(seed: int, i: int, batch_size: int, count: int, *, epoch_length: int | None = None) -> np.ndarray:
    """Return (batch_size,) the items, of `count`, in the i-th global batch: each epoch is a permutation of all.

    With `epoch_length` it is the first so many of one."""
    first, length = i * batch_size, epoch_length or count
    epochs = range(first // length, (first + batch_size - 1) // length + 1)
    order = np.concatenate([_permutation(seed, epoch, count)[:length] for epoch in epochs])
    start = first - epochs[0] * length
    return order[start : start + batch_size]


def own_part(batch_size: int) -> slice:
    """Return which rows of a global batch are this process's."""
    rank, world_size = distributed.rank(), distributed.world_size()
    return slice(batch_size * rank // world_size, batch_size * (rank + 1) // world_size)


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed_for(seed, epoch, "order")).permutation(count)


def _only(datasets: Datasets) -> FaceDataset:
    dataset: FaceDataset
    (dataset,) = datasets.values()
    return dataset


def pictures(datasets: Datasets, config: Config, *, seed: int, device: torch.device) -> Pictures:
    """Return batches of the train split's faces alone."""
    pixels = _only(datasets).pixels("train", config.size)
    return Pictures(pixels, config.pictures, seed=seed, device=device, hflip=config.hflip)


def labelled(datasets: Datasets, config: Config, *, seed: int, device: torch.device, column: str) -> Pictures:
    """Return batches of faces, and of each its class (B,) in `column`: an index into `class_labels` of the dataset."""
    dataset = _only(datasets)
    pixels = dataset.pixels("train", config.size)
    classes = class_labels(dataset.faces, column)[1][np.array(dataset.faces["split"]) == "train"]
    return Pictures(pixels, config.pictures, seed=seed, device=device, hflip=config.hflip, labels=classes)


def conditioned(datasets: Datasets, config: ConditionalConfig, *, seed: int, device: torch.device) -> Pictures:
    """Return batches of the faces that have one of `config.labels` or more, and their `conditions` (B, T).

    Raise UserError unless at least two of the labels occur."""
    dataset = _only(datasets)
    have = conditions(dataset.split("train"), config.labels)
    occurring = [name for name, column in zip(config.labels, np.any(have, axis=0), strict=True) if column]
    if len(occurring) < 2:
        found = f"{occurring[0]} alone" if occurring else "no face has any"
        expected, cure = "faces of two labels or more", "build a dataset with more kinds of faces"
        raise UserError(dataset.folder, f"{found} of the labels {' '.join(config.labels)}", expected, cure)
    pixels = dataset.pixels("train", config.size)
    kept = np.flatnonzero(have.any(1))
    return Pictures(pixels, config.pictures, seed=seed, device=device, hflip=config.hflip, labels=have, kept=kept)


def held_out(dataset: FaceDataset, config: Config, count: int) -> HeldOut:
    """Return the first `count` faces of val, and their conditions if the config has labels: of those that have one.

    If val has fewer than two they are of train. Raise UserError if that has too few, too."""
    for split in ("val", "train"):
        pixels, have = dataset.pixels(split, config.size), None
        kept = np.arange(len(pixels))
        if labels := getattr(config, "labels", ()):
            have = conditions(dataset.split(split), labels)
            kept = np.flatnonzero(have.any(1))
        if len(kept) > 1:
            return HeldOut(pixels[kept[:count]], None if have is None else have[kept[:count]])
    raise UserError("split train", f"holds {len(kept)} pictures", "two or more", "build a larger dataset")


def to_pixels(x: Tensor, middle: float) -> np.ndarray:
    """Return images (N, 3, H, W), of which 0 stands for the grey level `middle` and -1 for black, as (N, H, W, 3)
    uint8. The inverse of `in_range`."""
    pixels = (x.float() * middle + middle).round().clamp(0, 255).to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).cpu().numpy()


def in_range(picture: Tensor, middle: float) -> Tensor:
    """Map (N, S, S, 3) uint8 to (N, 3, S, S), channels last in memory: the grey level `middle` to 0, and 0 to -1."""
    return picture.permute(0, 3, 1, 2).to(torch.get_default_dtype()).sub_(middle).div_(middle)


def in_unit_range(picture: Tensor) -> Tensor:
    """Map (N, H, W, 3) uint8 to (N, 3, H, W), channels last in memory: 0 to 0, and 255 to 1."""
    return picture.permute(0, 3, 1, 2).to(torch.get_default_dtype()).div_(255)


def from_unit_range(x: Tensor) -> np.ndarray:
    """Return pictures (N, 3, H, W) in 0..1, beyond which they are clipped, as (N, H, W, 3) uint8."""
    return to_pixels(2 * x.float() - 1, 127.5)
