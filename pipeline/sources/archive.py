"""An archive of pictures (zip, tar, rar), read in place. Only a compressed rar's members pass through temporary files.

What it holds is hostile until checked. A member's name is only ever an id; what it unpacks to is counted while it is
read, whatever it declares. An archive within the archive is read too, in memory; one within that is not.
"""

import bz2
import gzip
import io
import lzma
import os
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import BinaryIO, NamedTuple

import rarfile

from pipeline.errors import UserError
from pipeline.sources.folder import EPOCH, OTHERS, distinct, is_junk, is_picture, junk_of, local_path, printable, unused
from pipeline.sources.post import Drop, Post, Request
from pipeline.sources.sidecars import MAX_TABLE_BYTES, TABLES, Sidecars, beside
from pipeline.sources.sidecars import VERSION as SIDECARS_VERSION

MAX_MEMBER = 512 << 20  # bytes of one picture: a 100-megapixel TIFF has 300 MB
MAX_INNER = 1 << 30  # bytes of an archive within, which is held in memory
MAX_TOTAL = 1 << 40  # bytes that all pictures may unpack to
MAX_RATIO = 200  # unpacked to packed, of members above RATIO_FROM: line art as BMP in a zip reaches 100
RATIO_FROM = 50 << 20  # bytes
MAX_MEMBERS = 5_000_000
MAX_HEADER = 1 << 18  # bytes of a tar's header, or of its own reads
MAX_SIDECARS = 256 << 20  # bytes of all sidecars, which are held in memory
ARCHIVES = frozenset(".zip .cbz .rar .cbr .tar .tgz .gz .tbz2 .bz2 .txz .xz".split())

# What zipfile, tarfile and the decompressors raise at damaged bytes.
DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError, NotImplementedError,
          RuntimeError, ValueError, struct.error, rarfile.Error)  # fmt: skip


class _Refused(Exception):
    """A member that is not taken; args: a reason of REASONS, and why in words."""


class Member(NamedTuple):
    """One file in an archive."""

    name: str
    mtime: datetime | None
    open: Callable[[], BinaryIO]
    refused: str | None = None  # a reason of REASONS
    skips: int = 0  # bytes that must be unpacked to get past it, if it is not read


def _zip_members(file: BinaryIO) -> Iterator[Member]:
    archive = zipfile.ZipFile(file)
    for info in archive.infolist():
        if not info.is_dir():
            is_link = stat.S_ISLNK(info.external_attr >> 16)
            refused = "unsafe_name" if is_link else "encrypted" if info.flag_bits & 1 else None
            yield Member(_zip_name(info), _utc(info.date_time), partial(archive.open, info), refused)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Without the flag that says UTF-8, a name is in the packer's own code page: here, most likely, Japan's."""
    if info.flag_bits & 0x800:
        return info.orig_filename
    raw = info.orig_filename.encode("cp437", "replace")
    try:
        return raw.decode("ascii" if raw.isascii() else "cp932")
    except UnicodeDecodeError:
        return info.orig_filename


def _utc(date_time: tuple[int, ...] | None) -> datetime | None:
    """Zip and rar store local time without its zone: it is taken as UTC, so that every machine reads the same."""
    try:
        return datetime(*date_time, tzinfo=timezone.utc) if date_time else None
    except ValueError:
        return None


_UNPACKERS = {b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file), b"BZh": bz2.BZ2File, b"\xfd7zXZ\0": lzma.LZMAFile}


class _Modest:
    """A stream that is read in small steps only: tarfile reads a header of any size at once, as no honest tar has."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_HEADER:
            raise _Refused("archive_bomb", f"a header of {size:,} bytes")
        return self._file.read(size)


def _tar_members(file: BinaryIO) -> Iterator[Member]:
    """In the order of the file, so that a compressed one is read once: read each before asking for the next."""
    head = file.read(6)
    file.seek(0)
    unpack = next((unpack for magic, unpack in _UNPACKERS.items() if head.startswith(magic)), None)
    with tarfile.open(fileobj=_Modest(unpack(file) if unpack else file), mode="r:") as archive:
        for info in archive:
            archive.members = []  # tarfile keeps every header: millions of them would fill the memory
            if not info.isdir():
                mtime = EPOCH + timedelta(seconds=int(info.mtime)) if 0 <= info.mtime < 1 << 33 else None
                refused = None if info.isreg() else "unsafe_name"
                yield Member(info.name, mtime, partial(archive.extractfile, info), refused, skips=info.size)


