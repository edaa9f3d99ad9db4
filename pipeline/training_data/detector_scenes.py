"""Drawn scenes as two arrays: the training set of the face network."""

import functools
from pathlib import Path

import numpy as np

from pipeline.drawing import scenes
from pipeline.parallel import map_items
from pipeline.progress import Progress

VERSION = 1
"""Raise it when the same (seed, i) gives another scene."""
SIZE = 256  # px: side of a scene


def draw_all(seed: int, count: int, out: Path, *, jobs: int = 0) -> None:
    """Write out/pictures.npy, (count, SIZE, SIZE, 3) uint8, and out/faces.npy, (M, 6) float.

    A row of faces.npy is: number of the scene, ascending; x, y, side in px; tilt in degrees; 1 if clear, else 0.
    """
    rows: list[tuple[float, ...]] = []
    progress = Progress("drawing scenes")
    with open(out / "pictures.npy", "wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, SIZE, SIZE, 3)}
        np.lib.format.write_array_header_1_0(file, header)
        start = file.tell()
        for i, scene in map_items(functools.partial(_draw_numbered, seed), range(count), jobs=jobs):
            # no memory map: a full disk would crash the process instead of raising an error
            file.seek(start + i * scene.picture.nbytes)
            file.write(scene.picture.tobytes())
            rows += [(i, face.x, face.y, face.side, face.tilt, face.is_clear) for face in scene.faces]
            progress.advance()
    progress.close()
    np.save(out / "faces.npy", np.array(sorted(rows), float).reshape(-1, 6))


def _draw_numbered(seed: int, i: int) -> tuple[int, scenes.Scene]:
    return i, scenes.draw(seed, i, size=SIZE)
