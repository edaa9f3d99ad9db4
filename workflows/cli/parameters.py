"""Parameter classes of the tasks: a value that cannot be parsed is a UserError that names the option."""

import os
from pathlib import Path
from typing import Any, TypeVar

import luigi

from pipeline.errors import UserError

T = TypeVar("T")


class UserErrorParameter(luigi.Parameter[T]):
    """A parameter whose parse error is a UserError that names the option."""

    kind = ""
    """What a value has to be, in words."""
    _option = "an option"

    def _parser_kwargs(self, param_name: str, task_name: str | None = None) -> Any:  # type: ignore[override]  # TypedDict
        self._option = "--" + param_name.replace("_", "-")  # Luigi passes the name to no other method
        return super()._parser_kwargs(param_name, task_name)

    def parse(self, text: str) -> Any:
        """Return the value. Raise UserError."""
        try:
            return super().parse(text)
        except ValueError:
            help_ = "see python -m workflows TASK --help"
            raise UserError(self._option, f"'{text}' given", self.kind, help_) from None


class Choice(UserErrorParameter[str], luigi.ChoiceParameter[str]):
    """One of several words."""

    def __init__(self, choices: tuple[str, ...], **kwargs: Any):
        super().__init__(choices=choices, **kwargs)
        self.description = kwargs.get("description", "")  # Luigi appends the choices, in random order
        self.choices = choices  # in our order: Luigi keeps a set
        self.kind = "one of " + " ".join(choices)


class WholeNumber(UserErrorParameter[int], luigi.IntParameter):
    """An int."""

    kind = "a whole number"


class Number(UserErrorParameter[float], luigi.FloatParameter):
    """A float."""

    kind = "a number"


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
