"""The Train… tasks: their options, the dataset that each needs, and a process of its own for the work."""

import json
import logging
from typing import Any, NamedTuple

import luigi

from pipeline.errors import UserError
from workflows.base.dataset import Dataset
from workflows.base.run import NamedRun, check_run_name
from workflows.base.subprocess import train_in_children
from workflows.cli.parameters import Assignments, Choice, WholeNumber

PRESETS = ("auto", "article", "official", "paper", "compact", "modern", "light", "small", "tiny")  # of all models
AUGMENTATIONS = ("preset", "none", "diff", "ada")
PRECISIONS = ("auto", "fp32", "bf16")
MAX_PROCESSES = 64
MAX_BATCH_SIZE = 8192


class _Durations(NamedTuple):
    """How long a whole training takes, about."""

    cpu: str
    article_cpu: str
    article_gpu: str


DURATIONS = {
    "dcgan96": _Durations("an hour", "5 days", "an hour"),
    "dcgan128": _Durations("an hour", "3 weeks", "2 hours"),
    "cgan-srresnet": _Durations("an hour", "6 days", "half an hour"),
    "cgan-resblock": _Durations("an hour", "a month", "3 hours"),
    "acgan": _Durations("an hour", "3 weeks", "2 hours"),
    "sagan": _Durations("an hour", "a day", "an hour"),
    "pggan": _Durations("an hour", "a day", "half an hour"),
    "r3gan": _Durations("an hour", "2 months", "4 hours"),
    "r3gan-colors": _Durations("an hour", "2 months", "4 hours"),
    "blink-flow": _Durations("15 minutes", "4 days", "half an hour"),
    "videogan-cond": _Durations("half an hour", "2 weeks", "an hour"),
    "seam-refiner": _Durations("10 minutes", "a day", "half an hour"),
    "ugatit": _Durations("an hour", "10 days", "2 hours"),
    "stargan2": _Durations("2 hours", "3 months", "a day"),
    "srgan": _Durations("2 hours", "2 months", "3 hours"),
    "esrgan": _Durations("2 hours", "4 months", "6 hours"),
}
"""By model: its preset for a CPU, `small` or `compact`, on 2 cores, measured; `article` there, from the time of a step
(of cgan-resblock, acgan, r3gan, stargan2, srgan and esrgan from their FLOPs); and `article` on one GPU, from the FLOPs
at 20 TFLOP/s, not measured. Of sagan, pggan, srgan and esrgan the first is from the time of a step, too; a GPU, which
batches of sagan and pggan do not fill, has 10 to 30 ms for one."""

logger = logging.getLogger("luigi-interface")


