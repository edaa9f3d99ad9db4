"""The table of the digests of each stage's code: tests/data/stage_versions.json.

`python -m tests.tools.stage_versions` writes it anew, after a VERSION was raised, or after a change that cannot change
a result: `tests/test_stage_versions.py` fails until one of both was done.
"""

import ast
import hashlib
import importlib
import json
import platform
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "tests/data/stage_versions.json"
PYTHON = ".".join(platform.python_version_tuple()[:2])
STAGES = {
    "pipeline.blocklist.VERSION": "blocklist.py",
    "pipeline.clips.flow.VERSION": "clips/flow.py",
    "pipeline.clips.videos.VERSION": "clips/videos.py clips/extract.py clips/cut.py clips/tracks.py clips/blinks.py "
    "clips/shots.py clips/video.py faces/upright.py faces/crop.py",
    "pipeline.datasets.assemble.VERSION": "datasets/assemble.py datasets/corrections.py",
    "pipeline.datasets.clip_groups.VERSION": "datasets/clip_groups.py datasets/splits.py",
    "pipeline.datasets.image_groups.VERSION": "datasets/image_groups.py datasets/splits.py",
    "pipeline.datasets.merge.VERSION": "datasets/merge.py",
    "pipeline.datasets.recipe.VERSION": "datasets/recipe.py",
    "pipeline.datasets.recipe_source.VERSION": "datasets/recipe_source.py",
    "pipeline.datasets.splits.VERSION": "datasets/splits.py",
    "pipeline.drawing.film.VERSION": "drawing/*.py drawing/portrait/*.py drawing/scenes/*.py",
    "pipeline.drawing.illustration.VERSION": "drawing/*.py drawing/portrait/*.py drawing/scenes/*.py",
    "pipeline.faces.crop.CROP_VERSION": "faces/crop.py faces/boxes.py marking.py",
    "pipeline.faces.detect.VERSION": "faces/detect.py faces/frontal.py faces/views.py faces/boxes.py faces/cascade.py "
    "faces/animeface.py faces/network.py faces/network.safetensors faces/cascade_network.py faces/yolo.py "
    "onnx_network.py",
    "pipeline.faces.landmarks.VERSION": "faces/landmarks.py faces/landmark_network.py faces/network.py "
    "faces/views.py faces/boxes.py faces/landmarks.safetensors",
    "pipeline.faces.quality.VERSION": "faces/quality.py",
    "pipeline.hair.color_network.VERSION": "hair/color_network.py hair/color_names.py hair/color_network.safetensors",
    "pipeline.hair.tagging.VERSION": "hair/tagging.py hair/color_names.py hair/illustration2vec.py hair/caffemodel.py "
    "hair/wd.py onnx_network.py",
    "pipeline.images.collect.VERSION": "images/collect.py images/decode.py images/color_profiles.py "
    "images/containers.py",
    "pipeline.images.near_duplicates.VERSION": "images/near_duplicates.py",
    "pipeline.sources.boorus.danbooru.VERSION": "sources/boorus/danbooru.py sources/boorus/common.py",
    "pipeline.sources.boorus.gelbooru.VERSION": "sources/boorus/gelbooru.py sources/boorus/common.py",
    "pipeline.sources.boorus.moebooru.VERSION": "sources/boorus/moebooru.py sources/boorus/common.py",
    "pipeline.sources.drawn.VERSION": "sources/drawn.py drawing/*.py drawing/portrait/*.py",
    "pipeline.sources.gallery_dl.VERSION": "sources/gallery_dl.py",
    "pipeline.sources.generated.VERSION": "sources/generated.py",
    "pipeline.sources.getchu.VERSION": "sources/getchu/*.py",
    "pipeline.sources.search.google.VERSION": "sources/search/google.py sources/search/__init__.py",
    "pipeline.sources.search.openverse.VERSION": "sources/search/openverse.py sources/search/__init__.py",
    "pipeline.sources.sidecars.VERSION": "sources/sidecars.py",
    "pipeline.sources.twitter.VERSION": "sources/twitter.py",
    "pipeline.sources.url_list.VERSION": "sources/url_list.py",
    "pipeline.sources.web_page.VERSION": "sources/web_page.py",
    "pipeline.training_data.detector_scenes.VERSION": "training_data/detector_scenes.py drawing/*.py "
    "drawing/scenes/*.py",
    "pipeline.training_data.face_landmarks.VERSION": "training_data/face_landmarks.py drawing/*.py "
    "drawing/portrait/*.py drawing/scenes/*.py",
    "pipeline.training_data.hair_patches.VERSION": "training_data/hair_*.py faces/crop.py "
    "hair/color_names.py drawing/*.py drawing/portrait/*.py drawing/scenes/*.py",
}
"""A stage's version, by its full name -> the files below pipeline/ that its results depend on. A pattern that
matches no file is ignored."""


def digest_of_code(source: str) -> str:
    """Return a digest of Python source that comments, docstrings and layout do not change. It may differ between minor
    versions of Python, by whose parser and printer it is made."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):  # of an expression such as a lambda it is none
            node.body = [each for each in body if not _is_text(each)] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def digest_of_file(file: Path) -> str:
    """Return the digest of a file's code, or of the bytes of weights."""
    if file.suffix == ".py":
        return digest_of_code(file.read_text(encoding="utf-8"))
    return hashlib.sha256(file.read_bytes()).hexdigest()


def version_of(stage: str) -> object:
    """Return the version of that full name."""
    module, _, name = stage.rpartition(".")
    return getattr(importlib.import_module(module), name)


def current() -> dict[str, dict]:
    """Return stage -> its version, and file -> digest."""
    found = {}
    for stage, patterns in STAGES.items():
        files = sorted(file for pattern in patterns.split() for file in (ROOT / "pipeline").glob(pattern))
        digests = {file.relative_to(ROOT).as_posix(): digest_of_file(file)[:16] for file in files}
        found[stage] = {"version": version_of(stage), "files": digests}
    return found


def versions_in_code() -> set[str]:
    """Return the full name of every constant VERSION or CROP_VERSION in the code of the pipeline."""
    found = set()
    for file in (ROOT / "pipeline").rglob("*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            names = [each.id for each in getattr(node, "targets", []) if isinstance(each, ast.Name)]
            module = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found |= {f"{module}.{name}" for name in names if name in ("VERSION", "CROP_VERSION")}
    return found


def problems(recorded: dict[str, dict], now: dict[str, dict]) -> list[str]:
    """Return a line for each stage whose code is not what is recorded: which version to raise, or what to write."""
    lines = []
    for stage in sorted({*recorded, *now}):
        old, new = recorded.get(stage), now.get(stage)
        if old == new:
            continue
        if old is None or new is None or old["version"] != new["version"]:
            lines.append(f"{stage} is new or was raised: record it by python -m tests.tools.stage_versions")
            continue
        files = sorted(
            name for name in {*old["files"], *new["files"]} if old["files"].get(name) != new["files"].get(name)
        )
        lines.append(
            f"raise {stage} (now {new['version']}): {', '.join(files)} changed. If no result changes, leave it. "
            "Then record both by python -m tests.tools.stage_versions"
        )
    return lines


if __name__ == "__main__":
    TABLE.write_text(json.dumps({"python": PYTHON, "stages": current()}, indent=1) + "\n")
    sys.exit(print(TABLE.read_text()))
