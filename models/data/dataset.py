"""Manifest -> the i-th batch. The one door between `pipeline` and `models`.

A split's pictures lie decoded and resampled in one memory-mapped uint8 array, built once and kept in the cache. The
i-th batch is a function of (seed, i): nothing to save, nothing to replay on resuming.
"""

import functools
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from filelock import FileLock
from PIL import Image
from torch import Tensor

from models import distributed as ranks
from models.files import atomic_open, check_regular, discard
from pipeline.manifest import FACES, HAIR_COLORS, ManifestError, UserError, check_faces, load_crop, read
from pipeline.manifest import check as check  # of what is read back, as parse_json and read_json do
from pipeline.manifest import code as code  # of the cards
from pipeline.manifest import inert as inert
from pipeline.manifest import parse_json as parse_json
from pipeline.manifest import read_json as read_json
from pipeline.manifest import table_rows as table_rows

RESAMPLER = "lanczos 1"  # raise it when the same crops give other pixels
GPU_SHARE = 0.5  # of the free memory that pictures may fill

__all__ = [
    "HAIR_COLORS",
    "Dataset",
    "Pictures",
    "UserError",
    "conditioned",
    "conditions",
    "in_range",
    "labelled",
    "labels",
    "pictures",
    "seed_for",
]


def seed_for(*causes: object) -> int:
    """63 bits from anything that can be printed: torch takes no more."""
    return int.from_bytes(hashlib.sha256(repr(causes).encode()).digest()[:8], "big") >> 1


class Dataset:
    """A face dataset on disk: its manifest, checked, and its pictures as arrays.

    Raises ManifestError if there is no valid manifest with a face in it."""

    def __init__(self, folder: Path, cache: Path):
        self.folder, self._cache = folder, cache
        path = folder / "manifest.parquet"
        self.faces = read(path, FACES)
        check_faces(self.faces, path)
        if not len(self.faces):
            raise ManifestError(path, "holds no face", "at least one", "build the dataset again")
        self.digest = hashlib.sha256(path.read_bytes()).hexdigest()

    def split(self, name: str) -> pa.Table:
        """The rows of train, val or test."""
        return self.faces.filter(pc.equal(self.faces["split"], name))

    def pixels(self, split: str, size: int) -> np.ndarray:
        """(N, size, size, 3) uint8, memory-mapped, in the manifest's order.

        Raises ManifestError if a picture is gone, damaged, or smaller than `size`."""
        causes = [self.digest, split, "all rows", "pictures", size, RESAMPLER]
        key = hashlib.sha256(json.dumps(causes).encode()).hexdigest()[:16]
        path = self._cache / "arrays" / f"{key}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            faces = self.split(split)
            pixels = _mapped(path, (len(faces), size, size, 3))
            if pixels is None:
                discard(path)
                self._write(path, faces, size)
                pixels = np.load(path, mmap_mode="r")
        return pixels

    def _write(self, path: Path, faces: pa.Table, size: int) -> None:
        load = functools.partial(self._picture, size=size)
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(faces), size, size, 3)}
        with atomic_open(path) as file, ThreadPoolExecutor(os.cpu_count()) as pool:
            np.lib.format.write_array_header_1_0(file, header)
            rows = zip(faces["path"].to_pylist(), faces["size"].to_pylist(), strict=True)
            for picture in _ahead(pool, load, rows):
                file.write(picture.tobytes())  # not through the map: a full disk would be a crash, not an error

    def _picture(self, row: tuple[str, int], size: int) -> np.ndarray:
        path, stated = row
        if stated < size:
            raise ManifestError(
                self.folder,
                f"faces of {stated} px",
                f"{size} px or more, as the model is trained at",
                f"build it again with --size {size}, or take a smaller --preset",
            )
        picture = load_crop(self.folder, path, stated)
        return np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS))


def _mapped(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """Return the uint8 array of that shape in a file of the cache, memory-mapped; None if it is not there, or no such
    array: the cache may be damaged."""
    try:
        check_regular(path)
        pixels = np.lib.format.open_memmap(path, mode="r")
        if (pixels.dtype, pixels.shape, pixels.flags.c_contiguous) != (np.dtype(np.uint8), shape, True):
            raise ValueError(f"{pixels.dtype} {pixels.shape}")
    except FileNotFoundError:
        return None
    except Exception as error:  # noqa: BLE001 - NumPy raises anything at damaged bytes
        print(f"{path}: damaged ({' '.join(str(error).split())[:100]}); it is made again", file=sys.stderr)
        return None
    return pixels


def _ahead(pool: ThreadPoolExecutor, function: Callable, items: Iterable):
    """pool.map, but at most 256 results are held at once."""
    waiting = []
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) == 256:
            yield waiting.pop(0).result()
    while waiting:
        yield waiting.pop(0).result()


def labels(faces: pa.Table, column: str) -> tuple[list[str], np.ndarray]:
    """(names of the classes, (N,) int64 class of each face; -1: none): the nine of `hair_color`; or the first of each
    face's `tags`, which in a dataset from class folders is the class."""
    values = faces[column].to_pylist()
    if column == "tags":
        values = [tags[0] if tags else None for tags in values]
        names = sorted({value for value in values if value is not None})
    else:
        names = list(HAIR_COLORS)
    number = {name: index for index, name in enumerate(names)}
    return names, np.array([number.get(value, -1) for value in values], np.int64)


