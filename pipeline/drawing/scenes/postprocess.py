"""Postprocessing of a whole picture: light, a medium, and exposure."""

from collections.abc import Callable

import cv2
import numpy as np

from pipeline.drawing.colors import any_color
from pipeline.drawing.sampling import Sampler


def treat(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Apply one of TREATMENTS to a picture, uint8 RGB (size, size, 3); return another such."""
    return sampler.pick(TREATMENTS)(sampler, picture)


def postprocess(
    sampler: Sampler, picture: np.ndarray, treat: Callable[[Sampler, np.ndarray], np.ndarray] = treat
) -> np.ndarray:
    """Apply lights, one medium and exposure to a picture, uint8 RGB (size, size, 3); return another such."""
    for _ in range(sampler.pick({0: 3, 1: 2, 3: 2})):
        picture = add_light(sampler, picture)
    picture = treat(sampler, picture)
    if sampler.chance(0.35):
        gamma = sampler.between(0.55, 1.6)
        picture = cv2.LUT(picture, (255 * (np.arange(256) / 255) ** gamma).astype(np.uint8))
    if sampler.chance(0.2):
        black, white = sampler.between(0, 70), sampler.between(180, 255)
        picture = cv2.LUT(picture, np.linspace(black, white, 256).astype(np.uint8))
    return picture


def add_light(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Add a coloured spot that darkens, lightens or covers, mostly with a soft edge."""
    size = len(picture)
    spot = np.zeros((size, size), np.uint8)
    center, radii = sampler.rng.integers(0, size, 2).tolist(), (sampler.point(0.1, 0.5) * size).astype(int).tolist()
    cv2.ellipse(spot, center, radii, sampler.between(0, 180), 0, 360, 255, -1)
    edge = 2 * int(sampler.between(0.02, 0.25) * size) + 1 if sampler.chance(0.8) else 1
    share = cv2.blur(cv2.blur(spot, (edge, edge)), (edge, edge)).astype(np.float32)[..., None]
    share *= sampler.between(0.1, 0.6) / 255
    color = np.array(any_color(sampler), np.float32)
    return sampler.pick(LIGHTS)(picture, color, share)


def _darken(picture: np.ndarray, color: np.ndarray, share: np.ndarray) -> np.ndarray:
    return (picture * (1 - share * (1 - color / 255))).astype(np.uint8)


def _lighten(picture: np.ndarray, color: np.ndarray, share: np.ndarray) -> np.ndarray:
    return 255 - _darken(255 - picture, 255 - color, share)


def _cover(picture: np.ndarray, color: np.ndarray, share: np.ndarray) -> np.ndarray:
    return (picture + (color - picture) * share).astype(np.uint8)


LIGHTS = {_darken: 0.5, _lighten: 0.3, _cover: 0.2}  # -> weight


def identity(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Return the picture as it was painted."""
    return picture


def _gray(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def _to_rgb(gray: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB)


def _on_paper(sampler: Sampler, gray: np.ndarray) -> np.ndarray:
    """Map grey levels to shades from a dark ink to a pale paper."""
    ink = np.array(any_color(sampler)) * sampler.between(0, 0.5)
    paper = np.array((255, 250, 240)) * sampler.between(0.8, 1)
    return np.linspace(ink, paper, 256).astype(np.uint8)[gray]


def _print(sampler: Sampler, gray: np.ndarray) -> np.ndarray:
    return _on_paper(sampler, gray) if sampler.chance(0.3) else _to_rgb(gray)


def grayscale(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Convert to shades of grey."""
    return _to_rgb(_gray(picture))


def sepia(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Convert to shades of one ink on paper."""
    return _on_paper(sampler, _gray(picture))


def screentone(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Convert to dots as in a printed manga, or to four greys."""
    gray = _gray(picture)
    if not sampler.chance(0.6):
        return _print(sampler, gray // 64 * 85)
    y, x = np.mgrid[: len(gray), : len(gray)].astype(np.float32)
    turn, pitch = sampler.between(0, np.pi / 2), sampler.between(1.2, 3)
    across, along = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    dots = 255 * (0.5 + 0.25 * (np.sin(pitch * across) + np.sin(pitch * along)))
    toned = np.where(gray > dots, 255, 30).astype(np.uint8)
    toned[gray < 0.25 * 255] = 0
    toned[gray > 255 * sampler.between(0.75, 0.92)] = 255
    return _print(sampler, toned)


def line_art(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Keep only the edges, in bold black."""
    smooth = cv2.GaussianBlur(_gray(picture), (3, 3), 0)
    method, kind = cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY
    edges = cv2.adaptiveThreshold(smooth, 255, method, kind, sampler.choice(7, 9, 13), sampler.between(3, 9))
    return _print(sampler, cv2.GaussianBlur(edges, (3, 3), 0))


def sketch(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Divide grey by its blurred surroundings, which gives thin pencil lines."""
    gray = _gray(picture)
    around = cv2.GaussianBlur(gray, (0, 0), sampler.between(2, 6)).astype(int)
    return _print(sampler, np.minimum(255, gray.astype(int) * 256 // (around + 1)).astype(np.uint8))


def posterize(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Reduce each channel to a few levels."""
    step = sampler.choice(32, 48, 64, 85)
    return cv2.LUT(picture, (np.arange(256) // step * step + step // 2).clip(0, 255).astype(np.uint8))


def make_painting(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Smooth or distort edges as in a painting, in half of the cases with the weave of a canvas."""
    picture = sampler.pick({_median: 0.4, _bilateral: 0.3, _distort: 0.3})(sampler, picture)
    if sampler.chance(0.5):
        size = len(picture)
        threads = sampler.normal(1, (size // 3, size)).astype(np.float32)
        weave = cv2.resize(threads, (size, size)) * sampler.between(3, 14)
        picture = (picture + weave[..., None]).clip(0, 255).astype(np.uint8)
    return picture


def _median(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    return cv2.medianBlur(picture, sampler.choice(3, 5))


def _bilateral(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    return cv2.bilateralFilter(picture, 7, sampler.between(30, 90), 4)


def _distort(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    size = len(picture)
    shifts = cv2.resize(sampler.normal(1, (size // 6, size // 6, 2)).astype(np.float32), (size, size))
    shifts *= sampler.between(0.5, 2)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    return cv2.remap(picture, x + shifts[..., 0], y + shifts[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def mix_channels(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Mix the three channels."""
    weights = np.eye(3) * sampler.between(0.3, 1) + sampler.rng.uniform(0, 0.5, (3, 3))
    return cv2.transform(picture, weights / weights.sum(1, keepdims=True))


def rotate_hue(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Rotate all hues, by little or by any angle."""
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
    levels = np.arange(256)
    turn = sampler.choice(sampler.integer(-15, 15), sampler.integer(0, 180))
    hues, saturations = (levels + turn) % 180, (levels * sampler.between(0.3, 1.2)).clip(0, 255)
    table = np.stack([hues, saturations, levels], 1)[None].astype(np.uint8)
    return cv2.cvtColor(cv2.LUT(hsv, table), cv2.COLOR_HSV2RGB)


def invert(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Invert the picture."""
    return 255 - picture


def tint(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Blend with a colour, as seen through coloured glass or fog."""
    color, share = np.array(any_color(sampler)), sampler.between(0.15, 0.6)
    levels = np.arange(256)[:, None]
    table = levels * (1 - share) + share * (levels * color / 255 if sampler.chance(0.6) else color)
    return cv2.LUT(picture, table[None].astype(np.uint8))


TREATMENTS: dict[Callable[[Sampler, np.ndarray], np.ndarray], float] = {  # -> weight
    identity: 7,
    grayscale: 2,
    screentone: 1,
    line_art: 1.3,
    posterize: 1,
    make_painting: 2.5,
    sepia: 0.7,
    mix_channels: 1.5,
    rotate_hue: 2,
    invert: 0.3,
    tint: 1.5,
    sketch: 0.7,
}
