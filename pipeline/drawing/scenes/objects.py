"""Things of everyday life with round, paired or symmetric parts, plain or shaded. Lengths are in px."""

import numpy as np

from pipeline.drawing.canvas import vertical_ramp
from pipeline.drawing.colors import RGB, WHITE, any_color, mix, tone
from pipeline.drawing.scenes.clutter import Group, Kind
from pipeline.drawing.shapes import brush, curve, direction, ellipse, leaf


def _solid(b: Group, points, color: RGB) -> None:
    """Paint a polygon that is lit from above, half of the time without an outline."""
    points = np.asarray(points, float)
    b.canvas.fill(points, vertical_ramp(points, mix(color, WHITE, 0.3), tone(color, 0.6)))
    b.canvas.line(points, b.ink, b.line if b.size % 1 < 0.5 else 0)  # alike in all parts of a thing


def _box(b: Group, x0: float, y0: float, x1: float, y1: float, color: RGB) -> None:
    """Paint a box, in sizes of the thing from its centre."""
    _solid(b, b.center + b.size * np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]), color)


def _disc(b: Group, x: float, y: float, rx: float, ry: float, color: RGB) -> None:
    """Paint an ellipse, in sizes of the thing from its centre."""
    cx, cy = b.center + b.size * np.array((x, y))
    _solid(b, ellipse(cx, cy, rx * b.size, ry * b.size), color)


def speaker(b: Group) -> None:
    """Paint a box with two or three round membranes."""
    between = b.sampler.between
    _box(b, -0.7, -1, 0.7, 1, b.color)
    for y, radius in ((-0.5, between(0.2, 0.4)), (0.4, between(0.35, 0.55))):
        for share in (1, 0.75, 0.3):
            _disc(b, 0, y, share * radius, share * radius, tone(b.second, share))


def gamepad(b: Group) -> None:
    """Paint a controller, a camera or a radio: a wide box with a few round knobs."""
    sampler = b.sampler
    outline = [(-1, -0.4), (0, -0.5), (1, -0.4), (1.2, 0.6), (0.6, 0.5), (0, 0.3), (-0.6, 0.5), (-1.2, 0.6)]
    _solid(b, curve(b.center + b.size * np.array(outline), closed=True), b.color)
    for x in (-0.7, 0.7):
        _disc(b, x, -0.05, 0.25, 0.25, b.second)
        for k in range(4):
            dx, dy = 0.16 * direction(90 * k)
            _disc(b, x + dx, dy - 0.05, 0.06, 0.06, any_color(sampler))


def bottle(b: Group) -> None:
    """Paint one to three bottles, jars or vases with labels."""
    for k in range(b.sampler.integer(1, 4)):
        x, neck, wide = 1.1 * k, b.sampler.between(0.1, 0.3), b.sampler.between(0.3, 0.5)
        half = [(neck, -1.2), (neck, -0.7), (wide, -0.3), (wide, 1), (0.8 * wide, 1.05)]
        points = np.add(np.concatenate([half, np.array(half)[::-1] * (-1, 1)]), (x, 0))
        _solid(b, b.center + b.size * points, any_color(b.sampler))
        _box(b, x - wide, 0, x + wide, 0.5, b.second)


def cake(b: Group) -> None:
    """Paint a cake or a pudding with fruits."""
    _disc(b, 0, 0.5, 1.3, 0.3, WHITE)
    _box(b, -0.9, -0.2, 0.9, 0.5, b.color)
    edge = [
        (-0.95, -0.3),
        (0.95, -0.3),
        (0.9, 0.1),
        (0.5, -0.05),
        (0.2, 0.15),
        (-0.2, -0.05),
        (-0.6, 0.15),
        (-0.9, 0.0),
    ]
    _solid(b, curve(b.center + b.size * np.array(edge), closed=True), b.second)
    for x in np.linspace(-0.7, 0.7, b.sampler.integer(2, 6)):
        _disc(b, float(x), -0.45, 0.18, 0.2, any_color(b.sampler))


def fruit(b: Group) -> None:
    """Paint a heap of round fruits with stalks and a gleam."""
    for _ in range(b.sampler.integer(2, 9)):
        (x, y), radius = b.sampler.normal(0.8, 2), b.sampler.between(0.3, 0.5)
        _disc(b, x, y, radius, 0.9 * radius, b.sampler.choice(b.color, b.second))
        _disc(b, x - 0.4 * radius, y - 0.4 * radius, 0.2 * radius, 0.15 * radius, WHITE)
        top = b.center + b.size * np.array((x, y - 0.8 * radius))
        b.canvas.line([top, top + b.size * np.array((0.05, -0.25))], b.ink, max(1, 0.06 * b.size), closed=False)


def tree(b: Group) -> None:
    """Paint a tree: a trunk and a crown of leaves, or a fir."""
    _box(b, -0.15, 0, 0.15, 1.5, (110, 80, 60))
    if b.sampler.chance(0.4):
        for k in range(4):
            reach, low = 0.9 - 0.15 * k, 0.4 - 0.5 * k
            _solid(b, b.center + b.size * np.array([(-reach, low), (0, low - 1), (reach, low)]), b.color)
        return
    for _ in range(b.sampler.integer(5, 20)):
        x, y = b.sampler.normal(0.5, 2)
        _disc(b, x, y - 0.6, 0.4, 0.35, tone(b.color, b.sampler.between(0.7, 1.2)))


