"""Files of samples that contain their own provenance, marked as generated."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from models.data.dataset import GENERATED, XMP_KEYWORD, read_json
from models.files import atomic_open, check_regular

MARK = GENERATED.encode()
"""The XMP of a file that a trained network painted at least a part of."""
GIF_MARK = b"\x21\xff\x0bXMP DataXMP" + MARK + bytes([1, *range(255, -1, -1), 0])
"""The extension of a GIF file with that XMP. To a reader of blocks, each byte of its end says how far the last is."""


def read_provenance(path: Path) -> dict[str, Any]:
    """Return how a file of this module was made, without its mark; {} if it is missing or damaged."""
    try:
        check_regular(path)
        if path.suffix == ".json":
            return {**read_json(path, {})}
        with Image.open(path, formats=("PNG",)) as picture:
            picture.load()
            return {key: text for key, text in picture.text.items() if key != XMP_KEYWORD}
    except (OSError, SyntaxError, ValueError, RecursionError, Image.DecompressionBombError):
        return {}


def save_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON object that contains its own provenance."""
    with atomic_open(path, "w") as file:
        file.write(json.dumps(content) + "\n")


def save_png(path: Path, picture: np.ndarray, *, is_generated: bool = True, **about: object) -> None:
    """Write a (H, W, 3) uint8 image with `about` as its PNG texts, marked if a network painted any of it."""
    texts = PngInfo()
    for key, value in (({XMP_KEYWORD: GENERATED} if is_generated else {}) | about).items():
        texts.add_itxt(key, str(value))
    with atomic_open(path) as file:
        Image.fromarray(picture).save(file, "PNG", pnginfo=texts)


def save_gif(path: Path, pictures: np.ndarray, *, seconds: float, about: str) -> None:
    """Write a marked GIF of (N, S, S, 3) uint8 frames that goes there and back forever; its comment is `about`."""
    frames = [Image.fromarray(picture) for picture in [*pictures, *pictures[-2:0:-1]]]
    duration = round(1000 * seconds / len(pictures))
    whole = io.BytesIO()
    frames[0].save(
        whole, "GIF", save_all=True, append_images=frames[1:], duration=duration, loop=0, comment=about.encode()
    )
    data = whole.getvalue()
    end_of_colors = 13 + 3 * 2 ** (1 + data[10] % 8)  # the header says how many there are
    with atomic_open(path) as file:
        file.writelines([data[:end_of_colors], GIF_MARK, data[end_of_colors:]])
