"""The drawn heads of styles that the hair tagger never learned from."""

import numpy as np
import pytest

from pipeline.hair.color_names import distances, to_lab
from pipeline.manifest import HAIR_COLORS
from tests.benchmarks import held_out_hair
from tests.tools import measure_hair


@pytest.mark.parametrize("kind", held_out_hair.KINDS)
def test_pictures_are_a_function_of_their_number_and_their_hair_has_its_colour(kind):
    for i in range(2):
        one, again = (held_out_hair.draw(kind, 5, i) for _ in range(2))
        assert np.array_equal(one.picture, again.picture)
        assert one.face == again.face
        assert one.picture.shape == (held_out_hair.SIZE, held_out_hair.SIZE, 3)
        if kind in ("plain", "covered"):
            far = np.linalg.norm(to_lab(one.picture / 255) - one.color, axis=2)
            assert (far < 20).mean() > 0.01


def test_light_leaves_most_of_black_hair_black():
    for i in range(3):
        one = held_out_hair.draw("light on black", 6, i)
        assert HAIR_COLORS[distances(one.color).argmin()] == "black"
        assert (to_lab(one.picture / 255)[..., 0] < 45).mean() > 0.05


def test_sure_and_right_is_calibrated_and_sure_and_wrong_is_not():
    black = np.eye(9)[2]
    right, wrong = (measure_hair.Judged("plain", list(0.9 * np.eye(9)[k]), black) for k in (2, 3))
    assert measure_hair.calibration_error([right] * 9 + [wrong]) == pytest.approx(0, abs=1e-9)
    assert measure_hair.calibration_error([wrong]) == pytest.approx(0.9)
    assert (right.is_acceptable, wrong.is_acceptable, right.is_exact) == (True, False, True)
