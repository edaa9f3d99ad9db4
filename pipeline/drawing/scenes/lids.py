"""Eyes at any openness, with what they look like when closed. Within an eye u runs outwards and v down."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pipeline.drawing.colors import RGB
from pipeline.drawing.landmarks import sample_openness
from pipeline.drawing.portrait.face import LID_U
from pipeline.drawing.portrait.look import CLOSED_LIDS
from pipeline.drawing.portrait.variety import sample_closed_lid
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.canvas import SceneCanvas
from pipeline.drawing.scenes.eye import SHUT, Eye, lash_lines, open_eye, open_outline
from pipeline.drawing.scenes.eyes import Eyes
from pipeline.drawing.shapes import curve

MIN_SLIT = 0.04  # openness below which an eye is a line

# A pair's size in that of Style.eyes -> weight.
WIDTHS = {(1, 1): 0.4, (0.75, 1): 0.25, (1, 1.3): 0.35}
HEIGHTS = {(1, 1): 0.4, (0.65, 1): 0.2, (1, 1.7): 0.4}  # with the tall ones of chibi
MAX_SIZE = 0.42, 0.52  # width and height, in the frame of the head
OVAL = np.array((0, 0.414, 0.5, 0.414, 0))  # v at LID_U
MIN_GAP = 0.04  # between the eyes
FACE_EDGE = 0.52  # x that an eye ends at
LOWEST = 0.33  # y that an eye ends above: the mouth is below


@dataclass(frozen=True)
class Lids:
    """How far the eyes of a face are closed, and how."""

    openness: tuple[float, float]  # of the picture's left and right eye, 1 open .. 0 closed
    closed: np.ndarray  # (5,), v at LID_U where both lids meet
    squash: float  # how far the iris is squashed between the lids: 0 covered by them, 1 flattened
    lid_alpha: float  # opacity of the shade on the upper lid; 0: none
    is_bold: bool = False  # when closed the lash line of the open eye lies there, wing, crease and lower lashes with it


def sample_lids(sampler: Sampler, eyes: Eyes) -> Lids:
    """Sample the lids of a face."""
    openness = sample_openness(sampler)
    shapes = [np.array(heights) for heights in CLOSED_LIDS.values()] + [0.9 * eyes.lower]
    if sampler.chance(0.4):
        closed = sample_closed_lid(sampler)
    else:
        share = sampler.between(0, 1)
        mixed = share * sampler.choice(*shapes) + (1 - share) * sampler.choice(*shapes)
        closed = mixed + sampler.between(-0.06, 0.08) + sampler.normal(0.02, 5)
    return Lids(
        openness=openness,
        closed=closed,
        squash=sampler.from_ranges({(0, 0): 0.6, (0, 1): 0.25, (1, 1): 0.15}),
        lid_alpha=sampler.from_ranges({(0, 0): 0.6, (0.1, 0.8): 0.4}),
        is_bold=sampler.chance(0.35),
    )


def vary_eyes(sampler: Sampler, eyes: Eyes) -> Eyes:
    """Return wider, smaller or taller eyes that lie apart, within the face and above the mouth; some are plain ovals
    without slant and wing, some are filled with the iris's colour."""
    if sampler.chance(0.15):
        eyes = replace(eyes, upper=-OVAL, lower=OVAL, slant=0, wing=(0, 0), lashes=0)
    if sampler.chance(0.06):
        eyes = replace(eyes, sclera=sampler.choice(eyes.iris, eyes.iris_deep))
    width = min(MAX_SIZE[0], eyes.width * sampler.from_ranges(WIDTHS))
    height = min(MAX_SIZE[1], eyes.height * sampler.from_ranges(HEIGHTS))
    half = 0.5 * width * np.array(eyes.shares)
    left, right = np.array(eyes.x)
    apart = max(0.0, half.sum() + MIN_GAP - (right - left)) / 2
    left, right = max(left - apart, half[0] - FACE_EDGE), min(right + apart, FACE_EDGE - half[1])
    return replace(
        eyes,
        width=min(width, 2 * (right - left - MIN_GAP) / sum(eyes.shares)),
        height=height,
        x=(float(left), float(right)),
        y=min(eyes.y, LOWEST - 0.5 * height),
        slant=eyes.slant * sampler.choice(0.5, 1, 1.5),
    )


def paint_lids(canvas: SceneCanvas, eyes: Eyes, skin_dark: RGB, *, lids: Lids) -> None:
    """Paint both eyes with these lids; in some faces those that are closed are of another kind."""
    shut = canvas.sampler.pick({None: 4.0, **SHUT})  # None: the line of these lids
    paint_pair(canvas, eyes, skin_dark, lids, shut)


def paint_pair(
    canvas: SceneCanvas, eyes: Eyes, skin_dark: RGB, lids: Lids, shut: Callable[[Eye], None] | None = None
) -> None:
    """Paint both eyes with these lids; `shut` paints those that are closed. Nothing here is random but `shut`."""
    for sign, openness in zip((-1, 1), lids.openness, strict=True):
        eye = Eye(canvas, eyes, sign, skin_dark)
        if openness < MIN_SLIT:
            if shut and openness == 0:
                shut(eye)
            elif lids.is_bold:
                _lid_shade(eye, lids, 0)
                lash_lines(eye, lids.closed)
            else:
                _closed(eye, lids.closed)
            continue
        _lid_shade(eye, lids, openness)
        if lids.squash:
            squashed = 1 - lids.squash * (1 - openness)
            eye = _squashed(eye, lids.closed.mean(), squashed)
            openness /= squashed
        upper, lower = (openness * v + (1 - openness) * lids.closed for v in (eyes.upper, eyes.lower))
        open_eye(eye, upper, lower)


def outlines(canvas: SceneCanvas, eyes: Eyes, skin_dark: RGB) -> tuple[np.ndarray, np.ndarray]:
    """Return points, (N, 2) px, whose hulls are the outlines of the wide open eyes on the left and on the right."""
    left, right = (canvas.place(open_outline(Eye(canvas, eyes, sign, skin_dark))) for sign in (-1, 1))
    return left, right


def _closed(eye: Eye, closed: np.ndarray) -> None:
    """Paint the line where both lids meet, mostly with the lashes of the outer corner."""
    eye.lid(closed)
    (corner,) = eye.at([0.5], [closed[-1]])
    for k in range(eye.eyes.lashes):
        tip = np.add(corner, (eye.sign * (0.05 - 0.03 * k), 0.04))
        eye.canvas.stroke((corner, tip), (0.6 * eye.eyes.lash_width, 0), eye.eyes.lash)


def _lid_shade(eye: Eye, lids: Lids, openness: float) -> None:
    """Shade the upper lid: what it covers of the open eye."""
    if lids.lid_alpha and openness < 0.9:
        above = curve(eye.at(LID_U, eye.eyes.upper), steps=6)
        edge = curve(eye.at(LID_U, openness * eye.eyes.upper + (1 - openness) * lids.closed), steps=6)
        eye.canvas.fill(np.concatenate([above, edge[::-1]]), eye.skin_dark, alpha=lids.lid_alpha)


def _squashed(eye: Eye, closed_v: float, share: float) -> Eye:
    """Return the eye with this share of its height, its closed lid where it was."""
    flat = copy.copy(eye)
    flat.center = np.add(eye.center, (0, (1 - share) * eye.height * closed_v))
    flat.height = share * eye.height
    return flat
