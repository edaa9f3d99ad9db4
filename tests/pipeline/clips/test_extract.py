"""The clips of drawn films, with the truth in place of the networks; and of files that hold none."""

import multiprocessing
import resource
import tracemalloc
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from pipeline.clips.cut import CLOSED_FRAME
from pipeline.clips.extract import extract
from pipeline.clips.video import Video
from pipeline.drawing import film
from pipeline.drawing.portrait import look, render
from pipeline.faces.boxes import Face, face_at
from pipeline.faces.landmarks import Landmarks
from tests.support import videos
from tests.support.film_truth import FilmEyes

FPS = Fraction(18)
SIZE = 64


def times_of_blinks(found) -> list[float]:
    """Of clips, and of blinks that were dropped."""
    clips = [(clip.first + CLOSED_FRAME) / float(FPS) for clip in found.clips]
    return clips + [float(drop.detail.split()[2]) for drop in found.drops if drop.detail.startswith("blink at")]


@pytest.mark.full
@pytest.mark.parametrize("films", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_the_blinks_of_films_are_found_and_nothing_else(tmp_path, films):
    clips = missed = blinks = 0
    for i in range(films):
        truth = film.write(tmp_path / "film.mp4", 2, i)
        eyes = FilmEyes(tmp_path / "film.mp4", truth, FPS, noise=0.05, skipped=0.3)
        found = extract(tmp_path / "film.mp4", FPS, SIZE, eyes.find_faces, eyes.find_landmarks)
        times = times_of_blinks(found)
        blinks += len(truth.blinks)
        for blink in truth.blinks:
            near = [time for time in times if abs(time - blink.time) < 1.6 / FPS]
            missed += not near
            for time in near[:1]:
                times.remove(time)  # once: two faces may blink at the same time
        assert times == []
        clips += len(found.clips)
        for clip in found.clips:
            assert clip.clip.strip.shape == (16 * SIZE, SIZE, 3)
            assert clip.clip.openness[CLOSED_FRAME] < 0.2 < 0.7 < clip.clip.openness[0]
    assert clips > 4 * films
    assert missed == 0


class Eyes:
    """One face in the middle of all frames, whose eyes are as open as its forehead is bright."""

    def __init__(self, lids: Sequence[float] = ()):
        self.lids, self.calls = lids, 0

    def find_faces(self, pixels: np.ndarray) -> list[Face]:
        return [face_at(80, 70, 60, 0, 1.0)]

    def find_landmarks(self, pixels: np.ndarray, faces: Sequence[Face]) -> list[Landmarks]:
        level = self.lids[min(self.calls, len(self.lids) - 1)]
        self.calls += pixels.shape[0] != SIZE  # not for the frames of a clip
        x0, y0, x1, _ = faces[0].box
        side, top, bottom = x1 - x0, y0 + 0.45 * (x1 - x0), y0 + 0.65 * (x1 - x0)
        left, right = ((x0 + a * side, top, x0 + b * side, bottom) for a, b in ((0.15, 0.4), (0.6, 0.85)))
        return [Landmarks(left, right, level, level, 1.0, 1.0, (80, 90), (80, 100))] * len(faces)


LOOK = replace(look.sample(1, 2), size=(160, 120), side=60.0, center=(80.0, 70.0), tilt=0.0)
STILL = [1.0] * 40
BLINK = [1.0] * 16 + [0.0, 0.0, 0.5] + [1.0] * 40


def drawn(lids: Sequence[float], moved=lambda t: (80.0, 70.0), change=lambda t, pixels: pixels):
    """The frames of a face with these lids at 18 fps."""
    return [change(t, render.render(replace(LOOK, openness=level, center=moved(t)))) for t, level in enumerate(lids)]


def reasons(path, lids: Sequence[float]) -> list[str]:
    eyes = Eyes(lids)
    return [drop.reason for drop in extract(path, FPS, SIZE, eyes.find_faces, eyes.find_landmarks).drops]


def film_of(path, lids, **kwargs):
    return videos.write(path / "a.mp4", drawn(lids, **kwargs), fps=18)


def test_a_swaying_head_stays_in_its_place_in_the_clip(tmp_path):
    path = film_of(tmp_path, BLINK, moved=lambda t: (80 + 8 * np.sin(t / 3), 70 + 4 * np.cos(t / 4)))
    eyes = Eyes(BLINK)
    (clip,) = extract(path, FPS, SIZE, eyes.find_faces, eyes.find_landmarks).clips
    frames = clip.clip.strip.reshape(16, SIZE, SIZE, 3).astype(float)
    forehead = frames[:, 16:24, 24:40].mean(-1)
    assert np.abs(forehead - forehead[0]).mean((1, 2)).max() < 8
    assert clip.first == 16 - CLOSED_FRAME
    assert np.abs(frames[CLOSED_FRAME, 28:38] - frames[0, 28:38]).mean() > 8


@pytest.mark.parametrize(
    ("lids", "expected"),
    [
        (STILL, ["no_blink"]),
        ([0.0] * 40, ["closed_throughout"]),
        (BLINK[12:], ["blink_at_cut"]),
        (BLINK[:22], ["blink_at_cut"]),
        (STILL[:3], ["too_short"]),
        (STILL[:1], ["still_picture"]),
    ],
)
def test_a_video_without_a_clip_has_a_reason(tmp_path, lids, expected):
    assert reasons(film_of(tmp_path, lids), lids) == expected


def test_a_face_that_moves_much_is_dropped(tmp_path):
    path = film_of(tmp_path, BLINK, moved=lambda t: (20.0 + 5 * max(0, t - 4), 70.0))
    eyes = Eyes(BLINK)
    eyes.find_faces = lambda pixels: [face_at(20, 70, 60, 0, 1.0)] if eyes.calls == 0 else []
    assert [drop.reason for drop in extract(path, FPS, SIZE, eyes.find_faces, eyes.find_landmarks).drops] == ["moves"]


@pytest.mark.parametrize(("detected", "expected"), [(0, [16]), (24, [16]), (54, [])])
def test_a_face_that_is_detected_late_is_followed_backwards(tmp_path, detected, expected):
    path = film_of(tmp_path, BLINK, moved=lambda t: (80 + 8 * np.sin(t / 3), 70 + 4 * np.cos(t / 4)))
    number_of = {frame.pixels.tobytes(): frame.number for frame in Video(path, FPS)}
    eyes = Eyes(BLINK)

    def find_faces(pixels):
        t = number_of[pixels.tobytes()]
        return [face_at(80 + 8 * np.sin(t / 3), 70 + 4 * np.cos(t / 4), 60, 0, 1.0)] if t >= detected else []

    def find_landmarks(pixels, faces):
        eyes.calls = number_of.get(pixels.tobytes(), 0)
        return Eyes.find_landmarks(eyes, pixels, faces)

    found = extract(path, FPS, SIZE, find_faces, find_landmarks)
    assert [clip.first + CLOSED_FRAME for clip in found.clips] == expected
    assert [drop.reason for drop in found.drops] == ([] if expected else ["no_blink"])


def test_something_that_passes_in_front_is_not_still(tmp_path):
    def pass_by(t, pixels):
        if t > 18:
            pixels[48:66, 40:120] = 0
        return pixels

    assert reasons(film_of(tmp_path, BLINK, change=pass_by), BLINK) in (["not_still"], ["face_hidden"])


def test_a_video_without_a_face_and_one_that_is_no_video_have_reasons(tmp_path):
    path = film_of(tmp_path, STILL)
    (drop,) = extract(path, FPS, SIZE, lambda pixels: [], Eyes(STILL).find_landmarks).drops
    assert drop.reason == "no_face"
    assert reasons(videos.sound(tmp_path / "a.m4a"), STILL) == ["no_video"]


def test_damage_in_the_middle_costs_only_what_it_hits(tmp_path):
    lids = BLINK * 4
    path = videos.write(
        tmp_path / "a.ts", drawn(BLINK) * 4, fps=18, options={"g": "12", "bf": "0"}, container_options={}
    )
    data = bytearray(path.read_bytes())
    start = len(data) // 2
    data[start : start + 400] = np.random.default_rng(0).bytes(400)
    path.write_bytes(bytes(data))
    eyes = Eyes(lids)
    found = extract(path, FPS, SIZE, eyes.find_faces, eyes.find_landmarks)
    assert "damaged_frames" in [drop.reason for drop in found.drops]
    assert len(found.clips) >= 2


def long_film(path, seconds: int):
    """A film of that length at 18 fps in which the eyes blink every three seconds."""
    period = (BLINK + BLINK)[:54]
    pictures = drawn(period)
    return videos.write(path, (pictures[t % 54] for t in range(18 * seconds)), fps=18, options={"preset": "ultrafast"})


def peak_of(path, lids) -> int:
    """Return the largest memory in use, bytes, by NumPy and Python."""
    eyes = Eyes(lids)
    tracemalloc.start()
    try:
        found = extract(path, FPS, SIZE, eyes.find_faces, eyes.find_landmarks, keep=lambda clip: clip.first)
        assert len(found.clips) > 3
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class Cyclic(list):
    """Lids that repeat without end."""

    def __len__(self):
        return 1 << 60

    def __getitem__(self, t):
        return (BLINK + BLINK)[t % 54]


def resident_of(path) -> tuple[int, int]:
    """Return (the largest memory of this process, bytes, after the clips of the video were extracted; how many)."""
    eyes = Eyes(Cyclic())
    found = extract(path, FPS, SIZE, eyes.find_faces, eyes.find_landmarks, keep=lambda clip: clip.first)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, len(found.clips)


@pytest.mark.slow
def test_a_video_of_four_hours_needs_no_more_memory_than_a_short_one(tmp_path):
    peaks = []
    for seconds in (60, 4 * 3600):
        path = long_film(tmp_path / f"{seconds}.mp4", seconds)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            peak, count = pool.submit(resident_of, path).result()
        peaks.append(peak)
    print("MiB:", [peak >> 20 for peak in peaks])
    assert count == 4800
    assert peaks[1] < peaks[0] + (64 << 20)


@pytest.mark.full
def test_memory_does_not_grow_with_the_length(tmp_path):
    short, long = (peak_of(long_film(tmp_path / f"{s}.mp4", s), Cyclic()) for s in (12, 36))
    assert long < 1.3 * short
