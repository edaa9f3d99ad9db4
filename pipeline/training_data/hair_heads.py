"""Drawn heads, split into layers whose colours can be changed: hair, clothes, background.

A head is drawn with grey and with purple hair; the difference shows where hair is and how light or dark it is there
relative to its own colour. It is also drawn with background and clothes black, and with them red and green; that
difference shows where these are. Heads are of both renderers, so that not all fringes are of one.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from pipeline.drawing.canvas import flat
from pipeline.drawing.colors import RGB, WHITE, mix, tone
from pipeline.drawing.portrait.look import ACCESSORIES, Look, sample
from pipeline.drawing.portrait.render import render
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.canvas import SceneCanvas, Spot
from pipeline.drawing.scenes.ground import ground
from pipeline.drawing.scenes.person import face, grown_up, half_profile
from pipeline.drawing.scenes.style import Style
from pipeline.drawing.shapes import direction
from pipeline.faces.boxes import face_at
from pipeline.faces.crop import crop
from pipeline.hair.color_network import FACE_SIDES, PATCH

FACE_SIDE = 70  # px: side of a face as it is drawn for a patch
SCENE_SIDE = 190  # px: side of a picture of the scenes' renderer
SCENES = 0.3  # share of heads that it draws
PEOPLE = {face: 6, half_profile: 1, grown_up: 1}  # of the scenes' renderer -> weight
GREY, TINTED = (150, 150, 150), (150, 60, 150)  # the hair's two colours, which differ only in green
BLACK, RED, GREEN = (0, 0, 0), (255, 0, 0), (0, 255, 0)


class Head(NamedTuple):
    """A drawn head, cropped as the hair tagger does it, split into layers."""

    picture: np.ndarray  # (PATCH, PATCH, 3) float, 0..1: the picture with grey hair
    light: np.ndarray  # (PATCH, PATCH): lightness relative to the hair's own colour, which is 1
    hair: np.ndarray  # (PATCH, PATCH), 0..1: the share of hair in each pixel
    ground: np.ndarray  # (PATCH, PATCH), 0..1: the share of background in each pixel
    clothes: np.ndarray  # (PATCH, PATCH), 0..1: the share of clothes; 0 everywhere where the renderer does not tell
    spot: Spot  # the face in the patch


class Paint(NamedTuple):
    """The colours of a head's layers; None: as sampled."""

    hair: RGB
    ground: RGB | None = None
    clothes: RGB | None = None


Painter = Callable[[Paint], tuple[np.ndarray, Spot]]
"""Paint a head; return the picture, (H, W, 3) uint8, and the spot of the face. Equal arguments give equal pixels."""


def draw_head(seed: int, i: int, rng: np.random.Generator, *, style: str = "character") -> Head:
    """Return the i-th head of a seed, of the portraits' renderer or, except for icons, of the scenes' one."""
    if style != "icon" and rng.random() < SCENES:
        return _split(_scene_painter(rng), rng)
    return _split(_portrait_painter(_vary(sample(seed, i, style=style), rng)), rng)


def _vary(look: Look, rng: np.random.Generator) -> Look:
    """Scale a portrait's look to the size of a patch; widen the choice of lines, tilts and of what is worn, except of
    icons."""
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
        accessory=str(rng.choice(list(ACCESSORIES))) if rng.random() < 0.3 else look.accessory,
    )


def _portrait_painter(look: Look) -> Painter:
    def paint(colors: Paint) -> tuple[np.ndarray, Spot]:
        painted = replace(look, hair=colors.hair)
        if colors.ground and colors.clothes:
            painted = replace(painted, ground="plain", ground_colors=(colors.ground,) * 2)
            painted = replace(painted, cloth=colors.clothes, trim=colors.clothes)
        return render(painted), Spot(*look.center, look.side, look.tilt)

    return paint


def _scene_painter(rng: np.random.Generator) -> Painter:
    sampler = Sampler(rng)
    behind, person, key = ground(sampler, SCENE_SIDE), sampler.pick(PEOPLE), sampler.integer(0, 1 << 62)
    spot = Spot(SCENE_SIDE / 2, SCENE_SIDE / 2, FACE_SIDE, sampler.between(-25, 25))
    dark, bright, ink = sampler.between(0.6, 0.9), sampler.between(0, 0.5), sampler.between(0, 0.6)

    def paint(colors: Paint) -> tuple[np.ndarray, Spot]:
        def restyle(_: Sampler, style: Style) -> Style:
            hair = colors.hair
            return replace(
                style,
                is_bald=False,
                hair=hair,
                hair_dark=tone(hair, dark),
                hair_light=mix(tone(hair, 1.3, 0.6), WHITE, bright),
                hair_ink=mix(tone(hair, 0.45), style.ink, ink) if style.line else tone(hair, dark),
            )

        pixels = flat(behind.shape, colors.ground) if colors.ground else behind.copy()
        found = person(SceneCanvas(pixels, Sampler(np.random.default_rng(key))), spot, restyle)
        return pixels, found

    return paint


def _split(painter: Painter, rng: np.random.Generator) -> Head:
    """Return the patch around the box that a detector might find: larger than the drawn one, and inexact."""
    picture, spot = painter(Paint(GREY))
    offset = np.array((rng.normal(0, 3), rng.normal(-2, 4)))
    side, tilt = spot.side * rng.uniform(0.9, 1.5), spot.tilt + rng.normal(0, 6)
    x, y = spot.x + offset[0], spot.y + offset[1]
    box = face_at(x, y, side, tilt, 1.0)

    def patch(pixels: np.ndarray) -> np.ndarray:
        return crop(pixels, box, size=PATCH, box_scale=FACE_SIDES).astype(np.float32)

    grey, tinted = patch(picture), patch(painter(Paint(TINTED))[0])
    unmarked, marked = (patch(painter(Paint(GREY, *colors))[0]) for colors in ((BLACK, BLACK), (RED, GREEN)))
    marks = np.clip((marked - unmarked) / 255, 0, 1)
    light = grey.mean(2) / GREY[0]
    # dark hair differs less in green without being less hair; outlines do not differ and count as no hair
    hair = np.clip((grey[..., 1] - tinted[..., 1]) / (32 * np.maximum(light, 0.3)), 0, 1)
    zoom = PATCH / (FACE_SIDES * side)
    across, down = direction(tilt), direction(tilt + 90)
    seen_x, seen_y = PATCH / 2 - zoom * (offset @ np.stack([across, down], 1))
    seen = Spot(float(seen_x), float(seen_y), zoom * spot.side, spot.tilt - tilt)
    return Head(grey / 255, light, hair, marks[..., 0], marks[..., 1], seen)
