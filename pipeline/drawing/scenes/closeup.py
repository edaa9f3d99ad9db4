"""A face close up, with its landmarks: a training set of faces whose eyes are open, closed, or anything between."""

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from pipeline.drawing.colors import WHITE, any_color, mix, tone
from pipeline.drawing.landmarks import DrawnFace, hull
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.accessories import accessories
from pipeline.drawing.scenes.canvas import SceneCanvas, Spot
from pipeline.drawing.scenes.clutter import CLUTTER, HELD, WRITTEN, clutter
from pipeline.drawing.scenes.compose import CLUTTER_COUNTS
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
from pipeline.drawing.scenes.things import hand
from pipeline.drawing.shapes import brush, direction, ellipse

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
    f = Figure(canvas.pixels, sampler, spot, _sample_style(sampler))
    lids = sample_lids(sampler, f.style.eyes)
    behind(f)
    ears(f)
    knots = fringe_knots(sampler, f.style.covered)
    edge = fringe_edge(sampler, knots)
    outline = head_outline(f)
    within = head(f, outline, edge)
    mouth = features(f, within, partial(paint_lids, lids=lids))
    eyes = outlines(f, f.style.eyes, f.style.skin_dark)
    visible = _cover(f, eyes, partial(_front, knots=knots, edge=edge))
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


def _sample_style(sampler: Sampler) -> Style:
    """Sample a style, with more half profiles, other eyes, and more hair over one of them than in other scenes."""
    style = sample_style(sampler)
    turn, eyes = style.turn, style.eyes
    if sampler.chance(0.15):
        turn = sampler.side() * sampler.between(0.2, MAX_TURN)
        colors = {"ink": style.ink, "hair": style.hair, "skin": style.skin, "skin_dark": style.skin_dark}
        eyes = sample_eyes(sampler, turn, style.pitch, style.is_chibi, colors)
    covered = style.covered or (sampler.side() if sampler.chance(0.05) else 0)
    return replace(style, turn=turn, covered=covered, eyes=vary_eyes(sampler, eyes))


def _cover(f: Figure, eyes: tuple[np.ndarray, np.ndarray], paint: Callable[[Figure], None]) -> tuple[float, float]:
    """Paint what is in front of the eyes; return the visible share of each.

    It is painted twice, the second time on a copy whose eyes have other pixels: where the two still differ, an eye
    shows."""
    masks = [SceneCanvas(f.pixels, f.sampler).mask(hull(points)) > 0 for points in eyes]
    probe = copy.copy(f)
    probe.pixels, probe.sampler = f.pixels.copy(), copy.deepcopy(f.sampler)
    probe.pixels[masks[0] | masks[1]] ^= 128
    before = np.abs(probe.pixels.astype(int) - f.pixels).sum(2)
    paint(f)
    paint(probe)
    after = np.abs(probe.pixels.astype(int) - f.pixels).sum(2)
    left, right = (float(after[mask].sum() / before[mask].sum()) if mask.any() else 0.0 for mask in masks)
    return min(left, 1.0), min(right, 1.0)


def _front(f: Figure, knots: np.ndarray, edge: np.ndarray) -> None:
    sampler, style = f.sampler, f.style
    if not style.is_bald:
        front_hair(f, knots, edge)
    if sampler.chance(0.8):
        _brows(f)
    accessories(f)
    sampler.pick(COVERS)(f)
    canvas = SceneCanvas(f.pixels, sampler)
    for share, kinds in ((0.06, HELD), (0.04, WRITTEN)):
        if sampler.chance(share):
            clutter(canvas, kinds)


def _brows(f: Figure) -> None:
    """Paint the brows: above the eyes, also above tall ones."""
    style = f.style
    lift = max(0.0, 0.5 * style.eyes.height - 0.2)
    f.style = replace(style, eyes=replace(style.eyes, y=style.eyes.y - lift))
    brows(f)
    f.style = style


def _nothing(f: Figure) -> None:
    pass


def _strands(f: Figure) -> None:
    """Paint a few strands of hair across the face."""
    sampler = f.sampler
    for _ in range(sampler.integer(1, 5)):
        x, width = sampler.between(-0.45, 0.45), sampler.between(0.008, 0.07)
        line = ((0.3 * x, f.top + 0.1), (x, -0.25), (x + sampler.between(-0.1, 0.1), sampler.between(0.0, 0.45)))
        f.stroke(line, (width, width, 0), sampler.choice(f.style.hair, f.style.hair_dark, f.style.hair_ink))


def _hand(f: Figure) -> None:
    """Paint a hand over one eye."""
    sampler, style, eyes = f.sampler, f.style, f.style.eyes
    center = np.array([eyes.x[sampler.integer(0, 2)], eyes.y]) + sampler.normal(0.08, 2)
    hand(f, center, sampler.between(0.12, 0.3), sampler.between(-170, -10), style.skin, style.ink, style.line)


def _patch(f: Figure) -> None:
    """Paint an eyepatch with its strap, or a bandage."""
    sampler, eyes = f.sampler, f.style.eyes
    side = sampler.integer(0, 2)
    color = sampler.pick({(30, 26, 32): 1, WHITE: 1, any_color(sampler): 1})
    x, reach = eyes.x[side], sampler.between(0.5, 0.62) * eyes.width
    f.line([(-0.6, -0.5), (x, eyes.y), (0.6, -0.1)], tone(color, 0.8), 0.02, closed=False)
    f.paint(ellipse(x, eyes.y, reach, max(reach, 0.55 * eyes.height)), color)


def _bar(f: Figure) -> None:
    """Paint a bar across the eyes or one of them: a mask, a fringe of cloth, a censor's bar."""
    sampler, eyes = f.sampler, f.style.eyes
    center = np.array((sampler.choice(0, *eyes.x), eyes.y + sampler.between(-0.1, 0.1)))
    along = sampler.between(0.15, 0.8) * direction(sampler.normal(15))
    half = sampler.between(0.02, 0.2)
    f.fill(brush([center - along, center, center + along], (half, half)), any_color(sampler))


def _lenses(f: Figure) -> None:
    """Paint glasses with tinted, glaring or opaque lenses."""
    sampler, eyes = f.sampler, f.style.eyes
    color, alpha = any_color(sampler), sampler.from_ranges({(0.1, 0.5): 3, (0.9, 1): 1})
    frame, reach = tone(color, sampler.between(0.2, 0.8)), sampler.between(0.55, 0.75)
    for x, share in zip(eyes.x, eyes.shares, strict=True):
        lens = ellipse(x, eyes.y + 0.02, reach * eyes.width * share, max(0.12, reach * eyes.height))
        f.fill(lens, color, alpha=alpha)
        if sampler.chance(0.5):  # a glare
            f.stroke(
                ((x - 0.08, eyes.y + 0.1), (x + 0.06, eyes.y - 0.1)), (0.02, 0.02), mix(color, WHITE, 0.8), alpha=0.6
            )
        f.line(lens, frame, sampler.between(0.01, 0.035))
    left, right = eyes.x
    f.line([(left + 0.5 * eyes.width, eyes.y), (right - 0.5 * eyes.width, eyes.y)], frame, 0.02, closed=False)


COVERS: dict[Callable[[Figure], None], float] = {  # -> weight
    _nothing: 0.74,
    _strands: 0.08,
    _hand: 0.03,
    _patch: 0.03,
    _bar: 0.04,
    _lenses: 0.08,
}
