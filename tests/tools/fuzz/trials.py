"""One command in a process of its own: what it printed, how long it took, how much memory, what it left behind."""

import atexit
import contextlib
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pyarrow.parquet as pq

MAX_SECONDS = 60
MAX_BYTES = 1_500_000_000  # of one process


@dataclass
class Trial:
    """A folder that holds mutated inputs, the command over them, and what has to hold afterwards."""

    place: Path
    arguments: list[str]
    mutants: int
    """How many mutated inputs the command meets."""
    check: Callable[["Outcome"], list[str]] = lambda outcome: []
    """Returns what is wrong beyond what `faults` looks at."""
    must_succeed: bool = False
    """Whether an error line is a fault: one bad item may not stop the others."""


@dataclass
class Outcome:
    """What one command did."""

    place: Path
    code: int = 0
    stderr: str = ""
    seconds: float = 0
    peak: int = 0
    """Bytes of the largest process."""
    was_killed: str = ""
    faults: list[str] = field(default_factory=list)

    def ids(self, name: str = "f") -> set[str]:
        """Return the source_ids of the dataset's manifest."""
        return set(self._column(name, "manifest"))

    def dropped(self, name: str = "f") -> set[str]:
        """Return the source_ids of the dataset's funnel."""
        return set(self._column(name, "funnel"))

    def duplicates(self, name: str = "f") -> set[str]:
        """Return the source_ids of the funnel whose bytes are in under another id."""
        path = self.place / "data" / "datasets" / name / "funnel.parquet"
        rows = pq.read_table(path, columns=["source_id", "reason"], partitioning=None).to_pylist()
        return {row["source_id"] for row in rows if row["reason"] == "duplicate"}

    def _column(self, name: str, table: str) -> list[str]:
        path = self.place / "data" / "datasets" / name / f"{table}.parquet"
        return pq.read_table(path, columns=["source_id"], partitioning=None)["source_id"].to_pylist()


def run(trial: Trial, *, in_process: Callable[[list[str]], None]) -> Outcome:
    """Fork, run the command in the child, and judge it by the promises that every command keeps."""
    outcome = Outcome(trial.place)
    log = trial.place / "stderr.txt"
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _child(trial, log, in_process)
    outcome.code = _watch(child, outcome, began)
    outcome.seconds = time.monotonic() - began
    outcome.stderr = log.read_bytes().decode("utf-8", "backslashreplace")
    outcome.faults = _faults(trial, outcome)
    return outcome


def _child(trial: Trial, log: Path, in_process: Callable[[list[str]], None]) -> None:
    atexit._clear()  # the parent's would remove its scratch folder
    os.setsid()
    os.chdir(trial.place)
    with open(log, "wb") as file:
        os.dup2(file.fileno(), 2)
        os.dup2(file.fileno(), 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code = 70
    try:
        in_process(trial.arguments)
        code = 0
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException:  # noqa: BLE001  # what the interpreter itself would print
        sys.excepthook(*sys.exc_info())
        code = 1
    finally:
        atexit._run_exitfuncs()  # those of the command; see above
        sys.stderr.flush()
        os._exit(code)


def _watch(child: int, outcome: Outcome, began: float) -> int:
    """Wait for the child, noting the largest process of its tree; kill the tree past a limit. Return the exit code."""
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        with contextlib.suppress(psutil.Error):
            tree = [psutil.Process(child), *psutil.Process(child).children(recursive=True)]
            for process in tree:
                with contextlib.suppress(psutil.Error):
                    outcome.peak = max(outcome.peak, process.memory_info().rss)
        if not outcome.was_killed and (time.monotonic() - began > MAX_SECONDS or outcome.peak > 2 * MAX_BYTES):
            outcome.was_killed = "over time" if time.monotonic() - began > MAX_SECONDS else "over memory"
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.02)
    return os.waitstatus_to_exitcode(status)


def _faults(trial: Trial, outcome: Outcome) -> list[str]:
    faults = []
    errors = [line for line in outcome.stderr.splitlines() if line.startswith("error: ")]
    if outcome.was_killed:
        faults.append(f"{outcome.was_killed}: {outcome.seconds:.0f} s, {outcome.peak / 1e6:.0f} MB")
    elif outcome.peak > MAX_BYTES:
        faults.append(f"{outcome.peak / 1e6:.0f} MB")
    if "Traceback (most recent call last)" in outcome.stderr or "bug in the program" in outcome.stderr:
        faults.append("a traceback")
    if outcome.code < 0 and not outcome.was_killed:
        faults.append(f"ended by signal {-outcome.code}")
    if outcome.code > 0 and not errors:
        faults.append(f"exit {outcome.code} without an error line")
    if outcome.code == 0 and errors:
        faults.append("exit 0 with an error line")
    if any(ord(letter) in {*range(9), *range(14, 32), *range(127, 160)} for letter in outcome.stderr):
        faults.append("a control character on the terminal")
    if outcome.code > 0 and trial.must_succeed:
        faults.append(f"one bad item stopped all: {errors[-1:]}")
    faults += half_written(outcome.place / "data")
    if outcome.code == 0 and not outcome.was_killed:
        try:
            faults += trial.check(outcome)
        except OSError as error:
            faults.append(f"no dataset: {error}")
    return faults


def half_written(root: Path) -> list[str]:
    """Return what a data root holds that is neither whole nor absent."""
    datasets = [path for path in (root / "datasets").glob("[!.]*") if path.name != "given"]
    found = [f"{path.name} has no manifest" for path in datasets if not (path / "manifest.parquet").exists()]
    work = root / "stages" / ".work"
    return found + [f"left behind: {path.name}" for path in work.glob("*") if path.is_dir()]
