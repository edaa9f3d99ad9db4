"""The members of a tar, plain or packed with gzip, bzip2 or xz, read by `tarfile` in the order of the file."""

import bz2
import gzip
import lzma
import re
import tarfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import IO, Any, BinaryIO, cast

from pipeline.sources.archive.members import Member, Refused

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MAX_READ = 1 << 15  # bytes at once
MAX_HEADER = 1 << 13  # bytes of one header, which tarfile takes apart in quadratic time; a longer one is passed over
MAX_HEADERS = 1 << 18  # bytes of all headers of one member: extended ones, and the map of a sparse file
TOO_MANY_DIGITS = re.compile(rb"\d{300}")  # a header that tarfile looks through in quadratic time, too
MAX_PADDING = 1 << 20  # bytes of zeros after the last member
MAX_GLOBALS = 1000  # keywords of global headers, which tarfile copies for each member
HEAD_BYTES = 1 << 12
MAX_XZ_BYTES = 256 << 20  # of memory that an xz wants; `xz -9` wants 65 MiB
_UNPACKERS: dict[bytes, Callable[[BinaryIO], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}


def members(file: BinaryIO) -> Iterator[Member]:
    """Yield the members, also of tars that follow each other. A packed one is read once: read each member before asking
    for the next. Raise Refused, or what `tarfile` raises, where it breaks off."""
    head = file.read(HEAD_BYTES)
    file.seek(0)
    unpack = next((unpack for magic, unpack in _UNPACKERS.items() if head.startswith(magic)), None)
    if unpack is lzma.LZMAFile:
        lzma.LZMADecompressor(memlimit=MAX_XZ_BYTES).decompress(head, 1)  # raises LZMAError if it wants more
    stream = _Bounded(unpack(file) if unpack else file)
    start: int | None = 0
    while start is not None:
        stream.seek(start)
        stream.room = MAX_HEADERS
        with tarfile.open(fileobj=cast(BinaryIO, stream), mode="r:") as archive:  # which reads the first header
            yield from _members(archive, stream)
            start = _next_tar(stream, archive.offset)


def _members(archive: tarfile.TarFile, stream: "_Bounded") -> Iterator[Member]:
    begun = -1
    while True:
        stream.room = MAX_HEADERS
        info = archive.next()
        stream.room = None
        if info is None:
            return
        cast(Any, archive).members = []  # tarfile keeps every header: millions of them would fill the memory
        if len(archive.pax_headers) > MAX_GLOBALS:
            raise Refused("archive_bomb", f"more than {MAX_GLOBALS:,} keywords in global headers")
        if info.size < 0 or info.offset <= begun:  # tarfile would go back, and read the same headers for ever
            raise Refused("archive_damaged", f"a member of {info.size:,} bytes")
        begun = info.offset
        if not info.isdir():
            mtime = EPOCH + timedelta(seconds=int(info.mtime)) if 0 <= info.mtime < 1 << 33 else None
            refused = None if info.isreg() else ("unsafe_name", "a link or a device")
            opened = cast(
                "Callable[[], IO[bytes]]", partial(archive.extractfile, info)
            )  # None only of folders and links
            yield Member(info.name.removeprefix("./"), mtime, opened, refused, skips=info.size)


def _next_tar(stream: "_Bounded", offset: int) -> int | None:
    """Return where another tar begins after the one that ends at `offset`; None if only zeros follow. Raise
    Refused if anything else follows, such as a damaged header."""
    stream.seek(offset)
    for start in range(offset, offset + MAX_PADDING, 512):
        block = stream.read(512)
        if is_header(block):
            return start
        if block.strip(b"\0"):
            raise Refused("archive_damaged", f"no member at byte {start:,}: what is behind it is not read")
        if not block:
            return None
    return None


def is_header(block: bytes) -> bool:
    """Return whether 512 bytes are the header of a member, by its checksum: tars of Unix's seventh edition have no
    magic."""
    stated = block[148:156].strip(b" \0")
    if len(block) < 512 or not block[0] or not re.fullmatch(rb"[0-7]{1,7}", stated):
        return False
    return int(stated, 8) == sum(block) - sum(block[148:156]) + 8 * ord(" ")


class _Bounded:
    """A stream that is read in small steps, and of which only so many bytes are read as headers. A packed one that went
    back would be unpacked again from its beginning, so a step back within the last block is made here."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._at = 0
        self._last, self._ahead = b"", b""  # the last bytes read; those of them to read again after `seek`
        self.room: int | None = None
        """Bytes that may still be read; None: any number."""

    def tell(self) -> int:
        return self._at

    def seek(self, position: int) -> None:
        back = self._at - position
        if 0 < back <= len(self._last):
            self._ahead, self._last = self._last[-back:] + self._ahead, b""
        elif not -len(self._ahead) <= back <= 0:
            self._ahead = b""
            self._file.seek(position)
        else:
            self._ahead = self._ahead[-back:]
        self._at = position

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, or zeros for a header that is too long. Raise Refused beyond the bounds."""
        most = MAX_READ if self.room is None else self.room
        if not 0 <= size <= most:
            raise Refused("archive_bomb", f"{size:,} bytes at once, at most {most:,}")
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        data += self._file.read(size - len(data))
        self._at += len(data)
        self._last = data if size == tarfile.BLOCKSIZE else b""
        if self.room is None:
            return data
        self.room -= size
        return bytes(len(data)) if size > MAX_HEADER or TOO_MANY_DIGITS.search(data) else data
