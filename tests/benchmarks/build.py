"""BuildFaceDataset beside the obvious script and again, whole processes in CPU seconds. Run by tests/benchmarks."""

import compileall
import itertools
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from pipeline import assets
from pipeline.drawing import scenes
from pipeline.faces.boxes import Face
from tests.benchmarks.again import again
from tests.benchmarks.detectors import Marked
from tests.benchmarks.scoreboard import MIN_FACE
from tests.support import sprites

ROOT = Path(__file__).parents[2]
SEED = 11  # of the scenes
SIDE = 1500  # px
FORMATS = ("jpg",) * 7 + ("png",) * 2 + ("webp",)  # in turn; about the shares on a booru

# One picture after the other, as anybody would write it: (cascade, folder, folder of the crops) -> boxes, as JSON.
OBVIOUS = """
import json, pathlib, sys
import cv2, numpy as np
from PIL import Image
cv2.setNumThreads(1)
cascade, found = cv2.CascadeClassifier(sys.argv[1]), {}
for path in sorted(pathlib.Path(sys.argv[2]).iterdir()):
    picture = Image.open(path).convert("RGB")
    grey = cv2.equalizeHist(cv2.cvtColor(np.asarray(picture), cv2.COLOR_RGB2GRAY))
    found[path.name] = []
    for x, y, w, h in cascade.detectMultiScale(grey, scaleFactor=1.1, minNeighbors=5, minSize=(24, 24)):
        box = int(x - w / 4), int(y - h / 4), int(x + w * 5 / 4), int(y + h * 5 / 4)
        crop = picture.crop(box).resize((128, 128), Image.Resampling.LANCZOS)
        crop.save(f"{sys.argv[3]}/{path.stem} {x} {y}.png")
        found[path.name].append((int(x), int(y), int(x + w), int(y + h)))
print(json.dumps(found))
"""
# The least that finds faces of 48 px: decoding, and one pass at the scale where they fill the cascade's window.
PURE = """
import json, pathlib, sys
import cv2, numpy as np
from PIL import Image
cv2.setNumThreads(1)
cascade, found = cv2.CascadeClassifier(sys.argv[1]), {}
for path in sorted(pathlib.Path(sys.argv[2]).iterdir()):
    grey = cv2.cvtColor(np.asarray(Image.open(path).convert("RGB")), cv2.COLOR_RGB2GRAY)
    small = cv2.equalizeHist(cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    boxes = cascade.detectMultiScale(small, scaleFactor=1.1, minNeighbors=5, minSize=(24, 24))
    found[path.name] = [(int(2 * x), int(2 * y), int(2 * (x + w)), int(2 * (y + h))) for x, y, w, h in boxes]
print(json.dumps(found))
"""

Marks = dict[str, list[tuple[Marked, bool]]]
"""Name of a picture -> its faces, and whether a detector should find each: others are hidden, or too small."""
NO_PICTURE = np.empty((0, 0, 3), np.uint8)


class Row(NamedTuple):
    """What a command took and found; CPU seconds are those of all its processes."""

    cpu: float
    wall: float
    found: int  # of the faces that should be found
    others: int  # finds that are no face


def build(count: int = 100, small: int = 1000) -> None:
    """A folder of `count` scenes of 1,500 px and the sprites, from nothing to the dataset, beside the obvious script;
    then builds of `small` drawn portraits again; then whether the limits hold. Start-up is included."""
    compile_packages()
    with tempfile.TemporaryDirectory() as root:
        rows = beside_obvious(Path(root), count)
    costs = again(small)
    obvious, pure = rows["obvious script"], rows["decode + detect"]
    off, fast = rows["--sweep off --jobs 1"], rows["--sweep fast --jobs 1"]
    full = costs["full, --jobs 2"]
    for what, value, least, most in (
        ("off, times as fast as the obvious script", obvious.cpu / off.cpu, 5, math.inf),
        ("fast, times as fast as the obvious script", obvious.cpu / fast.cpu, 3, math.inf),
        ("faces that off finds, of those of the obvious script", off.found / max(1, obvious.found), 0.99, math.inf),
        ("faces that fast finds, of those of the obvious script", fast.found / max(1, obvious.found), 0.99, math.inf),
        ("off, times as fast as decode + detect", pure.cpu / off.cpu, 0.85, math.inf),
        ("two cores, times as fast as one, by the clock", costs["full, --jobs 1"].wall / full.wall, 1.8, math.inf),
        (f"one picture more of {small}, share of a full build", costs["one picture more"].cpu / full.cpu, 0, 0.03),
        ("nothing new, CPU seconds", costs["nothing new"].cpu, 0, 1.0),
    ):
        limit = {"most": most} if least == 0 else {"least": least}
        print(json.dumps({"must": what, "is": round(value, 3), **limit, "holds": least <= value <= most}), flush=True)


