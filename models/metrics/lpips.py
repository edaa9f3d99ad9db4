"""LPIPS, version 0.1: how different two pictures look, by the features of a network and weights that people's judgments
gave. Zhang et al.: "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018,
https://arxiv.org/abs/1801.03924. The network is VGG16; it is passed in, the weights are those that torchmetrics ships.
"""

import importlib.resources
from collections.abc import Callable

import torch
from torch import Tensor

BLOCKS = 5  # of VGG16
EPSILON = 1e-8  # of the squared length of a feature vector


class LPIPS:
    """The distance (N,) of pictures a and b, both (N, 3, H, W) RGB in [-1, 1]: 0 if they are equal.

    `features` maps such pictures in 0..1 to VGG16's relu1_2, relu2_2, relu3_3, relu4_3 and relu5_3; it normalizes them
    itself, by ImageNet's mean and standard deviation, which are LPIPS' own shift and scale."""

    def __init__(self, features: Callable[[Tensor], list[Tensor]]) -> None:
        self._features = features
        self._weights = load_weights()

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the distances, which have gradients if the pictures have."""
        return self.between(self.maps(a), self.maps(b))

    def between(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        """Return the distances of pictures of which `maps` returned these."""
        parts = zip(self._weights, a, b, strict=True)
        return torch.stack([(weights.to(x) * (x - y).square()).sum(1).mean((1, 2)) for weights, x, y in parts]).sum(0)

    def spread(self, pictures: Tensor) -> Tensor:
        """Return the mean distance, a scalar, of all pairs of pictures (N, 3, H, W) in [-1, 1]: of two or more."""
        count = len(pictures)
        found = pictures.new_zeros(())
        for weights, x in zip(self._weights, self.maps(pictures), strict=True):
            for i in range(count - 1):  # not all pairs at once, which would take memory
                found = found + (weights.to(x) * (x[i] - x[i + 1 :]).square()).sum(1).mean((1, 2)).sum()
        return found / (count * (count - 1) / 2)

    def maps(self, pictures: Tensor) -> list[Tensor]:
        """Return the maps (N, C, H', W') of all blocks, with vectors of length 1, of pictures in [-1, 1]."""
        maps = self._features((pictures + 1) / 2)
        return [x / (x.square().sum(1, keepdim=True) + EPSILON).sqrt() for x in maps]


def load_weights() -> list[Tensor]:
    """Return the weights (C, 1, 1) of the channels of each block: 0 or more."""
    file = importlib.resources.files("torchmetrics") / "functional/image/lpips_models/vgg.pth"
    with file.open("rb") as stream:
        state = torch.load(stream, map_location="cpu", weights_only=True)
    return [state[f"lin{block}.model.1.weight"][0] for block in range(BLOCKS)]
