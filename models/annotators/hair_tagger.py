"""A hair colour tagger, trained on drawn heads: the network whose weights `pipeline.hair.color_network` ships.

Four convolutions see what each cell of a patch is, and say where hair is. What it is called is judged by colours alone:
those of the cells that are hair, beside those that are not, which are in the same light. In shapes: N batch, W width.
"""

import copy
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.data.dataset import seed_for
from models.nn.ema import EMA
from models.sampling.images import grid
from models.training.loop import ramped_cosine, set_learning_rate, update

CELLS = 16
NAMES = 10  # nine, and none
SHOWN = 16  # patches in a sheet


@dataclass(frozen=True)
class Config:
    """The defaults made the weights that are shipped."""

    patches: int = 40_000
    held_out: int = 2_000  # lessons of another style, for validation
    width: int = 24  # W
    hidden: int = 96
    batch_size: int = 64
    learning_rate: float = 3e-3  # at its height
    weight_decay: float = 1e-4
    warm_up: int = 300  # steps
    horizon: int = 6_000  # steps: where the cosine ends
    look_weight: float = 0.3  # of what is said of where hair is
    average: float = 0.998  # decay of the weights' moving average, which is exported
    temperature: float = 0.8  # of what is exported; lessons are harder than whole portraits, whose hair makes it surer
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
    """Patches (N, 3, 64, 64), CIELAB about -1..1 -> logits of the names (N, 10), and of hair in each cell
    (N, 16, 16)."""

    def __init__(self, width: int = 24, hidden: int = 96):
        super().__init__()
        self.first = nn.Conv2d(3, width, 5, stride=2, padding=2)  # (N, W, 32, 32)
        self.second = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)  # (N, 2W, 16, 16)
        self.third = nn.Conv2d(2 * width, 2 * width, 3, padding=2, dilation=2)
        self.fourth = nn.Conv2d(2 * width, 2 * width, 3, padding=4, dilation=4)  # a cell of it sees 57 px of the 64
        self.look = nn.Conv2d(2 * width, 1, 1)
        self.place = nn.Parameter(torch.zeros(1, CELLS, CELLS))
        self.color = nn.Sequential(nn.Conv2d(3, 2 * width, 1), nn.ReLU(), nn.Conv2d(2 * width, 2 * width, 1), nn.ReLU())
        self.hidden = nn.Linear(4 * width + 1, hidden)
        self.name = nn.Linear(hidden, NAMES)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        colors = self.color(F.avg_pool2d(x, x.shape[-1] // CELLS)).flatten(2)  # (N, 2W, 256)
        for layer in (self.first, self.second, self.third, self.fourth):
            x = layer(x).relu()
        look = self.look(x)[:, 0] + self.place  # (N, 16, 16)
        hair = look.sigmoid().flatten(1)[:, None]  # (N, 1, 256)
        # squared, so that the cells that are surely hair, or surely not, count most
        there, elsewhere = (
            (colors * share).mean(2) / (share.mean(2) + 1e-3) for share in (hair.square(), (1 - hair).square())
        )
        return self.name(self.hidden(torch.cat([there, elsewhere, hair.mean(2)], 1)).relu()), look


class Patches(NamedTuple):
    """Patches, and what to say of each."""

    pictures: np.ndarray
    """(N, 64, 64, 3) uint8, RGB."""
    hair: np.ndarray
    """(N, 16, 16) uint8: how much of a cell is hair, 0..255."""
    shares: np.ndarray
    """(N, 10) float32: how likely each name is."""


class Batches:
    """batches(i) -> {"patch", "hair", "shares"}: each lesson once an epoch, in an order of (seed, epoch)."""

    def __init__(self, patches: Patches, normalised, batch_size: int, *, seed: int):
        self._patches, self._normalised, self._batch_size, self._seed = patches, normalised, batch_size, seed
        self._order: tuple[int, np.ndarray] = -1, np.empty(0, int)

    def __call__(self, i: int) -> dict[str, Tensor]:
        epoch, at = divmod(i, len(self._patches.pictures) // self._batch_size)
        if self._order[0] != epoch:
            rng = np.random.default_rng(seed_for(self._seed, epoch, "lessons"))
            self._order = epoch, rng.permutation(len(self._patches.pictures))
        rows = np.sort(self._order[1][at * self._batch_size :][: self._batch_size])
        return as_batch(Patches(*(array[rows] for array in self._patches)), self._normalised)


def as_batch(patches: Patches, normalised) -> dict[str, Tensor]:
    """Tensors; `normalised` turns (N, 64, 64, 3) uint8 into what the network is shown, channels last."""
    patch = torch.from_numpy(normalised(patches.pictures)).movedim(3, 1)
    return {
        "patch": patch,
        "hair": torch.from_numpy(np.float32(patches.hair) / 255),
        "shares": torch.from_numpy(np.array(patches.shares)),
    }


class HairTaggerTraining:
    """Cross-entropy to the shares of the names, and binary cross-entropy to where hair is."""

    def __init__(self, config: Config, held_out: dict[str, Tensor], pictures: np.ndarray):
        self.config, self.device = config, torch.device("cpu")
        self.network = HairTagger(config.width, config.hidden)
        self.average = EMA(self.network, config.average)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), weight_decay=config.weight_decay, fused=True)
        self._held_out, self._pictures = held_out, pictures

    def step(self, batch: dict[str, Tensor], i: int) -> dict[str, Tensor]:
        names, look = self.network(batch["patch"])
        loss_name = F.cross_entropy(names, batch["shares"])
        loss_look = F.binary_cross_entropy_with_logits(look, batch["hair"])
        c = self.config
        set_learning_rate(
            [self.optimizer], ramped_cosine(i, peak=c.learning_rate, warm_up=c.warm_up, horizon=c.horizon)
        )
        update([self.optimizer], loss_name + self.config.look_weight * loss_look)
        self.average.update(self.network, i)
        return {"name": loss_name.detach(), "look": loss_look.detach()}

    def exported(self) -> HairTagger:
        """What the run is for: the averaged network, its logits divided by the temperature (Guo et al. 2017,
        https://arxiv.org/abs/1706.04599, §4.2)."""
        network = copy.deepcopy(self.average.network)
        with torch.no_grad():
            for parameter in network.name.parameters():
                parameter.div_(self.config.temperature)
        return network

    @torch.no_grad()
    def validate(self, i: int) -> dict[str, float]:
        """Of lessons of another style: cross-entropy, and the share whose likeliest name is the right one."""
        names, _ = self.exported()(self._held_out["patch"])
        shares = self._held_out["shares"]
        right = (names.argmax(1) == shares.argmax(1)).float().mean()
        return {"cross_entropy": F.cross_entropy(names, shares).item(), "right": right.item()}

    @torch.no_grad()
    def reliability(self, bins: int = 10) -> list[tuple[float, float, int]]:
        """Of the held-out lessons, in bins of the probability of the likeliest of the nine: its mean, the share of the
        lessons whose likeliest name it is, their number."""
        names, _ = self.exported()(self._held_out["patch"])
        sure, named = names.softmax(1)[:, :-1].max(1)
        right = named == self._held_out["shares"].argmax(1)
        which = (sure * bins).long().clamp(max=bins - 1)
        chosen = [which == number for number in range(bins)]
        return [
            (round(sure[rows].mean().item(), 4), round(right[rows].float().mean().item(), 4), int(rows.sum()))
            for rows in chosen
            if rows.any()
        ]

    @torch.no_grad()
    def sheet(self, i: int) -> np.ndarray:
        """(H, W, 3) uint8: held-out patches; below each its hair, as the network sees it."""
        _, look = self.exported()(self._held_out["patch"][:SHOWN])
        seen = F.interpolate(look.sigmoid()[:, None], size=self._pictures.shape[1:3])  # (SHOWN, 1, 64, 64)
        seen = seen.mul(255).byte().movedim(1, 3).expand(-1, -1, -1, 3).numpy()
        return grid(np.concatenate([self._pictures[:SHOWN], seen]), columns=SHOWN)
