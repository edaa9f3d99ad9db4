"""Processes that train: started, watched and ended by a task."""

import contextlib
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, NamedTuple

from pipeline.errors import UserError
from workflows.cli import import_path, process

GRACE_S = 10  # seconds that the other processes of a training have to end by themselves, once one has failed
POLL_S = 0.1
# Neither `-m` nor `-c` alone: both import from the current folder, which may have a `models` of its own.
_RUN_MODULE = """
import sys
sys.path = sys.argv.pop(1).split("\\n")
import runpy
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


class _Ended(NamedTuple):
    """How a process of a training ended."""

    code: int
    message: str  # one line about its end; empty if it left none


def train_in_children(module: list[str], run: Path, *, count: int = 1) -> None:
    """Train in `count` processes of their own, each of which runs a module with its arguments. Raise UserError, or
    KeyboardInterrupt after Ctrl-C."""
    with tempfile.TemporaryDirectory(prefix="training-") as folder:  # others cannot look into it
        ended = _run_children(module, Path(folder), count)
    # A process may be interrupted before it can leave the message; one that lost another one is not the cause.
    if any(one.code in (128 + signal.SIGINT, -signal.SIGINT) for one in ended):
        raise KeyboardInterrupt
    failed = sorted((one for one in ended if one.code), key=lambda e: (e.code == os.EX_TEMPFAIL, not e.message))
    if failed and failed[0].message:
        raise UserError.of_line(failed[0].message)
    if failed:
        fix = "read its output above; run it again to resume"
        raise UserError(run, f"its process {describe_exit(failed[0].code)}", "0", fix)


def describe_exit(code: int) -> str:
    """Return how a process ended, by its exit code."""
    if code == -signal.SIGKILL:
        return "was killed, most likely for lack of memory"
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"


def _run_children(module: list[str], folder: Path, count: int) -> list[_Ended]:
    """Run the processes until all have ended; once one fails, kill the others after GRACE_S.

    Ctrl-C is passed on to each, which saves first. Each reads a pipe of this process, and ends when it closes."""
    children: list[subprocess.Popen] = []
    messages = [folder / f"message-{rank}" for rank in range(count)]
    try:
        for rank in range(count):
            children.append(_start_child(module, folder / "store", messages[rank], rank, count))  # noqa: PERF401 see finally
        _wait(children)
    finally:
        waiting = {child for child in children if child.poll() is None}
        for child in children:
            child.kill()
            child.wait()
            with contextlib.suppress(BrokenPipeError):
                _stdin(child).close()
    codes = [os.EX_TEMPFAIL if child in waiting else child.returncode for child in children]
    texts = [path.read_text(encoding="utf-8") if path.exists() else "" for path in messages]
    return list(map(_Ended, codes, texts))


def _start_child(module: list[str], store: Path, message: Path, rank: int, count: int) -> subprocess.Popen:
    environment: dict[str, object] = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    environment |= {"ANIME_STORE": store, "ANIME_ERRORS": message}
    path = import_path.drop_current_folder(sys.path)
    threads = {"OMP_NUM_THREADS": "1"} if count > 1 else {}  # else each process would take all cores
    return subprocess.Popen(
        [sys.executable, "-c", _RUN_MODULE, "\n".join(map(os.path.abspath, path)), *module],
        stdin=subprocess.PIPE,
        start_new_session=True,  # not in the terminal's group: Ctrl-C comes to this process alone
        env=threads | os.environ | {name: str(value) for name, value in environment.items()},
    )


def _stdin(child: subprocess.Popen) -> IO[bytes]:
    assert child.stdin is not None  # it was started with a pipe
    return child.stdin


def _wait(children: list[subprocess.Popen]) -> None:
    """Block until all children have ended, or until GRACE_S after the first of them has failed."""
    deadline = math.inf
    while True:
        try:
            codes = [child.poll() for child in children]
            if None not in codes or time.monotonic() > deadline:
                return
            if deadline == math.inf and any(codes):
                deadline = time.monotonic() + GRACE_S
            time.sleep(POLL_S)
        except KeyboardInterrupt:
            process.wait_for_save()
            for child in children:
                with contextlib.suppress(BrokenPipeError):  # it has ended by itself
                    _stdin(child).write(b"\x03")
                    _stdin(child).flush()
