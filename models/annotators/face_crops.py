"""Drawn scenes -> the i-th batch of crops, and the detector's targets for each.

The crops are rotated, mirrored, blurred, compressed and recoloured at random, since drawn scenes lack such variety. All
of it is a function of (seed, i).
"""

import math
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from models.seeds import seed_for

STRIDE, BASE_SIDE = 8, 40  # px: a cell; a face of log size 0. A test compares them with the network's

ZOOMED_SIDES = 20, 62  # px: sides that a crop's main face is zoomed to
TARGET_SIDES = 19, 68  # px: sides of the faces to be found; others are masked out
MASK_RADIUS = 0.6  # in sides of a face that is masked out
PEAK_SIGMA = 0.2  # in sides of a face: the σ of its peak
RETEXTURED, KERNEL_SIDES = 0.3, (1, 3, 5)  # share of crops; px
SHAPE_MIN_HEAT = 0.35  # heat of a cell above which the shape of its face counts


class Scenes(NamedTuple):
    """Drawn pictures and their faces."""

    pictures: np.ndarray
    """(N, S, S, 3) uint8, RGB; may be memory-mapped."""
    faces: np.ndarray
    """(M, 6): number of the scene, ascending; x, y, side in px; tilt in degrees; 1 if it is clear to see, else 0."""

    def faces_of(self, scene: int) -> np.ndarray:
        """Return (K, 5): the faces of a scene, without its number."""
        first, end = np.searchsorted(self.faces[:, 0], [scene, scene + 1])
        return self.faces[first:end, 1:]

    def part(self, first: int, end: int) -> "Scenes":
        """Return the scenes from `first` up to `end`."""
        rows = (self.faces[:, 0] >= first) & (self.faces[:, 0] < end)
        return Scenes(self.pictures[first:end], self.faces[rows] - (first, 0, 0, 0, 0, 0))


class View(NamedTuple):
    """The transform from a scene to a crop."""

    matrix: np.ndarray  # (2, 3): a point of the scene -> a point of the crop
    zoom: float
    turn: float  # degrees, clockwise
    mirror: int  # -1 if it is mirrored, before it is turned; else 1

    def transform(self, faces: np.ndarray) -> np.ndarray:
        """Return (K, 5): the faces in the crop."""
        points = faces[:, :2] @ self.matrix[:, :2].T + self.matrix[:, 2]
        return np.column_stack([points, faces[:, 2] * self.zoom, faces[:, 3] * self.mirror + self.turn, faces[:, 4]])


class Crops:
    """The map i -> {"picture": (B, 3, S, S) about -1..1, and with G = S / 8 cells a side "heat": (B, G, G), 1 at a
    face's centre and less around it; "mask": (B, G, G), whether the heat counts; "near": (B, G, G), whether "shape":
    (B, 5, G, G) counts, which is x, y, log size, sine and cosine of the tilt, as the network outputs them}."""

    def __init__(self, scenes: Scenes, size: int, batch_size: int, *, seed: int) -> None:
        self._scenes, self._size, self._batch_size, self._seed = scenes, size, batch_size, seed

    def __call__(self, i: int) -> dict[str, Tensor]:
        """Return the i-th batch."""
        rng = np.random.default_rng(seed_for(self._seed, i, "crops"))
        crops = [self._crop(rng) for _ in range(self._batch_size)]
        return {name: torch.from_numpy(np.stack([crop[name] for crop in crops])) for name in crops[0]}

    def _crop(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        scene = int(rng.integers(len(self._scenes.pictures)))
        picture, faces = self._scenes.pictures[scene], self._scenes.faces_of(scene)
        view = random_view(rng, len(picture), faces, self._size)
        pixels = recolor(rng, degrade(rng, render(rng, picture, view, self._size)))
        return {"picture": pixels.transpose(2, 0, 1)} | targets(view.transform(faces), self._size)


def random_view(rng: np.random.Generator, side: int, faces: np.ndarray, size: int) -> View:
    """Return a view of a scene of `side` px: mostly with one of its faces somewhere in the crop of `size` px."""
    if len(faces) and rng.random() < 0.85:
        face = faces[rng.integers(len(faces))]
        zoom = _log_uniform(rng, *ZOOMED_SIDES) / face[2]
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


def render(rng: np.random.Generator, picture: np.ndarray, view: View, size: int) -> np.ndarray:
    """Return the crop, (size, size, 3) uint8. Beyond the scene's edge are white, black, or its last pixels."""
    matrix, zoom = view.matrix, view.zoom
    while zoom < 0.5:  # averages of four pixels, so that none is skipped
        picture = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        matrix, zoom = matrix * (2, 2, 1), 2 * zoom
    border = cv2.BORDER_REPLICATE if rng.random() < 0.3 else cv2.BORDER_CONSTANT
    ground = (255,) * 3 if rng.random() < 0.7 else (0,) * 3
    return cv2.warpAffine(picture, matrix, (size, size), borderMode=border, borderValue=ground)


def degrade(rng: np.random.Generator, pixels: np.ndarray) -> np.ndarray:
    """Return uint8 pixels blurred, resampled, sharpened or compressed at random."""
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
        pixels = np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR))
    return pixels


