"""A flower and a hand: worn, held in front of a face, or lying about. Lengths are in the frame of the canvas."""

import numpy as np

from pipeline.drawing.colors import RGB, any_color, tone
from pipeline.drawing.scenes.canvas import SceneCanvas
from pipeline.drawing.shapes import brush, curve, direction, ellipse, leaf

PALM = ((-2.5, -0.5), (-0.8, -0.6), (0.2, -0.9), (0.5, 0), (0.2, 0.9), (-0.6, 0.9), (-2.5, 0.5))  # with the wrist
THUMB = ((-0.3, 0.7), (0.3, 1.2), (0.8, 1.3))


def flower(canvas: SceneCanvas, x: float, y: float, size: float, color: RGB) -> None:
    """Paint a flower of four to eight petals around (x, y); `size` is the distance from there to a petal's centre."""
    sampler = canvas.sampler
    petals, first = sampler.integer(4, 9), sampler.between(0, 3)
    for k in range(petals):
        turn = first + 2 * np.pi * k / petals
        petal = leaf(x + size * np.cos(turn), y + size * np.sin(turn), 0.75 * size, 0.45 * size, turn)
        canvas.fill(petal, color)
        if sampler.chance(0.5):
            canvas.line(petal, tone(color, 0.7), 0.1 * size)
    canvas.fill(ellipse(x, y, 0.4 * size, 0.4 * size, 12), any_color(sampler))


def hand(canvas: SceneCanvas, center, size: float, degrees: float, skin: RGB, ink: RGB, line: float) -> None:
    """Paint a hand with spread fingers that points to `degrees`, clockwise from the right; `size` is half its palm."""
    sampler = canvas.sampler
    turn = size * np.array([direction(degrees), direction(degrees + 90)])
    for k in range(4):
        across = k - 1.5
        spread = sampler.between(-0.35, 0.35) + 0.25 * across
        joint, tip = (1.2 * np.cos(spread), 1.2 * np.sin(spread)), (2 * np.cos(spread), 2 * np.sin(spread))
        finger = np.array([(0, 0.4 * across), np.add(joint, (0, 0.5 * across)), np.add(tip, (0, 0.55 * across))])
        canvas.shape(brush(finger @ turn + center, (0.24 * size, 0.24 * size, 0.12 * size)), skin, ink, line)
    canvas.shape(curve(PALM @ turn + center, closed=True), skin, ink, line)
    canvas.shape(brush(THUMB @ turn + center, (0.25 * size, 0.22 * size, 0.12 * size)), skin, ink, line)
