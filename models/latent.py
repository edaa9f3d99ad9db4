"""Using a generator: faces from seeds, lines between them, and directions that change one attribute.

A seed is one z: the same seed and weights paint the same face, alone or among others.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor, nn

from models.data import seed_for
from models.files import whole
from models.sheet import AT_ONCE, painted

THIN = 30  # samples with an attribute below which its vector says little, and …
RARE = 1 / 200  # … the article's share: 100 of its 20,000


def z(network: nn.Module, seeds: list[int]) -> Tensor:
    """(N, Z): each seed's."""
    return torch.cat([network.noise(1, torch.Generator().manual_seed(seed_for("face", seed))) for seed in seeds])


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
        found += label(painted(network, noise))
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


def told_by(path: Path) -> dict:
    """What a file of this module's says of how it was made; nothing if it is not there, or not whole."""
    try:
        if path.suffix == ".json":
            told = json.loads(path.read_text(encoding="utf-8"))
            return told if isinstance(told, dict) else {}
        with Image.open(path) as picture:
            picture.load()
            return picture.text
    except (OSError, SyntaxError, ValueError, AttributeError):
        return {}


def save_json(path: Path, content: dict) -> None:
    with whole(path, "w") as file:
        file.write(json.dumps(content) + "\n")


def save_png(path: Path, picture: np.ndarray, **about: object) -> None:
    """Write a (H, W, 3) uint8 picture with texts on how it was made."""
    texts = PngInfo()
    for key, value in about.items():
        texts.add_itxt(key, str(value))
    with whole(path) as file:
        Image.fromarray(picture).save(file, "PNG", pnginfo=texts)


def save_gif(path: Path, pictures: np.ndarray, *, seconds: float, about: str) -> None:
    """Write (N, S, S, 3) uint8 frames that go there and back for ever."""
    frames = [Image.fromarray(picture) for picture in [*pictures, *pictures[-2:0:-1]]]
    duration = round(1000 * seconds / len(pictures))
    with whole(path) as file:
        frames[0].save(
            file, "GIF", save_all=True, append_images=frames[1:], duration=duration, loop=0, comment=about.encode()
        )
