"""PNG files that are written in strips: of pictures that are larger than the memory."""

import struct
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from models.files import check_regular

_COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by channels
_PALETTE = 3
_MAX_CHUNK = 1 << 20  # bytes
_PART = 64  # rows that are compressed at once
MAGIC = b"\x89PNG\r\n\x1a\n"


def write_png(
    file: IO[bytes],
    strips: Iterable[np.ndarray],
    size: tuple[int, int],
    *,
    palette: np.ndarray | None = None,
    exif: bytes = b"",
    profile: bytes = b"",
    texts: Mapping[str, str],
) -> None:
    """Write a picture of `size` (height, width) whose strips (h, W, C) are uint8 or uint16; C: 1 grey, 2 grey and
    alpha, 3 RGB, 4 RGB and alpha; or with a palette (N, 3 or 4) uint8 its numbers, (h, W, 1)."""
    about = PngInfo()
    for key, text in texts.items():
        about.add_itxt(key, text)
    is_begun, previous, packer = False, np.empty(0, np.uint8), zlib.compressobj(6)
    for strip in strips:
        for start in range(0, len(strip), _PART):
            part = strip[start : start + _PART]
            if not is_begun:
                _write_head(file, part, size, palette, exif, profile)
                for kind, body, *_ in about.chunks:
                    _write_chunk(file, kind, body)
                previous, is_begun = np.zeros(part[0].nbytes, np.uint8), True
            rows = np.ascontiguousarray(part, part.dtype.newbyteorder(">")).view(np.uint8).reshape(len(part), -1)
            above = np.concatenate([previous[None], rows[:-1]])
            filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
            filtered[:, 0] = 0 if palette is not None else 2  # None, or Up: the difference from the row above
            filtered[:, 1:] = rows if palette is not None else rows - above
            previous = rows[-1].copy()
            _write_pixels(file, packer.compress(filtered.tobytes()))
    _write_pixels(file, packer.flush())
    _write_chunk(file, b"IEND", b"")


def _write_head(
    file: IO[bytes], part: np.ndarray, size: tuple[int, int], palette: np.ndarray | None, exif: bytes, profile: bytes
) -> None:
    color_type = _COLOR_TYPES[part.shape[2]] if palette is None else _PALETTE
    file.write(MAGIC)
    header = (size[1], size[0], 8 * part.dtype.itemsize, color_type, 0, 0, 0)
    _write_chunk(file, b"IHDR", struct.pack(">2I5B", *header))
    if profile:
        _write_chunk(file, b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile))
    if palette is not None:
        _write_chunk(file, b"PLTE", palette[:, :3].tobytes())
        if palette.shape[1] == 4:
            _write_chunk(file, b"tRNS", palette[:, 3].tobytes())
    if exif:
        _write_chunk(file, b"eXIf", exif)


def _write_pixels(file: IO[bytes], data: bytes) -> None:
    for start in range(0, len(data), _MAX_CHUNK):
        _write_chunk(file, b"IDAT", data[start : start + _MAX_CHUNK])


def _write_chunk(file: IO[bytes], kind: bytes, body: bytes) -> None:
    file.write(struct.pack(">I", len(body)) + kind + body)
    file.write(struct.pack(">I", zlib.crc32(body, zlib.crc32(kind))))


def read_texts(path: Path) -> dict[str, str]:
    """Return the texts of a PNG file that stand before its pixels, which are not read; {} if it is damaged."""
    try:
        check_regular(path)
        with Image.open(path, formats=("PNG",)) as picture:
            return {str(key): str(value) for key, value in picture.info.items() if isinstance(value, str)}
    except (OSError, SyntaxError, ValueError, RecursionError):
        return {}
