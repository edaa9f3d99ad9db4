"""The scoreboard of the detectors: what each finds, and how fast. Run by tests/benchmarks."""

import itertools
import json
import math
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from pipeline.errors import UserError
from pipeline.faces import detect
from pipeline.faces.boxes import Face, face_at
from pipeline.images import decode as decoding
from pipeline.sources.drawn import draw
from tests.benchmarks.scoreboard import average_precision, f1, finder, is_near, is_tight, match, recall_precision
from tests.support import sprites

SEED = 3  # of the drawn pictures


class Marked(NamedTuple):
    """A picture with one face."""

    picture: np.ndarray
    x: float
    y: float
    side: float
    tilt: float

    def turned(self, angle: float) -> "Marked":
        """Clockwise, on a white ground that holds it whole."""
        image = Image.fromarray(self.picture).rotate(
            -angle, Image.Resampling.BICUBIC, expand=True, fillcolor=(255, 255, 255)
        )
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        x, y = self.x - self.picture.shape[1] / 2, self.y - self.picture.shape[0] / 2
        x, y = cos * x - sin * y + image.width / 2, sin * x + cos * y + image.height / 2
        return Marked(np.asarray(image), x, y, self.side, self.tilt + angle)

    @property
    def face(self) -> Face:
        """Return it as a detector should find it."""
        return face_at(self.x, self.y, self.side, self.tilt, 1.0)

    def is_of(self, face: Face) -> bool:
        """Whether the face is this one."""
        return is_near(face, self.face)


def _marked(picture: np.ndarray, box: tuple, tilt: float) -> Marked:
    x0, y0, x1, y1 = box
    return Marked(picture, (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, tilt)


def drawn(count: int = 120) -> list[Marked]:
    """Portraits, leaning as they are drawn."""
    pictures = (draw(SEED, i) for i in range(count))
    return [_marked(np.asarray(picture), truth.face_box, truth.tilt) for picture, truth in pictures]


def sprites_of(folder: Path) -> list[Marked]:
    """Upright, on white."""
    return [_marked(decoding.load(folder / name), box, 0.0) for name, box in sprites.FACES.items()]


def turned(pictures: list[Marked], times: int) -> list[Marked]:
    """Each to that many angles, all round."""
    angles = np.random.default_rng(SEED).uniform(-180, 180, (len(pictures), times))
    return [marked.turned(angle) for marked, some in zip(pictures, angles, strict=True) for angle in some]


def score(name: str, sweep: str, pictures: list[Marked]) -> dict[str, float]:
    """Recall, precision (a face that is found twice counts as another), F1, AP50, how right the tilt is, and pictures
    per second of one core."""
    find, near, tight, errors, seconds = finder(name, sweep), [], [], [], []
    for marked in pictures:
        start = time.process_time()
        faces = find(marked.picture)
        seconds.append(time.process_time() - start)
        near.append(match(faces, [marked.face], [], is_near))
        tight.append(match(faces, [marked.face], [], is_tight))
        right = [face for face in faces if marked.is_of(face)]
        errors += [abs((face.tilt - marked.tilt + 180) % 360 - 180) for face in right[:1]]
    recall, precision = recall_precision(near)
    return {
        "pictures": len(pictures),
        "recall": round(recall, 3),
        "precision": round(precision, 3),
        "f1": round(f1(recall, precision), 3),
        "ap50": round(average_precision(tight), 3),
        "found_within_20": round(float(np.sum(np.array(errors) <= 20)) / len(pictures), 3),
        "of_them_within_8": round(float(np.mean([error <= 8 for error in errors if error <= 20] or [0])), 3),
        "images/core_s": round(1 / statistics.mean(seconds), 1),
    }


def detectors() -> None:
    """Each detector with each sweep, on pictures as they are and on the same turned to any angle."""
    portraits = drawn()
    sets = {"drawn": portraits, "drawn, turned": turned(portraits, 1)}
    with tempfile.TemporaryDirectory() as place:
        try:
            standing = sprites_of(sprites.fetch(Path(place)))
            sets |= {"sprites": standing, "sprites, turned": turned(standing, 8)}
        except sprites.Unavailable as reason:
            print(json.dumps({"bench": "detectors/sprites", "skipped": str(reason)}), flush=True)
    choices = [name for name in detect.DETECTOR_CHOICES if name != "frontalface"]  # which is for photographs
    for name, (which, pictures), sweep in itertools.product(choices, sets.items(), detect.SWEEPS):
        licenses = ", ".join(
            dict.fromkeys(detect.DETECTORS[finder].license for finder in detect.DETECTOR_CHOICES[name])
        )
        bench = {"bench": f"detectors/{name} {sweep}/{which}", "license": licenses}
        try:
            print(json.dumps(bench | score(name, sweep, pictures)), flush=True)
        except UserError as error:
            print(json.dumps(bench | {"skipped": str(error)}), flush=True)
