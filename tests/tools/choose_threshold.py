"""`python -m tests.tools.choose_threshold [WEIGHTS]`: how `face_network.FACE_LOGIT` was chosen.

Of the thresholds of 98 % precision or more on drawn pictures that nothing was trained on, the one of most recall; of
equal ones the middle.
"""

import sys
from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.drawing import scenes
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.canvas import SceneCanvas, Spot
from pipeline.drawing.scenes.clutter import CLUTTER, clutter
from pipeline.drawing.scenes.ground import ground
from pipeline.drawing.scenes.person import back_view, blank_face
from pipeline.drawing.scenes.postprocess import postprocess
from pipeline.faces import network as face_network
from pipeline.sources.drawn import draw
from tests.benchmarks.detectors import Marked
from tests.benchmarks.scoreboard import MIN_FACE

SEED = 991  # of other pictures than the network learned from
SIZE = 512  # px
PRECISION = 0.98
THRESHOLDS = np.arange(-20, 41) / 10


class Picture(NamedTuple):
    """One that is held out."""

    pixels: np.ndarray
    faces: list[Marked]
    unclear: list[Marked]
    """Neither to be found nor false."""


def busy(sampler: Sampler) -> SceneCanvas:
    """A ground with clutter, and people without a face."""
    canvas = SceneCanvas(ground(sampler, SIZE), sampler)
    for _ in range(sampler.integer(0, 16)):
        clutter(canvas, CLUTTER)
    for _ in range(sampler.integer(0, 4)):
        x, y = sampler.point(0.15 * SIZE, 0.85 * SIZE)
        sampler.choice(back_view, blank_face)(canvas, Spot(x, y, sampler.between(55, 145), sampler.between(-50, 50)))
    return canvas


def portraits(i: int) -> Picture:
    """One to three of the project's own portraits on a busy ground, and all of it treated."""
    sampler = Sampler(np.random.default_rng((SEED, i)))
    canvas, faces, taken = busy(sampler), [], np.zeros((SIZE, SIZE), bool)
    for k in range(sampler.integer(1, 4)):
        style = "icon" if sampler.chance(0.15) else "character"
        portrait, truth = draw(SEED, 10 * i + k, tilt=sampler.rng.normal(0, 14), style=style)
        x0, y0, x1, y1 = truth.face_box
        scale = sampler.between(50, 170) / (x1 - x0)
        card = cv2.resize(np.asarray(portrait), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:SIZE, :SIZE]
        height, width = card.shape[:2]
        left, top = sampler.integer(0, SIZE - width + 1), sampler.integer(0, SIZE - height + 1)
        place = slice(top, top + height), slice(left, left + width)
        if taken[place].any() or x1 * scale > width or y1 * scale > height:
            continue
        taken[place], canvas.pixels[place] = True, card
        center = (x0 + x1) / 2 * scale + left, (y0 + y1) / 2 * scale + top
        faces.append(Marked(card, *center, (x1 - x0) * scale, truth.tilt))
    return Picture(postprocess(sampler, canvas.pixels), faces, [])


def grounds(i: int) -> Picture:
    """Without a face."""
    sampler = Sampler(np.random.default_rng((SEED + 1, i)))
    return Picture(postprocess(sampler, busy(sampler).pixels), [], [])


def unseen(i: int) -> Picture:
    """A scene of another seed than those that were learned from."""
    scene = scenes.draw(SEED + 2, i, size=448)
    faces = [Marked(scene.picture, *face[:4]) for face in scene.faces if face.is_clear]
    return Picture(
        scene.picture, faces, [Marked(scene.picture, *face[:4]) for face in scene.faces if not face.is_clear]
    )


HELD_OUT = {portraits: 400, grounds: 200, unseen: 300}  # kind -> pictures; fewer, and some chance likenesses decide


class Scored(NamedTuple):
    """What the network says of some pictures."""

    scores: np.ndarray
    """(N,) of what may be faces."""
    owners: np.ndarray
    """(N,) the number of the face that each is; -1: none."""
    faces: int
    """How many there are."""

    def at(self, threshold: float) -> tuple[int, float]:
        """Faces found, and precision."""
        owners = self.owners[self.scores >= threshold]
        return len(set(owners[owners >= 0])), float(np.mean(owners >= 0)) if len(owners) else 1.0

    def reported(self, threshold: float) -> str:
        found, precision = self.at(threshold)
        false = int(np.sum((self.scores >= threshold) & (self.owners < 0)))
        return f"{found} of {self.faces} faces = {found / max(1, self.faces):.1%} at {precision:.1%} ({false} false)"


def judge(pictures: Iterable[Picture], weights: str) -> Scored:
    """What may be faces in them."""
    scores, owners, count = [], [], 0
    for picture in pictures:
        for face, _ in face_network.candidates(picture.pixels, MIN_FACE, (), weights):
            right = [k for k, marked in enumerate(picture.faces) if marked.is_of(face)]
            if right or not any(marked.is_of(face) for marked in picture.unclear):
                scores.append(face.score)
                owners.append(count + right[0] if right else -1)
        count += len(picture.faces)
    return Scored(np.array(scores), np.array(owners, int), count)


def together(parts: Iterable[Scored]) -> Scored:
    """As one set of pictures."""
    scores, owners, faces = zip(*parts, strict=True)
    firsts = np.cumsum([0, *faces[:-1]])
    numbered = [np.where(some >= 0, some + first, -1) for some, first in zip(owners, firsts, strict=True)]
    return Scored(np.concatenate(scores), np.concatenate(numbered), sum(faces))


def best(scored: Scored) -> float:
    """The threshold by the rule above."""
    found = {threshold: scored.at(threshold) for threshold in THRESHOLDS}
    precise = {threshold: count for threshold, (count, precision) in found.items() if precision >= PRECISION}
    return float(np.median([threshold for threshold, count in precise.items() if count == max(precise.values())]))


def main(weights: str = str(face_network.WEIGHTS)) -> None:
    scored = {kind: judge(map(kind, range(count)), weights) for kind, count in HELD_OUT.items()}
    threshold = best(together(scored.values()))
    print(f"threshold {threshold:.2f}")
    for kind, some in scored.items():
        print(f"{kind.__name__}: {some.reported(threshold)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
