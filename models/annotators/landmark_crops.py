"""Drawn faces -> the i-th batch of upright crops, and the landmarks in each.

The crops are shifted, scaled and turned as the boxes of detectors are inexact, mirrored, and degraded and recoloured
at random. All of it is a function of (seed, i).
"""

import math
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from models.annotators.face_crops import degrade, recolor
from models.seeds import seed_for

SIZE = 96  # px: S, side of a crop; a test compares it with the network's, and so FACE_SIDES
FACE_SIDES = 1.5  # side of a crop, in sides of the face
DRAWN_SIDES = 2.3  # side of a drawn picture, in sides of the face; a test compares it with the drawing's
POINTS = slice(5, None)  # columns of a face: tilt, openness, openness, visible, visible, points


class Faces(NamedTuple):
    """Drawn faces, each in the middle of its picture."""

    pictures: np.ndarray
    """(N, S, S, 3) uint8, RGB; may be memory-mapped."""
    rows: np.ndarray
    """(N, 9 + 4 K) float32: tilt in degrees; openness of the left and the right eye; visible share of each; x, y in px
    of mouth, chin, K points around the left eye, K around the right one."""

    def part(self, first: int, end: int) -> "Faces":
        """Return the faces from `first` up to `end`."""
        return Faces(self.pictures[first:end], self.rows[first:end])


class Shift(NamedTuple):
    """How inexact the box of a face is, and whether its crop is mirrored."""

    x: float = 0  # sides of the face
    y: float = 0
    scale: float = 1
    turn: float = 0  # degrees
    mirror: int = 1  # -1 if it is mirrored


class Crops:
    """The map i -> {"picture": (B, 3, S, S) about -1..1, "points": (B, 12), "openness": (B, 2), "visible": (B, 2)}.

    The points are x0, y0, x1, y1 of the left and of the right eye, x, y of mouth and chin, in half sides of the crop
    from its middle."""

    def __init__(self, faces: Faces, batch_size: int, *, seed: int) -> None:
        self._faces, self._batch_size, self._seed = faces, batch_size, seed

    def __call__(self, i: int) -> dict[str, Tensor]:
        """Return the i-th batch."""
        rng = np.random.default_rng(seed_for(self._seed, i, "crops"))
        chosen = rng.integers(len(self._faces.pictures), size=self._batch_size)
        shown = [show(self._faces, face, random_shift(rng)) for face in chosen]
        pictures = [recolor(rng, degrade(rng, pixels)).transpose(2, 0, 1) for pixels, _ in shown]
        targets = np.stack([target for _, target in shown])
        return as_batch(np.stack(pictures), targets)


def as_batch(pictures: np.ndarray, targets: np.ndarray) -> dict[str, Tensor]:
    """Return tensors of pictures (B, 3, S, S) float32 and targets (B, 16) of `show`."""
    parts = {"picture": pictures, "points": targets[:, :12], "openness": targets[:, 12:14], "visible": targets[:, 14:]}
    return {name: torch.from_numpy(np.ascontiguousarray(part, np.float32)) for name, part in parts.items()}


def exact_crops(faces: Faces) -> tuple[np.ndarray, np.ndarray]:
    """Return (N, S, S, 3) uint8 crops as of exact boxes, and their targets (N, 16)."""
    shown = [show(faces, face, Shift()) for face in range(len(faces.pictures))]
    return np.stack([pixels for pixels, _ in shown]), np.stack([target for _, target in shown])


def random_shift(rng: np.random.Generator) -> Shift:
    """Return a shift of about 8 %, a scale of about 10 % and a turn of about 8 degrees, sometimes more."""
    wild = 2 if rng.random() < 0.15 else 1
    x, y = rng.normal(0, 0.06 * wild, 2).clip(-0.2, 0.2)
    scale = math.exp(float(np.clip(rng.normal(0, 0.08 * wild), -0.25, 0.25)))
    return Shift(x, y, scale, float(rng.normal(0, 6 * wild)), -1 if rng.random() < 0.5 else 1)


def show(faces: Faces, face: int, shift: Shift) -> tuple[np.ndarray, np.ndarray]:
    """Return the crop (S, S, 3) uint8, and the targets (16,): the points as in `Crops`, openness of both eyes,
    visible share of both."""
    picture, row = faces.pictures[face], faces.rows[face]
    side = len(picture) / DRAWN_SIDES
    zoom = SIZE / (FACE_SIDES * side * shift.scale)
    angle = math.radians(row[0] + shift.turn)
    cos, sin = math.cos(angle), math.sin(angle)
    linear = zoom * np.array([[cos, sin], [-sin, cos]]) * ((shift.mirror,), (1,))
    center = len(picture) / 2 + side * np.array([shift.x, shift.y])
    matrix = np.column_stack([linear, SIZE / 2 - linear @ center])  # of px whose 0 is the edge of the first
    for_centers = matrix.copy()
    for_centers[:, 2] += linear @ (0.5, 0.5) - 0.5
    pixels = cv2.warpAffine(picture, for_centers, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderValue=(255, 255, 255))
    points = (row[POINTS].reshape(-1, 2) @ linear.T + matrix[:, 2]) / (SIZE / 2) - 1
    count = (len(points) - 2) // 2
    eyes, state = [points[2 : 2 + count], points[2 + count :]], row[1:5].reshape(2, 2)
    if shift.mirror < 0:
        eyes, state = eyes[::-1], state[:, ::-1]
    boxes = [np.concatenate([eye.min(0), eye.max(0)]) for eye in eyes]
    return pixels, np.concatenate([*boxes, *points[:2], *state])
