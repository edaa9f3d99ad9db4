"""What is worn over hair: bows, hats, hoods, flowers. Lengths are in the frame of the head."""

from collections.abc import Callable

import cv2
import numpy as np

from pipeline.drawing.canvas import flat
from pipeline.drawing.colors import RGB, WHITE, any_color, mix, tone
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.canvas import SceneCanvas, Spot, face_frame
from pipeline.drawing.scenes.things import flower
from pipeline.drawing.shapes import brush, curve, direction, ellipse, mirror, symmetric

SCALE = 2  # covers are painted that many times as large as the patch


def draw_cover(rng: np.random.Generator, spot: Spot, size: int, color: RGB) -> tuple[np.ndarray, np.ndarray]:
    """Return a cover in that colour for a head at the spot of a patch: what is seen of it times its opacity, (size,
    size, 3), 0..1, and the opacity, (size, size)."""
    key = int(rng.integers(1 << 62))
    frame = face_frame(Spot(SCALE * spot.x, SCALE * spot.y, SCALE * spot.side, spot.tilt))

    def over(shade: int) -> np.ndarray:
        sampler = Sampler(np.random.default_rng(key))
        canvas = SceneCanvas(flat((SCALE * size, SCALE * size, 3), (shade,) * 3), sampler, *frame)
        ink = sampler.pick({tone(color, 0.4, 1.2): 2, tone(color, 0.7): 1, (24, 18, 26): 1})
        sampler.pick(COVERS)(canvas, color, ink, sampler.choice(0, 0.012, 0.025))
        return cv2.resize(canvas.pixels, (size, size), interpolation=cv2.INTER_AREA) / np.float32(255)

    black, white = over(0), over(255)
    return black, 1 - (white - black).mean(2)


def _shades(c: SceneCanvas, color: RGB) -> tuple[RGB, RGB]:
    """Return a darker and a lighter shade of a colour."""
    return tone(color, c.sampler.between(0.6, 0.9), 1.1), mix(color, WHITE, c.sampler.between(0, 0.35))


def _tie(c: SceneCanvas, center, size: float, degrees: float, color: RGB, ink: RGB, line: float) -> None:
    """Paint a bow of two loops with folds, two ends and a knot; `size` is half its width."""
    between = c.sampler.between
    turn = size * np.stack([direction(degrees), direction(degrees + 90)])
    dark, light = _shades(c, color)
    rise, length = between(0.3, 0.7), between(0.5, 1.6)
    for sign in (-1, 1):
        end = np.multiply(((0.05, 0), (0.3, 0.35), (0.55, length), (0.35, 0.85 * length), (0.12, length)), (sign, 1))
        c.shape(end @ turn + center, dark, ink, line)
        loop = curve(((0, 0), (0.45, -rise), (0.95, -rise), (1.05, 0.05), (0.9, 0.5), (0.4, 0.3)), closed=True)
        c.shape(loop * (sign, 1) @ turn + center, color, ink, line)
        for y, shade in ((0.02, dark), (-0.25, light), (0.2, dark)):
            fold = np.multiply(((0.12, 0.3 * y), (0.45, 0.8 * y), (0.75, y)), (sign, 1)) @ turn + center
            c.stroke(fold, (0.06 * size, 0.03 * size, 0), shade)
    c.shape(ellipse(0, 0, 0.17, 0.22, 20) @ turn + center, color, ink, line)


def _bow(c: SceneCanvas, color: RGB, ink: RGB, line: float) -> None:
    """Paint one large bow above the brow or at a side."""
    between = c.sampler.between
    x = between(-0.6, 0.6)
    _tie(c, (x, between(-1.1, -0.6)), between(0.35, 0.95), 40 * x + between(-12, 12), color, ink, line)


def _bows(c: SceneCanvas, color: RGB, ink: RGB, line: float) -> None:
    """Paint a bow at each side."""
    between = c.sampler.between
    x, y, size, turn = between(0.4, 0.7), between(-0.9, 0.1), between(0.2, 0.45), between(0, 50)
    for sign in (-1, 1):
        _tie(c, (sign * x, y), size, sign * turn, color, ink, line)


