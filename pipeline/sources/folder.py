"""A folder of pictures on this machine, read recursively, with what lies beside them."""

import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

from pipeline.errors import UserError
from pipeline.sources.post import Drop, Post, Request
from pipeline.sources.sidecars import Sidecars, beside

EXTENSIONS = frozenset(
    ".jpg .jpeg .jpe .jfif .png .apng .gif .webp .bmp .dib .tif .tiff .avif .ppm .pgm .pbm .tga .ico".split()
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
    if not request.path.exists():
        raise UserError(request.path, "there is no such file or folder", f"the {source} to read", "look at --path")
    return request.path


def snapshot(request: Request) -> list:
    """Sorted [relative path, size in bytes, mtime in ns, the same three of each sidecar] of every picture.

    Raises UserError if there is no folder, or no picture in it."""
    root = local_path(request, "folder")
    if not root.is_dir():
        raise UserError(root, "a file", "a folder", "give its folder, or --source archive if it is an archive")
    files = dict(_walk(root))
    listing = []
    for path, (size, mtime) in files.items():
        name = path.rpartition("/")[2]
        if not is_junk(name) and is_picture(name, partial(_head, root / path)):
            sidecars = [[sidecar, *files[sidecar]] for sidecar in beside(path) if sidecar in files]
            listing.append([path, size, mtime, sidecars])
    if not listing:
        raise UserError(root, "an empty folder: no picture in it or below", "pictures", "look at --path")
    return sorted(listing, key=lambda row: os.fsencode(row[0]))


def _walk(root: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """(path relative to root, (size, mtime in ns)) of each file; hidden ones too, since a sidecar may be."""
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
                if not is_junk(entry.name):
                    folders.append(path)
            elif entry.is_file() and (not entry.is_symlink() or _lies_within(root, root / path)):
                stat = entry.stat()
                yield path, (stat.st_size, stat.st_mtime_ns)


def _lies_within(root: Path, link: Path) -> bool:
    """Whether a link leads to below the root: any other might show what the user did not mean to give."""
    return link.resolve().is_relative_to(root.resolve())


def _head(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(16)
    except OSError:
        return b""  # what cannot be read and has no picture's name is none of ours


def posts(request: Request, snapshot: list) -> Iterator[Post | Drop]:
    """A post for each picture of the snapshot; a drop for each sidecar that cannot be read."""
    root = request.path.resolve()
    sidecars = Sidecars(lambda path: (root / path).read_bytes())
    for path, size, mtime, beside_it in snapshot:
        said, problems = sidecars.describe(path, [sidecar for sidecar, *_ in beside_it])
        for problem in problems:
            yield Drop(printable(problem.args[0]), "bad_sidecar", problem.args[1])
        yield Post(
            source_id=printable(path),
            read=partial(Path.read_bytes, root / path),
            fingerprint=f"{printable(str(root / path))} {size} {mtime}",
            fetched_at=EPOCH + timedelta(microseconds=mtime // 1000),
            **said,
        )


def printable(path: str) -> str:
    """The path, with bytes that are no UTF-8 escaped: a manifest holds text."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