class Training(NamedRun):
    """A run: runs/NAME, trained up to --steps. Run again, it resumes from its last checkpoint."""

    dataset = luigi.Parameter(default="faces", description="dataset to train on: datasets/NAME below the data root")
    preset = Choice(
        ("auto", "article", "paper", "modern", "light", "small", "tiny"),
        default="auto",
        description="settings: article (as published), paper (where it differs), modern (of projection cGANs: against "
        "collapse and grain; of blinks: 2-D, with openness), light (of U-GAT-IT: fewer weights), small (for a CPU), "
        "tiny (for tests: noise); "
        "auto: article on a GPU, small on a CPU",
    )
    steps = WholeNumber(default=0, description="step at which to stop; 0: the preset's")
    batch_size = WholeNumber(
        0, MAX_BATCH_SIZE, default=0, description="pictures per batch, over all processes; 0: the preset's"
    )
    augment = Choice(
        AUGMENTATIONS,
        default="preset",
        description="change of whatever the discriminator sees, for small datasets: none, diff (shifts and squares "
        "left out), or ada (also turns, sizes and colours, as often as keeps it unsure); preset: the preset's",
    )
    set = Assignments(
        default=(),
        description="FIELD=VALUE, any number of times: another value for a field of the settings listed below",
    )
    seed = WholeNumber(default=0, description="seed of the initial weights, noise, order and mirroring")
    device = luigi.Parameter(
        default="auto", significant=False, description="cpu, cuda or cuda:N; auto: a GPU if there is one"
    )
    precision = Choice(PRECISIONS, default="auto", description="number format; auto: bf16 on a GPU, fp32 on a CPU")
    processes = WholeNumber(
        1,
        MAX_PROCESSES,
        default=1,
        significant=False,
        description="processes that share each batch, each on a GPU of its own if any",
    )
    sample_every = WholeNumber(default=0, significant=False, description="steps between sheets of samples; 0: preset's")
    save_every = WholeNumber(default=0, significant=False, description="steps between checkpoints; 0: the preset's")
    fresh = luigi.BoolParameter(
        default=False, significant=False, description="move an old run of that name aside and start again"
    )
    init_from = luigi.OptionalParameter(default=None, description="run whose weights are the initial ones")

    @property
    def model(self) -> str:
        raise NotImplementedError

    models: tuple[str, ...] = ()  # the values that `model` may have
    kind = "faces"  # of the dataset, and its role
    cpu_preset = "small"  # that `auto` takes without a GPU

    @property
    def run_words(self) -> tuple[str, ...]:
        """Return the words in the default name of a run that follow its model."""
        return ()

    @classmethod
    def describe_settings(cls) -> list[str]:
        """Return lines for the help: the fields that --set takes, with their values at the preset article."""
        from models.runs.settings import allowed_words, assignable_fields
        from models.zoo import MODELS

        lines = []
        for name in cls.models:
            config = MODELS[name].presets["article"]
            fields = assignable_fields(config)
            for field, words in allowed_words(config).items():
                fields[field] += "".join(f" (or {word})" for word in words if word != fields[field])
            lines.append(f"--set of {name}, at the preset article: " + " ".join(f"{k}={v}" for k, v in fields.items()))
        return lines

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._check_dataset_and_names()
        if self.preset == "auto":
            self.preset = self._choose_preset()
        if not self.run_name:
            names = [dataset.name for dataset in self.dataset_by_role.values()]
            self.run_name = "-".join([self.model, *self.run_words, *names, self.preset])
        check_run_name("--run", self.run_name)

    def _check_dataset_and_names(self) -> None:
        for dataset in self.requires():
            dataset.check()
        for option, name in (("--run", self.run_name), ("--init-from", self.init_from)):
            if name:
                check_run_name(option, name)

    def _choose_preset(self) -> str:
        """Return the preset of this run if it exists; else `article` on a GPU and `cpu_preset` on a CPU. Log which."""
        if self.run_name and not self.fresh and (preset := self._preset_of_run()):
            logger.info("--preset auto: %s, as in config.json of the run %s", preset, self.run_name)
            return preset
        from models.runs.settings import resolve_device

        cpu, article_cpu, article_gpu = DURATIONS[self.model]
        if resolve_device(self.device).type == "cuda":
            text = f"article, since there is a GPU: about {article_gpu}; {self.cpu_preset} would take minutes"
            preset = "article"
        else:
            text = f"{self.cpu_preset}, since there is no GPU: about {cpu} on 2 cores; article would take about "
            text += f"{article_cpu} here, {article_gpu} on a GPU"
            preset = self.cpu_preset
        logger.info("--preset auto: %s", text)
        return preset

    def _preset_of_run(self) -> str | None:
        """Return the preset in config.json of this run; None if the run does not exist or has none of ours."""
        from models.runs.settings import read_settings

        try:
            preset = read_settings(self.run_folder).get("preset")
        except (FileNotFoundError, UserError):
            return None  # the training reports what is wrong
        return preset if preset in PRESETS else None

    @property
    def dataset_by_role(self) -> dict[str, Dataset]:
        """Return the datasets by role."""
        return {self.kind: Dataset(name=self.dataset, kind=self.kind, data_root=self.data_root)}

    def requires(self) -> list[Dataset]:
        """Return the datasets."""
        return list(self.dataset_by_role.values())

    def output(self) -> luigi.LocalTarget:
        """Return the weights of the averaged generator."""
        return luigi.LocalTarget(self.run_folder / "model.safetensors")

    @property
    def changes(self) -> dict:
        given = {name: getattr(self, name) for name in ("steps", "batch_size", "sample_every", "save_every")}
        augment = {} if self.augment == "preset" else {"augment": self.augment}
        return {name: value for name, value in given.items() if value} | augment

    @property
    def job(self) -> dict:
        """Return the fields of models.runs.settings.Job, as JSON values."""
        return {
            "run": str(self.run_folder),
            "model": self.model,
            "preset": self.preset,
            "datasets": {role: str(dataset.folder) for role, dataset in self.dataset_by_role.items()},
            "cache": str(self.data_root / "cache"),
            "changes": self.changes,
            "assignments": dict(text.split("=", 1) for text in self.set),
            "seed": self.seed,
            "precision": self.precision,
            "device": self.device,
            "processes": self.processes,
            "fresh": self.fresh,
            "init_from": self.init_from and str(self.data_root / "runs" / self.init_from),
        }

    def files(self) -> dict[str, str]:
        """Return the files that the trainer reads, by the names of its parameters; they are fetched if need be. Raise
        UserError."""
        return {}

    def complete(self) -> bool:
        """Return whether the weights are of this training, with as many steps or more."""
        if self.fresh or not self.output().exists():
            return getattr(self, "_trained", False)
        from models.runs import folder, settings

        return folder.is_complete(settings.Job(**self.job))

    def run(self) -> None:
        """Train, in processes of their own. Raise UserError."""
        if self.processes > 1:  # their batches are checked before so many start
            from models.runs import settings

            settings.build_config(settings.Job(**self.job))
        job = json.dumps(self.job | {"files": self.files()})
        train_in_children(["models", "train", job], self.run_folder, count=self.processes)
        self._trained = True
        logger.info("%s is ready", self.output().path)


