"""Cuts between drawn pictures that are panned, zoomed and lit by flashes."""

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest

from pipeline.clips.shots import split_into_shots
from pipeline.clips.video import Frame
from pipeline.drawing.portrait import look, render

WIDTH, HEIGHT = 320, 240


@cache
def picture(i: int) -> np.ndarray:
    """The i-th drawn picture, with a frame round it that a camera can pan over."""
    drawn = render.render(replace(look.sample(5, i, style="character"), size=(160, 160), center=(80, 90), side=80))
    return cv2.copyMakeBorder(cv2.resize(drawn, (WIDTH, HEIGHT)), 0, 0, 200, 200, cv2.BORDER_REFLECT)


def shot(i: int, count: int, *, pan: float = 0.0, zoom: float = 0.0) -> list[np.ndarray]:
    """`count` frames of the i-th picture; `pan`: px a frame, `zoom`: growth a frame."""
    frames = []
    for t in range(count):
        scale = 1 + zoom * t
        matrix = np.array([[scale, 0, -200 - pan * t], [0, scale, 0]])
        frames.append(cv2.warpAffine(picture(i), matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT))
    return frames


def cuts(frames: list[np.ndarray], numbers: list[int] | None = None) -> list[int]:
    """The places of the first frames of all shots but the first."""
    framed = [Frame(number, pixels) for number, pixels in zip(numbers or range(len(frames)), frames, strict=True)]
    marked = list(split_into_shots(framed))
    assert [each.frame.number for each in marked] == [frame.number for frame in framed]
    return [i for i in range(1, len(marked)) if marked[i].shot > marked[i - 1].shot]


@pytest.mark.parametrize("seed", range(6))
def test_each_cut_is_found_at_its_frame(seed):
    rng = np.random.default_rng(seed)
    frames: list[np.ndarray] = []
    expected = []
    for i in rng.permutation(16)[:5]:
        expected.append(len(frames))
        moves = {"pan": rng.uniform(-6, 6)} if rng.random() < 0.5 else {"zoom": rng.uniform(0, 0.02)}
        frames += shot(int(i), int(rng.integers(8, 16)), **moves)
    assert cuts(frames) == expected[1:]


def test_a_fast_pan_is_no_cut():
    assert cuts(shot(0, 12, pan=24)) == []


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_flash_is_no_cut(length):
    frames = shot(1, 20)
    for t in range(8, 8 + length):
        frames[t] = cv2.addWeighted(frames[t], 0.2, np.full_like(frames[t], 255), 0.8, 0)
    assert cuts(frames) == []


def test_a_pause_of_the_video_ends_a_shot():
    frames = shot(2, 6)
    assert cuts(frames, [0, 1, 2, 50, 51, 52]) == [3]


def test_a_video_may_have_no_frame():
    assert cuts([]) == []
