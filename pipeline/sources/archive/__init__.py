"""An archive of pictures (zip, tar, rar), read in place. Only a compressed rar's members pass through temporary files.

Archives are not trusted. A member's name is used only as an id; its unpacked bytes are counted while they are
read, whatever size it declares. An archive inside the archive is read too, in memory, but no deeper one.
"""

import contextlib
import dataclasses
import io
import itertools
import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import IO, BinaryIO, cast

from pipeline.errors import UserError
from pipeline.sources.archive import tar_members, zip_members
from pipeline.sources.archive.members import MAX_LISTED, UNPACK, Member, Refused, to_utc
from pipeline.sources.base import MAX_FILE_BYTES, BytesReader, LocalQuery, Post, Skipped
from pipeline.sources.folder import (
    OTHERS,
    escape_path,
    find_junk,
    is_junk,
    is_picture,
    make_unique,
    require_path,
    unused_sidecars,
)
from pipeline.sources.sidecars import TABLES, Sidecars, sidecar_paths
from pipeline.sources.sidecars import VERSION as SIDECARS_VERSION
from pipeline.sources.tables import MAX_TABLE_BYTES

MAX_INNER = 768 << 20  # bytes of an archive within, which is held in memory
MAX_TOTAL = 1 << 40  # bytes that all pictures may unpack to
MAX_RATIO = 200  # unpacked to packed, of members above RATIO_FROM: line art as BMP in a zip reaches 100
RATIO_FROM = 50 << 20  # bytes
MAX_MEMBERS = 1_000_000
MAX_DEPTH = 64  # folders in a member's name: each of them is looked into for sidecars
MAX_NAME = 4096  # characters of a member's name, as of a path
CHUNK = 1 << 15  # bytes that are unpacked at once
MAX_SIDECARS = 256 << 20  # bytes of all sidecars, which are held in memory
ARCHIVES = frozenset(".zip .cbz .rar .cbr .tar .tgz .gz .tbz2 .bz2 .txz .xz".split())

# By the first bytes, so that what is not read can be named.
OTHER_EXTENSIONS = frozenset(".7z .zst .tzst .lz4 .lz .z .cab .arj .xar .alz .egg .lzh .lha".split())
OTHER_ARCHIVES = {
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\x04\x22\x4d\x18": "LZ4",
    b"\x1f\x9d": "compress (.Z)",
    b"MSCF": "Microsoft Cabinet",
    b"xar!": "xar",
    b"LZIP": "lzip",
    b"\x60\xea": "ARJ",
}


def _rar_members(file: BinaryIO) -> Iterator[Member]:
    import rarfile  # slow to import

    count = itertools.count(1)

    def check_count(info: rarfile.RarInfo) -> None:
        if info.filename and next(count) > MAX_LISTED:
            raise Refused("archive_bomb", f"more than {MAX_LISTED:,} members in a rar: {UNPACK}")

    # By its path, it is not copied to unpack a member.
    archive = rarfile.RarFile(getattr(file, "name", file), info_callback=check_count)
    for info in archive.infolist():
        if not info.is_dir():
            link = None if info.is_file() else ("unsafe_name", "a link or a device")
            refused = ("encrypted", "") if info.needs_password() else link
            yield Member(info.filename.removeprefix("./"), to_utc(info.date_time), partial(archive.open, info), refused)


_READERS = {
    b"PK\3\4": zip_members.members,
    b"PK\5\6": zip_members.members,
    b"PK\7\x08": zip_members.members,
    b"Rar!\x1a\x07": _rar_members,
    b"\x1f\x8b": tar_members.members,
    b"BZh": tar_members.members,
    b"\xfd7zXZ\0": tar_members.members,
}


def _reader(head: bytes) -> Callable[[BinaryIO], Iterator[Member]] | None:
    """Return the reader of an archive that begins with `head` (512 bytes); None for an unknown kind."""
    if head[257:262] == b"ustar" or tar_members.is_header(head):
        return tar_members.members
    return next((reader for magic, reader in _READERS.items() if head.startswith(magic)), None)


def _other_archive(head: bytes) -> str | None:
    """Return the format of an archive that is not read, by its first bytes; None for any other file."""
    return next((kind for magic, kind in OTHER_ARCHIVES.items() if head.startswith(magic)), None)


