"""Drawn heads whose hair has a colour that is known, of strong variation: what `hair_color`'s network learned from.

A head is drawn with grey hair and with purple, which tells where hair is and how light or dark each place of it is
beside its own colour, and before black and before white, which tells where the figure ends. Then it gets hair of many
colours, each with shadows, highlights, grades and light by lot, under hats and ribbons, on other grounds.
"""

import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.drawing.portrait import render as paint
from pipeline.drawing.portrait.look import Look, sample
from pipeline.faces.boxes import Face
from pipeline.faces.crop import crop
from pipeline.hair.color_names import any_color, color_of, shares, to_lab, to_rgb
from pipeline.hair.color_network import CELLS, PATCH
from pipeline.manifest import HAIR_COLORS
from pipeline.parallel import map_items
from pipeline.progress import Progress

VERSION = 5
"""Raise it when the same (seed, i) gives other lessons."""
COLORINGS = 8  # of each head
SIDE = 70  # px: of a face as it is drawn for a patch
GREY, TINTED = (150, 150, 150), (150, 60, 150)  # hair's two colours, which differ in green alone
NONE = np.eye(len(HAIR_COLORS) + 1)[-1]


class Head(NamedTuple):
    """A drawn head, cropped as the hair tagger does it, split into layers that can be recoloured."""

    picture: np.ndarray
    """(PATCH, PATCH, 3) float, 0..1: with grey hair."""
    light: np.ndarray
    """(PATCH, PATCH): how light the hair is there, beside its own colour: 1."""
    hair: np.ndarray
    """(PATCH, PATCH), 0..1: how much of each place is hair."""
    ground: np.ndarray
    """(PATCH, PATCH), 0..1: how much of each place is behind all of the figure."""


class TrainingPatch(NamedTuple):
    """A patch and its labels."""

    picture: np.ndarray
    """(PATCH, PATCH, 3) uint8, RGB."""
    hair: np.ndarray
    """(CELLS, CELLS) uint8: how much of each cell is hair, 0..255."""
    shares: np.ndarray
    """(10,) float: the nine names', and that of none."""


