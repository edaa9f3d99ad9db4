"""The turn and the shift between two pictures of a face."""

import math

import cv2
import numpy as np
import pytest

from pipeline.clips.alignment import MAX_SHIFT, MAX_TURN_DEG, Pose, moved, refine
from pipeline.drawing.portrait import look, render
from pipeline.faces.views import Pyramid, View

SIZE = 96
PICTURE = cv2.cvtColor(render.render(look.sample(1, 2, style="character")), cv2.COLOR_RGB2GRAY)
FACE = Pose(PICTURE.shape[1] / 2, PICTURE.shape[0] / 2, 120.0, 4.0)
STEP = 1.5 * FACE.side / SIZE  # px of the picture from one px of the crop to the next
EVERYTHING = np.full((SIZE, SIZE), 255, np.uint8)


def crop(pose: Pose) -> np.ndarray:
    return Pyramid(PICTURE).show(View(pose[:2], (SIZE, SIZE), STEP, pose.tilt))


@pytest.mark.parametrize(("dx", "dy", "turn"), [(0.0, 0.0, 0.0), (3.3, -2.2, 0.0), (-1.4, 4.1, 3.0), (0.2, 0.1, -5.0)])
def test_the_pose_of_another_crop_is_corrected(dx, dy, turn):
    off = FACE._replace(x=FACE.x + dx, y=FACE.y + dy, tilt=FACE.tilt + turn)
    warp, correlation = refine(crop(FACE), crop(off), np.eye(2, 3), EVERYTHING)
    found = moved(off, warp, SIZE, SIZE, STEP)
    assert math.dist(found[:2], FACE[:2]) < 0.15 * STEP
    assert found.tilt == pytest.approx(FACE.tilt, abs=0.2)
    assert found.side == FACE.side
    assert correlation > 0.98


def test_what_is_masked_does_not_count():
    window = crop(FACE).copy()
    mask = EVERYTHING.copy()
    window[30:60, 20:76] = 255 - window[30:60, 20:76]
    mask[27:63, 17:79] = 0
    warp, correlation = refine(crop(FACE), window, np.eye(2, 3), mask)
    assert np.abs(warp - np.eye(2, 3)).max() < 0.05
    assert correlation > 0.99
    assert refine(crop(FACE), window, np.eye(2, 3), EVERYTHING)[1] < 0.95


@pytest.mark.parametrize(("dx", "turn"), [(1.3 * MAX_SHIFT * SIZE * STEP, 0.0), (0.0, 1.4 * MAX_TURN_DEG)])
def test_a_motion_beyond_the_limits_is_none(dx, turn):
    off = FACE._replace(x=FACE.x + dx, tilt=FACE.tilt + turn)
    assert refine(crop(FACE), crop(off), np.eye(2, 3), EVERYTHING) is None


def test_there_is_nothing_to_align_by_on_a_plain_ground():
    plain = np.full((SIZE, SIZE), 200, np.uint8)
    assert refine(plain, plain, np.eye(2, 3), EVERYTHING) is None
