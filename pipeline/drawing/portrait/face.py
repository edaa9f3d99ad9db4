"""Head and face: skin, eyes, brows, mouth. Coordinates are those of the head's frame."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pipeline.drawing.canvas import CHIN, Canvas, Ramp
from pipeline.drawing.colors import WHITE, mix, tone
from pipeline.drawing.landmarks import hull
from pipeline.drawing.portrait.figure import Figure, head_frame
from pipeline.drawing.portrait.hair import bangs
from pipeline.drawing.portrait.look import Box, Look
from pipeline.drawing.shapes import brush, curve, ellipse, symmetric

# Half outlines run from the middle of the top over the picture's right side to that of the bottom; `symmetric`
# mirrors them.
# SKULL and CHEEK are one outline, of the head; DOME is the outer edge of the hair over it.
SKULL = ((0, -0.8), (0.24, -0.8), (0.4, -0.6), (0.47, -0.3), (0.47, -0.02))

CHEEK = ((0.44, 0.16), (0.36, 0.34), (0.22, 0.49), (0.09, 0.58), (0, 0.6))

# Eyes, in widths (u, outwards) and heights (v, down) of the eye: v of the lids at LID_U.
LID_U = (-0.5, -0.28, 0, 0.28, 0.5)

EYES = {  # width, height, upper lid, lower lid
    "round": (0.285, 0.29, (0.02, -0.40, -0.5, -0.42, -0.04), (0.10, 0.42, 0.5, 0.46, 0.10)),
    "tall": (0.255, 0.32, (0.0, -0.40, -0.5, -0.43, -0.08), (0.12, 0.44, 0.5, 0.46, 0.06)),
    "sharp": (0.30, 0.255, (0.16, -0.28, -0.48, -0.5, -0.28), (0.24, 0.46, 0.5, 0.38, -0.08)),
    "droopy": (0.295, 0.26, (-0.06, -0.45, -0.5, -0.34, 0.10), (0.06, 0.38, 0.5, 0.5, 0.24)),
}

EYE_X, EYE_Y = 0.225, 0.045  # centre of the picture's right eye
MOUTH_Y = 0.395  # middle of the mouths

BROWS = {  # y at u = -0.5 (inner) .. 0.5, in eye widths over the brow's place
    "arched": (0.04, -0.05, -0.08, -0.05, 0.06),
    "straight": (0.0, -0.02, -0.03, -0.02, 0.02),
    "raised": (-0.02, -0.16, -0.22, -0.18, -0.04),
    "worried": (-0.12, -0.10, -0.05, 0.02, 0.12),
    "stern": (0.12, 0.03, -0.05, -0.10, -0.08),
}


def jaw_line(look: Look) -> np.ndarray:
    """Return the right half of the head's outline, (N, 2), from the top of the skull to the chin."""
    narrow = 1 - 0.06 * (1 - look.jaw) * np.array([0.3, 1, 1.6, 1, 1])
    cheek = np.array(CHEEK) * np.stack([narrow, np.ones(5)], 1)
    return curve(np.concatenate([SKULL, cheek]))


def head(f: Figure) -> None:
    """Paint skin, ears, and the shadow of the hair on the forehead."""
    look = f.look
    if look.ears:
        for sign in (-1, 1):
            ear = curve(
                np.multiply(((0.44, -0.06), (0.51, -0.11), (0.555, -0.04), (0.52, 0.1), (0.44, 0.15)), (sign, 1)),
                closed=True,
            )
            f.paint(ear, look.skin)
            f.stroke(np.multiply(((0.475, -0.03), (0.515, -0.05), (0.5, 0.06)), (sign, 1)), (0, 0.008, 0), f.skin_dark)
    outline = symmetric(jaw_line(look))
    f.paint(outline, look.skin)
    within = f.mask(outline)
    if not f.icon:
        shade = np.concatenate([np.add(bangs(f), (0.015, 0.055)), [(1, -1), (-1, -1)]])
        f.fill(shade, f.skin_dark, within, soft=0.012 if look.shading == "soft" else 0)
    f.line(outline, f.ink if look.line else f.skin_dark, look.line or 0.012)
    blush(f)


def blush(f: Figure) -> None:
    """Paint the blush on both cheeks."""
    color = mix(f.look.skin, (244, 96, 104), 0.5)
    for sign in (-1, 1):
        x = sign * 0.29 + 0.3 * f.look.turn
        if f.look.blush == "soft":
            f.fill(ellipse(x, 0.265, 0.085, 0.045), color, alpha=0.8, soft=0.03)
        elif f.look.blush == "lines":
            for k in (-1, 0, 1):
                f.stroke(((x + 0.045 * k + 0.02, 0.24), (x + 0.045 * k - 0.015, 0.285)), (0.007, 0.007), color)


