"""Pictures in tiles: as the whole picture."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from models.papers import esrgan, srgan
from models.sampling.tiles import FADE, Tiling, enlarged_strips, resampled_rows, resampled_strips

REACH = 5


def far_and_near(window: np.ndarray) -> np.ndarray:
    """Return twice the size: each pixel is a mean of four that are REACH px away from it, in one direction each, and
    its place in the square made of it counts. Pixels beyond the window are 0, as of a convolution."""
    window = window.astype(np.float32)
    padded = np.pad(window, [(REACH, REACH), (REACH, REACH), (0, 0)])
    far = 2 * REACH
    height, width = window.shape[:2]
    seen = padded[REACH : REACH + height, REACH : REACH + width]
    for top, left in ((0, REACH), (far, REACH), (REACH, 0), (REACH, far)):
        seen = seen + padded[top : top + height, left : left + width]
    return np.kron(seen / 5, np.array([[1, 2], [3, 4]], np.float32)[..., None])


def picture(height: int, width: int) -> np.ndarray:
    found = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    found[height // 3 :, width // 3 :] = (200, 20, 90)
    return found


def enlarged(pixels: np.ndarray, side: int, reach: int = REACH) -> np.ndarray:
    return np.concatenate([*enlarged_strips(pixels, far_and_near, Tiling(2, side, reach))])


def whole(pixels: np.ndarray) -> np.ndarray:
    """Return what is made of all of a picture, whose border is repeated."""
    border = [(REACH, REACH), (REACH, REACH), (0, 0)]
    return far_and_near(np.pad(pixels, border, "edge"))[2 * REACH : -2 * REACH, 2 * REACH : -2 * REACH]


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (90, 1), (72, 50), (12, 13), (61, 89)])
@pytest.mark.parametrize("side", [2 * (REACH + FADE) + 2 * FADE, 40, 512])
def test_tiles_are_as_the_whole(size, side):
    pixels = picture(*size)
    assert np.abs(enlarged(pixels, side) - whole(pixels)).max() < 1e-3


def test_too_short_a_reach_shows():
    pixels = picture(72, 50)
    assert np.abs(enlarged(pixels, 40, REACH - 1) - whole(pixels)).max() > 10


def test_the_compact_network_looks_as_far_as_it_says():
    network = esrgan.generator(replace(esrgan.PRESETS["tiny"], network="compact")).double()
    middle = network.reach + 2
    x = torch.rand(1, 3, 2 * middle + 1, 2 * middle + 1, dtype=torch.float64, requires_grad=True)
    network(x)[..., 4 * middle : 4 * middle + 4, 4 * middle : 4 * middle + 4].sum().backward()
    rows = x.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    assert (rows.min(), rows.max()) == (middle - network.reach, middle + network.reach)


@pytest.mark.full
@pytest.mark.parametrize("model", ["srresnet", "rrdb"])
def test_deep_networks_hardly_look_farther_than_they_say(model):
    paper = {"srresnet": srgan, "rrdb": esrgan}[model]
    network = paper.generator(replace(paper.PRESETS["article"], width=16)).eval()
    middle = network.reach + 6
    x = torch.rand(1, 3, 2 * middle + 1, 2 * middle + 1, requires_grad=True)
    network(x)[0, 0, 4 * middle, 4 * middle].backward()
    influence = x.grad.abs().sum(1)[0]
    near = slice(6, -6)
    assert influence.sum() - influence[near, near].sum() < 1e-3 * influence.sum()


def test_seams_fade_where_tiles_differ():
    shown = iter((0.0, 1.0))

    def constant(window: np.ndarray) -> np.ndarray:
        return np.full((2 * window.shape[0], 2 * window.shape[1], 3), next(shown), np.float32)

    tiling = Tiling(2, 40, REACH)
    pixels = picture(6, 2 * tiling.step)
    pixels[:, ::2] = 0  # no tile is of one colour
    row = np.concatenate([*enlarged_strips(pixels, constant, tiling)])[0, :, 0]
    steps = np.diff(row)
    assert row[0] == 0
    assert row[-1] == 1
    assert steps.min() >= 0
    assert steps.max() == pytest.approx(1 / (4 * FADE))


def test_tiles_of_one_colour_are_made_once():
    calls = []

    def counted(window: np.ndarray) -> np.ndarray:
        calls.append(window.shape)
        return far_and_near(window)

    pixels = np.full((100, 100, 3), 7, np.uint8)
    made = np.concatenate([*enlarged_strips(pixels, counted, Tiling(2, 40, REACH))])
    assert calls == [(2 * REACH + 1, 2 * REACH + 1, 3)]
    assert np.abs(made - whole(pixels)).max() < 1e-4


def test_a_side_without_room_is_refused():
    with pytest.raises(ValueError, match="no room"):
        enlarged(picture(9, 9), 2 * (REACH + FADE))


@pytest.mark.parametrize("new_size", [(41, 33), (90, 71), (300, 151), (1, 1), (90, 5)])
def test_resampling_does_not_depend_on_strips(new_size):
    pixels = picture(90, 71)[..., :1].astype(np.float32)
    strips = iter(np.split(pixels, [1, 2, 30, 31, 80]))
    made = np.concatenate([*resampled_strips(strips, (90, 71), new_size)])
    once = np.asarray(Image.fromarray(pixels[..., 0]).resize(new_size[::-1], Image.Resampling.BICUBIC))
    assert made.shape == (*new_size, 1)
    assert np.abs(made[..., 0] - once).max() < 0.01
    middle = new_size[0] // 2
    part = resampled_rows(pixels, new_size, middle, new_size[0])
    assert np.abs(part[..., 0] - once[middle:]).max() < 0.01
