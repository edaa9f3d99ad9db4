"""Drawn scenes -> the i-th batch of crops, and what a detector shall say of each.

The crops are turned, mirrored, blurred, compressed and coloured by lot: what the drawing leaves the same, the pictures
of the world do not. All of it is a function of (seed, i).
"""

import math
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from models.data.dataset import seed_for

STRIDE, SIDE = 8, 40  # px: of a cell; of a face whose size is 0. The network's own, as a test holds

CLOSE = 20, 62  # px: sides that the faces aimed at are brought to
KNOWN = 19, 68  # px: sides of the faces that are to be found; others are not asked about
HIDDEN = 0.6  # of a face's side: radius round it in which nothing is asked, where it is not to be found
SPREAD = 0.2  # of a face's side: the σ of its peak
NEAR = 0.35  # of a peak's height, above which a cell is to tell where its face is


class Scenes(NamedTuple):
    """Drawn pictures and their faces."""

    pictures: np.ndarray
    """(N, S, S, 3) uint8, RGB; may be memory-mapped."""
    faces: np.ndarray
    """(M, 6): number of the scene, ascending; x, y, side in px; tilt in degrees; 1 if it is clear to see, else 0."""

    def of(self, scene: int) -> np.ndarray:
        """(K, 5): the faces of a scene, without its number."""
        first, end = np.searchsorted(self.faces[:, 0], [scene, scene + 1])
        return self.faces[first:end, 1:]

    def part(self, first: int, end: int) -> "Scenes":
        """Those from `first` up to `end`."""
        rows = (self.faces[:, 0] >= first) & (self.faces[:, 0] < end)
        return Scenes(self.pictures[first:end], self.faces[rows] - (first, 0, 0, 0, 0, 0))


class View(NamedTuple):
    """How a crop shows a scene."""

    matrix: np.ndarray
    """(2, 3): a point of the scene -> of the crop."""
    zoom: float
    turn: float
    """Degrees, clockwise."""
    mirror: int
    """-1 if it is mirrored, before it is turned; else 1."""

    def of(self, faces: np.ndarray) -> np.ndarray:
        """(K, 5): the faces as the crop shows them."""
        points = faces[:, :2] @ self.matrix[:, :2].T + self.matrix[:, 2]
        return np.column_stack([points, faces[:, 2] * self.zoom, faces[:, 3] * self.mirror + self.turn, faces[:, 4]])


