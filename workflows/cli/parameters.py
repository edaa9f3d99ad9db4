"""Parameter classes of the tasks: a value that cannot be parsed is a UserError that names the option."""

import math
import os
import re
from pathlib import Path
from typing import Any, TypeVar

import luigi

from pipeline.errors import UserError
from workflows.cli.help import how_to_list_options

T = TypeVar("T")
LEAST_FRAME, SQUARE_TOLERANCE = 1 / 8, 1e-3  # of a SquareBox: its side, and by how much its sides may differ


class UserErrorParameter(luigi.Parameter[T]):
    """A parameter whose parse error is a UserError that names the option."""

    kind = ""  # what a value has to be, in words
    _option = "an option"

    def __set_name__(self, owner: type, name: str) -> None:
        super().__set_name__(owner, name)
        self._option = "--" + name.replace("_", "-")

    def parse(self, text: str) -> Any:
        """Return the value. Raise UserError."""
        try:
            return super().parse(text)
        except ValueError:
            raise UserError(self._option, f"'{text}' given", self.kind, how_to_list_options()) from None


class Choice(UserErrorParameter[str], luigi.ChoiceParameter[str]):
    """One of several words."""

    def __init__(self, choices: tuple[str, ...], **kwargs: Any):
        super().__init__(choices=choices, **kwargs)
        self.description = kwargs.get("description", "")  # Luigi appends the choices, in random order
        self.choices = choices  # in our order: Luigi keeps a set
        self.kind = "one of " + " ".join(choices)


class _Bounded(UserErrorParameter[T]):
    """A number of `least` to `most`, in `unit`; with `or_zero` also 0."""

    def __init__(
        self, least: float = 0, most: float = math.inf, unit: str = "", *, or_zero: bool = False, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self._least, self._most, self._or_zero = least, most, or_zero
        bounds = f"{least} or more" if most == math.inf else f"{least} to {most} {unit}".strip()
        self._allowed = "0, or " * or_zero + bounds

    def normalize(self, x: Any) -> Any:
        """Return the number. Raise UserError if it is out of bounds."""
        if not (self._least <= x <= self._most or (self._or_zero and x == 0)):
            raise UserError(self._option, f"{x} given", self._allowed, how_to_list_options())
        return x


class WholeNumber(_Bounded[int], luigi.IntParameter):
    """An int."""

    kind = "a whole number"


class Number(_Bounded[float], luigi.FloatParameter):
    """A float."""

    kind = "a number"


class Assignments(luigi.Parameter[tuple[str, ...]]):
    """FIELD=VALUE, as often as it is given: a tuple of such texts, sorted by field."""

    @classmethod
    def _parser_kwargs(cls, param_name: str, task_name: str | None = None) -> dict[str, Any]:
        return {**super()._parser_kwargs(param_name, task_name), "action": "append"}

    def parse(self, texts: list[str] | str) -> tuple[str, ...]:
        """Return the texts of the command line, or of one line of luigi.cfg, separated by blanks. Raise UserError."""
        given = texts.split() if isinstance(texts, str) else texts
        fields = [text.partition("=")[0] for text in given]
        for text, field in zip(given, fields, strict=True):
            if not re.fullmatch(r"[a-z]\w*=\S+", text) or fields.count(field) > 1:
                found = f"{text!r} given" + " more than once" * (fields.count(field) > 1)
                raise UserError(
                    f"--{self._attribute_name}", found, "FIELD=VALUE, each field once", how_to_list_options()
                )
        return tuple(sorted(given))

    def serialize(self, x: tuple[str, ...]) -> str:
        """Return the texts, separated by blanks."""
        return " ".join(x)


class Words(UserErrorParameter[tuple[str, ...]]):
    """Words, separated by commas: a tuple."""

    def parse(self, text: str) -> tuple[str, ...]:
        """Return the words. Raise UserError if one is empty."""
        words = tuple(word.strip() for word in text.split(",")) if text.strip() else ()
        if not all(words):
            raise UserError(self._option, f"'{text}' given", "words separated by commas", how_to_list_options())
        return words

    def serialize(self, x: tuple[str, ...]) -> str:
        """Return the words, separated by commas."""
        return ",".join(x)


class SquareBox(UserErrorParameter[tuple[float, ...]]):
    """A square x0,y0,x1,y1 within a picture, in sides of it: a tuple, or () for none."""

    kind = "x0,y0,x1,y1: a square within the picture, in sides of it, such as 0.2,0.25,0.8,0.85"

    def parse(self, text: str) -> tuple[float, ...]:
        """Return the four numbers. Raise UserError unless they are of a square, of an eighth of the side or more."""
        try:
            box = tuple(map(float, text.split(","))) if text else ()
            if box:
                x0, y0, x1, y1 = box
                is_square = abs((x1 - x0) - (y1 - y0)) <= SQUARE_TOLERANCE
                if not (is_square and min(box) >= 0 and max(box) <= 1 and x1 - x0 >= LEAST_FRAME):
                    raise ValueError(text)
        except ValueError:
            raise UserError(self._option, f"'{text}' given", self.kind, how_to_list_options()) from None
        return box

    def serialize(self, x: tuple[float, ...]) -> str:
        """Return the numbers, separated by commas."""
        return ",".join(map(str, x))


class FilePath(UserErrorParameter[Path], luigi.PathParameter):
    """A Path in which a leading `~` or `~user` is a home folder: no shell expands `--path=~/x` or luigi.cfg."""

    def normalize(self, x: str | Path) -> Path:
        """Return the path with its home folder expanded. Raise UserError."""
        path = Path(os.path.expanduser(x))
        problems = {
            "nothing": not str(x),
            "a home folder that does not exist": bool(path.parts) and path.parts[0].startswith("~"),
            "not UTF-8": not _is_utf8(str(path)),
            "a NUL character": "\0" in str(path),
        }
        for problem in (problem for problem, applies in problems.items() if applies):
            expected = "a path in UTF-8, of which ~ and ~user are home folders"
            raise UserError(self._option, f"'{x}' given: {problem}", expected, "give another, or rename the folder")
        return path


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class OptionalFilePath(luigi.parameter.OptionalParameterMixin[Path], FilePath):  # type: ignore[misc]  # as in Luigi
    """A FilePath or None."""

    expected_type: Any = (str, Path)


def require(task: luigi.Task, condition: bool, parameter: str, expected: str) -> None:
    """Raise UserError, with the parameter's value, unless `condition` holds."""
    if not condition:
        option, found = "--" + parameter.replace("_", "-"), f"{str(getattr(task, parameter))[:100]} given"
        raise UserError(option, found, expected, f"see python -m workflows {task.task_family} --help")
