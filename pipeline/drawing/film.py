"""Films of drawn characters who blink, as real video files, with their truth.

A film has a few shots, each with one to three characters before a still, panning or zooming camera. Beside blinks
there is what resembles them: heads that sway, mouths that talk, winks, half-closed lids, and eyes that stay closed.
Two renderers draw the characters and what is behind them: `portrait` and `scenes`.
"""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np

from pipeline.drawing.acting import Character, Pose
from pipeline.drawing.blinking import CLOSED, plan_events
from pipeline.drawing.colors import any_color
from pipeline.drawing.portrait.actor import PORTRAITS
from pipeline.drawing.portrait.look import Box
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.actor import SCENES

VERSION = 3
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
RENDERERS = {PORTRAITS: 1, SCENES: 1}  # of each character and background -> weight
SCALES = {2: 2, 1: 1}  # in which a shot is painted, before it is reduced: 1 leaves hard lines
GAMMAS = {(1, 1): 3, (0.75, 1.3): 1}
TINTS = {(0, 0): 3, (0.05, 0.25): 1}  # share of a colour that lies over a shot
BLURS_PX = {(0, 0): 3, (0.4, 0.8): 1}
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


class _Actor(NamedTuple):
    character: Character
    center: tuple[float, float]  # px
    side: float  # px
    tilt: float  # degrees
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
    scale: int
    draw_background: Callable[[], np.ndarray]  # in px of the canvas
    finish: Callable[[np.ndarray], np.ndarray]
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
        draw = lru_cache(48)(partial(_draw, shot, shot.draw_background()))
        for t in range(shot.length):
            drawing_s = math.floor(t / fps * shot.drawings_per_s) / shot.drawings_per_s
            poses = tuple(_pose(actor, drawing_s, t) for actor in shot.actors)
            left, top, scale = shot.camera(t / shot.length)
            matrix = np.array([[scale, 0, -scale * left], [0, scale, -scale * top]])
            canvas = draw(poses)
            pixels = cv2.warpAffine(canvas, matrix, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
            faces = [_face(actor, pose, left, top, scale) for actor, pose in zip(shot.actors, poses, strict=True)]
            yield FilmFrame(number / fps, index, pixels, faces)
            number += 1


def _draw(shot: _Shot, background: np.ndarray, poses: tuple[Pose, ...]) -> np.ndarray:
    """Return the shot's canvas with its actors in these poses."""
    width, height = shot.canvas
    pixels = cv2.resize(background, (shot.scale * width, shot.scale * height), interpolation=cv2.INTER_CUBIC)
    for actor, pose in zip(shot.actors, poses, strict=True):
        actor.character.paint(pixels, shot.scale, pose)
    return shot.finish(cv2.resize(pixels, shot.canvas, interpolation=cv2.INTER_AREA))


def _pose(actor: _Actor, seconds: float, t: int) -> Pose:
    """Return the pose of an actor in the t-th frame, whose head is where it is at that time."""
    (x, y), tilt, speech = actor.center, actor.tilt, None
    if actor.motion != "still":
        turn = 2 * math.pi * seconds / actor.period
        x += actor.sway * actor.side * math.sin(turn + actor.phases[0])
        y += actor.sway / 2 * actor.side * math.sin(1.3 * turn + actor.phases[1])
        tilt += actor.lean * math.sin(0.8 * turn + actor.phases[2])
    if actor.talks[0] <= seconds < actor.talks[1]:
        speech = int(seconds * 8 * 0.99 + actor.phases[0]) % 4
    left, right = (round(float(level), 2) for level in actor.lids[t])
    return Pose((round(x, 2), round(y, 2)), round(tilt, 2), speech, (left, right))


def _face(actor: _Actor, pose: Pose, left: float, top: float, scale: float) -> FilmFace:
    def place(box: Box) -> Box:
        x0, y0, x1, y1 = box
        return scale * (x0 - left), scale * (y0 - top), scale * (x1 - left), scale * (y1 - top)

    square, left_eye, right_eye = map(place, actor.character.places(pose))
    return FilmFace(square, pose.tilt, left_eye, right_eye, pose.openness)


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
    return _Shot(
        length,
        canvas,
        camera,
        sampler.pick(DRAWINGS_PER_S),
        sampler.pick(SCALES),
        partial(sampler.pick(RENDERERS).background, key, canvas),
        _sample_finish(sampler),
        actors,
    )


def _sample_finish(sampler: Sampler) -> Callable[[np.ndarray], np.ndarray]:
    """Sample exposure, tint and sharpness of a shot; return what gives them to a picture, uint8 RGB."""
    gamma, share, blur = (sampler.from_ranges(ranges) for ranges in (GAMMAS, TINTS, BLURS_PX))
    levels = 255 * np.linspace(0, 1, 256)[:, None] ** gamma
    table = ((1 - share) * levels + share * np.array(any_color(sampler))).round().astype(np.uint8)[None]

    def finish(picture: np.ndarray) -> np.ndarray:
        return cv2.LUT(cv2.GaussianBlur(picture, (0, 0), blur) if blur else picture, table)

    return finish


def _plan_actor(
    sampler: Sampler, key: tuple[int, int], center: tuple[float, float], side: float, length: int, fps: int
) -> _Actor:
    side *= sampler.between(0.9, 1.1)
    character = sampler.pick(RENDERERS).sample(key, side)
    tilt = sampler.between(-14, 14)
    events = plan_events(sampler, length, fps)
    lids = np.full((length, 2), sampler.between(0.85, 1.0))
    for event in events:
        part = lids[event.start : event.start + len(event.levels)]
        part *= event.levels[: len(part)]
    blinks = [event.start + int((event.levels.max(1) <= CLOSED).argmax()) for event in events if event.blink]
    talk = sampler.between(0, length / fps)
    return _Actor(
        character,
        center,
        side,
        tilt,
        motion=sampler.pick(MOTIONS),
        phases=(sampler.between(0, 6), sampler.between(0, 6), sampler.between(0, 6)),
        sway=sampler.between(0.02, 0.12),
        lean=sampler.between(0, 6),
        period=sampler.between(1.8, 4),
        talks=(talk, talk + sampler.between(0.5, 2)) if sampler.chance(0.5) else (0, 0),
        lids=lids,
        blinks=blinks,
    )