def chair(b: Group) -> None:
    """Paint a chair or a table."""
    for x in (-0.6, 0.5):
        _box(b, x, 0.2, x + 0.12, 1.3, b.second)
    _box(b, -0.7, 0.0, 0.7, 0.25, b.color)
    if b.sampler.chance(0.7):
        for x in np.linspace(-0.6, 0.5, b.sampler.integer(2, 6)):
            _box(b, float(x), -1.2, float(x) + 0.1, 0, b.second)
        _box(b, -0.7, -1.4, 0.7, -1.1, b.color)


def fish(b: Group) -> None:
    """Paint a fish from the side, with one round eye."""
    side = b.sampler.side()
    body = np.array([(1, 0), (0.4, -0.45), (-0.5, -0.3), (-1, 0), (-0.5, 0.3), (0.4, 0.45)])
    tail = np.array([(-0.9, 0), (-1.5, -0.5), (-1.3, 0), (-1.5, 0.5)])
    _solid(b, b.center + b.size * tail * (side, 1), b.second)
    _solid(b, curve(b.center + b.size * body * (side, 1), closed=True), b.color)
    _disc(b, 0.65 * side, -0.1, 0.13, 0.13, WHITE)
    _disc(b, 0.67 * side, -0.1, 0.07, 0.07, (10, 10, 10))


def butterfly(b: Group) -> None:
    """Paint a butterfly with spots like eyes on its wings."""
    spot = b.sampler.between(0.1, 0.3)
    for side in (-1, 1):
        for y, radius in ((-0.4, 0.8), (0.5, 0.55)):
            x = 0.75 * radius * side
            middle_x, middle_y = b.center + b.size * np.array((x, y))
            wing = leaf(middle_x, middle_y, b.size * radius, 0.6 * b.size * radius, side * y)
            _solid(b, wing, b.color)
            _disc(b, 1.2 * x, y, spot, spot, b.second)
            _disc(b, 1.2 * x, y, 0.5 * spot, 0.5 * spot, (20, 20, 30))
    b.paint(
        brush(b.center + b.size * np.array([(0, -0.7), (0, 0), (0, 0.8)]), np.array((0.06, 0.1, 0.04)) * b.size), b.ink
    )


def wheels(b: Group) -> None:
    """Paint a bicycle, a cart or a gear: two wheels with spokes and bars between."""
    for x in (-0.8, 0.8):
        center = b.center + b.size * np.array((x, 0.4))
        rim = ellipse(float(center[0]), float(center[1]), 0.6 * b.size, 0.6 * b.size)
        b.canvas.line(rim, b.ink, max(2, 0.08 * b.size))
        for k in range(b.sampler.integer(3, 12)):
            b.canvas.line([center, center + 0.6 * b.size * direction(31 * k)], b.second, 1, closed=False)
    bars = b.center + b.size * np.array([(-0.8, 0.4), (-0.3, -0.6), (0.6, -0.6), (0.8, 0.4), (0, 0.4), (-0.3, -0.6)])
    b.canvas.line(bars, b.color, max(2, 0.08 * b.size), closed=False)


def robot(b: Group) -> None:
    """Paint a machine with two lamps and a grille: a robot's head, a socket, a tram from the front."""
    between = b.sampler.between
    _box(b, -1, -1, 1, 1, b.color)
    y, reach, radius = between(-0.5, 0), between(0.35, 0.6), between(0.12, 0.3)
    for side in (-1, 1):
        (_disc if b.sampler.chance(0.8) else _square)(b, side * reach, y, radius, radius, b.second)
    for k in range(b.sampler.integer(0, 5)):
        _box(b, -0.5, 0.35 + 0.13 * k, 0.5, 0.4 + 0.13 * k, b.ink)


def _square(b: Group, x: float, y: float, rx: float, ry: float, color: RGB) -> None:
    _box(b, x - rx, y - ry, x + rx, y + ry, color)


def doll(b: Group) -> None:
    """Paint what has a head but no face: a jar with a lid, a chess piece, a lamp."""
    _solid(b, b.center + b.size * np.array([(-0.5, 1.2), (0.5, 1.2), (0.25, 0.1), (-0.25, 0.1)]), b.color)
    _disc(b, 0, -0.3, 0.5, 0.5, b.sampler.choice(b.color, b.second))
    if b.sampler.chance(0.5):
        _disc(b, -0.15, -0.45, 0.12, 0.1, WHITE)


def house(b: Group) -> None:
    """Paint a house with two windows and a door under its roof."""
    _box(b, -0.9, -0.2, 0.9, 1, b.color)
    _solid(b, b.center + b.size * np.array([(-1.1, -0.2), (0, -1.1), (1.1, -0.2)]), b.second)
    for x in (-0.65, 0.3):
        _box(b, x, 0.05, x + 0.35, 0.4, b.sampler.choice((180, 210, 230), (250, 230, 150), (50, 50, 60)))
    _box(b, -0.15, 0.45, 0.15, 1, tone(b.second, 0.7))


OBJECTS: tuple[Kind, ...] = (
    speaker,
    gamepad,
    bottle,
    cake,
    fruit,
    tree,
    chair,
    fish,
    butterfly,
    wheels,
    robot,
    doll,
    house,
)