def features(f: Figure) -> None:
    """Paint eyes, nose and mouth."""
    for sign in (-1, 1):
        (icon_eye if f.icon else eye)(f, sign)
    x, nose_ink = f.look.turn, mix(f.skin_dark, f.ink, 0.45)
    f.stroke(((x - 0.004, 0.235), (x + 0.012, 0.267), (x - 0.006, 0.273)), (0.002, 0.008, 0.002), nose_ink)
    MOUTHS[f.look.mouth](f, 0.8 * x)


class Eye(NamedTuple):
    """One eye's places in the head's frame."""

    center: np.ndarray
    size: np.ndarray  # width, height; width is negative where the outer corner is on the left
    upper: np.ndarray  # the lids, from the inner to the outer corner
    lower: np.ndarray


def eye_shape(look: Look, sign: int, openness: float) -> Eye:
    """Return the eye on the right (sign 1) or left (-1) of the picture."""
    width, height, upper, lower = EYES[look.eye]
    foreshortened = 1 - 0.9 * max(0, sign * look.turn)  # the far eye of a turned face
    stretch = np.array(look.eye_stretch) * look.eye_size
    size = stretch * (sign * width * foreshortened, height)
    center = np.array([sign * EYE_X + look.turn, EYE_Y])
    heights = (openness * np.array(lid) + (1 - openness) * np.array(look.closed_lid) for lid in (upper, lower))
    lids = [curve(center + size * np.stack([LID_U, y], 1)) for y in heights]
    return Eye(center, size, *lids)


def lash(eye: Eye, openness: float, half_width: float) -> np.ndarray:
    """Return the outline of the upper lashes: a stroke along the lid that ends in a wing beyond the outer corner."""
    wing = eye.upper[-1] + eye.size * (0.09, 0.07 - 0.13 * openness)
    return brush(
        np.concatenate([eye.upper[::4], [wing]]), np.array([0.2, 0.6, 0.8, 0.9, 1, 1, 1.1, 1.1, 0.9, 0]) * half_width
    )


def eye_outlines(look: Look) -> tuple[np.ndarray, np.ndarray]:
    """Return the convex outlines of the open eyes on the picture's left and right, lashes included, (N, 2) px."""
    left, right = (_eye_points(look, sign) for sign in (-1, 1))
    return hull(left), hull(right)


def eye_boxes(look: Look) -> tuple[Box, Box]:
    """Return the boxes of the open eyes on the picture's left and right, lashes included, px."""
    boxes: list[Box] = []
    for sign in (-1, 1):
        points = _eye_points(look, sign)
        (x0, y0), (x1, y1) = points.min(0).tolist(), points.max(0).tolist()
        boxes.append((x0, y0, x1, y1))
    return boxes[0], boxes[1]


def _eye_points(look: Look, sign: int) -> np.ndarray:
    eye = eye_shape(look, sign, 1)
    return _frame(look).place(np.concatenate([lash(eye, 1, look.lash_width), eye.lower]))


def _frame(look: Look) -> Canvas:
    """Return the head's frame in a picture of the look's size."""
    return Canvas(np.empty((0, 0, 3), np.uint8), *head_frame(look, 1))


def mouth_and_chin(look: Look) -> np.ndarray:
    """Return the mouth's middle and the chin's tip, (2, 2) px."""
    return _frame(look).place([(0.8 * look.turn, MOUTH_Y), (0, CHIN)])


