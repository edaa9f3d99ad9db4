"""nagadomi's LBP cascade, https://github.com/nagadomi/lbpcascade_animeface, over several views of a picture.

The cascade finds upright faces only. Each picture is searched several times: upright, turned at half the resolution,
and once small with a white border, since a face that fills its picture leaves no room for the cascade's window. Each
proposal is then searched again at one size and at several angles around the proposed one. The number of windows that
pass there is the face's score, and their mean angle its tilt.
"""

import functools
import math
from collections.abc import Iterable

import cv2
import numpy as np

from pipeline.faces.boxes import TURNED_ODDS, Face, face_at, is_turned, is_wanted, non_max_suppression, overlap, square
from pipeline.faces.views import Pyramid, View, detection_views, sweep

WINDOW = 24  # px: side of the cascade's window, hence of the smallest face it finds
COARSE_RATIO, FINE_RATIO = 1.2, 1.1  # from one size of window to the next: to propose, and to judge
REFINE_FACE_PX = 56  # px: a face in the refinement; the cascade steps more finely through windows above 48 px
REFINE_ANGLES_DEG = range(-45, 46, 15)  # degrees; the cascade finds faces up to about 30 degrees off
REFINE_VIEW_PX = 98  # px of the refinement: the largest window, and a fifth of the face to move on either side
REFINE_WINDOWS_PX = 40, 76  # px: 0.7 to 1.35 of the face
MAX_WINDOWS = 16_000  # windows that are clustered: those of some 2,000 faces; 256 MB
MIN_SUPPORTING_WINDOWS = 16  # windows in the refinement that make a face; of a turned one 38
WINDOWS_POWER = 2.6  # of the windows in the odds that there is a face; fitted on 120 held-out pictures
UPRIGHT_ANGLES_DEG, MIN_UPRIGHT_WINDOWS = (-6, 0, 6), 18  # the same, if only upright faces are wanted


@functools.cache
def read_cascade(path: str) -> cv2.CascadeClassifier:
    """Return the cascade of an XML file."""
    return cv2.CascadeClassifier(path)


def lbpcascade(picture: np.ndarray, min_face: int, angles: Iterable[float] | None, asset: str) -> list[Face]:
    """Return the faces that the cascade finds in (H, W, 3) uint8 RGB, on equalised grey, best first.

    `angles`: degrees of the turned views; None: only upright faces, of tilt 0. `asset`: path of the cascade's XML
    file."""
    cascade, pyramid = read_cascade(asset), Pyramid(cv2.equalizeHist(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)))
    wanted = detection_views(pyramid.width, pyramid.height, min_face, WINDOW, angles or ())
    turns, least = (REFINE_ANGLES_DEG, MIN_SUPPORTING_WINDOWS) if angles else (UPRIGHT_ANGLES_DEG, MIN_UPRIGHT_WINDOWS)
    found: list[Face] = []
    proposing = functools.partial(_windows, cascade, sides=(WINDOW, 0), ratio=COARSE_RATIO)
    for proposal in _propose(sweep(pyramid, wanted, proposing)):
        if not any(overlap(proposal, other) for other in found):
            found += _refine(pyramid, proposal, cascade, turns, least)
    if not angles:
        found = [face._replace(tilt=0.0) for face in found]
    return non_max_suppression(face for face in found if is_wanted(face, min_face))


def _windows(cascade: cv2.CascadeClassifier, pixels: np.ndarray, *, sides: tuple[int, int], ratio: float) -> np.ndarray:
    """Return (N, 5), the windows that pass the cascade: centre x and y, side, 0 degrees, 1.

    `sides`: smallest and largest, px, 0 for no limit. The rows are sorted, as OpenCV returns them in thread order."""
    smallest, largest = sides
    found = cascade.detectMultiScale(
        pixels, scaleFactor=ratio, minNeighbors=0, minSize=(smallest, smallest), maxSize=(largest, largest)
    )
    boxes = np.reshape(found, (-1, 4))
    boxes = boxes[np.lexsort(boxes.T)]
    upright, one = np.zeros(len(boxes)), np.ones(len(boxes))
    return np.column_stack([boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2], upright, one])


def _propose(windows: np.ndarray) -> list[Face]:
    """Return one proposed face for each cluster of agreeing windows, the largest clusters first."""
    windows = windows[:: 1 + len(windows) // MAX_WINDOWS]
    agree = np.empty((len(windows), len(windows)), bool)
    for rows in np.array_split(np.arange(len(windows)), 1 + len(windows) ** 2 // 2**20):  # some 8 MB at a time
        agree[rows] = _agree(windows[rows, None], windows)
    faces, left, votes = [], np.ones(len(windows), bool), agree.sum(1)
    while left.any():
        gathered = agree[int((votes * left).argmax())] & left
        faces.append(_mean(windows[gathered]))
        left &= ~gathered
        votes -= agree[:, gathered].sum(1)
    return faces


def _agree(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return whether windows, (…, 5), broadcast, agree: near in place and size, and in angle within 50 degrees."""
    apart = np.hypot(a[..., 0] - b[..., 0], a[..., 1] - b[..., 1])
    smaller, larger = np.minimum(a[..., 2], b[..., 2]), np.maximum(a[..., 2], b[..., 2])
    turned = np.abs((a[..., 3] - b[..., 3] + 180) % 360 - 180)
    return (apart <= 0.35 * smaller) & (larger <= 1.5 * smaller) & (turned <= 50)


def _mean(windows: np.ndarray) -> Face:
    """Return the mean of these windows as a face; its score is their number."""
    x, y, side = windows[:, :3].mean(0)
    angles = np.radians(windows[:, 3])
    return face_at(x, y, side, math.degrees(math.atan2(np.sin(angles).sum(), np.cos(angles).sum())), len(windows))


def _refine(
    pyramid: Pyramid, proposal: Face, cascade: cv2.CascadeClassifier, turns: Iterable[float], least: int
) -> list[Face]:
    """Return the proposed face, measured again at one size and turned further by each of `turns` degrees, or nothing
    if fewer than `least` windows pass. The windows of a turned face count less: 0.43 each."""
    center, (side, _), tilt = square(proposal)
    size, step = (REFINE_VIEW_PX, REFINE_VIEW_PX), side / REFINE_FACE_PX
    near = [View(center, size, step, tilt + turn) for turn in turns]
    windows = sweep(pyramid, near, functools.partial(_windows, cascade, sides=REFINE_WINDOWS_PX, ratio=FINE_RATIO))
    if len(windows) < least:
        return []
    face = _mean(windows)
    if is_turned(face):
        face = face._replace(score=face.score * TURNED_ODDS ** (1 / WINDOWS_POWER))
    return [face] if face.score >= least else []
