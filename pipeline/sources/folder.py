"""A folder of pictures on this machine, read recursively, with what lies beside them."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

from pipeline.errors import UserError
from pipeline.sources import sidecars
from pipeline.sources.base import LocalQuery, Post, Skipped, read_file
from pipeline.sources.sidecars import Sidecars, sidecar_paths

EXTENSIONS = frozenset(
    ".jpg .jpeg .jpe .jfif .png .apng .gif .webp .bmp .dib .tif .tiff .avif .ppm .pgm .pbm .tga "
    ".ico .heic .heif .jxl .jp2 .psd .svg".split()  # picture formats that are not decoded: each is reported
)
OTHERS = frozenset(  # not pictures: not opened
    ".txt .caption .json .jsonl .csv .parquet .md .html .xml .yaml .yml .toml .ini .cfg .log .py .npz .npy .pt "
    ".zip .rar .7z .tar .gz .bz2 .xz .zst .mp4 .webm .mkv .mov .avi .mp3 .wav .ogg .flac .pdf .part .tmp .db".split()
)
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*")
JUNK = frozenset(
    (
        "thumbs.db|ehthumbs.db|desktop.ini|$recycle.bin|recycler|system volume information|found.000|msocache|"
        "__macosx|network trash folder|temporary items|lost+found|lost.dir|@eadir|@tmp|#recycle|#snapshot|~snapshot|"
        "@recycle|@recently-snapshot|@__thumb|@sharebin|@transcode|_gsdata_"
    ).split("|")
)


def is_junk(name: str) -> bool:
    """Return whether a file or folder of that name is hidden, or was put there by an operating system, a NAS or a
    tool."""
    return name.startswith(".") or name.lower() in JUNK


def find_junk(path: str) -> str | None:
    """Return the outermost junk folder around the file at `path`, `path` itself for a hidden picture, None for other
    files."""
    parts = path.split("/")
    at = next((index for index, part in enumerate(parts) if is_junk(part)), len(parts))
    is_reported = at < len(parts) - 1 or (at < len(parts) and os.path.splitext(path)[1].lower() in EXTENSIONS)
    return "/".join(parts[: at + 1]) if is_reported else None


def is_picture(name: str, head: Callable[[], bytes]) -> bool:
    """Return whether to offer the file: by its extension, or for an unknown one by its first bytes, `head()`."""
    extension = os.path.splitext(name)[1].lower()
    if extension in EXTENSIONS or extension in OTHERS:
        return extension in EXTENSIONS
    first = head()
    return first.startswith(MAGIC) or (first[:4] == b"RIFF" and first[8:12] == b"WEBP") or first[4:12] == b"ftypavif"


def require_path(request: LocalQuery, source: str) -> Path:
    """Return the --path of a local source, which takes no --query. Raise UserError."""
    if request.query:
        raise UserError("--query", f"'{request.query}' given", f"nothing: {source} takes all there is", "leave it out")
    if request.path is None:
        raise UserError("--path", "not given", f"the {source} to read", "give --path")
    try:
        mode = request.path.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: the path contains a zero byte
        is_gone = isinstance(error, FileNotFoundError)
        found = "there is no such file or folder" if is_gone else getattr(error, "strerror", None) or str(error)
        raise UserError(request.path, found, f"the {source} to read", "look at --path") from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise UserError(request.path, SPECIAL, f"the {source} to read, as a file or folder", "look at --path")
    return request.path


def snapshot(request: LocalQuery) -> list:
    """Return sorted [relative path, size in bytes, mtime in ns, its sidecars, None] of every picture, each sidecar as
    [path, size, mtime, version of the reader]; and [path, 0, 0, [], problem] of all that is not read, see PROBLEMS.

    Raise UserError if there is no folder, or no picture in it."""
    root = require_path(request, "folder")
    if not root.is_dir():
        raise UserError(root, "a file", "a folder", "give its folder, or --source archive if it is an archive")
    files = {path: (size, mtime, problem) for path, size, mtime, problem in _walk(root, request.skip)}
    listing: list[list] = []
    problems: dict[str, str] = {}
    used: set[str] = set()
    for path, (size, mtime, problem) in files.items():
        name = path.rpartition("/")[2]
        if problem in _ALWAYS_REPORTED:
            problems[path] = problem
        elif is_picture(name, partial(_read_head, root / path) if problem is None else bytes):
            if problem or is_junk(name):
                problems[path] = HIDDEN if is_junk(name) or problem is None else problem
                continue
            present = [sidecar for sidecar in sidecar_paths(path) if sidecar in files]
            used.update(present)
            problems |= {sidecar: BAD_SIDECAR for sidecar in present if files[sidecar][2] not in (None, SPECIAL)}
            own = [[each, *files[each][:2], sidecars.VERSION] for each in present if files[each][2] is None]
            listing.append([path, size, mtime, own, None])
    if not listing:
        found = f"an empty folder: no picture in it or below{_describe_problems(problems)}"
        raise UserError(root, found, "pictures", "look at --path")
    unmatched = [path for path, (*_, problem) in files.items() if problem is None and path not in used]
    listing += [[path, 0, 0, [], problem] for path, problem in problems.items()]
    listing += [[folder, 0, 0, [], words] for folder, words in unused_sidecars(unmatched).items()]
    return sorted(listing, key=lambda row: os.fsencode(row[0]))


LINK, LINKED_FOLDER, UNREADABLE, UNREADABLE_FOLDER = "link", "link to a folder", "unreadable", "unreadable folder"
SPECIAL = "a pipe, a socket or a device"
HIDDEN, JUNK_FOLDER = "a hidden picture", "a hidden folder, or one of the system: not looked into"
BAD_SIDECAR = "a link out of the folder, or unreadable"
PROBLEMS = {
    LINK: "link",
    LINKED_FOLDER: "link",
    UNREADABLE: "unreadable",
    UNREADABLE_FOLDER: "unreadable",
    SPECIAL: "unreadable",
    HIDDEN: "system_file",
    JUNK_FOLDER: "system_file",
    BAD_SIDECAR: "bad_sidecar",
}
"""Problem in a row of the snapshot -> reason in the funnel. Any other text describes unused sidecars."""
_ALWAYS_REPORTED = (LINKED_FOLDER, UNREADABLE_FOLDER, SPECIAL, JUNK_FOLDER)


def _describe_problems(problems: dict[str, str]) -> str:
    """Return what there is instead of pictures, for an error."""
    system = [path for path, problem in problems.items() if PROBLEMS[problem] == "system_file"]
    others = len(problems) - len(system)
    text = f" but {others} that cannot be read, or are links out of it" if others else ""
    return text + (f"; {len(system)} hidden or of the system, such as {escape_path(min(system))!r}" if system else "")


def unused_sidecars(paths: Iterable[str]) -> dict[str, str]:
    """Return folder ("." for the top one) -> a description of the files `paths` in it that are text or tables and
    belong to no picture."""
    names: dict[str, list[str]] = {}
    for path in sorted(paths):
        folder, _, name = path.rpartition("/")
        if not is_junk(name) and os.path.splitext(name)[1].lower() in sidecars.EXTENSIONS:
            names.setdefault(folder or ".", []).append(name)
    shown = {folder: escape_path(", ".join(those[:3])) + ", …" * bool(those[3:]) for folder, those in names.items()}
    return {folder: f"{len(names[folder]):,} of no picture's name: {text}" for folder, text in shown.items()}


def _walk(root: Path, skip: Path | None) -> Iterator[tuple[str, int, int, str | None]]:
    """Yield (path relative to root, size, mtime in ns, problem or None) of each file below root, but not below `skip`;
    hidden ones too, as a sidecar may be hidden. A junk folder is one row. Raise UserError if root itself cannot be
    read."""
    whole, skipped = root.resolve(), skip and skip.resolve()
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            entries = list(os.scandir(root / folder))
        except OSError as error:
            if not folder:
                found = error.strerror or str(error)
                raise UserError(root, found, "a folder that may be read", "correct its permissions") from error
            yield folder, 0, 0, UNREADABLE_FOLDER
            continue
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if not entry.is_dir(follow_symlinks=False):
                yield path, *_examine_entry(entry, whole)
            elif is_junk(entry.name):
                yield path, 0, 0, JUNK_FOLDER
            elif whole / path != skipped:
                folders.append(path)


def _examine_entry(entry: os.DirEntry, root: Path) -> tuple[int, int, str | None]:
    """Return (size, mtime in ns, problem or None). Links that lead out of the root are not followed: they might show
    files that the user did not mean to give."""
    try:
        if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(root):
            return 0, 0, LINKED_FOLDER if entry.is_dir() else LINK
        if entry.is_dir():
            return 0, 0, LINKED_FOLDER
        if not entry.is_file():
            return 0, 0, LINK if entry.is_symlink() else SPECIAL
        stat = entry.stat()
    except (OSError, RuntimeError):  # a broken link, one that leads to itself, a file that is gone
        return 0, 0, LINK
    return stat.st_size, stat.st_mtime_ns, None if os.access(entry.path, os.R_OK) else UNREADABLE


def _read_head(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(16)
    except OSError:
        return b""  # unreadable, and without a picture's extension: not offered


def posts(request: LocalQuery, snapshot: list) -> Iterator[Post | Skipped]:
    """Yield a post for each picture of the snapshot, and a row for what cannot be read or is not used."""
    root = require_path(request, "folder").resolve()
    sidecar_reader = Sidecars(partial(_read_sidecar, root), {path for path, *_, problem in snapshot if problem is None})
    ids: dict[str, int] = {}
    for path, size, mtime, own_sidecars, problem in snapshot:
        source_id = make_unique(escape_path(path), ids)
        if problem:
            yield Skipped(source_id, PROBLEMS.get(problem, "bad_sidecar"), problem)
            continue
        fields, bad = sidecar_reader.describe(path, [sidecar for sidecar, *_ in own_sidecars])
        for each in bad:
            yield Skipped(escape_path(each.args[0]), "bad_sidecar", each.args[1])
        yield Post(
            source_id=source_id,
            read=partial(read_file, root / path),
            fingerprint=f"{escape_path(str(root))}/{source_id} {size} {mtime}",
            fetched_at=_to_datetime(mtime),
            **fields,
        )
    for folder, words in sidecar_reader.unused():
        yield Skipped(escape_path(folder), "bad_sidecar", words)


def _read_sidecar(root: Path, path: str) -> bytes:
    """Return a sidecar's bytes, at most one more than its limit. Raise OSError."""
    with open(root / path, "rb") as file:
        return file.read(sidecars.size_limit(path) + 1)


def _to_datetime(mtime: int) -> datetime | None:
    """Return the time `mtime` ns after 1970 (UTC); None if it is outside datetime's range."""
    try:
        return EPOCH + timedelta(microseconds=mtime // 1000)
    except OverflowError:
        return None


def make_unique(source_id: str, taken: dict[str, int]) -> str:
    """Return the id, or `id#2`, `id#3`, … if it is taken; it is taken from now on. `taken` counts each id's uses."""
    free = source_id
    while free in taken:
        taken[source_id] += 1
        free = f"{source_id}#{taken[source_id]}"
    taken[free] = 1
    return free


def escape_path(path: str) -> str:
    """Return the path as text, with bytes that are not UTF-8 escaped."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
