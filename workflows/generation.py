"""Tasks that use a trained run: faces, lines between them, attributes. What they make carries the weights' sha256."""

import functools
import hashlib
import json
import re
from pathlib import Path

import luigi

from pipeline.errors import UserError
from workflows.base.stage import disk_errors_as_user_errors
from workflows.cli.errors import Number, WholeNumber, require
from workflows.training import NamedRun, check_run_name

SHOWN = 256  # faces on a sheet
MIN_SAMPLES = 2000  # of LearnAttributes


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
        from models.sampling import save

        try:
            told = save.read_provenance(self.file)
            return all(told.get(key) == value for key, value in self.digest_inputs().items())
        except UserError:
            return False  # no weights: the task says so when it runs

    def run(self) -> None:
        from models.runs import export

        network = export.load_network(self.run_folder)
        with disk_errors_as_user_errors(self.data_root):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.make(network, {"run": self.run_name, **self.digest_inputs()})

    def make(self, network, about: dict) -> None:
        """Use the network; `about` goes into what is written."""
        raise NotImplementedError

    @functools.cached_property
    def settings(self) -> dict:
        """The run's config.json, of one that was trained on faces. Raises UserError."""
        from models.runs import settings

        try:
            held = settings.read_settings(self.run_folder)
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

        return export.read_about(self.run_folder)["labels"]

    def z(self, network, seeds: list[int], truncation: float = 0.0):
        """(N, Z). Raises UserError if z of this network cannot be truncated."""
        from models.sampling import latents as latent

        if truncation and not getattr(network, "normal", False):
            raise UserError(
                "--truncation", f"{truncation} given, but this run's z is not of N(0, 1)", "0", "leave it out"
            )
        return latent.sample_latents(network, seeds, truncation)

    @property
    def colors(self) -> list[str]:
        """Hair colours that the run learned. Raises UserError if it learned none."""
        from models.sampling import latents as latent

        colors = latent.learned_colors(self.learned)
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

        return latent.learned_colors(self.learned) or [label for label, count in self.learned.items() if count]

    def conditions(self, network, mixtures: list[dict[str, float]]) -> tuple:
        """What a network needs beside z (N, Z): y (N, T), or nothing."""
        import torch

        from models.sampling import latents as latent

        return (torch.cat([latent.mix_condition(network.labels, mixture) for mixture in mixtures]),) if mixtures else ()


def _told(mixtures: list[dict[str, float]]) -> str:
    """What a picture tells of its condition."""
    told = (",".join(f"{color}:{weight:g}" for color, weight in mixture.items()) for mixture in mixtures)
    return " to ".join(told) or "none"


def _cut(truncation: float) -> str:
    """What a file's name tells of it."""
    return f"t{truncation}" if truncation else ""


_COLORS = "hair colour, or several mixed, such as blue:0.7,pink:0.3; none: each seed has one of its own"


class GenerateFaces(OfHairColor):
    """Faces of --count seeds from --seed on: a PNG each and one sheet, below runs/NAME/generated/."""

    count = WholeNumber(default=64, description="how many faces")
    seed = WholeNumber(default=0, description="of the first; the next has the next")
    hair_color = luigi.Parameter(default="", description=_COLORS)
    truncation = Number(
        default=0.0, description="numbers of z beyond this are drawn again, such as 0.7: fewer odd faces; 0: none is"
    )

    def check(self) -> None:
        require(self, 1 <= self.count <= 100_000, "count", "1 to 100000")
        require(self, self.seed >= 0, "seed", "0 or more")
        require(self, self.truncation == 0 or 0.1 <= self.truncation <= 10, "truncation", "0, or 0.1 to 10")

    @property
    def file(self) -> Path:
        return self.named("faces", self.seed, self.count, self.hair_color, _cut(self.truncation))

    def make(self, network, about: dict) -> None:
        import numpy as np

        from models.sampling import save
        from models.sampling.images import BATCH_SIZE, generate_images, grid

        folder = self.named("faces", self.hair_color, _cut(self.truncation)).with_suffix("")
        shown = []
        every = range(self.seed, self.seed + self.count)
        for seeds in (every[start : start + BATCH_SIZE] for start in range(0, self.count, BATCH_SIZE)):
            asked = self.asked("--hair-color", self.hair_color, list(seeds))
            z = self.z(network, list(seeds), self.truncation)
            pictures = generate_images(network, z, *self.conditions(network, asked))
            shown += list(pictures[: SHOWN - len(shown)])
            folder.mkdir(exist_ok=True)
            for number, (seed, picture) in enumerate(zip(seeds, pictures, strict=True)):
                told = _told(asked[number : number + 1])
                save.save_png(folder / f"{seed:06}.png", picture, **about, seed=seed, condition=told)
        sheet = grid(np.stack(shown), columns=min(len(self.choices), 10) or 8)
        save.save_png(self.file, sheet, **about, seed=self.seed, condition=self.hair_color or "none")


