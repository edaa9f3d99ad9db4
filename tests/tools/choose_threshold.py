"""`python -m tests.tools.choose_threshold [WEIGHTS]`: the constants of `face_network` and `cascade_network`.

All are chosen on two sets of `held_out` whose fronts another renderer draws than that of the training scenes: `styles`,
whose styles are held back too, and `portraits`, as many pictures of each.
* FACE_LOGIT: of the thresholds of 97 % precision or more the one of most recall; of equal ones the middle.
* EVEN_LOGIT, LOGIT_SLOPE and CASCADE_LOGIT: the likeliest log-odds over the logits of what is found: a line for the
  network's finds, and the same line further left for the cascade's.
How good they are is measured on other pictures of each set.
"""

import sys
from collections.abc import Iterable
from unittest.mock import patch

import cv2
import numpy as np

from pipeline.faces import cascade_network, detect
from pipeline.faces import network as face_network
from pipeline.faces.boxes import Face
from pipeline.faces.cascade import lbpcascade
from tests.benchmarks import held_out
from tests.benchmarks.held_out import Picture
from tests.benchmarks.scoreboard import MIN_FACE, Match, calibration_error, is_near, match, recall_precision

SEED = 991  # of other pictures than the scoreboard's
CHOSEN_BY, PICTURES = ("styles", "portraits"), 250  # of each set: fewer, and some likenesses decide
OTHERS = 150  # pictures of each set on which they are measured
PRECISION = 0.97
THRESHOLDS = np.arange(-20, 41) / 10
NEWTON_STEPS = 20


def matched(picture: Picture, finds: list[Face]) -> Match:
    """Return which face each find is."""
    return match(finds, [known.face for known in picture.faces], picture.unclear, is_near)


def judge(pictures: Iterable[Picture], weights: str) -> tuple[list[Match], list[Match]]:
    """Return what the network proposes, and what the cascade finds with the logits of the network's second looks."""
    asset = detect.DETECTORS["lbpcascade"].asset(None)
    of_network, of_cascade = [], []
    for picture in pictures:
        seen = list(face_network.candidates(picture.pixels, MIN_FACE, (), weights))
        found = lbpcascade(picture.pixels, MIN_FACE, detect.SWEEPS["fast"], asset)
        places = [cascade_network.as_the_network_sees(face) for face in found]
        looks = face_network.second_looks(picture.pixels, places, weights, seen)
        of_network.append(matched(picture, [each.face for each in seen]))
        confirmed = [face._replace(score=look) for face, look in zip(found, looks, strict=True)]
        of_cascade.append(matched(picture, confirmed))
    return of_network, of_cascade


def best_threshold(matches: list[Match]) -> float:
    """Return FACE_LOGIT. Raise ValueError if no threshold is precise enough."""
    found = {threshold: recall_precision(matches, threshold) for threshold in THRESHOLDS}
    precise = {threshold: recall for threshold, (recall, precision) in found.items() if precision >= PRECISION}
    best = max(precise.values())
    return float(np.median([threshold for threshold, recall in precise.items() if recall == best]))


def best_line(network: list[Match], cascade: list[Match]) -> tuple[float, float, float]:
    """Return EVEN_LOGIT, LOGIT_SLOPE and CASCADE_LOGIT, rounded, by the finds of both: a logistic regression."""
    of_network, of_cascade = ([score for one in matches for score in one.scores] for matches in (network, cascade))
    is_cascade = np.repeat([0, 1], [len(of_network), len(of_cascade)])
    x = np.column_stack([[*of_network, *of_cascade], is_cascade, np.ones(len(is_cascade))])
    is_face = np.array([owner >= 0 for one in [*network, *cascade] for owner in one.owners])
    weights = np.zeros(3)
    for _ in range(NEWTON_STEPS):
        p = 1 / (1 + np.exp(-x @ weights))
        weights += np.linalg.solve((x.T * p * (1 - p)) @ x, x.T @ (is_face - p))
    slope, gain, bias = (float(weight) for weight in weights)
    return round(-bias / slope, 2), round(slope, 1), round(gain / slope, 1)


def found(matches: Iterable[Match], threshold: float) -> list[Match]:
    """Return the matches of the finds with a score of `threshold` or more; they are best first."""
    counts = [(one, sum(score >= threshold for score in one.scores)) for one in matches]
    return [Match(one.scores[:count], one.owners[:count], one.faces) for one, count in counts]


def main(weights: str = str(face_network.WEIGHTS)) -> None:
    """Print the constants, and how good they are on other pictures of each set."""
    cv2.setNumThreads(1)
    pictures = (held_out.draw(kind, SEED, i) for kind in CHOSEN_BY for i in range(PICTURES))
    proposed, confirmed = judge(pictures, weights)
    threshold = best_threshold(proposed)
    even, slope, gain = best_line(found(proposed, threshold), confirmed)
    print(f"FACE_LOGIT {threshold:.2f}, EVEN_LOGIT {even}, LOGIT_SLOPE {slope}, CASCADE_LOGIT {gain}")
    values = {"FACE_LOGIT": threshold, "EVEN_LOGIT": even, "LOGIT_SLOPE": slope, "WEIGHTS": weights}
    with patch.multiple(face_network, **values), patch.object(cascade_network, "CASCADE_LOGIT", gain):
        for kind in held_out.KINDS:
            others = [held_out.draw(kind, SEED, i) for i in range(PICTURES, PICTURES + OTHERS)]
            for name in ("network", "cascade_network"):
                find, asset = detect.DETECTORS[name].find, detect.DETECTORS[name].asset(None)
                finds = [find(picture.pixels, MIN_FACE, detect.SWEEPS["fast"], asset) for picture in others]
                matches = [matched(picture, found) for picture, found in zip(others, finds, strict=True)]
                recall, precision = recall_precision(matches)
                error = f", calibration error {calibration_error(matches):.3f}" if name == "cascade_network" else ""
                print(f"{kind}: {name} {recall:.1%} at {precision:.1%}{error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
