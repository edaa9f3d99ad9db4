"""A network that predicts eyes, their openness, mouth and chin of drawn faces. The network is the caller's.

In shapes: N batch, S size of a crop. Columns of points: x0, y0, x1, y1 of the left and the right eye, x, y of mouth and
chin, in half sides of the crop from its middle.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.annotators.landmark_crops import Faces, exact_crops
from models.nn.ema import EMA
from models.nn.layers import to_channels_last
from models.sampling.images import grid
from models.training.update import ramped_cosine, set_learning_rate, update

HIDDEN_WEIGHT = 0.2  # of the box of an eye that is hidden, against one that shows
SHOWN = 40  # faces in a sheet
CLOSED, OPEN = 0.1, 0.9  # openness up to and from which validation calls an eye closed or open

Predict = Callable[[nn.Module, np.ndarray], np.ndarray]
"""(network, (N, S, S, 3) uint8) -> (N, 16): points, openness of both eyes, visible share of both."""


@dataclass(frozen=True)
class Config:
    """The settings of LandmarkTraining. The defaults gave the weights that are shipped."""

    faces: int = 40_000
    held_out: int = 600  # faces on top, for sheets and validation
    batch_size: int = 64
    learning_rate: float = 3e-3  # its peak
    warm_up: int = 200  # steps
    horizon: int = 9_000  # steps: where the cosine ends
    weight_decay: float = 1e-3
    average: float = 0.998  # decay of the weights' moving average, which is exported
    points_weight: float = 4.0
    boxes_weight: float = 1.0
    openness_weight: float = 4.0
    visible_weight: float = 0.6
    steps: int = 9_000
    sample_every: int = 1_000
    save_every: int = 200


PRESETS = {
    "full": Config(),
    "tiny": Config(faces=48, held_out=8, batch_size=8, warm_up=5, horizon=20, steps=20, sample_every=10, save_every=10),
}


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """Return the IoU of boxes x0, y0, x1, y1; (..., 4), (..., 4) -> (...)."""
    extent = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0)
    shared = extent.prod(-1)
    areas = ((each[..., 2:] - each[..., :2]).clamp(min=0).prod(-1) for each in (a, b))
    return shared / (sum(areas) - shared).clamp(min=1e-6)


def losses_of(output: Tensor, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the losses of a network's output (N, 16): smooth L1 of the points and of the openness (Girshick 2015,
    https://arxiv.org/abs/1504.08083), 1 - IoU of the eyes' boxes, and cross-entropy of the visible share.

    Openness counts as far as an eye shows."""
    points, openness, visible = output[:, :12], output[:, 12:14], output[:, 14:]
    shown = (2 * batch["visible"]).clamp(max=1)  # (N, 2)
    weight = HIDDEN_WEIGHT + (1 - HIDDEN_WEIGHT) * shown
    apart = F.smooth_l1_loss(points, batch["points"], reduction="none", beta=0.03)
    boxes, expected = points[:, :8].unflatten(1, (2, 4)), batch["points"][:, :8].unflatten(1, (2, 4))
    off = F.smooth_l1_loss(openness.sigmoid(), batch["openness"], reduction="none", beta=0.1)
    return {
        "points": (apart[:, :8].unflatten(1, (2, 4)).mean(2) * weight).mean() + 0.5 * apart[:, 8:].mean(),
        "boxes": ((1 - overlap(boxes, expected)) * weight).sum() / weight.sum(),
        "openness": (off * shown).sum() / shown.sum().clamp(min=1),
        "visible": F.binary_cross_entropy_with_logits(visible, batch["visible"]),
    }


