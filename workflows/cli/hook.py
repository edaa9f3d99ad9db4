"""`python -m workflows hook on|off`: let `luigi BuildFaceDataset` work without `--module workflows`.

Luigi itself has no such hook. Python reads the `.pth` files in its site-packages at every start. Ours is one line that
adds `--module workflows` to the command line if the program is the `luigi` script, no --module is given, and the task
is one of ours. For any other program it compares one string.
"""

import sysconfig
from pathlib import Path

from pipeline.errors import UserError
from workflows.cli import help as help_texts

# One line: `site` runs lines that begin with "import", each by itself. It must never raise: the error would be
# printed at every start of every Python program in the environment.
_LINE = (
    "import sys; a = getattr(sys, 'argv', ['']); "
    "a[1:1] = ['--module', 'workflows'] if a[0].replace('\\\\', '/').rsplit('/', 1)[-1] in ('luigi', 'luigi.exe') "
    "and a[1:2] and a[1] in {tasks!r} and not any(x.split('=')[0] == '--module' for x in a) else []; del a\n"
)


def _file() -> Path:
    return Path(sysconfig.get_path("purelib")) / "anime_face_gans_luigi.pth"


def enable() -> str:
    """Write the .pth file and return a line that says so. Raise UserError if the environment is read-only.

    New tasks need it written again."""
    from pipeline.store import replace_file  # slow to import

    file = _file()
    try:
        replace_file(file, _LINE.format(tasks=tuple(help_texts.task_names())).encode(), scratch=file.parent)
    except OSError as error:
        raise _read_only(file, error) from error
    return f"on: luigi BuildFaceDataset works without --module in this environment ({file})"


def disable() -> str:
    """Remove the .pth file and return a line that says so. Raise UserError if the environment is read-only."""
    file = _file()
    try:
        file.unlink()
    except FileNotFoundError:
        return "off: it was not on"
    except OSError as error:
        raise _read_only(file, error) from error
    return f"off: removed {file}"


def _read_only(file: Path, error: OSError) -> UserError:
    cure = "activate a virtual environment of your own"
    return UserError(file, error.strerror or str(error), "a writable environment", cure)
