"""A portrait's face close up, with its landmarks: eyes at any openness, larger and smaller, in heads that lean."""

from dataclasses import replace

import numpy as np

from pipeline.drawing.landmarks import DrawnFace, sample_openness
from pipeline.drawing.portrait.look import CLOSED_LIDS, Look, sample
from pipeline.drawing.portrait.render import eye_outlines, mouth_and_chin, render
from pipeline.drawing.portrait.variety import with_other_eyes
from pipeline.drawing.sampling import Sampler

STYLES = {"character": 0.92, "icon": 0.08}
PICTURE_SIDES = 2.4  # side of the picture, in sides of the face
TILTS = {(-12.0, 12.0): 0.5, (-60.0, 60.0): 0.5}


def draw_face(seed: int, i: int) -> DrawnFace:
    """Return the i-th face of a seed, 45 to 260 px. Equal arguments give equal pixels."""
    sampler = Sampler(np.random.default_rng((seed, i, 3)))
    look = _vary(sampler, sample(seed, i, style=sampler.pick(STYLES)))
    mouth, chin = mouth_and_chin(look).tolist()
    return DrawnFace(
        picture=render(look),
        square=(*look.center, look.side, look.tilt),
        outlines=eye_outlines(look),
        openness=(look.openness_of(-1), look.openness_of(1)),
        visible=(1.0, 1.0),
        mouth=tuple(mouth),
        chin=tuple(chin),
    )


def _vary(sampler: Sampler, look: Look) -> Look:
    """Return a look with other eyes, size, place and tilt, in a picture that shows little else than the face."""
    side = look.side * sampler.choice(0.45, 0.7, 1)
    size = round(PICTURE_SIDES * side)
    center = size / 2 + sampler.point(-0.08, 0.08) * size
    share = sampler.between(0, 1)
    first, second = (np.array(CLOSED_LIDS[sampler.choice(*CLOSED_LIDS)]) for _ in range(2))
    closed = share * first + (1 - share) * second + sampler.between(-0.05, 0.05)
    look = replace(
        look,
        size=(size, size),
        side=side,
        center=tuple(center.tolist()),
        tilt=sampler.from_ranges(TILTS),
        opennesses=sample_openness(sampler),
        closed_lid=tuple(closed.tolist()),
        eye_size=look.eye_size * sampler.between(0.7, 1.3),
        turn=look.turn * sampler.choice(1, 2),
    )
    return with_other_eyes(sampler, look) if sampler.chance(0.6) else look
