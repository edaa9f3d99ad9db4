"""Errors on the command line: the last lines of stderr are `error: …`, without a traceback if the user can fix them."""

import argparse
import atexit
import contextlib
import functools
import itertools
import logging
import os
import re
import select
import sys
from types import TracebackType
from typing import Any, NoReturn

from luigi.cmdline_parser import CmdlineParser
from luigi.parameter import ParameterException
from luigi.setup_logging import InterfaceLogging
from luigi.task_register import TaskClassException

from pipeline import terminal
from pipeline.errors import UserError
from workflows.cli import configuration, process
from workflows.cli import help as help_texts

TEXT_OPTIONS = ("--query", "--artist", "--url-prefix", "--reason")


def install_error_reporter() -> None:
    """Print errors at the end of stderr, and those that a user can fix without a traceback; print our own help."""
    configuration.redact_keys()
    process.install_signal_handlers()
    terminal.escape_output()
    reporter = ErrorReporter()
    logging.getLogger("luigi-interface").addFilter(reporter)
    sys.excepthook = reporter.on_uncaught
    setattr(argparse.ArgumentParser, "error", _raise_usage_error)  # noqa: B010  mypy refuses to assign to a method
    setattr(CmdlineParser, "_possibly_exit_with_help", staticmethod(_print_help_or_check_task))  # noqa: B010
    parser_of = staticmethod(functools.cache(_luigis_parser))  # otherwise it is built nine times
    setattr(CmdlineParser, "_build_parser", parser_of)  # noqa: B010
    setattr(InterfaceLogging, "_conf", classmethod(_configure_logging_from_file))  # noqa: B010
    atexit.register(reporter.print_errors)
    _check_arguments(sys.argv[1:])
    configuration.check_values()


def _check_arguments(arguments: list[str]) -> None:
    """Raise UserError if an option has an empty value, as an unset variable of a script leaves it: Luigi would take the
    default instead. Only --query may be empty: it means all that a source has. Raise it too for bytes that are not
    UTF-8 in a text option; paths may have them."""
    for argument, following in itertools.pairwise([*arguments, "end"]):
        option, equals, value = argument.partition("=")
        if option.startswith("--") and option != "--query" and not (value if equals else following):
            raise UserError(option, "'' given", "a value", "give one, or leave the option out")
        text = value if equals else following
        if option in TEXT_OPTIONS and text != text.encode("utf-8", "replace").decode():
            raise UserError(option, f"{ascii(text)[:100]} given", "text in UTF-8", "type it again")


def _raise_usage_error(parser: argparse.ArgumentParser, message: str) -> NoReturn:
    fix = help_texts.how_to_list_options()
    if unknown := re.fullmatch(r"unrecognized arguments: (--[\w-]+).*", message, re.DOTALL):
        message += help_texts.suggest_option(unknown[1])
    if missing := re.fullmatch(r"argument (?:\S+/)?(--[\w-]+): expected one argument", message):
        option = missing[1]
        given = sys.argv[sys.argv.index(option) + 1 :][:1] if option in sys.argv else []
        value = given[0] if given and given[0].startswith("-") else "-VALUE"
        fix = f"give it a value; one that begins with a dash is given as {option}={value}"
    raise UserError("command line", message, "a task and its options", fix)


_luigis_help = CmdlineParser._possibly_exit_with_help
_luigis_parser = CmdlineParser._build_parser  # of the options of all tasks


