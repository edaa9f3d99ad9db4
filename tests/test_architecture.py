"""The arrows between packages, read from the imports."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALLOWED = {"pipeline": set(), "models": {"pipeline"}, "workflows": {"pipeline", "models"}}


def imports_of(package: str):
    """(file, full name) of everything imported below a package, at its top or within functions."""
    for file in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file} imports relatively: say from where"
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            yield from ((file.relative_to(ROOT).as_posix(), name) for name in names)


@pytest.mark.parametrize("package", ALLOWED)
def test_arrows_between_packages_go_one_way(package):
    for file, name in imports_of(package):
        other = name.split(".")[0]
        if other in ALLOWED and other != package:
            assert other in ALLOWED[package], f"{file} imports {name}"


def test_models_know_the_pipeline_by_its_manifest_its_optical_flow_and_its_decoder_alone():
    for file, name in imports_of("models"):
        if name.startswith("pipeline"):
            assert file == "models/data/dataset.py", f"{file} imports {name}"
            allowed = ("pipeline.manifest", "pipeline.clips.flow", "pipeline.images.decode")
            assert name.startswith(allowed), f"{file} imports {name}"


def test_only_workflows_know_luigi():
    for package in ("pipeline", "models"):
        for file, name in imports_of(package):
            assert name.split(".")[0] != "luigi", f"{file} imports {name}"


def test_only_web_opens_sockets_but_for_the_server_of_the_review():
    for file, name in imports_of("pipeline"):
        if file == "pipeline/datasets/review/server.py" and name.startswith("http"):
            continue
        if name.split(".")[0] in ("requests", "urllib3", "socket", "http", "aiohttp") or name.startswith(
            "urllib.request"
        ):
            assert file == "pipeline/web/http.py", f"{file} imports {name}"


def test_nothing_is_unpickled_but_by_a_reader_that_knows_three_names():
    for package in ALLOWED:
        for file, name in imports_of(package):
            if name.split(".")[0] in ("pickle", "marshal", "shelve", "dill"):
                assert (file, name) == ("models/nn/vgg.py", "pickle"), f"{file} imports {name}"
    source = (ROOT / "models/nn/vgg.py").read_text(encoding="utf-8")
    assert "pickle.load" not in source
    assert "def find_class" in source  # what it refuses: tests/models/test_evaluation.py


@pytest.mark.parametrize(
    ("module", "slow"),
    [
        ("workflows", {"torch", "cv2", "pandas", "matplotlib", "pyarrow"}),
        ("pipeline.sources.registry", {"bs4", "cv2", "pandas", "rarfile"}),
        ("pipeline.hair.tagging", {"bs4", "lxml", "pipeline.sources.registry", "rarfile", "torch"}),  # in each worker
    ],
)
def test_imports_leave_out_what_is_slow_and_rarely_needed(module, slow):
    code = f"import sys, {module}; print(sorted({slow!r} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert answer.stdout.strip() == "[]"
