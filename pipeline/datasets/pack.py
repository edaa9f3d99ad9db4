"""A dataset as one plain tar: unpacked in datasets/ of another data root, it is a dataset there."""

import os
import stat
import tarfile
from pathlib import Path
from typing import BinaryIO

from pipeline.datasets import publish
from pipeline.datasets.kinds import kind_of
from pipeline.errors import UserError
from pipeline.manifest import ManifestError, read

MTIME = 315_532_800  # s, of every member: 1980-01-01; tar complains of the year 1970


def pack(root: Path, name: str, file: Path) -> int:
    """Write datasets/NAME as the tar `file`, whole or not at all; return the number of its rows. Equal datasets give
    equal bytes. Raise UserError if it is not there or damaged, is removed meanwhile, or the disk refuses."""
    publish.check_name(name, option="pack")
    folder = root / "datasets" / name
    kind = kind_of(folder)
    folder = folder.resolve()  # one version, to the end
    table = read(folder / "manifest.parquet", kind.schema)
    scratch = file.parent / f".pack.{os.getpid()}.part"
    try:
        if os.path.isdir(file) or not os.path.isdir(file.parent):
            raise UserError(file, "is a folder, or lies in none", "a file to write", "give another FILE.tar")
        members = _members(folder, table["path"].to_pylist())
        with open(scratch, "wb") as out:
            with tarfile.open(fileobj=out, mode="w") as tar:
                for path in members:
                    with open(folder / path, "rb") as member:
                        _add(tar, f"{name}/{path}", member)
            out.flush()
            os.fsync(out.fileno())
        os.replace(scratch, file)
    except OSError as error:
        where, found = error.filename or file, error.strerror or str(error)
        if str(where).startswith(f"{folder}{os.sep}"):
            raise UserError(where, found, "a file that can be read", "make it readable") from error
        raise UserError(where, found, "a file to write", "give another FILE.tar") from error
    finally:
        scratch.unlink(missing_ok=True)
    return len(table)


def _members(folder: Path, items: list[str]) -> list[str]:
    """Return the paths of all files of a dataset, in order. Raise ManifestError if an item is missing, or if something
    is no plain file."""
    files = _files_below(folder)
    cure = "copy it here again, whole, or move away what is there and build it again"
    if missing := sorted(set(items) - files.keys()):
        raise ManifestError(folder, f"lacks {len(missing):,} items, first {missing[0]!r}", "all of its items", cure)
    for path, status in files.items():
        if not stat.S_ISREG(status.st_mode):
            raise ManifestError(folder / path, "is a link or a device", "plain files", "put the file itself there")
    return sorted(files)


def _files_below(folder: Path) -> dict[str, os.stat_result]:
    """Return the status of every file below `folder`, by its path relative to it. No link is followed."""
    found, folders = {}, [""]
    while folders:
        here = folders.pop()
        with os.scandir(folder / here) as entries:
            for entry in entries:
                path = f"{here}/{entry.name}" if here else entry.name
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                else:
                    found[path] = entry.stat(follow_symlinks=False)
    return found


def _add(tar: tarfile.TarFile, name: str, file: BinaryIO) -> None:
    """Add an open file as a member without its time and owner."""
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = file.seek(0, os.SEEK_END), MTIME, 0o644
    file.seek(0)
    tar.addfile(member, file)
