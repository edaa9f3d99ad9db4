"""`python -m tests.benchmarks.scoreboard [DETECTOR …]`: how well each detector finds the faces of drawn pictures that
are held out: recall, precision, F1 and AP50, the error of probabilities, recall by what makes a face difficult, and
recall at precision by score.
"""

import itertools
import sys
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.faces import detect
from pipeline.faces.boxes import Face
from tests.benchmarks import calibration, held_out
from tests.benchmarks.held_out import Picture

SEED, PICTURES = 41, 30  # of each set
SWEEPS = ("fast", "full")
MIN_FACE = 48  # px, as by default
MIN_IOU = 0.5  # of a find's box and the face's, for AP50
DIFFICULTIES = ("size", "tilt", "view", "occlusion", "style")
LEAST_SCORES: dict[str, tuple[float, ...]] = {  # detector -> some of its scores; of others all finds count
    "lbpcascade": (0, 24, 32, 48, 64),
    "network": (0, 1.4, 1.6, 1.8, 2.0),
    "cascade_network": (0, 0.1, 0.5, 0.9, 0.99),
}

Agrees = Callable[[Face, Face], bool]  # a find, a face -> whether the find is of that face


class Match(NamedTuple):
    """What was found in one picture."""

    scores: list[float]
    """Of the finds, best first, without those of unclear faces."""
    owners: list[int]
    """The number of the face that each is the first to find; -1: none, or one that is found already."""
    faces: int
    """How many there are."""