def eye(f: Figure, sign: int) -> None:
    """Paint the eye on the right (sign 1) or left (-1) of the picture."""
    look, openness = f.look, f.look.openness_of(sign)
    e = eye_shape(look, sign, openness)
    dark = look.lash or mix(f.ink, (30, 16, 28), 0.5)
    if openness > 0.03:
        opening = np.concatenate([e.upper, e.lower[::-1]])
        f.fill(opening, (252, 250, 252))
        iris(f, e, f.mask(opening))
        f.stroke(e.lower[len(e.lower) // 3 :: 4], (0.002, 0.006, 0.008, 0.004), dark, alpha=0.8)
    f.fill(lash(e, openness, look.lash_width), dark)
    corner = e.upper[-1]
    for k in (0, 1):
        root = corner + e.size * (-0.05 - 0.1 * k, -0.03 - 0.06 * k)
        f.stroke((root, root + e.size * (0.12, -0.06 - 0.03 * k)), (0.013, 0), dark)
    crease = e.upper[6:-6:4] + np.abs(e.size) * (0, -0.13)
    f.stroke(crease, (0, 0.006, 0.007, 0), mix(f.skin_dark, f.ink, 0.5))


def iris(f: Figure, e: Eye, within: np.ndarray) -> None:
    """Paint the iris, the shadow of the upper lid and two highlights."""
    color = f.look.iris
    x, y = e.center + e.size * (-0.03, 0.03)
    rx, ry = 0.33 * abs(e.size[0]), 0.47 * e.size[1]
    deep, light = tone(color, 0.42, 1.2), mix(tone(color, 1.25, 0.9), WHITE, 0.25)
    f.fill(ellipse(x, y, rx, ry), tone(color, 0.35, 1.2), within)
    if f.look.has_flat_iris:
        f.fill(ellipse(x, y, 0.88 * rx, 0.9 * ry), color, within)
    else:
        f.fill(ellipse(x, y, 0.88 * rx, 0.9 * ry), Ramp((x, y - 0.7 * ry), (x, y + 0.9 * ry), (deep, light)), within)
        f.fill(ellipse(x, y + 0.5 * ry, 0.6 * rx, 0.32 * ry), light, within, 0.6)
    f.fill(ellipse(x, y - 0.04 * ry, 0.4 * rx, 0.46 * ry), tone(color, 0.2, 1.2), within)
    lid = np.concatenate([e.upper, (e.upper + np.abs(e.size) * (0, 0.17))[::-1]])
    f.fill(lid, (40, 30, 60), within, 0.35)
    if f.look.lights > 0:
        f.fill(ellipse(x - 0.36 * rx, y - 0.42 * ry, 0.36 * rx, 0.26 * ry, 20), WHITE, within)
    if f.look.lights > 1:
        f.fill(ellipse(x + 0.42 * rx, y + 0.45 * ry, 0.18 * rx, 0.14 * ry, 16), WHITE, within)


def icon_eye(f: Figure, sign: int) -> None:
    """Paint an icon's eye: a dark oval with one highlight, or a line when it is closed."""
    openness = f.look.openness_of(sign)
    e = eye_shape(f.look, sign, openness)
    rx, ry = 0.3 * abs(e.size[0]), 0.46 * e.size[1] * openness
    if ry < 0.02:
        f.line(e.lower, f.ink, f.look.line, closed=False)
        return
    x, y = e.center
    y += 0.2 * e.size[1] * (1 - openness)
    f.fill(ellipse(x, y, rx, ry), f.ink)
    f.fill(ellipse(x, y + 0.4 * ry, 0.62 * rx, 0.42 * ry), f.look.iris)
    f.fill(ellipse(x - 0.25 * rx, y - 0.42 * ry, 0.4 * rx, 0.28 * ry), WHITE)


def brows(f: Figure) -> None:
    """Paint the brows over the bangs, slightly transparent, as is usual in anime."""
    shape = np.array(BROWS[f.look.brow])
    color = f.ink if f.icon else tone(f.look.hair, 0.5, 1.2, 0.02)
    for sign in (-1, 1):
        x = sign * (EYE_X + 0.01) + f.look.turn
        points = np.stack([x + sign * 0.21 * np.array(LID_U), -0.255 + 0.21 * shape], 1)
        f.stroke(points, (0.008, 0.016, 0.014, 0.002) if not f.icon else (0.5 * f.look.line,) * 2, color, alpha=0.85)


def _smile(f: Figure, x: float) -> None:
    f.stroke(
        ((x - 0.085, 0.37), (x - 0.045, 0.395), (x, 0.402), (x + 0.045, 0.395), (x + 0.085, 0.37)), _lips(f), f.ink
    )


def _neutral(f: Figure, x: float) -> None:
    f.stroke(((x - 0.05, 0.39), (x, 0.387), (x + 0.05, 0.39)), _lips(f), f.ink)


def _frown(f: Figure, x: float) -> None:
    f.stroke(((x - 0.06, 0.405), (x, 0.383), (x + 0.06, 0.405)), _lips(f), f.ink)


def _cat(f: Figure, x: float) -> None:
    for sign in (-1, 1):
        f.stroke(
            ((x, 0.38), (x + 0.03 * sign, 0.405), (x + 0.065 * sign, 0.397), (x + 0.085 * sign, 0.367)), _lips(f), f.ink
        )


def _open(f: Figure, x: float) -> None:
    upper = curve(((x - 0.09, 0.363), (x, 0.377), (x + 0.09, 0.363)))
    outline = np.concatenate(
        [upper, curve(((x + 0.09, 0.363), (x + 0.06, 0.435), (x, 0.463), (x - 0.06, 0.435), (x - 0.09, 0.363)))]
    )
    f.fill(outline, (150, 52, 60))
    f.fill(ellipse(x, 0.455, 0.055, 0.04), (232, 122, 122), f.mask(outline))
    f.line(outline, f.ink, max(0.009, 0.8 * f.look.line))


def _round(f: Figure, x: float) -> None:
    f.fill(ellipse(x, 0.4, 0.038, 0.045), (160, 60, 66))
    f.line(ellipse(x, 0.4, 0.038, 0.045), f.ink, max(0.009, 0.8 * f.look.line))


def _lips(f: Figure) -> tuple[float, ...]:
    """Return half widths along a closed mouth."""
    return (0.5 * f.look.line,) * 2 if f.icon else (0.002, 0.007, 0.008, 0.007, 0.002)


MOUTHS: dict[str, Callable[[Figure, float], None]] = {
    "smile": _smile,
    "open": _open,
    "neutral": _neutral,
    "cat": _cat,
    "round": _round,
    "frown": _frown,
}
