"""Heat maps over pictures."""

import numpy as np
from PIL import Image

OPACITY = 0.5


def jet(values: np.ndarray) -> np.ndarray:
    """Return (…, 3) uint8 colours of values (…) from 0, blue, over green to 1, red."""
    centres = np.array([3.0, 2.0, 1.0])  # of red, green and blue, in quarters
    shares = np.clip(1.5 - np.abs(4 * values[..., None] - centres), 0, 1)
    return np.rint(255 * shares).astype(np.uint8)


def overlay(picture: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return a picture (H, W, 3) uint8 under its heat map (h, w), from the map's least value to its largest.

    A map that is the same everywhere, or not finite, is 0."""
    low, high = float(heat.min()), float(heat.max())
    spread = high - low
    scaled = (heat - low) / spread if np.isfinite(spread) and spread > 0 else np.zeros_like(heat)
    whole = Image.fromarray(scaled.astype(np.float32)).resize(picture.shape[1::-1], Image.Resampling.BILINEAR)
    mixed = (1 - OPACITY) * picture + OPACITY * jet(np.clip(np.asarray(whole), 0, 1))
    blended: np.ndarray = np.rint(mixed).astype(np.uint8)
    return blended
