"""The Train… tasks: their options, the dataset that each needs, and a process of its own for the work."""

import json
from pathlib import Path

import luigi

from workflows.base.run import Dataset, NamedRun, check_run_name
from workflows.base.subprocess import train_in_children
from workflows.cli.parameters import Choice, WholeNumber, require

PRESETS = ("article", "paper", "small", "tiny")
PRECISIONS = ("auto", "fp32", "bf16")
MOST_PROCESSES, MOST_IN_BATCH = 64, 8192


class Training(NamedRun):
    """A run: runs/NAME, trained up to --steps. Run again, it goes on from its last checkpoint."""

    dataset = luigi.Parameter(default="faces", description="which dataset: datasets/NAME below the data root")
    preset = Choice(
        PRESETS,
        default="article",
        description="settings: article (to the number), paper (where it differs), small (for a CPU), tiny (for tests)",
    )
    steps = WholeNumber(default=0, description="steps in all; 0: the preset's")
    batch_size = WholeNumber(default=0, description="pictures in a batch, of all processes; 0: the preset's")
    seed = WholeNumber(default=0, description="of first weights, noise, order and mirroring")
    device = luigi.Parameter(default="auto", significant=False, description="auto, cpu, cuda or cuda:N")
    precision = Choice(PRECISIONS, default="auto", description="auto: bf16 on a GPU, fp32 on a CPU; or fp32, bf16")
    processes = WholeNumber(default=1, significant=False, description="processes that share each batch")
    sample_every = WholeNumber(default=0, significant=False, description="steps between sheets; 0: the preset's")
    save_every = WholeNumber(default=0, significant=False, description="steps between checkpoints; 0: the preset's")
    fresh = luigi.BoolParameter(default=False, significant=False, description="move an old run of that name aside")
    init_from = luigi.OptionalParameter(default=None, description="another run, whose weights are the first")

    @property
    def model(self) -> str:
        """Which row of ZOO."""
        raise NotImplementedError

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if not self.run_name:
            self.run_name = f"{self.model}-{self.dataset}-{self.preset}"
        self.check()

    def check(self) -> None:
        """Raises UserError if a parameter is out of range: before anything runs."""
        self.requires().check()
        check_run_name("--run", self.run_name)
        if self.init_from is not None:
            check_run_name("--init-from", self.init_from)
        for name in ("steps", "batch_size", "seed", "sample_every", "save_every"):
            require(self, getattr(self, name) >= 0, name, "0 or more")
        require(self, self.batch_size <= MOST_IN_BATCH, "batch_size", f"at most {MOST_IN_BATCH}")
        require(self, 1 <= self.processes <= MOST_PROCESSES, "processes", f"1 to {MOST_PROCESSES}")

    def requires(self) -> Dataset:
        return Dataset(name=self.dataset, data_root=self.data_root)

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(self.run_folder / "model.safetensors")

    @property
    def changes(self) -> dict:
        """Fields of the preset's Config that were given."""
        given = {name: getattr(self, name) for name in ("steps", "batch_size", "sample_every", "save_every")}
        return {name: value for name, value in given.items() if value}

    @property
    def job(self) -> dict:
        """models.runs.Job, as JSON values."""
        return {
            "run": str(self.run_folder),
            "model": self.model,
            "preset": self.preset,
            "dataset": str(Path(self.requires().output().path).parent),
            "cache": str(self.data_root / "cache"),
            "changes": self.changes,
            "seed": self.seed,
            "precision": self.precision,
            "device": self.device,
            "processes": self.processes,
            "fresh": self.fresh,
            "init_from": self.init_from and str(self.data_root / "runs" / self.init_from),
        }

    def complete(self) -> bool:
        if self.fresh or not self.output().exists():
            return getattr(self, "_trained", False)
        from models.runs import folder as runs

        return runs.is_complete(runs.Job(**self.job))

    def run(self) -> None:
        if self.processes > 1:  # their batches are checked before so many start
            from models.runs import folder as runs

            runs.config_of(runs.Job(**self.job))
        train_in_children(["models", "train", json.dumps(self.job)], self.run_folder, count=self.processes)
        self._trained = True


class TrainDCGAN(Training):
    """DCGAN as two articles trained it: at 96 px (mattya, 2015) or 128 px (taku-buntu, 2018)."""

    variant = Choice(("96", "128"), default="96", description="which article's: 96 or 128")

    @property
    def model(self) -> str:
        return f"dcgan{self.variant}"


class TrainProjectionCGAN(Training):
    """Faces of a hair colour that is asked for: a GAN with a projection discriminator, hinge loss and DRAGAN's penalty.

    Faces without a hair colour are left out, and counted."""

    generator = Choice(
        ("srresnet", "resblock"), default="srresnet", description="which of the article's pairs of networks"
    )

    @property
    def model(self) -> str:
        return f"cgan-{self.generator}"


class TrainACGAN(Training):
    """Faces of what is asked for: a GAN whose discriminator also names what it sees."""

    labels = Choice(
        ("preset", "colors", "tags"), default="preset", description="nine hair colours, or the paper's 34 tags"
    )
    model = "acgan"

    @property
    def changes(self) -> dict:
        from models.data.dataset import HAIR_COLORS
        from models.papers import acgan

        labels = {"preset": {}, "colors": {"labels": HAIR_COLORS}, "tags": {"labels": acgan.TAGS}}
        return super().changes | labels[self.labels]
