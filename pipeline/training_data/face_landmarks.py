"""Drawn faces as two arrays: the training set of the landmark network."""

import functools
from pathlib import Path

import numpy as np

from pipeline.drawing.landmarks import DrawnFace
from pipeline.drawing.portrait import closeup as portrait
from pipeline.drawing.scenes import closeup as scene
from pipeline.faces.views import Pyramid, View
from pipeline.training_data.pictures import write_pictures

VERSION = 2
"""Raise it when the same (seed, i) gives another picture or other numbers."""
SIZE = 160  # px: side of a picture
FACE_SIDES = 2.3  # side of a picture, in sides of its face
PORTRAIT_EVERY = 3  # one face in so many is of a portrait, the others are of scenes
DIRECTIONS = 24  # in which the outline of an eye is recorded


def draw_all(seed: int, count: int, out: Path, *, jobs: int = 0) -> None:
    """Write out/pictures.npy, (count, SIZE, SIZE, 3) uint8, and out/faces.npy, (count, 105) float32.

    A row of faces.npy is in px and degrees of its picture, in whose middle the face's square lies: tilt; openness of
    the left and the right eye; visible share of each; x, y of mouth and chin; x, y of the DIRECTIONS outermost points
    of the left eye's outline, then of the right one's."""
    rows = np.empty((count, 9 + 4 * DIRECTIONS), np.float32)
    draw = functools.partial(_draw_centered, seed)
    for i, row in write_pictures(out / "pictures.npy", draw, count, SIZE, what="faces", jobs=jobs):
        rows[i] = row
    np.save(out / "faces.npy", rows)


def draw_face(seed: int, i: int) -> DrawnFace:
    """Return the i-th face of a seed, of a portrait or of a scene."""
    number, rest = divmod(i, PORTRAIT_EVERY)
    return scene.draw_face(seed, i) if rest else portrait.draw_face(seed, number)


def _draw_centered(seed: int, i: int) -> tuple[np.ndarray, np.ndarray]:
    return centered(draw_face(seed, i))


def centered(face: DrawnFace) -> tuple[np.ndarray, np.ndarray]:
    """Return the picture (SIZE, SIZE, 3) with the face in its middle, and the row of faces.npy."""
    x, y, side, tilt = face.square
    step = FACE_SIDES * side / SIZE
    picture = Pyramid(face.picture).show(View((x, y), (SIZE, SIZE), step))
    points = np.concatenate([[face.mouth, face.chin], *(outermost(outline) for outline in face.outlines)])
    points = (points - (x, y)) / step + SIZE / 2
    return picture, np.array([tilt, *face.openness, *face.visible, *points.ravel()], np.float32)


def outermost(outline: np.ndarray) -> np.ndarray:
    """Return the outermost points of an outline, (DIRECTIONS, 2), clockwise from the right."""
    angle = np.linspace(0, 2 * np.pi, DIRECTIONS, endpoint=False)
    return outline[(outline @ np.stack([np.cos(angle), np.sin(angle)])).argmax(0)]
