"""The files that a user gives as videos or pictures: one, or all of a folder."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import UserError
from pipeline.sources.folder import is_junk


class Listed(NamedTuple):
    """A file, or what is in its place."""

    name: str  # path relative to the folder; empty for the file that was given itself
    size: int  # bytes
    mtime: int  # ns
    problem: str | None  # a reason of the funnel, if it is not read


def list_files(root: Path, skip: Path, kind: str = "video", option: str = "--videos") -> list[Listed]:
    """Return the files at or below `root`, but not below the folder `skip`, sorted by name. What is of no such `kind`
    is found out by decoding it. Raise UserError, which names the `option`, if there is no file."""
    expected, cure = f"a {kind}, or a folder of {kind}s", f"look at {option}"
    try:
        status = root.stat()
    except OSError as error:
        found = "there is no such file or folder" if isinstance(error, FileNotFoundError) else str(error.strerror)
        raise UserError(root, found, expected, cure) from error
    if stat.S_ISREG(status.st_mode):
        return [Listed("", status.st_size, status.st_mtime_ns, None)]
    if not stat.S_ISDIR(status.st_mode):
        raise UserError(root, "a pipe, a socket or a device", expected, cure)
    files = sorted(_walk(root, skip.resolve()))
    if not any(file.problem is None for file in files):
        raise UserError(root, "a folder without a file that can be read", f"{kind}s", cure)
    return files


def _walk(root: Path, skip: Path) -> Iterator[Listed]:
    """Yield what is below root. Links are not followed: they might show files that the user did not mean to give."""
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            entries = list(os.scandir(root / folder))
        except OSError as error:
            if not folder:
                cure = "correct its permissions"
                raise UserError(root, str(error.strerror), "a folder that may be read", cure) from error
            yield Listed(folder, 0, 0, "unreadable")
            continue
        for entry in entries:
            name = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_symlink():
                yield Listed(name, 0, 0, "link")
            elif is_junk(entry.name):
                yield Listed(name, 0, 0, "system_file")
            elif not entry.is_dir():
                yield _examine(entry, name)
            elif (root / name).resolve() != skip:
                folders.append(name)


def _examine(entry: os.DirEntry, name: str) -> Listed:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return Listed(name, 0, 0, "unreadable")
    can_be_read = stat.S_ISREG(status.st_mode) and os.access(entry.path, os.R_OK)
    return Listed(name, status.st_size, status.st_mtime_ns, None if can_be_read else "unreadable")
