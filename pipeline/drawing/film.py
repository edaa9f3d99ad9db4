"""Films of drawn characters who blink, as real video files, with their truth.

A film has a few shots, each with one to three characters before a still, panning or zooming camera. Beside blinks
there is what resembles them: heads that sway, mouths that talk, winks, half-closed lids, and eyes that stay closed.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np

from pipeline.drawing.portrait.look import CLOSED_LIDS, Box, Look
from pipeline.drawing.portrait.look import sample as sample_look
from pipeline.drawing.portrait.render import eye_boxes, render_group
from pipeline.drawing.sampling import Sampler

VERSION = 2
"""Raise it when the same (seed, i) gives another film."""
SIZES = {(480, 270): 3, (512, 384): 2, (640, 360): 2, (360, 480): 1}  # width, height, px -> weight
FRAME_RATES = {24: 4, 30: 2, 25: 1, 18: 1}  # frames per second -> weight
VARIABLE_SHARE = 0.2  # of films without the frames that repeat the one before
SHOTS = {3: 1, 4: 2, 5: 1}
SHOT_S = 2.8, 4.6
CHARACTERS = {1: 7, 2: 3, 3: 1}  # in a shot -> weight
CAMERAS = {"still": 6, "pan": 3, "zoom": 1}
MOTIONS = {"still": 4, "sway": 5, "lean": 2}
DRAWINGS_PER_S = {8: 2, 12: 3, 24: 1}  # in which heads and mouths move
EVENTS = {"anime": 7, "smooth": 5, "wink": 1.5, "half": 1.5, "closed": 1, "none": 1.5}
LIDS = {"low": 10, "drooping": 2, "middle": 1, "flat": 1, "rising": 1, "laughing": 1}  # of CLOSED_LIDS -> weight
MARGIN_S = 0.75  # from the start of a shot to the first event, and from the last one to its end
CLOSED = 0.02  # openness up to which an eye counts as closed
TIME_BASE = Fraction(1, 90_000)


class FilmFace(NamedTuple):
    """A face in a frame. Boxes are x0, y0, x1, y1 in px; left and right are those of the picture."""

    box: Box
    """The upright square of the face's side round its centre."""
    tilt: float
    """Degrees it leans, clockwise positive."""
    left_eye: Box
    """Upright, lashes included, as the eye is when wide open."""
    right_eye: Box
    openness: tuple[float, float]
    """Of the left and the right eye: 1 open, 0 closed."""


class FilmFrame(NamedTuple):
    """A frame, and what it shows."""

    time: float  # s
    shot: int
    pixels: np.ndarray  # (H, W, 3) uint8, RGB
    faces: list[FilmFace]


class FilmBlink(NamedTuple):
    """A blink."""

    time: float  # s: of the first frame in which both eyes are closed
    shot: int
    face: int  # place in the frame's list


class Truth(NamedTuple):
    """What a film shows. The frames are without their pixels."""

    frames: list[FilmFrame]
    blinks: list[FilmBlink]


class _Event(NamedTuple):
    start: int  # frame of the shot
    levels: np.ndarray  # (T, 2): openness of both eyes
    blink: bool


class _Actor(NamedTuple):
    look: Look
    motion: str
    phases: tuple[float, float, float]
    sway: float  # sides of the face
    lean: float  # degrees
    period: float  # s
    talks: tuple[float, float]  # s: from, to
    lids: np.ndarray  # (T, 2): openness in each frame of the shot
    blinks: list[int]  # frames of the shot


class _Shot(NamedTuple):
    length: int  # frames
    canvas: tuple[int, int]  # px
    camera: Callable[[float], tuple[float, float, float]]  # share of the shot -> left, top, scale
    drawings_per_s: int
    actors: list[_Actor]


