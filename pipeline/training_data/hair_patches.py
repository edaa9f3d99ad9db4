"""Widely varied drawn heads with a known hair colour: the training set of the network in `pipeline.hair.color_network`.

A head is drawn with grey and with purple hair; the difference shows where hair is and how light or dark it is there
relative to its own colour. The head is also drawn on black and on white; that difference shows where the background
is. Then the hair gets many colours, each with random shadows, highlights, gradients and light, under hats and ribbons,
on other backgrounds.
"""

import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.drawing.portrait.look import Look, sample
from pipeline.drawing.portrait.render import render
from pipeline.faces.boxes import Face
from pipeline.faces.crop import crop
from pipeline.hair.color_names import any_color, color_of, shares, to_lab, to_rgb
from pipeline.hair.color_network import CELLS, PATCH
from pipeline.manifest import HAIR_COLORS
from pipeline.parallel import map_items
from pipeline.progress import Progress

VERSION = 6
"""Raise it when the same (seed, i) gives other patches."""
COLORINGS = 8  # patches of each head
FACE_SIDE = 70  # px: side of a face as it is drawn for a patch
GREY, TINTED = (150, 150, 150), (150, 60, 150)  # the hair's two colours, which differ only in green
NONE_LABELS = np.eye(len(HAIR_COLORS) + 1)[-1]


class Head(NamedTuple):
    """A drawn head, cropped as the hair tagger does it, split into layers that can be recoloured."""

    picture: np.ndarray  # (PATCH, PATCH, 3) float, 0..1: the picture with grey hair
    light: np.ndarray  # (PATCH, PATCH): lightness relative to the hair's own colour, which is 1
    hair: np.ndarray  # (PATCH, PATCH), 0..1: the share of hair in each pixel
    ground: np.ndarray  # (PATCH, PATCH), 0..1: the share of background in each pixel


class TrainingPatch(NamedTuple):
    """A patch and its labels."""

    picture: np.ndarray  # (PATCH, PATCH, 3) uint8, RGB
    hair: np.ndarray  # (CELLS, CELLS) uint8: the share of hair in each cell, 0..255
    shares: np.ndarray  # (10,) float: the shares of the nine hair colours, and of none


