"""The networks of a run that translates, loaded to be used on pictures.

In shapes: N pictures of S × S px, E numbers of a style.
"""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from models.data.batches import in_range, to_pixels
from models.papers import stargan2
from models.runs import export
from models.seeds import seed_for


class Translate(Protocol):
    """Pictures (N, S, S, 3) uint8 -> what `Translated` says."""

    def __call__(self, pictures: np.ndarray) -> "tuple[np.ndarray, np.ndarray, np.ndarray | None]":
        """Return (the pictures as the network is shown them, the translated ones: (N, S, S, 3) uint8 each; heat maps
        (N, h, w) of where it looked, or None)."""


class Direction:
    """One of U-GAT-IT's generators."""

    def __init__(self, run: Path, direction: str, device: torch.device) -> None:
        self._network = export.load_network(run, direction if direction == "b2a" else None).to(device)
        self._device = device

    @torch.no_grad()
    def __call__(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the pictures, their translations and heat maps."""
        output = self._network.translate(_tensor(pictures, self._network, self._device))
        return pictures, to_pixels(output.picture, self._network.middle), output.heat[:, 0].float().cpu().numpy()


class Style:
    """StarGAN v2's generator with one style, of the domain `target`; pictures are of the domain `source`. Both are
    numbers. The style is that of a seed, or of a reference (S, S, 3) uint8."""

    def __init__(
        self, run: Path, config: Any, source: int, target: int, device: torch.device, *, like: int | np.ndarray
    ) -> None:
        self._network, self._device, self._config = export.load_network(run).to(device), device, config
        self._source, self._target = self._one_hot(source), self._one_hot(target)
        self._style = self._drawn(run, like) if isinstance(like, int) else self._read(run, like)

    def _one_hot(self, domain: int) -> Tensor:
        return torch.eye(len(self._config.domains), device=self._device)[[domain]]

    @torch.no_grad()
    def _drawn(self, run: Path, seed: int) -> Tensor:
        """Return the style (1, E) of a seed."""
        mapping = export.load_network(run, "mapping").to(self._device)
        rng = torch.Generator().manual_seed(seed_for("style", seed))
        style: Tensor = mapping(mapping.noise(1, rng), self._target)
        return style

    @torch.no_grad()
    def _read(self, run: Path, reference: np.ndarray) -> Tensor:
        """Return the style (1, E) of a reference."""
        encoder = export.load_network(run, "style_encoder").to(self._device)
        x = _tensor(reference[None], self._network, self._device)
        style: Tensor = encoder(self._in_colors_of(self._target, x), self._target)
        return style

    def _in_colors_of(self, domain: Tensor, x: Tensor) -> Tensor:
        """Return x, grey if that domain is."""
        return stargan2.grayed(x, domain.expand(len(x), -1), self._config.is_gray)

    @torch.no_grad()
    def __call__(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray, None]:
        """Return the pictures in the colours of their domain, and their translations."""
        x = self._in_colors_of(self._source, _tensor(pictures, self._network, self._device))
        painted = self._in_colors_of(self._target, self._network(x, self._style.expand(len(x), -1)))
        return to_pixels(x, self._network.middle), to_pixels(painted, self._network.middle), None


def _tensor(pictures: np.ndarray, network: Any, device: torch.device) -> Tensor:
    """Return pictures (N, S, S, 3) uint8 as (N, 3, S, S) in the network's range."""
    return in_range(torch.from_numpy(np.array(pictures)).to(device), network.middle)
