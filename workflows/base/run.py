"""A run by its name."""

import functools
import re
from pathlib import Path
from typing import Any

import luigi

from pipeline.errors import UserError
from workflows.cli.parameters import FilePath


def check_run_name(option: str, name: str) -> None:
    """Raise UserError unless the name is one plain file name: it becomes a path below the data root."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}", name):
        raise UserError(option, f"'{name}' given", "letters, digits, '.', '_', '+' and '-'", "give the name of a run")


OPTIONS = {"run_name": "run", "input_path": "input", "output_path": "output"}
"""Options whose names are those of Luigi's own methods, by the name of their parameter."""
PARAMETERS = {option: parameter for parameter, option in OPTIONS.items()}


class NamedRun(luigi.Task):
    """A task with the option `--run`, and perhaps others of OPTIONS."""

    run_name = luigi.Parameter(default="", description="runs/NAME below the data root; by default MODEL-DATASET-PRESET")
    data_root = FilePath(default=Path("data"), significant=False, description="folder of datasets and runs")

    _visible_in_registry = False  # it is no task by itself …

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        cls._visible_in_registry = True  # … those of its kind are

    @classmethod
    @functools.cache  # Luigi asks a hundred times for each task, and looks through all attributes of the class
    def get_params(cls) -> list[tuple[str, luigi.Parameter]]:
        """Return (name, parameter) of each option."""
        return [(OPTIONS.get(name, name), parameter) for name, parameter in super().get_params()]

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(PARAMETERS.get(name, name), value)

    def clone(self, cls: type[luigi.Task] | None = None, **kwargs: Any) -> Any:
        """Return a task, of this class or another one, with this one's values of the options that both have."""
        own = {option: getattr(self, name) for option, name in PARAMETERS.items() if hasattr(self, name)}
        return super().clone(cls, **(own | kwargs))

    @property
    def run_folder(self) -> Path:
        """Return the run's folder."""
        return self.data_root / "runs" / self.run_name
