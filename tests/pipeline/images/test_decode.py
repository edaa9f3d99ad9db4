import dataclasses
import functools
import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from pipeline.images import collect as images
from pipeline.images import decode as decoding
from pipeline.images.decode import Rejected, decode, phash
from pipeline.sources.base import Post, Skipped


def encoded(picture: Image.Image, format_: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, format_, **options)
    return file.getvalue()


def gradient(width: int = 64, height: int = 48) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * 255 // width, y * 255 // height, np.full_like(x, 90)], axis=2)
    return Image.fromarray(pixels.astype(np.uint8))


def post(source_id: str, data: bytes) -> Post:
    return Post(source_id, functools.partial(bytes, data), fingerprint=f"{source_id} {zlib.crc32(data)}")


def test_a_worker_that_decodes_needs_no_pandas():
    code = """
import io, sys
from PIL import Image
from pipeline.images.decode import decode
file = io.BytesIO()
Image.new("RGB", (3, 2), (1, 2, 3)).save(file, "PNG")
print(decode(file.getvalue())[0].tolist()[1][2], "pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[1, 2, 3] False\n"


def test_pixels_of_large_and_transparent_pictures_are_those_of_numpy():
    large = gradient(50, 40).resize((4500, 1000))  # Pillow holds it in two blocks
    for picture in (large, large.crop((0, 0, 30, 20)).convert("RGBA")):
        assert np.array_equal(decoding._pixels(picture), np.asarray(picture))


@pytest.mark.parametrize(("size", "shrink"), [((1200, 800), 2), ((2050, 1030), 4), ((2050, 2070), 8), ((500, 900), 1)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_jpeg_is_decoded_at_a_fraction_of_its_size(size, shrink, orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    data = encoded(gradient(*size), "JPEG", quality=95, exif=exif)
    whole, reduced = decode(data)[0], decoding.decode_reduced(data, decoding.MAX_SHRINK)
    assert (reduced.height, reduced.width) == whole.shape[:2]
    expected = np.asarray(Image.fromarray(whole).reduce(shrink))
    assert reduced.pixels.shape == expected.shape
    assert np.abs(reduced.pixels.astype(int) - expected).mean() < 1.5


def test_what_is_no_jpeg_keeps_its_size_and_a_cut_jpeg_is_rejected_at_any():
    assert decoding.decode_reduced(encoded(gradient(800, 600), "PNG"), 8).pixels.shape == (600, 800, 3)
    data = encoded(gradient(1200, 800), "JPEG")
    with pytest.raises(Rejected, match="truncated"):
        decoding.decode_reduced(data[: len(data) // 2], 8)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I;16", "I", "F"]
)
def test_every_mode_becomes_rgb_of_about_the_same_grey(mode):
    grey = Image.new("RGB", (8, 8), (136, 136, 136))
    if mode == "1":
        picture, expected = Image.new("1", (8, 8), 1), 255
    elif mode in ("I;16", "I", "F"):
        value = {"I;16": 136 * 257, "I": 136 * 257, "F": 136.0}[mode]
        picture, expected = (
            Image.fromarray(np.full((8, 8), value, {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode])),
            136,
        )
        assert picture.mode == mode
    elif mode == "LAB":
        picture, expected = Image.frombytes("LAB", (8, 8), bytes([145, 0, 0]) * 64), 136  # L 56.9 of 100
    elif mode in ("P", "PA"):
        picture, expected = grey.convert("P", palette=Image.Palette.ADAPTIVE).convert(mode), 136
    else:
        picture, expected = grey.convert(mode), 136
    flat = decoding._srgb(picture)
    assert flat.shape == (8, 8, 3)
    assert np.abs(flat.astype(int) - expected).max() <= 2


def test_transparency_lies_on_white_also_in_palettes_and_colour_keys():
    clear = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    half = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([255, 0, 0] * 256)
    assert tuple(decode(encoded(clear, "PNG"))[0][0, 0]) == (255, 255, 255)
    assert tuple(decode(encoded(half, "PNG"))[0][0, 0]) == (127, 127, 127)
    assert tuple(decode(encoded(palette, "GIF", transparency=0))[0][0, 0]) == (255, 255, 255)
    keyed = encoded(Image.new("RGB", (4, 4), (1, 2, 3)), "PNG", transparency=(1, 2, 3))
    assert tuple(decode(keyed)[0][0, 0]) == (255, 255, 255)


def test_alpha_is_kept_where_it_is_wanted_and_there():
    half = np.asarray(gradient().convert("RGBA")).copy()
    half[..., 3] = np.arange(64) * 4
    kept = decode(encoded(Image.fromarray(half), "PNG"), keep_alpha=True)[0]
    assert (kept == half).all()
    assert (decoding.on_white(kept) == decode(encoded(Image.fromarray(half), "PNG"))[0]).all()
    opaque = decode(encoded(gradient().convert("RGBA"), "PNG"), keep_alpha=True)[0]
    assert (opaque == np.asarray(gradient())).all()
    palette = gradient().quantize(16)
    kept = decode(encoded(palette, "PNG", transparency=3), keep_alpha=True)[0]
    assert ((kept[..., 3] == 0) == (np.asarray(palette) == 3)).all()
    deep = Image.fromarray((np.arange(12).reshape(3, 4) * 5000).astype(np.uint16))
    kept = decode(encoded(deep, "PNG", transparency=10_000), keep_alpha=True)[0]
    assert kept[..., 3].ravel().tolist() == [255] * 2 + [0] + [255] * 9
    assert kept[..., 0].max() == 55_000 * 255 // 65_535


def test_an_exif_turn_is_carried_out():
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    picture, _ = decode(encoded(gradient(64, 48), "JPEG", exif=exif, quality=95))
    expected = np.asarray(gradient(64, 48).transpose(Image.Transpose.ROTATE_270)).astype(int)
    assert picture.shape == (64, 48, 3)
    assert np.abs(np.asarray(picture) - expected).mean() < 3


def test_a_picture_with_garbled_exif_is_in():
    upright = np.asarray(gradient())
    for form in ("PNG", "WEBP"):
        lossless = {"lossless": True} if form == "WEBP" else {}
        data = encoded(gradient(), form, exif=b"Exif\0\0garbage that is no TIFF", **lossless)
        assert np.array_equal(np.asarray(decode(data)[0]), upright)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_carried_out_as_pillow_does(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(gradient(), "PNG", exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert np.array_equal(np.asarray(decode(data)[0]), np.asarray(expected))


def test_want_of_memory_is_not_the_pictures_fault(monkeypatch):
    def no_room(*_):
        raise MemoryError

    monkeypatch.setattr(decoding, "_srgb", no_room)
    with pytest.raises(MemoryError):
        decode(encoded(gradient(), "PNG"))


def test_sixteen_bit_greys_are_scaled_and_not_clipped():
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (8, 1))
    picture, _ = decode(encoded(Image.fromarray(ramp), "PNG"))
    assert np.abs(np.asarray(picture)[0, :, 0].astype(int) - ramp[0] // 257).max() <= 1


def claiming(width: int, height: int) -> bytes:
    """A PNG whose header claims that size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    ihdr = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return encoded(gradient(), "PNG")[:8] + ihdr + encoded(gradient(), "PNG")[33:]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"just some text", "not_an_image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_an_image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not_an_image"),
        (encoded(gradient(), "JPEG")[:-200], "truncated"),
        (encoded(gradient(), "PNG")[:-60], "truncated"),
        (claiming(60_000, 60_000), "too_many_pixels"),
    ],
)
def test_what_is_no_picture_is_rejected_for_its_reason(data, reason):
    with pytest.raises(Rejected) as rejected:
        decode(data)
    assert rejected.value.args[0] == reason