class Pictures:
    """batches(i) -> {"picture": (B, S, S, 3) uint8 on the device}, and with `labels`, one for each, {"label": (B, …)}.

    Each epoch is a permutation of all pictures, or of those `kept`; with `hflip` half of them are mirrored. B is this
    process's share of the global batch. On a GPU the pictures live in its memory if they fit; if not, the next batch is
    fetched ahead."""

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
    ):
        self._kept = np.arange(len(pixels)) if kept is None else kept
        if not len(self._kept):
            raise UserError("split train", "holds no picture", "at least one", "build a larger dataset")
        self.batch_size, self.seed, self.device, self.hflip = batch_size, seed, device, hflip
        self._pixels, self._labels = pixels, labels
        self._resident = None
        if device.type == "cuda" and pixels.nbytes < GPU_SHARE * torch.cuda.mem_get_info(device)[0]:
            self._resident = torch.from_numpy(np.array(pixels)).to(device)
        self._ahead = ThreadPoolExecutor(1) if device.type == "cuda" and self._resident is None else None
        self._next: tuple[int, object] = (-1, None)

    def __call__(self, i: int) -> dict[str, Tensor]:
        rows, flipped = self.rows(i)
        picture = self._fetch(rows, i)
        if self.hflip:
            flip = self._there(flipped)
            picture = torch.where(flip[:, None, None, None], picture.flip(2), picture)
        batch = {"picture": picture}
        if self._labels is not None:
            batch["label"] = self._there(self._labels[rows])
        return batch

    def rows(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """(B,) which pictures are in the i-th batch, and (B,) whether each is mirrored."""
        first, count = i * self.batch_size, len(self._kept)
        epochs = range(first // count, (first + self.batch_size - 1) // count + 1)
        order = np.concatenate([_permutation(self.seed, epoch, count) for epoch in epochs])
        start = first - epochs[0] * count
        flipped = np.random.default_rng(seed_for(self.seed, i, "flip")).random(self.batch_size) < 0.5
        part = slice(*(self.batch_size * (ranks.rank() + end) // ranks.world() for end in (0, 1)))
        return self._kept[order[start : start + self.batch_size][part]], flipped[part]

    def _fetch(self, rows: np.ndarray, i: int) -> Tensor:
        if self._resident is not None:
            return self._resident[self._there(rows)]
        if self._ahead is None:
            return torch.from_numpy(self._pixels[rows])
        number, coming = self._next
        picture = coming.result() if number == i else self._pinned(i)
        self._next = i + 1, self._ahead.submit(self._pinned, i + 1)
        return picture.to(self.device, non_blocking=True)

    def _there(self, array: np.ndarray) -> Tensor:
        """On the device; on a GPU without waiting for it."""
        tensor = torch.from_numpy(array)
        return tensor.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else tensor

    def _pinned(self, i: int) -> Tensor:
        return torch.from_numpy(self._pixels[self.rows(i)[0]]).pin_memory()


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed_for(seed, epoch, "order")).permutation(count)


def pictures(dataset: Dataset, config, *, seed: int, device: torch.device) -> Pictures:
    """The kind of batch that holds the train split's faces alone."""
    pixels = dataset.pixels("train", config.size)
    return Pictures(pixels, config.pictures, seed=seed, device=device, hflip=config.hflip)


def labelled(dataset: Dataset, config, *, seed: int, device: torch.device, column: str) -> Pictures:
    """… and the class of each, from `column`: its number among `labels(dataset.faces, column)`."""
    pixels = dataset.pixels("train", config.size)
    classes = labels(dataset.faces, column)[1][np.array(dataset.faces["split"]) == "train"]
    return Pictures(pixels, config.pictures, seed=seed, device=device, hflip=config.hflip, labels=classes)


def conditions(faces: pa.Table, names: tuple[str, ...]) -> np.ndarray:
    """(N, T) float32: which of the names each face has: its hair colour, if they are the nine; else its tags.

    A hair colour that was found counts as its tag, such as blue_hair."""
    if names == HAIR_COLORS:
        found = [{color} for color in faces["hair_color"].to_pylist()]
    else:
        rows = zip(faces["tags"].to_pylist(), faces["hair_color"].to_pylist(), strict=True)
        found = [{*tags, f"{color}_hair"} for tags, color in rows]
    return np.array([[name in some for name in names] for some in found], np.float32).reshape(len(faces), len(names))


def conditioned(dataset: Dataset, config, *, seed: int, device: torch.device) -> Pictures:
    """Faces that have one of `config.labels` at least, and which they have: see `conditions`.

    Raises UserError unless two of the labels are there."""
    have = conditions(dataset.split("train"), config.labels)
    there = [name for name, some in zip(config.labels, have.any(0), strict=True) if some]
    if len(there) < 2:
        found = f"{there[0]} alone" if there else "no face has any"
        raise UserError(
            dataset.folder,
            f"{found} of the labels {' '.join(config.labels)}",
            "faces of two labels or more",
            "build a dataset with more kinds of faces",
        )
    pixels = dataset.pixels("train", config.size)
    kept = np.flatnonzero(have.any(1))
    return Pictures(pixels, config.pictures, seed=seed, device=device, hflip=config.hflip, labels=have, kept=kept)


def in_range(picture: Tensor, middle: float) -> Tensor:
    """(N, S, S, 3) uint8 -> (N, 3, S, S), channels last in memory, with the grey level `middle` at 0 and 0 at -1."""
    return picture.permute(0, 3, 1, 2).to(torch.get_default_dtype()).sub_(middle).div_(middle)