def _rar_members(file: BinaryIO) -> Iterator[Member]:
    archive = rarfile.RarFile(getattr(file, "name", file))  # by its path, it is not copied to unpack a member
    for info in archive.infolist():
        if not info.is_dir():
            refused = "encrypted" if info.needs_password() else None if info.is_file() else "unsafe_name"
            yield Member(info.filename, _utc(info.date_time), partial(archive.open, info), refused)


_MAGIC = {
    b"PK\3\4": _zip_members, b"PK\5\6": _zip_members, b"PK\7\x08": _zip_members, b"Rar!\x1a\x07": _rar_members,
    b"\x1f\x8b": _tar_members, b"BZh": _tar_members, b"\xfd7zXZ\0": _tar_members,
}  # fmt: skip


def _reader(head: bytes) -> Callable[[BinaryIO], Iterator[Member]] | None:
    """What reads an archive that begins with `head` (512 bytes); None if it is none we know."""
    if head[257:262] == b"ustar":
        return _tar_members
    return next((reader for magic, reader in _MAGIC.items() if head.startswith(magic)), None)


class _Budget:
    """Counts what an archive of `packed` bytes unpacks to."""

    def __init__(self, packed: int):
        self._most = min(MAX_TOTAL, max(RATIO_FROM, MAX_RATIO * packed))
        self._members = 0
        self.is_spent = False

    def spend(self, size: int) -> None:
        self._most -= size
        if self._most < 0:
            self.is_spent = True
            raise _Refused("archive_bomb", f"the archive unpacks to more than {MAX_RATIO} times its size")

    def count(self, member: Member) -> None:
        self.spend(member.skips)
        self._members += 1
        if self._members > MAX_MEMBERS:
            self.is_spent = True
            raise _Refused("archive_bomb", f"more than {MAX_MEMBERS:,} members")

    def read(self, member: Member, most: int) -> bytes:
        """The member's bytes, in steps, whatever it declares."""
        chunks, size = [], 0
        with member.open() as file:
            while chunk := file.read(1 << 20):
                size += len(chunk)
                self.spend(0 if member.skips else len(chunk))  # a tar's are counted when they are met
                if size > most:
                    raise _Refused("archive_bomb", f"more than {most:,} bytes")
                chunks.append(chunk)
        return b"".join(chunks)


def snapshot(request: Request) -> list:
    """[file name, size in bytes, mtime in ns, version of what reads sidecars]. Raises UserError if it is no archive of
    a kind that is read."""
    path = local_path(request, "archive")
    if path.is_dir():
        raise UserError(path, "a folder", "an archive", "give --source folder for a folder")
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError as error:
        raise UserError(path, error.strerror, "an archive that may be read", "mend its permissions") from error
    if _reader(head) is None:
        raise UserError(
            path, "no zip, tar or rar" if head else "an empty file", "one of those",
            "unpack it and give --source folder",
        )  # fmt: skip
    status = path.stat()
    return [printable(path.name), status.st_size, status.st_mtime_ns, SIDECARS_VERSION]


def posts(request: Request, snapshot: list) -> Iterator[Post | Drop]:
    """A post for each picture, in the archive's order, its bytes in memory until it is let go; drops for the rest.

    It is gone through twice: sidecars first, since they may come after their pictures."""
    name, size, mtime, _ = snapshot
    with open(request.path, "rb") as file:
        stamp = f"{printable(str(request.path.resolve()))} {size} {mtime}"
        yield from _Archive(name, file, stamp, _Budget(size), _Budget(size), set()).posts()


