"""Atomic writes: a file is complete or absent, even if its writer is killed."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO


def check_regular(path: Path) -> None:
    """Raise FileNotFoundError if `path` is missing, ValueError if it is a folder, a pipe or a device."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("not a regular file")


@contextlib.contextmanager
def atomic_open(path: Path, mode: str = "wb") -> Iterator[IO]:
    """Open a temporary file that replaces `path` once the block has ended and its content is on disk.

    OSErrors of the disk name `path`."""
    work = path.with_name(f".{path.name}.part")
    try:
        work.unlink(missing_ok=True)
        # Created anew, so that it is no link to another file: a run's folder may come from elsewhere.
        with open(work, mode.replace("w", "x"), encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(work, path)
    except OSError as error:
        if error.filename is None:  # errors of write() lack the file's name
            error.filename = str(path)
        raise
    finally:
        work.unlink(missing_ok=True)
