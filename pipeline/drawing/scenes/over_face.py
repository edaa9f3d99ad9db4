"""What is worn over a face or held before it: hats, hoods, hands, things. Lengths are in the frame of the head."""

from collections.abc import Callable

import numpy as np

from pipeline.drawing.colors import RGB, any_color, skin_color, thing_ink, tone
from pipeline.drawing.scenes.canvas import SceneCanvas, Spot, face_frame
from pipeline.drawing.scenes.things import hand
from pipeline.drawing.shapes import brush, curve, direction, ellipse

LINE = 0.015


def cover_face(canvas: SceneCanvas, spot: Spot) -> None:
    """Paint one of COVERS over the face at a spot."""
    sampler = canvas.sampler
    head = SceneCanvas(canvas.pixels, sampler, *face_frame(spot))
    sampler.pick(COVERS)(head, any_color(sampler), thing_ink(sampler))


def _hat(c: SceneCanvas, color: RGB, ink: RGB) -> None:
    """Paint a hat whose brim hangs over the brows, with its shadow."""
    between = c.sampler.between
    y, brim, height = between(-0.32, -0.08), between(0.75, 1.25), between(0.3, 0.9)
    c.fill(ellipse(0, y + 0.1, 0.9 * brim, 0.2), (20, 10, 30), alpha=between(0.2, 0.5), soft=0.03)
    top = between(0.35, 0.65)
    crown = [(-0.68, y), (-0.66, y - 0.5), (-top, y - 0.55 - height), (top, y - 0.55 - height), (0.66, y - 0.5)]
    c.shape(curve([*crown, (0.68, y)], steps=6), color, ink, LINE)
    sag = between(-0.1, 0.25)
    edge = [
        (-brim, y + sag),
        (-0.5, y - 0.1),
        (0, y - 0.14),
        (0.5, y - 0.1),
        (brim, y + sag),
        (0, y + between(0.06, 0.2)),
    ]
    c.shape(curve(edge, closed=True, steps=6), tone(color, between(0.7, 1.1)), ink, LINE)


def _cap(c: SceneCanvas, color: RGB, ink: RGB) -> None:
    """Paint a cap or helmet with a peak to one side."""
    between, side = c.sampler.between, c.sampler.side()
    y = between(-0.4, -0.2)
    c.shape(curve([(-0.66, y), (-0.6, -0.8), (0, -1.15), (0.6, -0.8), (0.66, y)], steps=6), color, ink, LINE)
    peak = np.array([(-0.6, y), (0.4, y - 0.05), (1.0, y + 0.1), (0.5, y + 0.16), (-0.1, y + 0.08)]) * (side, 1)
    c.shape(curve(peak, closed=True, steps=6), tone(color, 0.75), ink, LINE)


def _hood(c: SceneCanvas, color: RGB, ink: RGB) -> None:
    """Paint a hood, helmet or fur collar: all but the middle of the face is inside."""
    between = c.sampler.between
    opening = ellipse(0, between(0.05, 0.12), between(0.42, 0.52), between(0.5, 0.6))
    tip = (between(-0.4, 0.4), between(-1.5, -1.1))
    outside = [(0.8, 0.95), (0.95, 0.2), (0.8, -0.7), tip, (-0.8, -0.7), (-0.95, 0.2), (-0.8, 0.95)]
    ring = np.concatenate([curve(outside, closed=True, steps=6), [outside[0]], opening[::-1], [opening[-1]]])
    c.fill(ring, color)
    c.line(opening, tone(color, 0.6), 0.05)
    c.line(curve(outside, closed=True, steps=6), ink, LINE)


def _hand(c: SceneCanvas, color: RGB, ink: RGB) -> None:
    """Paint a hand on a cheek, the mouth or an eye, with its sleeve."""
    between, side, skin = c.sampler.between, c.sampler.side(), skin_color(c.sampler)
    center = np.array((side * between(0.05, 0.5), between(0.0, 0.5)))
    size, degrees = between(0.15, 0.26), -90 - side * between(0, 60)
    arm = center - direction(degrees) * np.array([[0.2], [1.6]])
    c.shape(brush(arm, (0.8 * size, 1.4 * size)), color, ink, LINE)
    hand(c, center, size, degrees, skin, ink, LINE)


