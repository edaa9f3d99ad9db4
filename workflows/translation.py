"""The tasks that train a translation between domains of faces."""

import luigi

from pipeline.errors import UserError
from workflows.base.run import Dataset
from workflows.cli.parameters import Choice
from workflows.training import Training


class TrainUGATIT(Training):
    """Translation between two datasets, both ways and without pairs: U-GAT-IT.

    With sheets of both directions, maps of where the networks look, and a film of one face over the training."""

    source_dataset = luigi.Parameter(default="faces", description="dataset of the domain a: datasets/NAME")
    target_dataset = luigi.Parameter(description="dataset of the domain b: datasets/NAME")
    preset = Choice(
        ("auto", "article", "paper", "light", "small", "tiny"),
        default="auto",
        description="settings: article (256 px, as published), paper (as the authors' code), light (256 px, a "
        "generator of 11 instead of 284 million weights), small (64 px, for a CPU), tiny (for tests: noise); auto: "
        "article on a GPU, small on a CPU",
    )
    dataset = "faces"  # no option: there are two
    augment = "preset"  # no option: `--set crop=…` and `--set hflip=…`
    model = "ugatit"
    models = ("ugatit",)

    @property
    def datasets(self) -> dict[str, Dataset]:
        """Return both datasets by role."""
        options = {"a": "--source-dataset", "b": "--target-dataset"}
        names = {"a": self.source_dataset, "b": self.target_dataset}
        return {role: Dataset(name=names[role], option=options[role], data_root=self.data_root) for role in names}

    def _check_dataset_and_names(self) -> None:
        if self.source_dataset == self.target_dataset:
            found = f"{self.target_dataset} given, as --source-dataset"
            raise UserError("--target-dataset", found, "two datasets", "give another one")
        super()._check_dataset_and_names()
