"""Groups of things that are not faces but share something with them: pairs of dots, skin, hair, eyes, folds.

A detector trained without them mistakes them for faces. Lengths are in px.
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.drawing.canvas import vertical_ramp
from pipeline.drawing.colors import RGB, any_color, skin_color, thing_ink, tone, vary_shade
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.body import clothes
from pipeline.drawing.scenes.canvas import SceneCanvas
from pipeline.drawing.scenes.things import flower, hand
from pipeline.drawing.shapes import brush, curve, direction, ellipse, leaf


class Group(NamedTuple):
    """The properties that things of one group share."""

    canvas: SceneCanvas
    sampler: Sampler
    color: RGB
    second: RGB
    ink: RGB
    center: np.ndarray  # (2,), anywhere in the picture
    size: float  # a measure of each thing
    line: int  # width of outlines

    def anywhere(self) -> np.ndarray:
        """Draw a point of the picture, (2,)."""
        return self.sampler.point(0, self.canvas.size)

    def paint(self, points, paint) -> None:
        """Paint a polygon and its outline."""
        self.canvas.shape(points, paint, self.ink, self.line)


Kind = Callable[[Group], None]


def clutter(canvas: SceneCanvas, kinds: tuple[Kind, ...]) -> None:
    """Paint a group of things of one of these kinds, chosen uniformly."""
    sampler = canvas.sampler
    kind = sampler.choice(*kinds)
    color, second, ink = any_color(sampler), any_color(sampler), thing_ink(sampler)
    center, size = sampler.point(0, canvas.size), canvas.size * sampler.between(0.04, 0.3)
    kind(Group(canvas, sampler, color, second, ink, center, size, max(1, round(sampler.between(0, 3)))))


def blobs(b: Group) -> None:
    """Paint translucent splashes."""
    for _ in range(b.sampler.integer(1, 8)):
        outline = curve(b.anywhere() + b.sampler.normal(b.size, (6, 2)), closed=b.sampler.chance(0.5), steps=6)
        b.canvas.fill(outline, any_color(b.sampler), alpha=b.sampler.between(0.4, 1))
        if b.sampler.chance(0.5):
            b.canvas.line(outline, b.ink, b.line)


def lines(b: Group) -> None:
    """Paint long curves."""
    for _ in range(b.sampler.integer(2, 20)):
        points = b.sampler.rng.uniform(0, b.canvas.size, (b.sampler.integer(2, 5), 2))
        color = b.ink if b.sampler.chance(0.6) else any_color(b.sampler)
        b.canvas.line(curve(points, steps=6), color, b.line, closed=False)


def building(b: Group) -> None:
    """Paint rows of windows."""
    pitch = b.sampler.point(5, 30)
    across, rows = b.sampler.integer(2, 9), b.sampler.integer(2, 9)
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    b.canvas.fill(b.center + corners * pitch * (across, rows), b.color)
    for i, j in np.ndindex(across, rows):
        window = b.center + pitch * (0.2 + 0.6 * corners + (i, j))
        b.canvas.fill(window, b.second)
        if b.line > 1:
            b.canvas.line(window, b.ink, 1)


def flowers(b: Group) -> None:
    """Paint scattered flowers."""
    for _ in range(b.sampler.integer(1, 9)):
        x, y = b.anywhere()
        flower(b.canvas, x, y, b.size * b.sampler.between(0.2, 0.7), b.color)


def leaves(b: Group) -> None:
    """Paint a heap of leaves."""
    for _ in range(b.sampler.integer(10, 60)):
        x, y = b.center + b.sampler.normal(1.5 * b.size, 2)
        outline = leaf(x, y, 0.3 * b.size, 0.12 * b.size, b.sampler.between(0, 3), 10)
        b.canvas.fill(outline, vary_shade(b.sampler, b.color, (0.5, 1.2)))


def cloth(b: Group) -> None:
    """Paint a crumpled piece of cloth with folds in one direction."""
    sampler = b.sampler
    outline = curve(b.center + sampler.normal(2 * b.size, (7, 2)), closed=True, steps=6)
    b.canvas.fill(outline, b.color)
    within, along = b.canvas.mask(outline), b.size * direction(sampler.between(0, 180))
    for _ in range(sampler.integer(4, 20)):
        start, step = b.center + sampler.normal(b.size, 2), along * sampler.between(0.5, 2)
        bends = [(0, 0), step + sampler.normal(0.2 * b.size, 2), 2 * step + sampler.normal(0.3 * b.size, 2)]
        widths = (0, b.size * sampler.between(0.02, 0.15), 0)
        b.canvas.stroke(start + np.array(bends), widths, vary_shade(sampler, b.color, (0.5, 1.25)), within)
    b.canvas.line(outline, b.ink, b.line)


def hands(b: Group) -> None:
    """Paint one or two hands without a body."""
    for _ in range(b.sampler.integer(1, 3)):
        degrees = b.sampler.between(0, 360)
        hand(b.canvas, b.anywhere(), 0.35 * b.size, degrees, skin_color(b.sampler), b.ink, b.line)


def signs(b: Group) -> None:
    """Paint strokes in a grid, like kanji."""
    sampler, width = b.sampler, b.size * b.sampler.between(0.15, 0.5)
    strokes = {(0.7, 0): 2, (0, 0.7): 2, (0.4, 0.4): 1, (-0.4, 0.4): 1}
    for i, j in np.ndindex(sampler.integer(1, 7), sampler.integer(1, 4)):
        for _ in range(sampler.integer(2, 7)):
            start = b.center + width * np.array((1.1 * i, 1.2 * j)) + sampler.point(0, width)
            end = start + width * np.array(sampler.pick(strokes))
            b.canvas.line([start, end], b.ink, max(1, 0.08 * width), closed=False)


def letters(b: Group) -> None:
    """Write a word in one of OpenCV's eight fonts."""
    sampler, (x, y) = b.sampler, b.center
    word = bytes(sampler.rng.integers(33, 122, sampler.integer(2, 9), np.uint8)).decode("ascii")
    font, scale, thick = sampler.integer(0, 8), sampler.between(0.5, 3), sampler.integer(1, 6)
    cv2.putText(b.canvas.pixels, word, (int(x) - 40, int(y)), font, scale, b.color, thick, cv2.LINE_AA)


