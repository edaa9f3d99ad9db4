"""One clip: CLIP_FRAMES frames round a blink of a face that is followed, cut so that the face stays in its place.

The head may sway a little; the crop sways with it. A clip in which it moves much, or in which something else than the
eyes changes, is dropped.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.clips.alignment import Pose, moved, refine
from pipeline.clips.blinks import mean_openness
from pipeline.faces.boxes import Face
from pipeline.faces.crop import crop
from pipeline.faces.landmarks import Box, Landmarks
from pipeline.faces.upright import BOX_SCALE, MIN_VISIBLE, FindLandmarks
from pipeline.faces.upright import face_box as face_box_of
from pipeline.manifest import CLIP_FRAMES

CLOSED_FRAME = 6  # of a clip: the first one in which the eyes are closed
MAX_TRAVEL = 0.6  # sides: how far the face may go from its mean place
MAX_LEAN_DEG = 15  # how far it may lean from its mean tilt
MAX_SIDE_RATIO = 1.15  # between its largest and its smallest size
MAX_HIDDEN_FRAMES = 2  # in which the face, or both eyes, cannot be seen
MAX_CHANGE = 22.0  # levels: how much what lies round the eyes may differ from the first frame, on average
VISIBILITY_FRAMES = 9  # an eye is hidden while it mostly is so in so many frames: a closed one looks hidden at times
ALIGNMENTS = 2  # rounds: the second one begins with crops that are turned alike
_CHECKED_PX = 64  # side of the small frames in which changes are measured
_AROUND = 0.35  # of the box of what moves, on every side: what moves with it
# In sides of the face, from its centre: brow to cheek; the whole head; what moves when it talks
_CHECKED, _HEAD, _MOUTH = (-0.38, -0.3, 0.38, 0.28), (-0.5, -0.45, 0.5, 0.5), (-0.12, 0.3, 0.12, 0.44)


class Seen(NamedTuple):
    """A face in one frame of the video."""

    pose: Pose
    landmarks: Landmarks


class Clip(NamedTuple):
    """A clip, and what CLIPS says of it."""

    strip: np.ndarray  # (CLIP_FRAMES * size, size, 3) uint8
    face_box: Box
    left_eye: Box | None
    right_eye: Box | None
    openness: list[float]


class DroppedClip(Exception):
    """A blink of which no clip is made, with a reason of the funnel."""

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


def openness_curve(seen: Sequence[Seen | None]) -> np.ndarray:
    """Return (T, 2), how far both eyes are open: NaN where one is hidden or the face is lost."""
    nothing = [np.nan] * 4
    rows = np.array([_eye_levels(face.landmarks) if face else nothing for face in seen]).reshape(-1, 4)
    curve, visible = rows[:, :2].copy(), rows[:, 2:]
    for t in range(len(curve)):
        near = visible[max(0, t - VISIBILITY_FRAMES // 2) : t + VISIBILITY_FRAMES // 2 + 1]
        near = near[np.isfinite(near[:, 0])]
        if len(near):
            curve[t, np.median(near, axis=0) < MIN_VISIBLE] = np.nan
    return curve


def _eye_levels(face: Landmarks) -> list[float]:
    return [face.left_openness, face.right_openness, face.left_visible, face.right_visible]


def cut_clip(
    frames: Sequence[np.ndarray],
    seen: Sequence[Seen | None],
    curve: np.ndarray,
    size: int,
    find_landmarks: FindLandmarks,
) -> Clip:
    """Return the clip of CLIP_FRAMES frames (H, W, 3), in which the face is `seen` and its eyes are as open as the
    `curve` (CLIP_FRAMES, 2) says. Raise DroppedClip."""
    openness = mean_openness(curve)
    is_known = np.isfinite(openness)
    if sum(face is None for face in seen) > MAX_HIDDEN_FRAMES or (~is_known).sum() > MAX_HIDDEN_FRAMES:
        raise DroppedClip("face_hidden")
    poses = _fill([face.pose if face else None for face in seen])
    _check_motion(poses)
    poses[:, 2] = np.median(poses[:, 2])  # that of a track changes only with a detection
    crops = _crop(frames, poses, size)
    face_box = face_box_of(size, BOX_SCALE)
    found = [find_landmarks(each, [Face(face_box, 0.0, 1.0)])[0] for each in crops]
    boxes = np.median([(face.left_eye, face.right_eye) for face in found], axis=0)  # (2, 4)
    left, right = (
        _box(box) if is_seen else None for box, is_seen in zip(boxes, np.isfinite(curve).mean(0) > 0.5, strict=True)
    )
    eyes = [box for box in (left, right) if box]
    for _ in range(ALIGNMENTS):
        poses = _align(crops, poses, eyes)
        crops = _crop(frames, poses, size)
    _check_stillness(crops, eyes)
    levels = np.interp(np.arange(CLIP_FRAMES), np.flatnonzero(is_known), openness[is_known])
    return Clip(np.concatenate(crops), _box(face_box), left, right, np.clip(levels, 0, 1).round(4).tolist())


def _box(ends: Sequence[float] | np.ndarray) -> Box:
    x0, y0, x1, y1 = (round(float(end), 2) for end in ends)
    return x0, y0, x1, y1


def _fill(poses: Sequence[Pose | None]) -> np.ndarray:
    """Return (T, 4), x, y, side, tilt, with those that are missing between the others."""
    known = [t for t, pose in enumerate(poses) if pose]
    values = np.array([pose for pose in poses if pose])
    values[:, 3] = np.degrees(np.unwrap(np.radians(values[:, 3])))
    return np.stack([np.interp(np.arange(len(poses)), known, column) for column in values.T], 1)


def _check_motion(poses: np.ndarray) -> None:
    mean = poses.mean(0)
    travel = float(np.hypot(*(poses[:, :2] - mean[:2]).T).max() / mean[2])
    lean = float(np.abs(poses[:, 3] - mean[3]).max())
    ratio = float(poses[:, 2].max() / poses[:, 2].min())
    if travel > MAX_TRAVEL or lean > MAX_LEAN_DEG or ratio > MAX_SIDE_RATIO:
        raise DroppedClip("moves", f"by {travel:.2f} sides and {lean:.0f} degrees, size changes {ratio:.2f}-fold")


def _crop(frames: Sequence[np.ndarray], poses: np.ndarray, size: int) -> list[np.ndarray]:
    """Return the upright crops (size, size, 3) round the poses (T, 4)."""
    return [
        crop(frame, Pose(*pose).face, size=size, box_scale=BOX_SCALE, rotation=0.0)
        for frame, pose in zip(frames, poses.tolist(), strict=True)
    ]


def _align(crops: Sequence[np.ndarray], poses: np.ndarray, eyes: Sequence[Box]) -> np.ndarray:
    """Return the poses (T, 4) in whose crops the face lies exactly as in the first one."""
    size = len(crops[0])
    grey = [cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in crops]
    mask = np.where(_still(size, _HEAD, [*eyes, _scaled(_MOUTH, size)]), np.uint8(255), np.uint8(0))
    aligned = poses.copy()
    for t in range(1, len(crops)):
        if fine := refine(grey[0], grey[t], np.eye(2, 3), mask):
            pose = Pose(*poses[t].tolist())
            aligned[t] = moved(pose, fine[0], size, size, BOX_SCALE * pose.side / size)
    return aligned


def _scaled(box: Box, size: int) -> Box:
    """Return a box in px of a crop, of one in sides of the face from its centre."""
    x0, y0, x1, y1 = (size * (0.5 + end / BOX_SCALE) for end in box)
    return x0, y0, x1, y1


def _still(size: int, region: Box, moving: Sequence[Box]) -> np.ndarray:
    """Return (size, size) bool: the region of a crop, in sides of the face from its centre, without what moves, in px,
    and what is near to it."""
    mask = np.zeros((size, size), bool)
    _fill_box(mask, _scaled(region, size), True)
    for x0, y0, x1, y1 in moving:
        dx, dy = _AROUND * (x1 - x0), _AROUND * (y1 - y0)
        _fill_box(mask, (x0 - dx, y0 - dy, x1 + dx, y1 + dy), False)
    return mask


def _check_stillness(crops: Sequence[np.ndarray], eyes: Sequence[Box]) -> None:
    """Raise DroppedClip if what lies round the eyes changes."""
    scale = _CHECKED_PX / crops[0].shape[0]
    small = [cv2.resize(each, (_CHECKED_PX, _CHECKED_PX), interpolation=cv2.INTER_AREA) for each in crops]
    grey = np.stack([cv2.GaussianBlur(cv2.cvtColor(each, cv2.COLOR_RGB2GRAY), (5, 5), 0) for each in small])
    mask = _still(_CHECKED_PX, _CHECKED, [(scale * x0, scale * y0, scale * x1, scale * y1) for x0, y0, x1, y1 in eyes])
    if mask.any():
        change = float(np.abs(grey.astype(np.float32) - grey[0])[:, mask].mean(1).max())
        if change > MAX_CHANGE:
            raise DroppedClip("not_still", f"what is round the eyes changes by {change:.0f} levels")


def _fill_box(mask: np.ndarray, box: Sequence[float], value: bool) -> None:
    x0, y0, x1, y1 = (max(0, round(end)) for end in box)
    mask[y0:y1, x0:x1] = value