def _palms(c: SceneCanvas, color: RGB, ink: RGB) -> None:
    """Paint both hands at the cheeks, or before the mouth."""
    between = c.sampler.between
    reach, y, skin, size = between(0.15, 0.5), between(0.3, 0.5), skin_color(c.sampler), between(0.14, 0.24)
    for side in (-1, 1):
        hand(c, (side * reach, y), size, -90 + side * between(-40, 20), skin, ink, LINE)


def _mask(c: SceneCanvas, color: RGB, ink: RGB) -> None:
    """Paint a cloth over mouth and nose, with its strings."""
    top, color = c.sampler.between(0.14, 0.26), c.sampler.pick({color: 1, (235, 240, 242): 1, (30, 30, 34): 1})
    for side in (-1, 1):
        c.line([(0.35 * side, top + 0.03), (0.55 * side, 0.0)], tone(color, 0.8), LINE, closed=False)
    edge = [(-0.36, top + 0.03), (0, top - 0.05), (0.36, top + 0.03), (0.3, 0.5), (0, 0.63), (-0.3, 0.5)]
    c.shape(curve(edge, closed=True, steps=6), color, tone(color, 0.6), LINE)
    for y in (0.1, 0.2):
        c.line([(-0.25, top + y), (0.25, top + y)], tone(color, 0.85), 0.01, closed=False)


def _book(c: SceneCanvas, color: RGB, ink: RGB) -> None:
    """Paint a book, a phone or a card that hides the lower half."""
    between = c.sampler.between
    y, wide, tilt = between(0.2, 0.4), between(0.15, 0.7), between(-12, 12)
    along, down = direction(tilt), direction(tilt + 90)
    start = np.array((between(-0.2, 0.2), y))
    page = [start - wide * along, start + wide * along, start + wide * along + down, start - wide * along + down]
    c.shape(page, color, ink, LINE)
    c.line([start, start + down], tone(color, 0.7), LINE, closed=False)
    skin = skin_color(c.sampler)
    for side in (-1, 1):
        grip = start + side * wide * along + 0.5 * down
        for k in range(3):
            x, y = grip + 0.14 * (k - 1) * down
            c.shape(ellipse(x, y, 0.1, 0.06, 12), skin, ink, LINE)


def _band(c: SceneCanvas, color: RGB, ink: RGB) -> None:
    """Paint a headband, blindfold or bandage across the brows, or one eye."""
    between, side = c.sampler.between, c.sampler.side()
    y, half = between(-0.3, -0.05), between(0.05, 0.1)
    line = [(-0.62, y - 0.1), (0, y), (0.62, y + side * between(0, 0.3))]
    c.shape(brush(line, (half, half)), color, ink, LINE)


def _pane(c: SceneCanvas, color: RGB, ink: RGB) -> None:
    """Paint a visor, a window pane or smoke before the face: one sees through it."""
    corners = np.array([(-1, -0.7), (1, -0.7), (1, 0.8), (-1, 0.8)]) * c.sampler.between(0.5, 1.5)
    c.fill(corners + c.sampler.normal(0.2, 2), color, alpha=c.sampler.between(0.15, 0.5), soft=c.sampler.choice(0, 0.1))


def _branch(c: SceneCanvas, color: RGB, ink: RGB) -> None:
    """Paint a twig, a cable or a lock of someone's hair across the face."""
    between = c.sampler.between
    start, end = np.array((-1.2, between(-0.3, 0.5))), np.array((1.2, between(-0.3, 0.5)))
    half = between(0.02, 0.08)
    c.shape(
        brush([start, (start + end) / 2 + (0, between(-0.3, 0.3)), end], (half, 0.7 * half, half)), color, ink, LINE
    )


COVERS: dict[Callable[[SceneCanvas, RGB, RGB], None], float] = {  # -> weight
    _hat: 3,
    _cap: 1.5,
    _hood: 2,
    _hand: 3,
    _palms: 1,
    _mask: 1.5,
    _book: 1.5,
    _band: 1,
    _pane: 1,
    _branch: 1,
}
