"""The task that trains a translation between several domains."""

import logging
from pathlib import Path
from typing import Any

import luigi

from pipeline.errors import UserError
from workflows.base.run import Dataset
from workflows.cli.parameters import Choice, Words
from workflows.training import Training

logger = logging.getLogger("luigi-interface")


class TrainStarGAN2(Training):
    """Translation between domains of faces, in styles that are drawn or taken from a picture (StarGAN v2).

    The domains are two datasets or more (--datasets), or the classes of a column of one (--domain-column)."""

    datasets = Words(default=(), description="datasets, each of which is a domain: A,B[,C…]; instead of --dataset")
    domain_column = luigi.Parameter(
        default="hair_color",
        description="column of the manifest of --dataset whose classes are the domains: hair_color, tags (the first "
        "tag: of a folder with a folder for each class, the class) or another column of texts",
    )
    domains = Words(
        default=(),
        description="classes of --domain-column that are domains: A,B[,C…]; by default all that have two faces or more",
    )
    gray = Choice(
        ("preset", "none", "anime", "both"),
        default="preset",
        description="which domains are made grey: none, anime (all but the first), both (all), or the preset's",
    )
    augment = "preset"  # no option: pictures are cropped and mirrored at random, as the paper says
    model = "stargan2"
    models = ("stargan2",)

    def _check_dataset_and_names(self) -> None:
        for given, option in ((self.domains, "--domains"), (self.dataset != "faces", "--dataset")):
            if self.datasets and given:
                expected = "datasets, or the classes of a column of one"
                raise UserError("--datasets", f"given with {option}", expected, "leave one of both out")
        for option, names in (("--datasets", self.datasets), ("--domains", self.domains)):
            if names and (len(names) < 2 or len(set(names)) < len(names)):
                found = f"{','.join(names)} given"
                raise UserError(option, found, "two different ones or more, separated by commas", "give others")
        for dataset in self.requires():
            dataset.check()
        self._check_run_names()

    def requires(self) -> list[Dataset]:  # type: ignore[override]  # one for each domain
        """Return the datasets."""
        return [Dataset(name=name, data_root=self.data_root) for name in self.datasets or [self.dataset]]

    @property
    def dataset_words(self) -> tuple[str, ...]:
        return self.datasets or (self.dataset,)

    @property
    def changes(self) -> dict:
        gray = {} if self.gray == "preset" else {"gray": self.gray}
        if self.datasets:
            return super().changes | gray | {"domains": self.datasets, "domain_column": ""}
        return super().changes | gray | {"domains": self._classes, "domain_column": self.domain_column}

    @property
    def _classes(self) -> tuple[str, ...]:
        """Return the classes that are domains. Raise UserError if there are too few, or another column is meant."""
        if self.domains:
            return self.domains
        from models.data.dataset import Dataset as Faces
        from models.data.references import classes_with_pictures

        (dataset,) = self.requires()
        classes = classes_with_pictures(Faces(dataset.folder, self.data_root / "cache"), self.domain_column)
        if not 2 <= len(classes) <= MAX_DOMAINS:
            found = f"{len(classes)} classes of {self.domain_column} have two faces or more in split train"
            cure = f"name them: --domains A,B; there are {' '.join(classes)[:200]}"
            raise UserError(f"--dataset {self.dataset}", found, f"2 to {MAX_DOMAINS}", cure)
        return tuple(classes)

    @property
    def job(self) -> dict:
        folders: list[Any] = [str(Path(dataset.output().path).parent) for dataset in self.requires()]
        return super().job | {"datasets": dict(zip(self.datasets or ["faces"], folders, strict=True))}


MAX_DOMAINS = 32  # that are taken without being named: each has layers of its own
