"""A face dataset on disk, and its pictures as arrays. The only module of `models` that imports `pipeline`.

It imports `pipeline.manifest` alone, and passes on what other modules need of it. A split's pictures are decoded and
resampled once, into one memory-mapped uint8 array that is kept in the cache.
"""

import functools
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from filelock import FileLock
from PIL import Image

from models.files import atomic_open, check_regular
from pipeline.manifest import DISK_ERRORS as DISK_ERRORS
from pipeline.manifest import FACES, HAIR_COLORS, ManifestError, UserError, check_rows, load_png, read, remove
from pipeline.manifest import check as check  # of what is read back, as parse_json and read_json do
from pipeline.manifest import code as code  # of the cards
from pipeline.manifest import escape_markdown as escape_markdown
from pipeline.manifest import parse_json as parse_json
from pipeline.manifest import read_json as read_json
from pipeline.manifest import sha256_of as sha256_of
from pipeline.manifest import table_rows as table_rows

RESAMPLER = "lanczos 1"  # to be raised when the same crops give other pixels
MAX_AHEAD = 256  # images

T = TypeVar("T")
R = TypeVar("R")

__all__ = ["HAIR_COLORS", "Dataset", "ManifestError", "UserError"]


class Dataset:
    """A face dataset on disk: its checked manifest, and its images as arrays.

    Raise ManifestError if there is no valid manifest with a face in it."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder, self._cache = folder, cache
        path = folder / "manifest.parquet"
        self.faces = read(path, FACES)
        check_rows(self.faces, path)
        if not len(self.faces):
            raise ManifestError(path, "holds no face", "at least one", "build the dataset again")
        self.digest = sha256_of(path)

    def split(self, name: str) -> pa.Table:
        """Return the rows of train, val or test."""
        return self.faces.filter(pc.equal(self.faces["split"], name))

    def pixels(self, split: str, size: int) -> np.ndarray:
        """Return (N, size, size, 3) uint8, memory-mapped, in the manifest's order.

        Raise ManifestError if an image is missing, damaged, or smaller than `size`."""
        causes = [self.digest, split, "all rows", "pictures", size, RESAMPLER]
        key = hashlib.sha256(json.dumps(causes).encode()).hexdigest()[:16]
        path = self._cache / "arrays" / f"{key}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(str(path.with_suffix(".lock"))):
            faces = self.split(split)
            pixels = _open_array(path, (len(faces), size, size, 3))
            if pixels is None:
                remove(path)
                self._write(path, faces, size)
                pixels = np.load(path, mmap_mode="r")
        return pixels

    def _write(self, path: Path, faces: pa.Table, size: int) -> None:
        load = functools.partial(self._picture, size=size)
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(faces), size, size, 3)}
        with atomic_open(path) as file, ThreadPoolExecutor(os.cpu_count()) as pool:
            np.lib.format.write_array_header_1_0(file, header)
            rows = zip(faces["path"].to_pylist(), faces["size"].to_pylist(), strict=True)
            for picture in _map_ahead(pool, load, rows):
                file.write(picture.tobytes())  # not through the memory map, where a full disk is a crash, not an error

    def _picture(self, row: tuple[str, int], size: int) -> np.ndarray:
        path, stated = row
        if stated < size:
            found, cure = f"faces of {stated} px", f"build it again with --size {size}, or take a smaller --preset"
            raise ManifestError(self.folder, found, f"{size} px or more, as the model is trained at", cure)
        picture = load_png(self.folder, path, stated, stated)
        return np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS))


def _open_array(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """Return the uint8 array of that shape in a file of the cache, memory-mapped; None if it is missing or damaged."""
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


def _map_ahead(pool: ThreadPoolExecutor, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield the results of pool.map, of which at most MAX_AHEAD are held at once."""
    waiting: list[Future[R]] = []
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) == MAX_AHEAD:
            yield waiting.pop(0).result()
    while waiting:
        yield waiting.pop(0).result()