def test_random_damage_is_rejected_or_decoded_but_never_raises_anything_else():
    rng = np.random.default_rng(0)
    originals = [
        encoded(gradient(), name) for name in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "TGA", "PPM", "ICO")
    ]
    for _ in range(300):
        data = bytearray(originals[rng.integers(len(originals))])
        for place in rng.integers(len(data), size=rng.integers(1, 20)):
            data[place] = rng.integers(256)
        try:
            picture, _ = decode(bytes(data[: rng.integers(1, len(data) + 1)]))
        except Rejected:
            continue
        assert picture.shape[2] == 3


def test_phash_survives_recompression_and_resizing_but_tells_pictures_apart():
    def distance(a, b):
        return (int(phash(np.asarray(a)), 16) ^ int(phash(np.asarray(b)), 16)).bit_count()

    rng = np.random.default_rng(1)
    blobs = [
        Image.fromarray(rng.integers(0, 255, (6, 6, 3), np.uint8)).resize((300, 300), Image.Resampling.BICUBIC)
        for _ in range(8)
    ]
    for blob in blobs:
        assert distance(blob, decode(encoded(blob, "JPEG", quality=40))[0]) <= 3
        assert distance(blob, blob.resize((180, 180), Image.Resampling.LANCZOS)) <= 3
    assert min(distance(a, b) for a in blobs for b in blobs if a is not b) > 10


