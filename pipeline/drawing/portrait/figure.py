"""The canvas of a portrait's figure: the frame of its head, the colours and the line of its look.

Everything is painted at SCALE times the picture's size and reduced once at the end.
"""

import numpy as np

from pipeline.drawing.canvas import CHIN, FACE, Canvas, Ramp
from pipeline.drawing.colors import RGB, mix, shadow, tone
from pipeline.drawing.portrait.look import Look

SCALE = 2


class Figure(Canvas):
    """A canvas in the head's frame, with the colours and the line of one look."""

    def __init__(self, pixels: np.ndarray, look: Look, scale: int = SCALE):
        super().__init__(pixels, *head_frame(look, scale))
        self.look = look
        self.icon = look.style == "icon"
        self.hair_dark = look.hair if look.shading == "flat" else shadow(look.hair, 1.1)
        self.skin_dark = tone(look.skin, 0.88, 1.45)
        self.ink = (28, 22, 34) if self.icon else mix(tone(look.hair, 0.32, 1.1, 0.05), (52, 30, 42), 0.5)
        self.hair_ink = self.ink if self.icon else tone(look.hair, 0.4, 1.25, 0.03)

    def paint(self, points, paint: RGB | Ramp, ink: RGB | None = None) -> None:
        """Paint a polygon and its outline."""
        self.shape(points, paint, ink or self.ink, self.look.line)

    def jitter(self, k: int, amount: float) -> float:
        """Return the k-th irregularity of the look, scaled by `amount`."""
        return amount * self.look.jitter[k % len(self.look.jitter)]


def head_frame(look: Look, scale: float) -> tuple[float, np.ndarray, float]:
    """Return unit, origin and tilt of the head's frame in a picture enlarged by `scale`."""
    unit = look.side / FACE
    angle = np.deg2rad(look.tilt)
    middle = unit * (CHIN - FACE / 2) * np.array([-np.sin(angle), np.cos(angle)])  # of the face box, from the origin
    return unit * scale, (np.array(look.center) - middle) * scale, look.tilt