@contextlib.contextmanager
def _damage_as_refusal() -> Iterator[None]:
    """Raise Refused for whatever the libraries raise: hostile bytes make them raise anything."""
    import rarfile

    try:
        yield
    except (Refused, MemoryError):
        raise
    except rarfile.RarCannotExec as error:
        raise Refused("no_tool", "none of unar, unrar, bsdtar and 7z is installed") from error
    except Exception as error:
        raise Refused("archive_damaged", f"{type(error).__name__}: {error}") from error


class _UnpackLimit:
    """A limit on the bytes and members to which an archive of `packed` bytes unpacks."""

    def __init__(self, packed: int):
        self._most = min(MAX_TOTAL, max(RATIO_FROM, MAX_RATIO * packed))
        self._members = 0
        self.is_exceeded = False

    def spend(self, size: int) -> None:
        self._most -= size
        if self._most < 0:
            self.is_exceeded = True
            raise Refused("archive_bomb", f"the archive unpacks to more than {MAX_RATIO} times its size")

    def count(self, member: Member) -> None:
        self.spend(member.skips)
        self._members += 1
        if self._members > MAX_MEMBERS:
            self.is_exceeded = True
            raise Refused("archive_bomb", f"more than {MAX_MEMBERS:,} members")

    def read(self, member: Member, most: int) -> bytes:
        """Return the member's bytes, counted while they are read. Raise Refused, also beyond `most` bytes."""
        if member.refused:
            raise Refused(*member.refused)
        data = io.BytesIO()  # a list of chunks would be joined, and so take twice the memory
        with _damage_as_refusal(), member.open() as file:
            while chunk := file.read(CHUNK):
                self.spend(0 if member.skips else len(chunk))  # `count` has already counted a tar member's bytes
                if data.write(chunk) and data.tell() > most:
                    raise Refused("archive_bomb", f"more than {most:,} bytes")
        return data.getvalue()


def snapshot(request: LocalQuery) -> list:
    """Return [file name, size in bytes, mtime in ns, version of the reader of sidecars]. Raise UserError for a kind of
    archive that is not read."""
    path = require_path(request, "archive")
    if path.is_dir():
        raise UserError(path, "a folder", "an archive", "give --source folder for a folder")
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError as error:
        found = error.strerror or str(error)
        raise UserError(path, found, "an archive that may be read", "correct its permissions") from error
    if _reader(head) is None:
        other = _other_archive(head)
        kind = f"a {other} archive" if other else "no zip, tar or rar"
        expected = "a zip, a rar, or a tar, also .gz, .bz2 or .xz"
        raise UserError(path, kind if head else "an empty file", expected, UNPACK)
    status = path.stat()
    return [escape_path(path.name), status.st_size, status.st_mtime_ns, SIDECARS_VERSION]


def posts(request: LocalQuery, snapshot: list) -> Iterator[Post | Skipped]:
    """Yield a post for each picture, in the archive's order, its bytes in memory until it is released; and rows for the
    rest.

    The archive is read twice: sidecars first, as they may come after their pictures."""
    name, size, mtime, _ = snapshot
    path = require_path(request, "archive")
    with open(path, "rb") as file:
        stamp = f"{escape_path(str(path.resolve()))} {size} {mtime}"
        yield from _Archive(name, file, stamp, _UnpackLimit(size), _UnpackLimit(size), {}).posts()


