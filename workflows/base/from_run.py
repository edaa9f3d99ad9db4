"""Base classes of tasks on a trained run: complete when the output carries the sha256 of the run's weights."""

import functools
import hashlib
import logging
import re
from pathlib import Path
from typing import Any

import luigi

from pipeline.errors import UserError
from workflows.base.run import NamedRun, check_run_name
from workflows.base.stage import disk_errors_as_user_errors

logger = logging.getLogger("luigi-interface")

MAX_NAME = 120  # bytes of a file's name, without its ending


def shortened(name: str) -> str:
    """Return a file's name of MAX_NAME bytes at most: the end of a longer one becomes a digest of it."""
    data = name.encode()
    if len(data) <= MAX_NAME:
        return name
    return f"{data[: MAX_NAME - 17].decode(errors='ignore')}-{hashlib.sha256(data).hexdigest()[:16]}"


def shipped_network(name: str) -> Path:
    """Return the folder of a network that comes with the program."""
    import models

    return Path(models.__file__).parent / "shipped" / name


class FromRun(NamedRun):
    """Something made from runs/NAME: complete when it carries the sha256 of the run's weights."""

    run_name = luigi.Parameter(description="name of the run: runs/NAME below the data root")

    shipped = ""  # the network in models/shipped that is taken without --run, if there is one
    wanted = "a run of a GAN of faces"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.run_name or not self.shipped:
            check_run_name("--run", self.run_name)
        self.check()

    @property
    def run_folder(self) -> Path:
        """Return the folder of the network's weights."""
        return super().run_folder if self.run_name or not self.shipped else shipped_network(self.shipped)

    @property
    def generated(self) -> Path:
        """Return the folder of what is made with the network."""
        return (self.run_folder if self.run_name else self.data_root) / "generated"

    def check(self) -> None:
        """Raise UserError if a parameter is out of range: before anything runs."""

    @property
    def file(self) -> Path:
        """Return the file that is written last."""
        raise NotImplementedError

    def generated_file(self, *parts: object) -> Path:
        """Return generated/PART-PART-….png of the parts that are not empty; odd characters become `+`."""
        name = re.sub(r"[^\w.+-]", "+", "-".join(str(part) for part in parts if part != ""))
        return self.generated / f"{shortened(name)}.png"

    def output(self) -> luigi.LocalTarget:
        """Return the file that is written last."""
        return luigi.LocalTarget(self.file)

    def digest_inputs(self) -> dict[str, object]:
        """Return what the file depends on and carries: the weights, and options not in its name. Raise UserError."""
        from models.runs import export

        return {"weights": export.weights_sha256(self.run_folder)}

    def complete(self) -> bool:
        """Return whether the output is of these settings."""
        from models.sampling import save

        try:
            saved = save.read_provenance(self.file)
            return all(saved.get(key) == value for key, value in self.digest_inputs().items())
        except UserError:
            return False  # no weights: the task reports it when it runs

    def run(self) -> None:
        """Do the work."""
        from models.runs import export

        network = export.load_network(self.run_folder)
        if not self.suits(network):
            raise UserError(self.run_folder, "holds another network", self.wanted, "give another --run")
        with disk_errors_as_user_errors(self.data_root):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.make(network, {"run": self.run_name, **self.digest_inputs()})
        logger.info("%s is ready", self.file)

    def suits(self, network: Any) -> bool:
        """Return whether the network is of the kind that is used here: a generator of faces."""
        return hasattr(network, "noise")

    def make(self, network: Any, about: dict) -> None:
        """Write the file with the network; `about` is written into it."""
        raise NotImplementedError

    @functools.cached_property
    def saved_settings(self) -> dict:
        """Return config.json. Raise UserError."""
        from models.runs import settings

        try:
            return settings.read_settings(self.run_folder)
        except FileNotFoundError as error:
            cure = "give another --run"
            raise UserError(self.run_folder, "has no config.json", "a run that this program trained", cure) from error

    @functools.cached_property
    def settings(self) -> dict:
        """Return config.json of a run that was trained on faces. Raise UserError."""
        saved = self.saved_settings
        size, box_scale = saved["config"].get("size"), saved["dataset"].get("box_scale")
        if not (type(size) is int and 8 <= size <= 4096 and box_scale and 0.25 <= box_scale <= 8):
            found = "lacks the size or the box_scale of its faces"
            raise UserError(
                self.run_folder / "config.json", found, "a run that was trained on faces", "give another --run"
            )
        return saved

    @property
    def frame(self) -> Any:
        """Return the `Frame` in which the faces lie that the run was trained on."""
        from pipeline.faces.crop import Frame

        return Frame(*(self.settings["dataset"].get(name) for name in Frame._fields))


