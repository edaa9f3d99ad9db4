"""Picture files reduced to what their pixels need, before a decoder reads them.

Most of what is odd, damaged or hostile in picture files is metadata. A damaged text chunk must not lose a picture whose
pixels are whole, and a file of a few MB must not take hours or gigabytes.
"""

import re
import struct
import zlib
from collections.abc import Iterator

MAX_METADATA_BYTES = 1 << 20  # of one chunk, block or tag that is handed to a decoder
MAX_PROFILE_BYTES = 4 << 20  # of an ICC profile; those of printing presses have up to 3 MB
MAX_CHUNKS = 1_000_000  # of a PNG
MAX_SEGMENTS = 100_000  # of a JPEG, GIF or WebP
MAX_TAG_BYTES = 8 << 20  # of a TIFF's table of strips: a million of them
MAX_STRIP_OVERLAP = 4  # bytes of all strips of a TIFF together, in sizes of the file
MAX_SCANS = 200  # of a JPEG; progressive ones have about ten
MAX_SCANNED_PIXELS = 2_000_000_000  # scans x pixels of a JPEG: 20 scans of a picture of 100 megapixels

PNG_MAGIC, JPEG_MAGIC = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
END_OF_JPEG = b"\xff\xd9"


class TooCostly(Exception):
    """A file that would take too much time or memory to decode; args: why, in words."""


def strip_unneeded(data: bytes) -> tuple[bytes, bytes | None]:
    """Return (the file with no more than a decoder of pixels needs, its ICC profile if that was taken out of it).

    Damaged files are returned up to the damage. Raise TooCostly."""
    if data.startswith(PNG_MAGIC):
        return _strip_png(data)
    if data.startswith(JPEG_MAGIC):
        _check_scans(data)
        return _strip_jpeg(data), None
    if data.startswith((b"GIF87a", b"GIF89a")):
        return _strip_gif(data), None
    if data.startswith(tuple(_TIFF_LAYOUTS)):
        return _strip_tiff(data), None
    return data, None


def strip_metadata(data: bytes) -> bytes | None:
    """Return the file without any metadata, for a decoder that failed at it; None if there is no such way for its
    format. Damaged pixels stay damaged. Raise TooCostly."""
    if data.startswith(JPEG_MAGIC):
        return _bare_jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _bare_webp(data)
    if data.startswith(tuple(_TIFF_LAYOUTS)):
        return _strip_tiff(data, only_needed=True)
    return None


