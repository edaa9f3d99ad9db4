"""A dataset that a training reads, and a run by its name."""

import os
import re
from pathlib import Path
from typing import Any

import luigi

from pipeline.errors import UserError
from workflows.blink_dataset import BuildBlinkDataset
from workflows.cli.parameters import FilePath
from workflows.face_dataset import BuildFaceDataset

BUILDERS = {"faces": "BuildFaceDataset", "clips": "BuildBlinkDataset", "images": "BuildImageDataset"}
"""The kinds of dataset that are trained on, and the task that builds one."""
DEFAULTS = {("faces", "faces"): BuildFaceDataset, ("clips", "blinks"): BuildBlinkDataset}
"""Kind and name of the datasets that are built, with the defaults, when they are missing."""


class Dataset(luigi.Task):
    """datasets/NAME, whichever task built it. Only a `faces` or `blinks` that never existed is built first, with the
    defaults."""

    name = luigi.Parameter()
    kind = luigi.Parameter(default="faces")  # a key of BUILDERS
    option = luigi.Parameter(default="--dataset", significant=False)  # through which its name was given
    data_root = FilePath(default=Path("data"), significant=False)

    @property
    def folder(self) -> Path:
        """Return the dataset's folder."""
        return self.data_root / "datasets" / self.name

    def requires(self) -> luigi.Task | list[luigi.Task]:
        """Return the build of the default dataset if this is it and it never existed."""
        if self.is_default and not os.path.lexists(self.folder):
            return DEFAULTS[self.kind, self.name](data_root=self.data_root)
        return []

    @property
    def is_default(self) -> bool:
        """Return whether this is the dataset of its kind that is built when it is missing."""
        return (self.kind, self.name) in DEFAULTS

    def output(self) -> luigi.LocalTarget:
        """Return the manifest."""
        return luigi.LocalTarget(self.folder / "manifest.parquet")

    def check(self) -> None:
        """Raise UserError if it is damaged, or is missing and will not be built."""
        check_run_name(self.option, self.name)
        if os.path.lexists(self.folder):
            from pipeline.manifest import CLIPS, FACES, IMAGE_DATASET, check_folder

            check_folder(self.folder, {"faces": FACES, "clips": CLIPS, "images": IMAGE_DATASET}[self.kind])
        elif self.is_default:
            self._check_gone()
        else:
            expected = "the name of a dataset"
            cure = f"build it: luigi --module workflows {BUILDERS[self.kind]} --name {self.name} …"
            raise UserError(f"{self.option} {self.name}", f"there is no {self.output().path}", expected, cure)

    def _check_gone(self) -> None:
        """Raise UserError if a default dataset is gone and was not built with the defaults."""
        from pipeline.datasets import publish

        request = publish.request_of(self.data_root, self.name)
        if request and request != DEFAULTS[self.kind, self.name](data_root=self.data_root).request:
            made = ", ".join(f"{key} {value!r}" for key, value in request.items() if value)
            raise UserError(
                self.folder,
                f"is gone; it was made with {made}",
                "that dataset",
                "link to it again, if it is in .versions/, copy it here again, or build one: "
                f"luigi --module workflows {BUILDERS[self.kind]} …",
            )


def check_run_name(option: str, name: str) -> None:
    """Raise UserError unless the name is one plain file name: it becomes a path below the data root."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}", name):
        raise UserError(option, f"'{name}' given", "letters, digits, '.', '_', '+' and '-'", "give the name of a run")


OPTIONS = {"run_name": "run", "input_path": "input"}
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
    def get_params(cls) -> list[tuple[str, luigi.Parameter]]:
        """Return (name, parameter) of each option."""
        return [(OPTIONS.get(name, name), parameter) for name, parameter in super().get_params()]

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(PARAMETERS.get(name, name), value)

    @property
    def run_folder(self) -> Path:
        """Return the run's folder."""
        return self.data_root / "runs" / self.run_name
