"""Drawn heads with a known hair colour, in styles that the hair tagger never learned from, by what makes them hard.

Heads are icons, people seen from the side, chibi, and brushwork; treatments, lights and things are of `held_back` or
painted here. None of them is in the patches of `pipeline.training_data`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from pipeline.drawing.canvas import flat
from pipeline.drawing.colors import RGB, any_color, hsv_to_rgb, mix, sample_color, skin_color, thing_ink, tone
from pipeline.drawing.portrait.look import sample
from pipeline.drawing.portrait.render import render
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.canvas import SceneCanvas, Spot, face_frame
from pipeline.drawing.scenes.person import chibi
from pipeline.drawing.scenes.postprocess import identity
from pipeline.drawing.scenes.profile import profile
from pipeline.drawing.scenes.style import Style
from pipeline.drawing.shapes import curve, direction, ellipse, leaf
from pipeline.faces.boxes import Face, face_at
from pipeline.hair.color_names import color_of, to_lab, to_rgb
from pipeline.manifest import HAIR_COLORS
from pipeline.training_data.hair_heads import GREY, TINTED, Paint
from tests.benchmarks import held_back

SIZE = 320  # px
FACE_SIDE = 110  # px
MASK_DIFFERENCE = 25  # of 255, from which a pixel is hair


class Example(NamedTuple):
    """One picture."""

    picture: np.ndarray  # (SIZE, SIZE, 3) uint8
    face: Face
    """About where a detector finds it."""
    color: np.ndarray
    """The hair's own colour, CIELAB."""
    kind: str
    """Of KINDS: what makes it difficult."""


Painter = Callable[[Sampler, Paint], tuple[np.ndarray, Spot]]
"""Paint a head on (SIZE, SIZE, 3). With equal random numbers only colours depend on colours."""


def draw(kind: str, seed: int, i: int) -> Example:
    """Draw the i-th picture of a kind and a seed."""
    sampler = Sampler(np.random.default_rng((seed, i, list(KINDS).index(kind))))
    color, picture, spot = KINDS[kind](sampler, sampler.pick(OWN_COLOR_HEADS if kind == "own colour" else HEADS))
    x, y = np.array((spot.x, spot.y)) + sampler.normal(0.04 * spot.side, 2)
    face = face_at(x, y, spot.side * sampler.between(1, 1.3), spot.tilt + sampler.normal(4), 1.0)
    return Example(np.ascontiguousarray(picture), face, color, kind)


def icon(sampler: Sampler, colors: Paint) -> tuple[np.ndarray, Spot]:
    """Paint a portrait's icon: flat bold colours under thick lines, tilted by 45 degrees."""
    look = sample(sampler.integer(0, 1 << 30), sampler.integer(0, 1 << 20), style="icon")
    look = replace(look, size=(SIZE, SIZE), side=float(FACE_SIDE), center=(SIZE / 2, 0.55 * SIZE), hair=colors.hair)
    if colors.ground:
        look = replace(look, ground="plain", ground_colors=(colors.ground,) * 2)
    if colors.clothes:
        look = replace(look, cloth=colors.clothes, trim=colors.clothes)
    return render(look), Spot(*look.center, look.side, look.tilt)


def _in_scene(person) -> Painter:
    def paint(sampler: Sampler, colors: Paint) -> tuple[np.ndarray, Spot]:
        dark, light = sampler.between(0.6, 0.85), sampler.between(0.1, 0.4)

        def restyle(_: Sampler, style: Style) -> Style:
            hair = colors.hair
            shades = {"hair_dark": tone(hair, dark), "hair_light": mix(hair, (255, 255, 255), light)}
            return replace(style, is_bald=False, hair=hair, hair_ink=tone(hair, 0.45), **shades)

        ground = sampler.choice(*held_back.GROUNDS)(sampler, SIZE)
        pixels = flat(ground.shape, colors.ground) if colors.ground else ground
        spot = Spot(SIZE / 2, SIZE / 2, FACE_SIDE, sampler.between(-20, 20))
        found = person(SceneCanvas(pixels, sampler), spot, restyle)
        return pixels, found

    return paint


