"""Faces -> their landmarks: eyes and how far they are open, mouth, chin."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.faces.boxes import Face

VERSION = 2

Box = tuple[float, float, float, float]
Point = tuple[float, float]


class Landmarks(NamedTuple):
    """The landmarks of one face. Boxes are x0, y0, x1, y1 and points x, y in px of the picture; left and right are
    those of the picture while the head is upright."""

    left_eye: Box
    """The upright box of the eye, lashes included, as it is when wide open, however far it is closed."""
    right_eye: Box
    left_openness: float
    """1 open .. 0 closed."""
    right_openness: float
    left_visible: float
    """How much of the eye shows: 1 all .. 0 none, because of hair, hands and other things in front of it."""
    right_visible: float
    mouth: Point
    chin: Point


def network(picture: np.ndarray, faces: Sequence[Face], asset: str) -> list[Landmarks]:
    """Return the landmarks that our own network finds, see `landmark_network.py`."""
    from pipeline.faces import landmark_network  # torch takes long to import

    return landmark_network.find(picture, faces, asset)


class Finder(NamedTuple):
    """One row of FINDERS."""

    find: Callable[[np.ndarray, Sequence[Face], str], list[Landmarks]]
    """((H, W, 3) uint8 picture, faces, `asset`) -> the landmarks of each face."""
    asset: str
    """Path of the file that `find` needs."""
    license: str


FINDERS = {"network": Finder(network, str(Path(__file__).with_suffix(".safetensors")), "MIT")}


def find(
    picture: np.ndarray, faces: Sequence[Face], *, finder: str = "network", asset: str | None = None
) -> list[Landmarks]:
    """Return the landmarks of each face in a picture, (H, W, 3) uint8 RGB, found by one of FINDERS.

    `asset`: its file, if it is another than the shipped one. Raise UserError if that is missing or damaged."""
    row = FINDERS[finder]
    return row.find(picture, faces, asset or row.asset)