class _Archive:
    """One archive, at the top or (`is_inner`) within another, whose budgets, for either pass, and ids it shares."""

    def __init__(
        self, name: str, file: BinaryIO, stamp: str, first: _Budget, second: _Budget, ids: set[str],
        *, is_inner: bool = False,
    ):  # fmt: skip
        self._name, self._file, self._stamp, self._ids, self._is_inner = name, file, stamp, ids, is_inner
        self._first, self._second = first, second

    def posts(self) -> Iterator[Post | Drop]:
        texts: dict[str, bytes] = {}
        yield from self._texts(texts)
        sidecars, used, left_out = Sidecars(lambda path: texts[path]), set(), set()
        budget = self._second
        for member in self._members(budget):
            if isinstance(member, Drop):
                yield member
                continue
            member_id = self._id(member.name)
            try:
                data = self._wanted(member, budget)
            except _Refused as refused:
                yield Drop(member_id, *refused.args)
                continue
            if data is None:
                junk = junk_of(member.name)
                if junk and junk not in left_out:
                    left_out.add(junk)
                    yield Drop(printable(f"{self._name}!{junk}"), "system_file")
                continue
            if (_reader(data[:512])) is not None:
                yield from self._inner(member_id, data)
            elif is_picture(member.name, partial(bytes, data[:16])):
                present = [path for path in beside(member.name) if path in texts]
                used.update(present)
                said, problems = sidecars.describe(member.name, present)
                for problem in problems:
                    yield Drop(printable(f"{self._name}!{problem.args[0]}"), "bad_sidecar", problem.args[1])
                yield Post(
                    member_id, partial(bytes, data), f"{self._stamp} {member_id}", fetched_at=member.mtime, **said
                )
        strays = unused(path for path, data in texts.items() if data and path not in used)
        for place, words in (*strays.items(), *sidecars.unused()):
            yield Drop(printable(f"{self._name}!{place}"), "bad_sidecar", words)

    def _inner(self, member_id: str, data: bytes) -> Iterator[Post | Drop]:
        if self._is_inner:
            yield Drop(member_id, "nested_too_deep")
        else:
            budgets = self._first, self._second
            yield from _Archive(member_id, io.BytesIO(data), self._stamp, *budgets, self._ids, is_inner=True).posts()

    def _members(self, budget: _Budget) -> Iterator[Member | Drop]:
        """The members up to where the archive ends, or breaks, or turns out to be a bomb: then a drop."""
        self._file.seek(0)
        reader = _reader(self._file.read(512))
        self._file.seek(0)
        try:
            for member in reader(self._file):
                budget.count(member)
                yield member
                if budget.is_spent:
                    return
        except _Refused as refused:
            yield Drop(self._name, *refused.args)
        except DAMAGE as error:
            yield Drop(self._name, "archive_damaged", f"{type(error).__name__}: {error}")

    def _wanted(self, member: Member, budget: _Budget) -> bytes | None:
        """The member's bytes, if it may be a picture or an archive. Raises _Refused."""
        extension = os.path.splitext(member.name)[1].lower()
        if _is_unsafe(member.name):
            raise _Refused("unsafe_name", f"it leads to {member.name!r}")
        if any(is_junk(part) for part in member.name.split("/")) or (extension in OTHERS and extension not in ARCHIVES):
            return None
        if member.refused:
            raise _Refused(member.refused, "")
        try:
            return budget.read(member, MAX_INNER if extension in ARCHIVES else MAX_MEMBER)
        except rarfile.RarCannotExec as error:
            raise _Refused("no_tool", "none of unar, unrar, bsdtar and 7z is installed") from error
        except DAMAGE as error:
            raise _Refused("archive_damaged", f"{type(error).__name__}: {error}") from error

    def _texts(self, texts: dict[str, bytes]) -> Iterator[Drop]:
        """Fill in the sidecars; a drop for each that cannot be read. What is wrong with the archive as a whole is said
        when the pictures are read."""
        room = MAX_SIDECARS
        for member in self._members(self._first):
            if isinstance(member, Drop) or not _may_be_sidecar(member.name):
                continue
            try:
                if member.refused:
                    raise _Refused(member.refused, "")
                data = self._first.read(member, min(room, MAX_TABLE_BYTES))
            except (_Refused, *DAMAGE) as error:
                words = " ".join(str(word) for word in error.args) if isinstance(error, _Refused) else str(error)
                yield Drop(printable(f"{self._name}!{member.name}"), "bad_sidecar", words)
            else:
                texts[member.name] = data
                room -= len(data)

    def _id(self, member_name: str) -> str:
        """`archive!member`; a second member of the same name is told apart."""
        return distinct(printable(f"{self._name}!{member_name}"), self._ids)


def _may_be_sidecar(name: str) -> bool:
    return name.endswith((".json", ".txt", ".caption")) or name.rpartition("/")[2] in TABLES


def _is_unsafe(name: str) -> bool:
    """Whether a name would, as a path, leave the folder that it is unpacked in, on any system."""
    parts = name.replace("\\", "/").split("/")
    return ".." in parts or name.startswith(("/", "\\")) or bool(re.match("[A-Za-z]:", name)) or "\0" in name
