"""What the eyes of a film's character do: anime's blinks and smooth ones, winks, lids half closed, eyes kept closed."""

from typing import NamedTuple

import numpy as np

from pipeline.drawing.sampling import Sampler

EVENTS = {"anime": 7, "smooth": 5, "wink": 1.5, "half": 1.5, "closed": 1, "none": 1.5}
MARGIN_S = 0.75  # from the start of a shot to the first event, and from the last one to its end
CLOSED = 0.02  # openness up to which an eye counts as closed


class Event(NamedTuple):
    """One thing that the eyes do."""

    start: int  # frame of the shot
    levels: np.ndarray  # (T, 2): openness of both eyes
    blink: bool


def plan_events(sampler: Sampler, length: int, fps: int) -> list[Event]:
    """Return what the eyes do in a shot, in order."""
    events, seconds = [], MARGIN_S + sampler.between(0, 0.6)
    while seconds < length / fps - MARGIN_S - 0.5:
        kind = sampler.pick(EVENTS)
        if kind != "none":
            levels = _LEVELS[kind](sampler, fps)
            events.append(Event(round(seconds * fps), levels, kind in ("anime", "smooth")))
            seconds += len(levels) / fps
        seconds += sampler.between(0.8, 1.8)
    return [event for event in events if event.start + len(event.levels) < length - MARGIN_S / 2 * fps]


def _anime(sampler: Sampler, fps: int) -> np.ndarray:
    """Close within one frame, hold for two or three, open in three or four steps: of 24 frames a second."""
    held, steps = sampler.choice(2, 3), sampler.choice(3, 4)
    rising = np.arange(1, steps) / steps
    levels = np.concatenate([[0.5] if sampler.chance(0.3) else [], np.zeros(held), rising])
    return _both(levels[np.minimum(np.arange(round(len(levels) * fps / 24)) * 24 // fps, len(levels) - 1)])


def _smooth(sampler: Sampler, fps: int) -> np.ndarray:
    down, held, up = sampler.between(0.06, 0.14), sampler.between(0.05, 0.1), sampler.between(0.12, 0.26)
    t = np.arange(round((down + held + up) * fps)) / fps
    closing = 0.5 + 0.5 * np.cos(np.pi * np.clip(t / down, 0, 1))
    opening = 0.5 - 0.5 * np.cos(np.pi * np.clip((t - down - held) / up, 0, 1))
    levels = np.where(t < down + held, closing, opening)
    levels[np.argmin(np.abs(t - down - held / 2))] = 0
    return _both(np.where(levels <= CLOSED, 0, levels))


def _wink(sampler: Sampler, fps: int) -> np.ndarray:
    levels = sampler.choice(_anime, _smooth)(sampler, fps)
    levels[:, sampler.choice(0, 1)] = 1
    return levels


def _half(sampler: Sampler, fps: int) -> np.ndarray:
    level = sampler.between(0.42, 0.65)
    return _both(np.full(round(sampler.between(0.2, 1.2) * fps), level))


def _closed(sampler: Sampler, fps: int) -> np.ndarray:
    return _both(np.zeros(round(sampler.between(1.0, 1.6) * fps)))


def _both(levels: np.ndarray) -> np.ndarray:
    return np.stack([levels, levels], 1).astype(float)


_LEVELS = {"anime": _anime, "smooth": _smooth, "wink": _wink, "half": _half, "closed": _closed}
