"""A face close up, with its landmarks: a training set of faces whose eyes are open, closed, or anything between."""

from dataclasses import replace
from functools import partial

import numpy as np

from pipeline.drawing.landmarks import DrawnFace, hull
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.accessories import accessories
from pipeline.drawing.scenes.canvas import SceneCanvas, Spot
from pipeline.drawing.scenes.clutter import CLUTTER, HELD, WRITTEN, clutter
from pipeline.drawing.scenes.compose import CLUTTER_COUNTS
from pipeline.drawing.scenes.covers import COVERS, visible_shares
from pipeline.drawing.scenes.eyes import sample_eyes
from pipeline.drawing.scenes.face import brows, ears, features, head, head_outline
from pipeline.drawing.scenes.figure import Figure
from pipeline.drawing.scenes.fringe import fringe_edge, fringe_knots
from pipeline.drawing.scenes.ground import ground
from pipeline.drawing.scenes.hair import front_hair
from pipeline.drawing.scenes.lids import outlines, paint_lids, sample_lids, vary_eyes
from pipeline.drawing.scenes.person import behind, face, face_spot
from pipeline.drawing.scenes.postprocess import postprocess
from pipeline.drawing.scenes.style import Style, sample_style

FACE_SIDES_PX = {(36, 70): 0.3, (70, 190): 0.7}  # of the face's square -> weight; drawn pixel by pixel
FACE_SHARE = 0.42  # of the face in the picture's side
TILTS = {(-12.0, 12.0): 0.4, (-60.0, 60.0): 0.6}
MAX_TURN = 0.36  # of half profiles


def draw_face(seed: int, i: int) -> DrawnFace:
    """Return the i-th face of a seed. Equal arguments give equal pixels.

    The face's square is 36 to 190 px, about 0.42 of the picture's side and near its middle; it leans by 60 degrees at
    most. Eyes are covered by hair, hands and things in some of the pictures."""
    sampler = Sampler(np.random.default_rng((seed, i, 2)))
    side = float(np.exp(sampler.between(*np.log(sampler.pick(FACE_SIDES_PX)))))
    size = round(side / FACE_SHARE)
    canvas = SceneCanvas(ground(sampler, size), sampler)
    for _ in range(sampler.pick(CLUTTER_COUNTS)):
        clutter(canvas, CLUTTER)
    if sampler.chance(0.15):  # someone behind
        x, y = sampler.point(0, size).tolist()
        face(canvas, Spot(x, y, side * sampler.between(0.5, 1), sampler.between(-40, 40)))
    x, y = (size / 2 + sampler.point(-0.08, 0.08) * size).tolist()
    spot = Spot(x, y, side, sampler.from_ranges(TILTS))
    f = Figure(canvas.pixels, sampler, spot, sample_closeup_style(sampler))
    lids = sample_lids(sampler, f.style.eyes)
    behind(f)
    ears(f)
    knots = fringe_knots(sampler, f.style.covered)
    edge = fringe_edge(sampler, knots)
    outline = head_outline(f)
    within = head(f, outline, edge)
    mouth = features(f, within, partial(paint_lids, lids=lids))
    eyes = outlines(f, f.style.eyes, f.style.skin_dark)
    visible = visible_shares(f, eyes, partial(_front, knots=knots, edge=edge))
    found = face_spot(f, spot)
    (mouth_x, mouth_y), (chin_x, chin_y) = f.place([mouth, outline[len(outline) // 2 - 1]]).tolist()
    return DrawnFace(
        picture=postprocess(sampler, canvas.pixels),
        square=(found.x, found.y, found.side, found.tilt),
        outlines=(hull(eyes[0]), hull(eyes[1])),
        openness=lids.openness,
        visible=visible,
        mouth=(mouth_x, mouth_y),
        chin=(chin_x, chin_y),
    )


def sample_closeup_style(sampler: Sampler) -> Style:
    """Sample a style, with more half profiles, other eyes, and more hair over one of them than in other scenes."""
    style = sample_style(sampler)
    turn, eyes = style.turn, style.eyes
    if sampler.chance(0.15):
        turn = sampler.side() * sampler.between(0.2, MAX_TURN)
        colors = {"ink": style.ink, "hair": style.hair, "skin": style.skin, "skin_dark": style.skin_dark}
        eyes = sample_eyes(sampler, turn, style.pitch, style.is_chibi, colors)
    covered = style.covered or (sampler.side() if sampler.chance(0.05) else 0)
    return replace(style, turn=turn, covered=covered, eyes=vary_eyes(sampler, eyes))


def _front(f: Figure, knots: np.ndarray, edge: np.ndarray) -> None:
    sampler, style = f.sampler, f.style
    if not style.is_bald:
        front_hair(f, knots, edge)
    if sampler.chance(0.8):
        raised_brows(f)
    accessories(f)
    sampler.pick(COVERS)(f)
    canvas = SceneCanvas(f.pixels, sampler)
    for share, kinds in ((0.06, HELD), (0.04, WRITTEN)):
        if sampler.chance(share):
            clutter(canvas, kinds)


def raised_brows(f: Figure) -> None:
    """Paint the brows: above the eyes, also above tall ones."""
    style = f.style
    lift = max(0.0, 0.5 * style.eyes.height - 0.2)
    f.style = replace(style, eyes=replace(style.eyes, y=style.eyes.y - lift))
    brows(f)
    f.style = style
