import numpy as np
import pytest
from PIL import Image, ImageDraw

from pipeline import hair
from pipeline.faces import Face
from pipeline.hair_color import color_scores
from pipeline.manifest import HAIR_COLORS

SKIN = "#fbe0cf"
FACE = Face((150.0, 150.0, 350.0, 350.0), tilt=0.0, score=1.0)


def head(color: str, ground: str = "#7f9f9f") -> np.ndarray:
    """A cap of hair round a face, as the detectors' boxes frame it."""
    picture = Image.new("RGB", (500, 500), ground)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((140, 60, 360, 340), fill=color)
    draw.ellipse((175, 170, 325, 335), fill=SKIN)
    draw.rectangle((170, 120, 330, 200), fill=color)
    return np.asarray(picture)


@pytest.mark.parametrize(("color", "name"), [
    ("#f3d676", "blonde"), ("#704526", "brown"), ("#1b1b22", "black"), ("#3d6fcf", "blue"), ("#f39fbf", "pink"),
    ("#7d4fb5", "purple"), ("#46a35a", "green"), ("#c02a2a", "red"), ("#cdd0da", "silver"),
])  # fmt: skip
def test_each_of_the_nine_is_named_on_any_ground(color, name):
    for ground in ("#ffffff", "#7f9f9f", "#203050", "#c02a2a", "#f3d676"):
        assert hair.name(color_scores(head(color, ground), FACE)) == name


def test_scores_are_probabilities():
    for color in ("#f3d676", "#00ff00", "#ff00ff", SKIN):
        scores = color_scores(head(color), FACE)
        assert len(scores) == len(HAIR_COLORS)
        assert min(scores) >= 0
        assert sum(scores) <= 1 + 1e-6


def test_a_face_at_the_very_edge_and_a_tiny_one_are_tagged_too():
    for box in ((-20.0, -20.0, 60.0, 60.0), (0.0, 0.0, 4.0, 4.0)):
        assert len(color_scores(head("#1b1b22"), Face(box, 0.0, 1.0))) == 9


def test_a_picture_without_contrast_is_no_division_by_nothing():
    scores = color_scores(np.full((100, 100, 3), 128, np.uint8), Face((20.0, 20.0, 80.0, 80.0), 0.0, 1.0))
    assert np.isfinite(scores).all()
    assert hair.name(scores) is None


def test_no_name_without_a_likely_colour():
    assert hair.name([0.3, 0.2, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]) is None
    assert hair.name([0.45, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]) is None
    assert hair.name([0.0, 0.5, 0.4, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]) == "brown"
