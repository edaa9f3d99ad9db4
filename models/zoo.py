"""The table of the GANs that can be trained."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from models.data import dataset as data
from models.papers import acgan, dcgan, projection


@dataclass(frozen=True)
class Entry:
    """A row of ZOO."""

    paper: str
    task: str
    """What a user types."""
    presets: dict[str, object]
    """Config by name: article, paper, small, tiny."""
    networks: dict[str, Callable[[object], nn.Module]]
    """What is trained, by name, each from a Config."""
    exported: str
    """Which of them a run is kept for."""
    trainer: type
    """(Config, device, held-out pictures) -> models.training.loop.Trainee."""
    batches: Callable
    """(Dataset, Config, seed, device) -> batches: a kind of `models.data`."""


MODELS = {
    "dcgan96": Entry(
        "https://arxiv.org/abs/1511.06434", "TrainDCGAN --variant 96", dcgan.PRESETS96,
        {"generator": dcgan.Generator96, "discriminator": dcgan.Discriminator96}, "generator",
        dcgan.DCGAN96, data.pictures,
    ),
    "dcgan128": Entry(
        "https://arxiv.org/abs/1511.06434", "TrainDCGAN --variant 128", dcgan.PRESETS128,
        {"generator": dcgan.Generator128, "discriminator": dcgan.Discriminator128}, "generator",
        dcgan.DCGAN128, data.pictures,
    ),
    "cgan-srresnet": Entry(
        "https://arxiv.org/abs/1708.05509", "TrainProjectionCGAN --generator srresnet", projection.SRRESNET,
        {"generator": acgan.SRResNetGenerator, "discriminator": projection.SRResNetDiscriminator}, "generator",
        projection.SRResNetCGAN, data.conditioned,
    ),
    "cgan-resblock": Entry(
        "https://arxiv.org/abs/1802.05637", "TrainProjectionCGAN --generator resblock", projection.RESBLOCK,
        {"generator": projection.ResBlockGenerator, "discriminator": projection.ResBlockDiscriminator}, "generator",
        projection.ResBlockCGAN, data.conditioned,
    ),
    "acgan": Entry(
        "https://arxiv.org/abs/1610.09585", "TrainACGAN", acgan.PRESETS,
        {"generator": acgan.SRResNetGenerator, "discriminator": acgan.Discriminator}, "generator",
        acgan.ACGAN, data.conditioned,
    ),
}  # fmt: skip
