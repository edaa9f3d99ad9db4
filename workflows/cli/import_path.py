"""The import path of a command: without the current folder, which may hold a `models/`, a `torch.py` or a `random.py`.

This module imports only what Python itself imports at its start: anything else could come from the current folder.
"""

import itertools
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def is_module_command() -> bool:
    """Return whether this is `python -m workflows …`. Only while `workflows` is imported: runpy changes argv then."""
    return sys.argv[:1] == ["-m"] and _names_workflows("-m", sys.orig_argv)


def is_own_command() -> bool:
    """Return whether this is `python -m workflows …` or `luigi --module workflows …`, not a module of a user."""
    return is_module_command() or _names_workflows("--module", sys.argv)


def _names_workflows(option: str, arguments: list[str]) -> bool:
    return (option, "workflows") in itertools.pairwise(arguments) or f"{option}=workflows" in arguments


def drop_current_folder(entries: list[str]) -> list[str]:
    """Return an import path without the current folder, which `python -m` puts first, and which an empty entry of
    PYTHONPATH means. If the program itself lies there, it is kept."""
    return [entry for entry in entries if _is_current(ROOT) or not _is_current(entry)]


def remove_current_folder() -> None:
    """Remove the current folder from the import path of this process and of those that it starts."""
    sys.path[:] = drop_current_folder(sys.path)
    os.environ["PYTHONSAFEPATH"] = "1"  # Python 3.11 and later: `python -m` and `-c` leave the current folder out
    if given := os.environ.get("PYTHONPATH"):
        os.environ["PYTHONPATH"] = os.pathsep.join(drop_current_folder(given.split(os.pathsep)))


def _is_current(folder: str) -> bool:
    try:
        return os.path.samefile(folder or ".", ".")
    except (OSError, ValueError):
        return False  # not there
