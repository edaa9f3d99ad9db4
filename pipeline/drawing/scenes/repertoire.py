"""Repertoires: what plain scenes, and wide ones, are composed of.

Most art shows people from the front, drawn with lines and colours, as plain scenes do. Wide ones have what is rarer.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.canvas import SceneCanvas, Spot
from pipeline.drawing.scenes.clutter import CLUTTER, WRITTEN, Kind, clutter
from pipeline.drawing.scenes.damage import damage
from pipeline.drawing.scenes.ground import ground
from pipeline.drawing.scenes.lettering import letter
from pipeline.drawing.scenes.lighting import light
from pipeline.drawing.scenes.manners import MANNERS, Manner, Restyle, as_sampled
from pipeline.drawing.scenes.modelling import as_flat
from pipeline.drawing.scenes.objects import OBJECTS
from pipeline.drawing.scenes.person import chibi, face, grown_up, half_profile
from pipeline.drawing.scenes.postprocess import identity, treat
from pipeline.drawing.scenes.profile import profile

Painter = Callable[[SceneCanvas, Spot, Restyle], Spot | None]
Sides = dict[tuple[float, float], float]
"""Ranges of the side of a face's square, in sides of the picture -> weight."""


class Repertoire(NamedTuple):
    """What a scene is composed of."""

    manners: dict[Manner, float]
    """-> weight."""
    things: dict[tuple[Kind, ...], float]
    """Kinds of clutter -> weight."""
    people: dict[Painter, float]
    """With a face -> weight."""
    sides: Sides
    crowd_sides: Sides
    touching: float
    """The share of scenes whose people stand cheek by cheek."""
    covered: float
    """The share of faces that something is worn over, or held before."""
    holding: float
    """The share of people with flowers, hands and such in front of them."""
    write: Callable[[SceneCanvas], None]
    """Write over the whole picture."""
    finish: Callable[[Sampler, np.ndarray], np.ndarray]
    """The painted picture -> it in its light and with its damage."""


def lit_and_damaged(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Return the picture, uint8 RGB (size, size, 3), in its light and with its damage."""
    return damage(sampler, light(sampler, picture))


PLAIN = Repertoire(
    manners={Manner(ground, as_sampled, as_flat, treat): 1.0},
    things={CLUTTER: 1.0},
    people={face: 0.93, profile: 0.07},
    sides={(34 / 256, 130 / 256): 1.0},
    crowd_sides={(34 / 256, 68 / 256): 1.0},
    touching=0.0,
    covered=0.0,
    holding=0.12,
    write=functools.partial(clutter, kinds=WRITTEN),
    finish=identity,
)
WIDE = Repertoire(
    manners=MANNERS,
    things={CLUTTER: 0.7, OBJECTS: 0.3},
    people={face: 0.62, half_profile: 0.12, profile: 0.09, chibi: 0.07, grown_up: 0.1},
    sides={(16 / 256, 34 / 256): 0.12, (34 / 256, 130 / 256): 0.78, (130 / 256, 1.05): 0.1},
    crowd_sides={(24 / 256, 68 / 256): 1.0},
    touching=0.2,
    covered=0.25,
    holding=0.08,
    write=letter,
    finish=lit_and_damaged,
)
