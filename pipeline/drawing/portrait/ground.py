"""The background. Coordinates are in shorter sides of the picture, from its middle."""

from collections.abc import Callable

import numpy as np

from pipeline.drawing.canvas import Canvas, Ramp, flat
from pipeline.drawing.portrait.look import Look
from pipeline.drawing.shapes import direction, ellipse, symmetric


def _plain(canvas: Canvas, look: Look) -> None:
    canvas.pixels[:] = flat(canvas.pixels.shape, look.ground_colors[0])


def _gradient(canvas: Canvas, look: Look) -> None:
    end = 0.7 * direction(look.ground_angle)
    canvas.fill(symmetric(((0, -2), (2, -2), (2, 2), (0, 2))), Ramp(tuple(-end), tuple(end), look.ground_colors))


def _dots(canvas: Canvas, look: Look) -> None:
    _plain(canvas, look)
    across, along = direction(look.ground_angle), direction(look.ground_angle + 90)
    for row, column in np.ndindex(25, 25):
        x, y = look.ground_pitch * ((row - 12 + 0.5 * (column % 2)) * across + (column - 12) * 0.87 * along)
        if max(abs(x), abs(y)) < 0.95:
            canvas.fill(ellipse(x, y, 0.27 * look.ground_pitch, 0.27 * look.ground_pitch, 20), look.ground_colors[1])


def _stripes(canvas: Canvas, look: Look) -> None:
    _plain(canvas, look)
    across, along = direction(look.ground_angle), direction(look.ground_angle + 90)
    for k in range(-12, 13):
        a, b = look.ground_pitch * k * across, look.ground_pitch * (k + 0.5) * across
        canvas.fill((a - 2 * along, b - 2 * along, b + 2 * along, a + 2 * along), look.ground_colors[1])


def _checks(canvas: Canvas, look: Look) -> None:
    _plain(canvas, look)
    across, along = (look.ground_pitch * direction(look.ground_angle + turn) for turn in (0, 90))
    for row, column in np.ndindex(25, 25):
        corner = (row - 12) * across + (column - 12) * along
        if (row + column) % 2 and np.abs(corner).max() < 1.2:
            canvas.fill((corner, corner + across, corner + across + along, corner + along), look.ground_colors[1])


def _sunburst(canvas: Canvas, look: Look) -> None:
    _plain(canvas, look)
    rays = max(6, round(2 / look.ground_pitch))
    for k in range(rays):
        angle = look.ground_angle + 360 * k / rays
        canvas.fill(((0, 0), 2 * direction(angle), 2 * direction(angle + 180 / rays)), look.ground_colors[1])


def _blobs(canvas: Canvas, look: Look) -> None:
    _plain(canvas, look)
    for k in range(7):
        x, y = 0.35 * look.jitter[2 * k], 0.35 * look.jitter[2 * k + 1]
        radius = look.ground_pitch * (0.6 + abs(look.jitter[k + 14]))
        canvas.fill(ellipse(x, y, radius, radius), look.ground_colors[1], alpha=0.35, soft=0.02 * (k % 2))


def _disc(canvas: Canvas, look: Look) -> None:
    _plain(canvas, look)
    canvas.fill(ellipse(0, 0, 0.44, 0.44, 60), look.ground_colors[1])


def _halves(canvas: Canvas, look: Look) -> None:
    _plain(canvas, look)
    across, along = direction(look.ground_angle), direction(look.ground_angle + 90)
    canvas.fill((-2 * along, 2 * across - 2 * along, 2 * across + 2 * along, 2 * along), look.ground_colors[1])


GROUNDS: dict[str, Callable[[Canvas, Look], None]] = {
    "plain": _plain,
    "gradient": _gradient,
    "dots": _dots,
    "stripes": _stripes,
    "checks": _checks,
    "sunburst": _sunburst,
    "blobs": _blobs,
    "disc": _disc,
    "halves": _halves,
}
