"""Optical flow from the first frame of a clip to each of its frames.

Farnebäck: "Two-Frame Motion Estimation Based on Polynomial Expansion", SCIA 2003; OpenCV's implementation.
"""

import cv2
import numpy as np

VERSION = 1  # to be raised when the same frames give another flow
UNIT_PX = 16  # the motion that a flow of 1 stands for
_FARNEBACK = (0.5, 3, 15, 3, 5, 1.2, 0)  # pyramid's scale, levels, window, iterations, poly_n, poly_sigma, flags


def from_first_frame(frames: np.ndarray) -> np.ndarray:
    """Return (T, H, W, 2) float32 in [-1, 1]: how far each pixel of the first of (T, H, W, 3) uint8 frames has moved
    in each frame, as (x, y) in units of UNIT_PX. Motions beyond that are cut off; that of the first frame is 0."""
    grays = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    flow = np.zeros((*frames.shape[:3], 2), np.float32)
    for gray, out in zip(grays[1:], flow[1:], strict=True):
        cv2.calcOpticalFlowFarneback(grays[0], gray, out, *_FARNEBACK)
    return np.clip(flow / UNIT_PX, -1, 1)


def transfer(flow: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a flow (T, H, W, 2) as (T, height, width, 2): the field resized, and its vectors with it."""
    ratio = np.array([width / flow.shape[2], height / flow.shape[1]], np.float32)
    resized = [cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR) for field in flow]
    return np.clip(np.stack(resized) * ratio, -1, 1)
