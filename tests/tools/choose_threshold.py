"""`python -m tests.tools.choose_threshold [WEIGHTS]`: the constants of `face_network` and `cascade_network`.

All are chosen on the set `styles` of `held_out`, whole styles that nothing was trained on:
* FACE_LOGIT: of the thresholds of 98 % precision or more the one of most recall; of equal ones the middle.
* EVEN_LOGIT and LOGIT_SLOPE: the line of likeliest log-odds over the logits of all candidates.
* CASCADE_LOGIT: the likeliest too, given that line, for the finds of the cascade.
The threshold is applied to the other sets too. The error of the probabilities is that on other pictures of `styles`.
"""

import sys
from collections.abc import Iterable
from typing import NamedTuple
from unittest.mock import patch

import cv2
import numpy as np

from pipeline.faces import cascade_network, detect
from pipeline.faces import network as face_network
from pipeline.faces.boxes import Face
from pipeline.faces.cascade import lbpcascade
from tests.benchmarks import held_out
from tests.benchmarks.held_out import Picture
from tests.benchmarks.scoreboard import MIN_FACE, calibration_error, is_near, match

SEED = 991  # of other pictures than the scoreboard's
CHOSEN_BY, PICTURES = "styles", {"styles": 400, "scenes": 100, "portraits": 100}  # fewer, and some likenesses decide
OTHERS = 200  # pictures of CHOSEN_BY on which the error of the probabilities is measured
PRECISION = 0.98
THRESHOLDS = np.arange(-20, 41) / 10
EVENS, SLOPES, GAINS = np.arange(-20, 41) / 20, np.arange(5, 101) / 10, np.arange(0, 41) / 10


class Scored(NamedTuple):
    """What was proposed in some pictures."""

    logits: np.ndarray
    """(N,) of what may be faces."""
    owners: np.ndarray
    """(N,) the number of the face that each is; -1: none."""
    faces: int
    """How many there are."""

    def at(self, threshold: float) -> tuple[int, float]:
        """Return the number of faces found, and the precision, of finds of that logit or more."""
        owners = self.owners[self.logits >= threshold]
        return len(set(owners[owners >= 0])), float(np.mean(owners >= 0)) if len(owners) else 1.0

    def reported(self, threshold: float) -> str:
        """Return the same as a line."""
        found, precision = self.at(threshold)
        false = int(np.sum((self.logits >= threshold) & (self.owners < 0)))
        return f"{found} of {self.faces} faces = {found / max(1, self.faces):.1%} at {precision:.1%} ({false} false)"


def gather(found: Iterable[tuple[Picture, list[Face]]]) -> Scored:
    """Return whose face each proposal is, of pictures and what was proposed in each."""
    logits, owners, count = [], [], 0
    for picture, faces in found:
        for face in faces:
            right = [k for k, known in enumerate(picture.faces) if is_near(face, known.face)]
            if right or not any(is_near(face, unclear) for unclear in picture.unclear):
                logits.append(face.score)
                owners.append((count + right[0]) if right else -1)
        count += len(picture.faces)
    return Scored(np.array(logits), np.array(owners, int), count)


def judge(pictures: Iterable[Picture], weights: str) -> tuple[Scored, Scored]:
    """Return what the network proposes, and what the cascade finds with the logits of the network's second looks."""
    asset = detect.DETECTORS["lbpcascade"].asset(None)
    of_network, of_cascade = [], []
    for picture in pictures:
        seen = list(face_network.candidates(picture.pixels, MIN_FACE, (), weights))
        found = lbpcascade(picture.pixels, MIN_FACE, detect.SWEEPS["fast"], asset)
        places = [cascade_network.as_the_network_sees(face) for face in found]
        looks = face_network.second_looks(picture.pixels, places, weights, seen)
        of_network.append((picture, [each.face for each in seen]))
        of_cascade.append((picture, [face._replace(score=look) for face, look in zip(found, looks, strict=True)]))
    return gather(of_network), gather(of_cascade)


def best_threshold(scored: Scored) -> float:
    """Return FACE_LOGIT."""
    found = {threshold: scored.at(threshold) for threshold in THRESHOLDS}
    precise = {threshold: count for threshold, (count, precision) in found.items() if precision >= PRECISION}
    return float(np.median([threshold for threshold, count in precise.items() if count == max(precise.values())]))


def log_likelihood(scored: Scored, even: float, slope: float) -> float:
    """Return that of what are faces and what are none, if the log-odds are a line over the logits."""
    signs = np.where(scored.owners >= 0, 1, -1)
    return -float(np.logaddexp(0, -signs * slope * (scored.logits - even)).sum())


def best_line(scored: Scored) -> tuple[float, float]:
    """Return EVEN_LOGIT and LOGIT_SLOPE."""
    even, slope = max(((e, s) for e in EVENS for s in SLOPES), key=lambda line: log_likelihood(scored, *line))
    return float(even), float(slope)


def best_gain(scored: Scored, even: float, slope: float) -> float:
    """Return CASCADE_LOGIT."""
    return float(max(GAINS, key=lambda gain: log_likelihood(scored, even - gain, slope)))


def main(weights: str = str(face_network.WEIGHTS)) -> None:
    """Print the constants, and how good they are on each set."""
    cv2.setNumThreads(1)
    proposed, confirmed = {}, {}
    for kind, count in PICTURES.items():
        pictures = (held_out.draw(kind, SEED, i) for i in range(count))
        proposed[kind], confirmed[kind] = judge(pictures, weights)
    threshold = best_threshold(proposed[CHOSEN_BY])
    even, slope = best_line(proposed[CHOSEN_BY])
    gain = best_gain(confirmed[CHOSEN_BY], even, slope)
    print(f"FACE_LOGIT {threshold:.2f}, EVEN_LOGIT {even:.2f}, LOGIT_SLOPE {slope:.1f}, CASCADE_LOGIT {gain:.1f}")
    for kind, scored in proposed.items():
        print(f"{kind}: {scored.reported(threshold)}")
    values = {"FACE_LOGIT": threshold, "EVEN_LOGIT": even, "LOGIT_SLOPE": slope, "WEIGHTS": weights}
    with patch.multiple(face_network, **values), patch.object(cascade_network, "CASCADE_LOGIT", gain):
        find, asset = detect.DETECTORS["cascade_network"].find, detect.DETECTORS["cascade_network"].asset(None)
        matches = []
        for i in range(PICTURES[CHOSEN_BY], PICTURES[CHOSEN_BY] + OTHERS):
            picture = held_out.draw(CHOSEN_BY, SEED, i)
            finds = find(picture.pixels, MIN_FACE, detect.SWEEPS["fast"], asset)
            matches.append(match(finds, [known.face for known in picture.faces], picture.unclear, is_near))
    print(f"calibration error of cascade_network on {OTHERS} others of {CHOSEN_BY}: {calibration_error(matches):.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
