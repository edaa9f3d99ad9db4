"""The table of the GANs that can be trained."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from models.contracts import Batches, Config, Datasets, HeldOut, Trainer
from models.data import batches
from models.papers import acgan, dcgan, projection, srresnet


class BatchKind(Protocol):
    """A kind of batch: how the datasets of a training, by role, become batches."""

    def __call__(self, datasets: Datasets, config: Any, *, seed: int, device: torch.device) -> Batches:
        """Return the batches. Raise UserError if the datasets do not suit the model."""


@dataclass(frozen=True)
class Model:
    """A row of MODELS."""

    paper: str
    """Its URL."""
    task: str
    """What a user types after `luigi --module workflows`."""
    presets: dict[str, Config]
    """Settings by name: article, paper, small, tiny. All are of one class."""
    networks: dict[str, Callable[[Any], nn.Module]]
    """The networks that are trained, by name, each built from a Config."""
    trainer: Callable[[Any, torch.device, dict[str, HeldOut]], Trainer]
    """(Config, device, held-out images by role) -> Trainer."""
    batches: BatchKind
    exported: tuple[str, ...] = ("generator",)
    """The keys of `Trainer.exported()`, each a key of `networks`. The first is the main one."""
    roles: tuple[str, ...] = ("faces",)
    """The datasets it is trained on."""


MODELS = {
    "dcgan96": Model(
        paper="https://arxiv.org/abs/1511.06434",
        task="TrainDCGAN --variant 96",
        presets={**dcgan.PRESETS96},
        networks={"generator": dcgan.Generator96, "discriminator": dcgan.Discriminator96},
        trainer=dcgan.DCGAN96,
        batches=batches.pictures,
    ),
    "dcgan128": Model(
        paper="https://arxiv.org/abs/1511.06434",
        task="TrainDCGAN --variant 128",
        presets={**dcgan.PRESETS128},
        networks={"generator": dcgan.Generator128, "discriminator": dcgan.Discriminator128},
        trainer=dcgan.DCGAN128,
        batches=batches.pictures,
    ),
    "cgan-srresnet": Model(
        paper="https://arxiv.org/abs/1708.05509",
        task="TrainProjectionCGAN --generator srresnet",
        presets={**projection.SRRESNET},
        networks={"generator": srresnet.SRResNetGenerator, "discriminator": projection.SRResNetDiscriminator},
        trainer=projection.SRResNetCGAN,
        batches=batches.conditioned,
    ),
    "cgan-resblock": Model(
        paper="https://arxiv.org/abs/1802.05637",
        task="TrainProjectionCGAN --generator resblock",
        presets={**projection.RESBLOCK},
        networks={"generator": projection.ResBlockGenerator, "discriminator": projection.ResBlockDiscriminator},
        trainer=projection.ResBlockCGAN,
        batches=batches.conditioned,
    ),
    "acgan": Model(
        paper="https://arxiv.org/abs/1610.09585",
        task="TrainACGAN",
        presets={**acgan.PRESETS},
        networks={"generator": srresnet.SRResNetGenerator, "discriminator": acgan.Discriminator},
        trainer=acgan.ACGAN,
        batches=batches.conditioned,
    ),
}
