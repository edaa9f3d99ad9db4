"""Blinks on the curve of how far two eyes are open.

In a blink both eyes close together and open again: in anime they close within one frame, are held closed for two or
three, and open in three or four steps; others close and open smoothly. A wink, lids that are half closed, and eyes
that stay closed are none.
"""

from typing import NamedTuple

import numpy as np

CLOSED = 0.35  # an eye that is open less far, of its own open state, may be closed
REOPENED = 0.6  # an eye that is open farther, of its own open state, is open
BESIDE_FRAMES, OPEN_BESIDE = 3, 0.7  # the median of so many frames before a blink, and after it, is so far open or more
MIN_OPEN = 0.4  # of the open state itself, 0..1: less is drowsy or closed
MAX_CLOSED_S = 0.62  # of the frames between two in which the eyes are open: eyes that stay closed longer do not blink
BASE_S = 1.5  # before and after a frame: the eyes' own open state is measured within it
BASE_QUANTILE = 0.75
LOWEST_MARGIN = 0.2  # above the least openness of a blink: the first frame below it is the closed one


class Blink(NamedTuple):
    """A blink, in frames."""

    start: int  # the last frame before it in which the eyes are open
    closed: int  # the first frame in which they are closed
    end: int  # the first frame after it in which they are open again


def find_blinks(openness: np.ndarray, fps: float) -> list[Blink]:
    """Return the blinks of a curve (T, 2), 1 open to 0 closed, at `fps` frames a second. NaN: an eye is hidden.

    With one eye hidden the other one counts alone."""
    both = wider_eye(openness)
    relative = both / np.maximum(_open_state(both, fps), MIN_OPEN)
    is_open = relative > REOPENED
    found, t = [], 0
    while t < len(both):
        if not relative[t] < CLOSED:
            t += 1
            continue
        start = _last_open(is_open[:t])
        end = _first_open(is_open, t)
        if start is None or end is None:
            t = len(both) if end is None else end
            continue
        t = end
        beside = relative[max(0, start + 1 - BESIDE_FRAMES) : start + 1], relative[end : end + BESIDE_FRAMES]
        is_open_beside = all(np.nanmedian(part) >= OPEN_BESIDE for part in beside)
        is_short = end - start - 1 <= MAX_CLOSED_S * fps
        if is_open_beside and is_short and np.isfinite(both[start : end + 1]).all():
            found.append(Blink(start, _closed_frame(openness, start, end), end))
    return found


def wider_eye(openness: np.ndarray) -> np.ndarray:
    """Return (T,): the openness of the eye that is open wider, NaN where both are hidden."""
    left, right = openness.T
    return np.fmax(left, right)


def mean_openness(openness: np.ndarray) -> np.ndarray:
    """Return (T,): the mean openness of the eyes that are not hidden, NaN where both are."""
    left, right = openness.T
    return np.where(np.isnan(left), right, np.where(np.isnan(right), left, (left + right) / 2))


def _open_state(both: np.ndarray, fps: float) -> np.ndarray:
    """Return (T,): how far the eyes are open, when they are, round each frame."""
    reach = max(1, round(BASE_S * fps))
    if not len(both):
        return both
    padded = np.concatenate([np.full(reach, np.nan), both, np.full(reach, np.nan)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    state = np.zeros(len(both))
    seen = np.isfinite(windows).any(1)
    state[seen] = np.nanquantile(windows[seen], BASE_QUANTILE, axis=1)
    return state


def _last_open(is_open: np.ndarray) -> int | None:
    places = np.flatnonzero(is_open)
    return int(places[-1]) if len(places) else None


def _first_open(is_open: np.ndarray, start: int) -> int | None:
    places = np.flatnonzero(is_open[start:])
    return start + int(places[0]) if len(places) else None


def _closed_frame(openness: np.ndarray, start: int, end: int) -> int:
    """Return the first frame between two in which the eyes are about as closed as they get."""
    between = mean_openness(openness)[start : end + 1]
    return start + int(np.flatnonzero(between <= np.nanmin(between) + LOWEST_MARGIN)[0])
