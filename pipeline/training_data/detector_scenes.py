"""Drawn scenes as two arrays: the training set of the face network."""

import functools
from pathlib import Path

import numpy as np

from pipeline.drawing import scenes
from pipeline.training_data.pictures import write_pictures

VERSION = 4
"""Raise it when the same (seed, i) gives another scene."""
SIZE = 256  # px: side of a scene


def draw_all(seed: int, count: int, out: Path, *, jobs: int = 0) -> None:
    """Write out/pictures.npy, (count, SIZE, SIZE, 3) uint8, and out/faces.npy, (M, 6) float.

    A row of faces.npy is: number of the scene, ascending; x, y, side in px; tilt in degrees; 1 if clear, else 0.
    """
    rows: list[tuple[float, ...]] = []
    draw = functools.partial(_draw, seed)
    for i, faces in write_pictures(out / "pictures.npy", draw, count, SIZE, what="scenes", jobs=jobs):
        rows += [(i, face.x, face.y, face.side, face.tilt, face.is_clear) for face in faces]
    np.save(out / "faces.npy", np.array(sorted(rows), float).reshape(-1, 6))


def _draw(seed: int, i: int) -> tuple[np.ndarray, list[scenes.Mark]]:
    scene = scenes.draw(seed, i, size=SIZE)
    return scene.picture, scene.faces
