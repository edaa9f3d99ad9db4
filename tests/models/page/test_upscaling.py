"""Pictures that the page makes larger: as PictureUpscaler does, in tiles as whole."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from models.papers import esrgan
from models.runs import onnx_networks
from models.upscaler import PictureUpscaler, fill_transparent
from tests.models.test_tiles import far_and_near, picture
from tests.support.drawn_pictures import draw
from tests.support.page_engine import engine_of
from tests.support.page_modules import Engine

SIDE = 80
UPSCALE = "(e, p, scale, side) => m.upscale(e, p, { scale, side })"


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return esrgan.generator(replace(esrgan.PRESETS["tiny"], network="compact")).eval().requires_grad_(False)


@pytest.fixture
def engine(network) -> Engine:
    return engine_of({"generator": onnx_networks.graph_of(network, 0)})


def upscaled(network, pixels: np.ndarray, scale: float) -> np.ndarray:
    return np.concatenate([*PictureUpscaler(network, torch.device("cpu")).strips(pixels, scale, 256)])


@pytest.mark.parametrize("scale", [1.0, 2.7, 4.0])
@pytest.mark.parametrize("size", [(61, 89), (1, 1)])
def test_any_scale_in_tiles_is_as_the_whole(js, network, engine, size, scale):
    pixels = draw(0, 96, 96)[: size[0], : size[1]]
    found = js("vision/upscaling.js", UPSCALE, engine, pixels, scale, SIDE)
    wanted = upscaled(network, pixels, scale)
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).max() <= 1


@pytest.mark.full
@pytest.mark.parametrize(
    ("size", "scale"), [((72, 50), 4.0), ((1, 90), 2.0), ((130, 12), 3.3), ((24, 30), 16.0), ((21, 20), 9.5)]
)
def test_more_sizes_and_two_passes(js, network, engine, size, scale):
    pixels = draw(0, 140, 140)[: size[0], : size[1]]
    found = js("vision/upscaling.js", UPSCALE, engine, pixels, scale, SIDE)
    assert np.abs(found.astype(int) - upscaled(network, pixels, scale)).max() <= (1 if scale <= 4 else 2)


def test_alpha_stays_and_colours_go_on_under_it(js, network, engine):
    pixels = np.dstack([draw(1, 60, 50), np.full((50, 60), 255, np.uint8)])
    cv2.circle(pixels, (20, 20), 14, (9, 200, 3, 0), -1)
    pixels[30:40, :, 3] = 120
    filled = fill_transparent(pixels[..., :3], pixels[..., 3])
    call = "(p, a) => m.fillTransparent(p, a.data)"
    mine = js("vision/transparency.js", call, np.ascontiguousarray(pixels[..., :3]), pixels[..., 3].astype(np.float32))
    assert (mine == filled).all(2).mean() > 0.99  # two pixels may be equally near
    found = js("vision/upscaling.js", UPSCALE, engine, pixels, 2.0, SIDE)
    wanted = upscaled(network, pixels, 2.0)
    assert np.abs(found[..., 3].astype(int) - wanted[..., 3]).max() <= 1
    is_seen = wanted[..., 3] > 0
    assert np.abs(found[is_seen].astype(int) - wanted[is_seen]).max() <= 2


def test_one_colour_is_kept_without_the_network(js, engine):
    pixels = np.full((30, 40, 3), (3, 90, 250), np.uint8)
    found = js("vision/upscaling.js", UPSCALE, engine._replace(run=None), pixels, 4.0, SIDE)
    assert found.shape == (120, 160, 3)
    assert (found == (3, 90, 250)).all()


def test_tiles_of_any_network_are_as_the_whole(js):
    """One pixel is made of others REACH px away, so that a wrong border would show."""
    pixels = picture(61, 89)

    def run(name: str, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        window = np.rint(feeds["low"][0].transpose(1, 2, 0) * 255)
        return {"high": (far_and_near(window) / 1275).transpose(2, 0, 1)[None]}

    whole = run("", {"low": np.pad(pixels, [(5, 5), (5, 5), (0, 0)], "edge").transpose(2, 0, 1)[None] / 255})["high"]
    wanted = (whole[0].transpose(1, 2, 0)[10:-10, 10:-10] * 255).clip(0, 255)
    for side in (40, 512):
        engine = Engine({"networks": {"generator": {"scale": 2, "reach": 5}}}, run)
        found = js("vision/upscaling.js", UPSCALE, engine, pixels, 2.0, side)
        assert np.abs(found - wanted).max() < 0.51


def test_it_stops_between_tiles_and_tells_how_far_it_is(js, engine):
    call = """async (e, p) => {
      const stop = new AbortController();
      const shares = [];
      const onProgress = (share) => { shares.push(share); if (share > 0.4) stop.abort(); };
      const made = await m.upscale(e, p, { side: 80, signal: stop.signal, onProgress }).catch((error) => error.name);
      return { made, shares };
    }"""
    found = js("vision/upscaling.js", call, engine, draw(0, 100, 90))
    assert found["made"] == "AbortError"
    assert found["shares"] == pytest.approx([(i + 1) / 9 for i in range(4)])