def pair(b: Group) -> None:
    """Paint two ellipses side by side, mostly on a larger one, often of skin: the shape most easily taken for eyes."""
    sampler, (x, y) = b.sampler, b.center
    if sampler.chance(0.7):
        base = skin_color(sampler) if sampler.chance(0.6) else b.second
        b.paint(ellipse(x, y + 0.2 * b.size, 1.2 * b.size, 1.2 * b.size), base)
    away = b.size * sampler.between(0.35, 0.8) * direction(np.rad2deg(sampler.between(-0.6, 0.6)))
    for sign in (-1, 1):
        outline = ellipse(*(b.center + sign * away), *(b.size * sampler.point(0.15, 0.5)))
        b.paint(outline, vertical_ramp(outline, b.color, tone(b.color, 0.6)))


def rounds(b: Group) -> None:
    """Paint concentric circles: targets, wheels, bubbles."""
    for _ in range(b.sampler.integer(1, 6)):
        (x, y), radius = b.anywhere(), b.size * b.sampler.between(0.2, 0.6)
        for k in range(b.sampler.integer(2, 5)):
            b.canvas.fill(ellipse(x, y, radius * 0.75**k, radius * 0.75**k), any_color(b.sampler))


def limbs(b: Group) -> None:
    """Paint arms and legs of one skin."""
    skin = skin_color(b.sampler)
    for _ in range(b.sampler.integer(1, 4)):
        start = b.anywhere()
        line = [start, start + b.sampler.normal(b.size, 2), start + b.sampler.normal(2.5 * b.size, 2)]
        outline = brush(line, np.array((0.3, 0.35, 0.2)) * b.size)
        b.paint(outline, vertical_ramp(outline, skin, tone(skin, 0.85, 1.3)))


