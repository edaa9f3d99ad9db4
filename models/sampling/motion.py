"""When the eyes of a still face close and open.

Anime has them close within one frame, holds them closed for two or three, and opens them in three or four steps, of 24
frames a second.
"""

from typing import NamedTuple

import numpy as np

from models.seeds import seed_for

ANIME_FPS = 24
FIRST_S, BETWEEN_S = (0.5, 1.3), (1.6, 4.5)  # until the first blink, and from one to the next
TWICE_SHARE, TWICE_S = 0.15, 0.25  # of blinks, a second one follows soon
RESTING = 0.97  # of the openness of a clip's first frame: from it on, eyes are as open as they were
END_S = 0.4  # for which the eyes are open at the end


class Motion(NamedTuple):
    """States of the eyes, and which is shown in each frame. State 0 is the picture as it is."""

    openness: np.ndarray  # (K,): of the picture's own: 1 as it is, 0 closed
    flow: np.ndarray | None  # (K, H, W, 2): of `pipeline.clips.flow`, if it was taken from a clip
    shown: np.ndarray  # (T,): states
    fps: float


def natural(seconds: float, seed: int, face: int) -> Motion:
    """Return the blinks of the `face`-th face of a picture within `seconds`, at intervals drawn from a seed. Raise
    ValueError if there is not the time for one."""
    rng = np.random.default_rng(seed_for("blinks", seed, face))
    openness = np.ones(round(seconds * ANIME_FPS))
    last = round((seconds - END_S) * ANIME_FPS)  # frame by which the eyes are open again
    levels = _blink(rng)
    first = min(round(rng.uniform(*FIRST_S) * ANIME_FPS), last - len(levels))
    if first < 1:
        raise ValueError(f"{seconds} s are too short for a blink")
    while first + len(levels) <= last:
        openness[first : first + len(levels)] = levels
        rest = TWICE_S if rng.random() < TWICE_SHARE else rng.uniform(*BETWEEN_S)
        first += len(levels) + round(rest * ANIME_FPS)
        levels = _blink(rng)
    states, shown = np.unique(-openness, return_inverse=True)
    return Motion(-states, None, shown, ANIME_FPS)


def _blink(rng: np.random.Generator) -> np.ndarray:
    held, steps = rng.integers(2, 4), rng.integers(3, 5)
    return np.concatenate([np.zeros(held), np.arange(1, steps) / steps])


def of_clip(openness: np.ndarray, flow: np.ndarray | None, fps: float, seconds: float) -> Motion:
    """Return the motion of a clip's eyes (T,), with its flow (T, H, W, 2), and then rest, until `seconds` are over; at
    least the clip. While its eyes are open, the picture is shown as it is."""
    states = np.clip(openness / max(float(openness[0]), 1e-3), 0, 1)
    rest = max(0, round(seconds * fps) - len(openness))
    moving = np.where(states < RESTING, np.arange(len(states)), 0)
    return Motion(states, flow, np.concatenate([moving, np.zeros(rest, int)]), fps)
