"""The networks of a run that translates faces between domains, to be used: U-GAT-IT's two generators, or StarGAN v2's.

In shapes: N pictures, S px, E numbers of a style. Domains are numbers, in the order of `domains`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from models.data.batches import in_range, to_pixels
from models.papers import stargan2
from models.runs import export, settings
from models.seeds import seed_for

PART = 16  # pictures that are translated at once


class Translator(Protocol):
    """What translates."""

    domains: tuple[str, ...]
    is_gray: tuple[bool, ...]  # of each domain
    ways: tuple[str, ...]  # to choose a style: latent and reference; one empty word if there are no styles

    def shown(self, pictures: np.ndarray, domain: int) -> np.ndarray:
        """Return pictures (N, S, S, 3) uint8 of a domain as the networks know it: grey, if it is."""

    def translate(self, pictures: np.ndarray, target: int, way: str, references: np.ndarray, seed: int) -> np.ndarray:
        """Return (N, S, S, 3) uint8: pictures turned into another domain.

        `references` (M, S, S, 3) are pictures of that one; which of them, or which z, each picture's style is made of
        depends on `seed`."""


class PairTranslator:
    """U-GAT-IT: a face has one translation."""

    domains: tuple[str, ...]
    is_gray: tuple[bool, ...] = (False, False)
    ways: tuple[str, ...] = ("",)

    def __init__(self, run: Path, device: torch.device) -> None:
        saved = settings.read_settings(run)
        self.domains = (saved["dataset"]["name"], saved["datasets"]["b"]["name"])
        self._run, self._device = run, device
        self._loaded: dict[int, Any] = {}  # generators by target; the largest have a gigabyte

    def _to(self, target: int) -> Any:
        """Return the generator to a domain, loaded when it is used first."""
        if target not in self._loaded:
            self._loaded[target] = export.load_network(self._run, ("b2a", None)[target]).to(self._device)
        return self._loaded[target]

    def shown(self, pictures: np.ndarray, domain: int) -> np.ndarray:
        """Return the pictures."""
        return pictures

    def translate(self, pictures: np.ndarray, target: int, way: str, references: np.ndarray, seed: int) -> np.ndarray:
        """Return the pictures in the other domain."""
        return self.with_heat(pictures, target)[0]

    @torch.no_grad()
    def with_heat(self, pictures: np.ndarray, target: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (the pictures in the domain `target`, (N, h, w) maps of where the network looked)."""
        network = self._to(target)
        outputs = [network.translate(x) for x in _parts(pictures, self._device, network.middle)]
        painted = np.concatenate([to_pixels(output.picture, network.middle) for output in outputs])
        return painted, torch.cat([output.heat[:, 0].float() for output in outputs]).cpu().numpy()


class StyleTranslator:
    """StarGAN v2: the style of a translation is drawn (latent), or that of a reference."""

    domains: tuple[str, ...]
    is_gray: tuple[bool, ...]
    ways: tuple[str, ...] = ("latent", "reference")

    def __init__(self, run: Path, device: torch.device) -> None:
        about = export.read_about(run)
        self._config: Any = settings.config_from_json(about["model"], about["config"])
        self.domains, self.is_gray = self._config.domains, self._config.is_gray
        names = (None, "mapping", "style_encoder")
        self._g, self._f, self._e = (export.load_network(run, name).to(device) for name in names)
        self._device = device

    @torch.no_grad()
    def shown(self, pictures: np.ndarray, domain: int) -> np.ndarray:
        """Return the pictures, grey if the domain is."""
        if not self.is_gray[domain]:
            return pictures
        return self._painted(pictures, domain, lambda x, start: x)

    def translate(self, pictures: np.ndarray, target: int, way: str, references: np.ndarray, seed: int) -> np.ndarray:
        """Return the pictures in the domain `target`, each in a style of its own."""
        rng = torch.Generator().manual_seed(seed_for("translation", seed))
        if way == "latent":
            styles = self._drawn(self._f.noise(len(pictures), rng), target)
        else:
            rows = torch.randint(len(references), (len(pictures),), generator=rng).numpy()
            styles = self.read_styles(references[rows], target)
        return self.paint(pictures, target, styles)

    def drawn_style(self, seed: int, target: int) -> Tensor:
        """Return the style (E,) of a seed."""
        rng = torch.Generator().manual_seed(seed_for("style", seed))
        return self._drawn(self._f.noise(1, rng), target)[0]

    @torch.no_grad()
    def paint(self, pictures: np.ndarray, target: int, styles: Tensor) -> np.ndarray:
        """Return the pictures in the domain `target`, in the styles (N, E)."""
        return self._painted(pictures, target, lambda x, start: self._g(x, styles[start : start + len(x)]))

    def between(self, pictures: np.ndarray, target: int, seeds: tuple[int, int], count: int) -> np.ndarray:
        """Return (count, N, S, S, 3) uint8: the pictures in the domain `target`, from the style of the first seed in a
        straight line to that of the second."""
        start, end = (self.drawn_style(seed, target) for seed in seeds)
        styles = torch.lerp(start, end, torch.linspace(0, 1, count, device=start.device)[:, None])
        return np.stack([self.paint(pictures, target, style.expand(len(pictures), -1)) for style in styles])

    def _painted(self, pictures: np.ndarray, domain: int, network: Callable[[Tensor, int], Tensor]) -> np.ndarray:
        """Return (N, S, S, 3) uint8 in a domain's colours, of a network of pictures and the number of the first."""
        found, start = [], 0
        for x in _parts(pictures, self._device, self._g.middle):
            painted = stargan2.grayed(network(x, start), self._one_hot(domain, len(x)), self.is_gray)
            found.append(to_pixels(painted, self._g.middle))
            start += len(x)
        return np.concatenate(found)

    @torch.no_grad()
    def _drawn(self, z: Tensor, target: int) -> Tensor:
        styles: Tensor = self._f(z, self._one_hot(target, len(z)))
        return styles

    @torch.no_grad()
    def read_styles(self, references: np.ndarray, target: int) -> Tensor:
        """Return the styles (N, E) of references (N, S, S, 3) of the domain `target`."""
        parts = _parts(self.shown(references, target), self._device, self._g.middle)
        return torch.cat([self._e(x, self._one_hot(target, len(x))) for x in parts])

    def _one_hot(self, domain: int, count: int) -> Tensor:
        return torch.eye(len(self.domains), device=self._device)[[domain] * count]


def _parts(pictures: np.ndarray, device: torch.device, middle: float) -> Iterator[Tensor]:
    """Yield pictures (N, S, S, 3) uint8 as (n, 3, S, S) in [-1, 1], PART at a time."""
    for start in range(0, len(pictures), PART):
        part = torch.from_numpy(np.array(pictures[start : start + PART]))
        yield in_range(part.to(device), middle)


TRANSLATORS: dict[str, Callable[[Path, torch.device], Translator]] = {
    "ugatit": PairTranslator,
    "stargan2": StyleTranslator,
}
"""By model: (run, device) -> its translator. Raise UserError if a network is missing or damaged."""
