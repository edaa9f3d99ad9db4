"""Where a video cuts from one shot to the next.

Most of a frame can be found in the frame before, moved a little, while the camera pans or something moves. After a cut
it cannot. A flash is no cut: the frames after it look like those before it.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.clips.video import Frame

FLASH_FRAMES = 3  # longest flash; frames that are looked ahead
THUMBNAIL_PX = 64  # longer side of the small frames that are compared
BLOCK_PX = 8  # side of a block of them
REACH_PX = 9  # how far a block is looked for: one seventh of the longer side per frame
MAX_RESIDUAL = 20.0  # levels, root mean square: beyond it a block is not found again
MIN_TEXTURE = 6.0  # levels, standard deviation: below it a block is found anywhere
MAX_LOST_SHARE = 0.55  # of the blocks that have something to find
MIN_LOST_SHARE_OF_ALL = 0.12


class ShotFrame(NamedTuple):
    """A frame, and the shot that it belongs to."""

    frame: Frame
    shot: int  # from 0


def split_into_shots(frames: Iterable[Frame]) -> Iterator[ShotFrame]:
    """Yield each frame with the number of its shot, FLASH_FRAMES later than it came."""
    before: deque[np.ndarray] = deque(maxlen=FLASH_FRAMES + 1)
    ahead: deque[tuple[Frame, np.ndarray]] = deque()
    shot, last = 0, None

    def next_one() -> ShotFrame:
        nonlocal shot, last
        frame, small = ahead[0]
        if last is not None and (frame.number != last + 1 or _is_cut(before, [each for _, each in ahead])):
            shot += 1
            before.clear()
        before.append(small)
        last = frame.number
        ahead.popleft()
        return ShotFrame(frame, shot)

    for frame in frames:
        ahead.append((frame, _thumbnail(frame.pixels)))
        if len(ahead) == FLASH_FRAMES + 1:
            yield next_one()
    while ahead:
        yield next_one()


def _is_cut(before: Iterable[np.ndarray], after: Iterable[np.ndarray]) -> bool:
    """Return whether no frame after looks like one before. The nearest pair is compared first."""
    return all(_differ(old, new) for new in after for old in reversed([*before]))


def _thumbnail(pixels: np.ndarray) -> np.ndarray:
    scale = THUMBNAIL_PX / max(pixels.shape[:2])
    width, height = (max(BLOCK_PX, round(scale * side)) for side in pixels.shape[1::-1])
    small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (3, 3), 0)


def _differ(old: np.ndarray, new: np.ndarray) -> bool:
    """Return whether most of a frame cannot be found in another one, both (H, W, 3) uint8 thumbnails."""
    if np.array_equal(old, new):
        return False
    padded = cv2.copyMakeBorder(old, REACH_PX, REACH_PX, REACH_PX, REACH_PX, cv2.BORDER_REPLICATE)
    lost = informative = blocks = 0
    for top in range(0, new.shape[0] - BLOCK_PX + 1, BLOCK_PX):
        for left in range(0, new.shape[1] - BLOCK_PX + 1, BLOCK_PX):
            block = new[top : top + BLOCK_PX, left : left + BLOCK_PX]
            same_place = old[top : top + BLOCK_PX, left : left + BLOCK_PX]
            blocks += 1
            if _rms(cv2.norm(block, same_place, cv2.NORM_L2SQR), block.size) <= MAX_RESIDUAL:
                informative += bool(block.std(axis=(0, 1)).max() > MIN_TEXTURE)
                continue
            informative += 1
            window = padded[top : top + BLOCK_PX + 2 * REACH_PX, left : left + BLOCK_PX + 2 * REACH_PX]
            best = float(cv2.matchTemplate(window, block, cv2.TM_SQDIFF).min())
            lost += _rms(best, block.size) > MAX_RESIDUAL
    return lost > MAX_LOST_SHARE * informative and lost > MIN_LOST_SHARE_OF_ALL * blocks


def _rms(squares: float, count: int) -> float:
    return float((max(squares, 0) / count) ** 0.5)
