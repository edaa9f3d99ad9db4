"""The Train… tasks: parameters, what needs what, and a process of its own for the work."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import luigi

from pipeline.errors import UserError
from workflows.console import Choice, WholeNumber, require
from workflows.faces import BuildFaceDataset

PRESETS = ("article", "paper", "small", "tiny")
PRECISIONS = ("auto", "fp32", "bf16")


class Dataset(luigi.Task):
    """datasets/NAME, whatever built it. A `faces` that was never there is built with the defaults first; no other is,
    and nothing that is damaged is built over."""

    name = luigi.Parameter()
    data_root = luigi.PathParameter(default=Path("data"), significant=False)

    @property
    def folder(self) -> Path:
        return self.data_root / "datasets" / self.name

    def requires(self):
        if self.name == "faces" and not os.path.lexists(self.folder):
            return BuildFaceDataset(data_root=self.data_root)
        return []

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(self.folder / "manifest.parquet")

    def check(self) -> None:
        """Raises UserError if it is damaged, or is not there and will not be built."""
        check_run_name("--dataset", self.name)
        if os.path.lexists(self.folder):
            from pipeline.manifest import check_folder

            check_folder(self.folder)
        elif self.name == "faces":
            self._check_default()
        else:
            raise UserError(
                f"--dataset {self.name}", f"there is no {self.output().path}", "the name of a dataset",
                f"build it: luigi --module workflows BuildFaceDataset --name {self.name} …",
            )  # fmt: skip

    def _check_default(self) -> None:
        """Raise UserError if `faces` was there, made otherwise than the default dataset, and is gone."""
        from pipeline import datasets

        held = datasets.request_of(self.data_root, self.name)
        if held and held != BuildFaceDataset(data_root=self.data_root).asked:
            made = ", ".join(f"{key} {value!r}" for key, value in held.items() if value)
            raise UserError(
                self.folder, f"is gone; it was made with {made}", "that dataset",
                "copy it here again, or build one: luigi --module workflows BuildFaceDataset …",
            )  # fmt: skip


def check_run_name(option: str, name: str) -> None:
    """Raises UserError unless it is one plain file name: it becomes a path below the data root."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}", name):
        raise UserError(option, f"'{name}' given", "letters, digits, '.', '_', '+' and '-'", "give the name of a run")


class NamedRun(luigi.Task):
    """A task with the option `--run`. Luigi calls a method of that name, so here the value is `run_name`."""

    run_name = luigi.Parameter(default="", description="which run: runs/NAME below the data root")
    data_root = luigi.PathParameter(default=Path("data"), significant=False, description="folder of datasets and runs")

    @classmethod
    def get_params(cls):
        return [("run" if name == "run_name" else name, parameter) for name, parameter in super().get_params()]

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__("run_name" if name == "run" else name, value)

    @property
    def run_folder(self) -> Path:
        return self.data_root / "runs" / self.run_name


class Training(NamedRun):
    """A run: runs/NAME, trained up to --steps. Run again, it goes on from its last checkpoint."""

    dataset = luigi.Parameter(default="faces", description="which dataset: datasets/NAME below the data root")
    preset = Choice(
        PRESETS, default="article",
        description="settings: article (to the number), paper (where it differs), small (for a CPU), tiny (for tests)",
    )  # fmt: skip
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
        require(self, self.processes >= 1, "processes", "1 or more")

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
            "run": str(self.run_folder), "model": self.model, "preset": self.preset,
            "dataset": str(Path(self.requires().output().path).parent), "cache": str(self.data_root / "cache"),
            "changes": self.changes,
            "seed": self.seed, "precision": self.precision, "device": self.device, "processes": self.processes,
            "fresh": self.fresh, "init_from": self.init_from and str(self.data_root / "runs" / self.init_from),
        }  # fmt: skip

    def complete(self) -> bool:
        if self.fresh or not self.output().exists():
            return getattr(self, "_trained", False)
        from models import runs

        return runs.is_complete(runs.Job(**self.job))

    def run(self) -> None:
        several = ["torch.distributed.run", "--standalone", f"--nproc-per-node={self.processes}", "-m"]
        train_in_child([*several * (self.processes > 1), "models", "train", json.dumps(self.job)], self.run_folder)
        self._trained = True


INTERRUPTED = "interrupted"  # models.runs.INTERRUPTED


def train_in_child(module: list[str], run: Path) -> None:
    """Train in a process of its own: a module and its arguments. Raises UserError, KeyboardInterrupt."""
    with tempfile.NamedTemporaryFile(prefix="training-") as errors:
        code = _in_process_of_its_own(module, Path(errors.name))
        told = Path(errors.name).read_text(encoding="utf-8")
    if told == INTERRUPTED or code == -signal.SIGINT:  # the second while it started, before it could tell
        raise KeyboardInterrupt
    if told:
        raise UserError.of_line(told)
    if code:
        raise UserError(run, f"its process ended with {code}", "0", "see what it said above; run it again to go on")


def _in_process_of_its_own(module: list[str], errors: Path) -> int:
    """Train in a child, or in several, that end when this process does; its exit code. Ctrl-C lets it save first."""
    command = [sys.executable, "-m", *module]
    # Not in the terminal's group: Ctrl-C comes to us alone, and we pass it on once.
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, start_new_session=True, env=os.environ | {"ANIME_ERRORS": str(errors)}
    )
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            with contextlib.suppress(BrokenPipeError):  # it has ended by itself
                child.stdin.write(b"\x03")
                child.stdin.flush()


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
        from models import acgan
        from models.data import HAIR_COLORS

        labels = {"preset": {}, "colors": {"labels": HAIR_COLORS}, "tags": {"labels": acgan.TAGS}}
        return super().changes | labels[self.labels]
