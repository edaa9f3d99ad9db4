"""Files of samples that contain their own provenance."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from models.data.dataset import GENERATED, XMP_KEYWORD, read_json
from models.files import atomic_open, check_regular

MARKED = {XMP_KEYWORD: GENERATED}
"""The text of a PNG file that says in XMP that a trained network made it."""


def read_provenance(path: Path) -> dict[str, Any]:
    """Return how a file of this module was made; {} if it is missing or damaged."""
    try:
        check_regular(path)
        if path.suffix == ".json":
            return {**read_json(path, {})}
        with Image.open(path, formats=("PNG",)) as picture:
            picture.load()
            return {**picture.text}
    except (OSError, SyntaxError, ValueError, RecursionError, Image.DecompressionBombError):
        return {}


def save_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON object that contains its own provenance."""
    with atomic_open(path, "w") as file:
        file.write(json.dumps(content) + "\n")


def save_png(path: Path, picture: np.ndarray, **about: object) -> None:
    """Write a (H, W, 3) uint8 image, with `about` as its PNG texts."""
    texts = PngInfo()
    for key, value in about.items():
        texts.add_itxt(key, str(value))
    with atomic_open(path) as file:
        Image.fromarray(picture).save(file, "PNG", pnginfo=texts)


def save_gif(path: Path, pictures: np.ndarray, *, seconds: float, about: str) -> None:
    """Write a GIF of (N, S, S, 3) uint8 frames that goes there and back forever, with `about` as its comment."""
    frames = [Image.fromarray(picture) for picture in [*pictures, *pictures[-2:0:-1]]]
    duration = round(1000 * seconds / len(pictures))
    with atomic_open(path) as file:
        frames[0].save(
            file, "GIF", save_all=True, append_images=frames[1:], duration=duration, loop=0, comment=about.encode()
        )
