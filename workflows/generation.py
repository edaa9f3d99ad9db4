"""Faces from a trained run, and lines between them."""

import json
import logging
from pathlib import Path
from typing import Any

import luigi

from pipeline.errors import UserError
from workflows.base.from_run import OfHairColor
from workflows.cli.parameters import Number, WholeNumber
from workflows.domains import held_out_sources

MAX_ON_SHEET = 256  # faces on a sheet
STYLED = "stargan2"  # the model that translates in styles
SOURCES = 4  # faces that are translated

logger = logging.getLogger("luigi-interface")


def _format_condition(mixtures: list[dict[str, float]], labels: str = "") -> str:
    """Return the conditions as a picture's metadata has them: `blue:0.7,pink:0.3 to black:1`, and --condition."""
    texts = (",".join(f"{color}:{weight:g}" for color, weight in mixture.items()) for mixture in mixtures)
    return f"{' to '.join(texts)} {labels}".strip() or "none"


def _name_part(truncation: float) -> str:
    """Return the truncation as a part of a file's name."""
    return f"t{truncation}" if truncation else ""


_COLORS = "hair colour, or a mixture such as blue:0.7,pink:0.3; by default the colours in turns"


class GenerateFaces(OfHairColor):
    """Faces of consecutive seeds, as PNG files and one sheet in runs/NAME/generated/."""

    count = WholeNumber(1, 100_000, default=64, description="number of faces")
    seed = WholeNumber(default=0, description="seed of the first face; the next face has the next seed")
    hair_color = luigi.Parameter(default="", description=_COLORS)
    truncation = Number(
        0.1,
        10,
        default=0.0,
        or_zero=True,
        description="largest |z|, such as 0.7: values beyond it are drawn again, for fewer odd faces; 0: no limit",
    )

    @property
    def file(self) -> Path:
        return self.generated_file("faces", self.seed, self.count, *self.name_parts)

    @property
    def name_parts(self) -> tuple[str, ...]:
        """Return the parts of a file's name that stand for what was asked for."""
        return self.hair_color, self.condition, _name_part(self.truncation)

    def make(self, network: Any, about: dict) -> None:
        import numpy as np

        from models.sampling import latents, save
        from models.sampling.images import BATCH_SIZE, generate_images, grid

        self.truncate(network, self.truncation)
        folder = self.generated_file("faces", *self.name_parts).with_suffix("")
        shown: list[np.ndarray] = []
        every = range(self.seed, self.seed + self.count)
        for seeds in (every[start : start + BATCH_SIZE] for start in range(0, self.count, BATCH_SIZE)):
            mixtures = self.mixtures_of("--hair-color", self.hair_color, list(seeds))
            z = latents.sample_latents(network, list(seeds), self.truncation)
            pictures = generate_images(network, z, *self.conditions(network, mixtures))
            shown += list(pictures[: MAX_ON_SHEET - len(shown)])
            folder.mkdir(exist_ok=True)
            for number, (seed, picture) in enumerate(zip(seeds, pictures, strict=True)):
                condition = _format_condition(mixtures[number : number + 1], self.condition)
                save.save_png(folder / f"{seed:06}.png", picture, **about, seed=seed, condition=condition)
        sheet = grid(np.stack(shown), columns=min(len(self.choices), 10) or 8)
        condition = _format_condition([], f"{self.hair_color} {self.condition}")
        save.save_png(self.file, sheet, **about, seed=self.seed, condition=condition)


