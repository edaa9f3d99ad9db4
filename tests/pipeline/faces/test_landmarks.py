"""Landmarks: the way from a network's output to the picture, and what the shipped weights find."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pipeline.drawing.portrait import look, render
from pipeline.errors import UserError
from pipeline.faces import landmark_network, landmarks
from pipeline.faces.boxes import Face
from pipeline.faces.landmark_network import CHIN, LEFT, MOUTH, RIGHT, LandmarkNetwork
from tests.support.run_luigi import ROOT
from tests.support.sprites import FACES

WEIGHTS = landmarks.FINDERS["network"].asset


def portrait(i: int, **changes) -> tuple[look.Look, Face]:
    shown = replace(look.sample(77, i), **changes)
    (x, y), half = shown.center, shown.side / 2
    return shown, Face((x - half, y - half, x + half, y + half), shown.tilt, 1.0)


def iou(a, b) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0, width) * max(0, height)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


@pytest.mark.parametrize("tilt", [0, 30, -45])
def test_a_right_output_gives_the_landmarks_of_the_picture(tilt):
    shown, face = portrait(0, tilt=float(tilt))
    upright, upright_face = portrait(0, tilt=0.0)
    view = landmark_network._view(upright_face)
    scale = view.step * landmark_network.SIZE / 2
    output = np.zeros(16)
    for columns, box in zip((LEFT, RIGHT), render.eye_boxes(upright), strict=True):
        output[columns] = (np.array(box) - (*upright.center, *upright.center)) / scale
    for columns, point in zip((MOUTH, CHIN), render.mouth_and_chin(upright), strict=True):
        output[columns] = (point - upright.center) / scale
    found = landmark_network._landmarks(output, landmark_network._view(face))
    for box, expected in zip((found.left_eye, found.right_eye), render.eye_boxes(shown), strict=True):
        assert iou(box, expected) > (0.99 if tilt == 0 else 0.8)
    np.testing.assert_allclose((found.mouth, found.chin), render.mouth_and_chin(shown), atol=0.02)


def test_a_mirrored_picture_has_mirrored_landmarks():
    shown, face = portrait(1, tilt=0.0)
    network, view = LandmarkNetwork().eval(), landmark_network._view(face)
    crop = landmark_network.Pyramid(render.render(shown)).show(view)
    plain, mirrored = landmark_network.predict(network, np.stack([crop, crop[:, ::-1]]))
    expected = plain[list(landmark_network.MIRRORED)] * landmark_network.MIRRORED_SIGN
    np.testing.assert_allclose(mirrored, expected, atol=1e-5)


def test_importing_landmarks_does_not_import_torch():
    code = "import sys, pipeline.faces.landmarks; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert answer.stdout.strip() == "False"


@pytest.mark.parametrize("damage", [lambda data: data[:5000], lambda data: b"", lambda data: b"x" * 100, None])
def test_damaged_weights_are_one_clear_error(damage, tmp_path):
    path = tmp_path / "landmarks.safetensors"
    if damage:
        with open(WEIGHTS, "rb") as file:
            path.write_bytes(damage(file.read()))
    _, face = portrait(0)
    with pytest.raises(UserError, match=r"landmarks\.safetensors: unreadable .*install this package again"):
        landmarks.find(np.zeros((64, 64, 3), np.uint8), [face], asset=str(path))


def test_no_faces_have_no_landmarks():
    assert landmarks.find(np.zeros((64, 64, 3), np.uint8), []) == []


def test_the_shipped_weights_find_the_eyes_of_portraits_and_how_far_they_are_open():
    found, expected, overlaps = [], [], []
    for i in range(24):
        openness = (1.0, 0.0, 0.5)[i % 3]
        shown, face = portrait(
            i, tilt=(-40.0, 0.0, 20.0, 45.0)[i % 4], opennesses=(openness, 1.0 if i == 4 else openness)
        )
        (one,) = landmarks.find(render.render(shown), [face])
        found += [one.left_openness, one.right_openness]
        expected += list(shown.opennesses)
        overlaps += [iou(*pair) for pair in zip(one[:2], render.eye_boxes(shown), strict=True)]
    found, expected = np.array(found), np.array(expected)
    assert np.corrcoef(found, expected)[0, 1] >= 0.95
    assert found[expected == 0].mean() < 0.2
    assert found[expected == 1].mean() > 0.8
    assert np.mean(overlaps) >= 0.7


def test_faces_of_one_picture_have_their_own_landmarks():
    shown, face = portrait(2, tilt=0.0)
    picture = render.render(shown)
    beside = np.concatenate([picture, picture], 1)
    x0, y0, x1, y1 = face.box
    moved = face._replace(box=(x0 + picture.shape[1], y0, x1 + picture.shape[1], y1))
    first, second = landmarks.find(beside, [face, moved])
    np.testing.assert_allclose(np.subtract(second.chin, first.chin), (picture.shape[1], 0), atol=1.5)
    assert abs(first.left_openness - second.left_openness) < 0.1


@pytest.mark.full
def test_sprites_that_giggle_have_closed_eyes_and_others_of_the_same_drawing_open_ones(sprites):
    for color in ("blue", "green"):
        for mood, low, high in (("giggle", 0, 0.3), ("normal", 0.7, 1)):
            name = f"sylvie {color} {mood}.png"
            with Image.open(sprites / name) as file:
                white = Image.new("RGBA", file.size, "white")
                picture = np.array(Image.alpha_composite(white, file.convert("RGBA")).convert("RGB"))
            (found,) = landmarks.find(picture, [Face(tuple(map(float, FACES[name])), 0.0, 1.0)])
            assert low <= found.left_openness <= high
            assert low <= found.right_openness <= high


def test_the_weights_are_small():
    assert landmark_network.load(WEIGHTS)
    with open(WEIGHTS, "rb") as file:
        assert len(file.read()) < 1_000_000
