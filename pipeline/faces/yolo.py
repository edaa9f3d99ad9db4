"""Faces by a YOLO network in an ONNX file: of YOLOv8, YOLO11 and their like, as the authors' program exports them.

The network maps (N, 3, H, W) RGB, 0..1, to (N, 4 + classes, boxes): centre x and y, width and height, px, and the
probability of each class. The picture fits into H × W, with grey to the right and below ("letterbox"); where the file
leaves both open, its longer side becomes SIZE px. One picture is one batch: on a CPU larger ones are no faster, and
each process takes pictures of its own.

The file `yolo.onnx` of ASSETS is deepghs's anime face detector 1.4, of the size s, unless the user has another of that
name."""

import functools
import math
import os
import re
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from pipeline import assets, onnx_network
from pipeline.faces.boxes import Face, face_at, is_wanted, non_max_suppression
from pipeline.faces.views import Pyramid, View, sweep

FILE = "yolo.onnx"
FACE = "face"  # the name of the class that is taken, if there are several
SIZE = 640  # px
STRIDE = 32  # px: of the coarsest of its grids; sides are multiples of it
MAX_SIZE = 4096  # px
GREY = 114  # of what is beyond the picture, as in its training
MIN_PROBABILITY = 0.307  # with which deepghs's file has its highest F1 on its validation pictures
MAX_BOXES = 1000  # likeliest ones that are compared: those of some 50 faces
MAX_TILT_DEG = 90  # either way, beyond which faces are found only in turned copies


class YOLO:
    """A detector. Raise UserError if the file is not that of one."""

    def __init__(self, path: str) -> None:
        self.network = onnx_network.OnnxNetwork(path, (3, None, None), threads=1)
        _, *self.size = self.network.shape  # height and width, None where free
        if not all(size is None or STRIDE <= size <= MAX_SIZE for size in self.size):
            raise self.network.error(f"its input has {self.size} px", f"sides of {STRIDE} to {MAX_SIZE} px")
        self.classes = re.findall(r"\d+: ?['\"]([^'\"]*)", self.network.metadata.get("names", "").lower()) or [FACE]
        if len(self.classes) > 1 and FACE not in self.classes:
            raise self.network.error(f"its classes are {', '.join(self.classes)[:200]}", f"one of them called {FACE}")

    def view(self, pyramid: Pyramid, turn: int) -> View:
        """Return the copy of a picture that fits into the input, turned by some quarters: degrees."""
        width, height = (pyramid.height, pyramid.width) if turn % 180 else (pyramid.width, pyramid.height)
        step = max(side / (size or SIZE) for side, size in zip((height, width), self.size, strict=True))
        size = max(1, round(width / step)), max(1, round(height / step))
        return View((pyramid.width / 2, pyramid.height / 2), size, step, turn)

    def find(self, pixels: np.ndarray) -> np.ndarray:
        """Return (N, 5), the faces in a copy: centre x and y, longer side, px, 0 degrees, probability."""
        height, width = pixels.shape[:2]
        (out,) = self._outputs(self.prepare(pixels))
        likely = out[4 + self.classes.index(FACE) if len(self.classes) > 1 else 4]
        best = np.argsort(-likely, kind="stable")[:MAX_BOXES]
        best = best[likely[best] >= MIN_PROBABILITY]
        x, y, wide, high = out[:4, best]
        x0, x1 = np.clip([x - wide / 2, x + wide / 2], 0, width)
        y0, y1 = np.clip([y - high / 2, y + high / 2], 0, height)
        side = np.maximum(x1 - x0, y1 - y0)
        return np.column_stack([(x0 + x1) / 2, (y0 + y1) / 2, side, np.zeros(len(best)), likely[best]])

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """Return (1, 3, H, W) float32 of a copy, (height, width, 3) uint8 RGB."""
        sides = [
            size or math.ceil(side / STRIDE) * STRIDE for side, size in zip(pixels.shape[:2], self.size, strict=True)
        ]
        padded = np.full((*sides, 3), GREY, np.uint8)
        padded[: pixels.shape[0], : pixels.shape[1]] = pixels
        return cv2.dnn.blobFromImage(padded, 1 / 255)

    def _outputs(self, x: np.ndarray) -> np.ndarray:
        out, rows = self.network(x), 4 + len(self.classes)
        is_right = out.ndim == 3 and out.shape[:2] == (len(x), rows) and np.isfinite(out).all()
        if not is_right or not ((out[:, 4:] >= 0) & (out[:, 4:] <= 1)).all():
            rest = ", ".join(self.classes)[:200]
            raise self.network.output_error(out, f"({len(x)}, {rows}, boxes): x, y, width, height; 0 to 1 of {rest}")
        return out


@functools.lru_cache(maxsize=1)
def _load(path: str, mtime_ns: int) -> YOLO:
    return YOLO(path)


def yolo(picture: np.ndarray, min_face: int, angles: Iterable[float] | None, asset: str) -> list[Face]:
    """Return the faces that the network of the file `asset` finds in (H, W, 3) uint8 RGB, best first. It does not say
    how far they lean: with angles beyond MAX_TILT_DEG, those that are found in a turned copy have its quarters."""
    network, pyramid = _load(asset, os.stat(asset).st_mtime_ns), Pyramid(picture)
    turns = (0, 90, 180, 270) if any(abs(angle) > MAX_TILT_DEG for angle in angles or ()) else (0,)
    found = sweep(pyramid, (network.view(pyramid, turn) for turn in turns), network.find)
    return non_max_suppression(face for face in (face_at(*row) for row in found) if is_wanted(face, min_face))


def network_file(folder: Path | None) -> str:
    """Return the path of the user's file, or of the usual one. Raise UserError if there is none, or no onnxruntime."""
    onnx_network.check_installed()
    return str(assets.find_or_fetch(FILE, folder))


def file_digest(folder: Path | None) -> str:
    """Return the sha256 of that file. Raise UserError without onnxruntime."""
    onnx_network.check_installed()
    return assets.digest(FILE, folder)