def is_near(find: Face, face: Face) -> bool:
    """Return whether the find's centre is in or near the face, and its side like the face's within about two."""
    (x, y, side), (face_x, face_y, face_side) = (
        ((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0) for x0, y0, x1, y1 in (find.box, face.box)
    )
    return max(abs(x - face_x), abs(y - face_y)) <= 0.65 * face_side and 0.45 <= side / face_side <= 2.2


def is_tight(find: Face, face: Face) -> bool:
    """Return whether the IoU of the boxes is MIN_IOU or more."""
    (x0, y0, x1, y1), (u0, v0, u1, v1) = find.box, face.box
    shared = max(0.0, min(x1, u1) - max(x0, u0)) * max(0.0, min(y1, v1) - max(y0, v0))
    return shared >= MIN_IOU * ((x1 - x0) * (y1 - y0) + (u1 - u0) * (v1 - v0) - shared)


def match(finds: Iterable[Face], faces: list[Face], unclear: list[Face], agrees: Agrees) -> Match:
    """Give each find, best first, a face that no better one found."""
    scores, owners = [], []
    for find in sorted(finds, key=lambda find: -find.score):
        free = [k for k, face in enumerate(faces) if k not in owners and agrees(find, face)]
        if free or not any(agrees(find, face) for face in unclear):
            scores.append(find.score)
            owners.append(free[0] if free else -1)
    return Match(scores, owners, len(faces))


def average_precision(matches: Iterable[Match]) -> float:
    """Return the area under precision over recall, 0..1, over the finds of all pictures by falling score; precision at
    a recall is the best at that recall or a higher one (PASCAL VOC 2010)."""
    matches = list(matches)
    scores = np.array([score for one in matches for score in one.scores])
    is_right = np.array([owner >= 0 for one in matches for owner in one.owners], bool)
    is_right = is_right[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(is_right) / np.arange(1, len(is_right) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best[is_right].sum() / sum(one.faces for one in matches))


def recall_precision(matches: Iterable[Match], least: float = -np.inf) -> tuple[float, float]:
    """Return both, 0..1, of the finds with a score of `least` or more."""
    matches = list(matches)
    is_right = [o >= 0 for one in matches for score, o in zip(one.scores, one.owners, strict=True) if score >= least]
    return sum(is_right) / sum(one.faces for one in matches), float(np.mean(is_right or [True]))


def calibration_error(matches: list[Match]) -> float:
    """Return the error of the scores, which must be probabilities, that a find is a face."""
    scores = [score for one in matches for score in one.scores]
    return calibration.expected_error(scores, [owner >= 0 for one in matches for owner in one.owners])


def f1(recall: float, precision: float) -> float:
    """Return the harmonic mean."""
    return 2 * recall * precision / max(recall + precision, 1e-9)


def finder(name: str, sweep: str) -> Callable[[np.ndarray], list[Face]]:
    """Return picture -> faces of one of `detect.DETECTOR_CHOICES`. Raise UserError if an asset is missing."""
    assets = {each: detect.DETECTORS[each].asset(None) for each in detect.DETECTOR_CHOICES[name]}

    def find(picture: np.ndarray) -> list[Face]:
        found = {
            each: detect.find(picture, finder=each, asset=asset, sweep=sweep, min_face=MIN_FACE)
            for each, asset in assets.items()
        }
        return [face for face, _ in detect.merge(found)]

    return find


class Scored(NamedTuple):
    """What one detector found in one set."""

    near: list[Match]
    """By `is_near`, of each picture."""
    tight: list[Match]
    """By `is_tight`."""
    seconds: float
    """Of the processor, for each picture."""


def score(pictures: list[Picture], find: Callable[[np.ndarray], list[Face]]) -> Scored:
    """Return what it finds in the pictures."""
    start = time.process_time()
    finds = [find(picture.pixels) for picture in pictures]
    seconds = (time.process_time() - start) / len(pictures)
    near, tight = (
        [match(f, [k.face for k in p.faces], p.unclear, agrees) for f, p in zip(finds, pictures, strict=True)]
        for agrees in (is_near, is_tight)
    )
    return Scored(near, tight, seconds)


def by_difficulty(pictures: list[Picture], matches: list[Match]) -> dict[tuple[str, str], tuple[int, int]]:
    """Return (difficulty, its grade) -> (faces found, faces there)."""
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for picture, one in zip(pictures, matches, strict=True):
        for k, face in enumerate(picture.faces):
            for difficulty in DIFFICULTIES:
                key = difficulty, getattr(face, difficulty)
                found, there = counts.get(key, (0, 0))
                counts[key] = found + (k in one.owners), there + 1
    return dict(sorted(counts.items(), key=lambda item: (DIFFICULTIES.index(item[0][0]), item[0][1])))


def print_table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print Markdown."""
    head = list(head)
    for row in (head, ["---"] * len(head), *rows):
        print("| " + " | ".join(row) + " |", flush=True)
    print()


Search = tuple[str, str]  # detector, sweep


def print_scores(found: dict[Search, dict[str, Scored]]) -> None:
    """Print how much each search finds in each set."""
    rows = []
    for (name, sweep), of_sets in found.items():
        for kind, scored in of_sets.items():
            recall, precision = recall_precision(scored.near)
            values = recall, precision, f1(recall, precision), average_precision(scored.tight)
            error = f"{calibration_error(scored.near):.3f}" if detect.max_score(name) == 1 else ""
            shown = *(f"{v:.1%}" for v in values), error, f"{scored.seconds:.2f}"
            rows.append([f"`{name}`", f"`{sweep}`", kind, *shown])
    print_table(("detector", "sweep", "set", "recall", "precision", "F1", "AP50", "calibration error", "CPU s"), rows)


def print_by_score(found: dict[Search, dict[str, Scored]]) -> None:
    """Print recall at precision of the finds with a least score, over all sets."""
    rows = []
    for (name, sweep), of_sets in found.items():
        matches = [one for scored in of_sets.values() for one in scored.near]
        for least in LEAST_SCORES.get(name, (0,)):
            recall, precision = recall_precision(matches, least)
            values = f"{recall:.1%}", f"{precision:.1%}", f"{f1(recall, precision):.1%}"
            rows.append([f"`{name}`", f"`{sweep}`", str(least), *values])
    print_table(("detector", "sweep", "least score", "recall", "precision", "F1"), rows)


def print_by_difficulty(found: dict[Search, dict[str, Scored]], sets: dict[str, list[Picture]]) -> None:
    """Print the recall of each grade of each difficulty, over all sets."""
    pictures = [picture for of_kind in sets.values() for picture in of_kind]
    matches = {search: [one for kind in sets for one in of_sets[kind].near] for search, of_sets in found.items()}
    counts = {search: by_difficulty(pictures, of_all) for search, of_all in matches.items()}
    rows = [
        [": ".join(grade), str(there), *(f"{of[grade][0] / there:.0%}" for of in counts.values())]
        for grade, (_, there) in next(iter(counts.values())).items()
    ]
    print_table(("recall of", "faces", *(f"`{name}` `{sweep}`" for name, sweep in found)), rows)


def main(*names: str) -> None:
    """Print the tables of these detectors, of all in LEAST_SCORES if none is named."""
    cv2.setNumThreads(1)
    sets = {kind: [held_out.draw(kind, SEED, i) for i in range(PICTURES)] for kind in held_out.KINDS}
    searches = list(itertools.product(names or LEAST_SCORES, SWEEPS))
    found = {search: {kind: score(pictures, finder(*search)) for kind, pictures in sets.items()} for search in searches}
    print_scores(found)
    print_by_score(found)
    print_by_difficulty(found, sets)


if __name__ == "__main__":
    main(*sys.argv[1:])
