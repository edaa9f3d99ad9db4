"""`python -m tests.tools.measure_hair [WEIGHTS …]`: how right each file of weights of the colour network is.

On `held_out_hair`, styles of no training patch: acceptable are all names whose share of the true colour is MIN_SHARE or
more, exact is the one of the largest share. Also on plain heads, drawn portraits and, where they can be had, sprites.
"""

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import cv2
import numpy as np

from pipeline.faces.boxes import Face
from pipeline.hair import color_network, tagging
from pipeline.hair.color_names import shares
from pipeline.images import decode
from pipeline.sources import drawn
from tests.benchmarks import calibration, held_out_hair
from tests.support import sprites
from tests.support.plain_heads import FACE, plain_heads

SEED = 0
EACH = 150  # pictures of each kind
PORTRAITS = 180
MIN_SHARE = 0.25  # of those who see a colour, from which a name is acceptable
SURE = 0.8
LEAST = (1 / 3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # thresholds of the curve


class Judged(NamedTuple):
    """What the tagger says of one face."""

    kind: str
    scores: list[float]
    truth: np.ndarray
    """(9,) the share of people who call the hair by each name."""

    @property
    def sureness(self) -> float:
        """Return the probability of the likeliest name."""
        return max(self.scores)

    @property
    def right(self) -> float:
        """Return the share of people who agree with the likeliest name."""
        return float(self.truth[int(np.argmax(self.scores))])

    @property
    def is_named(self) -> bool:
        """Return whether a colour is named at all."""
        return tagging.name(self.scores) is not None

    @property
    def is_acceptable(self) -> bool:
        """Return whether the likeliest name may pass."""
        return self.right >= MIN_SHARE

    @property
    def is_exact(self) -> bool:
        """Return whether the likeliest name is that which most people say."""
        return self.right == self.truth.max()


def percent(hits: Iterable[bool]) -> str:
    """Return the share of True, or a dash of none."""
    hits = list(hits)
    return f"{np.mean(hits):7.1%}" if hits else "      -"


def calibration_error(judged: list[Judged]) -> float:
    """Return the error of the probabilities of the likeliest names: each is as right as people agree with it."""
    return calibration.expected_error([one.sureness for one in judged], [one.right for one in judged])


def report(judged: list[Judged]) -> None:
    """Print the table by kind, and the curve of coverage."""
    print(f"{'':18} faces   named  accept.  exact  0.8 sure, wrong  calibration error")
    for kind in (*held_out_hair.KINDS, "all"):
        some = [one for one in judged if kind in (one.kind, "all")]
        named = [one for one in some if one.is_named]
        wrong = percent(one.sureness >= SURE and not one.is_acceptable for one in named)
        acceptable, exact = percent(one.is_acceptable for one in named), percent(one.is_exact for one in named)
        row = f"{kind:18} {len(some):5} {percent(one.is_named for one in some)} {acceptable} {exact}"
        print(f"{row} {wrong:>16} {calibration_error(some):18.3f}")
    print("least probability: named, acceptable of those")
    for least in LEAST:
        kept = [one for one in judged if one.is_named and one.sureness >= least]
        print(f"  {least:.2f}: {len(kept) / len(judged):6.1%} {percent(one.is_acceptable for one in kept)}")


def count_right(faces: Iterable[tuple[np.ndarray, Face, set[str]]]) -> str:
    """Return how many faces are named by one of their names, and what the others are called."""
    named = [(tagging.name(color_network.color_scores(picture, face)), names) for picture, face, names in faces]
    wrong = [f"{'/'.join(sorted(names))} as {name}" for name, names in named if name not in names]
    return f"{len(named) - len(wrong)} of {len(named)}" + (f": {', '.join(wrong)}" if wrong else "")


def clean_sets() -> dict[str, list[tuple[np.ndarray, Face, set[str]]]]:
    """Return plain heads, portraits, and sprites, with the acceptable names."""
    sets = {"plain heads": [(picture, FACE, {name}) for name, picture in plain_heads()]}
    portraits = [drawn.draw(SEED, i) for i in range(PORTRAITS)]
    sets["drawn portraits"] = [
        (np.asarray(picture), Face(truth.face_box, truth.tilt, 1.0), {truth.hair_color}) for picture, truth in portraits
    ]
    with tempfile.TemporaryDirectory() as place:
        try:
            folder = sprites.fetch(Path(place))
        except sprites.Unavailable as reason:
            print(reason)
            return sets
        sets["sprites"] = [
            (decode.load(folder / name), Face(tuple(map(float, box)), 0.0, 1.0), sprites.HAIR[name.split()[0]])
            for name, box in sprites.FACES.items()
        ]
    return sets


def main(*weights: str) -> None:
    """Draw everything once; judge each file of weights."""
    cv2.setNumThreads(1)
    examples = [held_out_hair.draw(kind, SEED, i) for kind in held_out_hair.KINDS for i in range(EACH)]
    truths, clean = [shares(one.color) for one in examples], clean_sets()
    for file in weights or (str(color_network.WEIGHTS),):
        with patch.object(color_network, "WEIGHTS", Path(file)):
            color_network._weights.cache_clear()
            print(f"\n{file}")
            scores = [color_network.color_scores(one.picture, one.face) for one in examples]
            report([Judged(one.kind, nine, truth) for one, nine, truth in zip(examples, scores, truths, strict=True)])
            for name, faces in clean.items():
                print(f"{name}: {count_right(faces)}")
    color_network._weights.cache_clear()


if __name__ == "__main__":
    main(*sys.argv[1:])
