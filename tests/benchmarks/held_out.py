"""Drawn pictures that no detector learned from, busy with what is no face, and the difficulty of each face in them.

Three sets: `scenes` has the people and the clutter of `drawing.scenes`, which the network learned from other seeds;
`portraits` has those of `drawing.portrait` among patterns and things that it never learned from; `styles` has people of
both, in the treatments, in the light and behind the things of `held_back`, of which it never learned any.
`tests.tools.choose_threshold` chooses thresholds and probabilities by `styles` and `portraits`.
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.drawing.acting import Pose, Renderer
from pipeline.drawing.colors import RGB, WHITE, any_color, skin_color, thing_ink, tone
from pipeline.drawing.portrait.actor import PORTRAITS
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.actor import SCENES
from pipeline.drawing.scenes.canvas import SceneCanvas, Spot
from pipeline.drawing.scenes.clutter import CLUTTER, clutter
from pipeline.drawing.scenes.compose import ShownFace, paint_over
from pipeline.drawing.scenes.ground import ground
from pipeline.drawing.scenes.person import back_view, blank_face, chibi, grown_up, half_profile
from pipeline.drawing.scenes.postprocess import TREATMENTS, add_light, identity
from pipeline.drawing.scenes.profile import profile
from pipeline.drawing.scenes.things import hand
from pipeline.drawing.shapes import curve, direction, ellipse
from pipeline.faces.boxes import Face, face_at
from tests.benchmarks import held_back

SIZE = 512  # px
PEOPLE = {0: 3, 1: 3, 2: 3, 3: 1}  # with a face -> weight
SIDES = {(50.0, 80.0): 2, (80.0, 140.0): 2, (140.0, 220.0): 1}  # px -> weight
TILTS = {(-15.0, 15.0): 6, (-60.0, 60.0): 3, (-180.0, 180.0): 2}  # degrees -> weight
PROFILES, COVERED, TREATED = 0.15, 0.2, 0.5  # shares
MAX_TRIES = 20
MAX_HIDDEN = 0.4  # share of a face's middle beyond which it need not be found
MIN_COVERED = 0.1  # share of a face's middle from which it counts as covered

Thing = Callable[[SceneCanvas, np.ndarray, float], None]  # paint one round a centre, (2,), of this size, px


class Known(NamedTuple):
    """A face, and what makes it easy or difficult."""

    face: Face
    size: str
    tilt: str
    view: str
    occlusion: str
    style: str


class Picture(NamedTuple):
    """One that is held out."""

    pixels: np.ndarray
    faces: list[Known]
    unclear: list[Face]
    """Hidden for the most part: neither to be found nor false."""


class Kind(NamedTuple):
    """One set."""

    renderer: Renderer
    """Of the people in front view."""
    ground: Callable[[Sampler], np.ndarray]
    clutter: Callable[[SceneCanvas], None]
    """Paint one group of things."""
    views: dict[str, float]
    """Of VIEWS -> weight; what is left to 1 is front."""
    held: tuple[Thing, ...]
    """Things that cover a part of a face."""
    finish: Callable[[Sampler, np.ndarray], tuple[np.ndarray, str]]
    """The painted picture -> it in its light and treatment, and the name of the latter."""


def draw(kind: str, seed: int, i: int) -> Picture:
    """Draw the i-th picture of a seed, of one of KINDS."""
    sampler = Sampler(np.random.default_rng((seed, i, list(KINDS).index(kind))))
    of = KINDS[kind]
    canvas = SceneCanvas(of.ground(sampler), sampler)
    for _ in range(sampler.integer(2, 14)):
        of.clutter(canvas)
    shown: list[ShownFace] = []
    views: list[str] = []
    for k in range(sampler.pick(PEOPLE) + 1):
        spot = _free_spot(sampler, [one.spot for one in shown])
        if spot is None:
            continue
        if k == 0:  # somebody without a face
            if sampler.chance(0.6):
                sampler.choice(back_view, blank_face)(canvas, spot)
                shown.append(ShownFace(spot, SIZE, 1.0))
                views.append("none")
            continue
        views.append(_view(sampler, of.views))
        found = paint_over(canvas, shown, _person, of.renderer, views[-1], spot, (seed, 8 * i + k))
        shown.append(ShownFace(found, SIZE, 0.0))
        if sampler.chance(COVERED):
            paint_over(canvas, shown, _cover, shown[-1].spot, of.held)
    pixels, style = of.finish(sampler, canvas.pixels)
    seen = [(one, view) for one, view in zip(shown, views, strict=True) if view != "none"]
    clear = [_known(one, view, style) for one, view in seen if one.hidden < MAX_HIDDEN]
    unclear = [_face(one.spot) for one, _ in seen if one.hidden >= MAX_HIDDEN]
    return Picture(np.ascontiguousarray(pixels), clear, unclear)


def _view(sampler: Sampler, views: dict[str, float]) -> str:
    for view, share in views.items():
        if sampler.chance(share):
            return view
    return "front"


def _treated(sampler: Sampler, picture: np.ndarray) -> tuple[np.ndarray, str]:
    treat = sampler.pick(TREATMENTS) if sampler.chance(TREATED) else identity
    style = "as painted" if treat is identity else treat.__name__.replace("_", " ")
    return treat(sampler, add_light(sampler, picture)), style


def _held_back(sampler: Sampler, picture: np.ndarray) -> tuple[np.ndarray, str]:
    """Apply a treatment, a light, or both, that are held back."""
    effects = sampler.choice(held_back.TREATMENTS, held_back.LIGHTS)
    effect = sampler.choice(*effects)
    if effects is held_back.LIGHTS and sampler.chance(0.3):
        picture = sampler.choice(*held_back.TREATMENTS)(sampler, picture)
    return effect(sampler, picture), effect.__name__.replace("_", " ")


def _free_spot(sampler: Sampler, taken: list[Spot]) -> Spot | None:
    for _ in range(MAX_TRIES):
        side = sampler.from_ranges(SIDES)
        x, y = sampler.point(0.7 * side, SIZE - 0.7 * side).tolist()
        if all(np.hypot(x - other.x, y - other.y) > 0.95 * (side + other.side) for other in taken):
            return Spot(x, y, side, sampler.from_ranges(TILTS))
    return None


def _person(canvas: SceneCanvas, renderer: Renderer, view: str, spot: Spot, key: tuple[int, int]) -> Spot:
    if view in VIEWS:
        return VIEWS[view](canvas, spot)
    actor, openness = renderer.sample(key, spot.side), canvas.sampler.pick({1.0: 8, 0.0: 1})
    pose = Pose((spot.x, spot.y), spot.tilt, None, (openness, openness))
    actor.paint(canvas.pixels, 1, pose)
    x0, y0, x1, y1 = actor.places(pose).box
    return Spot((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, spot.tilt)


def _cover(canvas: SceneCanvas, spot: Spot, things: tuple[Thing, ...]) -> None:
    """Paint a hand or a thing over a part of the face."""
    sampler = canvas.sampler
    center = np.array((spot.x, spot.y)) + sampler.normal(0.25 * spot.side, 2)
    if sampler.chance(0.5):
        size = spot.side * sampler.between(0.12, 0.22)
        hand(canvas, center, size, sampler.between(0, 360), skin_color(sampler), thing_ink(sampler), 2)
    else:
        sampler.choice(*things)(canvas, center, spot.side * sampler.between(0.15, 0.3))


def _face(spot: Spot) -> Face:
    return face_at(spot.x, spot.y, spot.side, spot.tilt, 1.0)


def _known(one: ShownFace, view: str, style: str) -> Known:
    face = _face(one.spot)
    return Known(
        face,
        size="< 80 px" if one.spot.side < 80 else "80 to 140 px" if one.spot.side < 140 else "> 140 px",
        tilt="to 20°" if abs(face.tilt) <= 20 else "20 to 60°" if abs(face.tilt) <= 60 else "> 60°",
        view=view,
        occlusion="covered" if one.hidden >= MIN_COVERED else "clear",
        style=style,
    )


def pattern(sampler: Sampler) -> np.ndarray:
    """Return a ground of dots, checks, plaid, scales or screentone, (SIZE, SIZE, 3)."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    turn, pitch = sampler.between(0, np.pi), sampler.from_ranges({(4.0, 12.0): 1, (16.0, 70.0): 2})
    u, v = (x * np.cos(turn) + y * np.sin(turn)) / pitch, (y * np.cos(turn) - x * np.sin(turn)) / pitch
    in_cell = np.hypot(u % 1 - 0.5, v % 1 - 0.5)
    share = sampler.choice(
        in_cell < sampler.between(0.15, 0.45),
        (np.floor(u) + np.floor(v)) % 2,
        ((u % 1 < 0.4) + 0.0 + (v % 1 < 0.4)) / 2,
        np.hypot(u % 1 - 0.5, (v + np.floor(u) / 2) % 1) % 0.2 < 0.1,
        in_cell < 0.7 * y / SIZE,  # dots that grow downwards
    )
    first, second = (np.array(any_color(sampler), np.float32) for _ in range(2))
    return np.rint(first + np.float32(share)[..., None] * (second - first)).astype(np.uint8)