def brushwork(sampler: Sampler, colors: Paint) -> tuple[np.ndarray, Spot]:
    """Paint a head by broad strokes without lines, each of a shade of its own."""
    between, any_ground, any_cloth = sampler.between, any_color(sampler), any_color(sampler)
    ground, cloth = colors.ground or any_ground, colors.clothes or any_cloth
    skin, iris = skin_color(sampler), any_color(sampler)
    canvas = SceneCanvas(flat((SIZE, SIZE, 3), ground), sampler)
    spot = Spot(SIZE / 2, 0.52 * SIZE, FACE_SIDE, between(-15, 15))

    def strokes(count: int, lines: Callable[[], list], color: RGB, half: float, spread: float = 0.2) -> None:
        for _ in range(count):
            width = half * between(0.5, 1.3)
            shade = tone(color, between(1 - spread, 1 + spread), between(0.8, 1.2))
            canvas.stroke(lines(), (0.3 * width, width, 0.2 * width), shade, alpha=between(0.7, 1))

    def around() -> list:
        start = sampler.point(0, SIZE)
        return [start, start + sampler.normal(25, 2), start + sampler.normal(50, 2)]

    strokes(120, around, ground, 14, 0.12)
    canvas = SceneCanvas(canvas.pixels, sampler, *face_frame(spot))
    length, part, wave = between(0.4, 1.8), between(-0.25, 0.25), between(0, 0.2)

    def behind() -> list:
        x = between(-0.62, 0.62)
        return [(0.3 * x, -0.95), (1.15 * x, -0.3), (1.1 * x + between(-wave, wave), 0.3), (1.2 * x, length)]

    def over() -> list:
        x = between(-0.6, 0.6)
        low = between(-0.3, -0.05) if abs(x) < 0.4 else between(0.2, 0.9)
        return [(part, between(-0.98, -0.85)), (0.5 * x + 0.5 * part, -0.75), (x, -0.4), (1.05 * x, low)]

    strokes(90, behind, tone(colors.hair, 0.8), 0.08)
    strokes(40, lambda: [(between(-1, 1), 0.9), (between(-1, 1), 1.3), (between(-1, 1), 2)], cloth, 0.15)
    canvas.fill(curve([(-0.14, 0.4), (0.14, 0.4), (0.2, 1), (-0.2, 1)], closed=True), tone(skin, 0.85))
    jaw = [(0, -0.7), (0.45, -0.3), (0.42, 0.2), (0.2, 0.5), (0, 0.6), (-0.2, 0.5), (-0.42, 0.2), (-0.45, -0.3)]
    canvas.fill(curve(jaw, closed=True), skin)
    for sign in (-1, 1):
        canvas.fill(ellipse(0.22 * sign, 0.28, 0.1, 0.06), tone(skin, 0.95, 1.8), alpha=0.6, soft=0.03)
        canvas.fill(ellipse(0.22 * sign, 0.05, 0.1, 0.12), (30, 22, 30))
        canvas.fill(ellipse(0.22 * sign, 0.08, 0.07, 0.08), iris)
        canvas.fill(ellipse(0.19 * sign, 0.02, 0.025, 0.03), (255, 255, 255))
    canvas.stroke([(-0.08, 0.4), (0, 0.43), (0.08, 0.4)], (0, 0.02, 0), tone(skin, 0.5, 1.5))
    strokes(70, over, colors.hair, 0.07)
    return canvas.pixels, spot


HEADS: dict[Painter, float] = {icon: 2, _in_scene(profile): 1, _in_scene(chibi): 1, brushwork: 2}  # -> weight
OWN_COLOR_HEADS: dict[Painter, float] = {icon: 1, brushwork: 1}  # those whose clothes may have any colour


def _painted(head: Painter, key: int, colors: Paint) -> tuple[np.ndarray, Spot]:
    return head(Sampler(np.random.default_rng(key)), colors)


