"""What the training loop, the loaders and the samplers require of a model.

A paper's file in `papers` satisfies these protocols without naming them; `zoo.MODELS` is where they are type-checked.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

Batch = dict[str, Tensor]
Batches = Callable[[int], Batch]
"""i -> the i-th batch of this process. A function of i alone, so that a resumed run sees the same batches."""


class Config(Protocol):
    """The settings of a model that loop and loaders read. A frozen dataclass; tuples in it hold one type.

    Every field is written to config.json, so a field must not be renamed or removed without a reader for old runs.
    Horizons (decay, ramps, phases) are fields in steps; `steps` only says where to stop."""

    @property
    def size(self) -> int:
        """Return the side of an image, px."""

    @property
    def hflip(self) -> bool:
        """Return whether half of the images are mirrored."""

    @property
    def batch_size(self) -> int:
        """Return the number of images generated in a step of the generator, over all processes."""

    @property
    def pictures(self) -> int:
        """Return the number of real images that a step takes, over all processes."""

    @property
    def micro_batches(self) -> int:
        """Return the number of parts of a batch, whose gradients are summed."""

    @property
    def steps(self) -> int:
        """Return the number of steps in all."""

    @property
    def sample_every(self) -> int:
        """Return the number of steps between two sheets of samples, which are also validations."""

    @property
    def save_every(self) -> int:
        """Return the number of steps between two checkpoints."""


class ConditionalConfig(Config, Protocol):
    """The settings of a model that is conditioned on labels."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the nine hair colours, or tags."""


class PairConfig(Config, Protocol):
    """The settings of a model that is trained on two domains."""

    @property
    def crop(self) -> str:
        """Return how training pictures are cropped: article or official."""


class DomainConfig(Config, Protocol):
    """The settings of a model that translates between domains."""

    @property
    def domains(self) -> tuple[str, ...]:
        """Return the names of the domains, in the order of their labels."""

    @property
    def domain_column(self) -> str:
        """Return the column of the manifest whose classes are the domains; empty: each dataset is one."""

    @property
    def crop_share(self) -> float:
        """Return the share of pictures that are cropped at random."""


class ClipConfig(Config, Protocol):
    """The settings of a model that is trained on blink clips."""

    @property
    def region(self) -> str:
        """Return which part of a clip's frames is taken: eyes or face."""

    @property
    def shape(self) -> tuple[int, int]:
        """Return the height and width of the region, px."""

    @property
    def box_jitter(self) -> int:
        """Return by how much the region may be shifted each way, px."""

    @property
    def color_jitter(self) -> float:
        """Return the largest relative change of a colour channel, the same for a whole clip."""

    @property
    def hue_jitter(self) -> float:
        """Return by how much hues may be turned each way, 0 to 0.5 turns."""

    @property
    def zoom_jitter(self) -> float:
        """Return the largest change of height and of width, each by a factor of exp(±zoom_jitter)."""

    @property
    def time_stretch(self) -> float:
        """Return the largest relative change of a clip's speed."""

    @property
    def flow_dropout(self) -> float:
        """Return the share of clips whose flow is replaced by 0."""


class CropConfig(Config, Protocol):
    """The settings of a model that is trained on crops of whole pictures, and on their small versions."""

    @property
    def turns(self) -> bool:
        """Return whether crops are turned by a multiple of 90 degrees."""

    @property
    def degrade(self) -> str:
        """Return how crops are made small: bicubic; or jpeg: most are compressed, too."""


class FaceDataset(Protocol):
    """What loaders read of `data.dataset.Dataset`; a test may pass something smaller."""

    folder: Path
    digest: str

    @property
    def faces(self) -> pa.Table:
        """Return all rows."""

    def split(self, name: str) -> pa.Table:
        """Return the rows of train, val or test."""

    def pixels(self, split: str, size: int) -> np.ndarray:
        """Return (N, size, size, 3) uint8, in the manifest's order."""


class HeldOut(NamedTuple):
    """Real images that are not trained on, to validate with."""

    pictures: np.ndarray  # (M, S, S, 3) uint8
    labels: np.ndarray | None = None  # (M, T): the conditions of each, for a conditional model


class HeldOutClips(NamedTuple):
    """Clips that are not trained on, to validate with."""

    clips: np.ndarray  # (M, T, H, W, 3) uint8
    flow: np.ndarray  # (M, T, H, W, 2) float32, as of `pipeline.clips.flow`
    openness: np.ndarray  # (M, T) float32: 1 open, 0 closed


class HeldOutCrops(NamedTuple):
    """Crops that are not trained on, to validate with."""

    high: np.ndarray  # (M, S, S, 3) uint8
    low: np.ndarray  # (M, S / 4, S / 4, 3) uint8: their small versions


Datasets = Mapping[str, Any]
"""The datasets of a training by role, such as {"faces": …} or {"a": …, "b": …}, each of its model's `dataset` class.
The first describes the run's card."""


class Generator(Protocol):
    """A network that maps latents z (N, Z), and conditions y (N, T) if it has `labels`, to images (N, 3, S, S).

    It may have `labels: tuple[str, ...]`, and `normal: bool`: whether z is of N(0, 1), which can be truncated."""

    latent: int
    middle: float  # the grey level, 0 to 255, that the network's 0 stands for; its -1 is black

    def noise(self, count: int, rng: torch.Generator | None = None) -> Tensor:
        """Return latents (count, Z) on the network's device, drawn from `rng` if one is given."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Return images (N, 3, S, S)."""


class Trainer(Protocol):
    """A training. Networks, EMA copies and optimizers are attributes: each with a `state_dict` is in the checkpoint.

    Frozen helpers (VGG, taggers, metrics) must not be attributes with a `state_dict`. The class name is written to
    checkpoints. It may also be a `Validating`, a `Filming` or a `Recovering` trainer, and one with a score may have a
    `training.collapse.CollapseGuard` as an attribute."""

    device: torch.device

    def step(self, batch: Batch, i: int) -> Batch:
        """Do the i-th step of the algorithm on this process's batch. Return its losses, scalars on the device."""

    def sheet(self, i: int) -> np.ndarray:
        """Return (H, W, 3) uint8 samples, of the same noise at every step. Change nothing."""

    def exported(self) -> dict[str, nn.Module]:
        """Return the networks to export, by name; the first is the main one."""


@runtime_checkable
class Validating(Protocol):
    """A trainer with a score."""

    def validate(self, i: int) -> dict[str, float]:
        """Return metrics of the weights after step i. The first is the score, lower is better. Change nothing."""


@runtime_checkable
class Filming(Protocol):
    """A trainer of which a film is made."""

    def frame(self, i: int) -> np.ndarray:
        """Return (H, W, 3) uint8, what it makes of one input, the same at every step. Change nothing."""


@runtime_checkable
class Recovering(Protocol):
    """A trainer that can go on from losses or weights that are not finite."""

    def recover(self, i: int) -> bool:
        """Return whether to go on after step i, whose losses or weights are not finite."""
