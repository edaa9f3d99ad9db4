"""People of scenes as characters of a film.

Every part of a person is drawn with random numbers of its own, the same in each frame, which no pose changes.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pipeline.drawing.acting import Key, Places, Pose, Renderer, bounding_box, square
from pipeline.drawing.colors import RGB, any_color
from pipeline.drawing.portrait.variety import sample_closed_lid
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.accessories import WORN
from pipeline.drawing.scenes.canvas import SceneCanvas, Spot
from pipeline.drawing.scenes.closeup import raised_brows, sample_closeup_style
from pipeline.drawing.scenes.clutter import CLUTTER, clutter, torso
from pipeline.drawing.scenes.covers import lenses, nothing, strands, visible_shares
from pipeline.drawing.scenes.face import ears, features, head, head_outline
from pipeline.drawing.scenes.figure import Figure
from pipeline.drawing.scenes.fringe import fringe_edge, fringe_knots
from pipeline.drawing.scenes.ground import ground
from pipeline.drawing.scenes.hair import front_hair
from pipeline.drawing.scenes.lids import Lids, outlines, paint_pair
from pipeline.drawing.scenes.mouth import paint_mouth
from pipeline.drawing.scenes.person import behind, face_spot
from pipeline.drawing.scenes.style import Style

MIN_VISIBLE = 0.6  # share of an eye that hair and lenses leave visible
MIN_CONTRAST = 60  # grey levels between lashes and skin: otherwise a closed eye is not seen
TRIAL_SIDE = 70  # px of a face that is drawn to see its eyes
COVERS = {nothing: 0.8, strands: 0.12, lenses: 0.08}  # -> weight
SCENERY = tuple(kind for kind in CLUTTER if kind is not torso)  # no bodies without a head behind a person
CLUTTER_COUNTS = {0: 3, 1: 1, 3: 1}


@dataclass(frozen=True)
class SceneActor:
    """A person of a style. With another key of equal style other hair, clothes and things are drawn."""

    key: Key
    side: float  # px, of a face that is not warped
    style: Style
    lids: Lids

    def paint(self, pixels: np.ndarray, scale: int, pose: Pose) -> None:
        """Paint the person over `pixels`, which are `scale` times as large as the picture."""
        f = self._figure(pixels, scale, pose)
        self._paint_to_the_eyes(f, pose)(f)

    def places(self, pose: Pose) -> Places:
        """Return where the face is in the picture."""
        f = self._figure(np.empty((0, 0, 3), np.uint8), 1, pose)
        found = face_spot(f, self._spot(1, pose))
        left, right = outlines(f, self.style.eyes, self.style.skin_dark)
        return Places(square((found.x, found.y), found.side), bounding_box(left), bounding_box(right))

    def has_visible_eyes(self) -> bool:
        """Draw the face small, and return whether one sees its eyes also when they are closed."""
        size = 3 * TRIAL_SIDE
        trial = replace(self, side=TRIAL_SIDE)
        pose = Pose((size / 2, size / 2), 0, None, (1, 1))
        f = trial._figure(np.zeros((size, size, 3), np.uint8), 1, pose)
        front = trial._paint_to_the_eyes(f, pose)
        eyes = outlines(f, self.style.eyes, self.style.skin_dark)
        contrast = abs(_gray(self.style.eyes.lash) - _gray(self.style.skin))
        return contrast >= MIN_CONTRAST and min(visible_shares(f, eyes, front)) >= MIN_VISIBLE

    def _spot(self, scale: int, pose: Pose) -> Spot:
        x, y = pose.center
        return Spot(scale * x, scale * y, scale * self.side, pose.tilt)

    def _figure(self, pixels: np.ndarray, scale: int, pose: Pose) -> Figure:
        return Figure(pixels, self._sampler(0), self._spot(scale, pose), self.style)

    def _sampler(self, part: int) -> Sampler:
        return Sampler(np.random.default_rng((*self.key, part)))

    def _paint_to_the_eyes(self, f: Figure, pose: Pose) -> partial:
        """Paint what is behind the head, the head and its features; return the painter of what lies over them."""
        f.sampler = self._sampler(0)
        behind(f)
        ears(f)
        f.sampler = self._sampler(1)
        knots = fringe_knots(f.sampler, self.style.covered)
        edge = fringe_edge(f.sampler, knots)
        within = head(f, head_outline(f), edge)
        f.sampler = self._sampler(2)
        lids = replace(self.lids, openness=pose.openness)
        features(f, within, partial(paint_pair, lids=lids), partial(paint_mouth, speech=pose.speech))
        f.sampler = self._sampler(3)
        return partial(_front, knots=knots, edge=edge)


def _front(f: Figure, knots: np.ndarray, edge: np.ndarray) -> None:
    sampler = f.sampler
    if not f.style.is_bald:
        front_hair(f, knots, edge)
    if sampler.chance(0.8):
        raised_brows(f)
    sampler.pick(WORN)(f, any_color(sampler))
    sampler.pick(COVERS)(f)


def _gray(color: RGB) -> float:
    return float(np.dot(color, (0.299, 0.587, 0.114)))


def _sample(key: Key, side: float) -> SceneActor:
    """Sample persons until the eyes of one are visible."""
    sampler = Sampler(np.random.default_rng((*key, 2)))
    while True:
        style = replace(sample_closeup_style(sampler), covered=0)
        is_bold = sampler.chance(0.5)
        lids = Lids(
            openness=(1, 1),
            closed=sample_closed_lid(sampler),
            squash=sampler.from_ranges({(0, 0): 0.7, (0, 0.5): 0.3}),
            lid_alpha=sampler.from_ranges({(0, 0): 0.5, (0.1, 0.6): 0.5}) if is_bold else 0,
            is_bold=is_bold,
        )
        actor = SceneActor((*key, sampler.integer(0, 1 << 30)), side, style, lids)
        if actor.has_visible_eyes():
            return actor


def _background(key: Key, size: tuple[int, int]) -> np.ndarray:
    sampler = Sampler(np.random.default_rng((*key, 3)))
    width, height = size
    canvas = SceneCanvas(ground(sampler, max(size)), sampler)
    for _ in range(sampler.pick(CLUTTER_COUNTS)):
        clutter(canvas, SCENERY)
    return canvas.pixels[:height, :width].copy()


SCENES = Renderer(_sample, _background)
