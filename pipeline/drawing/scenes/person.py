"""One person at a spot of the picture, with a face or without a proper one."""

from dataclasses import replace

import numpy as np

from pipeline.drawing.scenes.accessories import accessories
from pipeline.drawing.scenes.body import body
from pipeline.drawing.scenes.canvas import SceneCanvas, Spot
from pipeline.drawing.scenes.eyes import shuffle
from pipeline.drawing.scenes.face import brows, ears, features, head, head_outline
from pipeline.drawing.scenes.figure import Figure
from pipeline.drawing.scenes.fringe import fringe_edge, fringe_knots
from pipeline.drawing.scenes.hair import back_hair, back_of_head, front_hair
from pipeline.drawing.scenes.style import sample_style

FACE_CENTER = 0.01  # y of the face square's centre; its x follows the turn


def face(canvas: SceneCanvas, spot: Spot) -> Spot:
    """Paint a person with a visible face; return the spot of the face."""
    f = Figure(canvas.pixels, canvas.sampler, spot, sample_style(canvas.sampler))
    _front(f, has_features=True, has_brows=True)
    return face_spot(f, spot)


def shuffled_face(canvas: SceneCanvas, spot: Spot) -> Spot:
    """Paint a person with misplaced eyes and no brows; return the spot of the face."""
    style = sample_style(canvas.sampler)
    f = Figure(canvas.pixels, canvas.sampler, spot, replace(style, eyes=shuffle(canvas.sampler, style.eyes)))
    _front(f, has_features=True, has_brows=False)
    return face_spot(f, spot)


def blank_face(canvas: SceneCanvas, spot: Spot) -> None:
    """Paint a person without eyes, brows, nose and mouth."""
    f = Figure(canvas.pixels, canvas.sampler, spot, sample_style(canvas.sampler))
    _front(f, has_features=False, has_brows=False)


def back_view(canvas: SceneCanvas, spot: Spot) -> None:
    """Paint a person from behind."""
    f = Figure(canvas.pixels, canvas.sampler, spot, sample_style(canvas.sampler))
    behind(f)
    back_of_head(f)


def behind(f: Figure) -> None:
    """Paint what is behind the head: hair and, mostly, a body."""
    if not f.style.is_bald:
        back_hair(f)
    if f.sampler.chance(0.5 if f.style.is_chibi else 0.925):
        body(f)


def _front(f: Figure, *, has_features: bool, has_brows: bool) -> None:
    sampler, style = f.sampler, f.style
    behind(f)
    ears(f)
    knots = fringe_knots(sampler, style.covered)
    edge = fringe_edge(sampler, knots)
    within = head(f, head_outline(f), edge)
    if has_features:
        features(f, within)
    if not style.is_bald:
        front_hair(f, knots, edge)
    if has_brows and sampler.chance(0.8):
        brows(f)
    accessories(f)


def face_spot(f: Figure, spot: Spot) -> Spot:
    """Return the spot, moved and scaled with the figure's warp."""
    ((x, y),) = f.place([(0.25 * f.style.turn, FACE_CENTER)])
    side = spot.side * np.sqrt(f.style.warp.width * f.style.warp.height)
    return Spot(float(x), float(y), float(side), spot.tilt)
