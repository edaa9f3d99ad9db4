"""The clips of one video: its frames stream through shots, tracks and landmarks, and only the last few are kept."""

import itertools
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline.clips.alignment import Pose
from pipeline.clips.blinks import BASE_S, CLOSED, MAX_CLOSED_S, find_blinks
from pipeline.clips.cut import CLOSED_FRAME, Clip, DroppedClip, FindLandmarks, Seen, cut_clip, openness_curve
from pipeline.clips.shots import split_into_shots
from pipeline.clips.tracks import MAX_LOST_FRAMES, Tracks, follow_back
from pipeline.clips.video import UnusableVideo, Video
from pipeline.faces.boxes import Face, overlap
from pipeline.faces.landmarks import Landmarks
from pipeline.manifest import CLIP_FRAMES

PERIOD = 9  # frames from one search for blinks to the next
LOOK_BACK_S = 2.0  # for which a face is followed backwards from where it is detected first
CLOSED_SHARE = 0.9  # of the frames of a video without a blink, in which the eyes are closed: then it has no open ones

FindFaces = Callable[[np.ndarray], list[Face]]
"""A picture (H, W, 3) uint8 -> its faces, best first."""


class FoundClip(NamedTuple):
    """A clip, and where in the video it is."""

    first: int  # number of its first frame
    shot: int
    track: int
    clip: Clip


class Drop(NamedTuple):
    """Something that became no clip: for FUNNEL."""

    reason: str
    detail: str


class Extraction(NamedTuple):
    """What a video holds."""

    clips: list[Any]  # FoundClip, or what was made of each
    drops: list[Drop]


def extract(
    path: Path,
    fps: Fraction,
    size: int,
    find_faces: FindFaces,
    find_landmarks: FindLandmarks,
    *,
    at_most: int | None = None,
    keep: Callable[[FoundClip], Any] = lambda clip: clip,
) -> Extraction:
    """Return the blink clips of a video, of frames of size × size px, `fps` a second, in the order of their blinks;
    with `at_most`, the video is read until there are so many. `keep` makes of each clip, as soon as it is found, what
    is returned: the clips of a long video might fill the memory. Raise OSError."""
    video = Video(path, fps)
    reader = _Reader(fps, size, find_faces, find_landmarks, keep)
    drops = []
    try:
        for frame, shot in split_into_shots(video):
            reader.read(frame.number, frame.pixels, shot)
            if at_most is not None and len(reader.clips) >= at_most:
                break
    except UnusableVideo as error:
        return Extraction([], [Drop(error.reason, error.detail)])
    reader.end_shot()
    if video.damaged:
        drops.append(Drop("damaged_frames", f"{video.damaged} packets or frames"))
    if reader.frames < CLIP_FRAMES:
        reason = "still_picture" if video.decoded == 1 else "too_short" if video.decoded else "no_video"
        drops.append(Drop(reason, f"{reader.frames} frames"))
    elif not reader.clips and not reader.drops:
        drops.append(reader.reason())
    return Extraction([reader.clips[place] for place in sorted(reader.clips)], drops + reader.drops)


class _History:
    """The last frames of a track."""

    def __init__(self, first: int, length: int):
        self.seen: deque[Seen | None] = deque(maxlen=length)
        self.next = first  # number of the frame that comes next
        self.handled = -1  # number of the closed frame of the last blink

    def add(self, number: int, seen: Seen) -> None:
        self.seen.extend([None] * (number - self.next))
        self.seen.append(seen)
        self.next = number + 1


