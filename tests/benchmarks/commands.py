"""What whole commands take, with their starts. Used by tests/benchmarks/build.py and again.py."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Cost(NamedTuple):
    """What a command took, with all processes that it waited for."""

    wall: float  # s
    cpu: float  # s, user and system


def run(command: list) -> tuple[Cost, str]:
    """Run the command. Return what it took and what it printed. Raise CalledProcessError if it failed."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True, check=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime), done.stdout


def build(folder: Path, root: Path, *options: object) -> Cost:
    """Build a dataset of the folder's pictures in that data root."""
    command = [sys.executable, "-m", "luigi", "--module", "workflows", "BuildFaceDataset", *options]
    return run([*command, "--source", "folder", "--path", folder, "--data-root", root])[0]