class Crops:
    """batches(i) -> {"picture": (B, 3, S, S) about -1..1, and of S / 8 cells a side "heat": (B, …) 1 where a face's
    centre is, and less around it; "asked": (B, …) whether the heat counts; "near": (B, …) whether a face is so near
    that "shape": (B, 5, …) counts: x, y, log size, sine, cosine, as the network says them}."""

    def __init__(self, scenes: Scenes, size: int, batch_size: int, *, seed: int):
        self._scenes, self._size, self._batch_size, self._seed = scenes, size, batch_size, seed

    def __call__(self, i: int) -> dict[str, Tensor]:
        rng = np.random.default_rng(seed_for(self._seed, i, "crops"))
        crops = [self._crop(rng) for _ in range(self._batch_size)]
        return {name: torch.from_numpy(np.stack([crop[name] for crop in crops])) for name in crops[0]}

    def _crop(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        scene = int(rng.integers(len(self._scenes.pictures)))
        picture, faces = self._scenes.pictures[scene], self._scenes.of(scene)
        view = some_view(rng, len(picture), faces, self._size)
        pixels = colored(rng, degraded(rng, shown(rng, picture, view, self._size)))
        return {"picture": pixels.transpose(2, 0, 1)} | targets(view.of(faces), self._size)


def some_view(rng: np.random.Generator, side: int, faces: np.ndarray, size: int) -> View:
    """Of a scene of `side` px: mostly of one of its faces, somewhere in the crop of `size` px."""
    if len(faces) and rng.random() < 0.85:
        face = faces[rng.integers(len(faces))]
        zoom = _log_uniform(rng, *CLOSE) / face[2]
        center = face[:2] + rng.uniform(-0.36, 0.36, 2) * size / zoom
    else:
        zoom = _log_uniform(rng, 0.3, 1.1)
        center = rng.uniform(0, side, 2)
    turn = rng.normal(0, 8) if rng.random() < 0.7 else rng.uniform(-25, 25)
    mirror = -1 if rng.random() < 0.5 else 1
    stretch = np.exp(rng.normal(0, 0.06)) ** np.array([1, -1])
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    linear = zoom * np.array([[cos, -sin], [sin, cos]]) * stretch * (mirror, 1)
    return View(np.column_stack([linear, size / 2 - linear @ center]), zoom, turn, mirror)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def shown(rng: np.random.Generator, picture: np.ndarray, view: View, size: int) -> np.ndarray:
    """(size, size, 3) uint8: the crop. Beyond the scene's edge is white, black, or its last pixels."""
    matrix = view.matrix
    if view.zoom < 0.5:  # averages of four pixels, so that none is stepped over
        picture = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        matrix = matrix * (2, 2, 1)
    border = cv2.BORDER_REPLICATE if rng.random() < 0.5 else cv2.BORDER_CONSTANT
    ground = (255,) * 3 if rng.random() < 0.5 else (0,) * 3
    return cv2.warpAffine(picture, matrix, (size, size), borderMode=border, borderValue=ground)


def degraded(rng: np.random.Generator, pixels: np.ndarray) -> np.ndarray:
    """uint8 -> the same, blurred, enlarged, sharpened or compressed by lot."""
    draw = rng.random()
    if draw < 0.15:
        pixels = cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.4, 1.2))
    elif draw < 0.25:
        share = rng.uniform(0.4, 0.8)
        small = cv2.resize(pixels, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        pixels = cv2.resize(small, pixels.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    elif draw < 0.35:
        pixels = cv2.addWeighted(pixels, 2.0, cv2.GaussianBlur(pixels, (0, 0), 1.0), -1.0, 0)
    if rng.random() < 0.25:
        _, file = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))])
        pixels = cv2.imdecode(file, cv2.IMREAD_COLOR)
    return pixels


def colored(rng: np.random.Generator, pixels: np.ndarray) -> np.ndarray:
    """uint8 -> float32 of about -1..1, with other colours, less or more contrast, and noise by lot."""
    x = pixels.astype(np.float32) / 127.5 - 1
    if rng.random() < 0.3:
        x = x[..., rng.permutation(3)]
    if rng.random() < 0.15:
        x = np.repeat(x.mean(2, keepdims=True), 3, axis=2)
    if rng.random() < 0.5:
        x = x * np.float32(rng.uniform(0.6, 1.2)) + rng.uniform(-0.2, 0.2, 3).astype(np.float32)
    if rng.random() < 0.3:
        x = x + np.float32(rng.uniform(0.01, 0.12)) * rng.standard_normal(x.shape, np.float32)
    return x


def targets(faces: np.ndarray, size: int) -> dict[str, np.ndarray]:
    """What to say of a crop of `size` px with these faces (K, 5), as a View tells them: see `Crops`."""
    cells = size // STRIDE
    heat, shape = np.zeros((cells, cells), np.float32), np.zeros((5, cells, cells), np.float32)
    asked, near = np.ones((cells, cells), bool), np.zeros((cells, cells), bool)
    row, column = (np.mgrid[:cells, :cells] + 0.5) * STRIDE  # px: the cells' middles
    for x, y, side, tilt, is_clear in faces:
        apart = np.hypot(column - x, row - y) / side
        is_within = max(abs(x - size / 2), abs(y - size / 2)) < size / 2 - SPREAD * side
        if not (is_clear and is_within and KNOWN[0] <= side <= KNOWN[1]):
            asked &= apart >= HIDDEN
            continue
        peak = np.exp(-((apart / SPREAD) ** 2) / 2)  # CenterNet's Gaussian
        peak[int(y // STRIDE), int(x // STRIDE)] = 1
        here = (peak > heat) & (peak > NEAR)
        heat, near = np.maximum(heat, peak, dtype=np.float32), near | here
        lean = math.radians(tilt)
        where = (x - column) / STRIDE, (y - row) / STRIDE
        told = *where, math.log(side / SIDE), math.sin(lean), math.cos(lean)
        for plane, value in zip(shape, told, strict=True):
            plane[here] = value[here] if isinstance(value, np.ndarray) else value
    return {"heat": heat, "asked": asked, "near": near & asked, "shape": shape}
