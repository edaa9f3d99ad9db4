"""Which folders a command imports from: not the current one, which is the user's and may have a `models/`, a `torch.py`
or a `random.py` of its own.

Imports nothing that Python has not imported at its start: until `remove_current_folder` it could be the user's.
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


def without_current_folder(entries: list[str]) -> list[str]:
    """Return the entries of an import path but for the current folder, which `python -m` puts first, and which an empty
    entry of PYTHONPATH names; with it if the program itself lies there."""
    return [entry for entry in entries if _is_current(ROOT) or not _is_current(entry)]


def remove_current_folder() -> None:
    """Take the current folder from the import path of this process and of those that it starts."""
    sys.path[:] = without_current_folder(sys.path)
    os.environ["PYTHONSAFEPATH"] = "1"  # Python 3.11 and later: `python -m` and `-c` leave the current folder out
    if given := os.environ.get("PYTHONPATH"):
        os.environ["PYTHONPATH"] = os.pathsep.join(without_current_folder(given.split(os.pathsep)))


def _is_current(folder: str) -> bool:
    try:
        return os.path.samefile(folder or ".", ".")
    except (OSError, ValueError):
        return False  # not there
