"""One person at a spot of the picture, with a face or without a proper one."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.accessories import accessories
from pipeline.drawing.scenes.body import body
from pipeline.drawing.scenes.canvas import SceneCanvas, Spot
from pipeline.drawing.scenes.eyes import shuffle
from pipeline.drawing.scenes.face import brows, ears, features, head, head_outline
from pipeline.drawing.scenes.figure import Figure
from pipeline.drawing.scenes.fringe import fringe_edge, fringe_knots
from pipeline.drawing.scenes.hair import back_hair, back_of_head, front_hair
from pipeline.drawing.scenes.half_profile import half_outline, near_ear, turn_by_half
from pipeline.drawing.scenes.manners import Restyle, as_sampled
from pipeline.drawing.scenes.stature import as_chibi, as_grown, chibi_body, grown_body
from pipeline.drawing.scenes.style import Style, sample_style

FACE_CENTER = 0.01  # y of the face square's centre; its x follows the turn


def _style(sampler: Sampler, restyle: Restyle) -> Style:
    return restyle(sampler, sample_style(sampler))


def _figure(canvas: SceneCanvas, spot: Spot, style: Style) -> Figure:
    return Figure(canvas.pixels, canvas.sampler, spot, style)


def face(canvas: SceneCanvas, spot: Spot, restyle: Restyle = as_sampled) -> Spot:
    """Paint a person with a visible face; return the spot of the face."""
    f = _figure(canvas, spot, _style(canvas.sampler, restyle))
    _front(f, has_features=True, has_brows=True)
    return face_spot(f, spot)


def chibi(canvas: SceneCanvas, spot: Spot, restyle: Restyle = as_sampled) -> Spot:
    """Paint a chibi from head to foot; return the spot of the face."""
    f = _figure(canvas, spot, as_chibi(canvas.sampler, _style(canvas.sampler, restyle)))
    _front(f, has_features=True, has_brows=True, body=chibi_body)
    return face_spot(f, spot)


def grown_up(canvas: SceneCanvas, spot: Spot, restyle: Restyle = as_sampled) -> Spot:
    """Paint a tall person with a long face; return the spot of the face."""
    f = _figure(canvas, spot, as_grown(canvas.sampler, _style(canvas.sampler, restyle)))
    _front(f, has_features=True, has_brows=True, body=grown_body)
    return face_spot(f, spot)


def half_profile(canvas: SceneCanvas, spot: Spot, restyle: Restyle = as_sampled) -> Spot:
    """Paint a person whose head is turned by half; return the spot of the face."""
    sampler = canvas.sampler
    f = _figure(canvas, spot, turn_by_half(sampler, _style(sampler, restyle)))
    behind(f)
    knots = fringe_knots(sampler, 0)
    edge = fringe_edge(sampler, knots)
    within = head(f, half_outline(f), edge)
    near_ear(f)
    features(f, within)
    if not f.style.is_bald:
        front_hair(f, knots, edge, sides=(-1,) if f.style.turn > 0 else (1,))
    brows(f)
    accessories(f)
    return face_spot(f, spot)


def shuffled_face(canvas: SceneCanvas, spot: Spot, restyle: Restyle = as_sampled) -> Spot:
    """Paint a person with misplaced eyes and no brows; return the spot of the face."""
    style = _style(canvas.sampler, restyle)
    f = _figure(canvas, spot, replace(style, eyes=shuffle(canvas.sampler, style.eyes)))
    _front(f, has_features=True, has_brows=False)
    return face_spot(f, spot)


def blank_face(canvas: SceneCanvas, spot: Spot, restyle: Restyle = as_sampled) -> None:
    """Paint a person without eyes, brows, nose and mouth."""
    f = _figure(canvas, spot, _style(canvas.sampler, restyle))
    _front(f, has_features=False, has_brows=False)


def back_view(canvas: SceneCanvas, spot: Spot, restyle: Restyle = as_sampled) -> None:
    """Paint a person from behind."""
    f = _figure(canvas, spot, _style(canvas.sampler, restyle))
    behind(f)
    back_of_head(f)


def behind(f: Figure, body: Callable[[Figure], None] = body) -> None:
    """Paint what is behind the head: hair and, mostly, a body."""
    if not f.style.is_bald:
        back_hair(f)
    if f.sampler.chance(0.5 if f.style.is_chibi else 0.925):
        body(f)


def _front(f: Figure, *, has_features: bool, has_brows: bool, body: Callable[[Figure], None] = body) -> None:
    sampler, style = f.sampler, f.style
    behind(f, body)
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
