"""Bytes of image files -> upright uint8 sRGB pixels, within limits on memory and time."""

import contextlib
import hashlib
import io
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pyarrow as pa
from PIL import ExifTags, Image, ImageCms, ImageFile

from pipeline.errors import UserError
from pipeline.images import containers
from pipeline.images.color_profiles import to_srgb
from pipeline.parallel import is_out_of_memory

MAX_PIXELS = 100_000_000  # a 10,000 × 10,000 scan is real; it takes 700 MB to decode
MAX_COPIED_PIXELS = 64_000_000  # of formats whose decoders keep several copies: 1 GB
MAX_SLOW_PIXELS = 4_000_000  # of what Pillow decodes in Python: 2 to 10 s
STRIP_PIXELS = 4_000_000  # that are converted at once
MAX_SHRINK = 8  # of what is decoded at a fraction of its size
MIN_REDUCED_PX = 256  # px: shorter side that a JPEG keeps when it is decoded at a fraction of its size
MAX_EXIF_BYTES = 1 << 16  # each of its tags may name all of them again
# By content. Left out on purpose: formats that run programs (EPS), whose size is known only after decoding (ICO), or
# that no site serves.
EXTENSIONS = {
    "JPEG": "jpg",
    "MPO": "jpg",
    "PNG": "png",
    "GIF": "gif",
    "WEBP": "webp",
    "BMP": "bmp",
    "TIFF": "tif",
    "AVIF": "avif",
    "PPM": "ppm",
    "TGA": "tga",
}
Image.init()  # so that `formats` may name any of the above …
_FORMATS = [name for name in EXTENSIONS if name in Image.OPEN]  # … that Pillow has; it opens an MPO as a JPEG
_COPYING_FORMATS = ("WEBP", "AVIF")
_SLOW_CODECS = ("ppm", "ppm_plain", "bmp_rle")
_EXTRA_CHANNEL_FORMATS = ("BMP", "TGA", "TIFF")  # whose fourth channel often is no transparency
_CURE = "convert it to PNG or JPEG"
Image.MAX_IMAGE_PIXELS = None  # our own limit, checked before any pixel is decoded
ImageFile.LOAD_TRUNCATED_IMAGES = False
warnings.filterwarnings("ignore", category=UserWarning, module="PIL[.]")  # of each damaged tag of each file


class Rejected(Exception):
    """Bytes that are not accepted as a picture; args: a reason of REASONS, and the library's message."""


class Decoded(NamedTuple):
    """A decoded picture."""

    pixels: np.ndarray
    """The first frame, upright, (H, W, 3) uint8 sRGB, or (H, W, 4)."""
    format: str
    width: int
    """Of the upright picture in the file, px."""
    height: int


def decode(data: bytes, *, keep_alpha: bool = False) -> tuple[np.ndarray, str]:
    """Return (the first frame, upright, (H, W, 3) uint8 sRGB; its format). Transparency lies on white; with
    `keep_alpha`, a picture with a pixel that is not opaque has (H, W, 4).

    Raise Rejected, or MemoryError if this machine lacks the memory."""
    decoded = decode_reduced(data, 1, keep_alpha=keep_alpha)
    return decoded.pixels, decoded.format


def decode_reduced(data: bytes, max_shrink: int, *, keep_alpha: bool = False) -> Decoded:
    """Decode as `decode` does, but a JPEG at 1/2, 1/4 or 1/8 of its size, which costs a third of the time, as long as
    `max_shrink` allows it and its shorter side keeps MIN_REDUCED_PX. All of the file is verified."""
    if not data:
        raise Rejected("empty", "")
    try:
        stripped, profile = containers.strip_unneeded(data)
        try:
            return _decode(stripped, profile, max_shrink, keep_alpha)
        except Rejected as rejected:
            if rejected.args[0] in ("not_an_image", "truncated"):
                for candidate in _repair_candidates(stripped, rejected.args[0]):
                    with contextlib.suppress(Rejected):
                        return _decode(candidate, profile, max_shrink, keep_alpha)
            raise
    except containers.TooCostly as error:
        raise Rejected("too_costly", str(error)) from error


