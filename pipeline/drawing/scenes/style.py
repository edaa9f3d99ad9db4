"""The random choices that the parts of one figure share. Lengths are in the frame of the head (see portrait.render)."""

from dataclasses import dataclass

import numpy as np

from pipeline.drawing.canvas import Warp
from pipeline.drawing.colors import RGB, WHITE, any_color, hair_color, mix, skin_color, tone, vary_shade
from pipeline.drawing.portrait.hair import DOME
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.eyes import Eyes, sample_eyes
from pipeline.drawing.shapes import curve

LINES = {(0, 0): 1, (0.008, 0.016): 3, (0.014, 0.03): 2, (0.03, 0.045): 0.5}


@dataclass(frozen=True)
class Style:
    """The properties of one figure that more than one of its parts depend on."""

    warp: Warp  # wide or narrow, short or long, slanted
    is_chibi: bool
    is_bald: bool
    turn: float  # of the head: how far the features lie to the right, -0.33..0.33
    pitch: float  # how far they lie below their usual place
    covered: int  # the eye that hair falls over: -1, 1, or 0 for neither
    line: float  # width of outlines; 0: none
    ink: RGB
    skin: RGB
    skin_dark: RGB
    hair: RGB
    hair_dark: RGB
    hair_light: RGB
    hair_ink: RGB
    volume: float  # of the hair, 1 as in the table
    dome: np.ndarray  # (N, 2), the right half of the hair's outer edge from the top's middle to the temple
    eyes: Eyes


def sample_style(sampler: Sampler) -> Style:
    """Sample all that is chosen before the first stroke."""
    is_chibi = sampler.chance(0.18)
    turn = float(np.clip(sampler.normal(0.13), -0.33, 0.33)) if sampler.chance(0.75) else 0.0
    colors = sample_colors(sampler)
    volume = sampler.between(0.92, 1.25)
    pitch = sampler.between(-0.05, 0.05)
    return Style(
        warp=sample_warp(sampler, is_chibi),
        is_chibi=is_chibi,
        is_bald=sampler.chance(0.02),
        turn=turn,
        pitch=pitch,
        covered=sampler.side() if sampler.chance(0.1) else 0,
        volume=volume,
        dome=sample_dome(sampler, volume),
        eyes=sample_eyes(sampler, turn, pitch, is_chibi, colors),
        **colors,
    )


def sample_warp(sampler: Sampler, is_chibi: bool) -> Warp:
    """Sample a warp; chibi are wide and short."""
    width, height = ((1.0, 1.25), (0.85, 1.0)) if is_chibi else ((0.78, 1.1), (0.92, 1.1))
    slants = (sampler.between(-0.06, 0.06), sampler.between(-0.06, 0.06), sampler.between(-0.12, 0.12))
    return Warp(sampler.between(*width), sampler.between(*height), *slants)


def sample_colors(sampler: Sampler) -> dict:
    """Sample the line and the colours of a Style, which depend on each other."""
    skin, hair = skin_color(sampler), hair_color(sampler)
    line = sampler.from_ranges(LINES)
    inks = {(30, 22, 30): 3, tone(hair, 0.35, 1.2): 2, (90, 50, 45): 2, (0, 0, 0): 0.7, any_color(sampler): 0.5}
    ink = sampler.pick(inks)
    hair_dark = vary_shade(sampler, hair, (0.55, 0.85), (1.15, 1.15), (-0.04, 0.06))
    return {
        "line": line,
        "ink": ink,
        "skin": skin,
        "skin_dark": vary_shade(sampler, skin, (0.75, 0.95), (1.1, 1.7), (-0.03, 0.01)),
        "hair": hair,
        "hair_dark": hair_dark,
        "hair_light": mix(tone(hair, 1.3, 0.6), WHITE, sampler.between(0, 0.5)),
        "hair_ink": mix(tone(hair, 0.45, 1.2), ink, sampler.between(0, 1)) if line else hair_dark,
    }


def sample_dome(sampler: Sampler, volume: float) -> np.ndarray:
    """Sample the outer edge of the hair, (N, 2): smooth, or in three of ten cases spiky."""
    x, y = np.transpose(DOME)
    dome = np.stack([x * (0.5 + 0.5 * volume), np.where(y < -0.3, -0.3 + (y + 0.3) * volume, y)], 1)
    if not sampler.chance(0.3):
        return curve(dome, steps=6)
    along = np.linspace(0, len(dome) - 1, 13)
    spiky = np.stack([np.interp(along, np.arange(len(dome)), values) for values in dome.T], 1)
    spiky[1::2] *= 1 + sampler.between(0.04, 0.25)
    return spiky
