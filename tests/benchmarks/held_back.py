"""Whole styles that no network of ours learned from: grounds, things held, treatments and lights.

Detectors are measured on them by the set `styles` of `held_out`, the hair tagger by `held_out_hair`.
"""

from collections.abc import Callable

import cv2
import numpy as np

from pipeline.drawing.colors import any_color, thing_ink, tone
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.canvas import SceneCanvas
from pipeline.drawing.shapes import direction

Effect = Callable[[Sampler, np.ndarray], np.ndarray]  # a picture, uint8 RGB (size, size, 3) -> another such


def sunburst(sampler: Sampler, size: int) -> np.ndarray:
    """Return rays of two colours round a point."""
    x, y = sampler.point(0.2 * size, 0.8 * size)
    down, across = np.mgrid[:size, :size].astype(np.float32)
    rays = np.sin(np.arctan2(down - y, across - x) * sampler.integer(4, 20)) > 0
    return np.where(rays[..., None], any_color(sampler), any_color(sampler)).astype(np.uint8)


def shards(sampler: Sampler, size: int) -> np.ndarray:
    """Return triangles of random colours, as of broken glass."""
    picture = np.full((size, size, 3), any_color(sampler), np.uint8)
    for _ in range(sampler.integer(20, 70)):
        corners = sampler.point(-0.2 * size, 1.2 * size) + sampler.normal(0.25 * size, (3, 2))
        cv2.fillConvexPoly(picture, np.int32(corners), any_color(sampler), cv2.LINE_AA)
    return picture


def fan(canvas: SceneCanvas, center: np.ndarray, size: float) -> None:
    """Paint a folding fan."""
    sampler, ink, color = canvas.sampler, thing_ink(canvas.sampler), any_color(canvas.sampler)
    hinge, first = np.add(center, (0, 1.3 * size)), sampler.between(180, 220)
    ribs = [hinge + 2.2 * size * direction(degrees) for degrees in np.linspace(first, first + 130, 10)]
    for k in range(9):
        canvas.shape([hinge, ribs[k], ribs[k + 1]], tone(color, 1 if k % 2 else 0.8), ink, 1)


def veil(canvas: SceneCanvas, center: np.ndarray, size: float) -> None:
    """Paint a net of threads."""
    color, reach, pitch = any_color(canvas.sampler), 2 * size, max(5.0, 0.35 * size)
    for offset in np.arange(-reach, reach, pitch):
        for along, across in ((direction(45), direction(135)), (direction(135), direction(45))):
            middle = center + offset * across
            canvas.line([middle - reach * along, middle + reach * along], color, 1, closed=False)


