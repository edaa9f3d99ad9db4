"""An eye on its canvas: open, half closed, shut, laughing, or a simple symbol. `eyes` samples its shape and colours.

Within an eye u runs outwards and v down, in its widths and heights.
"""

from collections.abc import Callable

import numpy as np

from pipeline.drawing.canvas import vertical_ramp
from pipeline.drawing.colors import RGB, WHITE, mix, tone
from pipeline.drawing.portrait.face import LID_U
from pipeline.drawing.scenes.canvas import SceneCanvas
from pipeline.drawing.scenes.eyes import Eyes
from pipeline.drawing.shapes import brush, curve, ellipse

LID_TAPER = np.array([0.3, 0.8, 1, 1, 0.3])  # of a closed lid
WING_TAPER = np.array([0.2, 0.7, 0.9, 1, 1, 1, 1.1, 1, 0.8, 0])  # of an upper lid and its wing


class Eye:
    """One of a figure's two eyes on its canvas."""

    def __init__(self, canvas: SceneCanvas, eyes: Eyes, sign: int, skin_dark: RGB):
        """Take `sign` 1 for the eye on the picture's right, -1 for the other."""
        self.canvas, self.sampler, self.eyes = canvas, canvas.sampler, eyes
        self.sign, self.skin_dark = sign, skin_dark
        self.center = np.array([eyes.x[sign > 0], eyes.y + eyes.uneven * sign])
        self.width, self.height = eyes.width * eyes.shares[sign > 0], eyes.height

    def at(self, u, v) -> np.ndarray:
        """Convert (u, v) of the eye to the frame of the head, (N, 2)."""
        u, v = np.asarray(u, float), np.asarray(v, float)
        across = self.sign * self.width * u
        return self.center + np.stack([across, self.height * (v + self.eyes.slant * u)], 1)

    def lid(self, v) -> None:
        """Paint a closed lid through these heights at LID_U."""
        self.canvas.stroke(self.at(LID_U, v), LID_TAPER * self.eyes.lash_width, self.eyes.lash)


def _open(eye: Eye) -> None:
    eyes = eye.eyes
    open_eye(eye, eyes.openness * eyes.upper + (1 - eyes.openness) * 0.15, eyes.lower)


def _half_open(eye: Eye) -> None:
    eyes = eye.eyes
    open_eye(eye, eyes.openness * 0.15 * eyes.upper + (1 - eyes.openness) * 0.15, eyes.lower)


def open_eye(eye: Eye, upper_v: np.ndarray, lower_v: np.ndarray) -> None:
    """Paint an open eye whose lids have these heights at LID_U."""
    canvas, eyes = eye.canvas, eye.eyes
    upper, lower = (curve(eye.at(LID_U, v), steps=6) for v in (upper_v, lower_v))
    opening = np.concatenate([upper, lower[::-1]])
    canvas.fill(opening, eyes.sclera)
    within = canvas.mask(opening)
    _iris(eye, within)
    if eyes.has_lid_shade:
        shade = np.concatenate([upper, np.add(upper, (0, 0.2 * eye.height))[::-1]])
        canvas.fill(shade, tone(eyes.lash, 1.2), within, 0.35)
    _lights(eye, within)
    _lashes(eye, upper, lower, upper_v[-1])
    if eyes.is_outlined:
        canvas.line(opening, eyes.lash, 0.012)


def _iris(eye: Eye, within: np.ndarray) -> None:
    fill, eyes = eye.canvas.fill, eye.eyes
    (x, y), (rx, ry) = _iris_place(eye)
    if eyes.is_ringed:
        fill(ellipse(x, y, rx, ry), eyes.iris_deep, within)
    inner = 0.86 if eyes.is_ringed else 1
    disc = ellipse(x, y, inner * rx, inner * ry)
    fill(disc, vertical_ramp(disc, eyes.iris_deep, eyes.iris_light) if eyes.is_graded else eyes.iris, within)
    if eyes.is_aglow:
        fill(ellipse(x, y + 0.5 * ry, 0.6 * rx, 0.35 * ry), eyes.iris_light, within, 0.7)
    if eyes.pupil:
        fill(ellipse(x, y - 0.02 * ry, eyes.pupil * rx, eyes.pupil * 1.15 * ry), eyes.pupil_color, within)


def _lights(eye: Eye, within: np.ndarray) -> None:
    (x, y), (rx, ry) = _iris_place(eye)
    for dx, dy, radius in eye.eyes.lights:
        light = ellipse(x + dx * rx, y + dy * ry, radius * rx, 0.9 * radius * ry, 14)
        eye.canvas.fill(light, WHITE, within)


def _iris_place(eye: Eye) -> tuple[np.ndarray, np.ndarray]:
    """Return the iris's centre and radii."""
    size = np.array([eye.width, eye.height])
    return eye.center + size * eye.eyes.gaze + (0, 0.02 * eye.height), size * eye.eyes.iris_size


