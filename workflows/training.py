"""The Train… tasks: parameters, what needs what, and a process of its own for the work."""

import contextlib
import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import luigi

from pipeline.errors import UserError
from workflows.cli import import_path, process
from workflows.cli.errors import Choice, FilePath, WholeNumber, require
from workflows.face_dataset import BuildFaceDataset

PRESETS = ("article", "paper", "small", "tiny")
PRECISIONS = ("auto", "fp32", "bf16")
MOST_PROCESSES, MOST_IN_BATCH = 64, 8192


class Dataset(luigi.Task):
    """datasets/NAME, whatever built it. A `faces` that was never there is built with the defaults first; no other is,
    and nothing that is damaged is built over."""

    name = luigi.Parameter()
    data_root = FilePath(default=Path("data"), significant=False)

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
                f"--dataset {self.name}",
                f"there is no {self.output().path}",
                "the name of a dataset",
                f"build it: luigi --module workflows BuildFaceDataset --name {self.name} …",
            )

    def _check_default(self) -> None:
        """Raise UserError if `faces` was there, made otherwise than the default dataset, and is gone."""
        from pipeline.datasets import publish as datasets

        held = datasets.request_of(self.data_root, self.name)
        if held and held != BuildFaceDataset(data_root=self.data_root).asked:
            made = ", ".join(f"{key} {value!r}" for key, value in held.items() if value)
            raise UserError(
                self.folder,
                f"is gone; it was made with {made}",
                "that dataset",
                "link to it again, if it is in .versions/, copy it here again, or build one: "
                "luigi --module workflows BuildFaceDataset …",
            )


def check_run_name(option: str, name: str) -> None:
    """Raises UserError unless it is one plain file name: it becomes a path below the data root."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}", name):
        raise UserError(option, f"'{name}' given", "letters, digits, '.', '_', '+' and '-'", "give the name of a run")


class NamedRun(luigi.Task):
    """A task with the option `--run`. Luigi calls a method of that name, so here the value is `run_name`."""

    run_name = luigi.Parameter(default="", description="which run: runs/NAME below the data root")
    data_root = FilePath(default=Path("data"), significant=False, description="folder of datasets and runs")

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
        """Return the row of MODELS."""
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
        """models.runs.settings.Job, as JSON values."""
        return {
            "run": str(self.run_folder),
            "model": self.model,
            "preset": self.preset,
            "datasets": {"faces": str(Path(self.requires().output().path).parent)},
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
        from models.runs import settings

        return runs.is_complete(settings.Job(**self.job))

    def run(self) -> None:
        from models.runs import settings

        if self.processes > 1:  # their batches are checked before so many start
            settings.build_config(settings.Job(**self.job))
        train_in_children(["models", "train", json.dumps(self.job)], self.run_folder, count=self.processes)
        self._trained = True


INTERRUPTED = "interrupted"  # models.runs.worker.INTERRUPTED
EXIT_PROCESS_LOST = 75  # models.runs.worker.EXIT_PROCESS_LOST
GRACE_S = 10  # for the other processes of a training to end by themselves, once one has failed
POLL_S = 0.1
# Neither `-m` nor `-c` alone: both import from the current folder, which may have a `models` of its own.
_RUN_MODULE = """
import sys
sys.path = sys.argv.pop(1).split("\\n")
import runpy
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


class _Ended(NamedTuple):
    """How a process of a training ended."""

    code: int
    told: str
    """What it says of its end; empty if it has nothing to say."""


def train_in_children(module: list[str], run: Path, *, count: int = 1) -> None:
    """Train in `count` processes of their own, each of which runs a module with its arguments. Raise UserError, or
    KeyboardInterrupt after Ctrl-C."""
    with tempfile.TemporaryDirectory(prefix="training-") as folder:  # others cannot look into it
        ended = _run_children(module, Path(folder), count)
    # Interrupted before it could say so counts too. A process that lost another one says nothing of the cause.
    if any(one.told == INTERRUPTED or one.code == -signal.SIGINT for one in ended):
        raise KeyboardInterrupt
    failed = sorted((one for one in ended if one.code), key=lambda one: (one.code == EXIT_PROCESS_LOST, not one.told))
    if failed and failed[0].told:
        raise UserError.of_line(failed[0].told)
    if failed:
        cure = "see what it said above; run it again to go on"
        raise UserError(run, f"its process {_manner(failed[0].code)}", "0", cure)


def _manner(code: int) -> str:
    """Return how a process ended, by its exit code."""
    if code == -signal.SIGKILL:
        return "was killed, most likely for want of memory"
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"


def _run_children(module: list[str], folder: Path, count: int) -> list[_Ended]:
    """Run the processes until all have ended; when one fails, end those that do not end by themselves. Ctrl-C is passed
    on to each, which saves first. They end when this process does: each reads a pipe that it holds."""
    children: list[subprocess.Popen] = []
    told = [folder / f"told-{rank}" for rank in range(count)]
    try:
        for rank in range(count):
            children.append(_start_child(module, folder / "store", told[rank], rank, count))  # noqa: PERF401 see finally
        _wait(children)
    finally:
        waiting = {child for child in children if child.poll() is None}
        for child in children:
            child.kill()
            child.wait()
            with contextlib.suppress(BrokenPipeError):
                child.stdin.close()
    codes = [EXIT_PROCESS_LOST if child in waiting else child.returncode for child in children]
    texts = [path.read_text(encoding="utf-8") if path.exists() else "" for path in told]
    return list(map(_Ended, codes, texts))


def _start_child(module: list[str], store: Path, told: Path, rank: int, count: int) -> subprocess.Popen:
    environment = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": count,
        "LOCAL_WORLD_SIZE": count,
        "ANIME_STORE": store,
        "ANIME_ERRORS": told,
    }
    path = import_path.without_current_folder(sys.path)
    threads = {"OMP_NUM_THREADS": "1"} if count > 1 else {}  # else each process would take all cores
    return subprocess.Popen(
        [sys.executable, "-c", _RUN_MODULE, "\n".join(map(os.path.abspath, path)), *module],
        stdin=subprocess.PIPE,
        start_new_session=True,  # not in the terminal's group: Ctrl-C comes to this process alone
        env=threads | os.environ | {name: str(value) for name, value in environment.items()},
    )


def _wait(children: list[subprocess.Popen]) -> None:
    """Return when all have ended, or GRACE_S after one has failed."""
    deadline = math.inf
    while True:
        try:
            codes = [child.poll() for child in children]
            if None not in codes or time.monotonic() > deadline:
                return
            if deadline == math.inf and any(codes):
                deadline = time.monotonic() + GRACE_S
            time.sleep(POLL_S)
        except KeyboardInterrupt:
            process.wait_for_save()
            for child in children:
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
        from models.data.dataset import HAIR_COLORS
        from models.papers import acgan

        labels = {"preset": {}, "colors": {"labels": HAIR_COLORS}, "tags": {"labels": acgan.TAGS}}
        return super().changes | labels[self.labels]