@dataclasses.dataclass
class _Archive:
    """An archive, or (`is_inner`) one inside it. Both share the limits, and `ids`: how often each name was used."""

    name: str
    file: IO[bytes]
    stamp: str
    sidecar_limit: _UnpackLimit  # of the first pass, over sidecars
    picture_limit: _UnpackLimit  # of the second pass, over pictures
    ids: dict[str, int]
    is_inner: bool = False

    def posts(self) -> Iterator[Post | Skipped]:
        texts: dict[str, bytes] = {}
        yield from self._read_sidecars(texts)
        sidecars, used, left_out = Sidecars(lambda path: texts[path]), set(), set()
        for member in self._members(self.picture_limit):
            if isinstance(member, Skipped):
                yield member
                continue
            member_id = make_unique(self._path(member.name), self.ids)
            try:
                data = self._read_candidate(member)
            except Refused as refused:
                yield Skipped(member_id, *refused.args)
                continue
            if data is None:
                junk = find_junk(member.name)
                if junk and junk not in left_out:
                    left_out.add(junk)
                    yield Skipped(self._path(junk), "system_file")
            elif _reader(data[:512]) is not None:
                yield from self._inner(member_id, data)
            elif kind := _other_archive(data):
                yield Skipped(member_id, "other_packing", f"a {kind} archive: {UNPACK}")
            elif is_picture(member.name, partial(bytes, data[:16])):
                present = [path for path in sidecar_paths(member.name) if path in texts]
                used.update(present)
                fields, problems = sidecars.describe(member.name, present)
                for problem in problems:
                    yield Skipped(self._path(problem.args[0]), "bad_sidecar", problem.args[1])
                stamp = f"{self.stamp} {member_id}"
                yield Post(member_id, BytesReader(data), stamp, fetched_at=member.mtime, **fields)
        unmatched = unused_sidecars(path for path, data in texts.items() if data and path not in used)
        for place, description in (*unmatched.items(), *sidecars.unused()):
            yield Skipped(self._path(place), "bad_sidecar", description)

    def _path(self, name: str) -> str:
        return escape_path(f"{self.name}!{name}")

    def _inner(self, member_id: str, data: bytes) -> Iterator[Post | Skipped]:
        if self.is_inner:
            yield Skipped(member_id, "nested_too_deep")
        else:
            yield from dataclasses.replace(self, name=member_id, file=io.BytesIO(data), is_inner=True).posts()

    def _members(self, limit: _UnpackLimit) -> Iterator[Member | Skipped]:
        """Yield the members up to where the archive ends, breaks or exceeds a limit: then a row."""
        self.file.seek(0)
        reader = _reader(self.file.read(512))
        assert reader is not None  # or it would not have been opened
        self.file.seek(0)
        try:
            with _damage_as_refusal():
                for member in reader(cast(BinaryIO, self.file)):
                    limit.count(member)
                    yield member
                    if limit.is_exceeded:
                        return
        except Refused as refused:
            yield Skipped(self.name, *refused.args)

    def _read_candidate(self, member: Member) -> bytes | None:
        """Return the member's bytes, if it may be a picture or an archive. Raise Refused."""
        extension = os.path.splitext(member.name)[1].lower()
        if problem := _name_problem(member.name):
            raise Refused("unsafe_name", problem)
        if extension in OTHER_EXTENSIONS and not find_junk(member.name):
            raise Refused("other_packing", f"{extension}: {UNPACK}")
        if any(is_junk(part) for part in member.name.split("/")) or (extension in OTHERS and extension not in ARCHIVES):
            return None
        return self.picture_limit.read(member, MAX_INNER if extension in ARCHIVES else MAX_FILE_BYTES)

    def _read_sidecars(self, texts: dict[str, bytes]) -> Iterator[Skipped]:
        """Read the sidecars into `texts`; yield a row for each that cannot be read. Problems of the whole archive are
        reported when the pictures are read."""
        room = MAX_SIDECARS
        for member in self._members(self.sidecar_limit):
            if isinstance(member, Skipped) or not _may_be_sidecar(member.name) or _name_problem(member.name):
                continue
            try:
                data = self.sidecar_limit.read(member, min(room, MAX_TABLE_BYTES))
            except Refused as refused:
                yield Skipped(self._path(member.name), "bad_sidecar", " ".join(refused.args))
            else:
                texts[member.name] = data
                room -= len(data)


def _may_be_sidecar(name: str) -> bool:
    return name.endswith((".json", ".txt", ".caption")) or name.rpartition("/")[2] in TABLES


def _name_problem(name: str) -> str | None:
    """Return why a member of that name is not taken: as a path, it would leave the folder that it is unpacked in, on
    any system, or the name is empty, too long or too deep. None if nothing is wrong with it."""
    parts = name.replace("\\", "/").split("/")
    if not parts[-1].strip("\0 "):
        return "it has no name"
    if len(name) > MAX_NAME or len(parts) > MAX_DEPTH:
        return f"a name of {len(name):,} characters and {len(parts) - 1:,} folders"
    if ".." in parts or name.startswith(("/", "\\")) or re.match("[A-Za-z]:", name) or "\0" in name:
        return f"it leads to {name!r}"
    return None
