"""The tasks that train a translation between domains of faces."""

import luigi

from pipeline.errors import UserError
from workflows.base.dataset import Dataset
from workflows.cli.parameters import Choice, Words
from workflows.training import Training

MAX_DOMAINS = 32  # that are taken without being named: each has layers of its own


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
    def dataset_by_role(self) -> dict[str, Dataset]:
        """Return both datasets by role."""
        options = {"a": "--source-dataset", "b": "--target-dataset"}
        names = {"a": self.source_dataset, "b": self.target_dataset}
        return {role: Dataset(name=names[role], option=options[role], data_root=self.data_root) for role in names}

    def _check_dataset_and_names(self) -> None:
        if self.source_dataset == self.target_dataset:
            found = f"{self.target_dataset} given, as --source-dataset"
            raise UserError("--target-dataset", found, "two datasets", "give another one")
        super()._check_dataset_and_names()


class TrainStarGAN2(Training):
    """Translation between several domains, in styles that are drawn or taken from a picture: StarGAN v2.

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
    preset = Choice(
        ("auto", "article", "paper", "small", "tiny"),
        default="auto",
        description="settings: article (256 px, photographs of women to anime, grey), paper (256 px, in colour), small "
        "(64 px, for a CPU), tiny (for tests: noise); auto: article on a GPU, small on a CPU",
    )
    augment = "preset"  # no option: `--set crop_share=…` and `--set hflip=…`
    model = "stargan2"
    models = ("stargan2",)

    @property
    def dataset_by_role(self) -> dict[str, Dataset]:
        """Return the datasets: each domain's by its own name, or the one of all domains."""
        if not self.datasets:
            return super().dataset_by_role
        return {name: Dataset(name=name, option="--datasets", data_root=self.data_root) for name in self.datasets}

    def _check_dataset_and_names(self) -> None:
        for is_given, option in ((self.domains, "--domains"), (self.dataset != "faces", "--dataset")):
            if self.datasets and is_given:
                expected = "datasets, or the classes of a column of one"
                raise UserError("--datasets", f"given with {option}", expected, "leave one of both out")
        for option, names in (("--datasets", self.datasets), ("--domains", self.domains)):
            if names and (len(names) < 2 or len(set(names)) < len(names)):
                expected = "two different ones or more, separated by commas"
                raise UserError(option, f"{','.join(names)} given", expected, "give others")
        super()._check_dataset_and_names()

    @property
    def changes(self) -> dict:
        gray = {} if self.gray == "preset" else {"gray": self.gray}
        if self.datasets:
            return super().changes | gray | {"domains": self.datasets, "domain_column": ""}
        return super().changes | gray | {"domains": self._classes, "domain_column": self.domain_column}

    @property
    def _classes(self) -> tuple[str, ...]:
        """Return the classes that are domains. Raise UserError if they are too few or too many to be taken unnamed."""
        if self.domains:
            return self.domains
        from models.data.dataset import Dataset as Faces
        from models.data.references import classes_with_pictures

        (dataset,) = self.requires()
        classes = classes_with_pictures(Faces(dataset.folder, self.data_root / "cache"), self.domain_column)
        if not 2 <= len(classes) <= MAX_DOMAINS:
            found = f"{len(classes)} classes of {self.domain_column} have two faces or more in split train"
            cure = f"name them: --domains A,B; there are {' '.join(classes)[:200] or 'none'}"
            raise UserError(f"--dataset {self.dataset}", found, f"2 to {MAX_DOMAINS}", cure)
        return tuple(classes)