class InterpolateLatents(OfHairColor):
    """Interpolation between two seeds or two hair colours, as a strip and a GIF; of a run of TrainStarGAN2 held-out
    faces, from one style to another."""

    start = WholeNumber(default=0, description="seed of the first face")
    end = WholeNumber(
        default=1, description="seed of the last face; equal to --start to interpolate between hair colours alone"
    )
    count = WholeNumber(2, 100, default=10, description="number of faces in the strip")
    hair_color = luigi.Parameter(
        default="", description="hair colour of the first face, or a mixture such as blue:0.7,pink:0.3"
    )
    end_hair_color = luigi.Parameter(default="", description="hair colour of the last face; by default the same")
    end_condition = luigi.Parameter(
        default="", description="weights of labels, as of --condition, of the last face; by default the same"
    )
    truncation = Number(0.1, 10, default=0.0, or_zero=True, description="largest |z|, such as 0.7; 0: no limit")
    domain = luigi.Parameter(
        default="", description="of a run of TrainStarGAN2: the domain that faces are turned into; by default the last"
    )

    @property
    def file(self) -> Path:
        return self.generated_file(
            "line",
            self.domain,
            self.start,
            self.end,
            self.count,
            self.hair_color,
            self.end_hair_color,
            self.condition,
            self.end_condition and f"to {self.end_condition}",
            _name_part(self.truncation),
        )

    @property
    def has_styles(self) -> bool:
        """Return whether the run translates in styles."""
        from models.runs import export

        return export.read_about(self.run_folder)["model"] == STYLED

    def suits(self, network: Any) -> bool:
        return super().suits(network) or self.has_styles

    def make(self, network: Any, about: dict) -> None:
        if self.has_styles:
            self._translate(about)
            return
        if self.domain:
            cure = "leave it out"
            raise UserError("--domain", f"{self.domain} given, but this run has none", "a run of TrainStarGAN2", cure)
        self._generate(network, about)

    def _translate(self, about: dict) -> None:
        """Write the strip, a row for each face, and the GIF: the faces above what they are turned into."""
        import numpy as np
        import torch

        from models.sampling import save
        from models.sampling.images import grid
        from models.translators import StyleTranslator

        for name in ("hair_color", "end_hair_color", "condition", "end_condition", "truncation"):
            if value := getattr(self, name):
                option = f"--{name.replace('_', '-')}"
                raise UserError(option, f"{value} given, but this run translates", "--domain", "leave it out")
        translator = StyleTranslator(self.run_folder, torch.device("cpu"))
        name = self.domain or translator.domains[-1]
        if name not in translator.domains:
            expected = f"one of {' '.join(translator.domains)}"
            raise UserError("--domain", f"{name[:40]} given", expected, "give another")
        target = translator.domains.index(name)
        faces = held_out_sources(self.settings, self.data_root, translator, target, SOURCES)

        def line(count: int) -> np.ndarray:
            return translator.between(faces, target, (self.start, self.end), count)

        frames = np.stack([grid(np.concatenate([faces, made]), len(faces)) for made in line(4 * self.count)])
        save.save_gif(self.file.with_suffix(".gif"), frames, seconds=2.0, about=json.dumps(about))
        rows = np.concatenate([faces[:, None], line(self.count).swapaxes(0, 1)], axis=1)
        strip = grid(rows.reshape(-1, *faces.shape[1:]), self.count + 1)
        save.save_png(self.file, strip, **about, seed=f"{self.start} to {self.end}", domain=name)

    def _generate(self, network: Any, about: dict) -> None:
        """Write the strip and the GIF of a GAN of faces."""
        import numpy as np

        from models.sampling import latents, save
        from models.sampling.images import generate_images, grid

        mixtures = self.mixtures_of("--hair-color", self.hair_color, [self.start])
        if self.end_hair_color:
            mixtures += self.mixtures_of("--end-hair-color", self.end_hair_color, [self.end])
        else:
            mixtures *= 2
        self.truncate(network, self.truncation)
        z = latents.sample_latents(network, [self.start, self.end], self.truncation)
        end_labels = self.parse_condition("--end-condition", self.end_condition) or self.given_labels
        conditions = self.conditions(network, mixtures, [self.given_labels, end_labels])

        def line(count: int) -> np.ndarray:
            noise = latents.interpolate(z[0], z[1], count, spherical=getattr(network, "normal", False))
            return generate_images(network, noise, *(latents.interpolate(y[0], y[1], count) for y in conditions))

        save.save_gif(self.file.with_suffix(".gif"), line(4 * self.count), seconds=2.0, about=json.dumps(about))
        strip = grid(line(self.count), self.count)
        labels = f"{self.condition} to {self.end_condition}" if self.end_condition else self.condition
        seed, condition = f"{self.start} to {self.end}", _format_condition(mixtures, labels)
        save.save_png(self.file, strip, **about, seed=seed, condition=condition)


class SweepHairColors(OfHairColor):
    """The same faces in every hair colour that the run learned: a row per seed, a column per colour."""

    count = WholeNumber(1, 100, default=8, description="number of faces")
    seed = WholeNumber(default=0, description="seed of the first face; the next face has the next seed")
    truncation = Number(0.1, 10, default=0.0, or_zero=True, description="largest |z|, such as 0.7; 0: no limit")

    @property
    def file(self) -> Path:
        return self.generated_file("hair-colors", self.seed, self.count, self.condition, _name_part(self.truncation))

    def make(self, network: Any, about: dict) -> None:
        from models.sampling import latents, save
        from models.sampling.images import generate_images, grid, with_headings

        colors = self.colors
        self.refuse_given_colors("a sweep")
        if unlearned := [color for color in latents.HAIR_COLORS if color not in colors]:
            logger.warning("%s: no column for %s, which no training face has", self.file.name, ", ".join(unlearned))
        self.truncate(network, self.truncation)
        z = latents.sample_latents(network, list(range(self.seed, self.seed + self.count)), self.truncation)
        (y,) = self.conditions(network, [{color: 1.0} for color in colors] * self.count)
        pictures = generate_images(network, z.repeat_interleave(len(colors), dim=0), y)
        condition = f"{' '.join(colors)} {self.condition}".strip()
        sheet = with_headings(grid(pictures, len(colors)), colors)
        save.save_png(self.file, sheet, **about, seed=self.seed, condition=condition)
