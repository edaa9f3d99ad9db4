"""Tasks that use a trained run: faces, lines between them, attributes. What they make carries the weights' sha256."""

import hashlib
import json
import re
from pathlib import Path

import luigi

from pipeline.errors import UserError
from workflows.console import Number, WholeNumber, require
from workflows.stage import disk_errors_told
from workflows.training import NamedRun, check_run_name

SHOWN = 256  # faces on a sheet


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

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(self.file)

    def causes(self) -> dict[str, object]:
        """What the file depends on, and carries: the weights; and what its name does not tell. Raises UserError."""
        from models import export

        return {"weights": export.weights_sha256(self.run_folder)}

    def complete(self) -> bool:
        from models import latent

        try:
            told = latent.told_by(self.file)
            return all(told.get(key) == value for key, value in self.causes().items())
        except UserError:
            return False  # no weights: the task says so when it runs

    def run(self) -> None:
        from models import export

        network = export.load(self.run_folder)
        with disk_errors_told(self.data_root):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.make(network, {"run": self.run_name, **self.causes()})

    def make(self, network, about: dict) -> None:
        """Use the network; `about` goes into what is written."""
        raise NotImplementedError


class GenerateFaces(FromRun):
    """Faces of --count seeds from --seed on: a PNG each and one sheet, below runs/NAME/generated/."""

    count = WholeNumber(default=64, description="how many faces")
    seed = WholeNumber(default=0, description="of the first; the next has the next")

    def check(self) -> None:
        require(self, 1 <= self.count <= 100_000, "count", "1 to 100000")
        require(self, self.seed >= 0, "seed", "0 or more")

    @property
    def file(self) -> Path:
        return self.run_folder / "generated" / f"faces-{self.seed}-{self.count}.png"

    def make(self, network, about: dict) -> None:
        import numpy as np

        from models import latent
        from models.sheet import AT_ONCE, grid, painted

        folder = self.run_folder / "generated" / "faces"
        folder.mkdir(exist_ok=True)
        shown = []
        every = range(self.seed, self.seed + self.count)
        for seeds in (every[start : start + AT_ONCE] for start in range(0, self.count, AT_ONCE)):
            pictures = painted(network, latent.z(network, list(seeds)))
            shown += list(pictures[: SHOWN - len(shown)])
            for seed, picture in zip(seeds, pictures, strict=True):
                latent.save_png(folder / f"{seed:06}.png", picture, **about, seed=seed, condition="none")
        latent.save_png(self.file, grid(np.stack(shown), columns=8), **about, seed=self.seed, condition="none")


class InterpolateLatents(FromRun):
    """The straight line between two seeds: a strip, and a GIF that goes there and back."""

    start = WholeNumber(default=0, description="seed at one end")
    end = WholeNumber(default=1, description="seed at the other")
    count = WholeNumber(default=10, description="faces in the strip, both ends included")

    def check(self) -> None:
        require(self, self.start >= 0, "start", "0 or more")
        require(self, self.end >= 0, "end", "0 or more")
        require(self, 2 <= self.count <= 100, "count", "2 to 100")

    @property
    def file(self) -> Path:
        return self.run_folder / "generated" / f"line-{self.start}-{self.end}-{self.count}.png"

    def make(self, network, about: dict) -> None:
        from models import latent
        from models.sheet import grid, painted

        start, end = latent.z(network, [self.start, self.end])
        moving = painted(network, latent.line(start, end, 4 * self.count))
        latent.save_gif(self.file.with_suffix(".gif"), moving, seconds=2.0, about=json.dumps(about))
        strip = painted(network, latent.line(start, end, self.count))
        latent.save_png(self.file, grid(strip, self.count), **about, seed=f"{self.start} to {self.end}")


