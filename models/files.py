"""Files that are whole or not there, however their writer ends."""

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO


def check_regular(path: Path) -> None:
    """Raise FileNotFoundError if `path` is not there, ValueError if it is a folder, a pipe or a device."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("not a regular file")


def discard(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_open(path: Path, mode: str = "wb") -> Iterator[IO]:
    """Opens what will be `path` once the block is left and all of it is on disk. OSErrors of the disk name `path`."""
    work = path.with_name(f".{path.name}.part")
    try:
        work.unlink(missing_ok=True)
        # Made anew, so that it is no link to another file: a run's folder may come from elsewhere.
        with open(work, mode.replace("w", "x"), encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(work, path)
    except OSError as error:
        if error.filename is None:  # a write does not know its file
            error.filename = str(path)
        raise
    finally:
        work.unlink(missing_ok=True)