def clock(canvas: SceneCanvas, center: np.ndarray, size: float) -> None:
    """Paint a clock."""
    (x, y), ink, sampler = center, thing_ink(canvas.sampler), canvas.sampler
    canvas.shape(ellipse(x, y, size, size), sampler.choice(WHITE, any_color(sampler)), ink, 3)
    for hour in range(12):
        at = center + 0.85 * size * direction(30 * hour)
        canvas.fill(ellipse(*at, 0.06 * size, 0.06 * size, 8), ink)
    for length in (0.45, 0.7):
        canvas.line([center, center + length * size * direction(sampler.between(0, 360))], ink, 3, closed=False)


def bubble(canvas: SceneCanvas, center: np.ndarray, size: float) -> None:
    """Paint a speech bubble with lines of strokes."""
    (x, y), ink, sampler = center, thing_ink(canvas.sampler), canvas.sampler
    canvas.shape(ellipse(x, y, 1.2 * size, size), WHITE, ink, 2)
    for column in np.linspace(-0.6, 0.6, sampler.integer(2, 5)):
        for row in np.arange(-0.6, 0.6, 0.2):
            start = center + size * np.array((column, row))
            for _ in range(3):
                end = start + 0.16 * size * direction(sampler.choice(0, 90, 45, 135))
                canvas.line([start, end], ink, max(1, 0.03 * size), closed=False)


