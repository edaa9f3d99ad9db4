"""Faces that are followed through a shot.

A detector finds a face in some frames only, and in anime often in all or none of a character. So it looks every few
frames, and between them each face is followed by its picture: first coarsely, by the place that correlates best with
it, then by the turn and the shift that align both exactly. A face is compared with one picture of it as long as it
resembles that, so that errors do not add up. Eyes and mouth move by themselves, and are left out. A face that is
detected late in a shot is followed backwards in the same way.
"""

import math
from collections.abc import Callable, Iterable, Iterator

import cv2
import numpy as np

from pipeline.clips.alignment import Pose, moved, refine
from pipeline.faces.boxes import Face, overlap
from pipeline.faces.views import Pyramid, View

DETECTION_PERIOD = 9  # frames from one detection to the next
EMPTY_PERIOD = 3  # the same while there is no face
MAX_TRACKS = 16  # faces that are followed at once

SIDE_PX = 48  # of a face in the small pictures that are compared
TEMPLATE_PX, REACH_PX = 60, 22  # side of such a picture; how far it is looked for, which is 0.46 sides of the face
BLUR_PX = 3  # of both, before they are aligned
MIN_CORRELATION = 0.5  # below it a face is lost
RENEWAL_CORRELATION = 0.85  # below it the picture of a face is taken anew
MAX_LOST_FRAMES = 4  # in a row: then a track ends
MAX_SIDE_RATIO = 1.2  # between a detection and the face that is followed: beyond it, or if they lie
MAX_OFFSET = 0.25  # sides apart, they disagree
MAX_DISAGREEMENTS = 2  # in a row: then the detections are right
EXCLUDED = {"eyes": (-0.4, -0.12, 0.4, 0.3), "mouth": (-0.15, 0.3, 0.15, 0.45)}  # sides, from the centre


def pose_of(face: Face) -> Pose:
    """Return where a detected face is."""
    x0, y0, x1, y1 = face.box
    return Pose((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, face.tilt)


class Follower:
    """One face, and where it was last."""

    def __init__(self, picture: Pyramid, pose: Pose):
        self.pose, self.lost, self._disagreements = pose, 0, 0
        self._velocity = np.zeros(2)  # px per frame
        self._renew(picture)

    def _renew(self, picture: Pyramid) -> None:
        self._template = _look(picture, self.pose, TEMPLATE_PX)

    def follow(self, picture: Pyramid) -> Pose | None:
        """Return where the face is in the next frame; None if it cannot be told."""
        expected = self.pose._replace(x=self.pose.x + self._velocity[0], y=self.pose.y + self._velocity[1])
        found, correlation = self._align(picture, expected)
        if correlation < MIN_CORRELATION:
            self.lost += 1
            self._velocity *= 0
            return None
        moved = np.array([found.x - self.pose.x, found.y - self.pose.y])
        self._velocity = moved / (self.lost + 1)
        self.pose, self.lost = found, 0
        if correlation < RENEWAL_CORRELATION:
            self._renew(picture)
        return found

    def correct(self, picture: Pyramid, face: Face) -> None:
        """Move to a detected face if this one is lost, or if detections disagree with where it is repeatedly."""
        pose = pose_of(face)
        offset = math.dist(pose[:2], self.pose[:2]) / pose.side
        ratio = max(pose.side, self.pose.side) / min(pose.side, self.pose.side)
        self._disagreements = (self._disagreements + 1) * (offset > MAX_OFFSET or ratio > MAX_SIDE_RATIO)
        if self.lost or self._disagreements >= MAX_DISAGREEMENTS:
            self.pose, self.lost, self._disagreements = pose, 0, 0
            self._renew(picture)

    def _align(self, picture: Pyramid, expected: Pose) -> tuple[Pose, float]:
        """Return the pose that fits the template best, and how well: 1 exactly, 0 not at all."""
        size = TEMPLATE_PX + 2 * REACH_PX
        window = _look(picture, expected, size)
        matches = cv2.matchTemplate(window, self._template, cv2.TM_CCOEFF_NORMED)
        _, best, _, (left, top) = cv2.minMaxLoc(matches)
        coarse = np.array([[1, 0, left], [0, 1, top]], np.float32)  # from the template to the window
        # what is masked is masked in the window, where the coarse search found it
        mask = cv2.warpAffine(_MASK, coarse, (size, size))
        fine = refine(self._template, window, coarse, mask, blur_px=BLUR_PX)
        warp, correlation = fine if fine and fine[1] >= best else (coarse, best)
        return moved(expected, warp, TEMPLATE_PX, size, expected.side / SIDE_PX), float(correlation)


def _look(picture: Pyramid, pose: Pose, size: int) -> np.ndarray:
    """Return the grey picture of a face and what is round it, upright, (size, size) uint8."""
    return picture.show(View(pose[:2], (size, size), pose.side / SIDE_PX, pose.tilt))


def _mask() -> np.ndarray:
    mask = np.full((TEMPLATE_PX, TEMPLATE_PX), 255, np.uint8)
    for box in EXCLUDED.values():
        x0, y0, x1, y1 = (round(TEMPLATE_PX / 2 + SIDE_PX * end) for end in box)
        mask[y0:y1, x0:x1] = 0
    return mask


_MASK = _mask()


def _grey(pixels: np.ndarray) -> Pyramid:
    return Pyramid(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))


def follow_back(pose: Pose, frames: Iterable[np.ndarray]) -> Iterator[Pose | None]:
    """Yield where a face was in the frames (H, W, 3) before the first of `frames`, in which it is at `pose`: the last
    one comes first. None: it cannot be seen; the end: it is lost."""
    follower: Follower | None = None
    for pixels in frames:
        picture = _grey(pixels)
        if follower is None:
            follower = Follower(picture, pose)
            continue
        found = follower.follow(picture)
        if follower.lost > MAX_LOST_FRAMES:
            return
        yield found


class Tracks:
    """The faces of one shot."""

    def __init__(self, find_faces: Callable[[np.ndarray], list[Face]]):
        self._find_faces = find_faces
        self._followers: dict[int, Follower] = {}
        self._age = self._count = 0  # frames and tracks so far

    def step(self, pixels: np.ndarray) -> dict[int, Pose]:
        """Return track -> where its face is in the next frame (H, W, 3); nothing for one that cannot be seen."""
        picture = _grey(pixels)
        found = {number: each.follow(picture) for number, each in self._followers.items()}
        if self._age % (DETECTION_PERIOD if self._followers else EMPTY_PERIOD) == 0:
            self._detect(pixels, picture)
            found |= {number: each.pose for number, each in self._followers.items() if not each.lost}
        self._age += 1
        self._end()
        return {number: pose for number, pose in found.items() if pose and number in self._followers}

    def _detect(self, pixels: np.ndarray, picture: Pyramid) -> None:
        for face in self._find_faces(pixels):
            near = [each for each in self._followers.values() if overlap(face, each.pose.face)]
            for each in near[:1]:
                each.correct(picture, face)
            if not near and len(self._followers) < MAX_TRACKS:
                self._followers[self._count] = Follower(picture, pose_of(face))
                self._count += 1

    def _end(self) -> None:
        """End the tracks that are lost, or have run into an older one."""
        kept: dict[int, Follower] = {}
        for number, each in self._followers.items():
            is_double = any(overlap(each.pose.face, other.pose.face) for other in kept.values())
            if each.lost <= MAX_LOST_FRAMES and not is_double:
                kept[number] = each
        self._followers = kept
