"""A film's truth in place of the networks: the faces and landmarks of its frames, as an extraction asks for them."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from pipeline.clips.video import Video
from pipeline.drawing.film import FilmFace, FilmFrame, Truth
from pipeline.faces.boxes import Face
from pipeline.faces.landmarks import Landmarks


def frame_at(truth: Truth, number: int, fps: float) -> FilmFrame:
    """Return the frame of a film that its video, read at `fps` frames a second, shows as the frame of that number."""
    times = [frame.time for frame in truth.frames]
    return truth.frames[max(0, bisect_right(times, number / fps + 0.0015) - 1)]


class FilmEyes:
    """Finds the faces and landmarks of the frames of a film, which it tells by their pixels."""

    def __init__(self, path: Path, truth: Truth, fps: Fraction, *, noise: float = 0.0, skipped: float = 0.0):
        shown = ((frame.pixels.tobytes(), frame_at(truth, frame.number, float(fps))) for frame in Video(path, fps))
        self._faces = {pixels: frame.faces for pixels, frame in shown}
        self._rng, self._noise, self._skipped = np.random.default_rng(0), noise, skipped

    def find_faces(self, pixels: np.ndarray) -> list[Face]:
        """Return the faces, of which a share is not found."""
        faces = self._faces[pixels.tobytes()]
        return [Face(face.box, face.tilt, 1.0) for face in faces if self._rng.random() >= self._skipped]

    def find_landmarks(self, pixels: np.ndarray, faces: Sequence[Face]) -> list[Landmarks]:
        """Return the landmarks of the true faces that are nearest, with noise on the openness."""
        known = self._faces.get(pixels.tobytes())
        return [self._landmarks(_nearest(known, face)) if known else _upright(face) for face in faces]

    def _landmarks(self, face: FilmFace) -> Landmarks:
        left, right = np.clip(np.array(face.openness) + self._rng.normal(0, self._noise, 2), 0, 1).tolist()
        return Landmarks(face.left_eye, face.right_eye, left, right, 1.0, 1.0, (0, 0), (0, 0))


def _nearest(faces: Sequence[FilmFace], face: Face) -> FilmFace:
    return min(faces, key=lambda each: math.dist(each.box, face.box))


def _upright(face: Face) -> Landmarks:
    """Return landmarks at the usual places of an upright face, as of a clip's frame."""
    x0, y0, x1, y1 = face.box
    side = x1 - x0
    left, right = (
        (x0 + (at - 0.15) * side, y0 + 0.4 * side, x0 + (at + 0.15) * side, y0 + 0.7 * side) for at in (0.28, 0.72)
    )
    return Landmarks(left, right, 1.0, 1.0, 1.0, 1.0, ((x0 + x1) / 2, y1 - 0.1 * side), ((x0 + x1) / 2, y1))