TORSO = np.array(((-0.15, -0.6), (-0.2, -0.2), (-0.7, -0.1), (-0.6, 0.6), (-0.4, 1.1), (-0.6, 2)))  # its left half


def torso(b: Group) -> None:
    """Paint a body without a head, with or without a swimsuit."""
    sampler, skin = b.sampler, skin_color(b.sampler)
    unit = 1.5 * b.size
    t = SceneCanvas(b.canvas.pixels, sampler, unit, tuple(b.center), sampler.between(-40, 40))
    outline = curve(np.concatenate([TORSO, TORSO[::-1] * (-1, 1)]), closed=True, steps=6)
    t.fill(outline, sampler.choice(skin, b.color))
    within = t.mask(outline)
    clothes(SceneCanvas(b.canvas.pixels, sampler, unit, tuple(b.center - (0, unit))), within, b.color, skin, 0)
    for sign in (-1, 1):
        half = ellipse(0.28 * sign, 0.35, 0.27, 0.3)
        t.fill(half, vertical_ramp(half, tone(b.second, 0.9), b.second), within)
        t.line(half[2:11], b.ink, 0.02, closed=False)
    t.line(outline, b.ink, 0.02)


def strands(b: Group) -> None:
    """Paint loose strands of hair."""
    for _ in range(b.sampler.integer(5, 30)):
        start = b.center + b.sampler.normal(0.5 * b.size, 2)
        line = [start, start + b.sampler.normal(b.size, 2), start + b.sampler.normal(2 * b.size, 2)]
        b.canvas.stroke(line, (0, 0.12 * b.size, 0), vary_shade(b.sampler, b.color, (0.6, 1.2)))


def lone_eyes(b: Group) -> None:
    """Paint one or two eyes without a face."""
    for _ in range(b.sampler.integer(1, 3)):
        (x, y), size = b.anywhere(), b.size * b.sampler.between(0.3, 1)
        b.canvas.fill(ellipse(x, y, size, 0.6 * size), (250, 250, 250))
        b.canvas.fill(ellipse(x, y, 0.5 * size, 0.55 * size), b.color)
        b.canvas.fill(ellipse(x, y, 0.2 * size, 0.25 * size), (10, 10, 10))
        lid = [(x - size, y), (x, y - 0.6 * size), (x + size, y)]
        b.canvas.stroke(lid, (0, 0.12 * size, 0.05 * size), b.ink)


def stripes(b: Group) -> None:
    """Paint up to 13 parallel stripes; each is left out in one of ten cases."""
    degrees, pitch = b.sampler.between(0, 180), b.size * b.sampler.between(0.1, 0.5)
    across, along = pitch * direction(degrees), 4 * b.size * direction(degrees + 90)
    for k in range(-6, 7):
        if b.sampler.chance(0.9):
            near, far = b.center + k * across, b.center + (k + 0.5) * across
            b.canvas.fill([near - along, far - along, far + along, near + along], b.color)


def frill(b: Group) -> None:
    """Paint a row of circles: lace, buttons, beads."""
    step = 0.45 * b.size * direction(b.sampler.between(0, 360))
    for k in range(b.sampler.integer(3, 14)):
        x, y = b.center + k * step
        b.paint(ellipse(x, y, 0.3 * b.size, 0.3 * b.size), b.color)


HELD = (flowers, leaves, hands, limbs)  # may be in front of a person
WRITTEN = (signs, letters)  # may lie over a whole picture
CLUTTER = (*HELD, *WRITTEN, blobs, lines, building, cloth, pair, rounds, torso, strands, lone_eyes, stripes, frill)
