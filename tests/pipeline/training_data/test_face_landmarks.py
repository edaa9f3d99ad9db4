"""The training set of the landmark network: arrays that repeat what was drawn."""

import numpy as np

from pipeline.training_data import face_landmarks


def test_faces_are_drawn_in_their_order_however_many_processes_draw(tmp_path):
    for jobs in (1, 2):
        (tmp_path / str(jobs)).mkdir()
        face_landmarks.draw_all(5, 6, tmp_path / str(jobs), jobs=jobs)
    for name in ("pictures.npy", "faces.npy"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    pictures, rows = (np.load(tmp_path / "1" / name) for name in ("pictures.npy", "faces.npy"))
    picture, row = face_landmarks.centered(face_landmarks.draw_face(5, 4))
    assert (pictures[4] == picture).all()
    assert (rows[4] == row).all()


def test_points_are_moved_and_scaled_with_the_face():
    face = face_landmarks.draw_face(5, 1)
    x, y, side, tilt = face.square
    _, row = face_landmarks.centered(face)
    scale = face_landmarks.SIZE / face_landmarks.FACE_SIDES / side
    assert row[0] == np.float32(tilt)
    np.testing.assert_allclose(row[1:5], (*face.openness, *face.visible), rtol=1e-6)
    np.testing.assert_allclose((row[5:7] - face_landmarks.SIZE / 2) / scale + (x, y), face.mouth, atol=1e-3)
    count = 2 * face_landmarks.DIRECTIONS
    left = (row[9 : 9 + count].reshape(-1, 2) - face_landmarks.SIZE / 2) / scale + (x, y)
    np.testing.assert_allclose(left.min(0), face.outlines[0].min(0), atol=1e-3)
    np.testing.assert_allclose(left.max(0), face.outlines[0].max(0), atol=1e-3)


def test_portraits_of_all_hair_colours_are_among_the_faces(monkeypatch):
    drawn = []
    monkeypatch.setattr(face_landmarks.portrait, "draw_face", lambda seed, i: drawn.append(i))
    monkeypatch.setattr(face_landmarks.scene, "draw_face", lambda seed, i: None)
    for i in range(27):
        face_landmarks.draw_face(0, i)
    assert drawn == list(range(9))
