"""A hair colour tagger, trained on drawn heads: the network whose weights `pipeline.hair.color_network` ships.

Four convolutions predict which cells of a patch are hair. The name of its colour is predicted from colours alone: those
of the hair cells, and of the other cells, which are in the same light. In shapes: N batch, W width.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.nn.ema import EMA
from models.sampling.images import grid
from models.seeds import seed_for
from models.training.update import ramped_cosine, set_learning_rate, update

CELLS = 16  # a side
CLASSES = 10  # nine colours, and none
PATCHES_SHOWN = 16  # in a sheet


@dataclass(frozen=True)
class Config:
    """The settings of HairTaggerTraining. The defaults gave the weights that are shipped."""

    patches: int = 40_000
    held_out: int = 2_000  # patches of another style, for validation
    width: int = 24  # W
    hidden: int = 96
    batch_size: int = 64
    learning_rate: float = 3e-3  # its peak
    weight_decay: float = 1e-4
    warm_up: int = 300  # steps
    horizon: int = 6_000  # steps: where the cosine ends
    look_weight: float = 0.3  # of the loss of where hair is
    average: float = 0.998  # decay of the weights' moving average, which is exported
    steps: int = 6_000
    sample_every: int = 2_000
    save_every: int = 500


PRESETS = {
    "full": Config(),
    "tiny": Config(
        patches=64,
        held_out=16,
        width=8,
        hidden=16,
        batch_size=16,
        warm_up=5,
        horizon=20,
        steps=20,
        sample_every=10,
        save_every=10,
    ),
}


class HairTagger(nn.Module):
    """Patches (N, 3, 64, 64), CIELAB about -1..1 -> logits of the classes (N, 10), and of hair in each cell
    (N, 16, 16)."""

    def __init__(self, width: int = 24, hidden: int = 96) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 5, stride=2, padding=2)  # (N, W, 32, 32)
        self.second = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)  # (N, 2W, 16, 16)
        self.third = nn.Conv2d(2 * width, 2 * width, 3, padding=2, dilation=2)
        self.fourth = nn.Conv2d(2 * width, 2 * width, 3, padding=4, dilation=4)  # a cell of it sees 57 px of the 64
        self.look = nn.Conv2d(2 * width, 1, 1)
        self.place = nn.Parameter(torch.zeros(1, CELLS, CELLS))
        self.color = nn.Sequential(nn.Conv2d(3, 2 * width, 1), nn.ReLU(), nn.Conv2d(2 * width, 2 * width, 1), nn.ReLU())
        self.hidden = nn.Linear(4 * width + 1, hidden)
        self.name = nn.Linear(hidden, CLASSES)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return both kinds of logits."""
        colors = self.color(F.avg_pool2d(x, x.shape[-1] // CELLS)).flatten(2)  # (N, 2W, 256)
        for layer in (self.first, self.second, self.third, self.fourth):
            x = layer(x).relu()
        look = self.look(x)[:, 0] + self.place  # (N, 16, 16)
        hair = look.sigmoid().flatten(1)[:, None]  # (N, 1, 256)
        # squared, so that the cells with probabilities near 0 or 1 count most
        weights = hair.square(), (1 - hair).square()
        of_hair, of_rest = ((colors * weight).mean(2) / (weight.mean(2) + 1e-3) for weight in weights)
        return self.name(self.hidden(torch.cat([of_hair, of_rest, hair.mean(2)], 1)).relu()), look


Normalize = Callable[[np.ndarray], np.ndarray]


class Patches(NamedTuple):
    """Patches with their targets."""

    pictures: np.ndarray  # (N, 64, 64, 3) uint8, RGB
    hair: np.ndarray  # (N, 16, 16) uint8: how much of a cell is hair, 0..255
    shares: np.ndarray  # (N, 10) float32: the probability of each class


class Batches:
    """The map i -> {"patch", "hair", "shares"}: each patch once an epoch, in an order of (seed, epoch)."""

    def __init__(self, patches: Patches, normalize: Normalize, batch_size: int, *, seed: int) -> None:
        self._patches, self._normalize, self._batch_size, self._seed = patches, normalize, batch_size, seed
        self._order: tuple[int, np.ndarray] = -1, np.empty(0, int)

    def __call__(self, i: int) -> dict[str, Tensor]:
        """Return the i-th batch."""
        epoch, at = divmod(i, len(self._patches.pictures) // self._batch_size)
        if self._order[0] != epoch:
            rng = np.random.default_rng(seed_for(self._seed, epoch, "lessons"))
            self._order = epoch, rng.permutation(len(self._patches.pictures))
        rows = np.sort(self._order[1][at * self._batch_size :][: self._batch_size])
        return to_batch(Patches(*(array[rows] for array in self._patches)), self._normalize)


def to_batch(patches: Patches, normalize: Normalize) -> dict[str, Tensor]:
    """Return tensors of the patches; `normalize` maps (N, 64, 64, 3) uint8 to the network's input, channels last."""
    patch = torch.from_numpy(normalize(patches.pictures)).movedim(3, 1)
    hair, shares = torch.from_numpy(np.float32(patches.hair) / 255), torch.from_numpy(np.array(patches.shares))
    return {"patch": patch, "hair": hair, "shares": shares}


class HairTaggerTraining:
    """The training: cross-entropy of the classes, and binary cross-entropy of the cells that are hair."""

    def __init__(self, config: Config, held_out: dict[str, Tensor], pictures: np.ndarray) -> None:
        self.config, self.device = config, torch.device("cpu")
        self.network = HairTagger(config.width, config.hidden)
        self.average = EMA(self.network, config.average)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), weight_decay=config.weight_decay, fused=True)
        self._held_out, self._pictures = held_out, pictures

    def step(self, batch: dict[str, Tensor], i: int) -> dict[str, Tensor]:
        """Return both losses."""
        names, look = self.network(batch["patch"])
        loss_name = F.cross_entropy(names, batch["shares"])
        loss_look = F.binary_cross_entropy_with_logits(look, batch["hair"])
        c = self.config
        rate = ramped_cosine(i, peak=c.learning_rate, warm_up=c.warm_up, horizon=c.horizon)
        set_learning_rate([self.optimizer], rate)
        update([self.optimizer], loss_name + self.config.look_weight * loss_look)
        self.average.update(self.network, i)
        return {"name": loss_name.detach(), "look": loss_look.detach()}

    def exported(self) -> dict[str, nn.Module]:
        """Return the averaged network."""
        return {"tagger": self.average.network}

    @torch.no_grad()
    def validate(self, i: int) -> dict[str, float]:
        """Return, over patches of another style, the cross-entropy, and the accuracy as `right`."""
        names, _ = self.average.network(self._held_out["patch"])
        shares = self._held_out["shares"]
        right = (names.argmax(1) == shares.argmax(1)).float().mean()
        return {"cross_entropy": F.cross_entropy(names, shares).item(), "right": right.item()}

    @torch.no_grad()
    def reliability(self, bins: int = 10) -> list[tuple[float, float, int]]:
        """Return (mean probability, accuracy, number of patches) of the held-out patches, in bins of the probability of
        the likeliest of the nine colours."""
        names, _ = self.average.network(self._held_out["patch"])
        probability, predicted = names.softmax(1)[:, :-1].max(1)
        right = predicted == self._held_out["shares"].argmax(1)
        which = (probability * bins).long().clamp(max=bins - 1)
        chosen = [which == number for number in range(bins)]
        return [
            (round(probability[rows].mean().item(), 4), round(right[rows].float().mean().item(), 4), int(rows.sum()))
            for rows in chosen
            if rows.any()
        ]

    @torch.no_grad()
    def sheet(self, i: int) -> np.ndarray:
        """Return (H, W, 3) uint8: held-out patches, and below each the predicted hair."""
        _, look = self.average.network(self._held_out["patch"][:PATCHES_SHOWN])
        seen = F.interpolate(look.sigmoid()[:, None], size=self._pictures.shape[1:3])  # (PATCHES_SHOWN, 1, 64, 64)
        cells = seen.mul(255).byte().movedim(1, 3).expand(-1, -1, -1, 3).numpy()
        return grid(np.concatenate([self._pictures[:PATCHES_SHOWN], cells]), columns=PATCHES_SHOWN)
