"""Faces brought upright: which pixels, and which eyes."""

import math

import numpy as np
import pytest

from pipeline.faces import upright
from pipeline.faces.boxes import face_at
from pipeline.faces.landmarks import Landmarks
from pipeline.faces.views import Pyramid

BOX = (0.0, 0.0, 1.0, 1.0)


def landmarks(**changes) -> Landmarks:
    found = Landmarks(BOX, BOX, 0.9, 0.7, 1.0, 1.0, mouth=(0.0, 0.0), chin=(0.0, 0.0))
    return found._replace(**changes)


def test_a_face_that_does_not_lean_keeps_its_pixels():
    picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    for side in (40, 41, 37.3):
        view = upright.view_of(face_at(80.3, 61.7, side, 0, 1))
        crop = Pyramid(picture).show(view)
        size = round(upright.BOX_SCALE * side)
        assert crop.shape == (size, size, 3)
        matrix = view.to_picture()
        x, y = (round(end) for end in matrix[:, 2])
        np.testing.assert_allclose(matrix, [[1, 0, x], [0, 1, y]], atol=1e-9)
        assert (crop == picture[y : y + size, x : x + size]).all()
        assert math.dist((x + size / 2, y + size / 2), (80.3, 61.7)) < 1


@pytest.mark.parametrize("tilt", [-45.0, 20.0])
def test_a_face_that_leans_stands_upright_in_its_crop(tilt):
    view = upright.view_of(face_at(80, 60, 40, tilt, 1))
    matrix = view.to_picture()
    down = matrix[:, :2] @ (0, 1)
    np.testing.assert_allclose(down, (-math.sin(math.radians(tilt)), math.cos(math.radians(tilt))), atol=1e-9)


def test_the_face_lies_in_the_middle_of_its_crop():
    assert upright.face_box(150, 1.5) == pytest.approx((25, 25, 125, 125))
    assert upright.face_box(100, 1) == (0, 0, 100, 100)


@pytest.mark.parametrize(
    ("changes", "eyes", "openness"),
    [
        ({}, (True, True), 0.8),
        ({"left_visible": 0.3}, (False, True), 0.7),
        ({"right_visible": 0.3}, (True, False), 0.9),
        ({"right_visible": 0.4}, (True, True), 0.8),
        ({"left_visible": 0.0, "right_visible": 0.34}, (False, False), math.nan),
    ],
)
def test_an_eye_that_mostly_is_hidden_does_not_count(changes, eyes, openness):
    found = upright.seen_eyes(landmarks(**changes))
    assert (found.left_eye is not None, found.right_eye is not None) == eyes
    assert found.openness == pytest.approx(openness, nan_ok=True)


def test_an_eye_that_winks_does_not_count_if_only_open_ones_do():
    face = landmarks(right_openness=0.02)
    assert upright.seen_eyes(face).openness == pytest.approx(0.46)
    found = upright.seen_eyes(face, least=0.35)
    assert (found.left_eye, found.right_eye, found.openness) == (BOX, None, 0.9)
