"""Colours, RGB in 0..255: mixed, shaded, random. The ranges are wider than in nature, as they are in drawings."""

import colorsys

import numpy as np

from pipeline.drawing.sampling import Sampler

RGB = tuple[int, int, int]
Range = tuple[float, float]

WHITE = (255, 255, 255)

# RGB in hex -> weight.
SKINS = {
    "ffeee4": 5,
    "ffe6d8": 6,
    "fde0cd": 6,
    "fbd9c1": 6,
    "f6cfb0": 4,
    "edbd98": 3,
    "dfae86": 2,
    "c4926c": 1,
    "fff6f0": 4,
    "f2d6d0": 3,
    "8d5f45": 0.5,
    "ffffff": 2,
}

# Ranges of hue (turns), saturation and value -> weight.
HAIRS = {
    ((0, 1), (0, 0.35), (0.08, 0.35)): 0.3,  # dark
    ((0.03, 0.15), (0.2, 0.7), (0.4, 1)): 0.25,  # brown to blonde
    ((0, 1), (0, 0.12), (0.6, 1)): 0.15,  # silver
    ((0, 1), (0.2, 0.85), (0.35, 1)): 0.3,  # of any hue
}
ODD_SKIN = ((0, 1), (0.05, 0.35), (0.6, 1))
BRIGHT_IRIS = ((0, 1), (0.4, 0.9), (0.4, 1))


def mix(a: RGB, b: RGB, t: float) -> RGB:
    """Return the colour at share t of the way from a to b."""
    red, green, blue = (round(x + (y - x) * t) for x, y in zip(a, b, strict=True))
    return red, green, blue


def tone(color: RGB, value: float, saturation: float = 1, toward: float = 0) -> RGB:
    """Multiply the HSV value and saturation of a colour, and move its hue towards blue by at most `toward` turns."""
    h, s, v = colorsys.rgb_to_hsv(*(c / 255 for c in color))
    distance = (0.69 - h + 0.5) % 1 - 0.5
    h += np.clip(distance, -toward, toward)
    rgb = colorsys.hsv_to_rgb(h % 1, min(1, s * saturation), min(1, v * value))
    red, green, blue = (round(255 * c) for c in rgb)
    return red, green, blue


def shadow(color: RGB, depth: float = 1) -> RGB:
    """Return the colour in shadow: darker, more saturated and bluer."""
    return tone(color, 1 - 0.22 * depth, 1 + 0.22 * depth, 0.03 * depth)


def hsv_to_rgb(hue: float, saturation: float, value: float) -> RGB:
    """Convert hue in turns, saturation and value, both clipped to 0..1, to RGB."""
    rgb = colorsys.hsv_to_rgb(hue % 1, min(1, max(0, saturation)), min(1, max(0, value)))
    red, green, blue = (round(255 * c) for c in rgb)
    return red, green, blue


def sample_color(sampler: Sampler, ranges: tuple[Range, Range, Range]) -> RGB:
    """Draw a colour of these ranges of hue, saturation and value."""
    return hsv_to_rgb(*(sampler.between(*limits) for limits in ranges))


def rotate_hue(color: RGB, turns: float) -> RGB:
    """Rotate the hue of a colour by `turns`."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(c / 255 for c in color))
    return hsv_to_rgb(hue + turns, saturation, value)


def vary_shade(sampler: Sampler, color: RGB, value: Range, saturation: Range = (1, 1), hue: Range = (0, 0)) -> RGB:
    """Multiply value and saturation of a colour and rotate its hue (turns), by a number of each range."""
    return tone(rotate_hue(color, sampler.between(*hue)), sampler.between(*value), sampler.between(*saturation))


def any_color(sampler: Sampler) -> RGB:
    """Draw any colour, the bright ones more often than the dark."""
    return hsv_to_rgb(sampler.between(0, 1), sampler.between(0, 1) ** 1.3, 1 - 0.95 * sampler.between(0, 1) ** 1.6)


def skin_color(sampler: Sampler) -> RGB:
    """Draw the colour of skin: mostly human, sometimes that of an elf or an oni."""
    if sampler.chance(0.08):
        return sample_color(sampler, ODD_SKIN)
    red, green, blue = bytes.fromhex(sampler.pick(SKINS))
    return vary_shade(sampler, (red, green, blue), (0.88, 1.03), (0.6, 1.4), (-0.015, 0.015))


def hair_color(sampler: Sampler) -> RGB:
    """Draw the colour of hair: dark, brown to blonde, silver, or of any hue."""
    return sample_color(sampler, sampler.pick(HAIRS))


def iris_color(sampler: Sampler) -> RGB:
    """Draw the colour of an iris: bright in one half of the cases, anything in the other."""
    return any_color(sampler) if sampler.chance(0.5) else sample_color(sampler, BRIGHT_IRIS)


def thing_ink(sampler: Sampler) -> RGB:
    """Draw the outline's colour of things other than figures: black or dark."""
    return (0, 0, 0) if sampler.chance(0.3) else tone(any_color(sampler), 0.5)
