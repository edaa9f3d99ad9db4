"""A folder of pictures on this machine, read recursively, with what lies beside them."""

import itertools
import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

from pipeline.errors import UserError
from pipeline.sources.post import Drop, Post, Request, read_file
from pipeline.sources.sidecars import Sidecars, beside

EXTENSIONS = frozenset(
    ".jpg .jpeg .jpe .jfif .png .apng .gif .webp .bmp .dib .tif .tiff .avif .ppm .pgm .pbm .tga "
    ".ico .heic .heif .jxl .jp2 .psd .svg".split()  # not decoded, but pictures to people: each is counted
)
OTHERS = frozenset(  # not pictures, and known not to be: not even looked into
    ".txt .caption .json .jsonl .csv .parquet .md .html .xml .yaml .yml .toml .ini .cfg .log .py .npz .npy .pt "
    ".zip .rar .7z .tar .gz .bz2 .xz .zst .mp4 .webm .mkv .mov .avi .mp3 .wav .ogg .flac .pdf .part .tmp .db".split()
)
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*")
JUNK = frozenset(("thumbs.db", "desktop.ini", "__macosx"))


def is_junk(name: str) -> bool:
    """Whether a file or folder of that name is what operating systems leave about, or hidden."""
    return name.startswith(".") or name.lower() in JUNK


def is_picture(name: str, head: Callable[[], bytes]) -> bool:
    """Whether to offer the file: by its extension, or, if that says nothing, by its first bytes, `head()`."""
    extension = os.path.splitext(name)[1].lower()
    if extension in EXTENSIONS or extension in OTHERS:
        return extension in EXTENSIONS
    first = head()
    return first.startswith(MAGIC) or (first[:4] == b"RIFF" and first[8:12] == b"WEBP") or first[4:12] == b"ftypavif"


def local_path(request: Request, source: str) -> Path:
    """The --path of a local source, which takes no --query. Raises UserError."""
    if request.query:
        raise UserError("--query", f"'{request.query}' given", f"nothing: {source} takes all there is", "leave it out")
    if request.path is None:
        raise UserError("--path", "not given", f"the {source} to read", "give --path")
    try:
        request.path.stat()
    except OSError as error:
        found = "there is no such file or folder" if isinstance(error, FileNotFoundError) else error.strerror
        raise UserError(request.path, found, f"the {source} to read", "look at --path") from error
    return request.path


def snapshot(request: Request) -> list:
    """Sorted [relative path, size in bytes, mtime in ns, the same three of each sidecar, None] of every picture; the
    last says why one cannot be read. Raises UserError if there is no folder, or no picture in it."""
    root = local_path(request, "folder")
    if not root.is_dir():
        raise UserError(root, "a file", "a folder", "give its folder, or --source archive if it is an archive")
    files = {path: (size, mtime, problem) for path, size, mtime, problem in _walk(root, request.skip)}
    listing = []
    for path, (size, mtime, problem) in files.items():
        name = path.rpartition("/")[2]
        if not is_junk(name) and (problem == _LINKED_FOLDER or is_picture(name, partial(_head, root / path))):
            sidecars = [
                [sidecar, *files[sidecar][:2]] for sidecar in beside(path) if files.get(sidecar, _BAD)[2] is None
            ]
            listing.append([path, size, mtime, sidecars, problem])
    if not any(problem is None for *_, problem in listing):
        links = f" but {len(listing)} that cannot be read, or are links out of it" if listing else ""
        raise UserError(root, f"an empty folder: no picture in it or below{links}", "pictures", "look at --path")
    return sorted(listing, key=lambda row: os.fsencode(row[0]))


_BAD = (0, 0, "not there")
_LINKED_FOLDER = "link to a folder"


def _walk(root: Path, skip: Path | None) -> Iterator[tuple[str, int, int, str | None]]:
    """(path relative to root, size, mtime in ns, why it cannot be read or None) of each file below root, but not below
    `skip`; hidden ones too, since a sidecar may be."""
    whole, skipped = root.resolve(), skip and skip.resolve()
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            entries = list(os.scandir(root / folder))
        except OSError as error:
            raise UserError(
                root / folder, error.strerror, "a folder that may be read", "mend its permissions"
            ) from error
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                if not is_junk(entry.name) and whole / path != skipped:
                    folders.append(path)
            else:
                yield path, *_looked_at(entry, whole)


def _looked_at(entry: os.DirEntry, root: Path) -> tuple[int, int, str | None]:
    """(size, mtime in ns, why it cannot be read or None). Links are followed to below the root alone: any other might
    show what the user did not mean to give."""
    try:
        if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(root):
            return 0, 0, _LINKED_FOLDER if entry.is_dir() else "link"
        if entry.is_dir():
            return 0, 0, _LINKED_FOLDER
        if not entry.is_file():  # a pipe, a device
            return 0, 0, "link" if entry.is_symlink() else "unreadable"
        stat = entry.stat()
    except (OSError, RuntimeError):  # a broken link, one that leads to itself, a file that is gone
        return 0, 0, "link"
    return stat.st_size, stat.st_mtime_ns, None if os.access(entry.path, os.R_OK) else "unreadable"


def _head(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(16)
    except OSError:
        return b""  # what cannot be read and has no picture's name is none of ours


def posts(request: Request, snapshot: list) -> Iterator[Post | Drop]:
    """A post for each picture of the snapshot; a drop for each that cannot be read, and for each such sidecar."""
    root = request.path.resolve()
    sidecars, ids = Sidecars(lambda path: (root / path).read_bytes()), set()
    for path, size, mtime, beside_it, problem in snapshot:
        source_id = distinct(printable(path), ids)
        if problem:
            yield Drop(source_id, "unreadable" if problem == "unreadable" else "link", problem)
            continue
        said, problems = sidecars.describe(path, [sidecar for sidecar, *_ in beside_it])
        for problem in problems:
            yield Drop(printable(problem.args[0]), "bad_sidecar", problem.args[1])
        yield Post(
            source_id=source_id,
            read=partial(read_file, root / path),
            fingerprint=f"{printable(str(root))}/{source_id} {size} {mtime}",
            fetched_at=_time(mtime),
            **said,
        )


def _time(mtime: int) -> datetime | None:
    """ns since 1970 -> that time; None for what no calendar holds."""
    try:
        return EPOCH + timedelta(microseconds=mtime // 1000)
    except OverflowError:
        return None


def distinct(source_id: str, taken: set[str]) -> str:
    """The id, told apart from those that are taken; it is taken from now on."""
    candidates = itertools.chain([source_id], (f"{source_id}#{number}" for number in itertools.count(2)))
    free = next(candidate for candidate in candidates if candidate not in taken)
    taken.add(free)
    return free


def printable(path: str) -> str:
    """The path, with bytes that are no UTF-8 escaped: a manifest holds text."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
