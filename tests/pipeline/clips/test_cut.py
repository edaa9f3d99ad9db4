"""Clips cut from frames in which a face is followed."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.clips.alignment import Pose
from pipeline.clips.cut import Seen, cut_clip
from pipeline.drawing.portrait import look, render
from pipeline.faces.landmarks import Landmarks
from pipeline.manifest import CLIP_FRAMES

SIZE = 96
LEVELS = np.array([1.0] * 6 + [0.0] * 3 + [0.5] + [1.0] * 6)
LOOK = replace(look.sample(1, 2), size=(200, 180), side=100.0, center=(100.0, 90.0), tilt=0.0)


def landmarks_of(pixels, faces):
    """Return the eyes of an upright face, in their usual place."""
    x0, y0, x1, _ = faces[0].box
    side = x1 - x0
    left, right = (
        (x0 + a * side, y0 + 0.4 * side, x0 + b * side, y0 + 0.7 * side) for a, b in ((0.1, 0.45), (0.55, 0.9))
    )
    return [Landmarks(left, right, 1.0, 1.0, 1.0, 1.0, (x0 + side / 2, y0), (x0 + side / 2, y0))]


@pytest.mark.parametrize("off", [0.0, 2.5])
def test_the_face_lies_in_its_place_though_it_was_followed_inexactly(off):
    frames = [render.render(replace(LOOK, openness=level)) for level in LEVELS]
    rng = np.random.default_rng(0)
    poses = [Pose(*(LOOK.center + rng.uniform(-off, off, 2)), LOOK.side, rng.uniform(-off, off)) for _ in frames]
    seen = [Seen(pose, landmarks_of(None, [pose.face])[0]) for pose in poses]
    clip = cut_clip(frames, seen, np.stack([LEVELS, LEVELS], 1), SIZE, landmarks_of)
    strip = clip.strip.reshape(CLIP_FRAMES, SIZE, SIZE, 3).astype(float)
    changes = np.abs(strip - strip[0])[:, SIZE // 5 : -SIZE // 5, SIZE // 5 : -SIZE // 5].mean((1, 2, 3))
    assert changes[LEVELS == 1].max() < 4  # 20 as they were followed
    assert changes[LEVELS == 0].min() > 5
