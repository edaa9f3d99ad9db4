"""Drawn films: their files, and their truth."""

from fractions import Fraction

import numpy as np
import pytest

from pipeline.clips.video import Video
from pipeline.drawing import film


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Two short films of a seed: (path, truth)."""
    folder = tmp_path_factory.mktemp("films")
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(film, "SHOTS", {2: 1})
    yield [(folder / f"{i}.mp4", film.write(folder / f"{i}.mp4", 3, i)) for i in range(2)]
    monkeypatch.undo()


def fps_of(truth: film.Truth) -> int:
    return round(1 / truth.frames[1].time)


def test_the_file_has_the_frames_of_the_truth(written):
    for path, truth in written:
        fps = fps_of(truth)
        numbers = [frame.number for frame in Video(path, Fraction(fps))]
        assert numbers[0] == 0
        assert len(truth.frames) - 12 <= len(numbers) <= len(truth.frames)  # repeated ones at the end may be left out


def test_each_blink_is_a_moment_in_which_both_eyes_close_that_were_open(written):
    for _, truth in written:
        assert truth.blinks
        for blink in truth.blinks:
            at = round(blink.time * fps_of(truth))
            levels = [frame.faces[blink.face].openness for frame in truth.frames[at - 8 : at + 12]]
            assert {frame.shot for frame in truth.frames[at - 8 : at + 12]} == {blink.shot}
            assert levels[8] == (0, 0)
            assert max(levels[7]) > 0
            assert min(levels[0]) > 0.8
            assert min(levels[-1]) > 0.8


def test_the_eyes_lie_in_their_face_and_the_face_in_the_frame(written):
    for path, truth in written:
        height, width = next(iter(Video(path, Fraction(18)))).pixels.shape[:2]
        for frame in truth.frames[::10]:
            for face in frame.faces:
                x0, y0, x1, y1 = face.box
                assert x1 - x0 == pytest.approx(y1 - y0)
                assert -0.3 * width < x0 < x1 < 1.3 * width
                assert -0.3 * height < y0 < y1 < 1.3 * height
                assert face.left_eye[0] < face.right_eye[0]
                for eye in (face.left_eye, face.right_eye):
                    assert x0 < (eye[0] + eye[2]) / 2 < x1
                    assert y0 < (eye[1] + eye[3]) / 2 < y1


def test_equal_seeds_give_equal_bytes_and_others_do_not(written, tmp_path):
    path, truth = written[0]
    again = film.write(tmp_path / "again.mp4", 3, 0)
    assert (tmp_path / "again.mp4").read_bytes() == path.read_bytes() != written[1][0].read_bytes()
    assert again.blinks == truth.blinks


def test_films_of_many_seeds_have_each_kind_of_event_camera_and_rate():
    from pipeline.drawing.sampling import Sampler

    sampler = Sampler(np.random.default_rng(0))
    shots = [film._plan_shot(sampler, (0, i), (640, 360), 24) for i in range(80)]
    lids = [actor.lids for shot in shots for actor in shot.actors]
    assert {len(shot.actors) for shot in shots} == {1, 2, 3}
    assert {actor.motion for shot in shots for actor in shot.actors} == {*film.MOTIONS}
    assert any(((each[:, 0] == 0) & (each[:, 1] > 0.5)).any() for each in lids), "no wink"
    assert any((each.max(1) == 0).sum() > 24 for each in lids), "no lasting closed state"
    assert sum(len(actor.blinks) for shot in shots for actor in shot.actors) > 80


def test_before_a_still_camera_only_the_eyes_of_still_heads_change():
    from pipeline.drawing.sampling import Sampler

    sampler = Sampler(np.random.default_rng(1))
    for i in range(3):
        shot = film._plan_shot(sampler, (1, i), (480, 270), 12)
        still = [actor._replace(motion="still", talks=(0, 0)) for actor in shot.actors]
        shot = shot._replace(canvas=(480, 270), camera=lambda share: (0.0, 0.0, 1.0), actors=still)
        frames = list(film._frames([shot], (480, 270), 12))
        changed = np.any([frame.pixels != frames[0].pixels for frame in frames], axis=(0, 3))
        assert changed.any()
        for face in frames[0].faces:
            margin = 0.1 * (face.box[2] - face.box[0]) + 4  # of lashes and blur
            for x0, y0, x1, y1 in (face.left_eye, face.right_eye):
                changed[
                    round(max(y0 - margin, 0)) : round(y1 + margin), round(max(x0 - margin, 0)) : round(x1 + margin)
                ] = 0
        assert not changed.any()
