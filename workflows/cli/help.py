"""Help texts: the list of tasks, and the options of one."""

import argparse
import difflib
import functools
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import luigi
from luigi.task_register import Register

from pipeline.errors import UserError

USAGE = """\
python -m workflows TASK [--option value …]    run a task
python -m workflows TASK --help                list its options
python -m workflows hook on|off                let `luigi TASK` work without `--module workflows`
python -m workflows pack NAME [FILE.tar]       write one dataset as one file
python -m workflows serve FOLDER               look at a page that ExportDemo made"""
LUIGI_OPTIONS = (
    ("--workers", "N", "tasks that run at once (default 1)"),
    ("--log-level", "LEVEL", "DEBUG, INFO, WARNING, ERROR or CRITICAL (default INFO)"),
    ("--logging-conf-file", "FILE", "configuration of Python's logging"),
    ("--help-all", "", "list all options of Luigi and of every task"),
)
_METAVARS = {luigi.IntParameter: "N", luigi.FloatParameter: "X", luigi.PathParameter: "PATH"}
_MAX_WIDTH = 110  # columns


def task_names() -> list[str]:
    """Return the names of the tasks of `workflows` that a user can run, sorted. Base classes are not among them."""
    modules = {name: Register.get_task_cls(name).__module__ for name in Register.task_names()}
    ours = (name for name, module in modules.items() if module.startswith("workflows."))
    return sorted(name for name in ours if not modules[name].startswith("workflows.base."))


def list_tasks(groups: Mapping[str, tuple[ModuleType, ...]]) -> str:
    """Return the help of `python -m workflows`: each task with the first sentence of its docstring.

    `groups` are the task modules by heading."""
    names = task_names()
    wide = max(map(len, names)) + 2
    lines = [USAGE]
    for heading, modules in groups.items():
        lines += ["", heading]
        for module in modules:
            classes = [value for name, value in vars(module).items() if name in names and _is_defined_in(value, module)]
            for cls in classes:
                lines += _row(f"  {cls.__name__:<{wide}}", _summary(cls))
    return "\n".join(lines)


def describe_task(name: str) -> str:
    """Return the help of a task: its docstring, and each of its options once with default and meaning."""
    cls = Register.get_task_cls(name)
    parser = argparse.ArgumentParser(
        usage=f"python -m workflows {name} [--option value …]",
        description="\n".join(_wrapped(cls.__doc__ or "")),
        formatter_class=functools.partial(argparse.RawDescriptionHelpFormatter, max_help_position=28, width=_width()),
        add_help=False,
    )
    for heading, rows in (("options", _options(cls)), ("options of Luigi", LUIGI_OPTIONS)):
        group = parser.add_argument_group(heading)
        for option, metavar, text in rows:
            kind: dict[str, Any] = {"metavar": metavar} if metavar else {"action": "store_true"}
            group.add_argument(option, help=text.replace("%", "%%"), **kind)
    about = cls.describe_settings() if hasattr(cls, "describe_settings") else []
    return "\n\n".join([parser.format_help().rstrip(), *("\n".join(_wrapped(text)) for text in about)])


def how_to_list_options() -> str:
    """Return the cure for a slip in the options of the task on the command line."""
    task = next((argument for argument in sys.argv[1:] if argument in task_names()), "TASK")
    return f"see python -m workflows {task} --help"


def suggest_option(typed: str) -> str:
    """Return which option of the task on the command line is most like `typed`; empty if none is."""
    options = {
        "--" + name.replace("_", "-")
        for task in task_names()
        if task in sys.argv[1:]
        for name, _ in Register.get_task_cls(task).get_params()
    }
    similar = difflib.get_close_matches(typed, options, 1)
    return f"; did you mean {similar[0]}?" if similar else ""


def check_task_name(name: str) -> None:
    """Raise UserError, with the names that are most like it, if no task has this name."""
    if name in Register.task_names():
        return
    by_lower_case = {known.lower(): known for known in task_names()}
    similar = [by_lower_case[found] for found in difflib.get_close_matches(name.lower(), by_lower_case, cutoff=0.5)]
    found = f"there is no task {name[:100]!r}"
    expected = "did you mean " + " or ".join(similar) + "?" if similar else "the name of a task"
    raise UserError("command line", found, expected, "list the tasks with python -m workflows")


def _is_defined_in(value: object, module: ModuleType) -> bool:
    return getattr(value, "__module__", None) == module.__name__


def _options(cls: type[luigi.Task]) -> Iterator[tuple[str, str, str]]:
    """Yield (option, its kind of value, meaning and default) of each parameter."""
    own = {id(value) for value in vars(cls).values()}
    for name, parameter in sorted(cls.get_params(), key=lambda row: id(row[1]) not in own):  # its own first
        if not parameter.has_task_value(cls.get_task_family(), name):
            default = " (required)"
        else:
            value = parameter.task_value(cls.get_task_family(), name)
            default = "" if value is None or value is False or value in ("", ()) else f" (default {value})"
        yield "--" + name.replace("_", "-"), _metavar(parameter), (parameter.description or "") + default


def _metavar(parameter: luigi.Parameter) -> str:
    """Return what stands for an option's value; nothing for a switch."""
    if isinstance(parameter, luigi.BoolParameter):
        return ""
    if choices := getattr(parameter, "choices", ()):
        return "|".join(choices)
    return next((metavar for kind, metavar in _METAVARS.items() if isinstance(parameter, kind)), "TEXT")


def _summary(cls: type[luigi.Task]) -> str:
    """Return the first paragraph of a docstring, up to its first full stop or colon."""
    text = " ".join((cls.__doc__ or "").split("\n\n")[0].split())
    return text.split(". ")[0].rstrip(".")


def _width() -> int:
    return min(shutil.get_terminal_size((_MAX_WIDTH, 24)).columns, _MAX_WIDTH) if sys.stdout.isatty() else _MAX_WIDTH


def _wrapped(text: str) -> list[str]:
    paragraphs = text.split("\n\n")
    lines: list[str] = []
    for paragraph in paragraphs:
        lines += [""] * bool(lines) + textwrap.wrap(" ".join(paragraph.split()), _width())
    return lines


def _row(start: str, text: str) -> list[str]:
    """Return `start` and the wrapped text beside it."""
    width = max(_width(), len(start) + 30)
    return textwrap.wrap(text, width, initial_indent=start, subsequent_indent=" " * len(start)) or [start.rstrip()]
