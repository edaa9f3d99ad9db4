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

from pipeline.drawing.canvas import Canvas
from pipeline.drawing.portrait.accessories import accessory
from pipeline.drawing.portrait.clothes import body
from pipeline.drawing.portrait.face import brows, eye_boxes, eye_outlines, features, head, mouth_and_chin
from pipeline.drawing.portrait.figure import SCALE, Figure
from pipeline.drawing.portrait.ground import GROUNDS
from pipeline.drawing.portrait.hair import back_hair, front_hair
from pipeline.drawing.portrait.look import Look

__all__ = ["eye_boxes", "eye_outlines", "mouth_and_chin", "paint", "render", "render_group"]


def render(look: Look) -> np.ndarray:
    """Return the picture, uint8 RGB (height, width, 3)."""
    return render_group([look], look.size)


def render_group(looks: Sequence[Look], size: tuple[int, int]) -> np.ndarray:
    """Return one picture of several figures, uint8 RGB (height, width, 3), from back to front over the first one's
    background. `size`: width and height, px; a look's centre and side are in px of this picture, its own size is not
    used."""
    width, height = size
    pixels = np.empty((height * SCALE, width * SCALE, 3), np.uint8)
    ground = Canvas(pixels, SCALE * min(size), (width * SCALE / 2, height * SCALE / 2))
    GROUNDS[looks[0].ground](ground, looks[0])
    for look in looks:
        paint(pixels, look)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def paint(pixels: np.ndarray, look: Look, scale: int = SCALE) -> None:
    """Paint a figure over pixels, uint8 RGB, which are `scale` times as large as the picture."""
    figure = Figure(pixels, look, scale)
    for part in (back_hair, body, head, features, front_hair, brows, accessory):
        part(figure)
