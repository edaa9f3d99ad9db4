"""The nine names of hair colours as regions of CIELAB: ranges of lightness, chroma and hue.

Other names are mapped as tag sites do, or to the most similar colour: aqua is blue, orange is brown, white and
grey are silver.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.manifest import HAIR_COLORS

NAME_SPREAD = 2.0  # CIELAB units: difference of the distances to two names above which the nearer one is certain
LIGHTNESS_WEIGHT = 0.7  # weight of lightness relative to a and b: shadows and highlights change it most
MAX_HAIR_DISTANCE = 14.0  # CIELAB units: a colour farther from every name's places is no colour of hair


class LabRegion(NamedTuple):
    """A part of CIELAB that is called by one name. Each a range from low to high."""

    hue: tuple[float, float]  # degrees; the high end may lie beyond 360. (0, 360): any.
    chroma: tuple[float, float]
    lightness: tuple[float, float]
    weight: float  # how often hair of that name is there, relative to its other places


PLACES = {
    "blonde": (
        LabRegion((76, 102), (22, 75), (68, 93), 3),
        LabRegion((75, 105), (14, 30), (78, 94), 1),
        LabRegion((68, 78), (18, 38), (80, 93), 1),
        LabRegion((76, 90), (28, 60), (62, 72), 1),
    ),
    "brown": (
        LabRegion((38, 78), (12, 42), (20, 52), 4),
        LabRegion((42, 72), (45, 95), (48, 78), 2.5),  # orange
        LabRegion((50, 74), (16, 46), (50, 68), 2.5),  # light brown
        LabRegion((52, 70), (30, 60), (64, 76), 0.5),
        LabRegion((20, 45), (8, 20), (22, 42), 0.7),
    ),
    "black": (
        LabRegion((0, 360), (0, 9), (4, 30), 3),
        LabRegion((250, 330), (6, 20), (8, 30), 2),
        LabRegion((20, 80), (4, 10), (8, 22), 1),
        LabRegion((150, 260), (4, 14), (8, 28), 1),
        LabRegion((260, 330), (16, 24), (6, 24), 0.5),
        LabRegion((0, 360), (0, 8), (28, 40), 1),
        LabRegion((270, 350), (4, 15), (20, 40), 1),
        LabRegion((20, 80), (3, 9), (20, 34), 0.7),
    ),
    "blue": (
        LabRegion((262, 300), (25, 75), (28, 75), 3),
        LabRegion((225, 270), (18, 50), (40, 85), 2),
        LabRegion((190, 228), (16, 45), (45, 85), 2),
        LabRegion((275, 300), (26, 50), (22, 35), 1),
        LabRegion((285, 305), (75, 100), (30, 55), 0.5),
        LabRegion((292, 306), (45, 95), (12, 30), 0.5),
        LabRegion((200, 275), (9, 20), (55, 85), 0.7),
    ),
    "pink": (
        LabRegion((335, 385), (18, 50), (66, 90), 3),
        LabRegion((340, 372), (45, 75), (58, 74), 1.3),
        LabRegion((343, 369), (55, 86), (50, 62), 1.3),  # hot pink
        LabRegion((325, 345), (25, 55), (62, 80), 0.7),
        LabRegion((372, 382), (40, 60), (60, 72), 0.5),
    ),
    "purple": (
        LabRegion((303, 332), (20, 70), (25, 68), 3),
        LabRegion((300, 325), (14, 35), (55, 82), 1),
        LabRegion((305, 335), (14, 30), (30, 48), 0.7),
        LabRegion((312, 335), (32, 60), (11, 26), 0.5),
    ),
    "green": (
        LabRegion((105, 165), (20, 75), (35, 85), 3),
        LabRegion((140, 182), (14, 50), (30, 80), 1),
        LabRegion((110, 170), (12, 25), (25, 50), 0.6),
    ),
    "red": (
        LabRegion((22, 40), (48, 95), (30, 58), 3),
        LabRegion((10, 28), (40, 80), (25, 52), 2),
        LabRegion((0, 15), (35, 75), (25, 45), 1),  # crimson and wine
        LabRegion((25, 40), (30, 50), (18, 32), 0.7),
    ),
    "silver": (
        LabRegion((0, 360), (0, 7), (62, 96), 3),
        LabRegion((255, 320), (3, 11), (66, 92), 1.3),
        LabRegion((0, 360), (0, 6), (48, 62), 0.6),
        LabRegion((60, 110), (3, 8), (75, 95), 0.4),
    ),
}


def to_lab(rgb: np.ndarray) -> np.ndarray:
    """Return (…, 3) of sRGB, 0..1, as CIELAB, float32: lightness 0..100, a and b."""
    flat = np.ascontiguousarray(rgb, np.float32).reshape(1, -1, 3)
    return cv2.cvtColor(flat, cv2.COLOR_RGB2LAB).reshape(np.shape(rgb))


def to_rgb(lab: np.ndarray) -> np.ndarray:
    """Return (…, 3) of CIELAB as sRGB, 0..1; colours outside sRGB become the nearest in it."""
    flat = np.ascontiguousarray(lab, np.float32).reshape(1, -1, 3)
    return cv2.cvtColor(flat, cv2.COLOR_LAB2RGB).reshape(np.shape(lab))


def distances(lab: np.ndarray) -> np.ndarray:
    """Return (9,), the distance of a colour of CIELAB from the nearest place of each name."""
    lightness, chroma, hue = lab[0], math.hypot(lab[1], lab[2]), math.degrees(math.atan2(lab[2], lab[1])) % 360

    def beyond(place: LabRegion) -> float:
        low, high = place.hue
        turn = min(abs((hue - end + 180) % 360 - 180) for end in place.hue)
        is_inside = (hue - low) % 360 <= high - low
        aside = 0.0 if is_inside else 2 * math.sin(math.radians(min(turn, 90)) / 2) * chroma
        return math.hypot(
            aside, _outside(chroma, place.chroma), LIGHTNESS_WEIGHT * _outside(lightness, place.lightness)
        )

    return np.array([min(map(beyond, PLACES[name])) for name in HAIR_COLORS])


def _outside(value: float, ends: tuple[float, float]) -> float:
    return max(ends[0] - value, value - ends[1], 0.0)


def shares(lab: np.ndarray) -> np.ndarray:
    """Return (9,), summing to 1: the share of people who call the colour by each name, as assumed from its distances to
    their places; no survey."""
    squares = np.square(distances(lab))
    likely = np.exp((squares.min() - squares) / (2 * NAME_SPREAD**2))
    return likely / likely.sum()


def color_of(name: str, rng: np.random.Generator) -> np.ndarray:
    """Return a random colour of that name, CIELAB."""
    places = PLACES[name]
    weights = np.array([place.weight for place in places])
    while True:
        place = places[rng.choice(len(places), p=weights / weights.sum())]
        hue, chroma, lightness = (rng.uniform(*ends) for ends in place[:3])
        lab = np.array([lightness, chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))])
        if np.abs(to_lab(to_rgb(lab)) - lab).max() < 2:  # a screen can show it
            return lab


def any_color(rng: np.random.Generator) -> np.ndarray:
    """Return a random colour that hair may have, also one between the names; CIELAB."""
    while True:
        lab = to_lab(rng.random(3)).astype(float)
        if distances(lab).min() < MAX_HAIR_DISTANCE:
            return lab
