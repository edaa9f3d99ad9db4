"""A classifier of a dataset's own tags, for those that no network of ours knows: logistic regression on features."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.contracts import FaceDataset
from models.data.dataset import HAIR_COLORS
from models.data.labels import conditions, is_alone

SIZE = 64  # px, of images whose features are classified
MAX_FACES = 2000  # of each side
MIN_EACH = 30  # training faces with a tag, and without it
MIN_EACH_HELD_OUT = 5  # the same of held-out faces
MIN_ACCURACY = 0.75  # of a tag on held-out faces, the mean of those with it and those without
WEIGHT_DECAY = 1e-3


@dataclass(frozen=True)
class Probe:
    """Features (N, F) -> the tags of each."""

    names: list[str]
    weight: Tensor  # (F, T)
    bias: Tensor  # (T,)

    def __call__(self, features: Tensor) -> list[set[str]]:
        """Return the tags of each row."""
        rows = (features @ self.weight + self.bias > 0).tolist()
        return [{name for name, has in zip(self.names, row, strict=True) if has} for row in rows]


def learn_tags(dataset: FaceDataset, extract: Callable[[np.ndarray], Tensor]) -> tuple[Probe, dict[str, float]]:
    """Return `fit_probe` of the tags of a dataset, from the features of its faces at SIZE. Only faces that are alone in
    their picture count, since a picture's tags may be of any face in it. Hair colours are left to the hair tagger."""
    train = dataset.split("train")
    counts = Counter(tag for tags in train["tags"].to_pylist() for tag in set(tags))
    hair = {f"{color}_hair" for color in HAIR_COLORS}
    names = tuple(sorted(tag for tag, count in counts.items() if count >= MIN_EACH and tag not in hair))
    if not names:
        return Probe([], torch.zeros(0, 0), torch.zeros(0)), {}
    sides: list[tuple[Tensor, np.ndarray]] = []
    for splits in (("train",), ("val", "test")):
        tables = [(split, dataset.split(split)) for split in splits]
        alone = [np.flatnonzero(is_alone(table))[:MAX_FACES] for _, table in tables]
        pixels = [dataset.pixels(split, SIZE)[rows] for (split, _), rows in zip(tables, alone, strict=True)]
        has = [conditions(table, names)[rows] for (_, table), rows in zip(tables, alone, strict=True)]
        sides.append((extract(np.concatenate(pixels)), np.concatenate(has)))
    return fit_probe(list(names), *sides[0], *sides[1])


def fit_probe(
    names: list[str], features: Tensor, has: np.ndarray, held_out: Tensor, held_out_has: np.ndarray
) -> tuple[Probe, dict[str, float]]:
    """Return (a classifier of those tags that it tells apart on every other held-out face, the accuracy of each on the
    rest: that of chosen tags on the faces that they were chosen by would be too high).

    Features are (N, F), tags (N, T) of 0 and 1; both kinds of faces weigh the same, however rare a tag is."""
    y, y_held_out = torch.from_numpy(has).float(), torch.from_numpy(held_out_has).float()
    enough = _fewest(y) >= MIN_EACH
    enough &= torch.minimum(_fewest(y_held_out[::2]), _fewest(y_held_out[1::2])) >= MIN_EACH_HELD_OUT
    columns = torch.nonzero(enough).flatten()
    if not len(columns):
        return Probe([], torch.zeros(features.shape[1], 0), torch.zeros(0)), {}
    y, y_held_out = y[:, columns], y_held_out[:, columns]
    mean, std = features.mean(0), features.std(0) + 1e-6
    weight, bias = _regress((features - mean) / std, y)
    weight = weight / std[:, None]
    bias = bias - mean @ weight
    is_right = ((held_out @ weight + bias > 0) == (y_held_out > 0)).float()
    chosen_by, accuracy = (_balanced(is_right[half::2], y_held_out[half::2]) for half in (0, 1))
    kept = torch.nonzero(chosen_by >= MIN_ACCURACY).flatten()
    found = [names[int(columns[i])] for i in kept]
    return Probe(found, weight[:, kept], bias[kept]), dict(zip(found, accuracy[kept].tolist(), strict=True))


def _balanced(is_right: Tensor, y: Tensor) -> Tensor:
    """Return, of each column, the mean of the accuracies of rows with y = 1 and of those with y = 0."""
    with_it, without = ((is_right * side).sum(0) / side.sum(0) for side in (y, 1 - y))
    return (with_it + without) / 2


def _fewest(y: Tensor) -> Tensor:
    """Return, of each column of 0 and 1, how often the rarer one occurs."""
    return torch.minimum(y.sum(0), (1 - y).sum(0))


def _regress(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return weights (F, T) and biases (T,) of logistic regressions, by L-BFGS."""
    weight = torch.zeros(x.shape[1], y.shape[1], requires_grad=True)
    bias = torch.zeros(y.shape[1], requires_grad=True)
    share = y.mean(0)
    balance = y / share + (1 - y) / (1 - share)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(x @ weight + bias, y, balance) * y.shape[1]
        loss = loss + WEIGHT_DECAY * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return weight.detach(), bias.detach()
