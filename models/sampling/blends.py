"""Animated regions put into the box that they were cut from, with different care for its border.

In shapes: T frames, h × w px of the box.
"""

from collections.abc import Callable

import cv2
import numpy as np

FEATHER_SHARE = 0.12  # width of the fade, in sides of the box

Blend = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(the picture in the box (h, w, 3) uint8, frames (T, h, w, 3) uint8) -> what is pasted, (T, h, w, 3) uint8."""


def hard(inside: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Return the frames: the article's result, with a visible border."""
    return frames


def feather(inside: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Return frames that fade into the picture along a cosine, over FEATHER_SHARE of the box."""
    ramps = [_ramp(length) for length in inside.shape[:2]]
    alpha = np.minimum(ramps[0][:, None], ramps[1][None, :])[..., None]
    mixed = (inside + alpha * (frame.astype(np.float32) - inside) for frame in frames)
    return np.stack([frame.round().astype(np.uint8) for frame in mixed])


def _ramp(length: int) -> np.ndarray:
    """Return (length,) weights: near 0 at both ends, 1 in the middle."""
    depth = np.minimum(np.arange(length), np.arange(length)[::-1]) + 0.5
    share = np.clip(depth / max(1.0, FEATHER_SHARE * length), 0, 1)
    return (0.5 - 0.5 * np.cos(np.pi * share)).astype(np.float32)


def poisson(inside: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Return frames whose colours are shifted so smoothly that the first one meets the picture at the border: Pérez,
    Gangnet, Blake: "Poisson Image Editing", 2003. All frames are shifted as the first, so that nothing flickers."""
    height, width = inside.shape[:2]
    if min(height, width) < 5:
        return frames
    mask = np.zeros((height, width), np.uint8)
    mask[1:-1, 1:-1] = 255
    first = np.ascontiguousarray(frames[0])
    fitted = cv2.seamlessClone(first, np.ascontiguousarray(inside), mask, (width // 2, height // 2), cv2.NORMAL_CLONE)
    shift = fitted.astype(np.int16) - first
    return (frames + shift).clip(0, 255).astype(np.uint8)


BLENDS: dict[str, Blend] = {"hard": hard, "feather": feather, "poisson": poisson}
