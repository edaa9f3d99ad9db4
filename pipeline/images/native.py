"""Bytes of image files -> upright pixels in the mode of the file: grey, colours of a palette, or 16 bits."""

import io
from typing import NamedTuple

import cv2
import numpy as np
from PIL import ExifTags, Image

from pipeline.images import containers
from pipeline.images.decode import EXTENSIONS, MAX_EXIF_BYTES, decode, turned
from pipeline.parallel import is_out_of_memory

MAX_TEXT_BYTES = 1 << 16  # of all texts of a file; if it has more, none is kept
_GREY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "F")
XMP = "XML:com.adobe.xmp"  # the keyword of XMP in a PNG file


class Native(NamedTuple):
    """A picture in the mode of its file."""

    pixels: np.ndarray  # (H, W, C) uint8 or uint16; C: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha
    palette: np.ndarray | None  # (N, C) the colours of a file with a palette
    exif: bytes  # without the turn, which is done; empty: none
    profile: bytes  # ICC, of pixels of 16 bits; those of 8 bits are in sRGB
    texts: dict[str, str]


def decode_native(data: bytes) -> Native:
    """Return the first frame of a picture. Raise Rejected as `decode` does, or MemoryError."""
    pixels = decode(data, keep_alpha=True)[0]
    try:
        head = Image.open(io.BytesIO(data), formats=[name for name in EXTENSIONS if name in Image.OPEN])
        mode, texts, profile = head.mode, _texts(head), head.info.get("icc_profile") or b""
        exif, orientation = _exif(head)
    except Exception:  # noqa: BLE001  # pixels of a file whose metadata is damaged are good ones
        return Native(pixels, None, b"", b"", {})
    if mode in _GREY_MODES and (pixels[..., :1] == pixels[..., 1:3]).all():
        pixels = pixels[..., [0, *range(3, pixels.shape[2])]]
    fine = _of_16_bits(data, head)
    if fine is not None and (fine := turned(fine, orientation)).shape[:2] == pixels.shape[:2]:
        return Native(fine, None, exif, profile, texts)
    return Native(pixels, _colors(pixels) if mode == "P" else None, exif, b"", texts)


def _of_16_bits(data: bytes, head: Image.Image) -> np.ndarray | None:
    """Return (H, W, C) uint16, not turned; None if the file does not have 16 bits, or they cannot be read."""
    try:
        if head.format == "TIFF" and head.mode == "I;16":
            return np.asarray(head)[..., None]
        if head.format == "PNG" and data[24] == 16:
            return _png_of_16_bits(data)
    except Exception as error:  # hostile bytes make decoders raise anything
        if is_out_of_memory(error):
            raise MemoryError from error
    return None


def _png_of_16_bits(data: bytes) -> np.ndarray | None:
    """Return (H, W, C) uint16; None if OpenCV cannot read it. Of colours, Pillow keeps 8 bits."""
    found = cv2.imdecode(np.frombuffer(containers.strip_unneeded(data)[0], np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16:
        return None
    if found.ndim == 2:
        return found[..., None]
    colors = cv2.cvtColor(found, cv2.COLOR_BGRA2RGBA if found.shape[2] == 4 else cv2.COLOR_BGR2RGB)
    is_grey = data[25] in (0, 4)
    return colors[..., [0, 3]] if is_grey and colors.shape[2] == 4 else colors


def _colors(pixels: np.ndarray) -> np.ndarray | None:
    """Return the (N, C) colours of a picture of 256 at most; None if it has more."""
    wide = np.zeros((*pixels.shape[:2], 4), np.uint8)
    wide[..., : pixels.shape[2]] = pixels
    found = np.unique(wide.view(np.uint32)).view(np.uint8).reshape(-1, 4)
    return found[:, : pixels.shape[2]] if len(found) <= 256 else None


def _exif(head: Image.Image) -> tuple[bytes, int | None]:
    """Return (EXIF without the tag Orientation, empty if it is too long; that tag)."""
    exif = head.getexif()
    orientation = exif.pop(ExifTags.Base.Orientation, None)
    found = exif.tobytes() if len(exif) else b""
    return found.removeprefix(b"Exif\0\0") if len(found) <= MAX_EXIF_BYTES else b"", orientation


def _texts(head: Image.Image) -> dict[str, str]:
    """Return the texts that stand before the pixels, XMP and a comment."""
    found = {key: str(value) for key, value in head.info.items() if isinstance(key, str) and isinstance(value, str)}
    for key, name in (("comment", "Comment"), ("xmp", XMP)):
        if isinstance(value := head.info.get(key), bytes):
            found[name] = value.decode("utf-8", "replace")
    found = {key: text for key, text in found.items() if key.isascii() and key.isprintable() and 0 < len(key) < 60}
    return found if sum(map(len, found.values())) <= MAX_TEXT_BYTES else {}
