"""Faces that the page translates and puts back: as translators and pasting do."""

from dataclasses import asdict, replace

import cv2
import numpy as np
import pytest
import torch

from models.data.batches import in_range, to_pixels
from models.papers import stargan2, ugatit
from models.runs import export, onnx_networks
from models.sampling import pasting
from models.translators import StyleTranslator
from models.zoo import MODELS
from pipeline.datasets.cutting import Cutting
from pipeline.faces.boxes import Face
from pipeline.faces.crop import Frame, view_of_crop
from tests.support.page_engine import engine_of

FACE = Face((110.0, 80.0, 190.0, 160.0), -20.0, 1.0)
DATASET = {
    "size": 48,
    "box_scale": float(np.float32(1.3)),
    "face_x": 0.5,
    "face_y": float(np.float32(0.6)),
    "rotation": 5.0,
}


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (12, 15, 3)).astype(np.uint8)
    return cv2.resize(noise, (300, 240), interpolation=cv2.INTER_CUBIC)


def is_near(found: np.ndarray, wanted: np.ndarray, most: int = 1) -> bool:
    return found.shape == wanted.shape and np.abs(found.astype(int) - wanted).max() <= most


def test_ugatit_translates_both_ways_what_is_cut_as_its_dataset(js, picture):
    torch.manual_seed(0)
    networks = {name: ugatit.Generator(ugatit.PRESETS["tiny"]).eval() for name in MODELS["ugatit"].exported}
    size = ugatit.PRESETS["tiny"].size
    domains = [{"name": "faces", "gray": False}, {"name": "icons", "gray": False}]
    datasets = {"a": DATASET | {"name": "faces"}, "b": DATASET | {"name": "icons", "rotation": None, "face_y": None}}
    graphs = {name: onnx_networks.graph_of(network, size) for name, network in networks.items()}
    engine = engine_of(graphs, domains=domains, datasets=datasets)
    for source, name in enumerate(("a2b", "b2a")):
        frame, rotation = (Frame(1.3, 0.5, 0.6), 5.0) if source == 0 else (Frame(1.3, 0.5, None), 0.0)
        cutting = Cutting(48, frame, rotation, "network", "fast", 48)
        crop = cutting.cut(picture, FACE, size)
        found = js("vision/translation.js", "cutFace", engine, picture, FACE._asdict(), source)
        assert is_near(found, crop)
        view = js("vision/translation.js", "viewOfFace", engine, FACE._asdict(), source)
        wanted = cutting.view(FACE, size)
        assert (*view["center"], view["step"], view["angle"]) == pytest.approx(
            (*wanted.center, wanted.step, wanted.angle)
        )
        made = js("vision/translation.js", "translate", engine, crop, 1 - source)
        with torch.no_grad():
            output = networks[name](in_range(torch.from_numpy(crop[None].copy()), 127.5))
        assert is_near(made, to_pixels(output, 127.5)[0])


def test_stargan2_draws_and_reads_styles_and_keeps_grey(js, picture, tmp_path):
    torch.manual_seed(0)
    config = replace(stargan2.PRESETS["tiny"], domains=("photographs", "anime"), gray="anime")
    about = {"model": "stargan2", "config": asdict(config), "steps": 1}
    row = MODELS["stargan2"]
    networks = {name: row.networks[name](config).eval().requires_grad_(False) for name in row.exported}
    for name, network in networks.items():
        other = {} if name == "generator" else {"name": name}
        export.write_weights(tmp_path, network.state_dict(), about, **other)
    translator = StyleTranslator(tmp_path, torch.device("cpu"))
    domains = [{"name": name, "gray": gray} for name, gray in zip(config.domains, config.is_gray, strict=True)]
    graphs = {name: onnx_networks.graph_of(network, config.size) for name, network in networks.items()}
    engine = engine_of(graphs, domains=domains, datasets={"faces": DATASET | {"name": "faces"}})
    assert config.is_gray == (False, True)

    crop = cv2.resize(picture, (config.size, config.size))
    draw = "async (e, z, d) => m.drawnStyle(e, new (await load('seeds.js')).Random('style', 3).normals(z), d)"
    cut = Cutting(48, Frame(1.3, 0.5, 0.6), 5.0, "network", "fast", 48).cut(picture, FACE, config.size)
    for target in (0, 1):
        shown = js("vision/translation.js", "cutFace", engine, picture, FACE._asdict(), target)
        assert is_near(shown, translator.shown(cut[None], target)[0])
        reference = js("vision/translation.js", "readStyle", engine, shown, target)
        read = translator.read_styles(shown[None], target)
        assert np.abs(reference - read.numpy()).max() < 1e-3
        made = js("vision/translation.js", "translate", engine, crop, target, reference)
        assert is_near(made, translator.paint(crop[None], target, read)[0])
        assert (np.ptp(made, axis=2).max() == 0) == config.is_gray[target]
        drawn = js("vision/translation.js", draw, engine, config.latent, target)
        assert np.abs(drawn[0] - translator.drawn_style(3, target).numpy()).max() < 1e-4
    first, second = js(
        "vision/translation.js", "(a) => [m.betweenStyles(a, a, 1), m.betweenStyles(a, a, 0.5)]", reference
    )
    assert np.abs(first - second).max() < 1e-6


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize(("tilt", "size"), [(0.0, 128), (30.0, 32)])
def test_pasting_is_the_same(js, picture, channels, tilt, size):
    if channels == 4:
        alpha = np.random.default_rng(1).integers(0, 256, picture.shape[:2]).astype(np.uint8)
        picture = np.dstack([picture, np.where(alpha < 90, 0, alpha)])
    face = np.random.default_rng(2).integers(0, 256, (size, size, 3)).astype(np.uint8)
    face = cv2.GaussianBlur(face, (0, 0), 2)
    view = view_of_crop(FACE._replace(tilt=tilt), size=size, frame=Frame(1.5), rotation=0)
    found = js("vision/pasting.js", "paste", picture, face, view._asdict())
    wanted = pasting.paste(picture, face, view)
    assert (wanted != picture).any()
    assert is_near(found[..., :3], wanted[..., :3], 2)
    assert (found[..., 3:] == picture[..., 3:]).all()


def test_a_face_outside_the_picture_changes_nothing(js, picture):
    view = view_of_crop(Face((-400.0, 0.0, -300.0, 100.0), 0.0, 1.0), size=32, frame=Frame(1.5), rotation=0)
    face = np.zeros((32, 32, 3), np.uint8)
    assert (js("vision/pasting.js", "paste", picture, face, view._asdict()) == picture).all()
