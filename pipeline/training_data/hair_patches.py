"""Widely varied drawn heads with a known hair colour: the training set of the network in `pipeline.hair.color_network`.

The hair of each of `hair_heads` gets many colours, and so does the background. Half of the patches stay plain: nothing
is over the hair, and the light is as it was drawn. In the others hair has lights and strands of other colours, hats,
bows and flowers lie over it (`hair_covers`), clothes may have its colour, and the picture is in some light and medium
(`hair_light`).
"""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.drawing.colors import sample_color
from pipeline.drawing.sampling import Sampler
from pipeline.hair.color_names import any_color, color_of, shares, to_lab, to_rgb
from pipeline.hair.color_network import CELLS, PATCH
from pipeline.manifest import HAIR_COLORS
from pipeline.parallel import map_items
from pipeline.progress import Progress
from pipeline.training_data.hair_covers import draw_cover
from pipeline.training_data.hair_heads import Head, draw_head
from pipeline.training_data.hair_light import clouds, colorless, lit, ramp, rendered

VERSION = 7
"""Raise it when the same (seed, i) gives other patches."""
COLORINGS = 8  # patches of each head
PLAIN = 0.5  # share of patches without disturbances
MIN_HAIR = 80  # px of hair above the chin; with less a patch has no colour
DARK = 40  # CIELAB lightness below which hair is dark: it is covered, and lit in other colours, most often
NONE_LABELS = np.eye(len(HAIR_COLORS) + 1)[-1]

HAIRS = dict.fromkeys(HAIR_COLORS, 1.0)  # -> weight
DISTURBED_HAIRS = HAIRS | {"black": 2.5, "brown": 2, "blonde": 1.5}
COVER_COLORS = {  # ranges of hue (turns), saturation and value -> weight
    ((0, 1), (0.5, 1), (0.45, 1)): 5,
    ((-0.04, 0.04), (0.6, 1), (0.5, 1)): 2,
    ((0, 1), (0, 0.2), (0.8, 1)): 2,
    ((0, 1), (0, 0.5), (0.05, 0.35)): 2,
    ((0, 1), (0, 1), (0, 1)): 2,
}
SHEENS = {(30.0, 70.0): 3, (230.0, 290.0): 4, (290.0, 330.0): 3, (130.0, 200.0): 2, (0.0, 30.0): 1}  # degrees -> weight


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
    head = draw_head(seed, i, rng, style=style)
    for _ in range(COLORINGS):
        yield recolor(head, rng, is_plain=rng.random() < PLAIN)


