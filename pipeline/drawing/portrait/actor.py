"""Portraits as characters of a film, with more kinds of eyes and skin than other portraits."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from pipeline.drawing.acting import Key, Places, Pose, Renderer, sample_closed_lid, square
from pipeline.drawing.canvas import Canvas
from pipeline.drawing.colors import iris_color, skin_color, tone
from pipeline.drawing.portrait.face import EYES, eye_boxes
from pipeline.drawing.portrait.figure import SCALE
from pipeline.drawing.portrait.ground import GROUNDS
from pipeline.drawing.portrait.look import Look
from pipeline.drawing.portrait.look import sample as sample_look
from pipeline.drawing.portrait.render import paint
from pipeline.drawing.sampling import Sampler

SPEECH = ("smile", "open", "neutral", "round")
MAX_EYE = 0.4, 0.5  # width and height, in the frame of the head

# In the size of other portraits' eyes -> weight.
WIDTHS = {(0.85, 1.25): 3, (0.75, 0.9): 1}
HEIGHTS = {(0.85, 1.25): 3, (1.25, 1.7): 1, (0.55, 0.8): 1}
LASH_WIDTHS = {(0.022, 0.022): 2, (0.01, 0.018): 1, (0.026, 0.04): 1.5}


@dataclass(frozen=True)
class PortraitActor:
    """A look that moves, talks and blinks."""

    look: Look

    def paint(self, pixels: np.ndarray, scale: int, pose: Pose) -> None:
        """Paint the person over `pixels`, which are `scale` times as large as the picture."""
        paint(pixels, self._posed(pose), scale)

    def places(self, pose: Pose) -> Places:
        """Return where the face is in the picture."""
        return Places(square(pose.center, self.look.side), *eye_boxes(self._posed(pose)))

    def _posed(self, pose: Pose) -> Look:
        mouth = self.look.mouth if pose.speech is None else SPEECH[pose.speech]
        return replace(self.look, center=pose.center, tilt=pose.tilt, mouth=mouth, opennesses=pose.openness)


def _sample(key: Key, side: float) -> PortraitActor:
    sampler = Sampler(np.random.default_rng((*key, 1)))
    look = sample_look(key[0], key[1])
    width, height = (length * look.eye_size for length in EYES[look.eye][:2])
    colors = {tone(look.hair, 0.35, 1.2): 2, (70, 35, 40): 1, (20, 16, 24): 1}
    return PortraitActor(
        replace(
            look,
            side=side,
            turn=look.turn * sampler.choice(1, 2),
            closed_lid=tuple(sample_closed_lid(sampler).tolist()),
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
    )


def _background(key: Key, size: tuple[int, int]) -> np.ndarray:
    look = sample_look(key[0], key[1])
    width, height = size
    pixels = np.empty((height * SCALE, width * SCALE, 3), np.uint8)
    GROUNDS[look.ground](Canvas(pixels, SCALE * min(size), (width * SCALE / 2, height * SCALE / 2)), look)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


PORTRAITS = Renderer(_sample, _background)
