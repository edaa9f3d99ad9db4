"""Faces that are put back into their picture."""

import cv2
import numpy as np
import pytest

from models.sampling import pasting
from pipeline.faces.boxes import Face
from pipeline.faces.crop import Frame, crop, view_of_crop

FRAMES = [Frame(1.5), Frame.of_box(0.2, 0.3, 0.8, 0.9)]


def smooth_picture() -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (12, 15, 3)).astype(np.uint8)
    return cv2.resize(noise, (300, 240), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize(("tilt", "rotation"), [(0, 0), (30, 0), (-20, 45)])
def test_a_crop_lies_where_it_was_cut_from(frame, tilt, rotation):
    picture, face = smooth_picture(), Face((110, 80, 190, 160), tilt, 1.0)
    how = {"box_scale": frame.box_scale, "offset": frame.offset, "rotation": rotation}
    view = view_of_crop(face, size=128, frame=frame, rotation=rotation)
    same = pasting.paste(picture, crop(picture, face, size=128, **how), view)
    assert np.abs(same.astype(int) - picture).max() <= 12
    red = pasting.paste(picture, np.full((128, 128, 3), (255, 0, 0), np.uint8), view)
    matrix = view.to_picture()
    x, y = np.rint(matrix[:, :2] @ (63.5, 63.5) + matrix[:, 2]).astype(int)
    assert (red[y, x] == (255, 0, 0)).all()
    assert (red[:5] == picture[:5]).all()


def test_alpha_stays_and_what_is_clear_keeps_its_color():
    picture = np.dstack([smooth_picture(), np.full((240, 300), 255, np.uint8)])
    picture[:, :150, 3] = 0
    view = view_of_crop(Face((110, 80, 190, 160), 0, 1.0), size=64, frame=FRAMES[0])
    pasted = pasting.paste(picture, np.zeros((64, 64, 3), np.uint8), view)
    assert (pasted[..., 3] == picture[..., 3]).all()
    assert (pasted[:, :150] == picture[:, :150]).all()
    assert (pasted[120, 155] == (0, 0, 0, 255)).all()


def test_a_face_beside_the_picture_changes_nothing():
    picture = smooth_picture()
    view = view_of_crop(Face((900, 80, 980, 160), 0, 1.0), size=64, frame=FRAMES[0])
    assert (pasting.paste(picture, np.zeros((64, 64, 3), np.uint8), view) == picture).all()
