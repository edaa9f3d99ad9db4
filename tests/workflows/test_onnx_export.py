"""ExportONNX: a folder with networks and model.json."""

import hashlib
import json
import math
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from models.runs import export, onnx_graph
from pipeline.errors import UserError
from tests.support.run_luigi import error_line
from tests.support.untrained_run import untrained_run
from workflows import ExportONNX

COLORS = ("blonde", "brown", "black", "blue", "pink", "purple", "green", "red", "silver")


@pytest.fixture
def root(built, tmp_path) -> Path:
    """A data root with the dataset that runs learned from."""
    shutil.copytree(built / "data/datasets", tmp_path / "data/datasets", symlinks=True)
    return tmp_path / "data"


def exported(task: ExportONNX) -> dict:
    task.run()
    return described(task)


def described(task: ExportONNX) -> dict:
    assert task.complete()
    return json.loads(task.file.read_text())


def check_files(folder: Path, networks: dict) -> None:
    """Each file is the one that model.json describes, and onnxruntime computes of its golden input what it says."""
    for name, network in networks.items():
        content = (folder / network["file"]).read_bytes()
        assert (network["file"], network["bytes"]) == (f"{name}.onnx", len(content))
        assert network["sha256"] == hashlib.sha256(content).hexdigest()
        golden = network["golden"]
        numbers = np.fromfile(folder / golden["file"], "<f4")
        ends = np.cumsum([math.prod(shape) for shape in golden["shapes"]])
        assert ends[-1] == len(numbers)
        arrays = [
            part.reshape(shape) for part, shape in zip(np.split(numbers, ends[:-1]), golden["shapes"], strict=True)
        ]
        inputs = len(network["inputs"])
        assert 0 < onnx_graph.error_of(content, arrays[:inputs], arrays[inputs:]) <= golden["error"] * 1.01


def test_a_conditional_run_with_labels_attributes_and_provenance(root):
    run = untrained_run(root, "r", "r3gan-colors")
    weights, latent = export.weights_sha256(run), 16
    evaluation = {"weights": weights, "samples": 64, "hair_accuracy_by_color": {"blue": 0.75, "red": 1 / 3}}
    (run / "evaluation.json").write_text(json.dumps(evaluation))
    learned = {
        "weights": weights,
        "samples": 2000,
        "counts": {"smile": 500, "hat": 1},
        "obedience": {"smile": [0.25, 0.5, 0.75, 1.0]},
        "obedience_strengths": [0.0, 0.5, 1.0, 2.0],
        "vectors": {"smile": [0.123456789] * latent},
    }
    (run / "attributes.json").write_text(json.dumps(learned))
    task = ExportONNX(run="r", data_root=root)
    found = exported(task)
    assert task.file == run / "onnx" / "model.json"
    check_files(task.file.parent, found["networks"])
    assert [port["name"] for port in found["networks"]["generator"]["inputs"]] == ["z", "labels"]
    saved = json.loads((run / "config.json").read_text())["dataset"]
    place = {"size": 128, "box_scale": 1.5, "face_x": None, "face_y": None, "rotation": None}
    assert found["datasets"] == {"faces": {"name": "faces", "digest": saved["digest"], **place}}
    assert (found["weights"], found["licenses"]) == (weights, ["CC0-1.0"])
    assert [(label["name"], label["count"]) for label in found["labels"]] == list(saved["labels"].items())
    assert {label["name"]: label["obeyed"] for label in found["labels"] if label["obeyed"]} == {
        "blue": 0.75,
        "red": 0.333333,
    }
    counts = [saved["labels"][COLORS[prior["labels"][0]]] for prior in found["priors"]]
    assert [prior["share"] for prior in found["priors"]] == pytest.approx(np.divide(counts, sum(counts)), abs=1e-6)
    (attribute,) = found["attributes"]
    assert attribute["vector"] == [0.12346] * latent
    assert (attribute["share"], attribute["obeyed"]) == (0.25, learned["obedience"]["smile"])
    assert str(root) not in task.file.read_text()

    (task.file.parent / "generator.onnx").rename(run / "moved")
    assert not task.complete()
    (run / "moved").rename(task.file.parent / "generator.onnx")
    assert task.complete()
    (run / "evaluation.json").unlink()
    assert not task.complete()


@pytest.mark.full
def test_a_run_with_several_networks(root):
    untrained_run(root, "r", "stargan2")
    shutil.rmtree(root / "datasets")
    task = ExportONNX(run="r", data_root=root)
    found = exported(task)
    assert [*found["networks"]] == ["generator", "mapping", "style_encoder"]
    check_files(task.file.parent, found["networks"])
    assert found["licenses"] == [None]  # its dataset is not there
    assert [domain["name"] for domain in found["domains"]] == ["photographs", "anime"]


@pytest.mark.full
def test_the_shipped_networks(shipped_onnx):
    found, folder = described(shipped_onnx), shipped_onnx.file.parent
    assert folder == shipped_onnx.data_root / "generated" / "onnx"
    assert [*found["networks"]] == ["blink", "face_detector", "landmarks", "hair_colors", "upscaler"]
    check_files(folder, found["networks"])
    assert sum(network["bytes"] for network in found["networks"].values()) < 6 << 20


def test_a_run_that_is_not_there(root, tmp_path):
    untrained_run(root, "r")
    line = error_line(tmp_path, "ExportONNX", "--run", "nowhere")
    assert "runs/nowhere: has no model.safetensors" in line
    assert line.endswith("train it first, or give another --run: r")


def test_without_the_packages(root, monkeypatch):
    untrained_run(root, "r")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"onnxruntime.*is not installed.*pip install 'anime-face-gans\[onnx\]'"):
        ExportONNX(run="r", data_root=root).run()
    assert not (root / "runs/r/onnx").exists()
