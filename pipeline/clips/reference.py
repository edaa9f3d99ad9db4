"""The blink of one clip, which other faces are animated by: from a film strip, or the first one of a video."""

from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.clips import videos
from pipeline.clips.extract import extract
from pipeline.errors import UserError
from pipeline.faces.boxes import Face
from pipeline.faces.landmarks import Box, find
from pipeline.faces.upright import BOX_SCALE, face_box, seen_eyes
from pipeline.images.decode import Rejected, decode
from pipeline.manifest import CLIP_FRAMES

SIZE = 128  # px: side of a frame that is cut from a video
MIN_FACE_PX = 48
MAX_STRIP_BYTES = 64 << 20
CLOSES = 0.5  # of the first frame's openness: eyes that do not close further do not blink


class Reference(NamedTuple):
    """A clip. Boxes are x0, y0, x1, y1 in px of a frame."""

    frames: np.ndarray  # (CLIP_FRAMES, S, S, 3) uint8
    face: Box
    left_eye: Box | None  # None: it is hidden
    right_eye: Box | None
    openness: np.ndarray  # (CLIP_FRAMES,): 1 open, 0 closed


def read(path: Path, fps: float) -> Reference:
    """Return the clip of a film strip, as BuildBlinkDataset writes it, or the first blink of a video, of so many frames
    per second. Raise UserError if there is none."""
    frames = _frames_of_strip(path)
    found = _of_video(path, fps) if frames is None else _of_frames(frames)
    if not found.openness.min() < CLOSES * found.openness[0]:
        levels = f"openness {found.openness[0]:.2f} at first, {found.openness.min():.2f} at least"
        raise UserError(path, f"holds no blink ({levels})", "eyes that close", "give another --reference")
    return found


def _frames_of_strip(path: Path) -> np.ndarray | None:
    """Return (T, S, S, 3) of a film strip; None if the file is none."""
    if path.stat().st_size > MAX_STRIP_BYTES:
        return None
    try:
        pixels, _ = decode(path.read_bytes())
    except Rejected:
        return None
    size = pixels.shape[1]
    return pixels.reshape(CLIP_FRAMES, size, size, 3) if len(pixels) == CLIP_FRAMES * size else None


def _of_frames(frames: np.ndarray) -> Reference:
    box = face_box(len(frames[0]), BOX_SCALE)
    found = [seen_eyes(find(frame, [Face(box, 0.0, 1.0)])[0]) for frame in frames]
    openness = np.array([eyes.openness for eyes in found], np.float32)
    if np.isfinite(openness[0]):  # a closed eye looks hidden at times
        known = np.flatnonzero(np.isfinite(openness))
        openness = np.interp(np.arange(CLIP_FRAMES), known, openness[known]).astype(np.float32)
    return Reference(frames, box, found[0].left_eye, found[0].right_eye, openness)


def _of_video(path: Path, fps: float) -> Reference:
    settings = videos.Settings(fps, SIZE, "network", MIN_FACE_PX)
    rate = Fraction(fps).limit_denominator(1001)
    found = extract(path, rate, SIZE, *videos.finders(settings, None), at_most=1)
    if not found.clips:
        why = "; ".join(f"{drop.reason} ({drop.detail})" if drop.detail else drop.reason for drop in found.drops[:3])
        raise UserError(path, f"no blink was found in it: {why}", "a video of a face that blinks", "give another")
    clip = found.clips[0].clip
    openness = np.array(clip.openness, np.float32)
    return Reference(
        clip.strip.reshape(CLIP_FRAMES, SIZE, SIZE, 3), clip.face_box, clip.left_eye, clip.right_eye, openness
    )
