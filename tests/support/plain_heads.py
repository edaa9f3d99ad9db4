"""Plain heads: a cap of hair of one of nine colours round a face, on five grounds."""

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw

from pipeline.faces.boxes import Face

SKIN = "#fbe0cf"
FACE = Face((150.0, 150.0, 350.0, 350.0), tilt=0.0, score=1.0)
COLORS = {
    "blonde": "#f3d676",
    "brown": "#704526",
    "black": "#1b1b22",
    "blue": "#3d6fcf",
    "pink": "#f39fbf",
    "purple": "#7d4fb5",
    "green": "#46a35a",
    "red": "#c02a2a",
    "silver": "#cdd0da",
}
GROUNDS = ("#ffffff", "#7f9f9f", "#203050", "#c02a2a", "#f3d676")


def head(color: str, ground: str = "#7f9f9f") -> np.ndarray:
    """A cap of hair round a face, as the detectors' boxes frame it."""
    picture = Image.new("RGB", (500, 500), ground)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((140, 60, 360, 340), fill=color)
    draw.ellipse((175, 170, 325, 335), fill=SKIN)
    draw.rectangle((170, 120, 330, 200), fill=color)
    return np.asarray(picture)


def plain_heads() -> Iterator[tuple[str, np.ndarray]]:
    """The name and the picture of all 45."""
    for name, color in COLORS.items():
        for ground in GROUNDS:
            yield name, head(color, ground)
