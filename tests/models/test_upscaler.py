"""Networks that were trained for a moment: what they make tile by tile is what they make of the whole picture."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.papers import esrgan, srgan
from models.sampling.tiles import Tiling, enlarged_strips
from models.upscaler import PictureUpscaler
from tests.models.papers.test_super_resolution import CPU, batch, held_out
from tests.support import drawn_pictures

STEPS, FAR = 60, 64  # px
NARROW = {"blocks": 15, "width": 16}


@pytest.mark.full
@pytest.mark.parametrize(
    ("paper", "changes"),
    [(esrgan, {"network": "compact", "width": 64, "size": 32}), (esrgan, NARROW), (srgan, NARROW)],
    ids=["compact", "rrdb", "srresnet"],
)
def test_tiles_of_a_trained_network_are_the_whole_picture(paper, changes):
    options = {"size": 48, "batch_size": 4, "d_width": 4, "vgg": "random", "average": 0.0, "pretrain_steps": STEPS - 10}
    config = replace(paper.PRESETS["small"], **options | changes, pretrain_schedule="constant")
    torch.manual_seed(0)
    trainer = (esrgan.ESRGAN if paper is esrgan else srgan.SRGAN)(config, CPU, {"images": held_out(4, config.size)})
    before = trainer.validate(0)["psnr"]
    for i in range(STEPS):
        trainer.step(batch(config.size), i)
    assert trainer.validate(STEPS)["psnr"] > before + 1
    network = trainer.g.eval()
    enlarge = PictureUpscaler(network, CPU)._enlarge
    for size in ((150, 130), (72, 50), (1, 1)):
        picture = drawn_pictures.draw(9, *size)
        inside = slice(4 * FAR, -4 * FAR)
        whole = enlarge(np.pad(picture, [(FAR, FAR), (FAR, FAR), (0, 0)], "edge"))[inside, inside]
        tiles = np.concatenate([*enlarged_strips(picture, enlarge, Tiling(4, 96, network.reach))])
        assert np.abs(tiles - whole).max() < 1e-3
