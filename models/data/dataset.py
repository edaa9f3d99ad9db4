"""A dataset on disk, and its items as arrays. The only module of `models` that imports `pipeline`.

It imports `pipeline.manifest`, `pipeline.clips.flow` and `pipeline.images.decode`, and passes on what other modules
need of them. A split's items are decoded and resampled once, into one memory-mapped array that is kept in the cache.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from filelock import FileLock
from PIL import Image

from models.files import atomic_open, check_regular
from pipeline.clips import flow as flow
from pipeline.images import decode
from pipeline.manifest import CLIP_FRAMES as CLIP_FRAMES
from pipeline.manifest import CLIPS as CLIPS
from pipeline.manifest import DISK_ERRORS as DISK_ERRORS
from pipeline.manifest import FACES, HAIR_COLORS, ManifestError, UserError, check_rows, is_within, read, remove
from pipeline.manifest import GENERATED as GENERATED  # the marking of generated pictures
from pipeline.manifest import IMAGE_DATASET as IMAGE_DATASET
from pipeline.manifest import XMP_KEYWORD as XMP_KEYWORD
from pipeline.manifest import check as check  # of what is read back, as parse_json and read_json do
from pipeline.manifest import code as code  # of the cards
from pipeline.manifest import escape_markdown as escape_markdown
from pipeline.manifest import load_png as load_png
from pipeline.manifest import parse_json as parse_json
from pipeline.manifest import read_json as read_json
from pipeline.manifest import sha256_of as sha256_of
from pipeline.manifest import table_rows as table_rows

RESAMPLER = "lanczos 1"  # to be raised when the same crops give other pixels
MAX_AHEAD = 256  # images

T = TypeVar("T")
R = TypeVar("R")

__all__ = ["HAIR_COLORS", "Dataset", "ManifestError", "UserError"]


class ManifestDataset:
    """A dataset on disk: its checked manifest, and arrays of its items, which are made once and kept in the cache.

    Raise ManifestError if there is no valid manifest with a row in it."""

    item = "item"

    def __init__(self, folder: Path, cache: Path, schema: pa.Schema) -> None:
        self.folder, self._cache = folder, cache
        path = folder / "manifest.parquet"
        self.rows = read(path, schema)
        check_rows(self.rows, path)
        if not len(self.rows):
            raise ManifestError(path, f"holds no {self.item}", "at least one", "build the dataset again")
        self.digest = sha256_of(path)

    def split(self, name: str) -> pa.Table:
        """Return the rows of train, val or test."""
        return self.rows.filter(pc.equal(self.rows["split"], name))

    def array(
        self, split: str, causes: list, shape: tuple[int, ...], dtype: type, load: Callable[[dict], np.ndarray]
    ) -> np.ndarray:
        """Return (N, *shape) of the rows of a split, memory-mapped, in the manifest's order.

        `load` makes one item of a row, if the cache has no array of these `causes`, which are JSON values."""

        def make() -> Iterator[np.ndarray]:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                yield from _map_ahead(pool, load, self.split(split).to_pylist())

        return self._cached(split, causes, shape, dtype, make)

    def _cached(
        self,
        split: str,
        causes: list,
        shape: tuple[int, ...],
        dtype: type,
        make: Callable[[], Iterable[np.ndarray]],
        rows: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return what `array` returns, or of `rows` (N,) of the split; `make` makes these items, in order."""
        which, count = "all rows", len(self.split(split))
        if rows is not None and not np.array_equal(rows, np.arange(count)):
            which, count = hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest(), len(rows)
        key = hashlib.sha256(json.dumps([self.digest, split, which, *causes]).encode()).hexdigest()[:16]
        path = self._cache / "arrays" / f"{key}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(str(path.with_suffix(".lock"))):
            whole = (count, *shape)
            items = _open_array(path, whole, np.dtype(dtype))
            if items is None:
                remove(path)
                _write_array(path, whole, np.dtype(dtype), make())
                items = np.load(path, mmap_mode="r")
        return items