def beside_obvious(place: Path, count: int) -> dict[str, Row]:
    """Print and return a row for the obvious script, for decoding and detection alone, and for each build."""
    folder, cascade = place / "pictures", str(assets.fetch("lbpcascade_animeface.xml"))
    folder.mkdir()
    (place / "crops").mkdir()
    marked = draw_scenes(folder, count) | copy_sprites(folder, place)
    rows: dict[str, Row] = {}

    def tell(name: str, command: list, data: Path | None = None) -> None:
        rows[name] = row = run(command, marked, data)
        line = {"bench": f"build/{name}", "pictures": len(marked), "cpu_s": round(row.cpu, 2)}
        line |= {"wall_s": round(row.wall, 2), "times_obvious": round(rows["obvious script"].cpu / row.cpu, 2)}
        print(json.dumps(line | {"found": row.found, "others": row.others, "wanted": wanted_in(marked)}), flush=True)

    tell("obvious script", [sys.executable, "-c", OBVIOUS, cascade, folder, place / "crops"])
    tell("decode + detect", [sys.executable, "-c", PURE, cascade, folder])
    for sweep, jobs in itertools.product(("off", "fast"), (1, 2)):
        data = place / f"{sweep} {jobs}"
        command = [sys.executable, "-m", "workflows", "BuildFaceDataset", "--source", "folder", "--path", folder]
        how = ("--sweep", sweep, "--jobs", jobs, "--data-root", data)
        tell(f"--sweep {sweep} --jobs {jobs}", [*command, *how], data)
    return rows


def compile_packages() -> None:
    """Write the bytecode of the packages, as their installation does."""
    for package in ("pipeline", "models", "workflows"):
        compileall.compile_dir(ROOT / package, quiet=1)


def draw_scenes(folder: Path, count: int) -> Marks:
    """Write the scenes. Return their faces."""
    marked: Marks = {}
    for i, extension in zip(range(count), itertools.cycle(FORMATS)):
        scene, name = scenes.draw(SEED, i, SIDE), f"{i:04}.{extension}"
        Image.fromarray(scene.picture).save(folder / name, quality=90)
        marked[name] = [
            (Marked(NO_PICTURE, face.x, face.y, face.side, face.tilt), face.is_clear and face.side >= MIN_FACE)
            for face in scene.faces
        ]
    return marked


def copy_sprites(folder: Path, place: Path) -> Marks:
    """Copy the sprites there, if they can be had. Return their faces."""
    try:
        source = sprites.fetch(place)
    except sprites.Unavailable as reason:
        print(json.dumps({"bench": "build/sprites", "skipped": str(reason)}), flush=True)
        return {}
    marked: Marks = {}
    for name, (x0, y0, x1, y1) in sprites.FACES.items():
        shutil.copy(source / name, folder)
        marked[name] = [(Marked(NO_PICTURE, (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, 0.0), True)]
    return marked


def run(command: list, marked: Marks, data: Path | None) -> Row:
    """Run the command, which prints the boxes or builds a dataset in the data root."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True, check=True)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - start
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found = json.loads(done.stdout) if data is None else boxes_of(data / "datasets" / "faces" / "manifest.parquet")
    return Row(cpu, wall, *count_faces(found, marked))


def boxes_of(manifest: Path) -> dict[str, list]:
    """Return name -> the boxes of its faces."""
    boxes: dict[str, list] = {}
    for name, box in pd.read_parquet(manifest, columns=["source_id", "box"]).itertuples(index=False):
        boxes.setdefault(name, []).append(box)
    return boxes


def wanted_in(marked: Marks) -> int:
    """Return how many faces should be found."""
    return sum(is_wanted for marks in marked.values() for _, is_wanted in marks)


def count_faces(found: dict[str, list], marked: Marks) -> tuple[int, int]:
    """Return (how many faces that should be found were, how many finds are no face)."""
    right = others = 0
    for name, marks in marked.items():
        faces = [Face(tuple(box), 0.0, 0.0) for box in found.get(name, [])]
        right += sum(is_wanted and any(mark.is_of(face) for face in faces) for mark, is_wanted in marks)
        others += sum(not any(mark.is_of(face) for mark, _ in marks) for face in faces)
    return right, others
