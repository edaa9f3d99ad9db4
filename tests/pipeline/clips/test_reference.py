"""The clip that other faces are animated by."""

import numpy as np
import pytest
from PIL import Image

from pipeline.clips import reference
from pipeline.drawing import film
from pipeline.errors import UserError
from pipeline.manifest import CLIP_FRAMES
from pipeline.sources import drawn
from tests.support.videos import write

FPS = 18


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """The first blink of a film, and its file."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    film.write(path, 1, 0)
    return reference.read(path, FPS), path


@pytest.mark.full
def test_the_first_blink_of_a_video_is_taken(clip):
    found, _ = clip
    assert found.frames.shape == (CLIP_FRAMES, reference.SIZE, reference.SIZE, 3)
    assert found.openness[0] > 0.6
    assert found.openness.min() < 0.2
    assert found.left_eye[2] < found.right_eye[0]


@pytest.mark.full
def test_a_film_strip_gives_the_same_blink(clip, tmp_path):
    found, _ = clip
    Image.fromarray(found.frames.reshape(-1, reference.SIZE, 3)).save(tmp_path / "strip.png")
    again = reference.read(tmp_path / "strip.png", FPS)
    assert (again.frames == found.frames).all()
    np.testing.assert_allclose(again.openness, found.openness, atol=0.15)
    np.testing.assert_allclose(again.left_eye, found.left_eye, atol=3)


@pytest.mark.full
def test_a_video_or_a_strip_without_a_blink_is_refused(tmp_path):
    open_face = np.asarray(drawn.draw(77, 0)[0].resize((128, 128)).convert("RGB"))
    write(tmp_path / "still.mp4", [open_face] * 40)
    with pytest.raises(UserError, match="no blink was found in it"):
        reference.read(tmp_path / "still.mp4", FPS)
    Image.fromarray(np.concatenate([open_face] * CLIP_FRAMES)).save(tmp_path / "strip.png")
    with pytest.raises(UserError, match="holds no blink"):
        reference.read(tmp_path / "strip.png", FPS)


def test_a_picture_is_no_reference(tmp_path):
    Image.new("RGB", (60, 80)).save(tmp_path / "picture.png")
    with pytest.raises(UserError, match="still_picture"):
        reference.read(tmp_path / "picture.png", FPS)
