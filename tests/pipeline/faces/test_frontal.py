"""The cascade for faces in photographs, on the one photograph of a face that a package brings."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import UserError
from pipeline.faces import detect, frontal

EYES = (204, 110), (243, 109)  # px, x and y, marked by hand


@pytest.fixture
def astronaut() -> np.ndarray:
    """Eileen Collins, of NASA, in the public domain: (512, 512, 3)."""
    found = importlib.util.find_spec("skimage")
    if found is None or found.origin is None:
        pytest.skip("scikit-image, which brings a photograph, is not installed")
    return np.asarray(Image.open(Path(found.origin).parent / "data/astronaut.png").convert("RGB"))


def find(picture: np.ndarray, sweep: str = "off"):
    asset = detect.DETECTORS["frontalface"].asset(None)
    return detect.find(picture, finder="frontalface", asset=asset, sweep=sweep, min_face=60)


def test_the_face_of_a_photograph_is_found_once_and_holds_its_eyes(astronaut):
    face, *others = find(astronaut)
    x0, y0, x1, y1 = face.box
    assert not others
    assert all(x0 < x < x1 and y0 < y < y1 for x, y in EYES)
    assert 60 <= x1 - x0 <= 160
    assert (face.tilt, find(astronaut, "full")) == (0.0, [face])


def test_no_face_is_found_in_noise_or_on_a_plain_ground():
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    assert find(noise) == find(np.full((200, 200, 3), 127, np.uint8)) == []


def test_a_missing_cascade_is_an_error_that_says_what_to_install(monkeypatch):
    monkeypatch.setattr(frontal, "FILE", "nothing.xml")
    with pytest.raises(UserError, match=r"--detector frontalface: there is no .*nothing\.xml; .*; pip install"):
        frontal.cascade_file(None)
