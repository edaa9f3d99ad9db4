"""One person at a spot of the picture, with a face or without a proper one."""

from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.drawing.scenes.accessories import accessories
from pipeline.drawing.scenes.body import body
from pipeline.drawing.scenes.canvas import SceneCanvas, Spot
from pipeline.drawing.scenes.eye import open_outlines
from pipeline.drawing.scenes.eyes import Blink, sample_closed_lids, shuffle
from pipeline.drawing.scenes.face import brows, ears, features, head, head_outline
from pipeline.drawing.scenes.figure import Figure
from pipeline.drawing.scenes.fringe import fringe_edge, fringe_knots
from pipeline.drawing.scenes.hair import back_hair, back_of_head, front_hair
from pipeline.drawing.scenes.style import sample_style

COVERING_CHANGE = 40  # levels: what is painted over an eye and changes it less, as glass does, does not cover it
FACE_CENTER = 0.01  # y of the face square's centre; its x follows the turn


def face(canvas: SceneCanvas, spot: Spot) -> Spot:
    """Paint a person with a visible face; return the spot of the face."""
    f = Figure(canvas.pixels, canvas.sampler, spot, sample_style(canvas.sampler))
    _front(f, has_features=True, has_brows=True)
    return _face_spot(f, spot)


class Closeup(NamedTuple):
    """What is where in a face that was painted, px."""

    spot: Spot
    eyes: list[np.ndarray]  # outlines of the open eyes, lashes included, of the picture's left eye first
    covered: list[float]  # share of each that is painted over by hair or something else
    mouth: np.ndarray  # (2,), its middle
    chin: np.ndarray  # (2,), its tip


def closeup(canvas: SceneCanvas, spot: Spot, openness: tuple[float, float]) -> Closeup:
    """Paint a person with a visible face and eyes that are open so far, 1 open to 0 closed."""
    sampler = canvas.sampler
    style = sample_style(sampler)
    style = replace(style, eyes=replace(style.eyes, blink=Blink(openness, sample_closed_lids(sampler))))
    f = Figure(canvas.pixels, sampler, spot, style)
    _behind(f)
    bare = _bare_head(f)
    mouth = features(f, bare.within)
    before = f.pixels.copy()
    _in_front(f, bare, has_brows=True)
    eyes = open_outlines(f, style.eyes, style.skin_dark)
    mouth_px, chin_px = f.place([mouth, bare.outline[len(bare.outline) // 2]])
    return Closeup(_face_spot(f, spot), eyes, [changed_share(before, f.pixels, eye) for eye in eyes], mouth_px, chin_px)


def changed_share(before: np.ndarray, after: np.ndarray, outline: np.ndarray) -> float:
    """Return the share of the polygon `outline` (N, 2), px, in which two pictures (H, W, 3) differ visibly, 0..1."""
    mask = cv2.fillPoly(np.zeros(before.shape[:2], np.uint8), [np.int32(outline)], 1)
    differs = (cv2.absdiff(before, after).max(2) > COVERING_CHANGE).astype(np.uint8)
    return float(cv2.countNonZero(differs & mask) / max(1, cv2.countNonZero(mask)))


def shuffled_face(canvas: SceneCanvas, spot: Spot) -> Spot:
    """Paint a person with misplaced eyes and no brows; return the spot of the face."""
    style = sample_style(canvas.sampler)
    f = Figure(canvas.pixels, canvas.sampler, spot, replace(style, eyes=shuffle(canvas.sampler, style.eyes)))
    _front(f, has_features=True, has_brows=False)
    return _face_spot(f, spot)


def blank_face(canvas: SceneCanvas, spot: Spot) -> None:
    """Paint a person without eyes, brows, nose and mouth."""
    f = Figure(canvas.pixels, canvas.sampler, spot, sample_style(canvas.sampler))
    _front(f, has_features=False, has_brows=False)


def back_view(canvas: SceneCanvas, spot: Spot) -> None:
    """Paint a person from behind."""
    f = Figure(canvas.pixels, canvas.sampler, spot, sample_style(canvas.sampler))
    _behind(f)
    back_of_head(f)


def _behind(f: Figure) -> None:
    if not f.style.is_bald:
        back_hair(f)
    if f.sampler.chance(0.5 if f.style.is_chibi else 0.925):
        body(f)


def _front(f: Figure, *, has_features: bool, has_brows: bool) -> None:
    _behind(f)
    bare = _bare_head(f)
    if has_features:
        features(f, bare.within)
    _in_front(f, bare, has_brows=has_brows)


class _BareHead(NamedTuple):
    """A head without features and front hair."""

    within: np.ndarray  # its mask
    outline: np.ndarray
    knots: np.ndarray  # of the fringe to be
    edge: np.ndarray  # of the fringe to be


def _bare_head(f: Figure) -> _BareHead:
    """Paint ears and head."""
    ears(f)
    knots = fringe_knots(f.sampler, f.style.covered)
    edge = fringe_edge(f.sampler, knots)
    outline = head_outline(f)
    return _BareHead(head(f, outline, edge), outline, knots, edge)


def _in_front(f: Figure, bare: _BareHead, *, has_brows: bool) -> None:
    """Paint what lies over the features."""
    if not f.style.is_bald:
        front_hair(f, bare.knots, bare.edge)
    if has_brows and f.sampler.chance(0.8):
        brows(f)
    accessories(f)


def _face_spot(f: Figure, spot: Spot) -> Spot:
    """Return the spot, moved and scaled with the figure's warp."""
    ((x, y),) = f.place([(0.25 * f.style.turn, FACE_CENTER)])
    side = spot.side * np.sqrt(f.style.warp.width * f.style.warp.height)
    return Spot(float(x), float(y), float(side), spot.tilt)
