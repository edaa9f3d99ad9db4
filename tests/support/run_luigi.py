"""The tasks as their users meet them: through the command line."""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILT = ("--limit", "90")  # of the fixture `built`


def luigi(place: Path, *arguments: str, check: bool = True, **more) -> subprocess.CompletedProcess:
    """`luigi --module workflows ARGUMENTS` in the folder `place`."""
    command = [sys.executable, "-m", "luigi", "--module", "workflows", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False, **more)
    if check:
        assert done.returncode == 0, done.stderr
    return done


def last_line(done: subprocess.CompletedProcess) -> str:
    """Of stderr, of a command that failed without a traceback."""
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


def error_line(place: Path, *arguments: str) -> str:
    """Return the last line on stderr of a command that fails, run in a fork of a process that has imported torch."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pandas", "models.evaluation"])
    with tempfile.NamedTemporaryFile("r") as stderr:
        process = context.Process(target=_run, args=(place, arguments, stderr.name))
        process.start()
        process.join()
        return last_line(subprocess.CompletedProcess(arguments, process.exitcode or 0, "", stderr.read()))


def _run(place: Path, arguments: tuple[str, ...], stderr: str) -> None:
    """Run `luigi --module workflows ARGUMENTS` as this process's program."""
    os.chdir(place)
    os.environ |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    os.dup2(os.open(stderr, os.O_WRONLY), 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.argv = ["luigi", "--module", "workflows", *arguments]
    try:
        runpy.run_module("luigi", run_name="__main__", alter_sys=True)
    except Exception as error:  # noqa: BLE001  # as Python does with an error that reaches the top
        sys.excepthook(type(error), error, error.__traceback__)
        sys.exit(1)
    finally:
        atexit._run_exitfuncs()  # multiprocessing calls os._exit
