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
PRELOAD = (
    *("pandas", "pyarrow.dataset", "pytest", "requests", "tenacity.tornadoweb"),  # the last two are Luigi's
    *("models.evaluation", "models.runs.worker", "torch._dynamo", "torch.utils.tensorboard", "matplotlib.figure"),
    *("pipeline.sources.registry", "pipeline.sources.getchu.pages", "pipeline.datasets.assemble"),
    "tests.support.freeze",
)
"""Modules that are slow to import. Luigi is none of them: it reads luigi.cfg when it is imported."""
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(list(PRELOAD))


def luigi(place: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
    """Run `luigi --module workflows ARGUMENTS` in the folder `place`.

    It and a training that it starts are forked from a process that has imported PRELOAD: this saves ten seconds."""
    with tempfile.NamedTemporaryFile("r") as stdout, tempfile.NamedTemporaryFile("r") as stderr:
        process = FORKS.Process(target=_run, args=(place, arguments, _environment(), stdout.name, stderr.name))
        process.start()
        process.join()
        done = subprocess.CompletedProcess(arguments, process.exitcode or 0, stdout.read(), stderr.read())
    if check:
        assert done.returncode == 0, done.stderr
    return done


def luigi_process(place: Path, *arguments: str, **more) -> subprocess.CompletedProcess:
    """Run the same as a process of its own, with more arguments of `subprocess.run`."""
    return subprocess.run(
        _command(arguments), cwd=place, env=_environment(), capture_output=True, text=True, check=False, **more
    )


def start_luigi(place: Path, *arguments: str) -> subprocess.Popen:
    """Start the same as a process of its own, to be killed."""
    return subprocess.Popen(_command(arguments), cwd=place, env=_environment(), stderr=subprocess.DEVNULL)


def _command(arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "luigi", "--module", "workflows", *arguments]


def last_line(done: subprocess.CompletedProcess) -> str:
    """Of stderr, of a command that failed without a traceback."""
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


def error_line(place: Path, *arguments: str) -> str:
    """Return the last line on stderr of a command that fails."""
    return last_line(luigi(place, *arguments, check=False))


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def _run(place: Path, arguments: tuple[str, ...], environment: dict[str, str], *outputs: str) -> None:
    """Run `luigi --module workflows ARGUMENTS` as this process's program; `outputs`: files for stdout, stderr."""
    os.chdir(place)
    for descriptor, name in enumerate(outputs, start=1):
        os.dup2(os.open(name, os.O_WRONLY), descriptor)
    start = subprocess.Popen
    # `workflows.base.subprocess` alone starts Python with `-c`. It cannot be imported here: that is up to Luigi.
    subprocess.Popen = lambda command, **more: (_Training if command[1] == "-c" else start)(command, **more)
    try:
        _run_module("luigi", ["--module", "workflows", *arguments], environment)
    finally:
        atexit._run_exitfuncs()  # multiprocessing calls os._exit


def _run_module(name: str, arguments: list[str], environment: dict[str, str]) -> None:
    """Run a module as `python -m NAME ARGUMENTS` does."""
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [name, *arguments]
    try:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    except Exception as error:  # noqa: BLE001  # as Python does with an error that reaches the top
        sys.excepthook(type(error), error, error.__traceback__)
        sys.exit(1)


class _Training(multiprocessing.get_context("fork").Process):
    """A training process, as `workflows.base.subprocess` starts it with Popen."""

    def __init__(self, command: list[str], *, stdin: int, start_new_session: bool, env: dict[str, str]):
        _python, _option, _program, _path, module, *arguments = command
        self._reading, writing = os.pipe()
        self.stdin = os.fdopen(writing, "wb", buffering=0)
        super().__init__(target=_run_module, args=(module, arguments, env))
        self.start()
        os.close(self._reading)

    def run(self) -> None:
        os.setsid()
        self.stdin.close()
        os.dup2(self._reading, 0)
        super().run()

    def poll(self) -> int | None:
        return self.exitcode

    wait = multiprocessing.Process.join
    returncode = multiprocessing.Process.exitcode