def lash_lines(eye: Eye, closed_v: np.ndarray) -> None:
    """Paint a closed eye by the lines of the open one, whose lids meet at these heights at LID_U."""
    lid = curve(eye.at(LID_U, closed_v), steps=6)
    _lashes(eye, lid, lid, closed_v[-1])


def _lashes(eye: Eye, upper: np.ndarray, lower: np.ndarray, outer_v: float) -> None:
    """Paint the lines on and above the lids, which are splines from the inner to the outer corner."""
    canvas, eyes, bold = eye.canvas, eye.eyes, eye.eyes.lash_width
    if eyes.has_lower_line:
        line = lower[len(lower) // 4 :: 4]
        canvas.stroke(line, (0, 0.35 * bold, 0.4 * bold, 0.2 * bold), eyes.lash, alpha=0.85)
    canvas.fill(_lash_line(eye, upper, outer_v), eyes.lash)
    for k in range(eyes.lashes):
        root = upper[-1 - 2 * k]
        tip = np.add(root, (0.29 * eye.sign * eyes.width, -0.05 - 0.01 * k))
        canvas.stroke((root, tip), (0.5 * bold, 0), eyes.lash)
    if eyes.has_crease:
        crease = upper[4:-4:4] - (0, 0.14 * eye.height)
        canvas.stroke(crease, (0, 0.3 * bold, 0.3 * bold, 0), mix(eye.skin_dark, eyes.lash, 0.5))


def _lash_line(eye: Eye, upper: np.ndarray, outer_v: float) -> np.ndarray:
    """Return the outline of the line on the upper lid, which ends in a wing beyond the outer corner."""
    u, v = eye.eyes.wing
    wing = eye.at([0.5 + u], [outer_v + v])
    return brush(np.concatenate([upper[::4], wing]), WING_TAPER * eye.eyes.lash_width)


def open_outline(eye: Eye) -> np.ndarray:
    """Return points of the frame, (N, 2), whose hull is the outline of the wide open eye with its lash line."""
    upper, lower = (curve(eye.at(LID_U, v), steps=6) for v in (eye.eyes.upper, eye.eyes.lower))
    return np.concatenate([_lash_line(eye, upper, eye.eyes.upper[-1]), lower])


def _laughing(eye: Eye) -> None:
    eye.lid(np.array([0.15, -0.15, -0.27, -0.15, 0.15]) + eye.eyes.shut_v)


def _shut(eye: Eye) -> None:
    eye.lid(np.array([0.05, 0.25, 0.33, 0.27, 0.08]) + eye.eyes.shut_v)
    if eye.sampler.chance(0.5):
        (corner,) = eye.at([0.5], [0.08 + eye.eyes.shut_v])
        for k in range(eye.sampler.integer(1, 4)):
            root = corner - (eye.sign * 0.05 * k, -0.01 * k)
            tip = np.add(corner, (eye.sign * (0.05 - 0.03 * k), 0.05))
            eye.canvas.stroke((root, tip), (0.6 * eye.eyes.lash_width, 0), eye.eyes.lash)


def _squeezed(eye: Eye) -> None:
    """Paint > or <."""
    u = eye.sampler.choice((-0.35, 0.3, -0.35), (0.4, -0.3, 0.4))
    eye.canvas.line(eye.at(u, (-0.3, 0, 0.3)), eye.eyes.lash, 1.6 * eye.eyes.lash_width, closed=False)


def _line(eye: Eye) -> None:
    eye.lid(np.full(5, 0.05))


def _dot(eye: Eye) -> None:
    canvas, eyes = eye.canvas, eye.eyes
    x, y = eye.center
    rx, ry = eyes.dot * eye.width, eyes.dot * eye.height
    canvas.fill(ellipse(x, y, rx, 1.3 * ry), eyes.lash)
    if eyes.dot_is_lit:
        canvas.fill(ellipse(x - 0.3 * rx, y - 0.5 * ry, 0.35 * rx, 0.35 * rx), WHITE)
    if eyes.dot_has_lid:
        eye.lid(0.9 * eyes.upper)


SHUT: dict[Callable[[Eye], None], float] = {_shut: 1.5, _laughing: 1.3, _squeezed: 0.4, _line: 0.4}  # -> weight

KINDS: dict[Callable[[Eye], None], float] = {  # -> weight
    _open: 13,
    _laughing: 1.3,
    _shut: 1.5,
    _half_open: 1.2,
    _dot: 1.2,
    _squeezed: 0.4,
    _line: 0.4,
}


def paint_eyes(canvas: SceneCanvas, eyes: Eyes, skin_dark: RGB) -> None:
    """Paint both eyes, of one kind except for a few winks."""
    sampler = canvas.sampler
    kinds = [sampler.pick(KINDS)] * 2
    if sampler.chance(0.05):
        kinds[sampler.integer(0, 2)] = sampler.choice(_laughing, _shut, _squeezed)
    for sign, kind in zip((-1, 1), kinds, strict=True):
        kind(Eye(canvas, eyes, sign, skin_dark))
