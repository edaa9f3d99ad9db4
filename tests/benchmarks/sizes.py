"""Where a build's time goes at pictures of several sizes and formats, in CPU ms of one thread, beside the least that it
could be. Run by tests/benchmarks."""

import functools
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from pipeline import assets
from pipeline.drawing import scenes
from pipeline.faces import detect
from pipeline.faces.boxes import Face, face_at
from pipeline.faces.cascade import COARSE_RATIO, WINDOW, read_cascade
from pipeline.faces.crop import Frame, cutting
from pipeline.hair.color_network import color_scores
from pipeline.images.collect import examine
from pipeline.images.decode import MAX_SHRINK, load, load_reduced
from pipeline.images.near_duplicates import summarize
from pipeline.parallel import map_items
from pipeline.store import Store
from tests.benchmarks.scoreboard import MIN_FACE

SEED = 12  # of the scenes
SIDES = 300, 700, 1500, 4000  # px
FORMATS = "jpg", "png", "webp"


def sizes(count: int = 3) -> None:
    """Medians of `count` scenes, each the best of two runs. The floors: `decode` of `verify` and `load`; `pass`, the
    cascade once over the smallest copy in which a face of MIN_FACE fills the window, of `off` and `fast`. `cut` and
    `hair` are of one face, of a third of the picture, that leans."""
    cascade = str(assets.fetch("lbpcascade_animeface.xml"))
    for side in SIDES:
        drawn = [scenes.draw(SEED, i, side).picture for i in range(count)]
        for extension in FORMATS:
            with tempfile.TemporaryDirectory() as place:
                measure = functools.partial(_measure, extension=extension, place=Path(place), cascade=cascade)
                rows = list(map_items(measure, drawn, jobs=1))  # with the memory and threads of a build
            medians = {name: round(statistics.median(row[name] for row in rows), 1) for name in rows[0]}
            print(json.dumps({"bench": f"sizes/{side} px, {extension}", **medians, "pictures": count}), flush=True)


def _measure(picture: np.ndarray, extension: str, place: Path, cascade: str) -> dict[str, float]:
    """Return the ms of each part, and the bytes of the file in kB."""
    path = place / f"picture.{extension}"
    Image.fromarray(picture).save(path, quality=90)
    data, pixels = path.read_bytes(), load(path)
    reduced, face = load_reduced(path, MAX_SHRINK).pixels, _leaning_face(len(pixels))
    store = Store(place, "sizes")
    store.scratch.mkdir(parents=True, exist_ok=True)
    cut = cutting(store, size=128, frame=Frame(1.5), rotation=0.0).function
    find = functools.partial(detect.find, finder="lbpcascade", asset=cascade, min_face=MIN_FACE)
    return {
        "kB": len(data) / 1000,
        "decode": _milliseconds(lambda: Image.open(io.BytesIO(data)).load()),
        "pass": _milliseconds(lambda: _one_pass(pixels, cascade)),
        "verify": _milliseconds(lambda: examine(data)),
        "sketch": _milliseconds(lambda: summarize(reduced)),
        "load": _milliseconds(lambda: load(path)),
        "off": _milliseconds(lambda: find(pixels, sweep="off")),
        "fast": _milliseconds(lambda: find(pixels, sweep="fast")),
        "cut": _milliseconds(lambda: cut(pixels, [face], path)),
        "hair": _milliseconds(lambda: color_scores(pixels, face)),
    }


def _leaning_face(side: int) -> Face:
    return face_at(side / 2, side / 2, side / 3, 10.0, 1.0)


def _one_pass(pixels: np.ndarray, cascade: str) -> None:
    grey, shrink = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), WINDOW / MIN_FACE
    small = cv2.equalizeHist(cv2.resize(grey, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA))
    read_cascade(cascade).detectMultiScale(small, COARSE_RATIO, 5, minSize=(WINDOW, WINDOW))


def _milliseconds(work: Callable[[], object]) -> float:
    """Return the CPU time of the faster of two runs."""
    spent = []
    for _ in range(2):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return 1000 * min(spent)