def button(canvas: SceneCanvas, center: np.ndarray, size: float) -> None:
    """Paint a row of buttons, or sockets, of two or four holes."""
    sampler, ink, color = canvas.sampler, thing_ink(canvas.sampler), any_color(canvas.sampler)
    along, holes, size = direction(sampler.between(0, 360)), sampler.choice(2, 4), 0.5 * size
    for k in range(sampler.integer(1, 5)):
        at = center + 2.4 * k * size * along
        canvas.shape(ellipse(*at, size, size), color, ink, 2)
        for hole in range(holes):
            canvas.fill(ellipse(*(at + 0.4 * size * direction(360 * hole / holes)), 0.14 * size, 0.14 * size, 10), ink)


def bow(canvas: SceneCanvas, center: np.ndarray, size: float) -> None:
    """Paint a ribbon's bow."""
    sampler, ink, color = canvas.sampler, thing_ink(canvas.sampler), any_color(canvas.sampler)
    along = size * direction(sampler.between(0, 180))
    across = np.array((-along[1], along[0]))
    for side in (-1, 1):
        wing = [center, center + side * along + 0.6 * across, center + side * 0.9 * along - 0.6 * across]
        canvas.shape(curve(wing, closed=True), color, ink, 2)
        tail = [center, center + side * 0.5 * along + 1.4 * across, center + 0.9 * across]
        canvas.shape(tail, tone(color, 0.8), ink, 2)
    canvas.shape(ellipse(*center, 0.2 * size, 0.2 * size), tone(color, 0.9), ink, 2)


