"""Light of a whole picture: night, candles, coloured lamps, haze, glow."""

from collections.abc import Callable

import cv2
import numpy as np

from pipeline.drawing.colors import sample_color
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.postprocess import identity

NIGHTS = ((0.5, 0.8), (0.2, 0.7), (0.3, 0.65))  # ranges of hue, saturation and value
FLAMES = ((0.02, 0.12), (0.4, 0.9), (0.8, 1))
LAMPS = ((0, 1), (0.5, 1), (0.6, 1))
HAZES = ((0, 1), (0, 0.3), (0.6, 1))


def light(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Return the picture, uint8 RGB (size, size, 3), in one kind of light."""
    return sampler.pick(LIGHTING)(sampler, picture)


def _multiplied(picture: np.ndarray, light: np.ndarray) -> np.ndarray:
    return (picture * light).clip(0, 255).astype(np.uint8)


def _color(sampler: Sampler, ranges) -> np.ndarray:
    return np.array(sample_color(sampler, ranges), np.float32) / 255


def _distance(sampler: Sampler, size: int) -> np.ndarray:
    """Return the distance of each pixel from a point of the picture, (size, size, 1), in sides of the picture."""
    x, y = sampler.point(0.1, 0.9)
    across, down = np.meshgrid(np.linspace(0, 1, size, dtype=np.float32) - x, np.linspace(0, 1, size) - y)
    return np.hypot(across, down).astype(np.float32)[..., None]


def _night(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    return _multiplied(picture, _color(sampler, NIGHTS) + sampler.between(0, 0.15))


def _candle(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    near = np.exp(-((_distance(sampler, len(picture)) / sampler.between(0.2, 0.6)) ** 2))
    return _multiplied(picture, 0.3 + _color(sampler, FLAMES) * near * sampler.between(0.8, 1.3))


def _two_lamps(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Blend two coloured lights from opposite sides."""
    angle = sampler.between(0, 2 * np.pi)
    along = np.linspace(-1, 1, len(picture), dtype=np.float32)
    slope = np.add.outer(np.sin(angle) * along, np.cos(angle) * along)[..., None] * sampler.between(0.6, 3)
    share = 1 / (1 + np.exp(-slope))
    lamps = _color(sampler, LAMPS) * share + _color(sampler, LAMPS) * (1 - share)
    white = sampler.between(0, 0.5)
    return _multiplied(picture, (lamps + white) / (1 + white))


def _haze(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Wash out all contrast but a third to two thirds."""
    share = sampler.between(0.35, 0.68)
    return (picture * (1 - share) + 255 * share * _color(sampler, HAZES)).astype(np.uint8)


def _glow(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Let bright parts bloom over what is beside them."""
    bright = cv2.GaussianBlur(picture, (0, 0), len(picture) * sampler.between(0.01, 0.04))
    return 255 - _multiplied(255 - picture, 1 - bright.astype(np.float32) / 255 * sampler.between(0.4, 0.9))


LIGHTING: dict[Callable[[Sampler, np.ndarray], np.ndarray], float] = {  # -> weight
    identity: 6.5,
    _night: 0.8,
    _candle: 0.7,
    _two_lamps: 0.9,
    _haze: 0.6,
    _glow: 0.5,
}
