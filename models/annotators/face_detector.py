"""A detector of drawn faces, trained on scenes that are drawn for it.

CenterNet, Zhou, Wang, Krähenbühl: "Objects as Points", 2019, https://arxiv.org/abs/1904.07850, §3 and §4. The network
is the caller's. Departs from the paper in three things: the tilt of a face is predicted too, the cells next to a centre
predict its face too, and their loss is smooth L1 in place of L1.

In shapes: N batch, G cells a side.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.annotators.face_crops import Scenes
from models.nn.ema import EMA
from models.nn.layers import to_channels_last
from models.sampling.images import grid
from models.training.update import ramped_cosine, set_learning_rate, update

SHAPE_WEIGHTS = 0.5, 0.5, 2.0, 1.0, 1.0  # of x, y, log size, sine and cosine of the tilt
MIN_LOGIT = 0.0  # of the detections that sheets show and validation counts


@dataclass(frozen=True)
class Config:
    """The settings of FaceDetector: by default those of the weights that are shipped, an hour of one core."""

    scenes: int = 10_000
    held_out: int = 64  # scenes on top, for sheets and validation
    size: int = 128  # px: side of a crop, 8 G
    batch_size: int = 32
    learning_rate: float = 2.5e-3  # its peak
    warm_up: int = 200  # steps
    horizon: int = 4_500  # steps: where the cosine ends
    weight_decay: float = 1e-3
    average: float = 0.998  # decay of the weights' moving average, which is exported
    steps: int = 4_500
    sample_every: int = 900
    save_every: int = 500


PRESETS = {
    "full": Config(),
    "tiny": Config(
        scenes=48, held_out=4, size=64, batch_size=8, warm_up=5, horizon=20, steps=20, sample_every=10, save_every=10
    ),
}


def focal_loss(logit: Tensor, heat: Tensor, mask: Tensor) -> Tensor:
    """Return the penalty-reduced focal loss of CenterNet, eq. 1, with α = 2 and β = 4, over the cells of the `mask`;
    all (N, G, G). A centre is where the heat is 1."""
    probability, is_center = logit.sigmoid(), heat == 1
    at_centers = (1 - probability) ** 2 * F.logsigmoid(logit)
    elsewhere = (1 - heat) ** 4 * probability**2 * F.logsigmoid(-logit)
    return -(torch.where(is_center, at_centers, elsewhere) * mask).sum() / (is_center & mask).sum().clamp(min=1)


def shape_loss(predicted: Tensor, shape: Tensor, near: Tensor) -> Tensor:
    """Return smooth L1 (Girshick 2015, https://arxiv.org/abs/1504.08083) of predictions (N, 5, G, G), weighted with
    SHAPE_WEIGHTS, averaged over the cells `near` a face (N, G, G)."""
    errors = F.smooth_l1_loss(predicted, shape, reduction="none", beta=0.1).movedim(1, -1)
    return (errors @ predicted.new_tensor(SHAPE_WEIGHTS) * near).sum() / near.sum().clamp(min=1)


class FaceDetector:
    """The training of a detector. `network` maps (N, 3, 8 G, 8 G) to (N, 6, G, G), and has `peaks(picture)`, which
    returns (K, 5): x, y, side, tilt and logit of each candidate."""

    def __init__(self, config: Config, network: nn.Module, held_out: Scenes) -> None:
        self.config, self.held_out, self.device = config, held_out, torch.device("cpu")
        self.network: Any = to_channels_last(network)
        self.average = EMA(self.network, config.average)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), weight_decay=config.weight_decay, fused=True)

    def step(self, batch: dict[str, Tensor], i: int) -> dict[str, Tensor]:
        """Return the losses of heat and shape."""
        output = self.network(batch["picture"].contiguous(memory_format=torch.channels_last))  # (N, 6, G, G)
        loss_heat = focal_loss(output[:, 0], batch["heat"], batch["mask"])
        loss_shape = shape_loss(output[:, 1:], batch["shape"], batch["near"])
        c = self.config
        rate = ramped_cosine(i, peak=c.learning_rate, warm_up=c.warm_up, horizon=c.horizon)
        set_learning_rate([self.optimizer], rate)
        update([self.optimizer], loss_heat + loss_shape)
        self.average.update(self.network, i)
        return {"heat": loss_heat.detach(), "shape": loss_shape.detach()}

    def exported(self) -> dict[str, nn.Module]:
        """Return the averaged network."""
        return {"detector": self.average.network}

    def detections(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Return for each held-out scene: the picture at half its size, its faces (K, 5), the detections (L, 5)."""
        seen = []
        for scene, picture in enumerate(self.held_out.pictures):
            half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            peaks = self.average.network.peaks(half)
            seen.append((half, self.held_out.faces_of(scene) * (0.5, 0.5, 0.5, 1, 1), peaks[peaks[:, 4] > MIN_LOGIT]))
        return seen

    def sheet(self, i: int) -> np.ndarray:
        """Return (H, W, 3) uint8: held-out scenes with a square around each detection."""
        shown = []
        for picture, _, found in self.detections():
            picture = cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
            for x, y, side, tilt, _ in found:
                corners = cv2.boxPoints(((2 * x, 2 * y), (2 * side, 2 * side), tilt))
                cv2.polylines(picture, [np.int32(corners)], isClosed=True, color=(255, 0, 0), thickness=2)
            shown.append(picture)
        return grid(np.stack(shown[:32]), columns=8)

    def validate(self, i: int) -> dict[str, float]:
        """Return the share of clear held-out faces that are missed, and the false detections per clear face."""
        missed = others = clear = 0
        for _, faces, found in self.detections():
            apart = np.hypot(*(faces[:, None, :2] - found[None, :, :2]).transpose(2, 0, 1)) / faces[:, 2:3]  # (K, L)
            is_near, is_clear = apart < 0.5, faces[:, 4] > 0
            clear += is_clear.sum()
            missed += (is_clear & ~is_near.any(1)).sum()
            others += (~is_near.any(0)).sum()
        return {"missed": float(missed / max(1, clear)), "others": float(others / max(1, clear))}
