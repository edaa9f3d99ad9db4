"""Animated regions in their picture: the border, and what must not change."""

import numpy as np
import pytest

from models.metrics.seam import seam_score
from models.sampling.blends import BLENDS

BOX = (40, 50, 104, 82)


def smooth_picture() -> np.ndarray:
    """A picture of smooth colours, (128, 144, 3) uint8."""
    y, x = np.mgrid[:128, :144] / 128
    return np.stack([120 + 60 * np.sin(3 * x), 120 + 50 * np.cos(2 * y), 130 + 40 * x * y], 2).astype(np.uint8)


def brighter(picture: np.ndarray, count: int = 4) -> np.ndarray:
    """The picture in BOX, a little brighter, with a dark line that grows from frame to frame."""
    x0, y0, x1, y1 = BOX
    frames = np.repeat(picture[None, y0:y1, x0:x1].astype(np.int16) + 12, count, axis=0)
    for t in range(1, count):
        frames[t, 14:18, 20 : 20 + 8 * t] = 20
    return frames.clip(0, 255).astype(np.uint8)


def paste(picture: np.ndarray, name: str) -> np.ndarray:
    """The frames of `brighter` in their picture, (T, H, W, 3)."""
    x0, y0, x1, y1 = BOX
    pasted = np.repeat(picture[None], 4, axis=0)
    pasted[:, y0:y1, x0:x1] = BLENDS[name](picture[y0:y1, x0:x1], brighter(picture))
    return pasted


@pytest.mark.parametrize("name", BLENDS)
def test_what_moves_in_the_middle_is_there_in_every_frame(name):
    picture = smooth_picture()
    pasted = paste(picture, name)
    assert [int((frame[64:68, 60:84].max(2) < 60).sum()) for frame in pasted] == [0, 32, 64, 96]


def test_a_hard_paste_has_a_border_and_the_others_hide_it():
    picture = smooth_picture()
    scores = {name: seam_score(paste(picture, name)[0], BOX) for name in BLENDS}
    assert scores["hard"] > 8
    assert scores["feather"] < 0.35 * scores["hard"]
    assert scores["poisson"] < 0.2 * scores["hard"]
