"""Faces that are put back into the picture that they were cut from."""

from typing import Protocol

import cv2
import numpy as np
from PIL import Image

SOFT_BORDER = 0.15  # of the crop's side: over it the face fades into the picture
MAX_PASTED_PX = 4096  # side at which a face is resampled: a larger one is enlarged from it


class View(Protocol):
    """Which part of a picture a crop shows, as `pipeline.faces.views.View`."""

    def to_picture(self) -> np.ndarray:
        """Return the (2, 3) matrix from points of the crop to points of the picture, pixel centres at whole numbers."""


def paste(picture: np.ndarray, face: np.ndarray, view: View) -> np.ndarray:
    """Return the picture (H, W, 3) uint8, or (H, W, 4) whose alpha stays, with the face (S, S, 3) uint8 where it was
    cut from, turned as it was; `view` is that of a crop of S px.

    In a picture with transparency, which lay on white when the face was cut, it lies on white again."""
    matrix, size = view.to_picture(), len(face)
    step = float(np.hypot(*matrix[:, 0]))  # px of the picture from one px of the crop to the next
    side = min(MAX_PASTED_PX, max(1, round(step * size)))
    face = np.asarray(Image.fromarray(face).resize((side, side), Image.Resampling.LANCZOS))
    matrix[:, 2] += matrix[:, :2] @ np.full(2, size / side / 2 - 0.5)
    matrix[:, :2] *= size / side
    corners = np.array([(0, 0), (side, 0), (0, side), (side, side)]) - 0.5
    ends = corners @ matrix[:, :2].T + matrix[:, 2]
    left, top = np.maximum(np.floor(ends.min(0)).astype(int), 0)
    right, bottom = np.minimum(np.ceil(ends.max(0)).astype(int) + 1, picture.shape[1::-1])
    result = picture.copy()
    if right <= left or bottom <= top:
        return result
    matrix[:, 2] -= (left, top)
    window = (int(right - left), int(bottom - top))
    weight = cv2.warpAffine(soft_mask(side), matrix, window, flags=cv2.INTER_LINEAR)[..., None]
    painted = cv2.warpAffine(face, matrix, window, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    under = picture[top:bottom, left:right]
    result[top:bottom, left:right, :3] = _mix(under, painted.astype(np.float32), weight)
    return result


def _mix(under: np.ndarray, painted: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return (h, w, 3) uint8 colours of pixels with or without alpha, over which `painted` lies with that weight."""
    colors = under[..., :3].astype(np.float32)
    if under.shape[2] == 4:  # the color that gives, on white, what was painted
        share = np.maximum(under[..., 3:], 1) / np.float32(255)
        painted = np.where(under[..., 3:] > 0, 255 - (255 - painted) / share, colors)
    mixed: np.ndarray = np.rint(colors + weight * (painted.clip(0, 255) - colors)).astype(np.uint8)
    return mixed


def soft_mask(size: int) -> np.ndarray:
    """Return (size, size) float32: 1 in the middle, falling smoothly to 0 over SOFT_BORDER at each side."""
    at = np.arange(size, dtype=np.float32) + 0.5
    ramp = np.clip(np.minimum(at, size - at) / (SOFT_BORDER * size), 0, 1)
    ramp = ramp * ramp * (3 - 2 * ramp)
    mask: np.ndarray = np.outer(ramp, ramp)
    return mask
