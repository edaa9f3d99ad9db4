"""Which domain a picture is of: a linear classifier of features."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

MEANS_SIDE = 8  # of the grid of mean colours that are features, too: a network's features say little of colour
STEPS = 100
WEIGHT_DECAY = 1e-3


def with_colors(features: Tensor, pictures: Tensor) -> Tensor:
    """Return features (N, F) with the mean colours of pictures (N, S, S, 3) uint8 in a grid: (N, F + 192)."""
    x = pictures.permute(0, 3, 1, 2).float() / 255
    return torch.cat([features, F.adaptive_avg_pool2d(x, MEANS_SIDE).flatten(1)], dim=1)


class DomainClassifier:
    """Features (N, F) -> the domain (N,) of each. Logistic regression; all domains count alike, whatever their sizes.

    It is trained on the features (M, F) of each domain, on the CPU."""

    def __init__(self, domains: Sequence[Tensor]) -> None:
        x = torch.cat([*domains])
        self._mean, self._std = x.mean(0), x.std(0) + 1e-6
        x = self._scaled(x)
        y = torch.cat([torch.full((len(features),), k) for k, features in enumerate(domains)])
        share = torch.tensor([1 / len(features) for features in domains])
        self._weight = torch.zeros(len(domains), x.shape[1], requires_grad=True)
        self._bias = torch.zeros(len(domains), requires_grad=True)
        optimizer = torch.optim.LBFGS([self._weight, self._bias], max_iter=STEPS, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimizer.zero_grad()
            found = F.cross_entropy(F.linear(x, self._weight, self._bias), y, share)
            found = found + WEIGHT_DECAY * self._weight.square().sum()
            found.backward()
            return found

        optimizer.step(loss)

    def _scaled(self, x: Tensor) -> Tensor:
        return (x - self._mean) / self._std

    @torch.no_grad()
    def __call__(self, features: Tensor) -> Tensor:
        """Return the domains."""
        return F.linear(self._scaled(features), self._weight, self._bias).argmax(1)
