"""How a picture is made four times as small, and by bicubic interpolation large again: for training, tests and use.

Both are Pillow's bicubic filter (a = -0.5), whose kernel is as much wider as the picture gets smaller: it is
antialiased, as MATLAB's is. PyTorch's with `antialias=True` is the same up to rounding and clipping, which Pillow does
after each direction. OpenCV's is not antialiased: a network that was trained on it makes artefacts of other people's
files.

Pixels are uint8, so that what a network is trained on is rounded and clipped as the pixels of a file are.
"""

import io

import numpy as np
from PIL import Image

SCALE = 4


def shrink(picture: np.ndarray) -> np.ndarray:
    """Return (H / SCALE, W / SCALE, 3) uint8 of (H, W, 3); H and W are multiples of SCALE."""
    return _resized(picture, picture.shape[0] // SCALE, picture.shape[1] // SCALE)


def enlarge(picture: np.ndarray) -> np.ndarray:
    """Return (SCALE H, SCALE W, 3) uint8 of (H, W, 3): what networks are compared with."""
    return _resized(picture, picture.shape[0] * SCALE, picture.shape[1] * SCALE)


def _resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))


def compress(picture: np.ndarray, quality: int, *, halves_colors: bool) -> np.ndarray:
    """Return (H, W, 3) uint8 as a JPEG of that quality shows it, whose colours may have half the resolution (4:2:0)."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling="4:2:0" if halves_colors else "4:4:4")
    return np.asarray(Image.open(file))