# PNG: https://www.w3.org/TR/png-3/


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield (type, start, end) of each chunk; the last one may end beyond the file."""
    at = len(PNG_MAGIC)
    for _ in range(MAX_CHUNKS):
        if at + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, at, at + 12 + length
        at += 12 + length
    raise TooCostly(f"a PNG of more than {MAX_CHUNKS:,} chunks")


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _strip_png(data: bytes) -> tuple[bytes, bytes | None]:
    view = memoryview(data)
    if data[12:16] != b"IHDR" or len(data) < 33:
        return data, None
    depth, color_type = data[24], data[25]
    parts: list = [view[: len(PNG_MAGIC)]]
    profile = None
    for kind, start, end in _png_chunks(data):
        if kind == b"IEND":
            break
        if kind in (b"IHDR", b"IDAT") or (kind == b"PLTE" and color_type == 3):
            parts.append(view[start:end])
        elif kind in (b"tRNS", b"iCCP", b"eXIf", b"zTXt", b"iTXt") and end - start <= MAX_PROFILE_BYTES:
            body = data[start + 8 : end - 4]
            if data[end - 4 : end] != struct.pack(">I", zlib.crc32(kind + body)):
                continue
            if kind == b"iCCP":
                profile = profile or _inflate(body.partition(b"\0")[2], MAX_PROFILE_BYTES)
            elif kind == b"tRNS":
                parts.append(_transparency(body, depth, color_type))
            elif kind == b"eXIf" or _has_orientation(kind, body):
                parts.append(view[start:end])
    return b"".join([*parts, _png_chunk(b"IEND", b"")]), profile


def _inflate(method_and_data: bytes, limit: int) -> bytes | None:
    """Return what the compressed field of a chunk holds; None if it is damaged or has more than `limit` bytes."""
    inflater = zlib.decompressobj()
    try:
        inflated = inflater.decompress(method_and_data[1:], limit)
    except zlib.error:
        return None
    return inflated if method_and_data[:1] == b"\0" and inflater.eof else None


def _transparency(body: bytes, depth: int, color_type: int) -> bytes:
    """Return the tRNS chunk, or nothing if it is too short for the picture's type. Greys of 2 and 4 bits become 8 bits
    in Pillow, but not the grey that is transparent."""
    needed = {0: 2, 2: 6, 3: 1}.get(color_type)
    if needed is None or len(body) < needed or (color_type == 3 and len(body) > 256):
        return b""
    if color_type == 0 and depth in (2, 4):
        grey = int.from_bytes(body[:2], "big") & (2**depth - 1)
        body = struct.pack(">H", grey * 255 // (2**depth - 1))
    return _png_chunk(b"tRNS", body)


def _has_orientation(kind: bytes, body: bytes) -> bool:
    """Return whether a text chunk is one of those where Pillow looks for the EXIF orientation, and whole."""
    keyword, _, rest = body.partition(b"\0")
    if len(body) > MAX_METADATA_BYTES or keyword not in (b"XML:com.adobe.xmp", b"Raw profile type exif"):
        return False
    if kind == b"zTXt":
        return _inflate(rest, MAX_METADATA_BYTES) is not None
    if rest[:1] == b"\0":
        return True
    compressed = rest[2:].split(b"\0", 2)
    return len(compressed) == 3 and _inflate(rest[1:2] + compressed[2], MAX_METADATA_BYTES) is not None


# JPEG: https://www.w3.org/Graphics/JPEG/itu-t81.pdf, annex B

_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_TABLES = frozenset((0xC4, 0xCC, 0xDB, 0xDD))


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, start, end) of each segment before the end marker. Entropy-coded data and bytes between segments
    are skipped. Raise TooCostly."""
    at = 2
    for _ in range(MAX_SEGMENTS):
        found = _JPEG_MARKER.search(data, at)
        if not found:
            return
        marker, at = data[found.start() + 1], found.end()
        if marker == _EOI:
            return
        if marker not in (_SOI, _TEM):
            at += int.from_bytes(data[at : at + 2], "big")
            yield marker, found.start(), at
    raise TooCostly(f"a JPEG of more than {MAX_SEGMENTS:,} segments")


def _check_scans(data: bytes) -> None:
    """Raise TooCostly for more scans than any encoder makes: each goes through all pixels again."""
    pairs = data.count(b"\xff\xda")  # quick, and no less than there are scans
    if pairs <= 3:
        return
    scans, pixels = 0, 0
    for marker, start, _ in _jpeg_segments(data):
        if marker in _FRAMES and start + 9 <= len(data):
            height, width = struct.unpack_from(">HH", data, start + 5)
            pixels = max(pixels, height * width)
        elif marker == _SOS:
            scans += 1
            if scans > MAX_SCANS or scans * pixels > MAX_SCANNED_PIXELS:
                raise TooCostly(f"a JPEG of {scans:,} scans or more, each of {pixels:,} pixels")


def _strip_jpeg(data: bytes) -> bytes:
    """Return the JPEG without EXIF beyond the first segment's 64 kB: Pillow joins such segments, and reads each tag."""
    view, parts, copied_to, has_exif = memoryview(data), [], 0, False
    for marker, start, end in _jpeg_segments(data):
        if marker == _SOS:
            break
        if marker == 0xE1 and data[start + 4 : start + 10] == b"Exif\0\0":
            if has_exif:
                parts.append(view[copied_to:start])
                copied_to = end
            has_exif = True
    return b"".join([*parts, view[copied_to:]]) if parts else data


def _bare_jpeg(data: bytes) -> bytes:
    """Return the JPEG's frame, tables and scans, and the metadata that changes colours: JFIF, Adobe and ICC
    segments."""
    parts = [data[:2]]
    for marker, start, end in _jpeg_segments(data):
        body = data[start + 4 : end]
        if marker == _SOS:
            return b"".join([*parts, data[start:]])
        if (
            marker in _FRAMES | _TABLES
            or (marker == 0xE0 and body.startswith(b"JFIF\0") and len(body) >= 14)
            or (marker == 0xE2 and body.startswith(b"ICC_PROFILE\0") and len(body) > 14)
            or (marker == 0xEE and body.startswith(b"Adobe") and len(body) == 12)
        ):
            parts.append(data[start:end])
    return data


