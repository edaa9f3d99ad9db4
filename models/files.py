"""Files that are whole or not there, however their writer ends."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def whole(path: Path, mode: str = "wb") -> Iterator[IO]:
    """Opens what will be `path` once the block is left and all of it is on disk. OSErrors of the disk name `path`."""
    work = path.with_name(f".{path.name}.part")
    try:
        with open(work, mode, encoding=None if "b" in mode else "utf-8") as file:
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
