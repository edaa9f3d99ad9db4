"""Light, media and damage of a whole patch, and media without colour. Pictures are (S, S, 3) float, RGB, 0..1."""

from collections.abc import Callable

import cv2
import numpy as np

from pipeline.drawing.colors import sample_color
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.postprocess import identity
from pipeline.hair.color_names import to_lab, to_rgb

Effect = Callable[[Sampler, np.ndarray], np.ndarray]

# Hue (turns), saturation and value of what the picture is multiplied by, or of light that is added.
EVENINGS = ((0.02, 0.12), (0.15, 0.45), (0.85, 1.0))
NIGHTS = ((0.5, 0.78), (0.1, 0.5), (0.5, 1.0))
LAMPS = ((0, 1), (0.2, 0.9), (0.7, 1))


def clouds(sampler: Sampler, size: int, cells: tuple[int, int] = (2, 7)) -> np.ndarray:
    """Return smooth noise, (size, size), with a standard deviation of about 1."""
    coarse = sampler.normal(1, (sampler.integer(*cells),) * 2).astype(np.float32)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)


def ramp(sampler: Sampler, size: int, *, sharp: bool = False) -> np.ndarray:
    """Return a ramp of 0..1, (size, size), from one side to the opposite one."""
    at = np.linspace(-0.5, 1.5, size)[:: sampler.choice(1, -1)] + sampler.between(-0.2, 0.2)
    line = (at > 0.5).astype(float) if sharp else np.clip(at, 0, 1)
    rows = np.repeat(line[:, None], size, axis=1)
    return rows if sampler.chance(0.7) else rows.T


def _color(sampler: Sampler, ranges) -> np.ndarray:
    return np.array(sample_color(sampler, ranges)) / 255


def _graded(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Change saturation, colour cast, contrast and lightness."""
    lab = to_lab(picture)
    strength = sampler.from_ranges({(0.75, 1.25): 4, (0.55, 1.5): 1})
    lab[..., 1:] = lab[..., 1:] * strength + sampler.normal(sampler.pick({3.5: 4, 8.0: 1}), 2)
    lab[..., 0] = np.clip((lab[..., 0] - 50) * sampler.between(0.8, 1.2) + 50 + sampler.normal(5), 0, 100)
    return to_rgb(lab)


def _evening(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Light the picture by a low sun, mostly from one side."""
    share = sampler.choice(1.0, ramp(sampler, len(picture))[..., None])
    return picture * (1 - share * (1 - _color(sampler, EVENINGS)))


def _night(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Light the picture in blue or violet, as at night or in shade."""
    return picture * _color(sampler, NIGHTS)


def _screen(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Add coloured light from one side or in patches, as that of a screen or of a sky."""
    size = len(picture)
    share = ramp(sampler, size) if sampler.chance(0.6) else np.clip(0.5 * clouds(sampler, size), 0, 1)
    light = _color(sampler, LAMPS) * share[..., None] * sampler.between(0.1, 0.4)
    return 1 - (1 - picture) * (1 - light)


def _lamp(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Tint the shaded side."""
    share = ramp(sampler, len(picture))[..., None] * sampler.between(0.2, 0.6)
    return picture * (1 - share * (1 - _color(sampler, LAMPS)))


def _pale(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Overexpose the picture, or cover it in a pale haze."""
    if sampler.chance(0.5):
        return np.clip(picture * sampler.between(1.1, 1.5), 0, 1)
    return picture + (1 - picture) * sampler.between(0.1, 0.4)


LIGHTS: dict[Effect, float] = {_graded: 4, _evening: 1, _night: 2, _screen: 1.5, _lamp: 1, _pale: 1}


def _soft(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), sampler.between(0.6, 1.6))


def _painted(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Return the picture as wet paint: edges run, colours and lightness vary by patches."""
    size = len(picture)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    shifts = cv2.resize(sampler.normal(sampler.between(0.5, 1.5), (16, 16, 2)).astype(np.float32), (size, size))
    moved = cv2.remap(np.float32(picture), x + shifts[..., 0], y + shifts[..., 1], cv2.INTER_LINEAR, borderMode=1)
    lab = to_lab(moved)
    for k, spread in enumerate((4, 3, 3)):
        lab[..., k] += sampler.between(0, spread) * clouds(sampler, size, (4, 17))
    return to_rgb(lab)


def _jpeg(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Compress the picture at twice its size until its blocks show."""
    pixels = np.uint8(255 * np.clip(cv2.resize(np.float32(picture), None, fx=2, fy=2), 0, 1))
    _, file = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, sampler.integer(6, 40)])
    shown = np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR))[..., ::-1]
    return cv2.resize(shown, picture.shape[:2], interpolation=cv2.INTER_AREA) / 255


def _grain(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    return picture + sampler.normal(sampler.between(0.01, 0.06), picture.shape)


MEDIA: dict[Effect, float] = {identity: 5, _soft: 1.5, _painted: 2, _jpeg: 1.5, _grain: 1}


def _gray(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    return np.repeat(picture.mean(2, keepdims=True), 3, axis=2)


def _sepia(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Print the picture in one ink on paper."""
    ink, paper = _color(sampler, ((0, 1), (0, 0.6), (0, 0.35))), _color(sampler, ((0, 0.2), (0, 0.2), (0.85, 1)))
    return ink + (paper - ink) * picture.mean(2, keepdims=True)


def _sketch(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Keep lines, with hardly any of the colours."""
    gray = np.float32(picture.mean(2, keepdims=True))
    around = cv2.GaussianBlur(gray, (0, 0), sampler.between(1.5, 4))[..., None]
    lines = np.clip(gray / (around + 0.02), 0, 1)
    return lines * (1 - sampler.between(0, 0.06) * (1 - picture))


COLORLESS: dict[Effect, float] = {_gray: 3, _sepia: 1, _sketch: 2}
"""Media in which nobody can name a colour."""


def lit(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Return the picture in one kind of light."""
    return sampler.pick(LIGHTS)(sampler, picture)


def rendered(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Return the picture in one medium, or damaged."""
    return sampler.pick(MEDIA)(sampler, picture)


def colorless(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Return the picture in a medium without colours."""
    return sampler.pick(COLORLESS)(sampler, picture)
