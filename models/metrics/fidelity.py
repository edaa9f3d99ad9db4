"""How near pictures are to the truth, pixel by pixel: PSNR and SSIM as papers on super-resolution measure them, on the
luma Y of ITU-R BT.601 (16 to 235), without a border as wide as the scale."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

BORDER_PX = 4
LUMA, LUMA_OFFSET = (65.481 / 255, 128.553 / 255, 24.966 / 255), 16.0  # of red, green and blue, 0 to 255
PEAK = 255.0
WINDOW_PX, WINDOW_SIGMA = 11, 1.5  # of SSIM
STABILITY = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2  # of SSIM: its C1 and C2


def psnr(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the peak signal-to-noise ratio (N,) in dB of pictures (N, H, W, 3) uint8: infinite for equal ones."""
    error = (_luma(a) - _luma(b)).square().mean((1, 2, 3))
    return (10 * torch.log10(PEAK**2 / error)).numpy()


def ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the structural similarity (N,), 1 for equal ones, of pictures (N, H, W, 3) uint8, of 19 px or more.

    Wang et al.: "Image Quality Assessment: From Error Visibility to Structural Similarity", 2004."""
    x, y = _luma(a), _luma(b)
    mean_x, mean_y = _blurred(x), _blurred(y)
    variance_x, variance_y = _blurred(x * x) - mean_x**2, _blurred(y * y) - mean_y**2
    covariance = _blurred(x * y) - mean_x * mean_y
    c1, c2 = STABILITY
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    likeness = likeness / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))
    return likeness.mean((1, 2, 3)).numpy()


def _luma(pictures: np.ndarray) -> Tensor:
    """Return (N, 1, H - 2 BORDER_PX, W - 2 BORDER_PX) float64."""
    inner = pictures[:, BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX]
    return torch.from_numpy(inner @ np.array(LUMA) + LUMA_OFFSET)[:, None]


def _blurred(x: Tensor) -> Tensor:
    """Return the weighted means of all windows that lie in the picture."""
    place = torch.arange(WINDOW_PX, dtype=x.dtype) - WINDOW_PX // 2
    weights = torch.exp(-place.square() / (2 * WINDOW_SIGMA**2))
    weights = weights / weights.sum()
    return F.conv2d(F.conv2d(x, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1))