def jpeg_endings(data: bytes) -> list[bytes]:
    """Return a JPEG that has no end marker with several endings, or nothing if it lacks more for certain. If all of
    them give the same pixels, then the end marker is all that it lacks: a decoder that wants more bits takes those of
    the ending."""
    left: dict[int, list[int]] = {}  # component -> of its 64 coefficients, the bits that are still to come
    for marker, start, end in _jpeg_segments(data):
        body = data[start + 4 : end]
        if marker in _FRAMES:
            left = {component: [16] * 64 for component in body[6::3]}
        elif marker == _SOS and body and len(body) == 4 + 2 * body[0]:
            first, last, bits = body[-3:]
            for component in body[1:-3:2]:
                left.setdefault(component, [16] * 64)[first : last + 1] = [bits & 15] * (last + 1 - first)
    if not left or any(map(any, left.values())):
        return []
    stem = data.rstrip(b"\xff")
    return [stem + bits * 512 + END_OF_JPEG for bits in (b"", b"\x55", b"\xaa")]


# GIF: https://www.w3.org/Graphics/GIF/spec-gif89a.txt


def _strip_gif(data: bytes) -> bytes:
    """Return the GIF without the extensions before the first frame, except its own control block, if they are large:
    Pillow joins comments in quadratic time."""
    if len(data) < 13:
        return data
    first = at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    control, blocks = b"", 0
    while data[at : at + 1] == b"!":
        start, is_control = at, data[at + 1 : at + 2] == b"\xf9"
        at += 2
        while at < len(data) and data[at]:
            at, blocks = at + 1 + data[at], blocks + 1
        at, blocks = at + 1, blocks + 1
        if blocks > MAX_SEGMENTS:
            raise TooCostly(f"a GIF of more than {MAX_SEGMENTS:,} blocks before its first picture")
        if is_control:
            control = data[start:at]
    return data if at - first < MAX_METADATA_BYTES >> 4 else data[:first] + control + data[at:]


# TIFF: https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf; BigTIFF: http://bigtiff.org

_TIFF_LAYOUTS = {  # magic -> byte order, of the first offset its place, formats of offset, count and entry
    b"II*\0": ("<", 4, "I", "H", "HHI4s"),
    b"MM\0*": (">", 4, "I", "H", "HHI4s"),
    b"II+\0": ("<", 8, "Q", "Q", "HHQ8s"),
    b"MM\0+": (">", 8, "Q", "Q", "HHQ8s"),
}
_TIFF_TYPE_BYTES = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8,
}  # fmt: skip
_STRIP_BYTES, _PROFILE = (279, 325), 34675
_TIFF_PIXEL_TAGS = {
    *(254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 293, 301, 317, 318, 319, 320, 322, 323),
    *(324, 325, 332, 338, 339, 340, 341, 342, 347, *range(512, 516), *range(517, 522), *range(529, 533), _PROFILE),
}
"""Tags that change pixels."""
_TIFF_METADATA_TAGS = {
    *(255, 269, 270, 271, 272, 280, 281, 282, 283, 285, 286, 287, 296, 305, 306, 315, 316, 700, 33432)
}
"""Tags without other tables in them that ordinary writers add."""


