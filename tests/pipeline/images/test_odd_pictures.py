"""Pictures whose pixels are whole in files that are odd, and files that would take hours or gigabytes."""

import io
import struct
import time
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline import parallel as engine
from pipeline.faces import crop as faces
from pipeline.faces import detect
from pipeline.images import collect as images
from pipeline.images import containers
from pipeline.images import decode as decoding
from pipeline.images.color_profiles import to_srgb
from pipeline.images.decode import Rejected, decode
from pipeline.sources.base import MAX_FILE_BYTES, FileTooLarge, Post, read_file
from pipeline.sources.drawn import draw


def encoded(picture: Image.Image, format_: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, format_, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return draw(3, 1)[0].resize((160, 120))


def pixels_of(data: bytes) -> np.ndarray:
    return decode(data)[0]


def reason_of(data: bytes) -> tuple[str, str]:
    with pytest.raises(Rejected) as rejected:
        decode(data)
    return rejected.value.args


def chunk(kind: bytes, body: bytes, crc: int = 0) -> bytes:
    """A PNG's chunk; `crc`: what is added to its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) ^ crc)


BIG = b"node " * (300 << 10)


@pytest.mark.parametrize(
    "odd",
    [
        chunk(b"iCCP", b""),
        chunk(b"iCCP", b"x\0\1" + zlib.compress(b"abc")),
        chunk(b"iCCP", b"x\0\0broken"),
        chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(9 << 20))),
        chunk(b"zTXt", b"w\0\0" + zlib.compress(BIG)),
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(BIG)),
        chunk(b"zTXt", b"w\0\7x"),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(BIG)),
        chunk(b"tEXt", b"\xff\xff", crc=1),
        chunk(b"tRNS", b"\0\1"),
        chunk(b"tRNS", b"\0\1\0\1\0\1", crc=1),
        chunk(b"gAMA", b""),
        chunk(b"pHYs", b"\0"),
        chunk(b"cHRM", b"\0"),
        chunk(b"sRGB", b""),
        chunk(b"acTL", b"\0"),
        chunk(b"fcTL", bytes(26)),
        chunk(b"eXIf", b"MM"),
        chunk(b"tIME", bytes(7), crc=255),
        chunk(b"PLTE", b"\0\0", crc=1),
        chunk(b"acTL", b"\0\0\0\2\0\0\0\0"),
    ],
)
@pytest.mark.parametrize("place", [33, -12])
def test_a_png_with_an_odd_chunk_that_no_pixel_needs_is_read(picture, odd, place):
    data = encoded(picture, "PNG")
    assert np.array_equal(pixels_of(data[:place] + odd + data[place:]), np.asarray(picture))


def test_a_png_whose_pixels_are_damaged_is_still_rejected(picture):
    data = bytearray(encoded(picture, "PNG"))
    data[len(data) // 2] ^= 255
    assert reason_of(bytes(data))[0] == "truncated"


@pytest.mark.parametrize(
    "segment",
    [
        b"\xff\xe1\0\x10Exif\0\0garbage!",
        b"\xff\xe1\0\x02",
        b"\xff\xe0\0\x04JF",
        b"\xff\xee\0\x06Adob",
        b"\xff\xe2\0\x0fICC_PROFILE\0\1",
        b"\xff\xed\0\x17Photoshop 3.0\0008BIM\4\4\xff",
        b"\xff\xfe\0\3x",
    ],
)
def test_a_jpeg_with_an_odd_segment_is_read(picture, segment):
    data = encoded(picture, "JPEG")
    assert np.array_equal(pixels_of(data[:2] + segment + data[2:]), pixels_of(data))
    assert np.array_equal(pixels_of(data[:20] + segment + b"garbage" + data[20:]), pixels_of(data))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 5}, {"subsampling": 0}])
@pytest.mark.parametrize("cut", [1, 2])
def test_a_jpeg_that_lacks_only_its_end_marker_is_read(picture, options, cut):
    data = encoded(picture, "JPEG", **options)
    assert np.array_equal(pixels_of(data[:-cut]), pixels_of(data))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 5}])
@pytest.mark.parametrize("cut", [30, 200, 1000])
def test_a_jpeg_that_lacks_more_is_truncated(picture, options, cut):
    assert reason_of(encoded(picture, "JPEG", **options)[:-cut])[0] == "truncated"


def test_a_progressive_jpeg_that_ends_between_two_scans_is_truncated(picture):
    data = encoded(picture, "JPEG", progressive=True)
    last = [start for marker, start, _ in containers._jpeg_segments(data) if marker == 0xC4][-1]
    assert reason_of(data[:last])[0] == "truncated"


@pytest.mark.parametrize("head", [b"\xff\xda\0\2", b"\xff\xda\0\4\3\1", b"\xff\xc2\0\3\x08", b"\xff\xda"])
def test_a_jpeg_with_a_damaged_scan_header_is_rejected(picture, head):
    data = encoded(picture, "JPEG")
    at = data.index(b"\xff\xda")
    assert reason_of(data[:at] + head + data[at + 14 : -2])[0] in ("truncated", "not_an_image")


# Colours


def srgb_of(picture: Image.Image, profile: bytes, mode: str) -> Image.Image:
    """The picture in another colour space."""
    other = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return ImageCms.profileToProfile(picture, ImageCms.createProfile("sRGB"), other, outputMode=mode)


def matrix_profile(primaries: np.ndarray, gamma: float, space: bytes = b"RGB ") -> bytes:
    """An ICC profile of a monitor with these primaries, (3, 3) XYZ as of D50, or of a grey one."""

    def xyz(values) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    curve = b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(gamma * 256))
    tags = [
        (b"desc", b"desc\0\0\0\0" + struct.pack(">I", 2) + b"w\0" + bytes(80)),
        (b"cprt", b"text\0\0\0\0CC0\0"),
        (b"wtpt", xyz((0.9642, 1, 0.8249))),
    ]
    if space == b"RGB ":
        tags += [(name + b"XYZ", xyz(values)) for name, values in zip((b"r", b"g", b"b"), primaries, strict=True)]
        tags += [(name + b"TRC", curve) for name in (b"r", b"g", b"b")]
    else:
        tags.append((b"kTRC", curve))
    table, data = struct.pack(">I", len(tags)), b""
    for name, body in tags:
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    head = struct.pack(">I4xI4s4s4s12x4s28x", 128 + len(table + data), 0x02100000, b"mntr", space, b"XYZ ", b"acsp")
    return (head + xyz((0.9642, 1, 0.8249))[8:]).ljust(128, b"\0") + table + data


ADOBE = matrix_profile(
    np.array([(0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)]), 2.2
)
PROPHOTO = matrix_profile(np.array([(0.79767, 0.28804, 0), (0.13519, 0.71188, 0), (0.03134, 0.00009, 0.82491)]), 1.8)
GREY = matrix_profile(np.empty(0), 1.0, b"GRAY")
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("profile", [ADOBE, PROPHOTO])
@pytest.mark.parametrize(
    ("format_", "options"),
    [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True}), ("JPEG", {"quality": 100, "subsampling": 0})],
)
def test_pixels_with_a_profile_become_srgb(picture, profile, format_, options):
    other = srgb_of(picture, profile, "RGB")
    away = np.abs(np.asarray(other).astype(int) - np.asarray(picture)).mean()
    seen = pixels_of(encoded(other, format_, icc_profile=profile, **options))
    assert np.abs(seen.astype(int) - np.asarray(picture)).mean() < away / 2


def test_grey_with_a_profile_becomes_srgb():
    linear = Image.new("L", (9, 9), 55)  # 0.216 of white
    assert abs(int(pixels_of(encoded(linear, "PNG", icc_profile=GREY))[0, 0, 0]) - 128) <= 2
    sixteen = Image.fromarray(np.full((9, 9), 55 * 257, np.uint16))
    assert abs(int(pixels_of(encoded(sixteen, "PNG", icc_profile=GREY))[0, 0, 0]) - 128) <= 2


def test_transparency_stays_with_a_profile(picture):
    other = srgb_of(picture, ADOBE, "RGB")
    other.putalpha(Image.linear_gradient("L").resize(picture.size))
    plain = picture.convert("RGBA")
    plain.putalpha(other.getchannel("A"))
    seen, expected = (pixels_of(data) for data in (encoded(other, "PNG", icc_profile=ADOBE), encoded(plain, "PNG")))
    assert np.abs(seen.astype(int) - expected).mean() < 1.5


@pytest.mark.parametrize(
    "profile",
    [
        SRGB,
        SRGB[:200],
        bytes(500),
        b"x" * 500,
        GREY,
        SRGB[:16] + b"CMYK" + SRGB[20:],
        ADOBE[:-90] + bytes(90),
        SRGB.ljust(5 << 20, b"\0"),
    ],
)
def test_a_profile_that_is_srgb_damaged_huge_or_of_other_pixels_changes_nothing(picture, profile):
    for format_ in ("PNG", "TIFF"):
        data = encoded(picture, format_, icc_profile=profile)
        if profile.startswith(ADOBE[:100]) and to_srgb(profile):
            continue  # littlecms can still use it
        assert np.array_equal(pixels_of(data), np.asarray(picture))


# Transparency that is none, and colours that are transparent


def tga(picture: Image.Image, kind: int, depth: int, bits: int) -> bytes:
    red, green, blue = (np.asarray(picture)[..., channel].astype(np.uint16) for channel in range(3))
    if depth == 32:
        body = np.dstack([blue, green, red, np.zeros_like(red)]).astype(np.uint8)
    else:
        body = ((red >> 3) << 10 | (green >> 3) << 5 | blue >> 3) | 0x8000
    size = struct.pack("<HH", *picture.size)
    return bytes([0, 0, kind]) + bytes(9) + size + bytes([depth, 0x20 | bits]) + body.tobytes()


def bmp(picture: Image.Image, masks: tuple[int, ...]) -> bytes:
    red, green, blue = (np.asarray(picture)[::-1, :, channel] for channel in range(3))
    body = np.dstack([blue, green, red, np.zeros_like(red)]).tobytes()
    head = struct.pack("<IiiHHIIiiII", 108, *picture.size, 1, 32, 3, len(body), 0, 0, 0, 0) + struct.pack("<4I", *masks)
    head = head.ljust(108, b"\0")
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(body), 0, 0, 14 + len(head)) + head + body


@pytest.mark.parametrize(
    "made",
    [
        lambda p: tga(p, 2, 32, 0),
        lambda p: tga(p, 2, 32, 8),
        lambda p: tga(p, 2, 16, 0),
        lambda p: bmp(p, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
        lambda p: bmp(p, (0, 0, 0, 0)),
    ],
)
def test_a_fourth_channel_of_zeros_is_no_transparency(picture, made):
    assert np.abs(pixels_of(made(picture)).astype(int) - np.asarray(picture)).max() <= 8


def test_true_transparency_of_tga_stays(picture):
    clear = picture.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(picture.size))
    assert (pixels_of(encoded(clear, "TGA"))[0] >= 250).all()


def png(width: int, depth: int, color_type: int, rows: list[bytes], *chunks: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, len(rows), depth, color_type, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return containers.PNG_MAGIC + head + b"".join(chunks) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (png(2, 16, 0, [struct.pack(">2H", 1000, 1001)], chunk(b"tRNS", struct.pack(">H", 1000))), [255, 4]),
        (png(2, 16, 2, [struct.pack(">6H", 256, 512, 768, 256, 512, 769)], chunk(b"tRNS", b"\1\0\2\0\3\0")), [255, 1]),
        (png(2, 2, 0, [b"\x40"], chunk(b"tRNS", b"\0\1")), [255, 0]),
        (png(2, 4, 0, [b"\x7f"], chunk(b"tRNS", b"\0\7")), [255, 255]),
        (png(2, 8, 0, [b"\7\x08"], chunk(b"tRNS", b"\0\7")), [255, 8]),
        (png(2, 8, 3, [b"\0\1"], chunk(b"PLTE", bytes(3) + b"\7" * 3), chunk(b"tRNS", b"\0")), [255, 7]),
        (png(2, 8, 3, [b"\0\1"], chunk(b"PLTE", bytes(3) + b"\7" * 3), chunk(b"tRNS", b"\x80\xff")), [127, 7]),
    ],
)
def test_the_transparent_colour_of_a_png_is_white_and_no_other(data, expected):
    assert pixels_of(data)[0, :, 0].tolist() == expected


# Time and memory


def with_scans(picture: Image.Image, count: int) -> bytes:
    data = encoded(picture, "JPEG", progressive=True)
    last = [start for marker, start, _ in containers._jpeg_segments(data) if marker == 0xDA][-1]
    return data[:-2] + data[last:-2] * count + data[-2:]


def tiff_of_many_tags(picture: Image.Image) -> bytes:
    """Each of them names the same 1 MB."""
    data = encoded(picture, "TIFF")
    at = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, at)[0]
    tags = data[at + 2 : at + 2 + 12 * count]
    tags += b"".join(struct.pack("<HHII", tag, 1, 1 << 20, len(data)) for tag in range(40_000, 60_000))
    whole = data[:4] + struct.pack("<I", len(data) + (1 << 20)) + data[8:] + bytes(1 << 20)
    return whole + struct.pack("<H", len(tags) // 12) + tags + bytes(4)


def gif_of_comments(picture: Image.Image) -> bytes:
    data = encoded(picture, "GIF")
    at = 13 + (3 << (data[10] & 7) + 1)
    return data[:at] + b"!\xfe" + (b"\xff" + b"x" * 255) * 40_000 + b"\0" + data[at:]


def exif_of_many_tags() -> bytes:
    tags = b"".join(struct.pack(">HHII", tag, 1, 700_000, 8) for tag in range(1000, 61_000))
    return struct.pack(">2sHIH", b"MM", 42, 8, 60_000) + tags


def png_of_exif(picture: Image.Image) -> bytes:
    data = encoded(picture, "PNG")
    return data[:33] + chunk(b"eXIf", exif_of_many_tags()) + data[33:]


def jpeg_of_exif(picture: Image.Image) -> bytes:
    data, exif = encoded(picture, "JPEG"), exif_of_many_tags()
    parts = [b"Exif\0\0" + exif[at : at + 60_000] for at in range(0, len(exif), 60_000)]
    return data[:2] + b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part for part in parts) + data[2:]


@pytest.mark.parametrize(
    ("made", "format_"),
    [(tiff_of_many_tags, "TIFF"), (gif_of_comments, "GIF"), (png_of_exif, "PNG"), (jpeg_of_exif, "JPEG")],
)
def test_hostile_metadata_costs_neither_time_nor_the_picture(picture, made, format_):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.array_equal(pixels_of(made(picture)), pixels_of(encoded(picture, format_)))


@pytest.mark.parametrize(
    "made",
    [
        lambda p: with_scans(p, 1000),
        lambda p: with_scans(p.resize((4000, 4000)), 130),
        lambda p: b"P6 9000 9000 100 " + bytes(99),
        lambda p: b"P3 1900 1900 255 " + b"1 2 3 " * 3_700_000,
        lambda p: containers.PNG_MAGIC + encoded(p, "PNG")[8:33] + chunk(b"aaAa", b"") * 1_000_001,
    ],
)
def test_what_would_take_too_long_is_too_costly(picture, made):
    assert reason_of(made(picture))[0] == "too_costly"


def test_ordinary_progressive_jpegs_are_not(picture):
    assert pixels_of(with_scans(picture, 20)).shape == (120, 160, 3)


def test_large_transparent_pictures_are_composited_in_strips(monkeypatch, picture):
    clear = picture.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(picture.size))
    data = [encoded(clear, "PNG"), encoded(clear.quantize(), "PNG"), encoded(clear.convert("LA"), "PNG")]
    whole = [pixels_of(one) for one in data]
    monkeypatch.setattr(decoding, "STRIP_PIXELS", 1000)
    largest = []
    flatten = decoding._flatten
    monkeypatch.setattr(
        decoding,
        "_flatten",
        lambda strip, *more: (largest.append(strip.width * strip.height), flatten(strip, *more))[1],
    )
    assert all(np.array_equal(pixels_of(one), expected) for one, expected in zip(data, whole, strict=True))
    assert max(largest) <= 1000


@pytest.mark.parametrize("size", [MAX_FILE_BYTES + 1, 4 << 30, 1 << 40])
def test_a_huge_file_is_not_read(tmp_path, store, size):
    file = tmp_path / "x.png"
    with open(file, "wb") as sparse:
        sparse.truncate(size)
    with pytest.raises(FileTooLarge):
        read_file(file)
    _, drops = images.collect([Post("x", lambda: read_file(file), "x")], "folder", 0, store)
    assert drops[0]["reason"] == "too_large"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError("out of memory when reading image file"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_an_item_without_memory_is_none_and_tried_again(store, error):
    calls = []

    def work(item):
        calls.append(item)
        if item == "large":
            raise error
        return 1

    with store.memory("m", int) as memory:
        results = dict(engine.cached_map(memory, work, [("a", "small"), ("b", "large")], what="x", jobs=1))
        assert results == {"a": 1, "b": None}
        assert calls.count("large") == 2
        assert memory.get("b") is None


@pytest.mark.parametrize("stage", ["images", "faces", "crops"])
def test_a_picture_without_memory_is_a_row_of_the_stage(store, monkeypatch, stage, cascade):
    pictures = [encoded(draw(7, i)[0], "PNG") for i in range(2)]
    posts = [Post(str(i), lambda data=data: data, str(i)) for i, data in enumerate(pictures)]
    bad = images.examine(pictures[1])["path"]

    def without_memory(function, is_bad):
        def wrapped(first, *more, **options):
            if is_bad(first):
                raise MemoryError
            return function(first, *more, **options)

        return wrapped

    place, name, is_bad = {
        "images": (images, "_examine", lambda data: data == pictures[1]),
        "faces": (detect, "_find_one", lambda image: image[1] == bad),
        "crops": (faces, "_work_on_file", lambda image: image[0] == bad),
    }[stage]
    monkeypatch.setattr(place, name, without_memory(getattr(place, name), is_bad))
    table, drops = images.collect(posts, "folder", 0, store, jobs=1)
    found, more = detect.detect(table, store, detector="lbpcascade", sweep="fast", min_face=48, folder=None, jobs=1)
    crops, most = faces.cut(found, store, size=64, frame=faces.Frame(1.5), rotation=0.0, jobs=1)
    rows = drops + more + most
    assert [(row["stage"], row["source_id"], row["reason"]) for row in rows] == [(stage, "1", "out_of_memory")]
    assert set(crops["source_id"].to_pylist()) == {"0"}


# Strips


@pytest.mark.parametrize("finder", ["lbpcascade", "network"])
@pytest.mark.parametrize(("sweep", "is_wide"), [("off", False), ("fast", True)])
def test_faces_are_found_all_along_a_strip(monkeypatch, finder, sweep, is_wide):
    monkeypatch.setattr(detect, "MAX_WARP_PX", 900)
    monkeypatch.setattr("pipeline.faces.views.MIN_PART_PX", 500)
    side, count = 200, 5
    strip = np.full((count * side, side, 3), 255, np.uint8)
    for place in range(count):
        strip[place * side : (place + 1) * side] = np.asarray(draw(7, 1)[0].resize((side, side)))
    if is_wide:
        strip = np.concatenate(np.split(strip, count), axis=1)
    asset = detect.DETECTORS[finder].asset(None)
    seen = detect.find(strip, finder=finder, asset=asset, sweep=sweep, min_face=40)
    along = [face.box[0 if is_wide else 1] // side for face in seen]
    assert sorted(along) == list(range(count))


# Names


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heix", "HEIC"),
        (b"\xff\x0a\xfa\x7f", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xff\x4f\xff\x51\0\x29", "JPEG 2000"),
        (b"8BPS\0\1", "Photoshop"),
        (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"%!PS-Adobe", "PostScript"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isomiso2", "video"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"gimp xcf v011", "GIMP"),
        (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", "AVIF"),
    ],
)
def test_other_formats_are_named_with_the_cure(data, name):
    reason, detail = reason_of(data + bytes(40))
    assert reason == "not_an_image"
    assert name in detail
    assert "convert it to PNG or JPEG" in detail


@pytest.mark.parametrize(
    "data",
    [
        b"II+\0\x08\0\0\0" + b"\xff" * 8,
        b"MM\0+\0\x08\0\0" + b"\x80" + b"\0" * 7,
        b"II*\0" + b"\xff" * 4,
        b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 1 << 63) + b"\xff" * 40,
    ],
)
def test_offsets_beyond_the_file_are_no_picture(data):
    assert reason_of(data)[0] in ("not_an_image", "truncated")


def with_segments(picture: Image.Image, segment: bytes, count: int) -> bytes:
    data = encoded(picture, "JPEG")
    return data[:2] + segment * count + data[2:]


def test_a_jpeg_of_many_exif_segments_is_read_in_linear_time(picture):
    begun = time.process_time()
    plain = pixels_of(encoded(picture, "JPEG"))
    assert np.array_equal(pixels_of(with_segments(picture, b"\xff\xe1\0\x08Exif\0\0", 60_000)), plain)
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    "make",
    [
        lambda picture: with_segments(picture, b"\xff\xc4\0\x02", 1_000_000),
        lambda picture: with_segments(picture, b"\xff\x01", 1_000_000),
        lambda picture: b"GIF89a\1\0\1\0\0\0\0" + b"!\xfe\0" * 200_000,
        lambda picture: b"GIF89a\1\0\1\0\0\0\0!\xfe" + b"\1x" * 200_000,
    ],
)
def test_more_parts_than_any_writer_makes_are_not_gone_through(picture, make):
    data, begun = make(picture), time.process_time()
    assert reason_of(data)[0] == "too_costly"
    assert time.process_time() - begun < 5