class InterpolateLatents(OfHairColor):
    """The straight line between two seeds, or between two hair colours: a strip, and a GIF that goes there and back."""

    start = WholeNumber(default=0, description="seed at one end")
    end = WholeNumber(default=1, description="seed at the other; the same for a line between two hair colours alone")
    count = WholeNumber(default=10, description="faces in the strip, both ends included")
    hair_color = luigi.Parameter(default="", description="hair colour at one end, as for GenerateFaces")
    end_hair_color = luigi.Parameter(default="", description="hair colour at the other end; none: the same")

    def check(self) -> None:
        require(self, self.start >= 0, "start", "0 or more")
        require(self, self.end >= 0, "end", "0 or more")
        require(self, 2 <= self.count <= 100, "count", "2 to 100")

    @property
    def file(self) -> Path:
        return self.named("line", self.start, self.end, self.count, self.hair_color, self.end_hair_color)

    def make(self, network, about: dict) -> None:
        from models.sampling import latents as latent
        from models.sampling import save
        from models.sampling.images import generate_images, grid

        asked = self.asked("--hair-color", self.hair_color, [self.start])
        if self.end_hair_color:
            asked += self.asked("--end-hair-color", self.end_hair_color, [self.end])
        else:
            asked *= 2
        ends = [latent.sample_latents(network, [self.start, self.end]), *self.conditions(network, asked)]

        def line(count: int):
            return generate_images(network, *(latent.interpolate(start, end, count) for start, end in ends))

        save.save_gif(self.file.with_suffix(".gif"), line(4 * self.count), seconds=2.0, about=json.dumps(about))
        strip = grid(line(self.count), self.count)
        save.save_png(self.file, strip, **about, seed=f"{self.start} to {self.end}", condition=_told(asked))


class SweepHairColors(OfHairColor):
    """The same faces in every hair colour: a row for each seed, a column for each colour that the run learned."""

    count = WholeNumber(default=8, description="how many faces")
    seed = WholeNumber(default=0, description="of the first; the next has the next")
    truncation = Number(default=0.0, description="as for GenerateFaces")

    def check(self) -> None:
        require(self, 1 <= self.count <= 100, "count", "1 to 100")
        require(self, self.seed >= 0, "seed", "0 or more")
        require(self, self.truncation == 0 or 0.1 <= self.truncation <= 10, "truncation", "0, or 0.1 to 10")

    @property
    def file(self) -> Path:
        return self.named("hair-colors", self.seed, self.count, _cut(self.truncation))

    def make(self, network, about: dict) -> None:
        from models.sampling import save
        from models.sampling.images import generate_images, grid

        colors = self.colors
        z = self.z(network, list(range(self.seed, self.seed + self.count)), self.truncation)
        (y,) = self.conditions(network, [{color: 1.0} for color in colors] * self.count)
        pictures = generate_images(network, z.repeat_interleave(len(colors), dim=0), y)
        save.save_png(self.file, grid(pictures, len(colors)), **about, seed=self.seed, condition=" ".join(colors))


