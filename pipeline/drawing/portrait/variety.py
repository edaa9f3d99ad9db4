"""More kinds of eyes, closed lids and skin than portraits have."""

from dataclasses import replace

import numpy as np

from pipeline.drawing.colors import iris_color, skin_color, tone
from pipeline.drawing.portrait.face import EYES
from pipeline.drawing.portrait.look import CLOSED_LIDS, Look
from pipeline.drawing.sampling import Sampler

MAX_EYE = 0.4, 0.5  # width and height, in the frame of the head

# In the size of other portraits' eyes -> weight.
WIDTHS = {(0.85, 1.25): 3, (0.75, 0.9): 1}
HEIGHTS = {(0.85, 1.25): 3, (1.25, 1.7): 1, (0.55, 0.8): 1}
LASH_WIDTHS = {(0.022, 0.022): 2, (0.01, 0.018): 1, (0.026, 0.04): 1.5}
LIDS = {"low": 10, "drooping": 2, "middle": 1, "flat": 1, "rising": 1, "laughing": 1}  # of CLOSED_LIDS -> weight


def with_other_eyes(sampler: Sampler, look: Look) -> Look:
    """Return the look with wider, narrower, taller or lower eyes, other lashes and irises, and some with other skin."""
    width, height = (length * look.eye_size for length in EYES[look.eye][:2])
    colors = {tone(look.hair, 0.35, 1.2): 2, (70, 35, 40): 1, (20, 16, 24): 1}
    return replace(
        look,
        eye_stretch=(
            min(sampler.from_ranges(WIDTHS), MAX_EYE[0] / width),
            min(sampler.from_ranges(HEIGHTS), MAX_EYE[1] / height),
        ),
        lash_width=sampler.from_ranges(LASH_WIDTHS),
        lash=sampler.pick(colors) if sampler.chance(0.5) else None,
        lights=sampler.pick({2: 3, 1: 2, 0: 1}),
        has_flat_iris=sampler.chance(0.25),
        iris=iris_color(sampler) if sampler.chance(0.4) else look.iris,
        skin=skin_color(sampler) if sampler.chance(0.3) else look.skin,
    )


def sample_closed_lid(sampler: Sampler) -> np.ndarray:
    """Sample the line of a closed eye, mostly a low curve: (5,), heights at face.LID_U in eye heights down."""
    first, second = (np.array(CLOSED_LIDS[sampler.pick(LIDS)]) for _ in range(2))
    share = sampler.between(0, 0.35)
    return (1 - share) * first + share * second + sampler.between(-0.05, 0.06) + sampler.normal(0.012, 5)