def _print_help_or_check_task(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Print the help and exit, if it is asked for. Raise UserError if no task is named, or an unknown one."""
    if arguments.core_help_all:
        _luigis_help(parser, arguments)
    name = arguments.root_task
    if arguments.core_help and not name:
        import workflows

        print(help_texts.list_tasks(workflows.GROUPS))
        sys.exit()
    if not name:
        fix = "list the tasks with python -m workflows"
        raise UserError("command line", "No task specified", "a task and its options", fix)
    help_texts.check_task_name(name)
    if arguments.core_help:
        print(help_texts.describe_task(name))
        sys.exit()


_luigis_logging_from_file = InterfaceLogging._conf


def _configure_logging_from_file(cls: type[InterfaceLogging], options: Any) -> bool:
    """Read the file of --logging-conf-file, if one is given. Raise UserError."""
    try:
        return bool(_luigis_logging_from_file(options))
    except Exception as error:  # the library raises many classes
        found = "there is no such file"
        if os.path.exists(options.logging_conf_file):
            found = f"no configuration of logging ({type(error).__name__}: {error})"
        expected, fix = "a file as of Python's logging.config.fileConfig", "look at the file, or leave it out"
        raise UserError(f"--logging-conf-file {options.logging_conf_file}", found, expected, fix) from error


class ErrorReporter(logging.Filter):
    """A log filter that collects the errors that Luigi logs, in this process and its forked workers, for the exit."""

    def __init__(self) -> None:
        super().__init__()
        self._reader, self._writer = os.pipe()  # workers inherit it
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def filter(self, record: logging.LogRecord) -> bool:
        """Collect the record's error, and drop its traceback if a user can fix it. Return whether it is to be logged:
        not Luigi's last line about an error of a user's, which is printed at the end."""
        if record.exc_info and record.exc_info[1] is not None:
            process.exit_if_interrupted()  # a library may turn the interrupt into an error of its own
            error = record.exc_info[1]
            self._collect(error)
            if _is_user_error(error):
                record.exc_info = record.exc_text = None
                return record.msg != "Uncaught exception in luigi"
        return True

    def on_uncaught(self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        """Collect an error, and print its traceback unless a user can fix it: a `sys.excepthook`. Of a broken pipe,
        print nothing."""
        process.exit_if_interrupted()
        if isinstance(error, BrokenPipeError) and _has_no_reader(1):  # such as head: it has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python flushes stdout once more
            return
        self._collect(error)
        if not _is_user_error(error):
            terminal.print_exception(kind, error, traceback)

    def _collect(self, error: BaseException) -> None:
        with contextlib.suppress(BlockingIOError):  # 64 KiB of errors are enough
            os.write(self._writer, (terminal.visible(_format_in_one_line(error)) + "\n").encode(errors="replace"))

    def print_errors(self) -> None:
        """Print each collected error once."""
        process.exit_if_interrupted()
        with contextlib.suppress(BlockingIOError):
            for line in dict.fromkeys(os.read(self._reader, 1 << 16).decode(errors="replace").split("\n")[:-1]):
                print(f"error: {line}", file=sys.stderr)


def _has_no_reader(pipe: int) -> bool:
    poll = select.poll()
    poll.register(pipe, select.POLLOUT)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _is_user_error(error: BaseException) -> bool:
    if isinstance(error.__cause__, UserError):  # Luigi's error about a value in luigi.cfg, raised from ours
        return True
    return isinstance(error, (UserError, ParameterException, TaskClassException, KeyboardInterrupt))


def _format_in_one_line(error: BaseException) -> str:
    if isinstance(error, UserError):
        return str(error)
    text = " ".join(str(error).split())
    if isinstance(error, KeyboardInterrupt):
        return "keyboard: interrupted; what was done is kept; run the same command again to go on"
    if isinstance(error.__cause__, UserError):
        return f"luigi.cfg: {text}: {error.__cause__}"
    if isinstance(error, (ParameterException, TaskClassException)):
        missing = re.fullmatch(r"(\w+)\[.*: requires the '(\w+)' parameter to be set", text)
        if missing:
            text = f"--{missing[2].replace('_', '-')} is missing; {missing[1]} needs it"
        return f"command line: {text}; {help_texts.how_to_list_options()}"
    return f"{type(error).__name__}: {text}; this is a bug in the program; please report it with the traceback above"