def write(path: Path, seed: int, i: int) -> Truth:
    """Write the i-th film of a seed as a video file, H.264, and return what it shows. Equal arguments give equal
    bytes."""
    sampler = Sampler(np.random.default_rng((seed, i, 7)))
    size, fps = sampler.pick(SIZES), sampler.pick(FRAME_RATES)
    is_variable = sampler.chance(VARIABLE_SHARE)
    options = {"preset": "veryfast", "crf": str(round(sampler.between(14, 26)))}
    frames: list[FilmFrame] = []
    blinks: list[FilmBlink] = []
    shots = [_plan_shot(sampler, (seed, 1000 * i + 10 * k), size, fps) for k in range(sampler.pick(SHOTS))]
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = TIME_BASE
        stream.codec_context.thread_count = 1  # more of them give other bytes
        last: np.ndarray | None = None
        for number, frame in enumerate(_frames(shots, size, fps)):
            frames.append(frame._replace(pixels=np.empty((0, 0, 3), np.uint8)))
            if not (is_variable and last is not None and np.array_equal(last, frame.pixels)):
                picture = av.VideoFrame.from_ndarray(frame.pixels, format="rgb24")
                picture.pts, picture.time_base = round(number / fps / TIME_BASE), TIME_BASE
                container.mux(stream.encode(picture))
            last = frame.pixels
        container.mux(stream.encode(None))
    start = 0
    for number, shot in enumerate(shots):
        blinks += [
            FilmBlink((start + t) / fps, number, face) for face, actor in enumerate(shot.actors) for t in actor.blinks
        ]
        start += shot.length
    return Truth(frames, sorted(blinks))


