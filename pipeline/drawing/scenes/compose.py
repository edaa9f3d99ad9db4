"""Scenes: background, clutter, people in front of and behind each other, things that cover them, light, damage."""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.canvas import SceneCanvas, Spot
from pipeline.drawing.scenes.clutter import HELD, clutter
from pipeline.drawing.scenes.manners import Manner
from pipeline.drawing.scenes.over_face import cover_face
from pipeline.drawing.scenes.person import back_view, blank_face, shuffled_face
from pipeline.drawing.scenes.postprocess import postprocess
from pipeline.drawing.scenes.repertoire import PLAIN, WIDE, Painter, Repertoire, Sides
from pipeline.drawing.shapes import direction

MIN_CROWD = 4  # people with a face, who all are small
MIN_DISTANCE, TOUCHING_DISTANCE = 0.62, 0.42  # least distance of two faces, in the sum of their sides
MIN_MARGIN = 0.42  # least distance from the picture's edge, in sides of the face
MAX_TRIES = 12

WIDE_SHARE = 0.5  # of scenes; the others are plain

FACE_COUNTS = {0: 0.15, 1: 0.45, 2: 0.25, 4: 0.1, 7: 0.05}  # people with a face -> weight
FACELESS_COUNTS = {0: 5, 1: 2, 2: 1, 3: 0.5}  # people without a proper one -> weight
CLUTTER_COUNTS = {0: 2, 2: 3, 5: 3, 10: 1.5}  # groups of clutter behind them -> weight

# Shares of a face's middle that may be painted over: for a clear face, for a face that has a mark at all.
MAX_HIDDEN_OF_CLEAR, MAX_HIDDEN_OF_MARKED = 0.4, 0.8
MAX_UNSEEN_CHANGE = 6  # levels: a smaller change is not visible
SHUFFLED_HIDDEN = 0.5  # a shuffled face is never clear: a detector may find it or not


class Mark(NamedTuple):
    """A square that a face fills, hair left out."""

    x: float  # centre, px
    y: float
    side: float  # px
    tilt: float  # degrees, clockwise
    is_clear: bool  # False: hidden so far that a detector need not find it


class Scene(NamedTuple):
    """A picture and all faces in it."""

    picture: np.ndarray  # uint8 RGB (size, size, 3)
    faces: list[Mark]


class ShownFace:
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
    side is 0.04 to 1.3 of `size`, its centre lies in the picture, its tilt is within 60 degrees. A face that is
    covered for the most part has no mark.
    """
    sampler = Sampler(np.random.default_rng((seed, i)))
    repertoire = WIDE if sampler.chance(WIDE_SHARE) else PLAIN
    manner = sampler.pick(repertoire.manners)
    canvas = SceneCanvas(manner.ground(sampler, size), sampler)
    for _ in range(sampler.pick(CLUTTER_COUNTS)):
        clutter(canvas, sampler.pick(repertoire.things))
    shown: list[ShownFace] = []
    for paint, spot in people(sampler, size, repertoire):
        found = paint_over(canvas, shown, person, paint, spot, manner)
        if found:
            shown.append(ShownFace(found, size, SHUFFLED_HIDDEN if paint is shuffled_face else 0))
        if found and sampler.chance(repertoire.covered):
            paint_over(canvas, shown, cover_face, found)
        if sampler.chance(repertoire.holding):
            paint_over(canvas, shown, clutter, HELD)
    if sampler.chance(0.3):
        paint_over(canvas, shown, repertoire.write)
    marks = [Mark(*one.spot, one.hidden < MAX_HIDDEN_OF_CLEAR) for one in shown if one.hidden < MAX_HIDDEN_OF_MARKED]
    picture = postprocess(sampler, canvas.pixels, manner.treat)
    return Scene(repertoire.finish(sampler, picture), marks)


def person(canvas: SceneCanvas, paint: Painter, spot: Spot, manner: Manner) -> Spot | None:
    """Paint somebody in the manner of the picture; return the spot of the face, if there is one."""
    before = canvas.pixels.copy()
    found = paint(canvas, spot, manner.restyle)
    manner.model(canvas.sampler, canvas.pixels, (before != canvas.pixels).any(2), spot)
    return found


def people(sampler: Sampler, size: int, repertoire: Repertoire) -> list[tuple[Painter, Spot]]:
    """Return painters and their spots, from back to front: the small ones first, with a few exceptions."""
    count = sampler.pick(FACE_COUNTS)
    painters: list[Painter] = [sampler.pick(repertoire.people) for _ in range(count)]
    painters += [sampler.choice(back_view, blank_face, shuffled_face) for _ in range(sampler.pick(FACELESS_COUNTS))]
    sides = repertoire.crowd_sides if count >= MIN_CROWD else repertoire.sides
    is_touching = sampler.chance(repertoire.touching)
    placed: list[tuple[Painter, Spot]] = []
    for painter in painters:
        spot = free_spot(sampler, [other for _, other in placed], size, sides, is_touching)
        if spot:
            placed.append((painter, spot))
    depth = [spot.side if sampler.chance(0.9) else 0 for _, spot in placed]
    return [placed[k] for k in np.argsort(depth, kind="stable")]


def free_spot(sampler: Sampler, taken: list[Spot], size: int, sides: Sides, is_touching: bool) -> Spot | None:
    """Return a spot away from those taken and from the edge, or None if none was found in MAX_TRIES tries. One that is
    touching lies beside one of those taken and is about as large."""
    least = TOUCHING_DISTANCE if is_touching else MIN_DISTANCE
    for _ in range(MAX_TRIES):
        low, high = np.log(sampler.pick(sides))
        side = size * float(np.exp(sampler.between(low, high)))
        x, y = sampler.point(0, size).tolist()
        if is_touching and taken:
            other = sampler.choice(*taken)
            side = other.side * sampler.between(0.75, 1.3)
            reach = sampler.between(least, MIN_DISTANCE) * (side + other.side)
            x, y = (np.array((other.x, other.y)) + reach * direction(sampler.between(0, 360))).tolist()
        if min(x, y, size - x, size - y) < MIN_MARGIN * side:
            continue
        nearest = 0.99 * least  # one that is touching may lie at `least` itself
        if all(np.hypot(x - other.x, y - other.y) > nearest * (side + other.side) for other in taken):
            return Spot(x, y, side, sampler.from_ranges({(-12, 12): 0.5, (-60, 60): 0.5}))
    return None


def paint_over(canvas: SceneCanvas, shown: list[ShownFace], paint: Callable, *args) -> Spot | None:
    """Return `paint(canvas, *args)`; add the share that it covers of each shown face to its `hidden`."""
    before = canvas.pixels.copy()
    found = paint(canvas, *args)
    red, green, blue = cv2.split(cv2.absdiff(before, canvas.pixels))
    changed = cv2.max(cv2.max(red, green), blue) > MAX_UNSEEN_CHANGE
    for one in shown:
        one.hidden += float(changed[one.middle].mean())
    return found
