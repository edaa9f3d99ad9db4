"""A dataset that a training reads."""

import os
from pathlib import Path

import luigi

from pipeline.errors import UserError
from workflows.base.run import check_run_name
from workflows.blink_dataset import BuildBlinkDataset
from workflows.cli.parameters import FilePath
from workflows.face_dataset import BuildFaceDataset
from workflows.image_dataset import BuildImageDataset

BUILDERS = {"faces": "BuildFaceDataset", "clips": "BuildBlinkDataset", "images": "BuildImageDataset"}
"""The kinds of dataset that are trained on, and the task that builds one."""
DEFAULTS = {
    ("faces", "faces"): BuildFaceDataset,
    ("clips", "blinks"): BuildBlinkDataset,
    ("images", "art"): BuildImageDataset,
}
"""Kind and name of the datasets that are built, with the defaults, when they are missing."""


class Dataset(luigi.Task):
    """datasets/NAME, whichever task built it. Only a `faces`, `blinks` or `art` that never existed is built first,
    with the defaults."""

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
