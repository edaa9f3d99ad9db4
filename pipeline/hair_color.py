"""Faces -> hair colour: a probability for each of the nine, from the original's pixels round the face."""

import functools

import cv2
import numpy as np

from pipeline.faces import Face, crop
from pipeline.manifest import HAIR_COLORS

VERSION = 1
PATCH = 64  # px: side of the patch that is looked at: twice the face's box, which is its middle half

# What people call by each name, sRGB: a few shades from dark to light. Names outside the nine go where tag sites
# alias them or where the eye does: aqua is blue, orange is brown, white and grey are silver.
SHADES = {
    "blonde": ("fbeebc", "f7dd83", "e9c65c", "d6ad4b", "e5cf92", "c79f52"),
    "brown": ("3f261b", "5b3824", "7b4e2e", "9a6a42", "b98458", "6b4a3a", "c8763a"),
    "black": ("0c0c10", "1e1e26", "2f2e38", "30303f", "3b3537"),
    "blue": ("1d2f66", "2f4fa8", "4a7fd8", "6fb0ea", "9fd2f2", "4fc4d4", "3a5a8a", "202090", "2c3ec0"),
    "pink": ("fbd3de", "f5a9c3", "ec84ab", "d9638f", "e9a0a8", "f97f86"),
    "purple": ("3d2460", "5c3a91", "7f57b8", "a783d2", "c9b2e6", "7a4a80"),
    "green": ("1c4a34", "2f7a4a", "4fa860", "84c878", "b4dc9c", "5f9a7a", "7d9a3f"),
    "red": ("5a1219", "8f1d22", "b92c2c", "d8473a", "a8323f", "e0604a"),
    "silver": ("f1f1f5", "dcdde5", "c3c6d0", "a8abb6", "8d9099", "d6d0cc"),
}


SHADE_SPREAD = 11.0  # Lab units: how far a pixel may lie from a shade and still be called by its name
NO_NAME = 32.0  # Lab units: at this distance from every shade a pixel is as likely nameless


def _place() -> np.ndarray:
    """(PATCH, PATCH) weights: how much of hair each place of the patch is, by where heads have it.

    A detector's box, the middle half of the patch, spans the head from mid-bangs to the neck: hair fills its top and
    hangs in both its sides."""
    v, u = (np.mgrid[:PATCH, :PATCH] + 0.5) / (PATCH / 2) - 0.5  # box coordinates: 0..1 is the box
    top = np.exp(-(((v + 0.02) / 0.15) ** 2) - ((u - 0.5) / 0.34) ** 4)
    sides = 0.4 * np.exp(-(((np.abs(u - 0.5) - 0.40) / 0.10) ** 2) - ((v - 0.35) / 0.35) ** 4)
    weights = np.maximum(top, sides)
    return np.where(weights > 0.05, weights, 0.0)


@functools.cache
def _shades() -> tuple[np.ndarray, np.ndarray]:
    """(Lab (S, 3), index of each shade's name (S,))."""
    hexes = [(shade, index) for index, name in enumerate(HAIR_COLORS) for shade in SHADES[name]]
    rgb = np.array([[list(bytes.fromhex(shade)) for shade, _ in hexes]], np.float32) / 255
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[0], np.array([index for _, index in hexes])


_PLACE = _place()
_CHEEKS = np.s_[34:41, 25:39]  # rows, columns of the patch: below the eyes, above the mouth


def color_scores(picture: np.ndarray, face: Face) -> list[float]:
    """Colour alone: what share of the pixels that are hair by their place, and unlike the cheeks, is of each name."""
    patch = cv2.medianBlur(crop(picture, face, size=PATCH, box_scale=2.0), 3)  # without the outlines
    lab = cv2.cvtColor(patch.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)  # L 0..100, a and b about -100..100
    skin = np.median(lab[_CHEEKS].reshape(-1, 3), axis=0)
    unlike_skin = 1 - np.exp(-(np.square(lab - skin).sum(2)) / (2 * 9.0**2))
    weights = (_PLACE * unlike_skin)[_PLACE > 0]
    if weights.sum() < 0.02 * _PLACE.sum():
        return [0.0] * len(HAIR_COLORS)  # all of the head is of the cheeks' colour
    shades, names = _shades()
    distances = np.square(lab[_PLACE > 0][:, None] - shades).sum(2)  # (pixels, shades)
    nearest = np.stack([distances[:, names == index].min(1) for index in range(len(HAIR_COLORS))], axis=1)
    likely = np.exp(-nearest / (2 * SHADE_SPREAD**2))
    shares = likely / (likely.sum(1, keepdims=True) + np.exp(-(NO_NAME**2) / (2 * SHADE_SPREAD**2)))
    shares = weights @ shares / weights.sum()
    nameless = 1 - shares.sum()
    # One head has one colour, but its shades, shadows and ribbons vote for others: squares let the majority speak.
    return [float(square) for square in shares**2 / (np.square(shares).sum() + nameless**2)]
