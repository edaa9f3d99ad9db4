"""`python -m tests.tools.choose_threshold [WEIGHTS]`: the constants of `face_network` and `cascade_network`.

All are chosen on two sets of `held_out` whose fronts another renderer draws than that of the training scenes: `styles`,
whose styles are held back too, and `portraits`, as many pictures of each.
* FACE_LOGIT: of the thresholds of 97 % precision or more the one of most recall; of equal ones the middle.
* EVEN_LOGIT and LOGIT_SLOPE: the line of likeliest log-odds over the logits of all candidates.
* CASCADE_LOGIT: the likeliest too, given that line, for the finds of the cascade.
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
EVENS, SLOPES, GAINS = np.arange(-20, 41) / 20, np.arange(5, 101) / 10, np.arange(0, 41) / 10


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


def log_likelihood(matches: list[Match], even: float, slope: float) -> float:
    """Return that of what are faces and what are none, if the log-odds are a line over the logits."""
    logits = np.array([score for one in matches for score in one.scores])
    signs = np.where(np.array([owner for one in matches for owner in one.owners], int) >= 0, 1, -1)
    return -float(np.logaddexp(0, -signs * slope * (logits - even)).sum())


def best_line(matches: list[Match]) -> tuple[float, float]:
    """Return EVEN_LOGIT and LOGIT_SLOPE."""
    even, slope = max(((e, s) for e in EVENS for s in SLOPES), key=lambda line: log_likelihood(matches, *line))
    return float(even), float(slope)


def best_gain(matches: list[Match], even: float, slope: float) -> float:
    """Return CASCADE_LOGIT."""
    return float(max(GAINS, key=lambda gain: log_likelihood(matches, even - gain, slope)))


def main(weights: str = str(face_network.WEIGHTS)) -> None:
    """Print the constants, and how good they are on other pictures of each set."""
    cv2.setNumThreads(1)
    pictures = (held_out.draw(kind, SEED, i) for kind in CHOSEN_BY for i in range(PICTURES))
    proposed, confirmed = judge(pictures, weights)
    threshold = best_threshold(proposed)
    even, slope = best_line(proposed)
    gain = best_gain(confirmed, even, slope)
    print(f"FACE_LOGIT {threshold:.2f}, EVEN_LOGIT {even:.2f}, LOGIT_SLOPE {slope:.1f}, CASCADE_LOGIT {gain:.1f}")
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