def recolor(rng: np.random.Generator, pixels: np.ndarray) -> np.ndarray:
    """Return float32 pixels of about -1..1, with other texture, permuted colours, contrast and noise at random."""
    x = pixels.astype(np.float32) / 127.5 - 1
    if rng.random() < RETEXTURED:
        x = retexture(rng, x)
    if rng.random() < 0.3:
        x = x[..., rng.permutation(3)]
    if rng.random() < 0.15:
        x = np.repeat(x.mean(2, keepdims=True), 3, axis=2)
    if rng.random() < 0.5:
        x = x * np.float32(rng.uniform(0.6, 1.2)) + rng.uniform(-0.2, 0.2, 3).astype(np.float32)
    if rng.random() < 0.3:
        x = x + np.float32(rng.uniform(0.01, 0.12)) * rng.standard_normal(x.shape, np.float32)
    return x


def retexture(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """Return x (S, S, 3), float32, mixed with its convolution by a random kernel. Shapes stay; surfaces, edges and
    colours change. Departs from Xu et al., "Robust and generalizable visual representation learning via random
    convolutions", 2021, https://arxiv.org/abs/2007.13003, in that the mean and spread of each colour stay."""
    side = int(rng.choice(KERNEL_SIDES))
    kernels = rng.normal(size=(3, 3, side, side)).astype(np.float32)  # to, from, row, column
    convolved = np.stack([sum(cv2.filter2D(x[..., k], -1, of[k]) for k in range(3)) for of in kernels], -1)
    mean, spread = x.mean((0, 1)), x.std((0, 1))
    convolved = (convolved - convolved.mean((0, 1))) / (convolved.std((0, 1)) + 1e-6) * spread + mean
    share = np.float32(rng.random())
    return share * x + (1 - share) * convolved


def targets(faces: np.ndarray, size: int) -> dict[str, np.ndarray]:
    """Return the targets for a crop of `size` px with these faces (K, 5), in its pixels: see `Crops`."""
    cells = size // STRIDE
    heat, shape = np.zeros((cells, cells), np.float32), np.zeros((5, cells, cells), np.float32)
    mask, near = np.ones((cells, cells), bool), np.zeros((cells, cells), bool)
    row, column = (np.mgrid[:cells, :cells] + 0.5) * STRIDE  # px: the cells' middles
    for x, y, side, tilt, is_clear in faces:
        apart = np.hypot(column - x, row - y) / side
        is_within = max(abs(x - size / 2), abs(y - size / 2)) < size / 2 - PEAK_SIGMA * side
        if not (is_clear and is_within and TARGET_SIDES[0] <= side <= TARGET_SIDES[1]):
            mask &= apart >= MASK_RADIUS
            continue
        peak = np.exp(-((apart / PEAK_SIGMA) ** 2) / 2)  # CenterNet's Gaussian
        peak[int(y // STRIDE), int(x // STRIDE)] = 1
        here = (peak > heat) & (peak > SHAPE_MIN_HEAT)
        heat, near = np.maximum(heat, peak, dtype=np.float32), near | here
        lean = math.radians(tilt)
        where = (x - column) / STRIDE, (y - row) / STRIDE
        values = *where, math.log(side / BASE_SIDE), math.sin(lean), math.cos(lean)
        for plane, value in zip(shape, values, strict=True):
            plane[here] = value[here] if isinstance(value, np.ndarray) else value
    return {"heat": heat, "mask": mask, "near": near & mask, "shape": shape}