def vgg16_weights() -> Path:
    """Return the file with VGG16's weights, fetched if it is not there. Raise UserError."""
    from pipeline import assets

    return assets.fetch_any("vgg16.ckpt", "vgg16-397923af.pth")


class OfLabels(FromRun):
    """Something made from a run that may be conditional."""

    def trained_faces(self) -> Any:
        """Return the dataset that the run was trained on, as it is now; None if it is not there."""
        from models.data.dataset import Dataset

        try:
            return Dataset(self.data_root / "datasets" / self.settings["dataset"]["name"], self.data_root / "cache")
        except UserError:
            return None

    def learned_rows(self, faces: Any, split: str, labels: tuple[str, ...]) -> tuple[Any, Any]:
        """Return (numbers of the rows of a dataset's split that have a label which the run learned, (N,); their
        conditions, (N, T) float32); of an unconditional run all rows and None."""
        import numpy as np

        from models.data.labels import conditions

        table = faces.split(split)
        if not labels:
            return np.arange(len(table)), None
        found = conditions(table, labels) * [self.label_counts[label] > 0 for label in labels]
        rows = np.flatnonzero(found.any(1))
        return rows, found[rows].astype(np.float32)

    def trained_conditions(self, labels: tuple[str, ...]) -> Any:
        """Return the conditions (N, T), float32, of the faces that a conditional run was trained on, as their dataset
        is now; None if it is not there, or holds no such face."""
        faces = self.trained_faces()
        found = None if faces is None else self.learned_rows(faces, "train", labels)[1]
        return found if found is not None and len(found) else None

    def typical_conditions(self, labels: tuple[str, ...]) -> Any:
        """Return the tensor (N, T) of conditions as the run was trained on them; without its dataset each has one
        label, as often as it was learned."""
        import torch

        found = self.trained_conditions(labels)
        if found is not None:
            return torch.from_numpy(found)
        logger.warning("the run's dataset is not there: faces have one label each, as often as the run learned it")
        counts = [self.label_counts[label] for label in labels]
        return torch.eye(len(labels)).repeat_interleave(torch.tensor(counts), dim=0)

    @functools.cached_property
    def label_counts(self) -> dict[str, int]:
        """Return the labels of a conditional run, with the count of faces that had each; empty for a DCGAN."""
        from models.runs import export

        return export.read_about(self.run_folder)["labels"]


