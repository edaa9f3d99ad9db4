"""The perceptual loss: how far apart two pictures are in the features of VGG16.

Johnson, Alahi, Fei-Fei: "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV 2016,
https://arxiv.org/abs/1603.08155.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.nn.losses import as_fp32
from models.nn.vgg import STD, VGG16

CAFFE_SCALE = 255 * sum(STD) / len(STD)
"""By how much features are larger in Caffe than in torch: its VGG16 takes grey levels, less their mean; torch's divides
them by 255 and the deviation. ReLU networks but for their biases pass a factor through."""


class PerceptualLoss:
    """The distance of pictures (N, 3, H, W) in 0..1: the sum over blocks of the mean |x - y| (l1), or (x - y)² (l2), of
    the features of a block's last convolution.

    `blocks` are numbers 1 to 5; features are those after the ReLU if they are `activated`."""

    def __init__(self, network: VGG16, blocks: Sequence[int], *, activated: bool, distance: str, scale: str) -> None:
        self._network, self._blocks, self._activated = network, blocks, activated
        self._is_squared = distance == "l2"
        self._scale = CAFFE_SCALE if scale == "caffe" else 1.0

    def __call__(self, pictures: Tensor, truth: Tensor) -> Tensor:
        """Return the loss, which has gradients of `pictures` alone."""
        with torch.no_grad():
            expected = self._features(truth)
        parts = []
        for x, y in zip(self._features(pictures), expected, strict=True):
            error = as_fp32(x) - as_fp32(y)
            parts.append(error.square().mean() if self._is_squared else error.abs().mean())
        return torch.stack(parts).sum() * self._scale ** (2 if self._is_squared else 1)

    def _features(self, pictures: Tensor) -> list[Tensor]:
        found = self._network.block_features(pictures, activated=self._activated, count=max(self._blocks))
        return [found[block - 1] for block in self._blocks]