class LandmarkTraining:
    """The training of a landmark network, which maps (N, 3, S, S) to (N, 16); `predict` is its use."""

    def __init__(self, config: Config, network: nn.Module, predict: Predict, held_out: Faces) -> None:
        self.config, self.device, self._predict = config, torch.device("cpu"), predict
        self.network: Any = to_channels_last(network)
        self.average = EMA(self.network, config.average)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), weight_decay=config.weight_decay, fused=True)
        self._crops, self._targets = exact_crops(held_out)

    def step(self, batch: dict[str, Tensor], i: int) -> dict[str, Tensor]:
        """Return the losses of `losses_of`."""
        c = self.config
        losses = losses_of(self.network(batch["picture"].contiguous(memory_format=torch.channels_last)), batch)
        rate = ramped_cosine(i, peak=c.learning_rate, warm_up=c.warm_up, horizon=c.horizon)
        set_learning_rate([self.optimizer], rate)
        total = (
            c.points_weight * losses["points"]
            + c.boxes_weight * losses["boxes"]
            + c.openness_weight * losses["openness"]
            + c.visible_weight * losses["visible"]
        )
        update([self.optimizer], total)
        self.average.update(self.network, i)
        return {name: loss.detach() for name, loss in losses.items()}

    def exported(self) -> dict[str, nn.Module]:
        """Return the averaged network."""
        return {"landmarks": self.average.network}

    def validate(self, i: int) -> dict[str, float]:
        """Return, over the held-out eyes that show for the most part: the mean error of openness plus 1 - IoU; both
        alone; the correlation of openness; the mean openness of closed and of open eyes."""
        found = self._predict(self.average.network, self._crops)
        shown = self._targets[:, 14:] > 0.5
        boxes = (torch.from_numpy(each[:, :8].reshape(-1, 2, 4)) for each in (found, self._targets))
        iou = overlap(*boxes).numpy()[shown].mean()
        openness, truth = found[:, 12:14][shown], self._targets[:, 12:14][shown]
        off = np.abs(openness - truth).mean()
        closed, opened = (openness[chosen] for chosen in (truth <= CLOSED, truth >= OPEN))
        values = {
            "error": off + 1 - iou,
            "openness": off,
            "iou": iou,
            "correlation": np.corrcoef(openness, truth)[0, 1],
            "closed": closed.mean() if len(closed) else 0.0,
            "open": opened.mean() if len(opened) else 1.0,
        }
        return {name: float(value) for name, value in values.items()}

    def reliability(self, bins: int = 10) -> list[tuple[float, float, int]]:
        """Return (mean predicted openness, mean true openness, number of eyes) of the held-out eyes that show, in bins
        of the predicted openness."""
        found = self._predict(self.average.network, self._crops)
        shown = self._targets[:, 14:] > 0.5
        openness, truth = found[:, 12:14][shown], self._targets[:, 12:14][shown]
        which = (openness * bins).astype(int).clip(max=bins - 1)
        rows = [which == number for number in range(bins)]
        return [
            (round(float(openness[row].mean()), 4), round(float(truth[row].mean()), 4), int(row.sum()))
            for row in rows
            if row.any()
        ]

    def sheet(self, i: int) -> np.ndarray:
        """Return (H, W, 3) uint8: held-out faces with the eyes' boxes, whose left edge is filled as far as they are
        open, red if they show and grey if not, and the mouth and the chin."""
        crops = self._crops[:SHOWN]
        shown = []
        for crop, row in zip(crops, self._predict(self.average.network, crops), strict=True):
            large = cv2.resize(crop, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
            places = (np.clip(row[:12], -1.5, 1.5) + 1) * len(large) / 2
            for box, openness, visible in zip(places[:8].reshape(2, 4), row[12:14], row[14:], strict=True):
                (x0, y0, x1, y1), color = box.round().astype(int).tolist(), (255, 0, 0) if visible > 0.5 else (128,) * 3
                cv2.rectangle(large, (x0, y0), (x1, y1), color, 1)
                cv2.line(large, (x0, y1), (x0, round(y1 - (y1 - y0) * float(openness))), color, 4)
            for x, y in places[8:].reshape(2, 2).round().astype(int).tolist():
                cv2.circle(large, (x, y), 2, (0, 160, 0), -1)
            shown.append(large)
        return grid(np.stack(shown), columns=min(10, len(shown)))
