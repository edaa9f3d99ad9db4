"""Pictures in the mode of their files, also of odd files."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipeline.images.decode import Rejected
from pipeline.images.native import decode_native

FINE = np.arange(600, dtype=np.uint16).reshape(20, 30) * 100


def encoded(picture: Image.Image, format_: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, format_, **options)
    return file.getvalue()


def test_pixels_of_16_bits_are_turned_as_exif_says():
    exif = Image.Exif()
    exif[0x0112] = 6
    found = decode_native(encoded(Image.fromarray(FINE), "PNG", exif=exif))
    assert (found.pixels[..., 0] == np.rot90(FINE, -1)).all()
    assert found.exif == b""


def test_texts_are_kept_if_they_are_short():
    picture, short, long = Image.new("RGB", (9, 9)), PngInfo(), PngInfo()
    short.add_itxt("Title", "絵")
    long.add_text("Title", "x" * 100_000)
    assert decode_native(encoded(picture, "PNG", pnginfo=short)).texts == {"Title": "絵"}
    assert decode_native(encoded(picture, "PNG", pnginfo=long)).texts == {}


@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_a_file_that_is_cut_off_is_rejected(format_):
    data = encoded(Image.fromarray(FINE), format_)
    with pytest.raises(Rejected):
        decode_native(data[: len(data) // 2])


def test_damaged_metadata_loses_no_pixels():
    data = encoded(Image.fromarray(FINE), "PNG")
    text = b"zTXtTitle\0\0no zlib"
    chunk = (len(text) - 4).to_bytes(4, "big") + text + zlib.crc32(text).to_bytes(4, "big")
    found = decode_native(data[:33] + chunk + data[33:])
    assert found.pixels.shape == (20, 30, 1)
    assert (
        found.pixels[..., 0] >> 8 if found.pixels.dtype == np.uint16 else found.pixels[..., 0]
    ).max() == FINE.max() >> 8


def test_grey_in_colours_stays_in_colours():
    assert decode_native(encoded(Image.new("RGB", (9, 9), "grey"), "PNG")).pixels.shape == (9, 9, 3)
    assert decode_native(encoded(Image.new("L", (9, 9), 99), "JPEG")).pixels.shape == (9, 9, 1)
