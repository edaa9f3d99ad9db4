"""Pictures made larger: by tiles, as UpscaleImages does, and as a textbook does. Run by tests/benchmarks."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch

from models.data.resampling import SCALE
from models.nn.layers import to_channels_last
from models.papers import esrgan
from models.upscaler import PictureUpscaler
from pipeline.sources.drawn import draw

SIDES = {"esrgan": 192, "compact": 424}
"""Px of the picture that each network of ESRGAN's presets is shown: the slower one first, which the other is compared
with."""
TILE_PX = 256  # as --tile auto


class Inference(NamedTuple):
    """Both ways to make a picture larger."""

    name: str
    pixels: int  # that are made
    textbook: Callable[[], None]
    ours: Callable[[], None]


def inference(device: torch.device) -> Iterator[Inference]:
    """Yield both ways of each network of SIDES, whose weights are random."""
    for name, side in SIDES.items():
        config = esrgan.PRESETS["compact" if name == "compact" else "article"]
        plain, own = (esrgan.generator(config).eval().requires_grad_(False).to(device) for _ in range(2))
        picture = np.array(draw(0, 1)[0].convert("RGB").resize((side, side)))
        upscaler = PictureUpscaler(to_channels_last(own), device)

        def textbook(network=plain, picture=picture) -> None:
            x = torch.from_numpy(picture).permute(2, 0, 1)[None].contiguous().to(device) / 255
            (network(x).clamp(0, 1) * 255).round().byte().cpu()

        def ours(upscaler=upscaler, picture=picture) -> None:
            for _ in upscaler.strips(picture, SCALE, TILE_PX):
                pass

        yield Inference(name, (SCALE * side) ** 2, textbook, ours)
