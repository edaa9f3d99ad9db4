"""Images of a generator, alone and side by side."""

from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from models.data.batches import to_pixels

BATCH_SIZE = 100  # images generated at a time, so that a large sheet needs no more memory than a batch


@torch.no_grad()
def generate_images(network: Any, *inputs: Tensor) -> np.ndarray:
    """Return (N, S, S, 3) uint8 images of a `contracts.Generator`. Raise ValueError if it is in training mode."""
    if network.training:
        raise ValueError("a network in training mode would change its batch statistics")
    parts = zip(*(tensor.split(BATCH_SIZE) for tensor in inputs), strict=True)
    return np.concatenate([to_pixels(network(*part), network.middle) for part in parts])


def grid(pictures: np.ndarray, columns: int) -> np.ndarray:
    """Return (N, S, S, 3) uint8 images in rows of `columns`, as (H, W, 3), the last row filled up with white."""
    count, size = pictures.shape[:2]
    rows = -(-count // columns)
    blank = np.full((rows * columns - count, *pictures.shape[1:]), 255, np.uint8)
    cells = np.concatenate([pictures, blank]).reshape(rows, columns, size, size, 3)
    return cells.swapaxes(1, 2).reshape(rows * size, columns * size, 3)


def with_headings(sheet: np.ndarray, headings: list[str]) -> np.ndarray:
    """Return a sheet (H, W, 3) uint8 with a white line above it that names its columns."""
    width = sheet.shape[1] // len(headings)
    height = max(8, width // 5)  # of the letters
    line, font = Image.new("RGB", (sheet.shape[1], 2 * height), "white"), ImageFont.load_default(size=height)
    draw = ImageDraw.Draw(line)
    for column, heading in enumerate(headings):
        draw.text((width * (column + 0.5), line.height / 2), heading, "black", font, anchor="mm")
    return np.concatenate([np.asarray(line), sheet])


def with_caption(sheet: np.ndarray, caption: str) -> np.ndarray:
    """Return a sheet (H, W, 3) uint8 with a white line above it that begins with a text."""
    height = max(11, sheet.shape[1] // 60)  # of the letters
    line, font = Image.new("RGB", (sheet.shape[1], 2 * height), "white"), ImageFont.load_default(size=height)
    ImageDraw.Draw(line).text((height // 2, height), caption, "black", font, anchor="lm")
    return np.concatenate([np.asarray(line), sheet])
