"""What BuildBlinkDataset finds in drawn films, beside their truth: `python -m tests.tools.measure_blinks`."""

import argparse
import tempfile
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch

from models.annotators.landmarks import overlap
from pipeline.clips.cut import CLOSED_FRAME
from pipeline.clips.extract import Extraction, FoundClip, extract
from pipeline.clips.video import Video
from pipeline.clips.videos import Finders, Settings, finders
from pipeline.drawing import film
from pipeline.faces.boxes import Face
from pipeline.manifest import CLIP_FRAMES
from tests.support.film_truth import frame_at

FPS = 18
MAX_APART_S = 0.17  # between a blink and what was found of it
EYES_EVERY = 9  # frames


class Truth:
    """What is known of a film, at the times of frames of FPS."""

    def __init__(self, truth: film.Truth):
        self.blinks, self._truth = [*truth.blinks], truth

    def at(self, number: int) -> film.FilmFrame:
        """Return the frame that a video shows at number / FPS."""
        return frame_at(self._truth, number, FPS)

    def correlation(self, clip: FoundClip, blink: film.FilmBlink) -> float | None:
        """Return that of the openness of a clip and of a character; None if they are not of one shot."""
        frames = [self.at(clip.first + t) for t in range(CLIP_FRAMES)]
        if any(frame.shot != blink.shot or len(frame.faces) <= blink.face for frame in frames):
            return None
        true = [np.mean(frame.faces[blink.face].openness) for frame in frames]
        return float(np.corrcoef(true, clip.clip.openness)[0, 1]) if np.std(true) else None


def match(truth: Truth, found: Extraction) -> tuple[int, list[float], list[float]]:
    """Return how many blinks were found that are none; of each clip how many frames its closed one is off, and the
    correlation of its openness. Blinks that were found are taken from the truth."""
    events: list[tuple[float, FoundClip | None]] = [((clip.first + CLOSED_FRAME) / FPS, clip) for clip in found.clips]
    dropped = (drop.detail for drop in found.drops if drop.detail.startswith("blink at"))
    events += [(float(detail.split()[2]), None) for detail in dropped]
    false, off, correlations = 0, [], []
    for time, clip in sorted(events, key=lambda event: event[0]):
        near = [blink for blink in truth.blinks if abs(blink.time - time) < MAX_APART_S]
        scored = [(truth.correlation(clip, blink) if clip else 0.0, blink) for blink in near]
        known = [(score, blink) for score, blink in scored if score is not None]
        if not known:
            false += 1
            continue
        score, blink = max(known, key=lambda pair: pair[0])
        truth.blinks.remove(blink)
        if clip:
            off.append(abs(time - blink.time) * FPS)
            correlations.append(score)
    return false, off, correlations


def overlaps(path: Path, truth: Truth, find: Finders) -> list[float]:
    """Return the IoU of the eye boxes in every EYES_EVERY-th frame, with true faces."""
    shares: list[float] = []
    for frame in Video(path, Fraction(FPS)):
        faces = truth.at(frame.number).faces
        if faces and not frame.number % EYES_EVERY:
            found = find.landmarks(frame.pixels, [Face(face.box, face.tilt, 1.0) for face in faces])
            for face, landmarks in zip(faces, found, strict=True):
                true = torch.tensor([face.left_eye, face.right_eye])
                ours = torch.tensor([landmarks.left_eye, landmarks.right_eye])
                shares += overlap(ours, true).tolist()
    return shares


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=91)
    parser.add_argument("--films", type=int, default=10)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    find = finders(Settings(FPS, 128, "cascade_network", 48), None)
    total = missed = false = 0
    off, correlations, shares = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for i in range(options.films):
            path = Path(folder) / f"{i}.mp4"
            truth = Truth(film.write(path, options.seed, i))
            total += len(truth.blinks)
            more, frames_off, of_clips = match(truth, extract(path, Fraction(FPS), 128, find.faces, find.landmarks))
            false, missed = false + more, missed + len(truth.blinks)
            off, correlations, shares = off + frames_off, correlations + of_clips, shares + overlaps(path, truth, find)
    print(f"{total} blinks: {missed} missed, {false} false; {len(off)} clips")
    print(f"closed frame off by at most {max(off):.2f}; openness correlation {np.mean(correlations):.3f}, ", end="")
    enough = np.mean(np.array(shares) >= 0.6)
    print(f"least {min(correlations):.3f}; IoU of eye boxes {np.mean(shares):.2f}, {enough:.1%} of them ≥ 0.6")


if __name__ == "__main__":
    main()
