"""What is made from a trained run: complete when it carries the sha256 of the weights that are there now."""

import functools
import re
from pathlib import Path

import luigi

from pipeline.errors import UserError
from workflows.base.run import NamedRun, check_run_name
from workflows.base.stage import disk_errors_as_user_errors


class FromRun(NamedRun):
    """Something made from runs/NAME: complete when it is of the weights that are there now."""

    run_name = luigi.Parameter(description="which run: runs/NAME below the data root")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        check_run_name("--run", self.run_name)
        self.check()

    def check(self) -> None:
        """Raises UserError if a parameter is out of range: before anything runs."""

    @property
    def file(self) -> Path:
        """What is made, last of all that is made."""
        raise NotImplementedError

    def named(self, *parts: object) -> Path:
        """generated/PARTS.png, without those that are empty; of characters that every file's name may have."""
        told = "-".join(str(part) for part in parts if part != "")
        return self.run_folder / "generated" / (re.sub(r"[^\w.+-]", "+", told) + ".png")

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(self.file)

    def digest_inputs(self) -> dict[str, object]:
        """What the file depends on, and carries: the weights; and what its name does not tell. Raises UserError."""
        from models.runs import export

        return {"weights": export.weights_sha256(self.run_folder)}

    def complete(self) -> bool:
        from models.sampling import latents as latent

        try:
            told = latent.told_by(self.file)
            return all(told.get(key) == value for key, value in self.digest_inputs().items())
        except UserError:
            return False  # no weights: the task says so when it runs

    def run(self) -> None:
        from models.runs import export

        network = export.load(self.run_folder)
        with disk_errors_as_user_errors(self.data_root):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.make(network, {"run": self.run_name, **self.digest_inputs()})

    def make(self, network, about: dict) -> None:
        """Use the network; `about` goes into what is written."""
        raise NotImplementedError

    @functools.cached_property
    def settings(self) -> dict:
        """The run's config.json, of one that was trained on faces. Raises UserError."""
        from models.runs import folder as runs

        try:
            held = runs.read_settings(self.run_folder)
        except FileNotFoundError as error:
            raise UserError(
                self.run_folder, "has no config.json", "a run that this program trained", "give another --run"
            ) from error
        size, box_scale = held["config"].get("size"), held["dataset"].get("box_scale")
        if not (type(size) is int and 8 <= size <= 4096 and box_scale and 0.25 <= box_scale <= 8):
            raise UserError(
                self.run_folder / "config.json",
                "lacks the size or the box_scale of its faces",
                "those of a dataset",
                "give another --run",
            )
        return held


class OfHairColor(FromRun):
    """Something painted by a run that may be asked for a hair colour."""

    @functools.cached_property
    def learned(self) -> dict[str, int]:
        """Labels that the run can be asked for, and from how many faces it learned each; of a DCGAN none."""
        from models.runs import export

        return export.about(self.run_folder)["labels"]

    def z(self, network, seeds: list[int], truncation: float = 0.0):
        """(N, Z). Raises UserError if z of this network cannot be truncated."""
        from models.sampling import latents as latent

        if truncation and not getattr(network, "normal", False):
            raise UserError(
                "--truncation", f"{truncation} given, but this run's z is not of N(0, 1)", "0", "leave it out"
            )
        return latent.z(network, seeds, truncation)

    @property
    def colors(self) -> list[str]:
        """Hair colours that the run learned. Raises UserError if it learned none."""
        from models.sampling import latents as latent

        colors = latent.known_colors(self.learned)
        if not colors:
            raise UserError(
                self.run_folder,
                "cannot be asked for a hair colour",
                "a run of TrainProjectionCGAN or TrainACGAN",
                "give another --run",
            )
        return colors

    def mixture(self, option: str, text: str) -> dict[str, float]:
        """`blue`, or `blue:0.7,pink:0.3` -> the weight of each colour. Raises UserError."""
        weights, colors = {}, self.colors
        expected = f"one or several, such as blue:0.7,pink:0.3, of the colours that the run learned: {' '.join(colors)}"
        for part in text.split(","):
            found = re.fullmatch(r"([a-z]+)(?::(\d{1,4}(?:\.\d{1,4})?))?", part)
            if not found or found[1] not in colors or found[1] in weights:
                raise UserError(
                    option,
                    f"'{part[:40]}' given" + " twice" * bool(found and found[1] in weights),
                    expected,
                    "give another",
                )
            weights[found[1]] = float(found[2] or 1)
        if not sum(weights.values()):
            raise UserError(option, f"'{text}' given", expected, "give one a weight")
        return weights

    def asked(self, option: str, text: str, seeds: list[int]) -> list[dict[str, float]]:
        """The mixture of hair colours for each seed: that of `text`; without one, each seed has a colour of its own."""
        if text:
            return [self.mixture(option, text)] * len(seeds)
        return [{self.choices[seed % len(self.choices)]: 1.0} for seed in seeds] if self.learned else []

    @property
    def choices(self) -> list[str]:
        """The hair colours that the run learned; of one that learned tags, and none of a colour: those."""
        from models.sampling import latents as latent

        return latent.known_colors(self.learned) or [label for label, count in self.learned.items() if count]

    def conditions(self, network, mixtures: list[dict[str, float]]) -> tuple:
        """What a network needs beside z (N, Z): y (N, T), or nothing."""
        import torch

        from models.sampling import latents as latent

        return (torch.cat([latent.condition(network.labels, mixture) for mixture in mixtures]),) if mixtures else ()
