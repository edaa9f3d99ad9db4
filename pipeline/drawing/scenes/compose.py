"""Scenes: background, clutter, people in front of and behind each other, things that cover them, postprocessing."""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.canvas import Canvas, Spot
from pipeline.drawing.scenes.clutter import CLUTTER, HELD, WRITTEN, clutter
from pipeline.drawing.scenes.ground import ground
from pipeline.drawing.scenes.person import back_view, blank_face, face, shuffled_face
from pipeline.drawing.scenes.postprocess import treat
from pipeline.drawing.scenes.profile import profile

SIDES = (34 / 256, 130 / 256)  # of a face's square, in sides of the picture
CROWD, CROWD_SIDES = 4, (34 / 256, 68 / 256)  # so many people or more are small
APART = 0.62  # least distance of two faces, in the sum of their sides
MARGIN = 0.42  # least distance from the picture's edge, in sides of the face
TRIES = 12

FACES = {0: 0.15, 1: 0.45, 2: 0.25, 4: 0.1, 7: 0.05}  # how many people with a face -> weight
OTHERS = {0: 5, 1: 2, 2: 1, 3: 0.5}  # how many without a proper one
BUNCHES = {0: 2, 2: 3, 5: 3, 10: 1.5}  # of clutter behind them

# Shares of a face's middle that something else was painted over since.
HIDDEN, GONE = 0.3, 0.8
CHANGED = 6  # levels: less is not seen
SHUFFLED = 0.4  # what is no proper face starts as hidden: it is neither to be found nor to be ruled out

Painter = Callable[[Canvas, Spot], Spot | None]


class Mark(NamedTuple):
    """A square that a face fills, hair left out."""

    x: float  # centre, px
    y: float
    side: float  # px
    tilt: float  # degrees, clockwise
    is_clear: bool  # False: too hidden to be asked for


class Scene(NamedTuple):
    """A picture and all faces in it."""

    picture: np.ndarray  # uint8 RGB (size, size, 3)
    faces: list[Mark]


class Shown:
    """A face on the canvas, and the share of it that is hidden."""

    def __init__(self, spot: Spot, size: int, hidden: float):
        """Take the `size` of the picture, px, and the hidden share, 0..1."""
        self.spot, self.hidden = spot, hidden
        middle = ((spot.x, spot.y + 0.05 * spot.side), (0.7 * spot.side, 0.7 * spot.side), spot.tilt)
        mask = np.zeros((size, size), np.uint8)
        self.middle = cv2.fillConvexPoly(mask, np.int32(cv2.boxPoints(middle)), 1).astype(bool)


def draw(seed: int, i: int, size: int = 256) -> Scene:
    """Return the i-th scene of a seed, a picture of `size` px. Equal arguments give equal pixels.

    It shows 0 to 7 people with a face and others that are seen from behind, have no features or wrong ones. A mark's
    side is 0.11 to 0.57 of `size`, its centre lies in the picture, its tilt is within 60 degrees. A face that is
    covered for the most part has no mark.
    """
    sampler = Sampler(np.random.default_rng((seed, i)))
    canvas = Canvas(ground(sampler, size), sampler)
    for _ in range(sampler.pick(BUNCHES)):
        clutter(canvas, CLUTTER)
    shown: list[Shown] = []
    for paint, spot in people(sampler, size):
        found = watched(canvas, shown, paint, spot)
        if found:
            shown.append(Shown(found, size, SHUFFLED if paint is shuffled_face else 0))
        if sampler.chance(0.12):
            watched(canvas, shown, clutter, HELD)
    if sampler.chance(0.25):
        watched(canvas, shown, clutter, WRITTEN)
    marks = [Mark(*one.spot, one.hidden < HIDDEN) for one in shown if one.hidden < GONE]
    return Scene(treat(sampler, canvas.pixels), marks)


def people(sampler: Sampler, size: int) -> list[tuple[Painter, Spot]]:
    """Return painters and their spots, from back to front: the small ones first, with a few exceptions."""
    count = sampler.pick(FACES)
    painters: list[Painter] = [sampler.pick({face: 0.93, profile: 0.07}) for _ in range(count)]
    painters += [sampler.one(back_view, blank_face, shuffled_face) for _ in range(sampler.pick(OTHERS))]
    placed: list[tuple[Painter, Spot]] = []
    for painter in painters:
        spot = free_spot(sampler, [other for _, other in placed], size, CROWD_SIDES if count >= CROWD else SIDES)
        if spot:
            placed.append((painter, spot))
    depth = [spot.side if sampler.chance(0.9) else 0 for _, spot in placed]
    return [placed[k] for k in np.argsort(depth, kind="stable")]


def free_spot(sampler: Sampler, taken: list[Spot], size: int, sides: tuple[float, float]) -> Spot | None:
    """Return a spot away from those taken and from the edge, or None if none was found in MAX_TRIES tries."""
    for _ in range(TRIES):
        side = size * float(np.exp(sampler.between(*np.log(sides))))
        x, y = sampler.point(0, size).tolist()
        if min(x, y, size - x, size - y) < MARGIN * side:
            continue
        if all(np.hypot(x - other.x, y - other.y) > APART * (side + other.side) for other in taken):
            return Spot(x, y, side, sampler.amount({(-12, 12): 0.5, (-60, 60): 0.5}))
    return None


def watched(canvas: Canvas, shown: list[Shown], paint: Callable, *wanted) -> Spot | None:
    """Return `paint(canvas, *args)`; add the share that it covers of each shown face to its `hidden`."""
    before = canvas.pixels.copy()
    found = paint(canvas, *wanted)
    red, green, blue = cv2.split(cv2.absdiff(before, canvas.pixels))
    changed = cv2.max(cv2.max(red, green), blue) > CHANGED
    for one in shown:
        one.hidden += float(changed[one.middle].mean())
    return found
