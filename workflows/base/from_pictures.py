"""The base class of tasks that use a trained network on pictures that a user gives."""

import functools
import os
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import UserError
from workflows.base.from_run import FromRun, shortened
from workflows.cli.parameters import FilePath


class Picture(NamedTuple):
    """A picture to be read."""

    name: str
    path: Path
    target: str  # the name of what is made of it, without endings
    frame: Any  # `pipeline.faces.crop.Frame` of a crop round a face; None: faces are to be found
    tilt: float = 0.0  # degrees by which the face leans in its crop, clockwise


class LeftOut(Exception):
    """A picture of which nothing can be made; args: why."""


class FromPictures(FromRun):
    """Something made of pictures with a run: of one, a folder of them, or a face dataset."""

    input_path = FilePath(description="a picture, a folder of pictures, or the folder of a face dataset")
    count: int  # an option: the number of pictures that are read; 0: all

    made_key: str
    """The key of the file that holds, by picture, what was made of it: its `files`, and more."""

    def check(self) -> None:
        if not self.input_path.exists():
            cure = f"see python -m workflows {self.task_family} --help"
            raise UserError("--input", f"{str(self.input_path)[:100]} given", "a picture, or a folder", cure)
        given = self.input_path.resolve()
        if given.is_relative_to(self.data_root.resolve()) and self.generated.resolve().is_relative_to(given):
            found = f"{str(self.input_path)[:100]} given, which holds what is made of it, too"
            raise UserError("--input", found, "a picture, or a folder of them", "give one below it")

    @property
    def input_name(self) -> str:
        """Return the name of the input, as that of a file or a folder."""
        return shortened(os.path.basename(os.path.abspath(self.input_path)))  # not of what a dataset's link leads to

    @property
    def folder(self) -> Path:
        """Return the folder of what is made."""
        raise NotImplementedError

    def digest_inputs(self) -> dict[str, object]:
        return super().digest_inputs() | {"input": [list(part) for part in self._listing]}

    def complete(self) -> bool:
        from models.sampling import save

        if not super().complete():
            return False
        made = save.read_provenance(self.file).get(self.made_key, {})
        return all((self.folder / name).is_file() for picture in made.values() for name in picture["files"])

    @functools.cached_property
    def _listing(self) -> list[tuple[str, int, int]]:
        """Return name, size and time of each file of the input; of a run or a dataset of the file that stands for it.
        Raise UserError if there is none."""
        from pipeline.clips.files import list_files

        for name in ("model.safetensors", "manifest.parquet"):
            if (file := self.input_path / name).is_file():
                return [(name, file.stat().st_size, file.stat().st_mtime_ns)]
        return [
            file[:3]
            for file in list_files(self.input_path, self.data_root, "picture", "--input")
            if file.problem is None
        ]

    def found_pictures(self) -> list[Picture]:
        """Return all pictures of the input, each with its name for a target. Raise UserError."""
        if not (self.input_path / "manifest.parquet").is_file():
            names = [(name or self.input_path.name, self.input_path / name) for name, *_ in self._listing]
            return [Picture(name, path, name, None) for name, path in names]
        from pipeline.faces.crop import Frame, rows_of
        from pipeline.manifest import FACES, check_folder, read

        check_folder(self.input_path, FACES)
        rows = rows_of(read(self.input_path / "manifest.parquet", FACES), "path", "rotation", *Frame._fields)
        return [
            Picture(name := Path(path).name, self.input_path / path, name, Frame(*frame), tilt or 0.0)
            for path, tilt, *frame in rows
        ]

    def pictures(self) -> list[Picture]:
        """Return the pictures of the input, `count` at most. Raise UserError."""
        found = self.found_pictures()
        stems = Counter(str(Path(picture.name).with_suffix("")) for picture in found)
        pictures = []
        for picture in found[: self.count or None]:
            stem = Path(picture.name).with_suffix("")
            target = stem if stems[str(stem)] == 1 else Path(picture.name)
            pictures.append(picture._replace(target=str(target.with_name(shortened(target.name)))))
        return pictures


def digest_of(option: str, path: str, expected: str) -> str:
    """Return the sha256 of the file that an option names. Raise UserError, which says what is expected."""
    from models.files import check_regular
    from pipeline.store import sha256_of

    file = Path(path).expanduser()
    try:
        check_regular(file)
        return sha256_of(file)
    except (OSError, ValueError) as error:
        found = f"{path}: {getattr(error, 'strerror', None) or error}"
        raise UserError(option, found, expected, "give another") from error


def read_picture(path: Path) -> bytes:
    """Return the bytes of a picture. Raise LeftOut."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise LeftOut(error.strerror or str(error)) from error


def decode_picture(data: bytes) -> Any:
    """Return the (H, W, 3) uint8 picture, or (H, W, 4) if it has transparency. Raise LeftOut."""
    from pipeline.images.decode import Rejected, decode

    try:
        return decode(data, keep_alpha=True)[0]
    except Rejected as error:
        reason, detail = error.args
        raise LeftOut(f"{reason} ({detail})" if detail else reason) from error
