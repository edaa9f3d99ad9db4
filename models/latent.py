"""Using a generator: faces from seeds, lines between them, and directions that change one attribute.

A seed is one z: the same seed and weights paint the same face, alone or among others.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor, nn

from models.data import seed_for
from models.sheet import AT_ONCE, painted

THIN = 30  # samples with an attribute below which its vector says little


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

    `label` names the attributes of (N, S, S, 3) uint8 pictures. Attributes that fewer than THIN samples have, or lack,
    are counted but get no vector. The rule is mattya's, https://github.com/mattya/chainer-DCGAN."""
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
        if THIN <= counts[name] <= samples - THIN:
            vectors[name] = (noise[has].mean(0) - noise[~has].mean(0)).numpy()
    return vectors, counts


def apply_attributes(noise: Tensor, moves: list[tuple[Tensor, float]], *, strength: float = 1.0) -> Tensor:
    """z = strength · z0 + Σ s_i · tz_i, clipped to [-1, 1], for z0 (N, Z) and (tz_i, s_i): the article's rule."""
    moved = strength * noise + sum(vector * amount for vector, amount in moves)
    return moved.clamp(-1, 1)


def made_with(path: Path) -> str | None:
    """The sha256 of the weights that made a file of this module's; None if it is not there, or not whole."""
    try:
        if path.suffix == ".json":
            return json.loads(path.read_text(encoding="utf-8"))["weights"]
        with Image.open(path) as picture:
            picture.load()
            return picture.text["weights"]
    except (OSError, SyntaxError, ValueError, KeyError, AttributeError):
        return None


def save_json(path: Path, content: dict) -> None:
    """Write whole or not at all."""
    work = path.with_name(f".{path.name}")
    work.write_text(json.dumps(content) + "\n", encoding="utf-8")
    os.replace(work, path)


def save_png(path: Path, picture: np.ndarray, **about: object) -> None:
    """Write a (H, W, 3) uint8 picture with texts on how it was made, whole or not at all."""
    texts = PngInfo()
    for key, value in about.items():
        texts.add_itxt(key, str(value))
    work = path.with_name(f".{path.name}")
    Image.fromarray(picture).save(work, "PNG", pnginfo=texts)
    os.replace(work, path)


def save_gif(path: Path, pictures: np.ndarray, *, seconds: float, about: str) -> None:
    """Write (N, S, S, 3) uint8 frames that go there and back for ever."""
    frames = [Image.fromarray(picture) for picture in [*pictures, *pictures[-2:0:-1]]]
    work = path.with_name(f".{path.name}")
    duration = round(1000 * seconds / len(pictures))
    frames[0].save(
        work, "GIF", save_all=True, append_images=frames[1:], duration=duration, loop=0, comment=about.encode()
    )
    os.replace(work, path)