def _brim(c: SceneCanvas, y: float, color: RGB, ink: RGB, line: float) -> None:
    between = c.sampler.between
    reach, sag = between(0.75, 1.3), between(-0.15, 0.25)
    half = [(0, y + between(0.04, 0.16)), (0.6 * reach, y + 0.1), (reach, y + sag), (0.5, y - 0.08), (0, y - 0.12)]
    c.shape(symmetric(curve(half, steps=6)), color, ink, line)


def _crown(y: float, height: float, top: float) -> np.ndarray:
    """Return the outline of a hat's crown from y up."""
    half = [(0, -0.95 - height), (top, -0.93 - height), (0.66, -0.7), (0.68, y), (0, y)]
    return symmetric(np.concatenate([curve(half[:4], steps=6), half[4:]]))


def _hat(c: SceneCanvas, color: RGB, ink: RGB, line: float) -> None:
    """Paint a hat with a band and a brim, round or pointed."""
    between = c.sampler.between
    y, (dark, light) = between(-0.6, -0.25), _shades(c, color)
    crown = _crown(y, *((between(0.5, 1), 0.05) if c.sampler.chance(0.3) else (between(0, 0.5), between(0.3, 0.6))))
    c.shape(crown, color, ink, line)
    within = c.mask(crown)
    c.fill(ellipse(0.55 * c.sampler.side(), -0.8, 0.4, 0.9), dark, within, 0.7, soft=0.05)
    band = any_color(c.sampler) if c.sampler.chance(0.6) else dark
    c.fill([(-1, y - between(0.15, 0.3)), (1, y - 0.2), (1, y), (-1, y)], band, within)
    _brim(c, y, c.sampler.choice(color, dark, light), ink, line)


def _cap(c: SceneCanvas, color: RGB, ink: RGB, line: float) -> None:
    """Paint a cap, mostly with a peak."""
    between = c.sampler.between
    y, (dark, light) = between(-0.6, -0.3), _shades(c, color)
    crown = curve([(-0.68, y), (-0.63, -0.8), (0, between(-1.3, -1.05)), (0.63, -0.8), (0.68, y)], steps=6)
    c.shape(crown, color, ink, line)
    c.fill(ellipse(0.5 * c.sampler.side(), -0.7, 0.35, 0.6), dark, c.mask(crown), 0.7, soft=0.05)
    if c.sampler.chance(0.7):
        peak = [(-0.6, y), (0.4, y - 0.06), (0.9, y + 0.1), (0.4, y + 0.17), (-0.2, y + 0.1)]
        c.shape(curve(np.multiply(peak, (c.sampler.side(), 1)), closed=True), c.sampler.choice(dark, light), ink, line)


def _beret(c: SceneCanvas, color: RGB, ink: RGB, line: float) -> None:
    """Paint a soft hat that leans to one side."""
    between, side = c.sampler.between, c.sampler.side()
    shape = [(-0.6, -0.5), (-0.75, -0.85), (-0.2, -1.2), (0.6, between(-1.35, -1.1)), (0.95, -0.75), (0.6, -0.45)]
    beret = curve(np.multiply([*shape, (0, -0.62)], (side, 1)), closed=True)
    c.shape(beret, color, ink, line)
    c.fill(ellipse(0.6 * side, -0.6, 0.5, 0.3), _shades(c, color)[0], c.mask(beret), 0.7, soft=0.05)