def _repair_candidates(data: bytes, reason: str) -> Iterator[bytes]:
    """Yield what may be decoded in place of a file that was rejected for that reason, and shows the same pixels."""
    is_jpeg = data.startswith(containers.JPEG_MAGIC)
    if not is_jpeg or reason == "not_an_image":
        data = containers.strip_metadata(data) or b""
        yield data
    if is_jpeg and (whole := _complete_jpeg(data)):
        yield whole


def on_white(pixels: np.ndarray) -> np.ndarray:
    """Return (H, W, 4) uint8 on white, as (H, W, 3); pixels (H, W, 3) as they are."""
    if pixels.shape[2] == 3:
        return pixels
    flat, rows = np.empty((*pixels.shape[:2], 3), np.uint8), max(1, STRIP_PIXELS // pixels.shape[1])
    for top in range(0, len(pixels), rows):
        flat[top : top + rows] = _pixels(_on_white(Image.fromarray(pixels[top : top + rows])))
    return flat


def _pixels(picture: Image.Image) -> np.ndarray:
    """Return a picture in RGB or RGBA as (H, W, 3) or (H, W, 4) uint8. Pillow's own export copies it three times."""
    try:
        lent = pa.Array._import_from_c_capsule(*picture.__arrow_c_array__())  # pa.array() imports pandas
    except (AttributeError, ValueError):  # Pillow before 11.2, or pixels in several blocks
        return np.asarray(picture)
    pixels = np.frombuffer(lent.flatten().buffers()[1], np.uint8).reshape(picture.height, picture.width, 4)
    return cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB) if picture.mode == "RGB" else pixels.copy()


def _on_white(picture: Image.Image) -> Image.Image:
    """Return a picture in RGBA as RGB."""
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


