"""Builds of one folder: with one core and two, again with nothing new, and with one picture more. Run by
tests/benchmarks/build.py."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from pipeline.sources.drawn import draw

ROOT = Path(__file__).parents[2]


class Cost(NamedTuple):
    """What a command took, with all processes that it waited for."""

    wall: float  # s
    cpu: float  # s, user and system


def again(count: int = 1000, more: int = 3) -> dict[str, Cost]:
    """Print and return what whole commands take, so with their starts, on drawn pictures; the last two are medians."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "pictures"
        folder.mkdir()
        for i in range(count):
            _add(folder, i)
        full = {jobs: _build(folder, Path(place) / str(jobs), jobs) for jobs in (1, 2)}
        nothing = [_build(folder, Path(place) / "2", 2) for _ in range(more)]
        one = []
        for i in range(count, count + more):
            _add(folder, i)
            one.append(_build(folder, Path(place) / "2", 2))
    costs = {f"full, --jobs {jobs}": [cost] for jobs, cost in full.items()}
    costs |= {"nothing new": nothing, "one picture more": one}
    return {name: _tell(name, count, each) for name, each in costs.items()}


def _add(folder: Path, i: int) -> None:
    draw(0, i)[0].save(folder / f"{i:05}.png", compress_level=1)


def _build(folder: Path, root: Path, jobs: int) -> Cost:
    command = [sys.executable, "-m", "luigi", "--module", "workflows", "BuildFaceDataset", "--jobs", str(jobs)]
    command += ["--source", "folder", "--path", str(folder), "--data-root", str(root)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return Cost(time.perf_counter() - start, usage.ru_utime + usage.ru_stime)


def _tell(name: str, count: int, costs: list[Cost]) -> Cost:
    """Print and return the medians."""
    cost = Cost(*map(statistics.median, zip(*costs, strict=True)))
    wall, cpu = round(cost.wall, 2), round(cost.cpu, 2)
    line = {"bench": f"build/{name}", "pictures": count, "wall_s": wall, "cpu_s": cpu, "runs": len(costs)}
    print(json.dumps(line), flush=True)
    return cost