def mug(canvas: SceneCanvas, center: np.ndarray, size: float) -> None:
    """Paint a mug."""
    (x, y), ink, color = center, thing_ink(canvas.sampler), any_color(canvas.sampler)
    canvas.line(ellipse(x + 0.8 * size, y, 0.45 * size, 0.45 * size), ink, 0.12 * size)
    body = [(x - 0.8 * size, y - 0.8 * size), (x + 0.8 * size, y - 0.8 * size), (x + 0.65 * size, y + size)]
    canvas.shape([*body, (x - 0.65 * size, y + size)], color, ink, 3)
    canvas.shape(ellipse(x, y - 0.8 * size, 0.8 * size, 0.22 * size), tone(color, 0.6), ink, 2)


def car(canvas: SceneCanvas, center: np.ndarray, size: float) -> None:
    """Paint the front of a car: two lamps, a grille, a screen."""
    sampler, ink, color = canvas.sampler, thing_ink(canvas.sampler), any_color(canvas.sampler)

    def box(x0: float, y0: float, x1: float, y1: float, paint: RGB) -> None:
        canvas.shape(center + size * np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]), paint, ink, 2)

    box(-0.8, -0.9, 0.8, -0.1, tone(color, 0.8))
    box(-0.65, -0.8, 0.65, -0.25, sampler.choice((190, 220, 235), (60, 60, 80)))
    box(-1.1, -0.1, 1.1, 0.6, color)
    box(-0.4, 0.1, 0.4, 0.4, tone(color, 0.4))
    for side in (-1, 1):
        canvas.shape(ellipse(*(center + size * np.array((0.75 * side, 0.2))), 0.2 * size, 0.2 * size), WHITE, ink, 2)
        box(0.8 * side - 0.2, 0.6, 0.8 * side + 0.2, 0.9, (30, 30, 30))


def text(canvas: SceneCanvas, center: np.ndarray, size: float) -> None:
    """Write two lines of letters."""
    sampler, color = canvas.sampler, any_color(canvas.sampler)
    for line in range(2):
        word = bytes(sampler.rng.integers(65, 91, sampler.integer(3, 9), np.uint8)).decode("ascii")
        at = int(center[0] - 2 * size), int(center[1] + 0.8 * line * size)
        font, thick = sampler.integer(0, 8), sampler.integer(1, 6)
        cv2.putText(canvas.pixels, word, at, font, size / 45, color, thick, cv2.LINE_AA)


def fist(canvas: SceneCanvas, center: np.ndarray, size: float) -> None:
    """Paint a fist: a palm and four knuckles."""
    sampler, ink, skin = canvas.sampler, thing_ink(canvas.sampler), skin_color(canvas.sampler)
    along = 0.42 * size * direction(sampler.between(0, 360))
    across = np.array((-along[1], along[0]))
    corners = ((-1, -1), (1, -1), (1, 2), (-1, 2))
    palm = curve([center + s * 2 * along + t * across * 1.6 for s, t in corners], closed=True)
    canvas.shape(palm, skin, ink, 2)
    for k in range(4):
        canvas.shape(ellipse(*(center + (k - 1.5) * along - across), 0.24 * size, 0.34 * size), skin, ink, 2)


THINGS: tuple[Thing, ...] = (clock, bubble, button, bow, mug, car, text, fist)


def _thing(canvas: SceneCanvas) -> None:
    sampler = canvas.sampler
    sampler.choice(*THINGS)(canvas, sampler.point(0, SIZE), sampler.between(20, 80))


VIEWS = {"profile": profile, "half profile": half_profile, "chibi": chibi, "grown-up": grown_up}

BEFORE_FACES = (mug, bow, bubble)
KINDS = {
    "scenes": Kind(
        SCENES,
        lambda sampler: ground(sampler, SIZE),
        lambda canvas: clutter(canvas, CLUTTER),
        {"profile": PROFILES},
        BEFORE_FACES,
        _treated,
    ),
    "portraits": Kind(PORTRAITS, pattern, _thing, {}, BEFORE_FACES, _treated),
    "styles": Kind(
        PORTRAITS,
        lambda sampler: sampler.choice(pattern, lambda s: sampler.choice(*held_back.GROUNDS)(s, SIZE))(sampler),
        _thing,
        {"profile": 0.08, "half profile": 0.12, "chibi": 0.12, "grown-up": 0.12},
        held_back.HELD,
        _held_back,
    ),
}