class LearnAttributes(FromRun):
    """Directions in z that change one attribute, from samples that the tagger labels: runs/NAME/attributes.json."""

    samples = WholeNumber(default=4000, description="how many samples are labelled, 2000 or more")
    seed = WholeNumber(default=0, description="of the samples")

    def causes(self) -> dict[str, object]:
        return super().causes() | {"samples": self.samples, "seed": self.seed}

    def check(self) -> None:
        require(self, self.samples >= 2000, "samples", "2000 or more")
        require(self, self.seed >= 0, "seed", "0 or more")

    @property
    def file(self) -> Path:
        return self.run_folder / "attributes.json"

    def make(self, network, about: dict) -> None:
        from models import latent, runs
        from pipeline import hair

        box_scale = runs.read_settings(self.run_folder)["dataset"]["box_scale"]

        def label(pictures) -> list[set[str]]:
            names = hair.names(pictures, box_scale)
            return [{f"{name}_hair"} if name else set() for name in names]

        vectors, counts = latent.attribute_vectors(network, label, samples=self.samples, seed=self.seed)
        vectors = {name: vector.tolist() for name, vector in vectors.items()}
        latent.save_json(self.file, {**about, "counts": counts, "vectors": vectors})


class ApplyAttributes(FromRun):
    """Faces with an attribute more and more: a row each, from none of it on the left to --strength on the right."""

    attribute = luigi.Parameter(description="of attributes.json, such as blue_hair; several with commas between")
    strength = Number(
        default=0.5, description="s in z = z0 + s·tz; the article's sliders end at 0.5, a small run may need 3"
    )
    noise = Number(default=1.0, description="how much of z0 is left, 0 to 1: the article's noise slider")
    count = WholeNumber(default=8, description="how many faces")
    seed = WholeNumber(default=0, description="of the first; the next has the next")

    def check(self) -> None:
        require(
            self, re.fullmatch(r"[\w:]+(,[\w:]+)*", self.attribute) is not None, "attribute", "names such as blue_hair"
        )
        require(self, -10 <= self.strength <= 10, "strength", "-10 to 10")
        require(self, 0 <= self.noise <= 1, "noise", "0 to 1")
        require(self, 1 <= self.count <= 100, "count", "1 to 100")
        require(self, self.seed >= 0, "seed", "0 or more")

    @property
    def learned(self) -> LearnAttributes:
        """As it was learned already, whatever from; else with the defaults."""
        from models import latent

        told = latent.told_by(self.run_folder / "attributes.json")
        how = {key: told[key] for key in ("samples", "seed") if key in told}
        return LearnAttributes(run=self.run_name, data_root=self.data_root, **how)

    def requires(self) -> LearnAttributes:
        return self.learned

    def causes(self) -> dict[str, object]:
        attributes = hashlib.sha256(self.learned.file.read_bytes()) if self.learned.file.exists() else None
        return super().causes() | {"attributes": attributes and attributes.hexdigest()}

    @property
    def file(self) -> Path:
        name = self.attribute.replace(",", "+")
        return self.run_folder / "generated" / f"{name}-{self.strength}-{self.noise}-{self.seed}-{self.count}.png"

    def make(self, network, about: dict) -> None:
        import torch

        from models import latent
        from models.sheet import grid, painted

        known = latent.told_by(self.learned.file)["vectors"]
        asked = self.attribute.split(",")
        for name in asked:
            if name not in known:
                there = " ".join(known) or "none: too few samples had any"
                raise UserError(
                    f"--attribute {name}", "no vector was learned for it", f"one of: {there}", "give another"
                )
        noise = latent.z(network, list(range(self.seed, self.seed + self.count)))
        amounts = torch.linspace(0, self.strength, 6).tolist()
        columns = [
            latent.apply_attributes(noise, [(torch.tensor(known[name]), amount) for name in asked], strength=self.noise)
            for amount in amounts
        ]
        pictures = painted(network, torch.stack(columns, dim=1).flatten(0, 1))
        about |= {"seed": self.seed, "condition": f"{self.attribute} 0 to {self.strength}"}
        latent.save_png(self.file, grid(pictures, len(amounts)), **about)
