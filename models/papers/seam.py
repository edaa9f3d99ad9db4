"""The border of a pasted region, corrected by a network: what the article that animates eyes says is still to be done.

It is trained on still faces alone, without blinks: a strip of a face is disturbed as a network's output is (brightness,
contrast, a shift, blur) and pasted back, and has to become what it was: wholly at the border, less and less over the
ring inside it. Outside the box nothing changes. In the middle of the strip lies something else than in the face, as a
closed eye is pasted over an open one: there the network must not bring back what it sees in the face.

Pictures are in [-1, 1]. In shapes: N batch, S side.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models import distributed
from models.contracts import HeldOut
from models.data.batches import in_range, to_pixels
from models.metrics.seam import seam_score
from models.nn.ema import EMA
from models.nn.layers import to_channels_last
from models.nn.losses import as_fp32
from models.nn.pasted import Pasted
from models.sampling.images import grid
from models.seeds import seed_for
from models.training.update import Update, ramped_cosine, set_learning_rate

DILATIONS = (1, 2, 4, 2)
MAX_GAIN, MAX_OFFSET = 0.06, 8 / 255  # 6 %, 4 grey levels
COARSE = 2.5  # how much coarser than the face a network's output may be
MAX_SHIFT = 1.0  # px
BOX_WIDTHS, BOX_HEIGHTS = (0.15, 0.75), (0.4, 1.1)  # of S, and of the width: one eye, or both
EDGE_PX = 6  # least distance of a box from the picture's edge
OTHER_SIDES = (0.3, 0.85)  # of the box: the ellipse in which something else lies
DRAWS = 15  # random numbers that a picture's box, disturbance and ellipse take
CONTRAST = 10  # of the difference between paste and face, which is small beside both
SHEET_FACES = 6
VALIDATION_FACES = 64


@dataclass(frozen=True)
class Config:
    """The settings of SeamTrainer."""

    size: int = 128  # S
    width: int = 32
    ring: int = 12  # px, from the border inwards, in which the paste is changed
    gradient_weight: float = 1.0
    hflip: bool = True
    batch_size: int = 16
    micro_batches: int = 1
    learning_rate: float = 2e-4
    beta1: float = 0.9
    horizon: int = 0  # steps, over which the learning rate falls to 0; 0: it stays
    average: float = 0.999
    steps: int = 20_000
    sample_every: int = 500
    save_every: int = 1000

    @property
    def pictures(self) -> int:
        """Return the number of faces in a step."""
        return self.batch_size


PRESETS = {
    "article": Config(),
    "paper": Config(),
    "small": replace(Config(), width=16, batch_size=8, learning_rate=2e-3, steps=4_000, horizon=4_000, save_every=500),
    "tiny": replace(
        Config(), size=48, width=4, ring=4, batch_size=4, average=0.9, steps=20, sample_every=10, save_every=10
    ),
}


class SeamRefiner(nn.Module):
    """A face with a pasted box (N, 3, S, S), the box's ring (N, 1, S, S), and the face without it (N, 3, S, S) -> the
    face with the paste fitted to its border (N, 3, S, S)."""

    middle = 127.5

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.size, self.ring = c.size, c.ring
        layers: list[nn.Module] = [nn.Conv2d(7, c.width, 3, padding=1), nn.LeakyReLU(0.2, inplace=True)]
        for dilation in DILATIONS:
            conv = nn.Conv2d(c.width, c.width, 3, padding=dilation, dilation=dilation)
            layers += [conv, nn.LeakyReLU(0.2, inplace=True)]
        last = nn.Conv2d(c.width, 3, 3, padding=1)
        self.layers = nn.Sequential(*layers, last)
        for conv in (module for module in self.layers if isinstance(module, nn.Conv2d)):
            nn.init.kaiming_normal_(conv.weight, 0.2)
            assert conv.bias is not None
            nn.init.zeros_(conv.bias)
        nn.init.zeros_(last.weight)  # the paste itself, at first

    def forward(self, pasted: Tensor, ring: Tensor, original: Tensor) -> Tensor:
        """Return the face; outside the ring it is `pasted`, to the bit."""
        residual: Tensor = self.layers(torch.cat([pasted, ring, CONTRAST * (original - pasted)], 1))
        return pasted + residual * ring

    def io_shapes(self) -> tuple[list[tuple[int, ...]], tuple[int, ...]]:
        """Return the shapes of the inputs for one face, and of the output."""
        face, mask = (1, 3, self.size, self.size), (1, 1, self.size, self.size)
        return [face, mask, face], face


def random_boxes(draws: Tensor, size: int) -> Tensor:
    """Return (N, 4) boxes of the shape of eyes, x0, y0, x1, y1, from draws (N, 4) of U(0, 1)."""
    (narrow, wide), (low, high) = BOX_WIDTHS, BOX_HEIGHTS
    width = size * (narrow + (wide - narrow) * draws[:, 0])
    height = width * (low + (high - low) * draws[:, 1])
    sides = torch.stack([width, height], 1).long().clamp(max=size - 2 * EDGE_PX - 1)
    first = EDGE_PX + (draws[:, 2:] * (size - 2 * EDGE_PX - sides + 1)).long()
    return torch.cat([first, first + sides], 1)


def disturb(face: Tensor, draws: Tensor) -> Tensor:
    """Return faces (N, 3, S, S) changed as a network's output is, by draws (N, 9) of U(0, 1)."""
    signed = 2 * draws[:, :8] - 1
    gain, offset = 1 + MAX_GAIN * signed[:, :3], MAX_OFFSET * signed[:, 3:6]
    move = torch.eye(2, 3, dtype=face.dtype, device=face.device).repeat(len(face), 1, 1)
    move[:, :, 2] = MAX_SHIFT * signed[:, 6:8] * 2 / face.shape[-1]
    grid_ = F.affine_grid(move, list(face.shape), align_corners=False)
    moved = F.grid_sample(face, grid_, padding_mode="border", align_corners=False)
    size = face.shape[2:]
    small = F.interpolate(moved, scale_factor=1 / COARSE, mode="bilinear", antialias=True)
    coarse = F.interpolate(small, size=size, mode="bicubic")
    moved = torch.lerp(moved, coarse, draws[:, 8, None, None, None].to(moved))
    return (moved * gain[:, :, None, None] + offset[:, :, None, None]).clamp(-1, 1)


