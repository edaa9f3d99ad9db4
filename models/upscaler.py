"""The network of a run that makes pictures larger, used on pictures of any size, mode and depth.

Each picture is made apart from all others, a tile at a time: what is made of it does not depend on what else is made.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from models.data.resampling import SCALE
from models.runs import export
from models.sampling.tiles import Tiling, enlarged_strips, resampled_rows, resampled_strips

MAX_PIXELS = 1_600_000_000  # of what is made: 40,000 × 40,000
MAX_PIXELS_BETWEEN = 400_000_000  # of what the first of two passes makes, which is in memory: 1.2 GB
_PART = 64  # rows of floats that become whole numbers at once
_PALETTE_PART = 1 << 16  # pixels


def network_between(run: Path, share: float) -> Any:
    """Return the network whose weights are `share` of the run's last generator and 1 - share of what its phase 1 ended
    with: ESRGAN's network interpolation. Raise UserError."""
    network = export.load_network(run)
    if share == 1:
        return network
    before, weights = export.load_network(run, "pretrained").state_dict(), network.state_dict()
    mixed = {
        key: torch.lerp(before[key], value, share) if value.is_floating_point() else value
        for key, value in weights.items()
    }
    network.load_state_dict(mixed)
    return network


def new_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Return the size (height, width) of a picture that is made larger."""
    height, width = (max(1, round(side * scale)) for side in size)
    return height, width


def size_problem(size: tuple[int, int], scale: float) -> str | None:
    """Return why a picture of a size (height, width) cannot be made larger; None if it can."""
    height, width = new_size(size, scale)
    most = MAX_PIXELS / scale**2
    if scale > SCALE:
        most = min(most, MAX_PIXELS_BETWEEN / SCALE**2)
    if size[0] * size[1] <= most:
        return None
    side = int(most**0.5)
    made, fits = f"{width:,} × {height:,} px would be made", f"at that scale {side:,} × {side:,} px fit"
    return f"too large ({made}; {fits})"


class PictureUpscaler:
    """What makes pictures larger with a network."""

    def __init__(self, network: Any, device: torch.device) -> None:
        self._network, self._device = network.to(device), device

    def strips(self, pixels: np.ndarray, scale: float, side: int) -> Iterator[np.ndarray]:
        """Yield the larger picture made of (H, W, C) uint8 or uint16 as strips (h, new W, C) of the same type; C: 1
        grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha. `side`: px of what the network is shown at once.

        A picture of one colour keeps it. Alpha is resampled; under it, the colours of what is seen are continued."""
        size, white = new_size(pixels.shape[:2], scale), np.iinfo(pixels.dtype).max
        channels = 3 if pixels.shape[2] > 2 else 1
        colors, alpha = pixels[..., :channels], pixels[..., channels:]
        if alpha.size:
            colors = fill_transparent(colors, alpha[..., 0])
        start = 0
        for part in self._color_strips(colors, size, scale, side):
            end = start + len(part)
            if alpha.size:
                part = np.concatenate([part, _whole(resampled_rows(alpha, size, start, end) / white, pixels.dtype)], 2)
            yield part
            start = end

    def _color_strips(self, colors: np.ndarray, size: tuple[int, int], scale: float, side: int) -> Iterator[np.ndarray]:
        """Yield strips of _PART rows at most."""
        if (colors == colors[0, 0]).all():
            for start in range(0, size[0], _PART):
                yield np.broadcast_to(colors[0, 0], (min(_PART, size[0] - start), size[1], colors.shape[2]))
            return
        tiling = Tiling(SCALE, side, self._network.reach)
        if scale > SCALE:
            larger = np.empty((SCALE * colors.shape[0], SCALE * colors.shape[1], colors.shape[2]), colors.dtype)
            start = 0
            for strip in enlarged_strips(colors, self._enlarge, tiling):
                larger[start : start + len(strip)] = _whole(strip, colors.dtype)
                start += len(strip)
            colors = larger
        strips = enlarged_strips(colors, self._enlarge, tiling)
        between = (SCALE * colors.shape[0], SCALE * colors.shape[1])
        for strip in strips if between == size else resampled_strips(strips, between, size):
            for start in range(0, len(strip), _PART):
                yield _whole(strip[start : start + _PART], colors.dtype)

    @torch.inference_mode()
    def _enlarge(self, window: np.ndarray) -> np.ndarray:
        """Return (SCALE h, SCALE w, C) float32 of (h, w, C), C 1 or 3: an `Enlarge`, in 0..1 and a little beyond."""
        unit = torch.from_numpy(window.astype(np.float32) / np.float32(np.iinfo(window.dtype).max))
        made = self._network(unit.to(self._device).permute(2, 0, 1)[None].expand(-1, 3, -1, -1))[0]
        if window.shape[2] == 1:
            made = made.mean(0, keepdim=True)
        return made.permute(1, 2, 0).cpu().numpy()


def _whole(unit: np.ndarray, dtype: Any) -> np.ndarray:
    """Return pixels of 0..1 as whole numbers of that type."""
    return np.rint(unit.clip(0, 1) * np.float32(np.iinfo(dtype).max)).astype(dtype)


def fill_transparent(colors: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return (H, W, C) colours: where alpha (H, W) is 0, those of the nearest pixel where it is not; of a picture
    that is nowhere seen, 0."""
    is_hidden = alpha == 0
    if not is_hidden.any():
        return colors
    if is_hidden.all():
        return np.zeros_like(colors)
    _, labels = cv2.distanceTransformWithLabels(
        is_hidden.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros((labels.max() + 1, colors.shape[2]), colors.dtype)
    table[labels[~is_hidden]] = colors[~is_hidden]
    return table[labels]


def palette_numbers(strip: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Return the numbers (h, W, 1) uint8 of the nearest of a palette's colours (N, C), of each pixel of (h, W, C), C 3
    or 4 with alpha, by which colours are weighted."""
    known = _weighted(palette)
    norms = (known**2).sum(1) / 2
    flat, numbers = strip.reshape(-1, strip.shape[2]), np.empty(strip.shape[0] * strip.shape[1], np.uint8)
    for start in range(0, len(flat), _PALETTE_PART):
        part = _weighted(flat[start : start + _PALETTE_PART])
        numbers[start : start + len(part)] = (part @ known.T - norms).argmax(1)
    return numbers.reshape(*strip.shape[:2], 1)


def _weighted(pixels: np.ndarray) -> np.ndarray:
    found = pixels.astype(np.float32)
    if found.shape[1] == 4:
        found[:, :3] *= found[:, 3:] / 255
    return found
