"""Whole pictures of unequal sizes on disk, and batches of random crops of them, each with its small version."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models import distributed
from models.contracts import CropConfig, Datasets, HeldOutCrops
from models.data.batches import MadeAhead, own_part, shuffled
from models.data.dataset import IMAGE_DATASET, ManifestDataset, UserError, load_original
from models.data.resampling import compress, shrink
from models.seeds import seed_for

MAX_HELD_BYTES = 2 << 30  # of decoded pictures that stay in memory
MAX_HELD_OUT = 32  # crops to validate with
MIN_QUALITY, MAX_QUALITY = 40, 95  # of JPEGs, drawn evenly
COMPRESSED_SHARE = 0.8  # of small pictures, if any are compressed: the network must leave clean ones as they are
THREADS = 4  # that decode pictures: a large scan takes 700 MB


class ImageDataset(ManifestDataset):
    """A dataset of whole pictures on disk: its checked manifest, and its pictures.

    Raise ManifestError if there is no valid manifest with a picture in it."""

    item = "picture"

    def __init__(self, folder: Path, cache: Path) -> None:
        super().__init__(folder, cache, IMAGE_DATASET)

    def facts(self) -> dict[str, Any]:
        """Return what a run records of it."""
        return {"pictures": len(self.rows)}

    def of_side(self, split: str, least: int) -> list[dict[str, Any]]:
        """Return the rows of a split whose pictures are `least` px or more high and wide."""
        rows: list[dict[str, Any]] = self.split(split).select(["path", "width", "height"]).to_pylist()
        return [row for row in rows if min(row["width"], row["height"]) >= least]

    def picture(self, row: dict[str, Any]) -> np.ndarray:
        """Return (height, width, 3) uint8 of a row, upright, transparency on white. Raise ManifestError if the file is
        missing, damaged, or of another size."""
        return load_original(self.folder, row["path"], row["width"], row["height"])


class Crops(MadeAhead):
    """The map i -> {"high": (B, S, S, 3) uint8, "low": (B, S / SCALE, S / SCALE, 3) uint8}.

    Each epoch is a permutation of all pictures that are as large as a crop; of each the crop's place is drawn, and the
    crop is mirrored and turned as the Config says, then made small. B is this process's part of the global batch. For
    a GPU the next batch is made ahead. Decoded pictures are kept while they take less than MAX_HELD_BYTES. Raise
    UserError if no picture is as large as a crop."""

    def __init__(self, dataset: ImageDataset, config: CropConfig, *, seed: int, device: torch.device) -> None:
        super().__init__(device)
        self._rows = dataset.of_side("train", config.size)
        check_any(dataset, len(self._rows), config.size)
        self._dataset, self._config, self._seed = dataset, config, seed
        self._held: dict[int, np.ndarray] = {}
        self._held_bytes, self._lock = 0, threading.Lock()
        self._threads = ThreadPoolExecutor(THREADS)

    def _make(self, i: int) -> dict[str, Tensor]:
        count = self._config.pictures
        places = range(count)[own_part(count)]
        rows = shuffled(self._seed, i, count, len(self._rows))[own_part(count)]
        pairs = list(self._threads.map(lambda place, row: self._pair(int(row), i, place), places, rows))
        high, low = (torch.from_numpy(np.stack(side)) for side in zip(*pairs, strict=True))
        return {"high": high, "low": low}

    def _pair(self, row: int, i: int, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a crop and its small version."""
        c = self._config
        rng = np.random.default_rng(seed_for(self._seed, i, "crop", place))
        picture = self._picture(row)
        top, left = (int(rng.integers(side - c.size + 1)) for side in picture.shape[:2])
        high = picture[top : top + c.size, left : left + c.size]
        if c.hflip and rng.random() < 0.5:
            high = high[:, ::-1]
        if c.turns:
            high = np.rot90(high, int(rng.integers(4)))
        return degraded(np.ascontiguousarray(high), c.degrade, rng)

    def _picture(self, row: int) -> np.ndarray:
        picture = self._held.get(row)
        if picture is None:
            picture = self._dataset.picture(self._rows[row])
            with self._lock:
                if row not in self._held and self._held_bytes + picture.nbytes <= MAX_HELD_BYTES:
                    self._held[row] = picture
                    self._held_bytes += picture.nbytes
        return picture


def degraded(high: np.ndarray, degrade: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return (a picture (H, W, 3) uint8, its small version); with `degrade` jpeg most small ones are compressed."""
    low = shrink(high)
    if degrade == "jpeg" and rng.random() < COMPRESSED_SHARE:
        quality = int(rng.integers(MIN_QUALITY, MAX_QUALITY + 1))
        low = compress(low, quality, halves_colors=rng.random() < 0.5)
    return high, low


def check_any(dataset: ImageDataset, count: int, size: int) -> None:
    """Raise UserError if no picture of the train split is as large as a crop; print how many are smaller."""
    whole = len(dataset.split("train"))
    if not count:
        found = f"none of the {whole} pictures of the split train is {size} × {size} px or more"
        cure = f"build it with --min-side {size}, or train smaller crops with --preset small or --set size=…"
        raise UserError(dataset.folder, found, "one or more", cure)
    if count < whole and distributed.rank() == 0:
        name = dataset.folder.name
        print(f"{name}: {whole - count} pictures are smaller than {size} px, and are left out", file=sys.stderr)


def crops(datasets: Datasets, config: CropConfig, *, seed: int, device: torch.device) -> Crops:
    """Return batches of the train split's pictures."""
    (dataset,) = datasets.values()
    return Crops(dataset, config, seed=seed, device=device)


def held_out(dataset: ImageDataset, config: CropConfig, count: int) -> HeldOutCrops:
    """Return the middles of the first `count`, and at most MAX_HELD_OUT, pictures of val that are large enough; of
    train if val has none. Raise UserError if that has none, too."""
    rows = dataset.of_side("val", config.size) or dataset.of_side("train", config.size)
    if not rows:
        check_any(dataset, 0, config.size)
    pairs = []
    for number, row in enumerate(rows[: min(count, MAX_HELD_OUT)]):
        picture = dataset.picture(row)
        top, left = ((side - config.size) // 2 for side in picture.shape[:2])
        high = np.ascontiguousarray(picture[top : top + config.size, left : left + config.size])
        pairs.append(degraded(high, config.degrade, np.random.default_rng(seed_for("held out", number))))
    return HeldOutCrops(*(np.stack(side) for side in zip(*pairs, strict=True)))