def test_collect_keeps_the_good_and_counts_the_rest(store):
    good, other = encoded(gradient(), "PNG"), encoded(gradient(32, 32), "JPEG")
    offers = [
        post("b.png", good),
        post("a.png", good),
        post("c.png", b"text"),
        Skipped("x.zip!../y", "unsafe_name"),
        post("d.jpg", other),
    ]
    table, drops = images.collect(offers, "folder", 0, store)
    rows = table.to_pylist()
    assert [row["source_id"] for row in rows] == ["a.png", "d.jpg"]
    assert (store.root / rows[0]["path"]).read_bytes() == good
    assert sorted((drop["source_id"], drop["reason"]) for drop in drops) == [
        ("b.png", "duplicate"),
        ("c.png", "not_an_image"),
        ("x.zip!../y", "unsafe_name"),
    ]
    assert {drop["stage"] for drop in drops} == {"images"}


def test_collect_stops_at_the_limit_of_an_endless_source(store):
    def endless():
        i = 0
        while True:
            yield post(str(i), encoded(gradient(10 + i, 10), "PNG"))
            i += 1

    assert len(images.collect(endless(), "drawn", 3, store)[0]) == 3


def unreadable():
    raise PermissionError("no")


def test_a_file_that_cannot_be_read_is_a_drop_and_is_tried_again(store):
    assert images.collect([Post("a", unreadable, "f")], "folder", 0, store)[1][0]["reason"] == "unreadable"
    table, drops = images.collect(
        [Post("a", functools.partial(bytes, encoded(gradient(), "PNG")), "f")], "folder", 0, store
    )
    assert (len(table), drops) == (1, [])


def test_what_is_remembered_is_not_read_again_unless_its_file_has_gone(store):
    data = encoded(gradient(), "PNG")
    table, _ = images.collect([Post("a", functools.partial(bytes, data), "f")], "folder", 0, store)
    again, _ = images.collect([Post("a", unreadable, "f")], "folder", 0, store)
    assert again.equals(table)
    (store.root / table["path"][0].as_py()).unlink()
    assert len(images.collect([Post("a", unreadable, "f")], "folder", 0, store)[0]) == 0


def test_posts_of_one_file_are_distinguished(store):
    same = post("1", encoded(gradient(), "PNG"))
    offers = [dataclasses.replace(same, source_id=source_id) for source_id in ("3", "1", "2")]
    table, drops = images.collect(offers, "danbooru", 0, store)
    assert table["source_id"].to_pylist() == ["1"]
    assert sorted((drop["source_id"], drop["reason"]) for drop in drops) == [("2", "duplicate"), ("3", "duplicate")]
    assert len(images.collect(offers, "danbooru", 0, store)[0]) == 1  # as remembered
