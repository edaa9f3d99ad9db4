"""Characters of films, by each hand: what a pose changes, and what it leaves as it is."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.drawing.acting import Pose
from pipeline.drawing.portrait.actor import PORTRAITS
from pipeline.drawing.portrait.variety import sample_closed_lid
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.actor import MIN_VISIBLE, SCENES

RENDERERS = {"portraits": PORTRAITS, "scenes": SCENES}
SIZE, SIDE = 240, 120
OPEN = Pose((120.0, 130.0), 8.0, None, (1, 1))
COUNT = 5


@pytest.fixture(params=RENDERERS.values(), ids=RENDERERS)
def hand(request):
    return request.param


def painted(character, pose: Pose, scale: int = 1) -> np.ndarray:
    pixels = np.full((SIZE * scale, SIZE * scale, 3), 127, np.uint8)
    character.paint(pixels, scale, pose)
    return pixels


def near(boxes, margin: float) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), bool)
    for x0, y0, x1, y1 in np.round(boxes).astype(int) + np.array([-1, -1, 1, 1]) * round(margin):
        mask[y0:y1, x0:x1] = True
    return mask


def with_iris(character, color):
    if hasattr(character, "look"):
        return replace(character, look=replace(character.look, iris=color))
    eyes = replace(character.style.eyes, sclera=color, iris=color, iris_deep=color, iris_light=color, pupil_color=color)
    return replace(character, style=replace(character.style, eyes=eyes))


def test_a_blink_changes_pixels_near_the_eyes_alone(hand):
    for i in range(COUNT):
        character = hand.sample((4, i), SIDE)
        before, eyes = painted(character, OPEN), near(character.places(OPEN)[1:], 0.09 * SIDE)
        for openness in ((0.9, 0.9), (0.4, 0.4), (0, 0), (0, 1)):
            changed = (painted(character, OPEN._replace(openness=openness)) != before).any(2)
            assert changed.any()
            assert not (changed & ~eyes).any()


def test_a_mouth_that_talks_changes_pixels_below_the_eyes_alone(hand):
    for i in range(COUNT):
        character = hand.sample((4, i), SIDE)
        before, (box, left, right) = painted(character, OPEN), character.places(OPEN)
        lowest = box[3] + 0.1 * SIDE
        mouths = [painted(character, OPEN._replace(speech=k)) for k in range(4)]
        assert any((mouths[0] != each).any() for each in mouths)
        for each in mouths:
            rows = np.flatnonzero((each != before).any((1, 2)))
            assert not len(rows) or ((left[1] + right[1]) / 2 < rows[0] and rows[-1] < lowest)


def test_closed_eyes_leave_no_iris_and_more_open_ones_show_more_of_it(hand):
    for i in range(COUNT):
        character = hand.sample((7, i), SIDE)
        one, other = with_iris(character, (20, 90, 240)), with_iris(character, (240, 90, 20))
        seen = []
        for openness in (0, 0.3, 0.6, 1):
            pose = OPEN._replace(openness=(openness, openness))
            seen.append(int((painted(one, pose) != painted(other, pose)).any(2).sum()))
        assert seen[0] == 0
        assert seen == sorted(seen)
        assert seen[-1] > 12


def test_a_head_that_moves_and_a_larger_picture_show_the_same_person(hand):
    character = hand.sample((5, 1), SIDE)
    moved = OPEN._replace(center=(OPEN.center[0] + 7, OPEN.center[1] - 4))
    before = painted(character, OPEN)
    shift = painted(character, moved)[:-4, 7:].astype(int) - before[4:, :-7]
    assert np.abs(shift).mean() < 1
    twice = painted(character, OPEN, 2).reshape(SIZE, 2, SIZE, 2, 3).mean((1, 3))
    assert np.abs(twice - before).mean() < 12


def test_eyes_lie_side_by_side_in_the_box_and_move_with_it(hand):
    for i in range(COUNT):
        character = hand.sample((6, i), SIDE)
        here, there = character.places(OPEN), character.places(OPEN._replace(center=(220.0, 30.0)))
        assert np.subtract(there, here) == pytest.approx(np.tile((100, -100), (3, 2)))
        (x0, y0, x1, y1), left, right = here
        assert left[0] < right[0]
        for eye in (left, right):
            assert x0 < (eye[0] + eye[2]) / 2 < x1
            assert y0 < (eye[1] + eye[3]) / 2 < y1


def test_equal_keys_give_equal_characters_and_backgrounds(hand):
    images = [painted(hand.sample(key, SIDE), OPEN) for key in ((1, 2), (1, 2), (1, 3))]
    assert (images[0] == images[1]).all()
    assert (images[0] != images[2]).any()
    grounds = [hand.background(key, (90, 60)) for key in ((1, 2), (1, 2), (1, 3))]
    assert grounds[0].shape == (60, 90, 3)
    assert (grounds[0] == grounds[1]).all()
    assert (grounds[0] != grounds[2]).any()


def test_the_eyes_of_scenes_are_covered_in_part_at_most():
    assert all(SCENES.sample((8, i), SIDE).has_visible_eyes() for i in range(4))
    assert MIN_VISIBLE > 0.5


def test_eyes_mostly_close_in_a_low_curve():
    sampler = Sampler(np.random.default_rng(0))
    lids = np.array([sample_closed_lid(sampler) for _ in range(300)])
    assert 0.5 < (lids[:, 2] > 0.25).mean() < 0.95
    assert (lids[:, 2] < 0.05).any()