Training._visible_in_registry = False  # it is no task by itself


class TrainDCGAN(Training):
    """DCGAN as two articles trained it: at 96 px (mattya, 2015) or 128 px (taku-buntu, 2018)."""

    variant = Choice(("96", "128"), default="96", description="size in px, and so the article")
    models = ("dcgan96", "dcgan128")

    @property
    def model(self) -> str:
        return f"dcgan{self.variant}"


class TrainProjectionCGAN(Training):
    """GAN conditioned on hair colour, with a projection discriminator and the hinge loss.

    With DRAGAN's gradient penalty, as in the article. Faces without a hair colour are left out, and counted."""

    generator = Choice(("srresnet", "resblock"), default="srresnet", description="pair of networks, as in the article")
    models = ("cgan-srresnet", "cgan-resblock")

    @property
    def model(self) -> str:
        return f"cgan-{self.generator}"


class TrainACGAN(Training):
    """GAN conditioned on hair colour or tags, whose discriminator also classifies (AC-GAN)."""

    labels = Choice(
        ("preset", "colors", "tags"),
        default="preset",
        description="conditions: nine hair colours (colors), the paper's 34 tags (tags), or the preset's",
    )
    model = "acgan"
    models = ("acgan",)

    @property
    def changes(self) -> dict:
        from models.data.dataset import HAIR_COLORS
        from models.papers import acgan

        if self.labels != "preset" and any(text.startswith("labels=") for text in self.set):
            raise UserError("--labels", f"{self.labels} given, and --set labels=…", "one of both", "leave one out")
        labels: dict[str, dict] = {"preset": {}, "colors": {"labels": HAIR_COLORS}, "tags": {"labels": acgan.TAGS}}
        return super().changes | labels[self.labels]


class TrainSAGAN(Training):
    """GAN with self-attention and spectral normalisation, as an article drew icons of 64 px with it."""

    model = "sagan"
    models = ("sagan",)


class TrainPGGAN(Training):
    """GAN that grows from 4 to 256 px while it is trained, as an article drew icons with it.

    What has grown is a function of the step: --set first, fade and hold are steps of the first level, of the fading in
    of each other one, and from then to the next."""

    model = "pggan"
    models = ("pggan",)


class TrainR3GAN(Training):
    """R3GAN: a relativistic loss and plain residual networks (2024)."""

    labels = Choice(("none", "colors"), default="none", description="conditions: none, or nine hair colours (colors)")
    size = Choice(("preset", "64", "96", "128", "256"), default="preset", description="side of a picture, px")
    models = ("r3gan", "r3gan-colors")

    @property
    def model(self) -> str:
        return "r3gan-colors" if self.labels == "colors" else "r3gan"

    @property
    def changes(self) -> dict:
        if self.size != "preset" and any(text.startswith("size=") for text in self.set):
            raise UserError("--size", f"{self.size} given, and --set size=…", "one of both", "leave one out")
        return super().changes | ({} if self.size == "preset" else {"size": int(self.size)})