class _Reader:
    """The state of reading one video."""

    def __init__(
        self,
        fps: Fraction,
        size: int,
        find_faces: FindFaces,
        find_landmarks: FindLandmarks,
        keep: Callable[[FoundClip], Any],
    ):
        self._fps, self._size, self._keep = float(fps), size, keep
        self._find_faces, self._find_landmarks = find_faces, find_landmarks
        base, closed = round(BASE_S * self._fps), round(MAX_CLOSED_S * self._fps)
        self._delay = base + closed + CLIP_FRAMES  # frames after a closed one that are needed to judge it
        self._pixels: deque[np.ndarray] = deque(maxlen=self._delay + PERIOD + CLIP_FRAMES)
        self._poses: deque[list[Pose]] = deque(maxlen=self._pixels.maxlen)  # of the faces in each of these frames
        self._length = self._delay + PERIOD + base + closed  # of a history
        self._shot, self._tracks, self._histories = -1, Tracks(find_faces), dict[int, _History]()
        self._next = 0  # number of the frame that comes next
        self.frames = self._faces = self._closed = 0
        self.clips: dict[tuple[int, int, int], Any] = {}  # by first frame, shot and track
        self.drops: list[Drop] = []

    def read(self, number: int, pixels: np.ndarray, shot: int) -> None:
        """Take the next frame."""
        if shot != self._shot:
            self.end_shot()
            self._shot, self._tracks = shot, Tracks(self._find_faces)
        self.frames += 1
        self._pixels.append(pixels)
        self._next = number + 1
        poses = self._tracks.step(pixels)
        found = self._find_landmarks(pixels, [pose.face for pose in poses.values()]) if poses else []
        self._poses.append([*poses.values()])
        for (track, pose), landmarks in zip(poses.items(), found, strict=True):
            if track not in self._histories:
                self._histories[track] = self._look_back(number, pose)
            self._histories[track].add(number, Seen(pose, landmarks))
            self._count(landmarks)
        for track, history in [*self._histories.items()]:
            has_ended = number - history.next > MAX_LOST_FRAMES
            if has_ended or number % PERIOD == 0:
                self._search(track, history, is_last=has_ended)
            if has_ended:
                del self._histories[track]

    def _look_back(self, number: int, pose: Pose) -> _History:
        """Return the history of a face that is detected for the first time: where it was in the frames of the shot
        before this one, until it is lost or meets a face that is known."""
        frames = itertools.islice(reversed(self._pixels), 1 + round(LOOK_BACK_S * self._fps))
        past: list[tuple[int, Pose]] = []
        for back, found in enumerate(follow_back(pose, frames), start=1):
            if found and any(overlap(found.face, other.face) for other in self._poses[-1 - back]):
                break
            if found:
                past.append((back, found))
        history = _History(number - past[-1][0] if past else number, self._length)
        for back, found in reversed(past):
            (landmarks,) = self._find_landmarks(self._pixels[-1 - back], [found.face])
            history.add(number - back, Seen(found, landmarks))
            self._poses[-1 - back].append(found)
            self._count(landmarks)
        return history

    def end_shot(self) -> None:
        """Find the last blinks of all faces."""
        for track, history in self._histories.items():
            self._search(track, history, is_last=True)
        self._histories.clear()
        self._pixels.clear()
        self._poses.clear()

    def reason(self) -> Drop:
        """Return why there is no blink."""
        if self._faces < CLIP_FRAMES:
            return Drop("no_face", "")
        is_closed = self._closed > CLOSED_SHARE * self._faces
        return Drop("closed_throughout" if is_closed else "no_blink", f"{self._faces} faces in {self.frames} frames")

    def _count(self, landmarks: Landmarks) -> None:
        self._faces += 1
        self._closed += max(landmarks.left_openness, landmarks.right_openness) < CLOSED

    def _search(self, track: int, history: _History, *, is_last: bool) -> None:
        """Make clips of the blinks that can be judged now and were not before."""
        curve = openness_curve(history.seen)
        first = history.next - len(curve)
        for blink in find_blinks(curve, self._fps):
            number = first + blink.closed
            is_due = is_last or history.next - number > self._delay
            if not is_due or number <= history.handled:
                continue
            history.handled = first + blink.end
            try:
                start = number - CLOSED_FRAME
                clip = self._cut(history, curve, start - first, start)
                self.clips[start, self._shot, track] = self._keep(FoundClip(start, self._shot, track, clip))
            except DroppedClip as drop:
                where = f"blink at {number / self._fps:.2f} s, shot {self._shot}, face {track}"
                self.drops.append(Drop(drop.reason, f"{where}; {drop.detail}" if drop.detail else where))

    def _cut(self, history: _History, curve: np.ndarray, at: int, start: int) -> Clip:
        """Return the clip from the place `at` of the curve, which is the frame `start`. Raise DroppedClip."""
        place = len(self._pixels) - (self._next - start)
        if at < 0 or place < 0 or at + CLIP_FRAMES > len(curve) or place + CLIP_FRAMES > len(self._pixels):
            raise DroppedClip("blink_at_cut")
        frames = [self._pixels[i] for i in range(place, place + CLIP_FRAMES)]
        seen = [history.seen[i] for i in range(at, at + CLIP_FRAMES)]
        return cut_clip(frames, seen, curve[at : at + CLIP_FRAMES], self._size, self._find_landmarks)