def crosshatch(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Return the picture in ink, greys as up to three layers of strokes."""
    gray = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (0, 0), 1)
    y, x = np.mgrid[: len(gray), : len(gray)].astype(np.float32)
    drawn, pitch = np.full_like(gray, 255), sampler.between(3, 5)
    for degrees, level in zip((45, 135, 90), (190, 130, 70), strict=True):
        across = (x * np.cos(np.deg2rad(degrees)) + y * np.sin(np.deg2rad(degrees))) / pitch
        drawn[(across % 1 < 0.3) & (gray < level)] = 20
    edges = cv2.Canny(gray, 40, 110)
    drawn[cv2.dilate(edges, np.ones((2, 2), np.uint8)) > 0] = 0
    return cv2.cvtColor(cv2.GaussianBlur(drawn, (0, 0), 0.6), cv2.COLOR_GRAY2RGB)


def pixel_art(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Return the picture in blocks of a few px and in few colours."""
    share = 1 / sampler.choice(3, 4)
    small = cv2.resize(picture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    small = (small.astype(int) // 40 * 40 + 20).clip(0, 255).astype(np.uint8)
    return cv2.resize(small, picture.shape[1::-1], interpolation=cv2.INTER_NEAREST)


def two_inks(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Return the picture printed in two inks that do not lie quite over each other."""
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    printed = np.full_like(picture, 250).astype(np.float32)
    for low, high in ((0.0, 0.5), (0.4, 1.0)):
        shift = np.float32([[1, 0, sampler.between(-3, 3)], [0, 1, sampler.between(-3, 3)]])
        share = 1 - cv2.warpAffine((gray - low) / (high - low), shift, gray.shape[::-1], borderValue=1).clip(0, 1)
        ink = np.array(tone(any_color(sampler), 0.8, 1.3), np.float32) / 255
        printed *= 1 - share[..., None] * (1 - ink)
    return printed.clip(0, 255).astype(np.uint8)


def stained_glass(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Return the picture as small panes of one colour each, with dark seams."""
    size = len(picture)
    count = sampler.integer(9000, 16000)
    seeds = np.zeros((size, size), np.uint8)
    at = sampler.rng.integers(0, size, (count, 2))
    seeds[at[:, 0], at[:, 1]] = 1
    _, pane = cv2.distanceTransformWithLabels(1 - seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    number = np.maximum(np.bincount(pane.ravel()), 1)
    colors = np.stack([np.bincount(pane.ravel(), picture[..., k].ravel()) / number for k in range(3)], 1)
    shown = colors[pane].astype(np.uint8)
    seams = (np.diff(pane, axis=0, append=pane[-1:]) != 0) & sampler.chance(0.5)
    shown[seams] = (shown[seams] * 0.6).astype(np.uint8)
    return shown


def chalk(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Return the picture as light lines and dust on a dark board."""
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    lines = np.abs(gray - cv2.GaussianBlur(gray, (0, 0), 2.5)) * 5
    dust = sampler.rng.random(gray.shape, np.float32)
    board = np.array(sampler.choice((20, 50, 40), (35, 35, 38), (25, 35, 60)), np.float32)
    share = (np.clip(lines, 0, 255) / 255 * (0.4 + 0.6 * dust) + 0.12 * gray / 255)[..., None]
    return (board + (np.array((245, 240, 225)) - board) * share.clip(0, 1)).astype(np.uint8)


def glitch(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Return the picture with shifted rows and colour channels, as from a bad tape."""
    shown = picture.copy()
    for k in range(3):
        shown[..., k] = np.roll(shown[..., k], sampler.integer(-5, 6), 1)
    for _ in range(sampler.integer(3, 12)):
        start, rows = sampler.integer(0, len(picture)), sampler.integer(2, 14)
        shown[start : start + rows] = np.roll(shown[start : start + rows], sampler.integer(-20, 21), 1)
    shown[:: sampler.choice(2, 3)] //= 2
    return shown


def blinds(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Return the picture in the striped shadow of blinds or leaves."""
    size = len(picture)
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    turn, pitch = sampler.between(0, np.pi), sampler.between(6, 16)
    share = 0.5 + 0.5 * np.tanh(6 * np.sin(2 * np.pi * pitch * (x * np.cos(turn) + y * np.sin(turn))))
    return (picture * (1 - sampler.between(0.3, 0.6) * share[..., None])).astype(np.uint8)


def backlight(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Return the picture against a low sun: dark, washed by beams from one point."""
    size = len(picture)
    x, y = sampler.point(0, 1)
    down, across = np.mgrid[:size, :size].astype(np.float32) / size
    angle, far = np.arctan2(down - y, across - x), np.hypot(down - y, across - x)
    beams = np.exp(-2.5 * far) * (0.6 + 0.4 * np.sin(angle * sampler.integer(5, 15)))
    sun = np.array((255, 240, 200), np.float32)
    return (picture * 0.6 + (sun - picture * 0.6) * (0.7 * beams[..., None])).clip(0, 255).astype(np.uint8)


def water(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Return the picture under rippling water."""
    size = len(picture)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    length, height = sampler.between(25, 60), sampler.between(0.5, 2.5)
    moved = x + height * np.sin(2 * np.pi * y / length), y + height * np.cos(2 * np.pi * x / length)
    seen = cv2.remap(picture, *moved, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return (seen * np.array((0.6, 0.85, 1.0)) + np.array((0, 20, 25))).clip(0, 255).astype(np.uint8)


GROUNDS = (sunburst, shards)
HELD = (fan, veil)
TREATMENTS: tuple[Effect, ...] = (crosshatch, pixel_art, two_inks, stained_glass, chalk, glitch)
LIGHTS: tuple[Effect, ...] = (blinds, backlight, water)
