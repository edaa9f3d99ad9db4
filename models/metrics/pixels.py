"""What two sets of images have in common that pixels alone show: variety within a label, and grain."""

from collections.abc import Mapping

import numpy as np
import torch

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in sides of an image."""
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)

MAX_EACH = 100  # images of a label that are compared with each other
MIN_GRAIN_PX = 16  # px: in smaller images the frequencies of period two and their neighbors overlap
MIN_EACH = 10  # below, a label's variety is noise


def variety(fake: Mapping[str, np.ndarray], real: Mapping[str, np.ndarray], face: Box) -> dict[str, float]:
    """Return, by label, how far apart the fakes of that label are, relative to its real images: 1 is as varied.

    The distance of two images (S, S, 3) uint8 is their root mean square difference in the box of the face, without the
    ground. Labels with fewer than MIN_EACH images on a side are left out."""
    return {
        label: _mean_distance(fake[label], face) / _mean_distance(real[label], face)
        for label in real
        if min(len(real[label]), len(fake.get(label, ()))) >= MIN_EACH
    }


def _mean_distance(pictures: np.ndarray, box: Box) -> float:
    """Return the mean distance of all pairs of the first MAX_EACH images (N, S, S, 3), in grey levels."""
    x0, y0, x1, y1 = (round(at * pictures.shape[1]) for at in box)
    inside = np.array(pictures[:MAX_EACH, max(0, y0) : y1, max(0, x0) : x1])
    flat = torch.from_numpy(inside.reshape(len(inside), -1)).double()
    return float(torch.pdist(flat).mean() / flat.shape[1] ** 0.5)


def grain(pictures: np.ndarray) -> float:
    """Return how much stronger a pattern of period two is in images (N, S, S, 3) uint8 than patterns just longer.

    It is the largest ratio, of the three frequencies of period two (columns, rows, checkerboard), of the mean power to
    that of the frequencies 2 to 4 bins away. Photographs and drawings have about 1, small ones somewhat more;
    upsampling by PixelShuffle or transposed convolution may leave much more. S is MIN_GRAIN_PX or more. Odena et al.
    2016, https://distill.pub/2016/deconv-checkerboard"""
    size = pictures.shape[1]
    if size < MIN_GRAIN_PX:
        raise ValueError(f"images of {MIN_GRAIN_PX} px or more expected, {size} px found")
    power = torch.zeros(size, size, dtype=torch.float64)
    for part in torch.from_numpy(np.array(pictures)).split(256):
        grey = part.double().mean(3)
        window = torch.hann_window(size, periodic=True, dtype=torch.float64)
        spectrum = torch.fft.fft2((grey - grey.mean((1, 2), keepdim=True)) * window[:, None] * window)
        power += spectrum.abs().square().sum(0)
    half = size // 2
    found = []
    for y, x in ((half, 0), (0, half), (half, half)):
        rolled = power.roll((4 - y, 4 - x), (0, 1))[:9, :9]  # the frequency is in its middle
        away = torch.maximum((torch.arange(9) - 4).abs()[:, None], (torch.arange(9) - 4).abs())
        ring = rolled[(away >= 2)]
        found.append(float(rolled[away <= 1].mean() / ring.mean()))
    return max(found)