def _decode(data: bytes, profile: bytes | None, max_shrink: int, keep_alpha: bool) -> Decoded:
    """Decode a stripped file as `decode_reduced` does. `profile`: the ICC profile that was removed from it, if any."""
    picture = _open_image(data)
    try:
        profile = profile or picture.info.get("icc_profile")
        # Of RGB with 16 bits Pillow keeps 8, but not of the colour that is transparent.
        key = picture.info.pop("transparency", None) if _has_16_bit_rgb(picture) else None
        width, height = picture.size
        shrink = min(max_shrink, min(width, height) // MIN_REDUCED_PX)
        if shrink > 1:
            picture.draft(None, (width // shrink, height // shrink))  # formats other than JPEG ignore it
        picture.load()
        turn, format_ = _orientation(picture), str(picture.format)
        pixels = _srgb(picture, profile, _is_opaque(picture, data), keep_alpha)
        if key is not None:
            is_clear = _is_of_color(data, picture, key)[..., None]
            if keep_alpha:
                pixels = np.concatenate([pixels, np.where(is_clear, np.uint8(0), np.uint8(255))], 2)
            else:
                pixels = np.where(is_clear, np.uint8(255), pixels)
        del picture
        if keep_alpha and pixels.shape[2] == 4 and pixels[..., 3].min() == 255:
            pixels = pixels[..., :3]
        pixels = turned(pixels, turn)
        if turn in (5, 6, 7, 8):
            width, height = height, width
        return Decoded(pixels, format_, width, height)
    except Exception as error:  # hostile bytes make decoders raise anything
        if is_out_of_memory(error):  # not a property of the picture: must not be cached
            raise MemoryError from error
        raise Rejected("truncated", error_text(error)) from error


def _open_image(data: bytes) -> ImageFile.ImageFile:
    """Return the picture of which nothing is decoded yet, within all limits. Raise Rejected."""
    try:
        picture = Image.open(io.BytesIO(data), formats=_FORMATS)
    except Exception as error:  # hostile bytes make decoders raise anything
        if is_out_of_memory(error):
            raise MemoryError from error
        name = containers.unsupported_format(data)
        detail = f"{name}, which is not decoded here; {_CURE}" if name else error_text(error)
        raise Rejected("not_an_image", detail) from error
    pixels = picture.width * picture.height
    limit = MAX_COPIED_PIXELS if picture.format in _COPYING_FORMATS else MAX_PIXELS
    if pixels > limit:
        raise Rejected("too_many_pixels", f"{picture.width} x {picture.height} px, at most {limit:,} in all")
    if max(pixels, len(data) // 4) > MAX_SLOW_PIXELS and any(tile[0] in _SLOW_CODECS for tile in picture.tile):
        kind = f"{picture.format} ({picture.tile[0][0]})"
        raise Rejected("too_costly", f"{picture.width} x {picture.height} px as {kind}; {_CURE}")
    return picture


def _complete_jpeg(data: bytes) -> bytes | None:
    """Return the JPEG with an end marker if that is all that it lacks, else None."""
    endings, seen = containers.jpeg_endings(data), set()
    for ending in endings:
        digest = hashlib.sha256()
        try:
            picture = _open_image(ending)
            picture.load()
        except (OSError, Rejected):
            return None
        for strip in _strips(picture):
            digest.update(strip.tobytes())
        seen.add(digest.digest())
        if len(seen) > 1:
            return None
    return endings[0] if endings else None


def load(path: Path) -> np.ndarray:
    """Return the verified original at `path`, upright: (H, W, 3) uint8 RGB. Raise UserError if it is gone or
    damaged."""
    return load_reduced(path, 1).pixels


def load_reduced(path: Path, max_shrink: int) -> Decoded:
    """Return the verified original at `path` as `decode_reduced` does. Raise UserError if it is gone or damaged."""
    try:
        return decode_reduced(path.read_bytes(), max_shrink)
    except (FileNotFoundError, Rejected) as error:
        cure = "delete it if it is there, and give the same command again: it is read again"
        raise UserError(path, "the original is gone or damaged", "the file that ScrapeImages kept", cure) from error


def error_text(error: Exception) -> str:
    """Return the type and text of an error, 200 characters at most, without paths and addresses of this machine."""
    text = getattr(error, "strerror", None) or str(error)  # an OSError's whole text holds a path of this machine
    text = re.sub("<_io[.]BytesIO object at 0x[0-9a-f]+>", "the file", text)  # an address, other in each run
    return f"{type(error).__name__}: {text}"[:200]


_TURNS = {  # of the EXIF tag Orientation
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels[::-1].swapaxes(0, 1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels[:, ::-1].swapaxes(0, 1),
}


def turned(pixels: np.ndarray, orientation: int | None) -> np.ndarray:
    """Return (H, W, C) pixels upright; `orientation`: the EXIF tag."""
    return np.ascontiguousarray(_TURNS[orientation](pixels) if orientation in _TURNS else pixels)


def _orientation(picture: Image.Image) -> int | None:
    """Return the EXIF tag, if that can be read: a garbled one does not make the picture worse."""
    if isinstance(exif := picture.info.get("exif"), bytes):
        picture.info["exif"] = exif[:MAX_EXIF_BYTES]
    try:
        return picture.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # noqa: BLE001  # hostile bytes make decoders raise anything
        return None


def _is_opaque(picture: Image.Image, data: bytes) -> bool:
    """Return whether what looks like transparency is none: a TGA with 0 alpha bits in its descriptor, or a channel of
    nothing but zeros in a format where it often is unused."""
    if picture.format == "TGA" and data[17] & 15 == 0:
        return True
    has_extra = picture.format in _EXTRA_CHANNEL_FORMATS and picture.mode in ("RGBA", "LA")
    return has_extra and picture.getchannel("A").getextrema()[1] == 0


def _has_16_bit_rgb(picture: ImageFile.ImageFile) -> bool:
    return picture.format == "PNG" and bool(picture.tile) and picture.tile[0][3] == "RGB;16B"


def _is_of_color(data: bytes, picture: Image.Image, key: tuple[int, int, int]) -> np.ndarray:
    """Return (H, W) bool: whether a pixel of a PNG of 16-bit RGB has exactly that colour. `picture` has the high
    bytes."""
    low = _open_image(data)
    codec, box, offset, _ = low.tile[0]
    # Read as little-endian, the low bytes are the high ones.
    low.tile = [(codec, box, offset, "RGB;16L")]  # type: ignore[list-item]  # before Pillow 11 it is a plain tuple
    low.info.pop("transparency")
    low.load()
    strips = zip(_strips(picture), _strips(low), strict=True)
    highs, lows = [part >> 8 for part in key], [part & 255 for part in key]
    same = [(np.asarray(high) == highs).all(2) & (np.asarray(low) == lows).all(2) for high, low in strips]
    return np.concatenate(same)


def _strips(picture: Image.Image) -> Iterator[Image.Image]:
    """Yield the picture from top to bottom, some STRIP_PIXELS at a time."""
    rows = max(1, STRIP_PIXELS // picture.width)
    if rows >= picture.height:
        yield picture
        return
    for top in range(0, picture.height, rows):
        yield picture.crop((0, top, picture.width, min(top + rows, picture.height)))


def _srgb(
    picture: Image.Image, profile: bytes | None = None, is_opaque: bool = False, keep_alpha: bool = False
) -> np.ndarray:
    """Return a picture of any Pillow mode as (H, W, 3) uint8 sRGB, transparency on white, or with `keep_alpha` as
    (H, W, 4) if it has any. `profile`: its ICC profile; `is_opaque`: what looks like transparency is none."""
    if picture.mode.startswith("I") or picture.mode == "F":
        picture = _to_8_bits(picture)
    if picture.width * picture.height <= STRIP_PIXELS:
        return _pixels(_flatten(picture, profile, is_opaque, keep_alpha))
    channels = 4 if keep_alpha and picture.has_transparency_data and not is_opaque else 3
    pixels, top = np.empty((picture.height, picture.width, channels), np.uint8), 0
    for strip in _strips(picture):
        pixels[top : top + strip.height] = _pixels(_flatten(strip, profile, is_opaque, keep_alpha))
        top += strip.height
    return pixels


def _flatten(picture: Image.Image, profile: bytes | None, is_opaque: bool, keep_alpha: bool) -> Image.Image:
    """Return a picture of 8 bits in RGB or RGBA; see `_srgb`."""
    if picture.mode == "LAB":  # the one colour mode that convert() does not support
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(picture, lab, srgb, outputMode="RGB")
        assert converted is not None  # as it is not in place
        return converted
    has_alpha = picture.has_transparency_data and not is_opaque
    colors = picture.convert("RGBA") if has_alpha else picture
    if profile and (known := to_srgb(profile)):
        mode, transform = known
        is_grey, is_cmyk = picture.mode in ("1", "L", "LA"), picture.mode == "CMYK"
        if {"RGB": not is_cmyk, "L": is_grey, "CMYK": is_cmyk}[mode]:
            managed = ImageCms.applyTransform(colors.convert(mode), transform)
            assert managed is not None  # as it is not in place
            if has_alpha:
                managed.putalpha(colors.getchannel("A"))
            colors = managed
    if has_alpha:
        return colors if keep_alpha else _on_white(colors)
    return colors if colors.mode == "RGB" else colors.convert("RGB")


def _to_8_bits(picture: Image.Image) -> Image.Image:
    """Return a grey picture of 16 bits, 32 bits or floats with 8 bits, mode L. Values are scaled, where Pillow's
    convert() would clip them; mode LA if one value is transparent."""
    values = np.asarray(picture)  # the file does not say which value is white
    if picture.mode == "F":
        white = 1.0 if values.max(initial=0) <= 1 else 255.0
    else:
        white = 255.0 if picture.mode == "I" and values.max(initial=0) <= 255 else 65535.0
    transparent = picture.info.get("transparency")
    grey, alpha = np.empty(values.shape, np.uint8), np.empty(values.shape, np.uint8)
    for rows in range(0, len(values), 256):  # in strips: as floats, all of a large scan would take gigabytes
        strip = values[rows : rows + 256]
        grey[rows : rows + 256] = np.clip(strip * (255 / white) + 0.5, 0, 255)
        if isinstance(transparent, int):
            alpha[rows : rows + 256] = np.where(strip == transparent, 0, 255)
    shown = Image.fromarray(grey)
    if isinstance(transparent, int):
        shown.putalpha(Image.fromarray(alpha))
    return shown


def phash(picture: np.ndarray) -> str:
    """Return the 64-bit perceptual hash of (H, W, 3) uint8 as 16 hex digits: signs of the 8 × 8 lowest DCT terms about
    their median, as in http://www.phash.org."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:8, :8].ravel()
    bits = low > np.median(low[1:])  # the first term is the mean: it would swamp the median
    return np.packbits(bits).tobytes().hex()