def draw_all(seed: int, count: int, out: Path, *, style: str = "character", jobs: int = 0) -> None:
    """Write pictures.npy, hair.npy and shares.npy into `out`: `count` lessons, stacked."""
    heads = -(-count // COLORINGS)
    pictures = np.empty((heads, COLORINGS, PATCH, PATCH, 3), np.uint8)
    hair = np.empty((heads, COLORINGS, CELLS, CELLS), np.uint8)
    said = np.empty((heads, COLORINGS, len(NONE)), np.float32)
    progress = Progress("drawing hair")
    for i, patches in map_items(functools.partial(_numbered, seed, style), range(heads), jobs=jobs):
        pictures[i], hair[i], said[i] = (np.stack(column) for column in zip(*patches, strict=True))
        progress.advance()
    progress.close()
    for name, array in (("pictures", pictures), ("hair", hair), ("shares", said)):
        np.save(out / f"{name}.npy", array.reshape(-1, *array.shape[2:])[:count])


def _numbered(seed: int, style: str, i: int) -> tuple[int, list[TrainingPatch]]:
    return i, list(patches(seed, i, style=style))


def patches(seed: int, i: int, *, style: str = "character") -> Iterator[TrainingPatch]:
    """Yield COLORINGS patches of the i-th head of a seed."""
    rng = np.random.default_rng((seed, i))
    head = draw_head(varied(sample(seed, i, style=style), rng), rng)
    for _ in range(COLORINGS):
        yield colored(head, rng)


def varied(look: Look, rng: np.random.Generator) -> Look:
    """Scale a portrait's look to the size of a patch; widen the choice of lines and tilts, except of icons."""
    zoom = SIDE / look.side
    width, height = (max(40, round(length * zoom)) for length in look.size)
    x, y = (zoom * at for at in look.center)
    look = replace(look, size=(width, height), side=float(SIDE), center=(x, y))
    if look.style == "icon":
        return look
    return replace(
        look,
        turn=rng.uniform(-0.12, 0.12),
        line=rng.choice((0, 0, 0.008, 0.012, 0.018, 0.025, 0.035)),
        shading=str(rng.choice(("flat", "cel", "soft"))),
        tilt=rng.uniform(-25, 25),
    )


def draw_head(look: Look, rng: np.random.Generator) -> Head:
    """Return the patch around the box that a detector might find: larger than the drawn one, and inexact."""
    side = look.side * rng.uniform(0.9, 1.5)
    x, y = look.center[0] + rng.normal(0, 3), look.center[1] + rng.normal(-2, 4)
    face = Face((x - side / 2, y - side / 2, x + side / 2, y + side / 2), look.tilt + rng.normal(0, 6), 1.0)

    def patch(**changes) -> np.ndarray:
        return crop(paint.render(replace(look, **changes)), face, size=PATCH, box_scale=2.0).astype(np.float32)

    grey, tinted = patch(hair=GREY), patch(hair=TINTED)
    before_black, before_white = (patch(hair=GREY, ground="plain", ground_colors=((v,) * 3,) * 2) for v in (0, 255))
    light = grey.mean(2) / GREY[0]
    # the difference in green is less where hair is dark, and that is no less hair; outlines are none
    hair = np.clip((grey[..., 1] - tinted[..., 1]) / (32 * np.maximum(light, 0.3)), 0, 1)
    return Head(grey / 255, light, hair, (before_white - before_black).mean(2) / 255)


def colored(head: Head, rng: np.random.Generator) -> TrainingPatch:
    """Return the head with a random hair colour, in random light."""
    color = color_of(str(rng.choice(HAIR_COLORS)), rng) if rng.random() < 0.8 else any_color(rng)
    said = np.append(shares(color), 0.0)
    depth = rng.uniform(0, 0.22) if rng.random() < 0.7 else rng.uniform(0.2, 0.45)
    light = 1 + (head.light - 1) * rng.uniform(0.5, 2.2) + depth * _clouds(rng)
    hair = _shaded(color, light, rng)
    if rng.random() < 0.25:  # it grades towards another shade of the same
        hair = _mixed(hair, _shaded(color + rng.normal(0, (9, 5, 5)), light, rng), _slope(rng))
    if rng.random() < 0.02:  # it has two colours
        other, side = color_of(str(rng.choice(HAIR_COLORS)), rng), _slope(rng, sharp=True)
        hair = _mixed(hair, _shaded(other, light, rng), side)
        said = _mixed(said, np.append(shares(other), 0.0), np.average(side, weights=head.hair + 1e-6))
    picture = to_rgb(_mixed(to_lab(head.picture), hair, head.hair))
    picture, is_hair = _covered(picture, head.hair, rng)
    if is_hair[4:44].sum() < 30:
        said = NONE
    picture = _in_light(_on_ground(picture, head.ground, rng), rng)
    if rng.random() < 0.015:
        picture, said = np.repeat(picture.mean(2, keepdims=True), 3, axis=2), NONE
    picture, is_hair = _framed(picture, is_hair, rng)
    picture = np.clip(255 * picture + rng.normal(0, rng.uniform(0, 5), picture.shape), 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        picture = cv2.GaussianBlur(picture, (3, 3), 0)
    cells = cv2.resize(np.float32(is_hair), (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    return TrainingPatch(picture, np.rint(255 * cells).astype(np.uint8), said)


def _mixed(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return `a` blended with `b`, (…, C), by shares (…): `b` where the share is 1."""
    return a + (b - a) * np.asarray(share)[..., None]


def _clouds(rng: np.random.Generator) -> np.ndarray:
    """Return smooth noise, (PATCH, PATCH), with a standard deviation of about 1."""
    cells = int(rng.integers(2, 7))
    coarse = rng.standard_normal((cells, cells)).astype(np.float32)
    return cv2.resize(coarse, (PATCH, PATCH), interpolation=cv2.INTER_CUBIC)


def _slope(rng: np.random.Generator, *, sharp: bool = False) -> np.ndarray:
    """Return a ramp of 0..1, (PATCH, PATCH), from one side to the opposite one."""
    at = np.linspace(-0.5, 1.5, PATCH)[:: rng.choice((1, -1))] + rng.uniform(-0.2, 0.2)
    line = (at > 0.5).astype(float) if sharp else np.clip(at, 0, 1)
    rows = np.repeat(line[:, None], PATCH, axis=1)
    return rows if rng.random() < 0.7 else rows.T


def _shaded(color: np.ndarray, light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return CIELAB, (PATCH, PATCH, 3): the colour where light is 1, elsewhere darker or lighter, of another hue."""
    lightness, chroma = color[0], color[1:]
    dark = [lightness * rng.uniform(0.45, 0.9), *_turned(chroma, rng.normal(0, 14)) * rng.uniform(0.8, 1.25)]
    if rng.random() < 0.25:  # a shadow of a colour of its own
        dark = dark + np.append(0, rng.normal(0, 6, 2))
    bright = [
        lightness + (100 - lightness) * rng.uniform(0.1, 0.85),
        *_turned(chroma, rng.normal(0, 14)) * rng.uniform(0.3, 1.05),
    ]
    below, above = np.clip((1 - light) / 0.45, 0, 1.6), np.clip((light - 1) / 0.5, 0, 1)
    shade = color + (dark - color) * below[..., None]
    return shade + (bright - shade) * above[..., None]


def _turned(chroma: np.ndarray, degrees: float) -> np.ndarray:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[cos, -sin], [sin, cos]]) @ chroma


def _some_rgb(rng: np.random.Generator) -> np.ndarray:
    """Draw a colour: in half of the cases one of hair, in the others any RGB."""
    return to_rgb(color_of(str(rng.choice(HAIR_COLORS)), rng)) if rng.random() < 0.5 else rng.random(3)


def _covered(picture: np.ndarray, hair: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Cover hair with a random hat, ribbons or spots, never over the face; return picture and remaining hair."""
    ellipses = []  # centre, radii, turn, and whether the face stays free
    if rng.random() < 0.13:
        ellipses.append((rng.normal((32, 6), 5), rng.uniform((12, 6), (30, 18)), 0.0, False))
    if rng.random() < 0.35:
        spots = range(rng.integers(1, 6))
        ellipses += [(rng.uniform(2, 62, 2), rng.uniform(2, 9, 2), rng.uniform(0, 180), True) for _ in spots]
    for center, radii, turn, is_beside in ellipses:
        shape = np.zeros((PATCH, PATCH), np.float32)
        center, radii = (np.rint(pair).astype(int).tolist() for pair in (center, radii))
        cv2.ellipse(shape, center, radii, turn, 0, 360, 1, -1)
        if is_beside:
            shape[24:44, 20:44] = 0
        picture = _mixed(picture, _some_rgb(rng), shape * rng.uniform(0.85, 1))
        hair = hair * (1 - shape)
    return picture, hair


def _on_ground(picture: np.ndarray, ground: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Replace the background at random: one or two colours, which may be those of hair."""
    if rng.random() < 0.4:
        return picture
    first = np.full(3, rng.uniform(0.9, 1)) if rng.random() < 0.3 else _some_rgb(rng)
    second = _some_rgb(rng)
    kind = rng.random()
    if kind < 0.5:
        share = np.zeros((PATCH, PATCH))
    elif kind < 0.8:
        share = _slope(rng, sharp=bool(rng.random() < 0.4))
    else:
        share = np.clip(0.5 + _clouds(rng), 0, 1)
    return _mixed(picture, _mixed(first, second, share), ground)


def _in_light(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change saturation, colour cast, contrast and lightness of the picture at random."""
    lab = to_lab(picture)
    strength = rng.uniform(0.75, 1.25) if rng.random() < 0.8 else rng.uniform(0.55, 1.5)
    cast = rng.normal(0, 3.5 if rng.random() < 0.85 else 8, 2)
    lab[..., 1:] = lab[..., 1:] * strength + cast
    lab[..., 0] = np.clip((lab[..., 0] - 50) * rng.uniform(0.8, 1.2) + 50 + rng.normal(0, 5), 0, 100)
    return to_rgb(lab)


def _framed(picture: np.ndarray, hair: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Repeat the border pixels at random, as a crop does at the end of the original; mirror at random."""
    rows, columns = np.arange(PATCH), np.arange(PATCH)
    if rng.random() < 0.4:
        (left, top), (right, bottom) = rng.integers((0, 0), (16, 18)), rng.integers((46, 40), PATCH)
        rows, columns = rows.clip(top, bottom), columns.clip(left, right)
    if rng.random() < 0.5:
        columns = columns[::-1]
    return np.ascontiguousarray(picture[rows][:, columns]), np.ascontiguousarray(hair[rows][:, columns])
