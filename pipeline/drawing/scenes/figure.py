"""The canvas of one figure: the frame of its head, and the style that its parts share."""

import numpy as np

from pipeline.drawing.canvas import Ramp
from pipeline.drawing.colors import RGB
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.canvas import SceneCanvas, Spot, face_frame
from pipeline.drawing.scenes.style import Style


class Figure(SceneCanvas):
    """A canvas in the head's frame, warped by the style."""

    def __init__(self, pixels: np.ndarray, sampler: Sampler, spot: Spot, style: Style):
        super().__init__(pixels, sampler, *face_frame(spot), style.warp)
        self.style = style

    @property
    def top(self) -> float:
        """Return y of the hair's parting."""
        return -0.3 - 0.62 * self.style.volume

    def paint(self, points, paint: RGB | Ramp) -> None:
        """Paint a polygon with the figure's outline."""
        self.shape(points, paint, self.style.ink, self.style.line)

    def paint_hair(self, points) -> None:
        """Paint a polygon in the hair's colour with the hair's outline."""
        self.shape(points, self.style.hair, self.style.hair_ink, self.style.line)
