"""The tasks as their users meet them: through the command line."""

import os
import subprocess
import sys
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
