"""Whole illustrations, portraits and scenes of several people, to train on pictures rather than on faces.

Two renderers draw the people and what is behind them: `portrait` and `scenes`. All is painted at SCALE times the
picture's size and reduced once: lines stay sharp, and their edges are smooth.
"""

import cv2
import numpy as np

from pipeline.drawing.acting import Character, Pose, Renderer
from pipeline.drawing.portrait.actor import PORTRAITS
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes import postprocess
from pipeline.drawing.scenes.actor import SCENES
from pipeline.drawing.scenes.canvas import SceneCanvas
from pipeline.drawing.scenes.clutter import clutter, flowers, frill, leaves, letters, lines, signs

VERSION = 1
"""Raise it when the same (seed, i) gives other pixels."""
SIZE = 512  # px
SCALE = 2
MAX_PEOPLE = 5
PEOPLE = {1: 5, 2: 2, 3: 2, 4: 1, MAX_PEOPLE: 1}  # -> weight
PORTRAIT_SIDES = {(0.3, 0.5): 3, (0.5, 0.8): 1}  # of the face of one person, in sides of the picture -> weight
PORTRAIT_HEIGHTS = 0.35, 0.6  # of its centre, in sides of the picture
CROWD_SIDES = 0.5, 1.05  # of a face among others, in the width that each person has
CROWD_HEIGHTS = 1, 2.6  # of its centre above the lower edge, in sides of the face
RENDERERS: dict[Renderer, float] = {PORTRAITS: 3, SCENES: 2}  # of each person and background -> weight
TILTS = {(-10.0, 10.0): 5, (-40.0, 40.0): 1}  # degrees
OPENNESSES = {(1.0, 1.0): 8, (0.0, 0.0): 1, (0.6, 0.9): 1}
DETAILS = (flowers, leaves, letters, lines, signs, frill)
BEHIND, IN_FRONT = {0: 4, 1: 2, 3: 2}, {0: 6, 1: 1}  # groups of DETAILS -> weight
LIGHTS = {0: 3, 1: 1, 2: 1}
TREATMENTS = {  # of `postprocess`, those that leave lines sharp -> weight
    postprocess.identity: 14,
    postprocess.rotate_hue: 2,
    postprocess.mix_channels: 1,
    postprocess.tint: 1,
    postprocess.grayscale: 1,
    postprocess.posterize: 0.5,
    postprocess.sepia: 0.5,
    postprocess.line_art: 1,
}


def draw(seed: int, i: int, size: int = SIZE) -> np.ndarray:
    """Return the i-th illustration of a seed, uint8 RGB (size, size, 3). Equal arguments give equal pixels."""
    sampler = Sampler(np.random.default_rng((seed, i, 4)))
    people = _sample_people(sampler, (seed, (MAX_PEOPLE + 1) * i), size)
    background = sampler.pick(RENDERERS).background((seed, (MAX_PEOPLE + 1) * i + MAX_PEOPLE), 2 * (SCALE * size,))
    canvas = SceneCanvas(background, sampler)
    for _ in range(sampler.pick(BEHIND)):
        clutter(canvas, DETAILS)
    for character, pose in people:
        character.paint(canvas.pixels, SCALE, pose)
    for _ in range(sampler.pick(IN_FRONT)):
        clutter(canvas, DETAILS)
    picture = cv2.resize(canvas.pixels, (size, size), interpolation=cv2.INTER_AREA)
    for _ in range(sampler.pick(LIGHTS)):
        picture = postprocess.add_light(sampler, picture)
    return np.ascontiguousarray(sampler.pick(TREATMENTS)(sampler, picture))


def _sample_people(sampler: Sampler, key: tuple[int, int], size: int) -> list[tuple[Character, Pose]]:
    """Return the people from back to front, the small ones first."""
    count = sampler.pick(PEOPLE)
    people = []
    for k in range(count):
        x = size * (k + 0.5 + sampler.between(-0.2, 0.2)) / count
        if count == 1:
            side, y = size * sampler.from_ranges(PORTRAIT_SIDES), size * sampler.between(*PORTRAIT_HEIGHTS)
        else:
            side = size / count * sampler.between(*CROWD_SIDES)
            y = max(0.6 * side, size - side * sampler.between(*CROWD_HEIGHTS))
        speech = sampler.integer(0, 4) if sampler.chance(0.3) else None
        openness = sampler.from_ranges(OPENNESSES)
        pose = Pose((x, y), sampler.from_ranges(TILTS), speech, (openness, openness))
        people.append((side, sampler.pick(RENDERERS).sample((key[0], key[1] + k), side), pose))
    return [(character, pose) for _, character, pose in sorted(people, key=lambda person: person[0])]