def draw_all(seed: int, count: int, out: Path, *, style: str = "character", jobs: int = 0) -> None:
    """Write pictures.npy, hair.npy and shares.npy into `out`: `count` patches, stacked."""
    heads = -(-count // COLORINGS)
    pictures = np.empty((heads, COLORINGS, PATCH, PATCH, 3), np.uint8)
    hair = np.empty((heads, COLORINGS, CELLS, CELLS), np.uint8)
    labels = np.empty((heads, COLORINGS, len(NONE_LABELS)), np.float32)
    progress = Progress("drawing hair")
    for i, patches in map_items(functools.partial(_draw_numbered, seed, style), range(heads), jobs=jobs):
        pictures[i], hair[i], labels[i] = (np.stack(column) for column in zip(*patches, strict=True))
        progress.advance()
    progress.close()
    for name, array in (("pictures", pictures), ("hair", hair), ("shares", labels)):
        np.save(out / f"{name}.npy", array.reshape(-1, *array.shape[2:])[:count])


def _draw_numbered(seed: int, style: str, i: int) -> tuple[int, list[TrainingPatch]]:
    return i, list(patches(seed, i, style=style))


def patches(seed: int, i: int, *, style: str = "character") -> Iterator[TrainingPatch]:
    """Yield COLORINGS patches of the i-th head of a seed."""
    rng = np.random.default_rng((seed, i))
    head = draw_head(vary(sample(seed, i, style=style), rng), rng)
    for _ in range(COLORINGS):
        yield recolor(head, rng)


def vary(look: Look, rng: np.random.Generator) -> Look:
    """Scale a portrait's look to the size of a patch; widen the choice of lines and tilts, except of icons."""
    zoom = FACE_SIDE / look.side
    width, height = (max(40, round(length * zoom)) for length in look.size)
    x, y = (zoom * at for at in look.center)
    look = replace(look, size=(width, height), side=float(FACE_SIDE), center=(x, y))
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
        return crop(render(replace(look, **changes)), face, size=PATCH, box_scale=2.0).astype(np.float32)

    grey, tinted = patch(hair=GREY), patch(hair=TINTED)
    before_black, before_white = (patch(hair=GREY, ground="plain", ground_colors=((v,) * 3,) * 2) for v in (0, 255))
    light = grey.mean(2) / GREY[0]
    # dark hair differs less in green without being less hair; outlines do not differ and count as no hair
    hair = np.clip((grey[..., 1] - tinted[..., 1]) / (32 * np.maximum(light, 0.3)), 0, 1)
    return Head(grey / 255, light, hair, (before_white - before_black).mean(2) / 255)


def recolor(head: Head, rng: np.random.Generator) -> TrainingPatch:
    """Return the head with a random hair colour, in random light."""
    color = color_of(str(rng.choice(HAIR_COLORS)), rng) if rng.random() < 0.8 else any_color(rng)
    labels = np.append(shares(color), 0.0)
    depth = rng.uniform(0, 0.22) if rng.random() < 0.7 else rng.uniform(0.2, 0.45)
    light = 1 + (head.light - 1) * rng.uniform(0.5, 2.2) + depth * _clouds(rng)
    hair = _shade(color, light, rng)
    if rng.random() < 0.25:  # a gradient towards another shade
        hair = _blend(hair, _shade(color + rng.normal(0, (9, 5, 5)), light, rng), _ramp(rng))
    if rng.random() < 0.02:  # two colours
        other, side = color_of(str(rng.choice(HAIR_COLORS)), rng), _ramp(rng, sharp=True)
        hair = _blend(hair, _shade(other, light, rng), side)
        labels = _blend(labels, np.append(shares(other), 0.0), np.average(side, weights=head.hair + 1e-6))
    picture = to_rgb(_blend(to_lab(head.picture), hair, head.hair))
    picture, is_hair = _cover_hair(picture, head.hair, rng)
    if is_hair[4:44].sum() < 30:
        labels = NONE_LABELS
    picture = _change_light(_replace_background(picture, head.ground, rng), rng)
    if rng.random() < 0.015:
        picture, labels = np.repeat(picture.mean(2, keepdims=True), 3, axis=2), NONE_LABELS
    picture, is_hair = _crop_and_mirror(picture, is_hair, rng)
    picture = np.clip(255 * picture + rng.normal(0, rng.uniform(0, 5), picture.shape), 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        picture = cv2.GaussianBlur(picture, (3, 3), 0)
    cells = cv2.resize(np.float32(is_hair), (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    return TrainingPatch(picture, np.rint(255 * cells).astype(np.uint8), labels)


def _blend(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return `a` blended with `b`, (…, C), by shares (…): `b` where the share is 1."""
    return a + (b - a) * np.asarray(share)[..., None]


def _clouds(rng: np.random.Generator) -> np.ndarray:
    """Return smooth noise, (PATCH, PATCH), with a standard deviation of about 1."""
    cells = int(rng.integers(2, 7))
    coarse = rng.standard_normal((cells, cells)).astype(np.float32)
    return cv2.resize(coarse, (PATCH, PATCH), interpolation=cv2.INTER_CUBIC)


def _ramp(rng: np.random.Generator, *, sharp: bool = False) -> np.ndarray:
    """Return a ramp of 0..1, (PATCH, PATCH), from one side to the opposite one."""
    at = np.linspace(-0.5, 1.5, PATCH)[:: rng.choice((1, -1))] + rng.uniform(-0.2, 0.2)
    line = (at > 0.5).astype(float) if sharp else np.clip(at, 0, 1)
    rows = np.repeat(line[:, None], PATCH, axis=1)
    return rows if rng.random() < 0.7 else rows.T


def _shade(color: np.ndarray, light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return CIELAB, (PATCH, PATCH, 3): the colour where light is 1, elsewhere darker or lighter, of another hue."""
    lightness, chroma = color[0], color[1:]
    dark = [lightness * rng.uniform(0.45, 0.9), *_rotate(chroma, rng.normal(0, 14)) * rng.uniform(0.8, 1.25)]
    if rng.random() < 0.25:  # a tinted shadow
        dark = dark + np.append(0, rng.normal(0, 6, 2))
    share = rng.uniform(0.1, 0.85)
    bright = [lightness + (100 - lightness) * share, *_rotate(chroma, rng.normal(0, 14)) * rng.uniform(0.3, 1.05)]
    below, above = np.clip((1 - light) / 0.45, 0, 1.6), np.clip((light - 1) / 0.5, 0, 1)
    shade = color + (dark - color) * below[..., None]
    return shade + (bright - shade) * above[..., None]


def _rotate(chroma: np.ndarray, degrees: float) -> np.ndarray:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[cos, -sin], [sin, cos]]) @ chroma


def _random_rgb(rng: np.random.Generator) -> np.ndarray:
    """Draw a colour: in half of the cases one of hair, in the others any RGB."""
    return to_rgb(color_of(str(rng.choice(HAIR_COLORS)), rng)) if rng.random() < 0.5 else rng.random(3)


def _cover_hair(picture: np.ndarray, hair: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Cover hair with a random hat, ribbons or spots, never over the face; return picture and remaining hair."""
    ellipses = []  # centre, radii, rotation (degrees), whether the face stays free
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
        picture = _blend(picture, _random_rgb(rng), shape * rng.uniform(0.85, 1))
        hair = hair * (1 - shape)
    return picture, hair


def _replace_background(picture: np.ndarray, ground: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Replace the background at random: one or two colours, which may be those of hair."""
    if rng.random() < 0.4:
        return picture
    first = np.full(3, rng.uniform(0.9, 1)) if rng.random() < 0.3 else _random_rgb(rng)
    second = _random_rgb(rng)
    kind = rng.random()
    if kind < 0.5:
        share = np.zeros((PATCH, PATCH))
    elif kind < 0.8:
        share = _ramp(rng, sharp=bool(rng.random() < 0.4))
    else:
        share = np.clip(0.5 + _clouds(rng), 0, 1)
    return _blend(picture, _blend(first, second, share), ground)


def _change_light(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change saturation, colour cast, contrast and lightness of the picture at random."""
    lab = to_lab(picture)
    strength = rng.uniform(0.75, 1.25) if rng.random() < 0.8 else rng.uniform(0.55, 1.5)
    cast = rng.normal(0, 3.5 if rng.random() < 0.85 else 8, 2)
    lab[..., 1:] = lab[..., 1:] * strength + cast
    lab[..., 0] = np.clip((lab[..., 0] - 50) * rng.uniform(0.8, 1.2) + 50 + rng.normal(0, 5), 0, 100)
    return to_rgb(lab)


def _crop_and_mirror(picture: np.ndarray, hair: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Randomly repeat border pixels, as `crop` does beyond the original's edge, and randomly mirror the patch."""
    rows, columns = np.arange(PATCH), np.arange(PATCH)
    if rng.random() < 0.4:
        (left, top), (right, bottom) = rng.integers((0, 0), (16, 18)), rng.integers((46, 40), PATCH)
        rows, columns = rows.clip(top, bottom), columns.clip(left, right)
    if rng.random() < 0.5:
        columns = columns[::-1]
    return np.ascontiguousarray(picture[rows][:, columns]), np.ascontiguousarray(hair[rows][:, columns])
