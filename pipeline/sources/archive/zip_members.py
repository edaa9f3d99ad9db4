"""The members of a zip, read by `zipfile` from a directory that is checked first.

`zipfile` parses all entries before it returns the first, and fails if one is malformed. So the directory is gone
through once: entries are counted, and malformed ones are corrected in a copy, which `zipfile` then reads.
"""

import contextlib
import stat
import struct
import zipfile
from collections.abc import Iterator
from functools import partial
from typing import Any, BinaryIO, cast

from pipeline.sources.archive.members import MAX_LISTED, UNPACK, Member, Refused, to_utc

MAX_DIRECTORY = 256 << 20  # bytes
MAX_EXTRA = 4096  # bytes of one member's extra fields, which zipfile takes apart in quadratic time
ENCRYPTED, UTF8 = 1, 1 << 11  # flags
READ_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
OTHER_METHODS = {
    1: "Shrink",
    6: "Implode",
    9: "Deflate64",
    10: "PKWARE's DCL",
    20: "Zstandard",
    93: "Zstandard",
    94: "MP3",
    95: "XZ",
    96: "JPEG",
    97: "WavPack",
    98: "PPMd",
    99: "AES",
}
_zipfile: Any = zipfile  # for names that it does not declare
_ENTRY = struct.Struct("<4s4B4HL2L5H2L")  # of the central directory: APPNOTE.TXT, 4.3.12
_VERSION, _FLAGS = 6, 8  # where in an entry: the version that is needed, and the flags


def members(file: BinaryIO) -> Iterator[Member]:
    """Yield the members in the directory's order. Raise Refused if there are too many, BadZipFile if it is no zip."""
    archive = zipfile.ZipFile(_sanitize_file(file))
    for info in archive.infolist():
        name = _name(info).replace("\\", "/")  # as Windows writes it
        if not name.endswith("/"):
            yield Member(name.removeprefix("./"), to_utc(info.date_time), partial(archive.open, info), _refusal(info))


def _refusal(info: zipfile.ZipInfo) -> tuple[str, str] | None:
    """Return why a member is not read, if it is not."""
    if stat.S_ISLNK(info.external_attr >> 16):
        return "unsafe_name", "a link"
    if info.flag_bits & ENCRYPTED:
        return "encrypted", ""
    if info.compress_type not in READ_METHODS:
        method = OTHER_METHODS.get(info.compress_type, f"method {info.compress_type}")
        return "other_packing", f"packed with {method}: {UNPACK}"
    return None


def _name(info: zipfile.ZipInfo) -> str:
    """Return a member's name. Without the flag that says UTF-8 it is UTF-8 all the same if macOS wrote it, or in the
    packer's own code page: here, most likely, Japan's."""
    if info.flag_bits & UTF8:
        return info.orig_filename
    raw = info.orig_filename.encode("cp437", "replace")
    for encoding in ("utf-8", "cp932"):
        with contextlib.suppress(UnicodeDecodeError):
            return raw.decode(encoding)
    return info.orig_filename


def _sanitize_file(file: BinaryIO) -> BinaryIO:
    """Return the file, with a directory that has no odd entry. Raise Refused if it is too large."""
    end = _zipfile._EndRecData(file)  # which ZipFile itself reads first
    size = end[_zipfile._ECD_SIZE] if end else 0
    if size > MAX_DIRECTORY:
        raise Refused("archive_bomb", f"a zip's directory of {size:,} bytes: {UNPACK}")
    if not end:
        return file
    is_zip64 = end[_zipfile._ECD_SIGNATURE] == _zipfile.stringEndArchive64
    start = end[_zipfile._ECD_LOCATION] - size
    start -= _zipfile.sizeEndCentDir64 + _zipfile.sizeEndCentDir64Locator if is_zip64 else 0
    if start < 0:
        return file
    file.seek(start)
    plain = _sanitize_directory(file.read(size))
    return cast(BinaryIO, _PatchedFile(file, start, plain)) if plain else file


def _sanitize_directory(directory: bytes) -> bytes | None:
    """Return the directory, of the same length, in which every entry can be read: without a UTF-8 flag on a name that
    is not UTF-8, inconsistent extra fields, or the requirement of a later format version. None if nothing had to be
    changed. Raise Refused if it has too many entries."""
    plain, at, is_changed = bytearray(directory), 0, False
    for count in range(len(directory)):
        if at + _ENTRY.size > len(directory) or directory[at : at + 4] != b"PK\1\2":
            break
        if count == MAX_LISTED:
            raise Refused("archive_bomb", f"more than {MAX_LISTED:,} members in a zip: {UNPACK}")
        fields = _ENTRY.unpack_from(directory, at)
        flags, (name_length, extra_length, comment_length) = fields[5], fields[12:15]
        name = at + _ENTRY.size
        extra = name + name_length
        if plain[at + _VERSION] > zipfile.MAX_EXTRACT_VERSION:
            plain[at + _VERSION], is_changed = zipfile.DEFAULT_VERSION, True
        if flags & UTF8 and directory[name:extra].decode("utf-8", "ignore").encode() != directory[name:extra]:
            struct.pack_into("<H", plain, at + _FLAGS, flags & ~UTF8)
            is_changed = True
        at = extra + extra_length
        if not _is_consistent(directory[extra:at]):
            plain[extra:at] = _filler_field(len(plain[extra:at]))
            is_changed = True
        at += comment_length
    return bytes(plain) if is_changed else None


def _is_consistent(extra: bytes) -> bool:
    """Return whether the stated lengths of extra fields add up, to at most MAX_EXTRA bytes."""
    at = 0
    while at + 4 <= len(extra):
        at += 4 + int.from_bytes(extra[at + 2 : at + 4], "little")
    return at <= len(extra) <= MAX_EXTRA


def _filler_field(length: int) -> bytes:
    """Return an extra field of so many bytes, of an unassigned kind."""
    return (b"\xff\xff" + struct.pack("<H", max(length - 4, 0)) + bytes(length))[:length]


class _PatchedFile:
    """A file of which one range is replaced, if it is read in one piece."""

    def __init__(self, file: BinaryIO, start: int, data: bytes):
        self._file, self._start, self._data = file, start, data
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        """Return the bytes at the current position, or their replacement."""
        if self._file.tell() == self._start and size == len(self._data):
            self._file.seek(size, 1)
            return self._data
        return self._file.read(size)
