"""Batches of two domains, `a` and `b`, without pairs: each in an order of its own."""

from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from models.contracts import Datasets, FaceDataset, PairConfig
from models.data.batches import MadeAhead, own_part, shuffled
from models.data.dataset import UserError
from models.seeds import seed_for

OFFICIAL_CROP = 256 / 286  # of the side: the authors enlarge a picture to 286 px and cut 256 px
OVERSAMPLING = 2  # a picture is held at up to that many times its size, so that a crop is not blurred


class Crop(NamedTuple):
    """How the article crops the pictures of a domain, in parts of their side."""

    x: tuple[float, float]  # by how much they are shifted
    y: tuple[float, float]
    least: float  # side of the smallest crop


ARTICLE_CROPS = {"a": Crop((-0.025, 0.025), (-0.025, 0.025), 0.9), "b": Crop((-0.05, 0.05), (-0.05, 0.125), 0.7)}
"""Its ± 5 %, ± 10 % and -10 to 25 % are of 256 px, in pictures of 512 px."""


def draw_box(rng: np.random.Generator, crop: str, role: str) -> tuple[float, float, float, float]:
    """Return the crop x0, y0, x1, y1 of a picture, in parts of its side.

    `article`: a square of any side round a shifted centre that stays within the picture. `official`: of one side,
    anywhere."""
    if crop == "official":
        x0, y0 = rng.uniform(0, 1 - OFFICIAL_CROP, 2)
        return x0, y0, x0 + OFFICIAL_CROP, y0 + OFFICIAL_CROP
    allowed = ARTICLE_CROPS[role]
    x, y = rng.uniform(*allowed.x), rng.uniform(*allowed.y)
    half = rng.uniform(allowed.least, 1 - 2 * max(abs(x), abs(y))) / 2
    return 0.5 - x - half, 0.5 - y - half, 0.5 - x + half, 0.5 - y + half


class Pairs(MadeAhead):
    """The map i -> {"a": (B, S, S, 3) uint8, "b": …} on the device.

    In each epoch every domain is permuted, and as many pictures are taken as the smaller one has. B is this process's
    part of the global batch. For a GPU the next batch is made ahead. Raise UserError if a domain has no picture, or
    both are one dataset."""

    def __init__(self, datasets: Datasets, config: PairConfig, *, seed: int, device: torch.device) -> None:
        super().__init__(device)
        a, b = datasets["a"], datasets["b"]
        if a.digest == b.digest:
            raise UserError(b.folder, f"has the same faces as {a.folder.name}", "another domain", "give another")
        self._pixels = {role: _held_pixels(dataset, config.size) for role, dataset in datasets.items()}
        self._config, self._seed = config, seed
        self._length = min(map(len, self._pixels.values()))

    def _make(self, i: int) -> dict[str, Tensor]:
        return {role: torch.from_numpy(self._pictures(role, i)) for role in self._pixels}

    def rows(self, role: str, i: int) -> np.ndarray:
        """Return (B,) the row of each picture of a domain in the i-th batch."""
        count, whole = self._config.pictures, len(self._pixels[role])
        order = shuffled(seed_for(self._seed, role), i, count, whole, epoch_length=self._length)
        return order[own_part(count)]

    def _pictures(self, role: str, i: int) -> np.ndarray:
        """Return (B, S, S, 3) uint8, shifted, cropped and mirrored as the Config says."""
        c = self._config
        made = []
        places = range(c.pictures)[own_part(c.pictures)]
        for place, row in zip(places, self.rows(role, i), strict=True):
            rng = np.random.default_rng(seed_for(self._seed, i, "crop", role, place))
            picture = self._pixels[role][row]
            x0, y0, x1, y1 = (part * len(picture) for part in draw_box(rng, c.crop, role))
            cut = Image.fromarray(picture).resize((c.size, c.size), Image.Resampling.BICUBIC, (x0, y0, x1, y1))
            made.append(np.asarray(cut)[:, :: -1 if c.hflip and rng.random() < 0.5 else 1])
        return np.stack(made)


def _held_pixels(dataset: FaceDataset, size: int) -> np.ndarray:
    """Return the train split (N, S', S', 3) uint8, S' up to OVERSAMPLING times `size`, as large as the faces are.

    Raise UserError if there is none."""
    rows = dataset.split("train")
    if not len(rows):
        raise UserError(dataset.folder, "has no face in the split train", "one or more", "build a larger dataset")
    smallest = min(rows["size"].to_pylist())
    return dataset.pixels("train", max(size, min(OVERSAMPLING * size, smallest)))


def pairs(datasets: Datasets, config: PairConfig, *, seed: int, device: torch.device) -> Pairs:
    """Return batches of the train splits of the roles a and b."""
    return Pairs(datasets, config, seed=seed, device=device)
