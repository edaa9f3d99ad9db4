"""Pictures that are drawn by several processes, written as one array."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from pipeline.parallel import map_items
from pipeline.progress import Progress

Truth = TypeVar("Truth")


def write_pictures(
    path: Path, draw: Callable[[int], tuple[np.ndarray, Truth]], count: int, size: int, *, what: str, jobs: int = 0
) -> Iterator[tuple[int, Truth]]:
    """Write `path`, (count, size, size, 3) uint8, the pictures 0, 1, … of `draw`; yield the number and the truth of
    each as it is done, in any order. `what` names them in the progress bar."""
    progress = Progress(f"drawing {what}")
    with open(path, "wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, size, size, 3)}
        np.lib.format.write_array_header_1_0(file, header)
        start = file.tell()
        for i, (picture, truth) in map_items(functools.partial(_numbered, draw), range(count), jobs=jobs):
            # no memory map: a full disk would crash the process instead of raising an error
            file.seek(start + i * picture.nbytes)
            file.write(picture.tobytes())
            yield i, truth
            progress.advance()
    progress.close()


def _numbered(draw: Callable[[int], tuple[np.ndarray, Truth]], i: int) -> tuple[int, tuple[np.ndarray, Truth]]:
    return i, draw(i)