def _frames(shots: list[_Shot], size: tuple[int, int], fps: int) -> Iterator[FilmFrame]:
    number = 0
    for index, shot in enumerate(shots):
        draw = lru_cache(48)(render_group)
        for t in range(shot.length):
            drawing_s = math.floor(t / fps * shot.drawings_per_s) / shot.drawings_per_s
            looks = tuple(_pose(actor, drawing_s, t) for actor in shot.actors)
            left, top, scale = shot.camera(t / shot.length)
            matrix = np.array([[scale, 0, -scale * left], [0, scale, -scale * top]])
            canvas = draw(looks, shot.canvas)
            pixels = cv2.warpAffine(canvas, matrix, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
            yield FilmFrame(number / fps, index, pixels, [_face(look, left, top, scale) for look in looks])
            number += 1


def _pose(actor: _Actor, seconds: float, t: int) -> Look:
    """Return the look of an actor in the t-th frame, whose head is where it is at that time."""
    look, (x, y) = actor.look, actor.look.center
    tilt, mouth = look.tilt, look.mouth
    if actor.motion != "still":
        turn = 2 * math.pi * seconds / actor.period
        x += actor.sway * look.side * math.sin(turn + actor.phases[0])
        y += actor.sway / 2 * look.side * math.sin(1.3 * turn + actor.phases[1])
        tilt += actor.lean * math.sin(0.8 * turn + actor.phases[2])
    if actor.talks[0] <= seconds < actor.talks[1]:
        mouth = ("smile", "open", "neutral", "round")[int(seconds * 8 * 0.99 + actor.phases[0]) % 4]
    left, right = (round(float(level), 2) for level in actor.lids[t])
    return replace(look, center=(round(x, 2), round(y, 2)), tilt=round(tilt, 2), mouth=mouth, opennesses=(left, right))


def _face(look: Look, left: float, top: float, scale: float) -> FilmFace:
    def place(box: Box) -> Box:
        x0, y0, x1, y1 = box
        return scale * (x0 - left), scale * (y0 - top), scale * (x1 - left), scale * (y1 - top)

    (x, y), half = look.center, look.side / 2
    left_eye, right_eye = map(place, eye_boxes(look))
    square = place((x - half, y - half, x + half, y + half))
    return FilmFace(square, look.tilt, left_eye, right_eye, (look.openness_of(-1), look.openness_of(1)))


def _plan_shot(sampler: Sampler, key: tuple[int, int], size: tuple[int, int], fps: int) -> _Shot:
    length = round(sampler.between(*SHOT_S) * fps)
    width, height = size
    travel = sampler.between(0.05, 0.35) * width
    kind, way = sampler.pick(CAMERAS), sampler.choice(0, 1)
    growth = sampler.between(1.03, 1.12)
    canvas = (round(width + travel), height) if kind == "pan" else size

    def camera(share: float) -> tuple[float, float, float]:
        along = share if way else 1 - share
        if kind == "zoom":
            scale = 1 + (growth - 1) * along
            return width / 2 * (1 - 1 / scale), height / 2 * (1 - 1 / scale), scale
        return (travel * along if kind == "pan" else 0.0), 0.0, 1.0

    count = sampler.pick(CHARACTERS)
    side = sampler.between(0.3, 0.52) * min(height, canvas[0] / (0.9 * count))
    places = [canvas[0] * (k + 0.5) / count + sampler.between(-0.08, 0.08) * canvas[0] / count for k in range(count)]
    if kind == "pan":  # in the middle of the way a face is well within the frame
        places = [canvas[0] / 2 + (x - canvas[0] / 2) * width / canvas[0] for x in places]
    actors = [
        _plan_actor(sampler, (key[0], key[1] + k), (x, sampler.between(0.48, 0.6) * height), side, length, fps)
        for k, x in enumerate(places)
    ]
    return _Shot(length, canvas, camera, sampler.pick(DRAWINGS_PER_S), actors)


def _plan_actor(
    sampler: Sampler, key: tuple[int, int], center: tuple[float, float], side: float, length: int, fps: int
) -> _Actor:
    look = sample_look(*key)
    look = replace(
        look,
        center=center,
        side=side * sampler.between(0.9, 1.1),
        tilt=sampler.between(-14, 14),
        eye_size=look.eye_size * sampler.between(0.85, 1.25),
        turn=look.turn * sampler.choice(1, 2),
        closed_lid=CLOSED_LIDS[sampler.pick(LIDS)],
    )
    events = _plan_events(sampler, length, fps)
    lids = np.full((length, 2), sampler.between(0.85, 1.0))
    for event in events:
        part = lids[event.start : event.start + len(event.levels)]
        part *= event.levels[: len(part)]
    blinks = [event.start + int((event.levels.max(1) <= CLOSED).argmax()) for event in events if event.blink]
    talk = sampler.between(0, length / fps)
    return _Actor(
        look,
        motion=sampler.pick(MOTIONS),
        phases=(sampler.between(0, 6), sampler.between(0, 6), sampler.between(0, 6)),
        sway=sampler.between(0.02, 0.12),
        lean=sampler.between(0, 6),
        period=sampler.between(1.8, 4),
        talks=(talk, talk + sampler.between(0.5, 2)) if sampler.chance(0.5) else (0, 0),
        lids=lids,
        blinks=blinks,
    )


def _plan_events(sampler: Sampler, length: int, fps: int) -> list[_Event]:
    """Return what the eyes do in a shot, in order."""
    events, seconds = [], MARGIN_S + sampler.between(0, 0.6)
    while seconds < length / fps - MARGIN_S - 0.5:
        kind = sampler.pick(EVENTS)
        if kind != "none":
            levels = _LEVELS[kind](sampler, fps)
            events.append(_Event(round(seconds * fps), levels, kind in ("anime", "smooth")))
            seconds += len(levels) / fps
        seconds += sampler.between(0.8, 1.8)
    return [event for event in events if event.start + len(event.levels) < length - MARGIN_S / 2 * fps]


def _anime(sampler: Sampler, fps: int) -> np.ndarray:
    """Close within one frame, hold for two or three, open in three or four steps: of 24 frames a second."""
    held, steps = sampler.choice(2, 3), sampler.choice(3, 4)
    rising = np.arange(1, steps) / steps
    levels = np.concatenate([[0.5] if sampler.chance(0.3) else [], np.zeros(held), rising])
    return _both(levels[np.minimum(np.arange(round(len(levels) * fps / 24)) * 24 // fps, len(levels) - 1)])


def _smooth(sampler: Sampler, fps: int) -> np.ndarray:
    down, held, up = sampler.between(0.06, 0.14), sampler.between(0.05, 0.1), sampler.between(0.12, 0.26)
    t = np.arange(round((down + held + up) * fps)) / fps
    closing = 0.5 + 0.5 * np.cos(np.pi * np.clip(t / down, 0, 1))
    opening = 0.5 - 0.5 * np.cos(np.pi * np.clip((t - down - held) / up, 0, 1))
    levels = np.where(t < down + held, closing, opening)
    levels[np.argmin(np.abs(t - down - held / 2))] = 0
    return _both(np.where(levels <= CLOSED, 0, levels))


def _wink(sampler: Sampler, fps: int) -> np.ndarray:
    levels = sampler.choice(_anime, _smooth)(sampler, fps)
    levels[:, sampler.choice(0, 1)] = 1
    return levels


def _half(sampler: Sampler, fps: int) -> np.ndarray:
    level = sampler.between(0.42, 0.65)
    return _both(np.full(round(sampler.between(0.2, 1.2) * fps), level))


def _closed(sampler: Sampler, fps: int) -> np.ndarray:
    return _both(np.zeros(round(sampler.between(1.0, 1.6) * fps)))


def _both(levels: np.ndarray) -> np.ndarray:
    return np.stack([levels, levels], 1).astype(float)


_LEVELS = {"anime": _anime, "smooth": _smooth, "wink": _wink, "half": _half, "closed": _closed}
