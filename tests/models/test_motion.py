"""When eyes close and open."""

import numpy as np
import pytest

from models.sampling.motion import ANIME_FPS, END_S, natural, of_clip


@pytest.mark.parametrize("seed", range(20))
def test_anime_closes_at_once_and_opens_in_steps(seed):
    motion = natural(6, seed, 0)
    assert motion.openness[0] == 1
    curve = motion.openness[motion.shown]
    assert len(curve) == 6 * ANIME_FPS
    assert (curve[-round(0.8 * END_S * ANIME_FPS) :] == 1).all()
    closings = np.flatnonzero((curve[1:] == 0) & (curve[:-1] > 0))
    assert len(closings) >= 1
    assert (curve[closings] == 1).all()
    for start in closings + 1:
        after = curve[start : start + 12]
        held = int((after > 0).argmax())
        assert held in (2, 3)
        steps = np.diff(after[held - 1 :])
        assert 3 <= int((steps > 0).sum()) <= 4


def test_intervals_come_from_the_seed_and_faces_do_not_blink_together():
    def start(seed: int, face: int) -> int:
        motion = natural(4, seed, face)
        return int((motion.openness[motion.shown] == 0).argmax())

    assert start(1, 0) == start(1, 0)
    assert len({start(seed, 0) for seed in range(20)}) > 8
    assert start(1, 0) != start(1, 1)


def test_even_the_shortest_animation_has_a_blink():
    for seed in range(50):
        motion = natural(1.5, seed, 0)
        assert (motion.openness[motion.shown] == 0).any()
    with pytest.raises(ValueError, match="too short"):
        natural(0.3, 0, 0)


def test_a_clips_openness_is_relative_to_its_first_frame_and_then_rests():
    openness = np.array([0.8, 0.4, 0.0, 0.6], np.float32)
    motion = of_clip(openness, None, 18, seconds=0.5)
    np.testing.assert_allclose(motion.openness, [1, 0.5, 0, 0.75])
    assert motion.shown.tolist() == [0, 1, 2, 3, 0, 0, 0, 0, 0]
    assert len(of_clip(openness, None, 18, seconds=0).shown) == 4


def test_while_a_clips_eyes_are_open_the_picture_stays_as_it_is():
    openness = np.array([0.9, 0.89, 0.92, 0.3, 0.0, 0.85, 0.88, 0.9], np.float32)
    assert of_clip(openness, None, 18, seconds=0).shown.tolist() == [0, 0, 0, 3, 4, 5, 0, 0]
