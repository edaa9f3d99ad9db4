"""The tasks that train networks to make pictures four times as large."""

import luigi

from workflows.base.from_run import vgg16_weights
from workflows.cli.parameters import Choice
from workflows.training import Training


class OnPictures(Training):
    """A training on a dataset of whole pictures."""

    dataset = luigi.Parameter(default="art", description="dataset of whole pictures: datasets/NAME below the data root")
    preset = Choice(
        ("auto", "article", "official", "paper", "compact", "small", "tiny"),
        default="auto",
        description="settings: article (crops of 256 px, as published), official (as ESRGAN's authors' code), paper "
        "(as the paper), compact (a network of 0.6 million weights, for a CPU or a web page), small (the paper's "
        "network, narrow, for a CPU), tiny (for tests: noise); auto: article on a GPU, compact on a CPU",
    )
    degrade = Choice(
        ("preset", "bicubic", "jpeg"),
        default="preset",
        description="how the small pictures are made: bicubic; jpeg: most are compressed, too, as real files are; or "
        "as the preset says",
    )
    augment = "preset"  # no option: `--set hflip=…` and `--set turns=…`
    kind = "images"
    cpu_preset = "compact"

    @property
    def run_words(self) -> tuple[str, ...]:
        return () if self.degrade == "preset" else (self.degrade,)

    @property
    def changes(self) -> dict:
        return super().changes | ({} if self.degrade == "preset" else {"degrade": self.degrade})

    def files(self) -> dict[str, str]:
        from models.runs import settings

        config = settings.build_config(settings.Job(**self.job))
        return {"vgg16": str(vgg16_weights())} if config.vgg == "imagenet" else {}  # type: ignore[attr-defined]


OnPictures._visible_in_registry = False  # it is no task by itself


class TrainSRGAN(OnPictures):
    """Network that makes pictures four times as wide and high: SRGAN.

    First it is trained alone, then against a discriminator; --set pretrain_steps=N says when."""

    model = "srgan"
    models = ("srgan",)


class TrainESRGAN(OnPictures):
    """Network that makes pictures four times as wide and high: ESRGAN.

    First it is trained alone, then against a relativistic discriminator; --set pretrain_steps=N says when."""

    model = "esrgan"
    models = ("esrgan",)
