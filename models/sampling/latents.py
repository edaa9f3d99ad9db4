"""Using a generator: faces from seeds, lines between them, and directions that change one attribute.

A seed is one z: the same seed and weights paint the same face, alone or among others, but for rounding.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor, nn

from models.data.dataset import HAIR_COLORS, UserError, read_json, seed_for
from models.files import atomic_open, check_regular
from models.sampling.images import AT_ONCE, generate_images

THIN = 30  # samples with an attribute below which its vector says little, and …
RARE = 1 / 200  # … the article's share: 100 of its 20,000


def z(network: nn.Module, seeds: list[int], truncation: float = 0.0) -> Tensor:
    """(N, Z): each seed's. With `truncation` numbers of N(0, 1) beyond it, either side, are drawn again until none is:
    fewer odd faces, and fewer kinds of them. Brock et al. 2019, https://arxiv.org/abs/1809.11096, §3.1."""
    found = []
    for seed in seeds:
        rng = torch.Generator().manual_seed(seed_for("face", seed))
        noise = network.noise(1, rng)
        while truncation and bool((far := noise.abs() > truncation).any()):
            noise = torch.where(far, network.noise(1, rng), noise)
        found.append(noise)
    return torch.cat(found)


def label_of(color: str, labels: tuple[str, ...]) -> int:
    """Where a hair colour is among labels: colours, or tags such as blue_hair. Raises ValueError if it is not."""
    return labels.index(color if color in labels else f"{color}_hair")


def condition(labels: tuple[str, ...], mixture: dict[str, float]) -> Tensor:
    """(1, T): hair colours mixed by their weights, which need not sum to 1; 0 for all other labels."""
    y = torch.zeros(1, len(labels))
    for color, weight in mixture.items():
        y[0, label_of(color, labels)] = weight / sum(mixture.values())
    return y


def known_colors(learned: dict[str, int]) -> list[str]:
    """The hair colours among the labels that a network learned from some face."""
    there = {label.removesuffix("_hair") for label, count in learned.items() if count}
    return [color for color in HAIR_COLORS if color in there]


def line(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """(steps, Z): z(t) = (1 - t) z_a + t z_b, both ends included."""
    return torch.stack([torch.lerp(start, end, t) for t in torch.linspace(0, 1, steps)])


def attribute_vectors(
    network: nn.Module, label: Callable[[np.ndarray], list[set[str]]], *, samples: int, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """({attribute: mean z of the samples with it - mean z of those without}, {attribute: how many have it}).

    `label` names the attributes of (N, S, S, 3) uint8 pictures. Attributes that too few samples have, or lack, are
    counted but get no vector. The rule is mattya's, https://github.com/mattya/chainer-DCGAN."""
    rng = torch.Generator().manual_seed(seed_for("attributes", seed))
    noises, found = [], []
    for start in range(0, samples, AT_ONCE):
        noise = network.noise(min(AT_ONCE, samples - start), rng)
        noises.append(noise)
        found += label(generate_images(network, noise))
    noise = torch.cat(noises)
    vectors, counts = {}, {}
    for name in sorted(set().union(*found)):
        has = torch.tensor([name in attributes for attributes in found])
        counts[name] = int(has.sum())
        few = max(THIN, RARE * samples)
        if few <= counts[name] <= samples - few:
            vectors[name] = (noise[has].mean(0) - noise[~has].mean(0)).numpy()
    return vectors, counts


def apply_attributes(noise: Tensor, moves: list[tuple[Tensor, float]], *, strength: float = 1.0) -> Tensor:
    """z = strength · z0 + Σ s_i · tz_i, clipped to [-1, 1], for z0 (N, Z) and (tz_i, s_i): the article's rule."""
    moved = strength * noise + sum(vector * amount for vector, amount in moves)
    return moved.clamp(-1, 1)


def vectors_in(path: Path, length: int) -> dict[str, list[float]]:
    """Return the vectors of an attributes.json. Raise UserError unless each is of so many numbers."""
    try:
        vectors = read_json(path, {"vectors": {str: [(float, int)]}})["vectors"]
        if any(len(vector) != length for vector in vectors.values()):
            raise ValueError("vectors of another length")
    except (FileNotFoundError, ValueError) as error:
        found = f"damaged ({' '.join(str(error).split())[:120]})"
        raise UserError(path, found, f"vectors of {length} numbers", "remove it: LearnAttributes makes it") from error
    return vectors


def told_by(path: Path) -> dict:
    """What a file of this module's says of how it was made; nothing if it is not there, or not whole."""
    try:
        check_regular(path)
        if path.suffix == ".json":
            return read_json(path, {})
        with Image.open(path, formats=("PNG",)) as picture:
            picture.load()
            return picture.text
    except (OSError, SyntaxError, ValueError, RecursionError, Image.DecompressionBombError):
        return {}


def save_json(path: Path, content: dict) -> None:
    with atomic_open(path, "w") as file:
        file.write(json.dumps(content) + "\n")


def save_png(path: Path, picture: np.ndarray, **about: object) -> None:
    """Write a (H, W, 3) uint8 picture with texts on how it was made."""
    texts = PngInfo()
    for key, value in about.items():
        texts.add_itxt(key, str(value))
    with atomic_open(path) as file:
        Image.fromarray(picture).save(file, "PNG", pnginfo=texts)


def save_gif(path: Path, pictures: np.ndarray, *, seconds: float, about: str) -> None:
    """Write (N, S, S, 3) uint8 frames that go there and back for ever."""
    frames = [Image.fromarray(picture) for picture in [*pictures, *pictures[-2:0:-1]]]
    duration = round(1000 * seconds / len(pictures))
    with atomic_open(path) as file:
        frames[0].save(
            file, "GIF", save_all=True, append_images=frames[1:], duration=duration, loop=0, comment=about.encode()
        )
