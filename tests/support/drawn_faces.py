"""Crops of drawn faces, as BuildFaceDataset cuts them."""

import functools

import numpy as np

from pipeline.faces.boxes import Face
from pipeline.faces.crop import crop
from pipeline.sources.drawn import draw


def drawn_faces(count: int) -> tuple[np.ndarray, list[str]]:
    """Return crops (N, 64, 64, 3), each drawn once in a process, and the true hair colour of each."""
    pictures, colors = zip(*map(_drawn, range(count)), strict=True)
    return np.stack(pictures), list(colors)


@functools.cache
def _drawn(i: int) -> tuple[np.ndarray, str]:
    picture, truth = draw(3, i)
    face = Face(truth.face_box, truth.tilt, 1.0)
    return crop(np.asarray(picture), face, size=64, box_scale=1.5), truth.hair_color
