"""The cascade for faces in photographs, on the one photograph of a face that a package brings."""

import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import UserError
from pipeline.faces import detect, frontal

PACKAGE = "scikit-image==0.26.0"
EYES = (204, 101), (248, 103)  # px, x and y, marked by hand


@pytest.fixture(scope="module")
def astronaut(tmp_path_factory) -> np.ndarray:
    """Eileen Collins, by NASA, in the public domain: (512, 512, 3)."""
    place = tmp_path_factory.mktemp("photograph")
    client = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    if subprocess.run([*client, PACKAGE], cwd=place, check=False, capture_output=True).returncode:
        pytest.skip(f"{PACKAGE}, which brings a photograph, cannot be had here")
    (wheel,) = place.iterdir()
    with zipfile.ZipFile(wheel) as package, package.open("skimage/data/astronaut.png") as file:
        return np.asarray(Image.open(file).convert("RGB"))


def find(picture: np.ndarray, sweep: str = "off"):
    asset = detect.DETECTORS["frontalface"].asset(None)
    return detect.find(picture, finder="frontalface", asset=asset, sweep=sweep, min_face=60)


@pytest.mark.full
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
