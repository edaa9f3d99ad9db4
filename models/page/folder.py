"""A folder with the page, its runtime and exported networks: all that a static web server needs."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models import zoo
from models.data.dataset import GENERATED, XMP_KEYWORD, read_json
from models.page import MODELS, npm
from models.runs import export, model_json, onnx_networks
from models.runs.settings import config_from_json

FORMAT = 1  # of models.json
PINNED = Path(__file__).parent
STATIC, LICENSES = PINNED / "static", PINNED / "licenses"
CARD = "README.md"  # of a run
SHIPPED_CARD = PINNED / "shipped.md"
RUNTIME = {
    "runtime/ort.mjs": "onnxruntime-web/dist/ort.wasm.bundle.min.mjs",
    "runtime/ort-wasm-simd-threaded.mjs": "onnxruntime-web/dist/ort-wasm-simd-threaded.mjs",
    "runtime/ort-wasm-simd-threaded.wasm": "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm",
    "runtime/gifenc.js": "gifenc/dist/gifenc.esm.js",
    "licenses/gifenc.txt": "gifenc/LICENSE.md",
}
"""Files of the page, and what they are in node_modules."""


TABS = {
    "uniform": ("generate", 4),
    "normal": ("generate", 4),
    "uniform weights": ("generate", 4),
    "normal weights": ("generate", 4),
    "picture": ("convert", 4),
    "picture numbers": ("convert", 4),
    "levels": ("upscale", 4),
    "picture flow share": ("blink", 5),
}
"""By the kinds of inputs of a run's main network: the tab of the page that uses it, and the sides of its output."""


def tab_of(described: Mapping[str, Any]) -> str | None:
    """Return the tab of the page that uses a run, by what the main network of its model.json takes and returns; None
    if there is none."""
    main = next(iter(described["networks"].values()))
    inputs = " ".join(port["kind"] for port in main["inputs"])
    output = main["outputs"][0]
    if inputs == "picture flow share" and not (main["openness"] and "t" in output["shape"]):
        return None  # it blinks as the flow of a clip says, which the page has none of
    if inputs in TABS and output["kind"] in ("picture", "levels") and len(output["shape"]) == TABS[inputs][1]:
        return TABS[inputs][0]
    return None


def is_usable(run: Path) -> bool:
    """Return whether the page has a tab for a run, which need not be exported yet. Raise UserError if a network that it
    exports is missing or damaged."""
    about = export.read_about(run)
    if about["model"] not in zoo.MODELS:
        return False  # a network of the pipeline's own
    main, *others = zoo.MODELS[about["model"]].exported
    for name in others:
        export.plan_network(run, name)
    size = config_from_json(about["model"], about["config"]).size
    graph = onnx_networks.graph_of(export.plan_network(run), size)
    return tab_of({"networks": {main: model_json.describe_graph(graph)}}) is not None


def digest_of(shipped: Path, runs: Mapping[str, Path]) -> str:
    """Return the digest of what a page is made from: our files, the pinned packages, and what ExportONNX made: of
    the networks that are shipped, and of runs by name."""
    own = [PINNED / "package-lock.json", SHIPPED_CARD, *_files(LICENSES), *_files(STATIC)]
    parts = [(str(path.relative_to(PINNED)), _sha256(path)) for path in own]
    parts += [(name, _sha256(folder / model_json.NAME)) for name, folder in (("", shipped), *runs.items())]
    parts += [(name, _sha256(folder.parent / CARD)) for name, folder in runs.items()]
    return hashlib.sha256(json.dumps([FORMAT, parts]).encode()).hexdigest()


def is_whole(folder: Path, digest: str) -> bool:
    """Return whether a page was made from what has this digest, and all of its files are there."""
    try:
        found: Any = read_json(folder / MODELS, {"digest": str, "files": {str: int}})
        sizes = {name: (folder / name).stat().st_size for name in found["files"]}
        return bool(found["digest"] == digest and found["files"] == sizes)
    except (OSError, ValueError):
        return False


def write_page(folder: Path, shipped: Path, runs: Mapping[str, Path]) -> None:
    """Write the page in place of what `folder` held, with the networks that are shipped and those of runs: folders that
    ExportONNX made, by name, within the runs' own. Raise UserError."""
    packages = npm.install(PINNED)
    work, old = (folder.with_name(f".{folder.name}.{ending}") for ending in ("part", "old"))
    for left in (work, old):
        shutil.rmtree(left, ignore_errors=True)
    shutil.copytree(STATIC, work)
    shutil.copytree(LICENSES, work / "licenses")
    (work / "runtime").mkdir()
    for name, source in RUNTIME.items():
        shutil.copyfile(packages / source, work / name)
    _copy_export(shipped, work / "shipped")
    shutil.copyfile(SHIPPED_CARD, work / "shipped" / CARD)
    for name, made in runs.items():
        _copy_export(made, work / "runs" / name)
        shutil.copyfile(made.parent / CARD, work / "runs" / name / CARD)
    content = {
        "format": FORMAT,
        "digest": digest_of(shipped, runs),
        "mark": {"keyword": XMP_KEYWORD, "text": GENERATED},  # of a picture that a network made
        "models": [{"name": name, "tab": tab_of(_read(made))} for name, made in runs.items()],
        "files": {str(path.relative_to(work)): path.stat().st_size for path in _files(work)},
    }
    (work / MODELS).write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    if os.path.lexists(folder):
        os.rename(folder, old)
    os.rename(work, folder)
    shutil.rmtree(old, ignore_errors=True)


def _copy_export(source: Path, target: Path) -> None:
    """Copy what the page needs of a folder that ExportONNX made."""
    target.mkdir(parents=True)
    for name in (model_json.NAME, *(network["file"] for network in _read(source)["networks"].values())):
        shutil.copyfile(source / name, target / name)


def _read(folder: Path) -> dict[str, Any]:
    described: dict[str, Any] = json.loads((folder / model_json.NAME).read_text(encoding="utf-8"))
    return described


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
