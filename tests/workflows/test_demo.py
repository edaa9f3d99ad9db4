"""ExportDemo, and `python -m workflows serve`."""

import json
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import luigi
import pytest

from models.runs import export
from pipeline.errors import UserError
from tests.support.run_luigi import ROOT, error_line
from tests.support.untrained_run import untrained_run
from workflows import ExportDemo


@pytest.fixture
def root(built, tmp_path) -> Path:
    """A data root with the dataset that runs learned from."""
    shutil.copytree(built / "data/datasets", tmp_path / "data/datasets", symlinks=True)
    return tmp_path / "data"


def card(run: Path) -> None:
    (run / "README.md").write_text(f"# {run.name}\n")


@pytest.mark.full
def test_a_page_of_all_runs_that_it_can_use(root, shipped_onnx):
    for name, model in (("painter", "dcgan96"), ("refiner", "seam-refiner")):
        card(untrained_run(root, name, model))
    shutil.copytree(root / "runs/painter", root / "runs/painter.old1")
    shutil.copytree(root / "runs/painter", root / "runs/damaged")
    (root / "runs/damaged/model.safetensors").write_bytes(b"damaged")
    assert [task.run_name for task in ExportDemo(data_root=root).requires()] == ["", "painter"]
    shutil.copytree(shipped_onnx.file.parent, root / "generated/onnx")  # which takes a while
    assert luigi.build([ExportDemo(data_root=root)], local_scheduler=True)
    page = root / "demo/page"
    listed = json.loads((page / "models.json").read_text())
    assert listed["models"] == [{"name": "painter", "tab": "generate"}]
    assert (page / "runs/painter/generator.onnx").read_bytes() == (
        root / "runs/painter/onnx/generator.onnx"
    ).read_bytes()
    assert {path.name for path in (page / "shipped").glob("*.onnx")} == {
        f"{name}.onnx" for name in ("blink", "face_detector", "landmarks", "hair_colors", "upscaler")
    }
    assert str(root) not in (page / "models.json").read_text()
    assert ExportDemo(data_root=root).complete()

    card(untrained_run(root, "another", "dcgan96", seed=1))
    assert not ExportDemo(data_root=root).complete()
    assert ExportDemo(runs=("painter",), data_root=root).complete()


def test_wrong_options_are_one_line(tmp_path):
    assert error_line(tmp_path, "ExportDemo", "--runs", "a,a").endswith("see python -m workflows ExportDemo --help")
    assert "--name: 'a/b' given" in error_line(tmp_path, "ExportDemo", "--name", "a/b")


def test_a_run_that_is_not_there_is_one_line_before_anything_is_exported(tmp_path):
    assert "runs/nowhere: has no model.safetensors" in error_line(tmp_path, "ExportDemo", "--runs", "nowhere")
    assert not (tmp_path / "data/generated").exists()


def test_a_run_of_no_use_is_refused_before_anything_is_exported(root):
    for name, model in (("painter", "dcgan96"), ("refiner", "seam-refiner"), ("styles", "stargan2")):
        card(untrained_run(root, name, model))
    (root / "runs/detector").mkdir()
    export.write_weights(root / "runs/detector", {}, {"model": "face_detector", "config": {}, "steps": 1})
    for name in ("refiner", "detector"):
        with pytest.raises(UserError, match=f"--runs {name}: the page has no use for this run; .*; leave it out"):
            ExportDemo(runs=("painter", name), data_root=root)
    assert list(ExportDemo(runs=("styles",), data_root=root).exports) == ["styles"]
    assert list(ExportDemo(data_root=root).exports) == ["painter", "styles"]
    (root / "runs/styles/mapping.safetensors").unlink()
    with pytest.raises(UserError, match=r"runs/styles: has no mapping\.safetensors"):
        ExportDemo(runs=("painter", "styles"), name="other", data_root=root)


def serve(place: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "workflows", "serve", *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=place, env=environment, text=True, **pipes)


def test_serve(tmp_path):
    error = serve(tmp_path, ".").communicate()[1]
    found = "error: .: is no page: it has no models.json; a folder that ExportDemo made; "
    assert error.splitlines()[-1] == f"{found}run ExportDemo, or give another folder"
    (tmp_path / "models.json").write_text("{}")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        error = serve(tmp_path, ".", "--port", port).communicate()[1]
    assert error.splitlines()[-1].startswith(f"error: 127.0.0.1:{port}: Address already in use; ")
    server = serve(tmp_path, ".", "--port", "0")
    address = server.stdout.readline().split()[0]
    assert address.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(f"{address}models.json") as answer:
        assert answer.read() == b"{}"
    server.send_signal(2)
    assert server.wait() == 130  # as after any Ctrl-C
    assert "Traceback" not in server.stderr.read()
