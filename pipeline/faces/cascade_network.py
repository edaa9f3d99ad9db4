"""The cascade and the network together: what either finds, with one score, the probability that it is a face.

The two fail in different places, so an upright face counts if one of them finds it. Of faces on their side or their
head the cascade finds few that the network misses, and many that are none: these finds count only if the network, shown
the place brought upright, takes it for a face, too.
"""

import math
from collections.abc import Iterable

import numpy as np

from pipeline.faces import network as face_network
from pipeline.faces.boxes import TURNED_DEG, Face, face_at, is_turned, non_max_suppression, overlap, square
from pipeline.faces.cascade import lbpcascade

CASCADE_LOGIT = 0.3  # what it adds to the network's logit that the cascade found the face; fitted with LOGIT_SLOPE
CASCADE_SIDE = 1.22  # of its boxes, in sides of the face as the network sees it
MIN_PROBABILITY = 0.5  # of a turned face that the cascade found


def find(picture: np.ndarray, min_face: int, angles: Iterable[float] | None, asset: str) -> list[Face]:
    """Return the faces of (H, W, 3) uint8 RGB that the cascade or the network finds, the cascade's first. The score is
    a probability. `angles`: degrees of the turned views, None for upright faces; `asset`: path of the cascade's file.

    Of finds that overlap the likeliest counts, with the cascade's box and tilt if those agree."""
    weights = str(face_network.WEIGHTS)
    seen = list(face_network.candidates(picture, min_face, angles or (), weights))
    found = lbpcascade(picture, min_face, angles, asset)
    looks = face_network.second_looks(picture, [as_the_network_sees(face) for face in found], weights, seen)
    cascade = [_with_probability(face, look + CASCADE_LOGIT) for face, look in zip(found, looks, strict=True)]
    cascade = [face for face in cascade if not is_turned(face) or face.score >= MIN_PROBABILITY]
    network = [_with_probability(face, face.score) for face in face_network.accepted(seen)]
    kept: dict[tuple, Face] = {}  # box and tilt -> face; two finds of the network may share one of the cascade
    for face in non_max_suppression([*cascade, *network]):
        shown = next((own for own in cascade if _agree(own, face)), face)
        kept.setdefault(shown[:2], shown._replace(score=face.score))
    return [kept[face[:2]] for face in [*cascade, *network] if face[:2] in kept]


def _with_probability(face: Face, logit: float) -> Face:
    log_odds = face_network.LOGIT_SLOPE * (logit - face_network.EVEN_LOGIT)
    return face._replace(score=1 / (1 + math.exp(-log_odds)))


def as_the_network_sees(face: Face) -> Face:
    """Return the cascade's face with a box of the network's size."""
    (x, y), (side, _), tilt = square(face)
    return face_at(x, y, side / CASCADE_SIDE, tilt, face.score)


def _agree(a: Face, b: Face) -> bool:
    """Return whether they overlap, and lean alike."""
    return overlap(a, b) and abs((a.tilt - b.tilt + 180) % 360 - 180) <= TURNED_DEG