def _hood(c: SceneCanvas, color: RGB, ink: RGB, line: float) -> None:
    """Paint a hood or a veil: round the face, over all hair but the fringe and locks."""
    between, (dark, light) = c.sampler.between, _shades(c, color)
    wide, low = between(0.4, 0.56), between(0.6, 1.6)
    opening = ellipse(0, -0.05, wide, between(0.6, 0.8))
    half = [(0, between(-1.5, -1.05)), (0.62, -0.85), (between(0.75, 0.9), 0.1), (between(0.7, 1.1), low), (0, low)]
    outside = symmetric(np.concatenate([curve(half[:4], steps=6), half[4:]]))
    c.fill(np.concatenate([outside, outside[:1], opening[:1], opening[::-1]]), color)
    for sign in (-1, 1):
        fold = [(sign * 0.3, -1.0), (sign * 0.68, -0.2), (sign * 0.75, low)]
        c.stroke(fold, (0, between(0.03, 0.08), 0.05), dark)
    c.line(opening, c.sampler.choice(dark, light, WHITE), between(0.03, 0.1))
    c.line(outside, ink, line)


def _band(c: SceneCanvas, color: RGB, ink: RGB, line: float) -> None:
    """Paint a broad band over the head, or one with frills."""
    between = c.sampler.between
    angle = np.deg2rad(np.linspace(-70, 70, 15))
    arc = np.stack([0.62 * np.sin(angle), between(-0.15, 0.0) - between(0.7, 0.95) * np.cos(angle)], 1)
    if c.sampler.chance(0.4):
        for x, y in 1.08 * arc:
            c.shape(ellipse(x, y, 0.11, 0.11, 12), WHITE, ink, line)
    half = between(0.05, 0.14)
    c.shape(brush(arc[::2], (half, half)), color, ink, line)


def _headphones(c: SceneCanvas, color: RGB, ink: RGB, line: float) -> None:
    """Paint headphones, or ear muffs."""
    between = c.sampler.between
    angle, size = np.deg2rad(np.linspace(-90, 90, 15)), between(0.15, 0.3)
    arc = np.stack([0.66 * np.sin(angle), -between(0.95, 1.1) * np.cos(angle)], 1)
    half = between(0.03, 0.08)
    c.shape(brush(arc[::2], (half, half)), _shades(c, color)[0], ink, line)
    for sign in (-1, 1):
        c.shape(ellipse(sign * 0.64, 0.02, 0.8 * size, size), color, ink, line)
        c.fill(ellipse(sign * 0.66, 0.02, 0.4 * size, 0.6 * size), _shades(c, color)[1])


def _flowers(c: SceneCanvas, color: RGB, ink: RGB, line: float) -> None:
    """Paint flowers at one side, or a wreath."""
    sampler, side = c.sampler, c.sampler.side()
    if sampler.chance(0.3):
        angles = np.deg2rad(np.linspace(-70, 70, sampler.integer(5, 9)))
        centers = np.stack([0.55 * np.sin(angles), -0.1 - 0.65 * np.cos(angles)], 1)
    else:
        centers = np.array((0.45 * side, -0.6)) + sampler.normal(0.14, (sampler.integer(1, 5), 2))
    for x, y in centers:
        flower(c, x, y, sampler.between(0.09, 0.2), color)


def _feathers(c: SceneCanvas, color: RGB, ink: RGB, line: float) -> None:
    """Paint wings, feathers or long ears at both sides of the head."""
    between, (dark, _) = c.sampler.between, _shades(c, color)
    root, tip, half = (0.45, between(-0.9, -0.3)), (between(0.6, 1.3), between(-1.5, -0.2)), between(0.1, 0.2)
    middle = np.add(root, tip) / 2 + (0.1, -0.1)
    blade = brush([root, middle, tip], (0.05, half, 0))
    inner = brush([root, middle, tip], (0.02, 0.5 * half, 0))
    for shape in (blade, mirror(blade)):
        c.shape(shape, color, ink, line)
    for shape in (inner, mirror(inner)):
        c.fill(shape, dark)


COVERS: dict[Callable[[SceneCanvas, RGB, RGB, float], None], float] = {  # -> weight
    _bow: 4,
    _bows: 2,
    _hat: 2.5,
    _cap: 1.5,
    _beret: 1,
    _hood: 2,
    _band: 1.5,
    _headphones: 1,
    _flowers: 1.5,
    _feathers: 1,
}
