"""A person seen from the side. Lengths are in the frame of the head, which looks to the right before it is mirrored."""

import numpy as np

from pipeline.drawing.canvas import FACE, Warp, vertical_ramp
from pipeline.drawing.colors import RGB, WHITE, any_color, hair_color, skin_color, tone
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.canvas import SceneCanvas, Spot
from pipeline.drawing.scenes.manners import Restyle
from pipeline.drawing.scenes.style import Style, sample_style
from pipeline.drawing.shapes import curve, ellipse

EYE_X = 0.28
FACE_CENTER = (0.15, 0.0)


class Profile(SceneCanvas):
    """A canvas in the head's frame, with the colours of one person."""

    def __init__(self, pixels: np.ndarray, sampler: Sampler, spot: Spot):
        warp = Warp(sampler.side() * sampler.between(0.9, 1.1))
        super().__init__(pixels, sampler, spot.side / FACE, (spot.x, spot.y), spot.tilt, warp)
        self.skin, self.hair = skin_color(sampler), hair_color(sampler)
        self.hair_dark = tone(self.hair, 0.7, 1.1)
        self.ink = sampler.pick({(30, 22, 30): 3, tone(self.hair, 0.35, 1.2): 2, (90, 50, 45): 2})
        self.width = sampler.between(0.006, 0.025)

    def wear(self, style: Style) -> None:
        """Take the colours and the line of a style."""
        self.skin, self.hair, self.hair_dark = style.skin, style.hair, style.hair_dark
        self.ink, self.width = style.ink, style.line

    def paint(self, points, color: RGB) -> None:
        """Paint a polygon and its outline."""
        self.shape(points, color, self.ink, self.width)


def profile(canvas: SceneCanvas, spot: Spot, restyle: Restyle | None = None) -> Spot:
    """Paint a person who looks to the left or to the right; return the spot of the face."""
    p = Profile(canvas.pixels, canvas.sampler, spot)
    if restyle:
        p.wear(restyle(canvas.sampler, sample_style(canvas.sampler)))
    for paint in (_back, _face, _eye, _front):
        paint(p)
    ((x, y),) = p.place([FACE_CENTER])
    return Spot(float(x), float(y), spot.side, spot.tilt)


def _back(p: Profile) -> None:
    """Paint hair, neck and body."""
    length = p.sampler.between(0.5, 2)
    tips = [(-0.75, 0.2), (-0.7 - 0.1 * length, length), (-0.2, length), (-0.1, 0.2)]
    p.paint(curve([(0.3, -0.75), (0, -0.95), (-0.5, -0.8), (-0.75, -0.3), *tips], closed=True, steps=6), p.hair_dark)
    p.fill([(-0.25, 0.2), (0.12, 0.5), (0.1, 1.2), (-0.4, 1.2)], p.skin)
    bust = [(-0.9, 1.5), (-0.5, 1.0), (0.1, 0.95), (0.5, 1.3), (0.6, 3), (-1, 3)]
    p.paint(curve(bust, closed=True, steps=6), any_color(p.sampler))


def _face(p: Profile) -> None:
    nose, chin = p.sampler.between(0.03, 0.1), p.sampler.between(-0.04, 0.05)
    forehead = [(-0.2, -0.7), (0.3, -0.62), (0.44, -0.3), (0.43, -0.02), (0.41, 0.1)]
    lips = [(0.46 + nose, 0.25), (0.42, 0.3), (0.42, 0.37), (0.4, 0.41), (0.4, 0.46)]
    jaw = [(0.35 + chin, 0.6), (0.2, 0.62), (-0.05, 0.45), (-0.2, 0.2)]
    p.paint(curve([*forehead, *lips, *jaw], closed=True, steps=6), p.skin)
    p.stroke([(0.4, 0.4), (0.33, 0.41), (0.28, 0.4)], (0.01, 0.01, 0), p.ink)


def _eye(p: Profile) -> None:
    """Paint a triangular eye, open or closed, and its brow."""
    sampler = p.sampler
    x, y, width, height = EYE_X, sampler.between(0, 0.08), sampler.between(0.09, 0.14), sampler.between(0.1, 0.17)
    front = x + 0.5 * width
    if sampler.chance(0.85):
        upper = curve([(front, y - 0.8 * height), (x, y - height), (x - width, y - 0.4 * height)], steps=6)
        lower = curve([(x - 0.8 * width, y + 0.6 * height), (x, y + height), (front, y + 0.8 * height)], steps=6)
        _iris(p, np.concatenate([upper, lower]), x, y, width, height)
        lashes = [(front, y - 0.8 * height), (x, y - height), (x - 1.2 * width, y - 0.3 * height)]
        p.stroke(lashes, (0.01, 0.025, 0.01), p.ink)
    else:
        p.stroke([(front, y + 0.02), (x, y + 0.07), (x - width, y)], (0.01, 0.02, 0.01), p.ink)
    brow = y - height
    points = [(x + 0.6 * width, brow - 0.08), (x, brow - 0.12), (x - width, brow - 0.06)]
    p.stroke(points, (0.008, 0.014, 0), p.hair_dark)


def _iris(p: Profile, opening: np.ndarray, x: float, y: float, width: float, height: float) -> None:
    color = any_color(p.sampler)
    p.fill(opening, (250, 250, 250))
    within = p.mask(opening)
    iris = ellipse(x + 0.03, y, 0.5 * width, 0.9 * height)
    p.fill(iris, vertical_ramp(iris, tone(color, 0.5), color), within)
    p.fill(ellipse(x + 0.03, y, 0.22 * width, 0.45 * height), (20, 10, 20), within)
    if p.sampler.chance(0.6):
        p.fill(ellipse(x + 0.01, y - 0.4 * height, 0.2 * width, 0.25 * height), WHITE, within)


def _front(p: Profile) -> None:
    """Paint the crown, its fringe and strands."""
    sampler = p.sampler
    y = [sampler.between(-0.2, 0.1) if k % 2 else sampler.between(-0.45, -0.2) for k in range(7)]
    fringe = np.stack([np.linspace(0.46, -0.25, 7), y], 1)
    over = curve([(0.44, -0.65), (0.2, -0.92), (-0.3, -0.95), (-0.7, -0.6), (-0.75, -0.1), (-0.6, 0.3)], steps=6)
    crown = np.concatenate([[(0.48, -0.45)], over, [(-0.35, sampler.between(0.3, 0.9))], fringe[::-1]])
    p.paint(crown, p.hair)
    within = p.mask(crown)
    for _ in range(sampler.integer(0, 6)):
        x = sampler.between(-0.6, 0.3)
        p.stroke([(-0.1, -0.9), (x, -0.5), (x - 0.1, 0)], (0, 0.02, 0), sampler.choice(p.hair_dark, p.ink), within, 0.6)
