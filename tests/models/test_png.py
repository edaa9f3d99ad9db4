"""PNG files that are written in strips, read by Pillow and OpenCV."""

import cv2
import numpy as np
import pytest
from PIL import Image

from models.sampling.png import read_texts, write_png


def write(path, pixels: np.ndarray, **more) -> None:
    with open(path, "wb") as file:
        write_png(file, np.split(pixels, [1, 7]), pixels.shape[:2], texts={"key": "värde\n2"}, **more)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pixels_are_those_that_were_given(channels, dtype, tmp_path):
    most = np.iinfo(dtype).max
    pixels = np.random.default_rng(0).integers(0, most, (90, 11, channels), dtype=dtype, endpoint=True)
    write(tmp_path / "a.png", pixels)
    found = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    assert found.dtype == dtype
    found = found.reshape(90, 11, -1)
    order = {1: [0], 2: [0, 3], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    assert (found[..., order] == pixels).all()
    with Image.open(tmp_path / "a.png") as file:
        file.load()
        assert file.text == {"key": "värde\n2"}
    assert read_texts(tmp_path / "a.png") == {"key": "värde\n2"}


def test_a_palette_and_metadata_are_in_the_file(tmp_path):
    palette = np.array([[255, 0, 0, 255], [0, 9, 0, 128], [0, 0, 0, 0]], np.uint8)
    exif = Image.Exif()
    exif[0x010E] = "a drawing"
    numbers = np.arange(30, dtype=np.uint8).reshape(10, 3, 1) % 3
    write(tmp_path / "a.png", numbers, palette=palette, exif=exif.tobytes()[6:], profile=b"a profile")
    with Image.open(tmp_path / "a.png") as file:
        assert file.mode == "P"
        assert (np.asarray(file.convert("RGBA")) == palette[numbers[..., 0]]).all()
        assert file.getexif()[0x010E] == "a drawing"
        assert file.info["icc_profile"] == b"a profile"


def test_texts_of_no_png_are_none(tmp_path):
    (tmp_path / "a.png").write_bytes(b"none")
    assert read_texts(tmp_path / "a.png") == read_texts(tmp_path / "b.png") == {}
