"""The pixels of a sampled `Look`. Nothing here is random: equal looks give equal pixels.

Shapes are tables of points in the head's frame: x from the face's axis to the picture's right, y down from between the
eyes, the chin at CHIN. The face box is the square of side FACE whose bottom edge touches the chin. One similarity
(tilt, scale, place) maps the frame to the picture, so a tilt is exact geometry. Painted from back to front:

ground       the background: plain, patterned or graded
hair         behind the head; later bangs, sidelocks and shine
clothes      neck, shoulders, garments
face         head, eyes, mouth, and over the hair the brows
accessories  what is worn on top
"""

from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.drawing.canvas import CHIN, Canvas
from pipeline.drawing.portrait.accessories import accessory
from pipeline.drawing.portrait.clothes import body
from pipeline.drawing.portrait.face import MOUTH_SHIFT, MOUTH_Y, brows, eye_boxes, features, head
from pipeline.drawing.portrait.figure import SCALE, Figure, head_frame
from pipeline.drawing.portrait.ground import GROUNDS
from pipeline.drawing.portrait.hair import back_hair, front_hair
from pipeline.drawing.portrait.look import Look

__all__ = ["eye_boxes", "mouth_and_chin", "render", "render_group"]


def render(look: Look) -> np.ndarray:
    """Return the picture, uint8 RGB (height, width, 3)."""
    return render_group([look])


def render_group(looks: Sequence[Look]) -> np.ndarray:
    """Return a picture of several figures, from the back to the front, on the ground and of the size of the first."""
    width, height = looks[0].size
    pixels = np.empty((height * SCALE, width * SCALE, 3), np.uint8)
    ground = Canvas(pixels, SCALE * min(width, height), (width * SCALE / 2, height * SCALE / 2))
    GROUNDS[looks[0].ground](ground, looks[0])
    for look in looks:
        figure = Figure(pixels, look)
        for paint in (back_hair, body, head, features, front_hair, brows, accessory):
            paint(figure)
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)


def mouth_and_chin(look: Look) -> np.ndarray:
    """Return the middle of the mouth and the tip of the chin, (2, 2), px."""
    frame = Canvas(np.empty((0, 0, 3), np.uint8), *head_frame(look, 1))
    return frame.place([(MOUTH_SHIFT * look.turn, MOUTH_Y), (0, CHIN)])
