"""A kernel distance for use while training: KID by the features of a convolutional network with random weights.

It needs no file, so every run is judged by the same network, and resuming never meets another one. Random features tell
unusual images apart as well as learned ones do, drawings too: Naeem et al. 2020, https://arxiv.org/abs/2002.09797, §4.

Features are whitened with the real images' mean and covariance. Without that, brightness alone makes up most of the
distance: nine faces repeated, or a blur, then vanish in the noise of the estimate.
"""

import numpy as np
import torch
from torch import Tensor, nn

from models.metrics.distances import kernel_distance

WIDTHS = (32, 64, 128, 256)  # of pairs of 3 × 3 convolutions, with 2 × 2 pooling between
MAX_COMPONENTS = 200  # of the features, after whitening
IMAGES_PER_COMPONENT = 2  # of the real images, at least: fewer do not tell how much a component varies
BATCH_SIZE = 64  # images


class KernelDistance:
    """The KID of fakes to `real` images, both (N, S, S, 3) uint8. Equal images give equal numbers on one device."""

    def __init__(self, real: np.ndarray, device: torch.device) -> None:
        self._network = _random_network().to(device)
        self._device = device
        of_real = self._features(real).double()
        self._mean = of_real.mean(0)
        _, scales, axes = torch.linalg.svd(of_real - self._mean, full_matrices=False)
        count = min(MAX_COMPONENTS, max(1, len(real) // IMAGES_PER_COMPONENT))
        self._whiten = axes[:count].T / (scales[:count] / len(real) ** 0.5).clamp(min=1e-6)
        self._real = self._whitened(of_real)

    def __call__(self, fake: np.ndarray) -> float:
        """Return the distance of fakes: of all at once, as KID's blocks would only add noise."""
        return float(kernel_distance(self._real, self._whitened(self._features(fake).double())))

    def _whitened(self, features: Tensor) -> Tensor:
        """Return (N, C): the components of which the real images have mean 0 and variance 1."""
        return (features - self._mean) @ self._whiten

    @torch.no_grad()
    def _features(self, pictures: np.ndarray) -> Tensor:
        """Return (N, F), on the CPU: means and standard deviations of each channel of the maps at each resolution."""
        found = []
        for start in range(0, len(pictures), BATCH_SIZE):
            x = torch.from_numpy(np.array(pictures[start : start + BATCH_SIZE])).to(self._device)
            x = x.permute(0, 3, 1, 2).float() / 127.5 - 1
            parts = []
            for layers in self._network:
                x = layers(x)
                parts += [x.mean((2, 3)), x.std((2, 3))]
            found.append(torch.cat(parts, dim=1).cpu())
        return torch.cat(found)


def _random_network() -> nn.Sequential:
    """Return (N, 3, S, S) in [-1, 1] -> maps at S, S/2, …, with He's weights: the same in every process."""
    rng = torch.Generator().manual_seed(0)
    stages, before = [], 3
    for level, width in enumerate(WIDTHS):
        pool = nn.AvgPool2d(2, ceil_mode=True) if level else nn.Identity()
        convolutions = [
            nn.Conv2d(features, width, 3, padding=1, bias=False, dtype=torch.float32) for features in (before, width)
        ]
        for layer in convolutions:
            nn.init.kaiming_normal_(layer.weight, generator=rng)
        stages.append(nn.Sequential(pool, convolutions[0], nn.ReLU(), convolutions[1], nn.ReLU()))
        before = width
    return nn.Sequential(*stages).requires_grad_(False).eval()
