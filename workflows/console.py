"""How the tasks behave on a command line: settings that a newcomer need not know, and errors in one line at the end."""

import argparse
import atexit
import contextlib
import logging
import os
import sys
from pathlib import Path

import luigi
from luigi.configuration import get_config
from luigi.parameter import ParameterException
from luigi.task_register import TaskClassException

from pipeline.errors import UserError

DEFAULTS = {
    "core": {
        "local_scheduler": "true",  # without one, Luigi waits a minute for a server
        "no_lock": "true",  # its lock makes the same command in another folder exit; ours are per dataset
        "log_level": "INFO",
    },
    # Luigi's own exit codes are 0 for most failures
    "retcode": {
        "already_running": "10",
        "missing_data": "20",
        "not_run": "25",
        "task_failed": "30",
        "scheduling_error": "35",
        "unhandled_exception": "40",
    },
}


def set_defaults() -> None:
    """Settings under those of luigi.cfg: what the file says stays."""
    config = get_config()
    for section, settings in DEFAULTS.items():
        for key, value in settings.items():
            if not config.has_option(section, key):
                config.set(section, key, value)


def is_luigi_command() -> bool:
    """Whether this process is `luigi …` or `python -m luigi …`, rather than a program that imports the tasks."""
    program = Path(sys.argv[0])
    return program.stem == "luigi" or (program.parent.name, program.stem) == ("luigi", "__main__")


def speak_plainly() -> None:
    """Errors that the user can mend lose their traceback, and come again as the last line of stderr."""
    last_words = _LastWords()
    logging.getLogger("luigi-interface").addFilter(last_words)
    sys.excepthook = last_words.on_uncaught
    argparse.ArgumentParser.error = _misused
    atexit.register(last_words.say)


def _misused(parser: argparse.ArgumentParser, message: str) -> None:
    raise UserError("command line", message, "a task and its options", "see python -m workflows TASK --help")


class _LastWords(logging.Filter):
    """Reads the errors that Luigi logs, here or in its forked workers, and says them at exit."""

    def __init__(self):
        super().__init__()
        self._reader, self._writer = os.pipe()  # workers inherit it
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            self._note(error)
            if _is_mendable(error):
                record.exc_info = record.exc_text = None
        return True

    def on_uncaught(self, kind, error, traceback) -> None:
        self._note(error)
        if not _is_mendable(error):
            sys.__excepthook__(kind, error, traceback)

    def _note(self, error: BaseException) -> None:
        with contextlib.suppress(BlockingIOError):  # 64 KiB of errors are enough
            os.write(self._writer, (_in_one_line(error) + "\n").encode(errors="replace"))

    def say(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for line in dict.fromkeys(os.read(self._reader, 1 << 16).decode(errors="replace").splitlines()):
                print(f"error: {line}", file=sys.stderr)


def _is_mendable(error: BaseException) -> bool:
    if isinstance(error.__cause__, UserError):  # Luigi's own words round one of ours, of a value in luigi.cfg
        return True
    return isinstance(error, (UserError, ParameterException, TaskClassException, KeyboardInterrupt))


def _in_one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, UserError):
        return text
    if isinstance(error, KeyboardInterrupt):
        return "keyboard: interrupted; what was done is kept; run the same command again to go on"
    if isinstance(error.__cause__, UserError):
        return f"luigi.cfg: {text}: {error.__cause__}"
    if isinstance(error, (ParameterException, TaskClassException)):
        return f"command line: {text}; see python -m workflows TASK --help"
    return f"{type(error).__name__}: {text}; this is a fault of the program; please report it with what stands above"


class _Told:
    """A parameter whose parse error is one of the user's errors, and names the option."""

    kind = ""
    _option = "a number"

    def _parser_kwargs(self, param_name: str, task_name: str | None = None) -> dict:
        self._option = "--" + param_name.replace("_", "-")  # Luigi tells a parameter its name nowhere else
        return super()._parser_kwargs(param_name, task_name)

    def parse(self, text: str):
        try:
            return super().parse(text)
        except ValueError:
            help_ = "see python -m workflows TASK --help"
            raise UserError(self._option, f"'{text}' given", self.kind, help_) from None


class Choice(_Told, luigi.ChoiceParameter):
    """One of some words."""

    def __init__(self, choices: tuple[str, ...], **kwargs):
        super().__init__(choices=choices, **kwargs)
        self.kind = "one of " + " ".join(choices)  # in our order: luigi keeps a set


class FilePath(luigi.PathParameter):
    """A path; `~` at its beginning is the user's home, which a shell does not put into `--option=~/x`."""

    def normalize(self, x: str | Path) -> Path:
        """Return the path. Raise UserError if there is no such home."""
        try:
            return super().normalize(x).expanduser()
        except RuntimeError:
            raise UserError("command line", f"'{x}' given", "a path; ~ or ~USER of a user", "write it out") from None


class OptionalFilePath(luigi.OptionalParameter, FilePath):
    """A path, or nothing."""

    expected_type = (str, Path)


class WholeNumber(_Told, luigi.IntParameter):
    """An int."""

    kind = "a whole number"


class Number(_Told, luigi.FloatParameter):
    """A float."""

    kind = "a number"


def require(task: luigi.Task, is_right: bool, parameter: str, expected: str) -> None:
    """Raises UserError unless that parameter of the task is right."""
    if not is_right:
        option, found = "--" + parameter.replace("_", "-"), f"{getattr(task, parameter)} given"
        raise UserError(option, found, expected, f"see python -m workflows {task.task_family} --help")
