"""How the tasks behave on a command line: settings that a newcomer need not know, and errors in one line at the end."""

import argparse
import atexit
import contextlib
import itertools
import logging
import os
import re
import sys
from pathlib import Path

import luigi
from luigi.cmdline_parser import CmdlineParser
from luigi.configuration import get_config
from luigi.parameter import ParameterException
from luigi.setup_logging import InterfaceLogging
from luigi.task_register import TaskClassException

from pipeline import terminal
from pipeline.errors import UserError
from workflows.cli import configuration, process

TEXTS = ("--query", "--artist", "--url-prefix", "--reason")
DEFAULTS = {
    "core": {
        "local_scheduler": "true",  # without one, Luigi waits a minute for a server
        "no_lock": "true",  # its lock makes the same command in another folder exit; ours are per dataset
        "log_level": "INFO",
    },
    "worker": {"task_process_context": "workflows.cli.process.TaskProcess"},
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


def install_error_reporter() -> None:
    """Errors that the user can mend lose their traceback, and come again as the last line of stderr."""
    configuration.remember_keys()
    process.heed_signals()
    terminal.guard()
    last_words = ErrorReporter()
    logging.getLogger("luigi-interface").addFilter(last_words)
    sys.excepthook = last_words.on_uncaught
    argparse.ArgumentParser.error = _misused
    CmdlineParser._possibly_exit_with_help = staticmethod(_help_or_task)
    InterfaceLogging._conf = classmethod(_logging_of_file)
    atexit.register(last_words.say)
    _check_arguments(sys.argv[1:])
    configuration.check_values()


def _check_arguments(arguments: list[str]) -> None:
    """Raise UserError if an option has an empty value, as an unset variable of a script leaves it: Luigi would take the
    default instead. An empty --query is one: it asks for all that a source has. So too if bytes that are no UTF-8 are
    given for a text; paths may have them."""
    for argument, following in itertools.pairwise([*arguments, "end"]):
        option, equals, value = argument.partition("=")
        if option.startswith("--") and option != "--query" and not (value if equals else following):
            raise UserError(option, "'' given", "a value", "give one, or leave the option out")
        text = value if equals else following
        if option in TEXTS and text != text.encode("utf-8", "replace").decode():
            raise UserError(option, f"{ascii(text)[:100]} given", "text in UTF-8", "mend it")


def _misused(parser: argparse.ArgumentParser, message: str) -> None:
    cure = "see python -m workflows TASK --help"
    if lacking := re.fullmatch(r"argument (?:\S+/)?(--[\w-]+): expected one argument", message):
        option = lacking[1]
        given = sys.argv[sys.argv.index(option) + 1 :][:1] if option in sys.argv else []
        value = given[0] if given and given[0].startswith("-") else "-VALUE"
        cure = f"give it a value; one that begins with a dash is given as {option}={value}"
    raise UserError("command line", message, "a task and its options", cure)


_luigis_help = CmdlineParser._possibly_exit_with_help


def _help_or_task(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Print the help if it is asked for, as Luigi does. Raise UserError if no task is named."""
    _luigis_help(parser, arguments)
    if not arguments.root_task:
        raise UserError("command line", "No task specified", "a task and its options", "see README.md, or --help")


_luigis_logging_of_file = InterfaceLogging._conf


def _logging_of_file(cls: type[InterfaceLogging], options) -> bool:
    """Set up logging as the file of --logging-conf-file says, if one is given. Raises UserError."""
    try:
        return _luigis_logging_of_file(options)
    except Exception as error:  # the library raises whatever it stumbles over
        found = "there is no such file"
        if os.path.exists(options.logging_conf_file):
            found = f"no configuration of logging ({type(error).__name__}: {error})"
        expected, cure = "a file as of Python's logging.config.fileConfig", "look at the file, or leave it out"
        raise UserError(f"--logging-conf-file {options.logging_conf_file}", found, expected, cure) from error


class ErrorReporter(logging.Filter):
    """Reads the errors that Luigi logs, here or in its forked workers, and says them at exit."""

    def __init__(self):
        super().__init__()
        self._reader, self._writer = os.pipe()  # workers inherit it
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1] is not None:
            process.end_if_asked()  # a library may turn the interrupt into an error of its own
            error = record.exc_info[1]
            self._note(error)
            if _is_user_error(error):
                record.exc_info = record.exc_text = None
        return True

    def on_uncaught(self, kind, error, traceback) -> None:
        process.end_if_asked()
        self._note(error)
        if not _is_user_error(error):
            terminal.print_exception(kind, error, traceback)

    def _note(self, error: BaseException) -> None:
        with contextlib.suppress(BlockingIOError):  # 64 KiB of errors are enough
            os.write(self._writer, (terminal.visible(_in_one_line(error)) + "\n").encode(errors="replace"))

    def say(self) -> None:
        process.end_if_asked()
        with contextlib.suppress(BlockingIOError):
            for line in dict.fromkeys(os.read(self._reader, 1 << 16).decode(errors="replace").split("\n")[:-1]):
                print(f"error: {line}", file=sys.stderr)


def _is_user_error(error: BaseException) -> bool:
    if isinstance(error.__cause__, UserError):  # Luigi's own words round one of ours, of a value in luigi.cfg
        return True
    return isinstance(error, (UserError, ParameterException, TaskClassException, KeyboardInterrupt))


def _in_one_line(error: BaseException) -> str:
    if isinstance(error, UserError):
        return str(error)
    text = " ".join(str(error).split())
    if isinstance(error, KeyboardInterrupt):
        return "keyboard: interrupted; what was done is kept; run the same command again to go on"
    if isinstance(error.__cause__, UserError):
        return f"luigi.cfg: {text}: {error.__cause__}"
    if isinstance(error, (ParameterException, TaskClassException)):
        return f"command line: {text}; see python -m workflows TASK --help"
    return f"{type(error).__name__}: {text}; this is a fault of the program; please report it with what stands above"


class UserErrorParameter:
    """A parameter whose parse error is one of the user's errors, and names the option."""

    kind = ""
    _option = "an option"

    def _parser_kwargs(self, param_name: str, task_name: str | None = None) -> dict:
        self._option = "--" + param_name.replace("_", "-")  # Luigi tells a parameter its name nowhere else
        return super()._parser_kwargs(param_name, task_name)

    def parse(self, text: str):
        try:
            return super().parse(text)
        except ValueError:
            help_ = "see python -m workflows TASK --help"
            raise UserError(self._option, f"'{text}' given", self.kind, help_) from None


class Choice(UserErrorParameter, luigi.ChoiceParameter):
    """One of some words."""

    def __init__(self, choices: tuple[str, ...], **kwargs):
        super().__init__(choices=choices, **kwargs)
        self.kind = "one of " + " ".join(choices)  # in our order: luigi keeps a set


class WholeNumber(UserErrorParameter, luigi.IntParameter):
    """An int."""

    kind = "a whole number"


class Number(UserErrorParameter, luigi.FloatParameter):
    """A float."""

    kind = "a number"


class FilePath(UserErrorParameter, luigi.PathParameter):
    """A Path, of which `~` and `~user` become home folders: no shell does that in `--path=~/x` and in luigi.cfg."""

    def normalize(self, x: str | Path) -> Path:
        path = Path(os.path.expanduser(x))
        faults = {
            "nothing": not str(x),
            "a home folder that is not there": path.parts[:1] and path.parts[0].startswith("~"),
            "no UTF-8": not _is_utf8(str(path)),
            "a NUL character": "\0" in str(path),
        }
        for fault in (fault for fault, is_so in faults.items() if is_so):
            expected = "a path in UTF-8, of which ~ and ~user are home folders"
            raise UserError(self._option, f"'{x}' given: {fault}", expected, "give another, or rename the folder")
        return path


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class OptionalFilePath(luigi.OptionalParameter, FilePath):
    """A FilePath or None."""

    expected_type = (str, Path)


def require(task: luigi.Task, is_right: bool, parameter: str, expected: str) -> None:
    """Raises UserError unless that parameter of the task is right."""
    if not is_right:
        option, found = "--" + parameter.replace("_", "-"), f"{str(getattr(task, parameter))[:100]} given"
        raise UserError(option, found, expected, f"see python -m workflows {task.task_family} --help")
