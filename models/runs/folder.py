"""A run's folder: locked, opened, and complete or not."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from models.data.dataset import UserError
from models.files import atomic_open
from models.runs import export
from models.runs.settings import Job, build_config, describe, differences, load_datasets, read_settings

MAX_OLD_RUNS = 9_999  # of one name, moved aside by --fresh


@contextlib.contextmanager
def lock_run(run: Path) -> Iterator[None]:
    """Hold the run's lock within the block. Raise UserError if another process trains this run."""
    run.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(str(run.parent / f".{run.name}.lock"), timeout=5):
            yield
    except Timeout:
        raise UserError(run, "is being trained by another process", "one at a time", "wait, or give --run") from None


def is_complete(job: Job) -> bool:
    """Return whether the run has the weights of this training, with as many steps or more."""
    try:
        requested = describe(job, build_config(job), load_datasets(job))
    except (FileNotFoundError, UserError):
        return False  # the training will raise it
    return is_trained(Path(job.run), requested)


def is_trained(run: Path, requested: dict[str, Any]) -> bool:
    """Return whether the run has the weights of a training with these settings, with as many steps or more."""
    try:
        is_same = not differences(read_settings(run), requested)
        return is_same and bool(export.read_about(run)["steps"] >= requested["config"]["steps"])
    except (FileNotFoundError, UserError):
        return False  # the training will raise it


def open_folder(run: Path, settings: dict[str, Any], *, fresh: bool) -> None:
    """Create the folder with its config.json, or check that it holds this training; complete `settings` from it.

    With `fresh` an old run is moved aside first. Raise UserError if the folder holds another training."""
    if fresh and run.exists():
        names = (f"{run.name}.old{number}" for number in range(1, MAX_OLD_RUNS + 1))
        run.rename(next(path for path in map(run.with_name, names) if not path.exists()))
    run.mkdir(parents=True, exist_ok=True)
    if (run / "last.pt").exists() and (run / "config.json").exists():
        saved = read_settings(run)
        if changed := differences(saved, settings):
            found, expected = f"was trained with {'; '.join(changed)}", "the same settings, or a larger --steps"
            raise UserError(run, found, expected, "give those, another --run, or --fresh to move it aside")
        settings["init_from"] = saved.get("init_from")
        settings["config"]["steps"] = max(settings["config"]["steps"], saved["config"].get("steps", 0))
    with atomic_open(run / "config.json", "w") as file:
        file.write(json.dumps(settings, indent=1) + "\n")