class Dataset(ManifestDataset):
    """A face dataset on disk: its checked manifest, and its images as arrays.

    Raise ManifestError if there is no valid manifest with a face in it."""

    item = "face"

    def __init__(self, folder: Path, cache: Path) -> None:
        super().__init__(folder, cache, FACES)

    @property
    def faces(self) -> pa.Table:
        """Return all rows."""
        return self.rows

    def facts(self) -> dict[str, Any]:
        """Return what a run records of it: the number of faces, and how they were cropped."""
        first = self.rows.slice(0, 1).to_pylist()[0]
        unusual = {name: first[name] for name in ("face_x", "face_y", "rotation") if first[name]}
        return {"faces": len(self.rows), "size": first["size"], "box_scale": first["box_scale"], **unusual}

    def pixels(self, split: str, size: int) -> np.ndarray:
        """Return (N, size, size, 3) uint8, memory-mapped, in the manifest's order.

        Raise ManifestError if an image is missing, damaged, or smaller than `size`."""
        causes = ["pictures", size, RESAMPLER]
        return self.array(split, causes, (size, size, 3), np.uint8, lambda row: self._picture(row, size))

    def features(
        self,
        split: str,
        size: int,
        count: int,
        causes: list,
        extract: Callable[[np.ndarray], np.ndarray],
        rows: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return (N, count) float32, memory-mapped: features of the images at `size`, of all in the manifest's order,
        or of these rows of the split.

        `extract` makes them of one or more images (N, size, size, 3) uint8, if the cache has none of these `causes`,
        which are JSON values. Raise ManifestError as `pixels`."""
        causes, pictures = ["features", size, RESAMPLER, *causes], self.pixels(split, size)

        def make() -> Iterable[np.ndarray]:
            chosen = pictures if rows is None else pictures[rows]
            return extract(chosen) if len(chosen) else []

        return self._cached(split, causes, (count,), np.float32, make, rows)

    def _picture(self, row: dict, size: int) -> np.ndarray:
        stated = row["size"]
        if stated < size:
            found, cure = f"faces of {stated} px", f"build it again with --size {size}, or take a smaller --preset"
            raise ManifestError(self.folder, found, f"{size} px or more, as the model is trained at", cure)
        picture = load_png(self.folder, row["path"], stated, stated)
        return np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS))


def load_original(folder: Path, path: str, width: int, height: int) -> np.ndarray:
    """Return (height, width, 3) uint8 of an original within a dataset, as the pipeline decodes it: upright, what is
    transparent on white. Raise ManifestError unless it is a file within the folder, whole and of that size."""
    file, cure = folder / path, "remove the dataset and build it again"
    if not (is_within(file, folder) and file.is_file()):
        raise ManifestError(file, "is no file within the dataset", "the picture of a row", cure)
    try:
        picture = decode.load(file)
    except UserError:
        raise ManifestError(file, "damaged", "the picture of a row", cure) from None
    if picture.shape[:2] != (height, width):
        found = "{1} × {0} px".format(*picture.shape[:2])
        raise ManifestError(file, found, f"{width} × {height}, as the manifest says", cure)
    return picture


def _open_array(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray | None:
    """Return the array of that shape and type in a file of the cache, memory-mapped; None if it is missing or
    damaged."""
    try:
        check_regular(path)
        items = np.lib.format.open_memmap(path, mode="r")
        if (items.dtype, items.shape, items.flags.c_contiguous) != (dtype, shape, True):
            raise ValueError(f"{items.dtype} {items.shape}")
    except FileNotFoundError:
        return None
    except Exception as error:  # noqa: BLE001 - NumPy raises anything at damaged bytes
        print(f"{path}: damaged ({' '.join(str(error).split())[:100]}); it is made again", file=sys.stderr)
        return None
    return items


def _write_array(path: Path, shape: tuple[int, ...], dtype: np.dtype, items: Iterable[np.ndarray]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with atomic_open(path) as file:
        np.lib.format.write_array_header_1_0(file, header)
        for item in items:
            file.write(item.tobytes())  # not through the memory map, where a full disk is a crash, not an error


def _map_ahead(pool: ThreadPoolExecutor, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield the results of pool.map, of which at most MAX_AHEAD are held at once."""
    waiting: list[Future[R]] = []
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) == MAX_AHEAD:
            yield waiting.pop(0).result()
    while waiting:
        yield waiting.pop(0).result()