class OfHairColor(OfLabels):
    """Something generated by a run, with hair of a given colour and other given labels if the run is conditional."""

    condition = luigi.Parameter(
        default="",
        description="weights of labels of the run, such as smile=1,glasses=0.5, besides the hair colour; others are 0",
    )

    def truncate(self, network, truncation: float) -> None:
        """Prepare the network for z that is truncated, if it is. Raise UserError if z of this network cannot be."""
        from models.sampling import standing

        if truncation and not getattr(network, "normal", False):
            cure = "leave it out"
            raise UserError("--truncation", f"{truncation} given, but this run's z is not of N(0, 1)", "0", cure)
        if truncation:
            y = self.typical_conditions(network.labels) if self.label_counts else None
            standing.standing_statistics(network, truncation, y)

    @functools.cached_property
    def given_labels(self) -> dict[str, float]:
        """Return the weights of --condition. Raise UserError."""
        return self.parse_condition("--condition", self.condition)

    def parse_condition(self, option: str, text: str) -> dict[str, float]:
        """Return the weights of labels that an option gives as `smile=1,glasses=0.5`. Raise UserError."""
        weights: dict[str, float] = {}
        learned = [label for label, count in self.label_counts.items() if count]
        if text and not learned:
            raise UserError(
                option, f"'{text[:60]}' given, but this run has no labels", "a conditional run", "leave it out"
            )
        for part in filter(None, text.split(",")):
            found = re.fullmatch(r"(\S+)=(-?\d{1,4}(?:\.\d{1,4})?)", part)
            if not found or found[1] not in learned or found[1] in weights:
                problem = f"'{part[:60]}' given" + " twice" * bool(found and found[1] in weights)
                expected = f"LABEL=WEIGHT with labels that the run learned: {' '.join(learned)}"
                raise UserError(option, problem, expected, "give another")
            weights[found[1]] = float(found[2])
        return weights

    @property
    def colors(self) -> list[str]:
        """Return the hair colours that the run learned. Raise UserError if it learned none."""
        from models.sampling import latents

        colors = latents.learned_colors(self.label_counts)
        if not colors:
            expected = "a run of TrainProjectionCGAN, TrainACGAN or TrainR3GAN --labels colors"
            raise UserError(self.run_folder, "is not conditioned on hair colour", expected, "give another --run")
        return colors

    def mixture(self, option: str, text: str) -> dict[str, float]:
        """Return the weight of each colour in `blue`, or `blue:0.7,pink:0.3`. Raise UserError."""
        weights, colors = {}, self.colors
        expected = f"one or several, such as blue:0.7,pink:0.3, of the colours that the run learned: {' '.join(colors)}"
        for part in text.split(","):
            found = re.fullmatch(r"([a-z]+)(?::(\d{1,4}(?:\.\d{1,4})?))?", part)
            if not found or found[1] not in colors or found[1] in weights:
                problem = f"'{part[:40]}' given" + " twice" * bool(found and found[1] in weights)
                raise UserError(option, problem, expected, "give another")
            weights[found[1]] = float(found[2] or 1)
        if not sum(weights.values()):
            raise UserError(option, f"'{text}' given", expected, "give one a weight")
        return weights

    def mixtures_of(self, option: str, text: str, seeds: list[int]) -> list[dict[str, float]]:
        """Return the mixture of hair colours for each seed: that of `text`; without it one colour, in turns, unless
        --condition names a colour."""
        if text:
            self.refuse_given_colors(option)
            return [self.mixture(option, text)] * len(seeds)
        if self.given_colors:
            return [{}] * len(seeds)
        return [{self.choices[seed % len(self.choices)]: 1.0} for seed in seeds] if self.label_counts else []

    @property
    def given_colors(self) -> list[str]:
        """Return the labels of --condition that are hair colours, or of a run without those all of them."""
        return [label for label in self.given_labels if label.removesuffix("_hair") in self.choices]

    def refuse_given_colors(self, place: str) -> None:
        """Raise UserError if --condition names a hair colour, which `place` decides."""
        if self.given_colors:
            problem = f"{self.given_colors[0]} given, but {place} says which colour"
            raise UserError("--condition", problem, "other labels", "leave it out")

    @property
    def choices(self) -> list[str]:
        """Return the hair colours that the run learned; of a run that learned none of them, its tags."""
        from models.sampling import latents

        learned = [label for label, count in self.label_counts.items() if count]
        return latents.learned_colors(self.label_counts) or learned

    def conditions(
        self, network, mixtures: list[dict[str, float]], given: list[dict[str, float]] | None = None
    ) -> tuple:
        """Return what the network takes beside z (N, Z): y (N, T), or nothing. `given` are the other labels of each, by
        default those of --condition."""
        import torch

        from models.data.dataset import HAIR_COLORS
        from models.sampling import latents

        if not mixtures:
            return ()
        y = torch.cat([latents.mix_condition(network.labels, mixture) for mixture in mixtures])
        for row, labels in zip(y, given or [self.given_labels] * len(y), strict=True):
            for label, weight in labels.items():
                row[network.labels.index(label)] = weight
        if self.given_labels and set(network.labels) <= set(HAIR_COLORS):  # one of which each face has
            if not (y.sum(1) > 0).all():
                raise UserError("--condition", "weights of hair colours add up to 0 or less", "more", "give others")
            y /= y.sum(1, keepdim=True)
        return (y,)
