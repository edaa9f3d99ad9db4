"""Pictures side by side, as (H, W, 3) uint8."""

import numpy as np
import torch
from torch import Tensor, nn

AT_ONCE = 100  # pictures painted at once, so that a large sheet needs no more memory than a batch


@torch.no_grad()
def generate_images(network: nn.Module, *inputs: Tensor) -> np.ndarray:
    """(N, S, S, 3) uint8 pictures of a network in evaluation mode whose zero is the grey level `network.middle`."""
    if network.training:
        raise ValueError("a network in training mode would change its batch statistics")
    parts = []
    for part in zip(*(tensor.split(AT_ONCE) for tensor in inputs), strict=True):
        pixels = (network(*part).float() * network.middle + network.middle).round().clamp(0, 255)
        parts.append(pixels.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy())
    return np.concatenate(parts)


def grid(pictures: np.ndarray, columns: int) -> np.ndarray:
    """(N, S, S, 3) -> rows of so many, the last filled up with white."""
    count, size = pictures.shape[:2]
    rows = -(-count // columns)
    blank = np.full((rows * columns - count, *pictures.shape[1:]), 255, np.uint8)
    cells = np.concatenate([pictures, blank]).reshape(rows, columns, size, size, 3)
    return cells.swapaxes(1, 2).reshape(rows * size, columns * size, 3)
