"""`python tests/bench.py [NAME …]`: the speeds worth watching, one JSON line each.

Each benchmark is measured beside its limit or its obvious alternative in the same run, in turns, so that a busy machine
slows both; `spread` is (slowest - fastest) / median of the runs.
"""

import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import luigi
import numpy as np

from pipeline import assets, faces, hair, images
from pipeline.sources import SOURCES
from pipeline.sources.drawn import draw
from pipeline.sources.post import Request
from pipeline.store import Store

RUNS = 5


def measure(**works: Callable[[], None]) -> dict[str, list[float]]:
    """Seconds of RUNS runs of each work, in turns, after one that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for run in range(RUNS + 1):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            if run:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def tell(bench: str, amount: int, unit: str, seconds: list[float], **more) -> None:
    median = statistics.median(seconds)
    spread = (max(seconds) - min(seconds)) / median
    print(json.dumps({
        "bench": bench, f"{unit}/s": round(amount / median, 1), "spread": round(spread, 2), **more,
        "runs": len(seconds), "cpu": platform.machine(),
    }), flush=True)  # fmt: skip


def originals(count: int, store: Store) -> list[Path]:
    posts = SOURCES["drawn"].posts(Request(), SOURCES["drawn"].snapshot(Request()))
    table, _ = images.collect(posts, "drawn", count, store)
    return [store.root / path for path in table["path"].to_pylist()]


def parts(count: int = 60) -> None:
    """Each stage's work on one thread, and as a multiple of the pure cascade's time on the same pixels."""
    with tempfile.TemporaryDirectory() as root:
        store = Store(Path(root))
        store.work.mkdir(parents=True)
        paths = originals(count, store)
        cascade = str(assets.fetch("lbpcascade_animeface.xml"))
        pictures = [images.load(path) for path in paths]
        small = [_equalised(picture) for picture in pictures]
        found = [faces.lbpcascade(picture, 48, cascade)[:1] for picture in pictures]
        facing = [(picture, face) for picture, some in zip(pictures, found, strict=True) for face in some]
        classifier = cv2.CascadeClassifier(cascade)
        seconds = measure(
            cascade=lambda: [
                classifier.detectMultiScale3(grey, 1.1, 5, minSize=(24, 24), outputRejectLevels=True) for grey in small
            ],
            draw=lambda: [draw(0, i) for i in range(count)],
            decode=lambda: [images.load(path) for path in paths],
            detect=lambda: [faces.lbpcascade(picture, 48, cascade) for picture in pictures],
            crop=lambda: [faces.crop(picture, face, size=128, box_scale=1.5) for picture, face in facing],
            hair=lambda: [hair.color_scores(picture, face) for picture, face in facing],
        )
    pure = statistics.median(seconds["cascade"])
    for name, times in seconds.items():
        tell(f"faces/{name}", count, "images", times, times_the_cascade=round(statistics.median(times) / pure, 2))


def build(count: int = 240) -> None:
    """The whole of BuildFaceDataset on all cores, from a folder of drawn pictures, beside the pure cascade."""
    from workflows import BuildFaceDataset

    cascade = str(assets.fetch("lbpcascade_animeface.xml"))
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "pictures"
        folder.mkdir()
        small = []
        for i in range(count):
            picture, _ = draw(0, i)
            picture.save(folder / f"{i:04}.png", compress_level=1)
            small.append(_equalised(np.asarray(picture)))
        classifier = cv2.CascadeClassifier(cascade)

        def whole() -> None:
            with tempfile.TemporaryDirectory(dir=root) as data_root:
                task = BuildFaceDataset(source="folder", path=folder, data_root=Path(data_root))
                assert luigi.build([task], local_scheduler=True, log_level="ERROR", no_lock=True)

        seconds = measure(
            cascade=lambda: [
                classifier.detectMultiScale3(grey, 1.1, 5, minSize=(24, 24), outputRejectLevels=True) for grey in small
            ],
            whole=whole,
        )
    pure = statistics.median(seconds["cascade"])
    times = [round(whole / cascade, 2) for whole, cascade in zip(seconds["whole"], seconds["cascade"], strict=True)]
    tell("build/cascade alone, 1 thread", count, "images", seconds["cascade"])
    tell(
        "build/whole, all cores", count, "images", seconds["whole"],
        times_the_cascade=round(statistics.median(seconds["whole"]) / pure, 2), ratios=times,
    )  # fmt: skip


def _equalised(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    grey = cv2.resize(
        cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (width // 2, height // 2), interpolation=cv2.INTER_AREA
    )
    return cv2.equalizeHist(grey)


BENCHES = {"parts": parts, "build": build}

if __name__ == "__main__":
    cv2.setNumThreads(1)
    for name in sys.argv[1:] or BENCHES:
        BENCHES[name]()