def _strip_tiff(data: bytes, only_needed: bool = False) -> bytes:
    """Return the TIFF without tags that pixels do not need and that are large or tables of their own, and, if any was
    removed, without further pages: Pillow reads each tag whole, and many tags may name the same bytes. Raise
    TooCostly."""
    order, place, offset_format, count_format, entry_format = _TIFF_LAYOUTS[data[:4]]
    try:
        (at,) = struct.unpack_from(order + offset_format, data, place)
        (count,) = struct.unpack_from(order + count_format, data, at)
        entries_at, entry_bytes = at + struct.calcsize(count_format), struct.calcsize("=" + entry_format)
        count = min(count, (len(data) - entries_at) // entry_bytes)
        starts = (entries_at + number * entry_bytes for number in range(min(count, 1 << 16)))
        entries = [struct.unpack_from(order + entry_format, data, start) for start in starts]
    except (struct.error, OverflowError):  # an offset beyond the file, or beyond all files
        return data
    kept: dict[int, bytes] = {}
    for tag, type_, values, where in entries:
        if type_ not in _TIFF_TYPE_BYTES:
            continue
        size = values * _TIFF_TYPE_BYTES[type_]
        if tag == _PROFILE:
            is_kept = size <= MAX_PROFILE_BYTES
        elif is_kept := tag in _TIFF_PIXEL_TAGS:
            if size > MAX_TAG_BYTES:
                raise TooCostly(f"a TIFF whose tag {tag} has {size:,} bytes")
        else:
            is_kept = not only_needed and tag in _TIFF_METADATA_TAGS and size <= MAX_METADATA_BYTES >> 4
        is_table = tag in _STRIP_BYTES and size > len(where)
        if is_table and _total(data, order, type_, values, where) > MAX_STRIP_OVERLAP * len(data):
            raise TooCostly("a TIFF whose strips are larger together than the file")
        if is_kept:
            kept[tag] = struct.pack(order + entry_format, tag, type_, values, where)
    if len(kept) == len(entries):
        return data
    head, tail = struct.pack(order + count_format, len(kept)), bytes(struct.calcsize(offset_format))
    table = b"".join([head, *kept.values(), tail])
    view = memoryview(data)
    return b"".join([view[:at], table, view[at + len(table) :]])


def _total(data: bytes, order: str, type_: int, values: int, where: bytes) -> int:
    """Return the sum of a tag's whole numbers, as far as they lie in the file."""
    code = {3: "H", 4: "I", 16: "Q"}.get(type_, "B")
    at = int.from_bytes(where, "little" if order == "<" else "big")
    values = max(0, min(values, (len(data) - at) // struct.calcsize("=" + code)))
    return sum(struct.unpack_from(f"{order}{values}{code}", data, at)) if values else 0


# WebP: https://developers.google.com/speed/webp/docs/riff_container


_WEBP_HAS_ALPHA = 0x10


def _bare_webp(data: bytes) -> bytes | None:
    """Return the still picture of a WebP, with its alpha if any, in a new container; None if there is none."""
    at, parts, size = 12, b"", b""
    for _ in range(MAX_SEGMENTS):
        if at + 8 > len(data):
            break
        kind, length = struct.unpack_from("<4sI", data, at)
        chunk = data[at : at + 8 + length + length % 2]
        if kind == b"VP8X":
            size = data[at + 12 : at + 18]
        elif kind == b"ALPH" and len(size) == 6:
            parts = struct.pack("<4sIB3x6s", b"VP8X", 10, _WEBP_HAS_ALPHA, size) + chunk
        elif kind in (b"VP8 ", b"VP8L"):
            parts += chunk
            return b"RIFF" + struct.pack("<I", 4 + len(parts)) + b"WEBP" + parts
        at += 8 + length + length % 2
    return None


# Formats that are not decoded, by their first bytes: their names, for error messages.

_UNSUPPORTED_FORMATS = {
    "JPEG XL": (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"),
    "JPEG 2000": (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"),
    "JPEG XR": (b"II\xbc\x01",),
    "a Photoshop document (PSD)": (b"8BPS",),
    "a GIMP document (XCF)": (b"gimp xcf",),
    "a Clip Studio document": (b"CSFCHUNK",),
    "PostScript (EPS)": (b"%!PS", b"\xc5\xd0\xd3\xc6"),
    "PDF": (b"%PDF",),
    "an icon (ICO)": (b"\0\0\1\0",),
    "a cursor (CUR)": (b"\0\0\2\0",),
    "DirectDraw (DDS)": (b"DDS ",),
    "OpenEXR": (b"\x76\x2f\x31\x01",),
    "Radiance HDR": (b"#?RADIANCE", b"#?RGBE"),
    "QOI": (b"qoif",),
    "FLIF": (b"FLIF",),
    "BPG": (b"BPG\xfb",),
    "MNG": (b"\x8aMNG", b"\x8bJNG"),
    "a video (Matroska or WebM)": (b"\x1a\x45\xdf\xa3",),
    "Flash": (b"FWS", b"CWS", b"ZWS"),
    "an archive (zip, or a document kept as one, such as KRA and ORA)": (b"PK\3\4",),
    "an archive (rar)": (b"Rar!",),
    "an archive (7z)": (b"7z\xbc\xaf\x27\x1c",),
    "gzip (an archive, or SVGZ)": (b"\x1f\x8b",),
}
_HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"))


def unsupported_format(data: bytes) -> str | None:
    """Return the name of a known format that is not decoded here; None for all other files."""
    for name, magics in _UNSUPPORTED_FORMATS.items():
        if data.startswith(magics):
            return name
    if data[4:8] == b"ftyp":
        brands = {data[at : at + 4] for at in (8, *range(16, min(int.from_bytes(data[:4], "big"), 256), 4))}
        if brands & {b"avif", b"avis"}:
            return "AVIF"
        return "HEIC (HEIF)" if brands & _HEIF_BRANDS else "a video (MP4 or QuickTime)"
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page (HTML)"
    if start.startswith(b"<") and b"<svg" in start:
        return "a vector drawing (SVG)"
    return None