def with_other(face: Tensor, boxes: Tensor, draws: Tensor) -> Tensor:
    """Return faces (N, 3, S, S) with another part of the face in an ellipse in the middle of each box (N, 4), whose
    sides are drawn (N, 2) of U(0, 1)."""
    size = face.shape[-1]
    low, high = OTHER_SIDES
    middle, half = (boxes[:, :2] + boxes[:, 2:] - 1) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    place = torch.arange(size, device=face.device)
    x, y = ((place - middle[:, axis, None]) / (half * (low + (high - low) * draws))[:, axis, None] for axis in (0, 1))
    inside = x.square()[:, None, None, :] + y.square()[:, None, :, None] < 1  # (N, 1, S, S)
    return torch.where(inside, face.roll((size // 3, size // 4), (2, 3)), face)


class SeamTrainer:
    """The training on still faces."""

    def __init__(self, config: Config, device: torch.device, held_out: Mapping[str, HeldOut]) -> None:
        self.config, self.device, self.held_out = config, device, held_out
        self.g = to_channels_last(SeamRefiner(config).to(device))
        self.average = EMA(self.g, config.average)
        betas = (config.beta1, 0.999)
        self.opt = torch.optim.Adam(self.g.parameters(), config.learning_rate, betas, fused=True)

    def step(self, batch: dict[str, Tensor], i: int) -> dict[str, Tensor]:
        """Return the losses."""
        if self.config.horizon:
            rate = ramped_cosine(i, peak=self.config.learning_rate, warm_up=1, horizon=self.config.horizon)
            set_learning_rate([self.opt], rate)
        update = Update([self.opt])
        draws = distributed.shard(torch.rand(self.config.pictures, DRAWS, device=self.device))
        for pasted, target in self._parts(in_range(batch["picture"], self.g.middle), draws):
            error = as_fp32(self.g(*pasted)) - target
            area = (pasted.ring > 0).sum((1, 2, 3))
            found = {"error": (error.abs().sum((1, 2, 3)) / area).mean()}
            slopes = error.diff(dim=2).abs().sum((1, 2, 3)) + error.diff(dim=3).abs().sum((1, 2, 3))
            found["gradient"] = self.config.gradient_weight * (slopes / area).mean()
            update.add(torch.stack([*found.values()]).sum(), keep_graph=False, **found)
        update.apply()
        self.average.update(self.g, i)
        return update.mean_components()

    def _parts(self, faces: Tensor, draws: Tensor) -> Iterator[tuple[Pasted, Tensor]]:
        """Yield micro-batches of faces (N, 3, S, S) with disturbed strips, by draws (N, DRAWS) of U(0, 1), and what is
        to be made of them."""
        count = self.config.micro_batches
        for face, draw in zip(faces.chunk(count), draws.chunk(count), strict=True):
            yield self._disturbed(face, draw)[:2]

    def _disturbed(self, face: Tensor, draws: Tensor) -> tuple[Pasted, Tensor, Tensor]:
        """Return (faces with disturbed strips, what is to be made of them, boxes (N, 4))."""
        ring = self.config.ring
        boxes = random_boxes(draws[:, :4], self.config.size)
        clean = with_other(face, boxes, draws[:, 13:])
        pasted = Pasted.of(face, disturb(clean, draws[:, 4:13]), boxes, ring)
        return pasted, pasted.faces + pasted.ring * (clean - pasted.faces), boxes

    def exported(self) -> dict[str, nn.Module]:
        """Return the averaged network."""
        return {"refiner": self.average.network}

    @torch.no_grad()
    def _refine(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return held-out faces pasted, and refined (N, S, S, 3) uint8, and their boxes (N, 4): always the same."""
        pictures = self.held_out["faces"].pictures[:count]
        draws = torch.rand(len(pictures), DRAWS, generator=torch.Generator().manual_seed(seed_for("seams")))
        face = in_range(torch.from_numpy(np.array(pictures)), self.g.middle)
        pasted, _, boxes = self._disturbed(face, draws.to(face))
        shown = (pasted.faces, self.average.network(*(tensor.to(self.device) for tensor in pasted)).cpu())
        before, after = (to_pixels(faces, self.g.middle) for faces in shown)
        return before, after, boxes.numpy()

    def sheet(self, i: int) -> np.ndarray:
        """Return (H, W, 3) uint8: held-out faces with a disturbed strip, and below them the same refined."""
        before, after, _ = self._refine(SHEET_FACES)
        return grid(np.concatenate([before, after]), columns=len(before))

    def validate(self, i: int) -> dict[str, float]:
        """Return the mean seam score of refined held-out faces, and that of the hard paste."""
        before, after, boxes = self._refine(VALIDATION_FACES)
        scores = [
            [seam_score(face, tuple(box)) for face, box in zip(faces, boxes, strict=True)] for faces in (after, before)
        ]
        refined, hard = (float(np.mean(each)) for each in scores)
        return {"seam": refined, "hard": hard}
