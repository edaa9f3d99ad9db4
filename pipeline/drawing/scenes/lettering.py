"""Text over a whole picture, faces too: words, subtitles, watermarks; in one of ten cases things instead."""

from collections.abc import Callable

import cv2
import numpy as np

from pipeline.drawing.colors import RGB, WHITE, any_color
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.canvas import SceneCanvas
from pipeline.drawing.scenes.clutter import HELD, WRITTEN, clutter


def letter(canvas: SceneCanvas) -> None:
    """Write one kind of text over the picture."""
    canvas.sampler.pick(LETTERING)(canvas)


def _word(sampler: Sampler, low: int, high: int) -> str:
    return bytes(sampler.rng.integers(48, 122, sampler.integer(low, high), np.uint8)).decode("ascii")


def _write(pixels: np.ndarray, text: str, at: tuple[float, float], height: float, color: RGB, font: int) -> None:
    thick = max(1, round(height / 12))
    cv2.putText(pixels, text, (int(at[0]), int(at[1])), font, height / 30, color, thick, cv2.LINE_AA)


def _signs(canvas: SceneCanvas) -> None:
    """Write signs and letters of any size."""
    clutter(canvas, WRITTEN)


def _subtitle(canvas: SceneCanvas) -> None:
    """Write a line with an outline at the bottom or the top."""
    sampler, size = canvas.sampler, canvas.size
    text, height = _word(sampler, 10, 26), size * sampler.between(0.05, 0.12)
    at, font = (0.05 * size, size * sampler.choice(0.15, 0.9)), sampler.integer(0, 4)
    for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        _write(canvas.pixels, text, (at[0] + dx, at[1] + dy), height, (0, 0, 0), font)
    _write(canvas.pixels, text, at, height, sampler.choice(WHITE, (255, 230, 60)), font)


def _watermark(canvas: SceneCanvas) -> None:
    """Write one word again and again across the picture, translucent."""
    sampler, size = canvas.sampler, canvas.size
    layer, text, height = canvas.pixels.copy(), _word(sampler, 4, 9), size * sampler.between(0.05, 0.2)
    color, font, slant = (
        sampler.choice(WHITE, (90, 90, 90), any_color(sampler)),
        sampler.integer(0, 8),
        sampler.between(0, 1),
    )
    for k, y in enumerate(np.arange(0.5 * height, 1.2 * size, sampler.between(1.5, 3) * height)):
        for x in np.arange(-size, size, 0.75 * height * len(text)):
            _write(layer, text, (x + slant * k * height, y), height, color, font)
    share = sampler.between(0.15, 0.6)
    cv2.addWeighted(layer, share, canvas.pixels, 1 - share, 0, dst=canvas.pixels)


def _title(canvas: SceneCanvas) -> None:
    """Write one or two huge words."""
    sampler, size = canvas.sampler, canvas.size
    for _ in range(sampler.integer(1, 3)):
        at = size * sampler.between(-0.1, 0.5), size * sampler.between(0.2, 1)
        height = size * sampler.between(0.15, 0.4)
        _write(canvas.pixels, _word(sampler, 2, 6), at, height, any_color(sampler), sampler.integer(0, 8))


def _things(canvas: SceneCanvas) -> None:
    """Paint flowers, leaves, hands or limbs, no text."""
    clutter(canvas, HELD)


LETTERING: dict[Callable[[SceneCanvas], None], float] = {  # -> weight
    _signs: 5,
    _subtitle: 2,
    _watermark: 2,
    _title: 1.5,
    _things: 1,
}
