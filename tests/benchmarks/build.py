"""BuildFaceDataset beside the obvious script and again, whole processes in CPU seconds. Run by tests/benchmarks."""

import compileall
import itertools
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from PIL import Image

from pipeline import assets
from pipeline.drawing import scenes
from pipeline.faces.boxes import Face, face_at
from tests.benchmarks import commands
from tests.benchmarks.again import again
from tests.benchmarks.scoreboard import MIN_FACE, is_near
from tests.support import sprites

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

Marks = dict[str, list[tuple[Face, bool]]]
"""Name of a picture -> its faces, and whether a detector should find each: others are hidden, or too small."""


class Row(NamedTuple):
    """What a command took and found."""

    cost: commands.Cost
    found: int  # of the faces that should be found
    others: int  # finds that are no face


def build(count: int = 100, small: int = 1000) -> None:
    """A folder of `count` scenes of 1,500 px and the sprites, from nothing to the dataset, beside the obvious script;
    then builds of `small` drawn portraits again; then whether the limits hold. Start-up is included."""
    compile_packages()
    with tempfile.TemporaryDirectory() as root:
        rows = beside_obvious(Path(root), count)
    costs = again(small)
    names = ("obvious script", "decode + detect", "--sweep off --jobs 1", "--sweep fast --jobs 1")
    (obvious, pure, off, fast), full = (rows[name] for name in names), costs["full, --jobs 2"]
    for what, value, bound, limit in (
        ("off, times as fast as the obvious script", obvious.cost.cpu / off.cost.cpu, "least", 5),
        ("fast, times as fast as the obvious script", obvious.cost.cpu / fast.cost.cpu, "least", 3),
        ("faces that off finds, of those of the obvious script", off.found / max(1, obvious.found), "least", 0.99),
        ("faces that fast finds, of those of the obvious script", fast.found / max(1, obvious.found), "least", 0.99),
        ("off, times as fast as decode + detect", pure.cost.cpu / off.cost.cpu, "least", 0.85),
        ("two cores, times as fast as one, by the clock", costs["full, --jobs 1"].wall / full.wall, "least", 1.8),
        (f"one picture more of {small}, share of a full build", costs["one picture more"].cpu / full.cpu, "most", 0.03),
        ("nothing new, CPU seconds", costs["nothing new"].cpu, "most", 1.0),
    ):
        holds = value >= limit if bound == "least" else value <= limit
        print(json.dumps({"must": what, "is": round(value, 3), bound: limit, "holds": holds}), flush=True)


def beside_obvious(place: Path, count: int) -> dict[str, Row]:
    """Print and return a row for the obvious script, for decoding and detection alone, and for each build."""
    folder, cascade = place / "pictures", str(assets.fetch("lbpcascade_animeface.xml"))
    folder.mkdir()
    (place / "crops").mkdir()
    marked = draw_scenes(folder, count) | copy_sprites(folder, place)
    rows: dict[str, Row] = {}

    def tell(name: str, cost: commands.Cost, found: dict[str, list]) -> None:
        rows[name] = row = Row(cost, *count_faces(found, marked))
        line = {"bench": f"build/{name}", "pictures": len(marked), "cpu_s": round(cost.cpu, 2)}
        line |= {"wall_s": round(cost.wall, 2), "times_obvious": round(rows["obvious script"].cost.cpu / cost.cpu, 2)}
        print(json.dumps(line | {"found": row.found, "others": row.others, "wanted": wanted_in(marked)}), flush=True)

    for name, script, *more in (("obvious script", OBVIOUS, place / "crops"), ("decode + detect", PURE)):
        cost, printed = commands.run([sys.executable, "-c", script, cascade, folder, *more])
        tell(name, cost, json.loads(printed))
    for sweep, jobs in itertools.product(("off", "fast"), (1, 2)):
        data = place / f"{sweep} {jobs}"
        cost = commands.build(folder, data, "--sweep", sweep, "--jobs", jobs)
        tell(f"--sweep {sweep} --jobs {jobs}", cost, boxes_of(data / "datasets" / "faces" / "manifest.parquet"))
    return rows


def compile_packages() -> None:
    """Write the bytecode of the packages, as their installation does."""
    for package in ("pipeline", "models", "workflows"):
        compileall.compile_dir(commands.ROOT / package, quiet=1)


def draw_scenes(folder: Path, count: int) -> Marks:
    """Write the scenes. Return their faces."""
    marked: Marks = {}
    for i, extension in zip(range(count), itertools.cycle(FORMATS)):
        scene, name = scenes.draw(SEED, i, SIDE), f"{i:04}.{extension}"
        Image.fromarray(scene.picture).save(folder / name, quality=90)
        marked[name] = [
            (face_at(face.x, face.y, face.side, face.tilt, 1.0), face.is_clear and face.side >= MIN_FACE)
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
    for name, box in sprites.FACES.items():
        shutil.copy(source / name, folder)
        marked[name] = [(Face(box, 0.0, 1.0), True)]
    return marked


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
        right += sum(is_wanted and any(is_near(face, mark) for face in faces) for mark, is_wanted in marks)
        others += sum(not any(is_near(face, mark) for mark, _ in marks) for face in faces)
    return right, others
