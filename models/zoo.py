"""The table of the GANs that can be trained."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from models.contracts import Batches, Config, Datasets, Trainer
from models.data import batches, clips, crops, pairs, references
from models.data.batches import held_out as held_out_faces
from models.data.clips import ClipDataset
from models.data.crops import ImageDataset
from models.data.dataset import Dataset
from models.papers import (
    acgan,
    blink,
    dcgan,
    esrgan,
    pggan,
    projection,
    r3gan,
    sagan,
    seam,
    srgan,
    srresnet,
    stargan2,
    ugatit,
    videogan,
)
from models.papers.super_resolution import VGGDiscriminator


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
    trainer: Callable[..., Trainer]
    """(Config, device, held-out items by role; `files` of the job by name) -> Trainer."""
    batches: BatchKind
    exported: tuple[str, ...] = ("generator",)
    """The keys of `Trainer.exported()`, each a key of `networks`. The first is the main one."""
    roles: tuple[str, ...] = ("faces",)
    """The datasets it is trained on, unless a job names others."""
    dataset: Callable[[Path, Path], Any] = Dataset
    """(folder, cache) -> a dataset of the kind it is trained on. Raise ManifestError."""
    held_out: Callable[[Any, Any, int], Any] = held_out_faces
    """(dataset, Config, count) -> items that are not trained on, to validate with. Raise UserError."""
    purpose: str = "Paints anime faces of {size} × {size} px"
    """What it does, for the card; with fields of its Config."""
    use: str = "GenerateFaces --run {run}"
    """The command that uses a run of it, after `luigi --module workflows`; empty: there is none."""
    least_batch: int = 2
    """The images that a process needs in a micro-batch: 2 where a layer takes statistics of them."""


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
    "sagan": Model(
        paper="https://arxiv.org/abs/1805.08318",
        task="TrainSAGAN",
        presets={**sagan.PRESETS},
        networks={"generator": sagan.Generator, "discriminator": sagan.Discriminator},
        trainer=sagan.SAGAN,
        batches=batches.pictures,
    ),
    "pggan": Model(
        paper="https://arxiv.org/abs/1710.10196",
        task="TrainPGGAN",
        presets={**pggan.PRESETS},
        networks={"generator": pggan.Generator, "discriminator": pggan.Discriminator},
        trainer=pggan.PGGAN,
        batches=batches.pictures,
    ),
    "r3gan": Model(
        paper="https://arxiv.org/abs/2501.05441",
        task="TrainR3GAN",
        presets={**r3gan.PRESETS},
        networks={"generator": r3gan.Generator, "discriminator": r3gan.Discriminator},
        trainer=r3gan.R3GAN,
        batches=batches.pictures,
        least_batch=1,
    ),
    "r3gan-colors": Model(
        paper="https://arxiv.org/abs/2501.05441",
        task="TrainR3GAN --labels colors",
        presets={**r3gan.COLOR_PRESETS},
        networks={"generator": r3gan.Generator, "discriminator": r3gan.Discriminator},
        trainer=r3gan.ColorR3GAN,
        batches=batches.conditioned,
        least_batch=1,
    ),
    "blink-flow": Model(
        paper="https://arxiv.org/abs/1807.09951",
        task="TrainBlinkUNet",
        presets={**blink.PRESETS},
        networks={"unet": blink.BlinkUNet},
        trainer=blink.BlinkTrainer,
        batches=clips.clips,
        exported=("unet",),
        roles=("clips",),
        dataset=ClipDataset,
        held_out=clips.held_out,
        purpose="Lets an anime face blink, by animating its {region}",
        use="AnimateBlink --run {run} --input PICTURE",
    ),
    "videogan-cond": Model(
        paper="https://arxiv.org/abs/1609.02612",
        task="TrainVideoGAN",
        presets={**videogan.PRESETS},
        networks={"generator": videogan.Generator, "discriminator": videogan.Discriminator},
        trainer=videogan.VideoGAN,
        batches=clips.clips_alone,
        roles=("clips",),
        dataset=ClipDataset,
        held_out=clips.held_out,
        purpose="Makes a clip of {size} × {size} px of an anime face",
        use="",
    ),
    "seam-refiner": Model(
        paper="https://arxiv.org/abs/1807.09951",
        task="TrainSeamRefiner",
        presets={**seam.PRESETS},
        networks={"refiner": seam.SeamRefiner},
        trainer=seam.SeamTrainer,
        batches=batches.pictures,
        exported=("refiner",),
        purpose="Hides the border of a region that was pasted into an anime face",
        use="AnimateBlink --blend refiner --refiner {run} --input PICTURE",
    ),
    "ugatit": Model(
        paper="https://arxiv.org/abs/1907.10830",
        task="TrainUGATIT",
        presets={**ugatit.PRESETS},
        networks={
            "a2b": ugatit.Generator,
            "b2a": ugatit.Generator,
            "discriminator_a": ugatit.Discriminator,
            "discriminator_b": ugatit.Discriminator,
        },
        trainer=ugatit.UGATIT,
        batches=pairs.pairs,
        exported=("a2b", "b2a"),
        roles=("a", "b"),
        purpose="Translates pictures of {size} × {size} px between two domains, both ways",
        use="TranslateImages --run {run} --direction a2b --input PICTURE",
        least_batch=1,
    ),
    "stargan2": Model(
        paper="https://arxiv.org/abs/1912.01865",
        task="TrainStarGAN2",
        presets={**stargan2.PRESETS},
        networks={
            "generator": stargan2.Generator,
            "mapping": stargan2.MappingNetwork,
            "style_encoder": stargan2.StyleEncoder,
            "discriminator": stargan2.Discriminator,
        },
        trainer=stargan2.StarGAN2,
        batches=references.references,
        exported=("generator", "mapping", "style_encoder"),
        held_out=references.held_out,
        purpose="Turns faces of {size} × {size} px of one domain into those of another",
        use="TranslateImages --run {run} --domain DOMAIN --input PICTURE",
    ),
    "srgan": Model(
        paper="https://arxiv.org/abs/1609.04802",
        task="TrainSRGAN",
        presets={**srgan.PRESETS},
        networks={"generator": srgan.generator, "discriminator": srgan.discriminator, "pretrained": srgan.generator},
        trainer=srgan.SRGAN,
        batches=crops.crops,
        exported=("generator", "pretrained"),
        roles=("images",),
        dataset=ImageDataset,
        held_out=crops.held_out,
        purpose="Makes pictures four times as wide and high",
        use="UpscaleImages --run {run} --input PICTURE --output FOLDER",
    ),
    "esrgan": Model(
        paper="https://arxiv.org/abs/1809.00219",
        task="TrainESRGAN",
        presets={**esrgan.PRESETS},
        networks={"generator": esrgan.generator, "discriminator": VGGDiscriminator, "pretrained": esrgan.generator},
        trainer=esrgan.ESRGAN,
        batches=crops.crops,
        exported=("generator", "pretrained"),
        roles=("images",),
        dataset=ImageDataset,
        held_out=crops.held_out,
        purpose="Makes pictures four times as wide and high",
        use="UpscaleImages --run {run} --input PICTURE --output FOLDER",
    ),
}