def recolor(head: Head, rng: np.random.Generator, *, is_plain: bool) -> TrainingPatch:
    """Return the head with a random hair colour, plain or disturbed."""
    picture, hair, labels = (_plain if is_plain else _disturbed)(head, Sampler(rng))
    if hair[4:44].sum() < MIN_HAIR:
        labels = NONE_LABELS
    picture, hair = _crop_and_mirror(picture, hair, rng)
    picture = np.clip(255 * picture + rng.normal(0, rng.uniform(0, 4), picture.shape), 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        picture = cv2.GaussianBlur(picture, (3, 3), 0)
    cells = cv2.resize(np.float32(hair), (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    return TrainingPatch(picture, np.rint(255 * cells).astype(np.uint8), labels)


Drawing = tuple[np.ndarray, np.ndarray, np.ndarray]
"""A picture (PATCH, PATCH, 3), 0..1; the share of hair in each pixel; the labels."""


def _plain(head: Head, sampler: Sampler) -> Drawing:
    color = _hair_color(sampler, HAIRS)
    light = 1 + (head.light - 1) * sampler.between(0.5, 1.6)
    picture = _with_hair(head, _shade(color, light, sampler, hue_spread=8))
    return _recolor_ground(picture, head, color, sampler), head.hair, np.append(shares(color), 0.0)


def _disturbed(head: Head, sampler: Sampler) -> Drawing:
    color = _hair_color(sampler, DISTURBED_HAIRS)
    is_dark, labels = color[0] < DARK, np.append(shares(color), 0.0)
    depth = sampler.from_ranges({(0, 0.2): 7, (0.2, 0.35): 3})
    light = 1 + (head.light - 1) * sampler.between(0.5, 2.2) + depth * clouds(sampler, PATCH)
    lab = _shade(color, light, sampler, hue_spread=sampler.pick({14: 3, 40: 1}))
    if sampler.chance(0.25):  # a gradient towards another shade
        other = color + sampler.rng.normal(0, (9, 5, 5))
        lab = _blend(lab, _shade(other, light, sampler, hue_spread=14), ramp(sampler, PATCH))
    if sampler.chance(0.12):
        lab, labels = _dye(lab, labels, light, head.hair, sampler)
    if sampler.chance(0.6 if is_dark else 0.25):
        lab = _blend(lab, _sheen(color, sampler), _lit_strands(head, sampler))
    picture, hair = _recolor_clothes(_with_hair(head, lab), head, color, sampler), head.hair
    picture = _recolor_ground(picture, head, color, sampler)
    if sampler.chance(0.6 if is_dark else 0.35):
        picture, hair = _cover(picture, hair, head, sampler)
    if sampler.chance(0.2):
        picture, hair = _spot(picture, hair, sampler)
    if sampler.chance(0.6):
        picture = lit(sampler, picture)
    if sampler.chance(0.05):
        return colorless(sampler, picture), hair, NONE_LABELS
    return rendered(sampler, picture), hair, labels


def _hair_color(sampler: Sampler, names: dict[str, float]) -> np.ndarray:
    """Return a random colour of hair, CIELAB: mostly one with a clear name."""
    return color_of(sampler.pick(names), sampler.rng) if sampler.chance(0.8) else any_color(sampler.rng)


def _with_hair(head: Head, lab: np.ndarray) -> np.ndarray:
    return to_rgb(_blend(to_lab(head.picture), lab, head.hair))


def _blend(a: np.ndarray, b: np.ndarray, share: np.ndarray | float) -> np.ndarray:
    """Return `a` blended with `b`, (…, C), by shares (…): `b` where the share is 1."""
    return a + (b - a) * np.asarray(share)[..., None]


def _shade(color: np.ndarray, light: np.ndarray, sampler: Sampler, *, hue_spread: float) -> np.ndarray:
    """Return CIELAB, (PATCH, PATCH, 3): the colour where light is 1, elsewhere darker or lighter, of hues that differ
    by a standard deviation of `hue_spread`, degrees."""
    lightness, chroma, between = color[0], color[1:], sampler.between
    dark_chroma = _rotate(chroma, sampler.normal(min(hue_spread, 14))) * between(0.8, 1.25)
    if sampler.chance(0.25):  # a tinted shadow
        dark_chroma = dark_chroma + sampler.normal(6, 2)
    dark = np.append(lightness * between(0.45, 0.9), dark_chroma)
    bright_chroma = _rotate(chroma, sampler.normal(hue_spread)) * between(0.3, 1.05)
    bright = np.append(lightness + (100 - lightness) * between(0.1, 0.85), bright_chroma)
    below, above = np.clip((1 - light) / 0.45, 0, 1.3), np.clip((light - 1) / 0.5, 0, 1)
    return _blend(color + (dark - color) * below[..., None], bright, above)


def _rotate(chroma: np.ndarray, degrees: float) -> np.ndarray:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[cos, -sin], [sin, cos]]) @ chroma


def _dye(
    lab: np.ndarray, labels: np.ndarray, light: np.ndarray, hair: np.ndarray, sampler: Sampler
) -> tuple[np.ndarray, np.ndarray]:
    """Give a side, the tips or some strands another colour. The label is that of the larger part."""
    other = _hair_color(sampler, HAIRS)
    share = sampler.choice(
        ramp(sampler, PATCH, sharp=True), ramp(sampler, PATCH), _strands(sampler, hair, sampler.between(0.1, 0.45))
    )
    area = np.average(share, weights=hair + 1e-6)
    is_other = float(np.clip((area - 0.35) / 0.3, 0, 1))  # between 0.35 and 0.65 nobody is certain
    dyed = _blend(lab, _shade(other, light, sampler, hue_spread=14), share)
    return dyed, _blend(labels, np.append(shares(other), 0.0), is_other)


def _strands(sampler: Sampler, hair: np.ndarray, area: float) -> np.ndarray:
    """Return strands or bands with soft edges, (PATCH, PATCH), 0..1, over that share of the hair."""
    rows, columns = sampler.choice((3, 14), (2, 8), (9, 3), (6, 6))
    noise = cv2.resize(np.float32(sampler.normal(1, (rows, columns))), (PATCH, PATCH), interpolation=cv2.INTER_CUBIC)
    seen = noise[hair > 0.5]
    edge = np.quantile(seen, 1 - area) if len(seen) else 0.0
    return np.clip((noise - edge) / sampler.between(0.05, 0.5), 0, 1)


def _sheen(color: np.ndarray, sampler: Sampler) -> np.ndarray:
    """Return the colour of lights on hair of a colour, CIELAB: any hue, mostly brown, blue or violet."""
    hue = np.radians(sampler.from_ranges(SHEENS))
    is_dark = color[0] < DARK
    lightness = color[0] + (sampler.between(6, 40) if is_dark else (100 - color[0]) * sampler.between(0.2, 0.9))
    chroma = sampler.between(6, 38) if is_dark else sampler.between(0, 35)
    return np.array([lightness, chroma * np.cos(hue), chroma * np.sin(hue)])


def _lit_strands(head: Head, sampler: Sampler) -> np.ndarray:
    """Return where lights lie on hair, (PATCH, PATCH), 0..1: on strands, on the drawn highlights, or along an edge."""
    kind = sampler.pick({"strands": 3, "highlights": 2, "edge": 2})
    if kind == "strands":
        return _strands(sampler, head.hair, sampler.between(0.05, 0.35))
    if kind == "highlights":
        return np.clip((head.light - 1) / 0.15, 0, 1)
    shift = np.array([[1, 0, sampler.side() * sampler.between(1, 4)], [0, 1, sampler.between(-1, 3)]])
    return np.clip(head.hair - cv2.warpAffine(head.hair, shift, (PATCH, PATCH), borderMode=cv2.BORDER_REPLICATE), 0, 1)


def _thing_color(hair: np.ndarray, sampler: Sampler) -> np.ndarray:
    """Return a random colour beside hair of a colour, CIELAB, as RGB, 0..1: its own, another of hair, or any."""
    kind = sampler.pick({"own": 1, "hair": 2, "any": 2})
    if kind == "own":
        return to_rgb(hair + sampler.normal(3, 3))
    return to_rgb(_hair_color(sampler, HAIRS)) if kind == "hair" else sampler.rng.random(3)


def _recolor_ground(picture: np.ndarray, head: Head, hair: np.ndarray, sampler: Sampler) -> np.ndarray:
    """Replace the background in six of ten cases: by one or two colours."""
    if sampler.chance(0.4):
        return picture
    first = np.full(3, sampler.between(0.9, 1)) if sampler.chance(0.3) else _thing_color(hair, sampler)
    kind = sampler.pick({"plain": 5, "ramp": 2, "halves": 1, "clouds": 2})
    if kind == "plain":
        return _blend(picture, first, head.ground)
    share = (
        np.clip(0.5 + clouds(sampler, PATCH), 0, 1)
        if kind == "clouds"
        else ramp(sampler, PATCH, sharp=kind == "halves")
    )
    return _blend(picture, _blend(first, _thing_color(hair, sampler), share), head.ground)


def _recolor_clothes(picture: np.ndarray, head: Head, hair: np.ndarray, sampler: Sampler) -> np.ndarray:
    return _blend(picture, _thing_color(hair, sampler), head.clothes) if sampler.chance(0.5) else picture


def _cover(picture: np.ndarray, hair: np.ndarray, head: Head, sampler: Sampler) -> tuple[np.ndarray, np.ndarray]:
    """Put something on the head; return the picture and the hair that still shows."""
    color = sample_color(sampler, sampler.pick(COVER_COLORS))
    seen, opacity = draw_cover(sampler.rng, head.spot, PATCH, color)
    return picture * (1 - opacity[..., None]) + seen, hair * (1 - opacity)


def _spot(picture: np.ndarray, hair: np.ndarray, sampler: Sampler) -> tuple[np.ndarray, np.ndarray]:
    """Cover a random ellipse beside the face."""
    shape = np.zeros((PATCH, PATCH), np.float32)
    center, radii = sampler.rng.integers(2, 62, 2).tolist(), sampler.rng.integers(3, 12, 2).tolist()
    cv2.ellipse(shape, center, radii, sampler.between(0, 180), 0, 360, 1, -1)
    shape[24:44, 20:44] = 0
    return _blend(picture, sampler.rng.random(3), shape), hair * (1 - shape)


def _crop_and_mirror(picture: np.ndarray, hair: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Randomly repeat border pixels, as `crop` does beyond the original's edge, and randomly mirror the patch."""
    rows, columns = np.arange(PATCH), np.arange(PATCH)
    if rng.random() < 0.4:
        (left, top), (right, bottom) = rng.integers((0, 0), (16, 18)), rng.integers((46, 40), PATCH)
        rows, columns = rows.clip(top, bottom), columns.clip(left, right)
    if rng.random() < 0.5:
        columns = columns[::-1]
    return np.ascontiguousarray(picture[rows][:, columns]), np.ascontiguousarray(hair[rows][:, columns])
