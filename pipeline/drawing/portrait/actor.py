"""Portraits as characters of a film, with more kinds of eyes and skin than other portraits."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from pipeline.drawing.acting import Key, Places, Pose, Renderer, square
from pipeline.drawing.canvas import Canvas
from pipeline.drawing.portrait.face import eye_boxes
from pipeline.drawing.portrait.figure import SCALE
from pipeline.drawing.portrait.ground import GROUNDS
from pipeline.drawing.portrait.look import Look
from pipeline.drawing.portrait.look import sample as sample_look
from pipeline.drawing.portrait.render import paint
from pipeline.drawing.portrait.variety import sample_closed_lid, with_other_eyes
from pipeline.drawing.sampling import Sampler

SPEECH = ("smile", "open", "neutral", "round")


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
    turn = look.turn * sampler.choice(1, 2)
    closed_lid = tuple(sample_closed_lid(sampler).tolist())
    return PortraitActor(with_other_eyes(sampler, replace(look, side=side, turn=turn, closed_lid=closed_lid)))


def _background(key: Key, size: tuple[int, int]) -> np.ndarray:
    look = sample_look(key[0], key[1])
    width, height = size
    pixels = np.empty((height * SCALE, width * SCALE, 3), np.uint8)
    GROUNDS[look.ground](Canvas(pixels, SCALE * min(size), (width * SCALE / 2, height * SCALE / 2)), look)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


PORTRAITS = Renderer(_sample, _background)
