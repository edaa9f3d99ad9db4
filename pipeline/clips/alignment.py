"""The turn and the shift that bring a face in one picture onto the same face in another.

Evangelidis and Psarakis: "Parametric Image Alignment Using Enhanced Correlation Coefficient Maximization", PAMI 2008;
OpenCV's implementation.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.faces.boxes import Face, face_at

MAX_TURN_DEG = 8  # of a correction: what is found beyond it is another thing's motion
MAX_SHIFT = 0.1  # the same, sides of the template
_STOP = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 1e-3)


class Pose(NamedTuple):
    """Where a face is: px of the picture, and degrees, clockwise."""

    x: float
    y: float
    side: float
    tilt: float

    @property
    def face(self) -> Face:
        """Return it as a detected face."""
        return face_at(*self, 1.0)


def refine(
    template: np.ndarray, window: np.ndarray, start: np.ndarray, mask: np.ndarray, *, blur_px: int = 1
) -> tuple[np.ndarray, float] | None:
    """Return (the (2, 3) motion from the template to the window, both grey, the former square, that is near `start`
    and aligns them best; how well: 1 exactly). None if there is nothing to align by.

    `mask`: uint8, 0 where the window is not looked at. `blur_px`: width of the filter that both are smoothed with, odd;
    the more, the farther away a motion is found, and the less exactly."""
    try:
        value, warp = cv2.findTransformECC(
            template, window, start.astype(np.float32), cv2.MOTION_EUCLIDEAN, _STOP, mask, blur_px
        )
    except cv2.error:
        return None
    turn = math.degrees(math.atan2(warp[1, 0], warp[0, 0]))
    shift = np.abs(_middle(warp, len(template)) - _middle(start, len(template))).max()
    return None if abs(turn) > MAX_TURN_DEG or shift > MAX_SHIFT * len(template) else (warp, float(value))


def moved(expected: Pose, warp: np.ndarray, template_px: int, window_px: int, step: float) -> Pose:
    """Return the pose of a face whose template, of `template_px`, lies as the warp says in the window, of `window_px`
    and `step` px of the picture each, in whose middle `expected` is."""
    angle = math.radians(expected.tilt)
    across, down = step * (_middle(warp, template_px) - (window_px - 1) / 2)
    turn = math.degrees(math.atan2(warp[1, 0], warp[0, 0]))
    x = expected.x + across * math.cos(angle) - down * math.sin(angle)
    y = expected.y + across * math.sin(angle) + down * math.cos(angle)
    return Pose(float(x), float(y), expected.side, (expected.tilt + turn + 180) % 360 - 180)


def _middle(warp: np.ndarray, template_px: int) -> np.ndarray:
    """Return where the template's middle lies in the window, px."""
    return warp @ np.array([(template_px - 1) / 2, (template_px - 1) / 2, 1])
