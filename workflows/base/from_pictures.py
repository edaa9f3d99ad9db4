"""The base class of tasks that use a trained network on pictures that a user gives."""

import functools
import hashlib
import logging
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import UserError
from workflows.base.from_run import FromRun, shortened
from workflows.cli.parameters import FilePath

logger = logging.getLogger("luigi-interface")


class Picture(NamedTuple):
    """A picture to be read."""

    name: str
    path: Path
    target: str  # the name of what is made of it, without endings
    frame: Any  # `pipeline.faces.crop.Frame` of a crop round a face; None: faces are to be found
    tilt: float = 0.0  # degrees by which the face leans in its crop, clockwise
    problem: str | None = None  # why it is not read; None: it is


Make = Callable[[Picture, Any, dict], dict]
"""(a picture; its pixels (H, W, 3) uint8, or (H, W, 4) with transparency; what its files are to carry) -> what the list
says of it: its `files`, and more. The file with `last_ending` is written last, and carries that as `made`, in JSON.
Raises LeftOut."""


class LeftOut(Exception):
    """A picture of which nothing can be made; args: why."""


class FromPictures(FromRun):
    """Something made of pictures with a run: of one, a folder of them, or a face dataset."""

    input_path = FilePath(description="a picture, a folder of pictures, or the folder of a face dataset")
    count: int  # an option: the number of pictures that are read; 0: all

    made_key: str
    """The key of the file that holds, by picture, what was made of it: its `files`, and more."""
    last_ending: str
    """What follows a picture's target in the name of the file that is written last."""
    made_of: str
    """The pictures of which something is made, in words."""

    def check(self) -> None:
        if not self.input_path.exists():
            cure = f"see python -m workflows {self.task_family} --help"
            raise UserError("--input", f"{str(self.input_path)[:100]} does not exist", "a picture, or a folder", cure)
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
        files = [self.folder / name for picture in made.values() for name in picture["files"]]
        written = self.file.stat().st_mtime_ns  # files that are newer were made of another input of that name
        return all(file.is_file() and file.stat().st_mtime_ns <= written for file in files)

    def prepare(self, network: Any) -> Make:
        """Return what makes files of a picture. Raise UserError."""
        raise NotImplementedError

    def decode(self, data: bytes) -> Any:
        """Return the pixels of a picture, as `Make` takes them. Raise LeftOut."""
        return decode_picture(data)

    def read_saved(self, last: Path) -> dict[str, Any]:
        """Return what the file that is written last carries; {} if it is not there. Raise LeftOut if it is not to be
        replaced."""
        from models.sampling import save

        return save.read_provenance(last)

    def make(self, network: Any, about: dict) -> None:
        """Write what is made of each picture, and the file that lists it."""
        from models.sampling import save

        make_files = self.prepare(network)
        self.file.unlink(missing_ok=True)  # files of other options are replaced now
        made: dict[str, dict] = {}
        skipped: dict[str, str] = {}
        for picture in self.pictures():
            try:
                made[picture.name] = self._make_once(picture, make_files, about)
            except LeftOut as reason:
                skipped[picture.name] = str(reason)
                logger.warning("%s: %s; it is left out", picture.name, reason)
        if not made:
            name, why = next(iter(skipped.items()), ("", "there is no picture"))
            found = f"nothing was {self.made_key} ({name}: {why})" if name and not self.input_path.is_file() else why
            raise UserError(self.input_path, found, self.made_of, "give another --input")
        reasons = Counter(reason.split(" (")[0] for reason in skipped.values())
        counts = "".join(f"; {count} left out: {reason}" for reason, count in reasons.most_common())
        logger.info("%d %s%s: %s", len(made), self.made_key, counts, self.folder)
        save.save_json(self.file, about | {self.made_key: made, "skipped": skipped})

    def _make_once(self, picture: Picture, make_files: Make, about: dict) -> dict:
        """Return what the list says of a picture, once its files are there: of a command that was stopped, those that
        it had completed are kept. Raise LeftOut."""
        if picture.problem:
            raise LeftOut(picture.problem)
        data = read_picture(picture.path)
        about = {key: value for key, value in about.items() if key not in ("input", "count")}
        about |= {"input": hashlib.sha256(data).hexdigest(), "frame": picture.frame or "", "tilt": picture.tilt}
        last = self.folder / f"{picture.target}{self.last_ending}"
        saved = self.read_saved(last)
        made = _parse_made(saved.pop("made", ""))
        is_same = saved == {key: str(value) for key, value in about.items()}
        if made and is_same and all((self.folder / name).is_file() for name in made["files"]):
            return made
        given = self.decode(data)
        last.parent.mkdir(parents=True, exist_ok=True)
        last.unlink(missing_ok=True)  # with it, the files are complete and of one making
        return make_files(picture, given, about)

    @functools.cached_property
    def _listing(self) -> list[tuple[str, int, int, str | None]]:
        """Return name, size, time and problem of each file of the input, see `pipeline.clips.files.Listed`; of a run or
        a dataset of the file that stands for it. Raise UserError if there is none."""
        from pipeline.clips.files import list_files

        for name in ("model.safetensors", "manifest.parquet"):
            if (file := self.input_path / name).is_file():
                return [(name, file.stat().st_size, file.stat().st_mtime_ns, None)]
        files = list_files(self.input_path, self.data_root, "picture", "--input")
        return [file for file in files if file.problem != "system_file"]

    def found_pictures(self) -> list[Picture]:
        """Return all pictures of the input, each with its name for a target. Raise UserError."""
        if not (self.input_path / "manifest.parquet").is_file():
            return [
                Picture(shown := name or self.input_path.name, self.input_path / name, shown, None, problem=problem)
                for name, _, _, problem in self._listing
            ]
        from pipeline.datasets.cutting import as_cut
        from pipeline.faces.crop import Frame
        from pipeline.manifest import FACES, check_folder, read, rows_of

        check_folder(self.input_path, FACES)
        rows = rows_of(read(self.input_path / "manifest.parquet", FACES), "path", "rotation", *Frame._fields)
        found = []
        for path, *cut in rows:
            tilt, frame = as_cut(*cut)
            found.append(Picture(name := Path(path).name, self.input_path / path, name, frame, tilt))
        return found

    def pictures(self) -> list[Picture]:
        """Return the pictures of the input, `count` at most. No two have the same target. Raise UserError."""
        found = self.found_pictures()
        stems = [str(Path(picture.name).with_suffix("")) for picture in found]
        taken = Counter([*stems, *(picture.name for picture in found)])
        pictures = []
        for picture, stem in [*zip(found, stems, strict=True)][: self.count or None]:
            target = Path(stem if taken[stem] == 1 else picture.name)
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
    from pipeline.images.decode import decode

    return accepted(lambda: decode(data, keep_alpha=True)[0])


def accepted(decode: Callable[[], Any]) -> Any:
    """Return what a decoder returns. Raise LeftOut if it rejects the picture."""
    from pipeline.images.decode import Rejected

    try:
        return decode()
    except Rejected as error:
        reason, detail = error.args
        raise LeftOut(f"{reason} ({detail})" if detail else reason) from error


def _parse_made(text: str) -> dict | None:
    """Return what a file carries as `made`; None if it does not."""
    from models.data.dataset import parse_json

    try:
        return parse_json(text, {"files": [str]})
    except ValueError:
        return None