class LearnAttributes(OfHairColor):
    """Directions in z that change one attribute, from samples that the tagger labels: runs/NAME/attributes.json."""

    samples = WholeNumber(default=4000, description="how many samples are labelled, 2000 or more")
    seed = WholeNumber(default=0, description="of the samples")

    def digest_inputs(self) -> dict[str, object]:
        return super().digest_inputs() | {"samples": self.samples, "seed": self.seed}

    def check(self) -> None:
        require(self, self.samples >= MIN_SAMPLES, "samples", f"{MIN_SAMPLES} or more")
        require(self, self.seed >= 0, "seed", "0 or more")

    @property
    def file(self) -> Path:
        return self.run_folder / "attributes.json"

    def make(self, network, about: dict) -> None:
        from models.sampling import attributes, save
        from pipeline.hair import tagging as hair

        if self.learned:
            raise UserError(
                self.run_folder,
                "is asked for its hair colour, which z does not know",
                "a run of TrainDCGAN",
                "see SweepHairColors, or give another --run",
            )
        box_scale = self.settings["dataset"]["box_scale"]

        def label(pictures) -> list[set[str]]:
            names = hair.names(pictures, box_scale)
            return [{f"{name}_hair"} if name else set() for name in names]

        vectors, counts = attributes.attribute_vectors(network, label, samples=self.samples, seed=self.seed)
        vectors = {name: vector.tolist() for name, vector in vectors.items()}
        save.save_json(self.file, {**about, "counts": counts, "vectors": vectors})


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
            self,
            re.fullmatch(r"[\w:]{1,100}(,[\w:]{1,100}){0,20}", self.attribute) is not None,
            "attribute",
            "names such as blue_hair",
        )
        require(self, -10 <= self.strength <= 10, "strength", "-10 to 10")
        require(self, 0 <= self.noise <= 1, "noise", "0 to 1")
        require(self, 1 <= self.count <= 100, "count", "1 to 100")
        require(self, self.seed >= 0, "seed", "0 or more")

    @property
    def learned(self) -> LearnAttributes:
        """As it was learned already, whatever from; else with the defaults."""

        from models.sampling import save

        told = save.read_provenance(self.run_folder / "attributes.json")
        least = {"samples": MIN_SAMPLES, "seed": 0}
        how = {key: told[key] for key in least if type(told.get(key)) is int and told[key] >= least[key]}
        return LearnAttributes(run=self.run_name, data_root=self.data_root, **how)

    def requires(self) -> LearnAttributes:
        return self.learned

    def digest_inputs(self) -> dict[str, object]:
        attributes = hashlib.sha256(self.learned.file.read_bytes()) if self.learned.file.exists() else None
        return super().digest_inputs() | {"attributes": attributes and attributes.hexdigest()}

    @property
    def file(self) -> Path:
        return self.named(self.attribute, self.strength, self.noise, self.seed, self.count)

    def make(self, network, about: dict) -> None:
        import torch

        from models.sampling import attributes, save
        from models.sampling import latents as latent
        from models.sampling.images import generate_images, grid

        known = attributes.read_vectors(self.learned.file, network.latent)
        asked = self.attribute.split(",")
        for name in asked:
            if name not in known:
                there = " ".join(known) or "none: too few samples had any"
                raise UserError(
                    f"--attribute {name}", "no vector was learned for it", f"one of: {there}", "give another"
                )
        noise = latent.sample_latents(network, list(range(self.seed, self.seed + self.count)))
        amounts = torch.linspace(0, self.strength, 6).tolist()
        columns = [
            attributes.apply_attributes(
                noise, [(torch.tensor(known[name]), amount) for name in asked], strength=self.noise
            )
            for amount in amounts
        ]
        pictures = generate_images(network, torch.stack(columns, dim=1).flatten(0, 1))
        about |= {"seed": self.seed, "condition": f"{self.attribute} 0 to {self.strength}"}
        save.save_png(self.file, grid(pictures, len(amounts)), **about)
