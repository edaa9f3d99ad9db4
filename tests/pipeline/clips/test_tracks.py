"""Faces followed through drawn shots in which heads sway, blink and talk, from one detection."""

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.clips.tracks import Tracks
from pipeline.drawing.portrait import look, render
from pipeline.faces.boxes import face_at

SIZE = (320, 240)


def swaying(seed: int, count: int, *, sway: float = 12, tilt: float = 6, moves=None):
    """Yield (frame, true pose): a head that sways by so many px and degrees, blinks and talks."""
    rng = np.random.default_rng(seed)
    base = replace(look.sample(seed, 0, style="character"), size=SIZE, side=100.0, tilt=0.0)
    phase = rng.uniform(0, 6, 3)
    for t in range(count):
        x = 160 + sway * math.sin(0.25 * t + phase[0])
        y = 130 + sway / 2 * math.sin(0.31 * t + phase[1])
        if moves:
            x, y = moves(t)
        lean = tilt * math.sin(0.2 * t + phase[2])
        opened = 0.0 if t % 15 in (5, 6) else 1.0
        mouth = ("smile", "open")[t // 3 % 2]
        shown = replace(base, center=(x, y), tilt=lean, openness=opened, mouth=mouth)
        yield render.render(shown), (x, y, 100.0, lean)


def follow(frames) -> np.ndarray:
    """The errors (T, 3) of x and y in sides, and of the tilt in degrees, where the face is detected at first only."""
    errors = []
    start = []

    def find(pixels):
        return [face_at(*start[0], 1.0)] if not errors else []

    tracks = Tracks(find)
    for pixels, (x, y, side, lean) in frames:
        start.append((x, y, side, lean))
        found = tracks.step(pixels)
        assert list(found) == [0], f"lost in frame {len(errors)}"
        pose = found[0]
        errors.append(((pose.x - x) / side, (pose.y - y) / side, pose.tilt - lean))
    return np.abs(errors)


@pytest.mark.parametrize("seed", range(4))
def test_a_face_that_sways_blinks_and_talks_is_followed(seed):
    errors = follow(swaying(seed, 45))
    assert errors[:, :2].max() < 0.06
    assert errors[:, 2].max() < 3


def test_a_pan_is_followed():
    errors = follow(swaying(1, 12, tilt=0, moves=lambda t: (70 + 16 * t, 130)))
    assert errors[:, :2].max() < 0.06


def test_a_face_that_leaves_is_lost():
    frames = [pixels for pixels, _ in swaying(2, 12)]
    tracks = Tracks(lambda pixels: [face_at(160, 130, 100, 0, 1.0)] if pixels is frames[0] else [])
    blank = np.full_like(frames[0], 200)
    found = [bool(tracks.step(pixels)) for pixels in (frames[:3] + [blank] * 9)]
    assert found == [True] * 3 + [False] * 9


def test_each_face_has_a_track_of_its_own():
    left, right = (list(swaying(seed, 10)) for seed in (3, 4))
    frames = [np.hstack([a, b]) for (a, _), (b, _) in zip(left, right, strict=True)]
    faces = [face_at(*left[0][1], 1.0), face_at(right[0][1][0] + SIZE[0], *right[0][1][1:], 1.0)]
    tracks = Tracks(lambda pixels: faces)
    for pixels, (_, a), (_, b) in zip(frames, left, right, strict=True):
        found = tracks.step(pixels)
        assert found.keys() == {0, 1}
        assert math.dist(found[0][:2], a[:2]) < 8
        assert math.dist(found[1][:2], (b[0] + SIZE[0], b[1])) < 8


def test_a_new_face_is_found_at_the_next_detection():
    frame = cv2.cvtColor(np.full((240, 320), 128, np.uint8), cv2.COLOR_GRAY2RGB)
    asked = []
    tracks = Tracks(lambda pixels: asked.append(len(asked)) or [])
    for _ in range(7):
        assert tracks.step(frame) == {}
    assert len(asked) == 3
