"""What the two eyes of a face have in common, by lot. `eye` draws them.

Within an eye u runs outwards and v down, in its widths and heights.
"""

from dataclasses import dataclass, replace

import numpy as np

from pipeline.drawing.portrait.look import RGB
from pipeline.drawing.portrait.sheet import WHITE, mix, tone
from pipeline.drawing.sampling import Lot
from pipeline.drawing.scenes.colors import any_color, iris_color

LASH_WIDTHS = {(0.008, 0.018): 2, (0.016, 0.032): 3, (0.03, 0.045): 1}

# Lights on the iris: places and radius in its radii, sets of them -> their weight.
LIGHTS = {
    (): 0.2,
    ((-0.35, -0.4, 0.33),): 0.25,
    ((-0.35, -0.4, 0.35), (0.4, 0.45, 0.18)): 0.25,
    ((0.3, -0.4, 0.3),): 0.2,
    ((0, -0.45, 0.4), (-0.3, 0.4, 0.2), (0.4, 0.1, 0.12)): 0.1,
}


@dataclass(frozen=True)
class Eyes:
    """A pair of eyes. Lengths are in the frame of the head, unless eye or iris is said."""

    x: tuple[float, float]  # of the centres, left and right in the picture
    y: float
    uneven: float  # how far the right one lies below y and the left one above
    shares: tuple[float, float]  # of its full width that each shows: the far eye of a turned head is the narrower
    width: float
    height: float
    slant: float  # how far the outer corner is down, in eye heights per eye width
    upper: np.ndarray  # (5,) v of the lids at LID_U
    lower: np.ndarray
    openness: float  # 0.5..1
    lash: RGB
    lash_width: float  # half
    wing: tuple[float, float]  # u, v from the outer corner to the end of the lash line
    lashes: int  # single ones at the outer corner
    shut_v: float  # where closed lids lie
    dot: float  # radius of an eye that is a mere dot, in eye widths
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
    is_graded: bool  # it goes from dark to light
    is_aglow: bool  # it is lit from below
    has_lid_shade: bool
    has_lower_line: bool
    has_crease: bool
    is_outlined: bool


def sample_eyes(lot: Lot, turn: float, pitch: float, is_chibi: bool, colors: dict) -> Eyes:
    """Eyes for a head turned and pitched like this, with the colours of its Style."""
    scale = lot.amount({(0.8, 1.2): 0.85, (0.5, 0.8): 0.15})  # the small ones look mature
    gap = lot.between(0.195, 0.25)
    away = np.array([max(0, -turn), max(0, turn)])  # of the left and the right half
    return Eyes(
        x=tuple(np.array([-gap, gap]) * (1 - 0.5 * away) + turn),
        y=lot.between(-0.02, 0.11) + pitch,
        uneven=0,
        shares=tuple(1 - 1.3 * away),
        width=lot.between(0.24, 0.32) * scale,
        height=lot.between(0.18, 0.36) * scale * (1.15 if is_chibi else 1),
        slant=lot.between(-0.18, 0.18),
        openness=lot.amount({(1, 1): 4, (0.5, 1): 1}),
        wing=(lot.between(0, 0.14), lot.between(-0.1, 0.1)),
        lashes=lot.pick({0: 2, 1: 1, 2: 1, 3: 0.5}),
        shut_v=lot.between(0, 0.15),
        dot=lot.between(0.14, 0.3),
        dot_is_lit=lot.chance(0.4),
        dot_has_lid=lot.chance(0.4),
        gaze=(float(np.clip(lot.normal(0.06), -0.15, 0.15)), float(np.clip(lot.normal(0.05), -0.12, 0.12))),
        has_lid_shade=lot.chance(0.6),
        has_lower_line=lot.chance(0.7),
        has_crease=lot.chance(0.6),
        is_outlined=lot.chance(0.12),
        **sample_lids(lot),
        **sample_lash(lot, **colors),
        **sample_iris(lot, colors["skin"]),
    )


def sample_lids(lot: Lot) -> dict:
    """The two lids, irregular as by hand."""
    bend, hand = lot.between(0.6, 1.1), lot.normal(0.03, 5)
    inner, outer = lot.between(-0.1, 0.16), lot.between(-0.28, 0.1)
    lower = np.array([0.14, 0.42, 0.5, 0.44, 0.05]) * lot.between(0.8, 1.05)
    return {
        "upper": np.array([inner, -0.38 * bend, -0.5, -0.43 * bend - 0.03, outer]) + hand,
        "lower": lower + lot.normal(0.03, 5),
    }


def sample_lash(lot: Lot, *, ink: RGB, hair: RGB, skin_dark: RGB, **_) -> dict:
    """Colour and half width of the lash line."""
    weights = {tone(ink, 0.7): 3, (25, 15, 25): 2, tone(hair, 0.4, 1.2): 1, tone(skin_dark, 0.5, 1.5): 0.7}
    return {"lash": lot.pick(weights), "lash_width": lot.amount(LASH_WIDTHS)}


def sample_iris(lot: Lot, skin: RGB) -> dict:
    """The white of the eye and what is on it."""
    iris = iris_color(lot)
    light = mix(tone(iris, 1.3, 0.9), WHITE, lot.between(0, 0.4))
    is_staring = lot.chance(0.06)
    across, along = ((0.1, 0.2), (0.12, 0.25)) if is_staring else ((0.25, 0.44), (0.38, 0.56))
    return {
        "sclera": lot.pick({(252, 250, 252): 4, tone(skin, 1.05, 0.5): 1, (225, 225, 238): 1, any_color(lot): 0.3}),
        "iris": iris,
        "iris_deep": tone(iris, lot.between(0.3, 0.6), 1.2),
        "iris_light": light,
        "iris_size": (lot.between(*across), lot.between(*along)),
        "pupil": lot.amount({(0, 0): 1, (0.25, 0.6): 4}),
        "pupil_color": lot.pick({tone(iris, 0.2, 1.2): 3, (20, 10, 20): 1, light: 0.5}),
        "lights": lot.pick(LIGHTS),
        "is_ringed": lot.chance(0.6),
        "is_graded": lot.chance(0.6),
        "is_aglow": lot.chance(0.5),
    }


def shuffled(lot: Lot, eyes: Eyes) -> Eyes:
    """Eyes where no face has them: both at the mouth, or one over the other."""
    if lot.chance(0.5):
        return replace(eyes, y=lot.between(0.28, 0.4))
    left, _ = eyes.x
    return replace(eyes, x=(left, left + lot.between(-0.12, 0.12)), uneven=lot.between(0.15, 0.3))
