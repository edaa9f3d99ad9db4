"""`python -m workflows hook on|off`: lets the bare `luigi BuildFaceDataset` find our tasks in the active environment.

Luigi itself has no such hook. A `.pth` file in the environment's site-packages is read whenever its Python starts; ours
is one line that acts for the `luigi` script alone, when no --module is given and the task's name is one of ours: then
it puts `--module workflows` on the command line. For any other program it compares one string.
"""

import os
import sysconfig
import tempfile
from pathlib import Path

from luigi.task_register import Register

from pipeline.errors import UserError

# One line: `site` runs lines that begin with "import", each by itself. It may never raise: that would be said at every
# start of every Python program in the environment.
_LINE = (
    "import sys; a = getattr(sys, 'argv', ['']); "
    "a[1:1] = ['--module', 'workflows'] if a[0].replace('\\\\', '/').rsplit('/', 1)[-1] in ('luigi', 'luigi.exe') "
    "and a[1:2] and a[1] in {tasks!r} and not any(x.split('=')[0] == '--module' for x in a) else []; del a\n"
)


def _file() -> Path:
    return Path(sysconfig.get_path("purelib")) / "anime_face_gans_luigi.pth"


def _our_tasks() -> tuple[str, ...]:
    return tuple(
        name for name in Register.task_names() if Register.get_task_cls(name).__module__.startswith("workflows.")
    )


def on() -> str:
    """Switch it on; say so. New tasks need it switched on again. Raises UserError if the environment is read-only."""
    file = _file()
    try:
        with tempfile.NamedTemporaryFile("w", dir=file.parent, suffix=".tmp", delete=False) as scratch:
            scratch.write(_LINE.format(tasks=_our_tasks()))
        os.chmod(scratch.name, 0o644)
        os.replace(scratch.name, file)
    except OSError as error:
        raise _told(file, error) from error
    return f"on: luigi BuildFaceDataset works without --module in this environment ({file})"


def off() -> str:
    """Switch it off, without a trace; say so."""
    file = _file()
    try:
        file.unlink()
    except FileNotFoundError:
        return "off: it was not on"
    except OSError as error:
        raise _told(file, error) from error
    return f"off: removed {file}"


def _told(file: Path, error: OSError) -> UserError:
    return UserError(file, error.strerror, "a writable environment", "activate a virtual environment of your own")
