"""YOLO networks in ONNX files: small ones of the real form, which find what is red."""

import dataclasses
import sys

import numpy as np
import onnx
import pytest
from onnx import helper

from pipeline import assets
from pipeline.errors import UserError
from pipeline.faces import detect
from pipeline.faces.yolo import MAX_BOXES, YOLO
from tests.pipeline.faces.test_detect import center, images_of, side
from tests.support import onnx_files
from tests.support.onnx_files import spotted

FORMS = {"free": ("height", "width"), "square": (640, 640), "wide": (384, 640)}


@pytest.fixture
def find(tmp_path, monkeypatch):
    """Find with a file of these bytes."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ANIME_ASSETS", raising=False)

    def run(content: bytes, picture: np.ndarray, sweep: str = "fast", min_face: int = 20):
        folder = onnx_files.put(tmp_path / "own", yolo=content)
        asset = detect.DETECTORS["yolo"].asset(folder)
        return detect.find(picture, finder="yolo", asset=asset, sweep=sweep, min_face=min_face)

    return run


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("width", "height"), [(500, 700), (1500, 600)])
def test_faces_are_where_they_are_in_the_picture_whatever_the_input_of_the_network(find, form, width, height):
    spots = [(0.25 * width, 0.4 * height), (0.75 * width, 0.7 * height)]
    high, wide = (640 if isinstance(size, str) else size for size in FORMS[form])
    step = max(width / wide, height / high)
    found = find(onnx_files.yolo(FORMS[form]), spotted(width, height, *spots, long=round(max(width, height) / step)))
    assert len(found) == 2
    for face, spot in zip(sorted(found), spots, strict=True):
        assert np.abs(center(face) - spot).max() <= 6 * step
        assert side(face) == pytest.approx(onnx_files.BOX[0] * step, abs=0.1)
        assert face.tilt == 0
        assert 0.5 < face.score <= 1


def test_colours_are_red_green_blue_of_0_to_1_and_unlikely_boxes_are_no_faces(find):
    network = onnx_files.yolo()
    assert find(network, spotted(640, 640, (300, 300), color=(0, 0, 255))) == []
    assert find(network, spotted(640, 640, (300, 300), color=(255, 200, 200))) == []  # at most 0.2 red
    assert len(find(network, spotted(640, 640, (300, 300), color=(255, 50, 50)))) == 1


def test_of_several_classes_the_one_called_face_is_taken(find):
    network = onnx_files.yolo(classes=("hand", "face"))
    assert find(network, spotted(640, 640, (300, 300), color=(0, 0, 255))) == []  # a hand
    assert len(find(network, spotted(640, 640, (300, 300)))) == 1
    with pytest.raises(UserError, match=r"its classes are hand, hand; one of them called face"):
        find(onnx_files.yolo(classes=("hand", "hand")), spotted(64, 64))


def test_the_boxes_of_faces_at_the_edge_end_there_and_small_faces_are_left_out(find):
    (face,) = find(onnx_files.yolo(), spotted(640, 640, (0, 320), long=1280))
    assert side(face) == onnx_files.BOX[1]  # of the box, 90 × 60 px, half is outside
    assert find(onnx_files.yolo(), spotted(640, 640, (320, 320)), min_face=91) == []


def test_full_also_looks_at_the_picture_in_three_other_turns(find, monkeypatch):
    turns = []
    monkeypatch.setattr(YOLO, "find", lambda self, pixels: turns.append(pixels.shape[:2]) or np.empty((0, 5)))
    assert find(onnx_files.yolo(), spotted(320, 640), "full") == find(onnx_files.yolo(), spotted(320, 640)) == []
    assert turns == [(640, 320), (320, 640), (640, 320), (320, 640), (640, 320)]


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_what_is_found_in_a_turned_copy_leans_by_its_turn(find, monkeypatch, turn):
    original = YOLO.find
    kept = iter([turn == each for each in (0, 90, 180, 270)])
    monkeypatch.setattr(YOLO, "find", lambda *args: original(*args) if next(kept) else np.empty((0, 5)))
    (face,) = find(onnx_files.yolo(), spotted(300, 500, (80, 400)), "full")
    assert np.abs(center(face) - (80, 400)).max() <= 6
    assert face.tilt % 360 == turn


def test_a_network_that_sees_a_face_everywhere_is_compared_in_bounded_time(find, monkeypatch):
    seen = []
    original = YOLO.find
    monkeypatch.setattr(YOLO, "find", lambda *args: seen.append(original(*args)) or seen[-1])
    assert find(onnx_files.yolo(), np.full((640, 640, 3), (255, 0, 0), np.uint8))
    assert [len(found) for found in seen] == [MAX_BOXES]


def constant(value, shape, **how) -> bytes:
    """A network that says the same of every picture."""
    node = helper.make_node("Expand", ["value", "shape"], ["output0"])
    inputs = {"images": [1, 3, 640, 640]} | how
    return onnx_files.model([node], inputs, {"output0": shape}, value=np.float32(value), shape=np.int64(shape))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot be read"),
        (b"<!DOCTYPE html><html>" * 50, "cannot be read .*; a network in one ONNX file; give another"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:403b\nsize 44583229\n", "cannot be read"),
        (onnx_files.yolo()[:400], "cannot be read"),
        (onnx_files.yolo().replace(b"detect", b"\xf5etect"), r"cannot be read \('utf-8' codec"),
        (constant(0.5, [1, 8400, 5]), r"its output is \(1, 8400, 5\), .*; \(1, 5, boxes\)"),
        (constant(0.5, [1, 300, 6]), r"its output is \(1, 300, 6\)"),
        (constant(0.5, [1, 84, 20]), r"its output is \(1, 84, 20\)"),
        (constant(0.5, [5, 20]), r"its output is \(5, 20\)"),
        (constant(0.5, [1, 5, 0], images=[1, 1, 640, 640]), r"its inputs and its output are .*\[1, 1, 640, 640\]"),
        (constant(0.5, [1, 5, 0], images=[1, 3, 640, 10**9]), r"px; sides of 32 to 4096 px"),
        (constant(0.5, [1, 5, 0], more=[1]), r"its inputs and its output are"),
        (constant(9.5, [1, 5, 20]), r"0 to 9\.5; \(1, 5, boxes\)"),  # logits
        (constant(np.nan, [1, 5, 20]), r"nan; \(1, 5, boxes\)"),
        (constant([[[np.inf], [9], [9], [9], [0.9]]], [1, 5, 20]), r"0 to inf; \(1, 5, boxes\)"),
    ],
)
def test_a_file_of_something_else_is_one_clear_line(find, content, words):
    with pytest.raises(UserError, match=r"own/yolo\.onnx: .*" + words) as error:
        find(content, spotted(64, 64))
    assert "\n" not in str(error.value)
    assert str(error.value).endswith("if it is deleted, the usual one is fetched")


def test_boxes_beyond_all_bounds_are_clipped(find):
    values = np.array([[1e30, -1e30, 3e38, 1e30, 0.9], [320, 320, -50, 90, 0.9]], np.float32).T[None]
    found = find(constant(values, [1, 5, 2]), spotted(640, 640))
    assert found
    assert all(-320 <= end <= 960 for face in found for end in face.box)  # squares round the middles of clipped boxes


def test_weights_in_another_file_are_refused_as_no_digest_covers_them(find, tmp_path):
    whole = onnx.load_from_string(onnx_files.yolo())
    path = tmp_path / "own"
    path.mkdir()
    onnx.save(whole, str(path / "x.onnx"), save_as_external_data=True, location="w.bin", size_threshold=0)
    with pytest.raises(UserError, match="its weights are in another file"):
        find((path / "x.onnx").read_bytes(), spotted(64, 64))


def test_without_onnxruntime_the_line_says_what_to_install(find, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"^onnxruntime: it is not installed; .*pip install 'anime-face-gans\[onnx\]'"):
        find(onnx_files.yolo(), spotted(64, 64))
    with pytest.raises(UserError, match="not installed"):
        detect.digests(["yolo"], None)


def test_faces_are_cached_for_each_file_alone_and_the_digest_names_it(find, store, tmp_path):
    images = images_of(store, [spotted(300, 300, (150, 150))])
    how = {"detector": "yolo", "sweep": "fast", "min_face": 20, "jobs": 1}
    one, other = (onnx_files.put(tmp_path / name, yolo=onnx_files.yolo(classes=(name,))) for name in ("face", "hand"))
    first, _ = detect.detect(images, store, **how, folder=one)
    with pytest.raises(UserError, match="yolo found no face"):
        detect.detect(images, store, **how, folder=other)
    again, _ = detect.detect(images, store, **how, folder=one)
    assert set(first["detector"].to_pylist()) == {"yolo"}
    assert again.equals(first)
    assert detect.digests(["yolo"], one) != detect.digests(["yolo"], other)


def test_only_the_detectors_file_is_in_the_digest_and_only_of_this_detector(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("ANIME_ASSETS", raising=False)
    assert detect.digests(["yolo"], None) == [assets.ASSETS["yolo.onnx"].sha256]  # which is not fetched for it
    assert not list(tmp_path.iterdir())
    assert detect.digests(detect.DETECTORS.keys() - {"yolo"}, None) == []


def test_letterboxed_pixels_are_the_pictures_with_grey_beside_them(tmp_path):
    folder = onnx_files.put(tmp_path / "own", yolo=onnx_files.yolo((640, 640)))
    x = YOLO(str(folder / "yolo.onnx")).prepare(np.full((640, 300, 3), (10, 20, 30), np.uint8))
    assert x.shape == (1, 3, 640, 640)
    assert np.abs(x[0, :, :, :300] * 255 - np.array([10, 20, 30])[:, None, None]).max() < 1e-3
    assert np.abs(x[0, :, :, 300:] * 255 - 114).max() < 1e-3


def test_a_file_that_cannot_be_had_is_one_line_that_says_where_to_put_it(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("ANIME_ASSETS", raising=False)
    row = dataclasses.replace(assets.ASSETS["yolo.onnx"], places=())
    monkeypatch.setitem(assets.ASSETS, "yolo.onnx", row)
    with pytest.raises(UserError, match=r"^yolo\.onnx: not to be had: .*No such file.*put it into .*ANIME_ASSETS"):
        detect.DETECTORS["yolo"].asset(None)
