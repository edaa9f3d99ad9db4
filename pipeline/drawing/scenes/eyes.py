"""The random choices that both eyes of a face share. `eye` paints them.

Within an eye u runs outwards and v down, in its widths and heights.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from pipeline.drawing.colors import RGB, WHITE, any_color, iris_color, mix, tone
from pipeline.drawing.sampling import Sampler

LASH_WIDTHS = {(0.008, 0.018): 2, (0.016, 0.032): 3, (0.03, 0.045): 1}

# Sets of highlights on the iris -> weight. A highlight is x, y and radius in radii of the iris.
LIGHTS = {
    (): 0.2,
    ((-0.35, -0.4, 0.33),): 0.25,
    ((-0.35, -0.4, 0.35), (0.4, 0.45, 0.18)): 0.25,
    ((0.3, -0.4, 0.3),): 0.2,
    ((0, -0.45, 0.4), (-0.3, 0.4, 0.2), (0.4, 0.1, 0.12)): 0.1,
}

# Where the lids of a closed eye meet, v at LID_U -> weight.
CLOSED_LIDS = {
    (0.05, 0.25, 0.33, 0.27, 0.08): 4,
    (0.1, 0.38, 0.46, 0.4, 0.12): 3,
    (0.2, 0.22, 0.23, 0.23, 0.22): 2,
    (0.0, 0.06, 0.1, 0.1, 0.08): 1.5,
    (0.15, -0.15, -0.27, -0.15, 0.15): 2,
}


class Blink(NamedTuple):
    """How far both eyes are open, and where their lids meet when they are not."""

    openness: tuple[float, float]  # of the picture's left and right eye: 1 as wide as its lids say, 0 closed
    closed: np.ndarray  # (5,), v at LID_U


@dataclass(frozen=True)
class Eyes:
    """A pair of eyes. Lengths are in the frame of the head, unless a comment names the eye or the iris."""

    x: tuple[float, float]  # of the centres of the picture's left and right eye
    y: float
    uneven: float  # how far the right one lies below y and the left one above
    shares: tuple[float, float]  # of the full width that is visible: the far eye of a turned head is narrower
    width: float
    height: float
    slant: float  # how far the outer corner is down, in eye heights per eye width
    upper: np.ndarray  # (5,), v of the lid at LID_U
    lower: np.ndarray
    openness: float  # 0.5..1
    lash: RGB
    lash_width: float  # half the width of the lash line
    wing: tuple[float, float]  # u, v from the outer corner to the end of the lash line
    lashes: int  # number of single lashes at the outer corner
    shut_v: float  # v of closed lids
    dot: float  # radius of an eye that is a dot, in eye widths
    dot_is_lit: bool
    dot_has_lid: bool
    sclera: RGB
    iris: RGB
    iris_deep: RGB
    iris_light: RGB
    iris_size: tuple[float, float]  # radii in eye widths and heights
    gaze: tuple[float, float]  # u to the picture's right, v
    pupil: float  # in iris radii; 0: none
    pupil_color: RGB
    lights: tuple[tuple[float, float, float], ...]
    is_ringed: bool  # the iris has a dark edge
    is_graded: bool  # the iris goes from dark to light
    is_aglow: bool  # the iris is lit from below
    has_lid_shade: bool
    has_lower_line: bool
    has_crease: bool
    is_outlined: bool
    blink: Blink | None = None  # None: their kind decides how far they are open


def sample_eyes(sampler: Sampler, turn: float, pitch: float, is_chibi: bool, colors: dict) -> Eyes:
    """Sample the eyes of a head with this turn and pitch, with the colours of its Style."""
    scale = sampler.from_ranges({(0.8, 1.2): 0.85, (0.5, 0.8): 0.15})  # the small ones look mature
    gap = sampler.between(0.195, 0.25)
    away = np.array([max(0, -turn), max(0, turn)])  # of the left and the right half
    return Eyes(
        x=tuple(np.array([-gap, gap]) * (1 - 0.5 * away) + turn),
        y=sampler.between(-0.02, 0.11) + pitch,
        uneven=0,
        shares=tuple(1 - 1.3 * away),
        width=sampler.between(0.24, 0.32) * scale,
        height=sampler.between(0.18, 0.36) * scale * (1.15 if is_chibi else 1),
        slant=sampler.between(-0.18, 0.18),
        openness=sampler.from_ranges({(1, 1): 4, (0.5, 1): 1}),
        wing=(sampler.between(0, 0.14), sampler.between(-0.1, 0.1)),
        lashes=sampler.pick({0: 2, 1: 1, 2: 1, 3: 0.5}),
        shut_v=sampler.between(0, 0.15),
        dot=sampler.between(0.14, 0.3),
        dot_is_lit=sampler.chance(0.4),
        dot_has_lid=sampler.chance(0.4),
        gaze=(float(np.clip(sampler.normal(0.06), -0.15, 0.15)), float(np.clip(sampler.normal(0.05), -0.12, 0.12))),
        has_lid_shade=sampler.chance(0.6),
        has_lower_line=sampler.chance(0.7),
        has_crease=sampler.chance(0.6),
        is_outlined=sampler.chance(0.12),
        **sample_lids(sampler),
        **sample_lash(sampler, **colors),
        **sample_iris(sampler, colors["skin"]),
    )


def sample_lids(sampler: Sampler) -> dict:
    """Sample the two lids, irregular as if drawn by hand."""
    bend, hand = sampler.between(0.6, 1.1), sampler.normal(0.03, 5)
    inner, outer = sampler.between(-0.1, 0.16), sampler.between(-0.28, 0.1)
    lower = np.array([0.14, 0.42, 0.5, 0.44, 0.05]) * sampler.between(0.8, 1.05)
    upper = np.array([inner, -0.38 * bend, -0.5, -0.43 * bend - 0.03, outer]) + hand
    return {"upper": upper, "lower": lower + sampler.normal(0.03, 5)}


def sample_closed_lids(sampler: Sampler) -> np.ndarray:
    """Sample where the lids of a closed eye meet, (5,), v at LID_U."""
    return np.array(sampler.pick(CLOSED_LIDS)) * sampler.between(0.7, 1.15) + sampler.normal(0.02, 5)


def sample_lash(sampler: Sampler, *, ink: RGB, hair: RGB, skin_dark: RGB, **_) -> dict:
    """Sample colour and half width of the lash line."""
    weights = {tone(ink, 0.7): 3, (25, 15, 25): 2, tone(hair, 0.4, 1.2): 1, tone(skin_dark, 0.5, 1.5): 0.7}
    return {"lash": sampler.pick(weights), "lash_width": sampler.from_ranges(LASH_WIDTHS)}


def sample_iris(sampler: Sampler, skin: RGB) -> dict:
    """Sample the white of the eye, the iris and its highlights."""
    iris = iris_color(sampler)
    light = mix(tone(iris, 1.3, 0.9), WHITE, sampler.between(0, 0.4))
    is_staring = sampler.chance(0.06)
    across, along = ((0.1, 0.2), (0.12, 0.25)) if is_staring else ((0.25, 0.44), (0.38, 0.56))
    return {
        "sclera": sampler.pick(
            {(252, 250, 252): 4, tone(skin, 1.05, 0.5): 1, (225, 225, 238): 1, any_color(sampler): 0.3}
        ),
        "iris": iris,
        "iris_deep": tone(iris, sampler.between(0.3, 0.6), 1.2),
        "iris_light": light,
        "iris_size": (sampler.between(*across), sampler.between(*along)),
        "pupil": sampler.from_ranges({(0, 0): 1, (0.25, 0.6): 4}),
        "pupil_color": sampler.pick({tone(iris, 0.2, 1.2): 3, (20, 10, 20): 1, light: 0.5}),
        "lights": sampler.pick(LIGHTS),
        "is_ringed": sampler.chance(0.6),
        "is_graded": sampler.chance(0.6),
        "is_aglow": sampler.chance(0.5),
    }


def shuffle(sampler: Sampler, eyes: Eyes) -> Eyes:
    """Move the eyes to impossible places: both to the mouth, or one above the other."""
    if sampler.chance(0.5):
        return replace(eyes, y=sampler.between(0.28, 0.4))
    left, _ = eyes.x
    return replace(eyes, x=(left, left + sampler.between(-0.12, 0.12)), uneven=sampler.between(0.15, 0.3))