def _treated(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    """Leave half of the pictures as they were painted."""
    effect = sampler.choice(identity, identity, held_back.pixel_art, held_back.stained_glass)
    return effect(sampler, picture)


def _rgb(lab: np.ndarray) -> RGB:
    red, green, blue = (round(255 * float(share)) for share in np.clip(to_rgb(lab), 0, 1))
    return red, green, blue


def _any_hair(sampler: Sampler, black: float = 0) -> np.ndarray:
    """Draw a colour of a name, black with an additional chance."""
    return color_of("black" if sampler.chance(black) else sampler.choice(*HAIR_COLORS), sampler.rng)


Drawn = tuple[np.ndarray, np.ndarray, Spot]
"""The hair's colour, the picture, and where the face is."""


def plain(sampler: Sampler, head: Painter) -> Drawn:
    """Draw a head as it is."""
    color = _any_hair(sampler)
    picture, spot = _painted(head, sampler.integer(0, 1 << 62), Paint(_rgb(color)))
    return color, _treated(sampler, picture), spot


def orange_or_blonde(sampler: Sampler, head: Painter) -> Drawn:
    """Draw hair between red-brown and yellow, light more often than dark."""
    ranges = (sampler.between(0.045, 0.14), sampler.between(0.35, 0.95), 1 - 0.5 * sampler.between(0, 1) ** 1.5)
    rgb = hsv_to_rgb(*ranges)
    picture, spot = _painted(head, sampler.integer(0, 1 << 62), Paint(rgb))
    return to_lab(np.array(rgb) / 255), _treated(sampler, picture), spot


def lit(sampler: Sampler, head: Painter) -> Drawn:
    """Draw a head in a light that is held back."""
    color = _any_hair(sampler)
    picture, spot = _painted(head, sampler.integer(0, 1 << 62), Paint(_rgb(color)))
    return color, sampler.choice(*held_back.LIGHTS)(sampler, picture), spot


def own_color(sampler: Sampler, head: Painter) -> Drawn:
    """Draw hair before a background or over clothes of its colour, or of another colour of hair."""
    color = _any_hair(sampler, black=0.2)
    own = color + sampler.normal(3, 3)
    ground, clothes = (own if sampler.chance(0.6) else _any_hair(sampler) for _ in range(2))
    colors = Paint(_rgb(color), _rgb(ground), _rgb(clothes))
    picture, spot = _painted(head, sampler.integer(0, 1 << 62), colors)
    return color, _treated(sampler, picture), spot


def light_on_black(sampler: Sampler, head: Painter) -> Drawn:
    """Draw black hair with lights in brown, blue, violet or green: a jagged band, hatching, or one half."""
    color, key = color_of("black", sampler.rng), sampler.integer(0, 1 << 62)
    (picture, spot), grey = _painted(head, key, Paint(_rgb(color))), _painted(head, key, Paint(GREY))[0]
    tinted = _painted(head, key, Paint(TINTED))[0]
    hair = (grey[..., 1].astype(int) - tinted[..., 1] > MASK_DIFFERENCE).astype(np.uint8) * 255
    hue = sampler.from_ranges({(0.03, 0.1): 2, (0.58, 0.68): 3, (0.7, 0.82): 2, (0.3, 0.48): 1})
    light = hsv_to_rgb(hue, sampler.between(0.2, 0.65), sampler.between(0.25, 0.6))
    canvas = SceneCanvas(picture.copy(), sampler, *face_frame(spot))
    sampler.choice(_band, _hatching, _half)(canvas, light, hair)
    return color, _treated(sampler, canvas.pixels), spot


def _band(c: SceneCanvas, color: RGB, within: np.ndarray) -> None:
    x, thick = np.linspace(-0.7, 0.7, 25), c.sampler.between(0.06, 0.14)
    y = -0.55 + 0.3 * x**2 + np.where(np.arange(25) % 2, 0.05, -0.05)
    c.fill(np.concatenate([np.stack([x, y - thick], 1), np.stack([x, y + thick], 1)[::-1]]), color, within)


def _hatching(c: SceneCanvas, color: RGB, within: np.ndarray) -> None:
    pitch = c.sampler.between(0.07, 0.12)
    for x in np.arange(-1.2, 1.2, pitch):
        c.fill([(x, -1.3), (x + 0.35 * pitch, -1.3), (x + 0.35 * pitch + 0.3, 2), (x + 0.3, 2)], color, within)


def _half(c: SceneCanvas, color: RGB, within: np.ndarray) -> None:
    side = c.sampler.side()
    c.fill(np.multiply([(0.3, -1.5), (3, -1.5), (3, 3), (0.5, 3), (0.35, 0)], (side, 1)), color, within)


def covered(sampler: Sampler, head: Painter) -> Drawn:
    """Draw a head, mostly a dark one, under something large in a strong colour."""
    color = _any_hair(sampler, black=0.45)
    picture, spot = _painted(head, sampler.integer(0, 1 << 62), Paint(_rgb(color)))
    canvas = SceneCanvas(picture.copy(), sampler, *face_frame(spot))
    strong = sample_color(sampler, ((0, 1), (0.55, 1), (0.5, 1)))
    sampler.choice(*WORN)(canvas, strong, thing_ink(sampler))
    return color, _treated(sampler, canvas.pixels), spot


def _turban(c: SceneCanvas, color: RGB, ink: RGB) -> None:
    """Paint a cloth wound round the head, in folds."""
    for k in range(5):
        y = -0.5 - 0.16 * k
        c.shape(ellipse(0, y, 0.72 - 0.08 * k, 0.2), tone(color, 0.8 + 0.08 * k), ink, 0.015)


def _diadem(c: SceneCanvas, color: RGB, ink: RGB) -> None:
    """Paint a tall crown with points and stones."""
    x = np.linspace(-0.55, 0.55, 9)
    points = np.stack([x, np.where(np.arange(9) % 2, -1.0, -1.4 + 0.3 * np.abs(x))], 1)
    c.shape(np.concatenate([points, [(0.6, -0.55), (-0.6, -0.55)]]), color, ink, 0.02)
    for at in np.linspace(-0.4, 0.4, 4):
        c.fill(ellipse(at, -0.7, 0.07, 0.09), any_color(c.sampler))


def _leaves(c: SceneCanvas, color: RGB, ink: RGB) -> None:
    """Paint leaves and berries strewn over the hair."""
    for _ in range(c.sampler.integer(8, 18)):
        angle = c.sampler.between(-170, -10)
        x, y = np.array((0, -0.15)) + c.sampler.between(0.5, 0.85) * direction(angle)
        c.shape(leaf(x, y, 0.18, 0.09, np.deg2rad(c.sampler.between(0, 360))), color, ink, 0.01)


def _star_bow(c: SceneCanvas, color: RGB, ink: RGB) -> None:
    """Paint a huge bow of pointed lobes with dots."""
    x = c.sampler.between(-0.3, 0.3)
    for degrees in (-160, -125, -55, -20, 60, 120):
        along = direction(degrees)
        across = np.array((-along[1], along[0]))
        lobe = [(0, 0), 0.5 * along + 0.25 * across, 0.85 * along, 0.5 * along - 0.25 * across]
        c.shape(np.add(lobe, (x, -0.85)), color, ink, 0.015)
        c.fill(ellipse(*(0.5 * along + (x, -0.85)), 0.07, 0.07), tone(color, 0.6))


def _net(c: SceneCanvas, color: RGB, ink: RGB) -> None:
    held_back.veil(c, np.array((0.0, -0.6)), 0.5)


def _fan(c: SceneCanvas, color: RGB, ink: RGB) -> None:
    held_back.fan(c, np.array((0.6 * c.sampler.side(), -0.75)), 0.35)


WORN = (_turban, _diadem, _leaves, _star_bow, _net, _fan)
KINDS: dict[str, Callable[[Sampler, Painter], Drawn]] = {
    "plain": plain,
    "covered": covered,
    "lit": lit,
    "own colour": own_color,
    "light on black": light_on_black,
    "orange or blonde": orange_or_blonde,
}
