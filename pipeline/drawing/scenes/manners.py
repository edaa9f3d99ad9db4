"""Manners of drawing: the colours and lines that all figures of a picture share, their modelling, and its treatment."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from pipeline.drawing.canvas import flat
from pipeline.drawing.colors import RGB, WHITE, mix, sample_color, tone, vary_shade
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.canvas import Spot
from pipeline.drawing.scenes.ground import ground
from pipeline.drawing.scenes.modelling import as_flat, as_solid, as_toon
from pipeline.drawing.scenes.photograph import photograph
from pipeline.drawing.scenes.postprocess import grayscale, identity, make_painting, treat
from pipeline.drawing.scenes.printing import manga_print, rough_pencil
from pipeline.drawing.scenes.style import Style

PAPERS = ((0, 1), (0, 0.08), (0.9, 1))  # ranges of hue, saturation and value
INKS = ((0, 1), (0, 0.6), (0.05, 0.4))


Restyle = Callable[[Sampler, Style], Style]
"""The sampled style of a figure -> its style in a manner."""


class Manner(NamedTuple):
    """One manner of drawing."""

    ground: Callable[[Sampler, int], np.ndarray]
    """The picture's side, px -> what is behind all, uint8 (size, size, 3)."""
    restyle: Restyle
    model: Callable[[Sampler, np.ndarray, np.ndarray, Spot], None]
    """Light a figure that was painted: the picture, the figure's pixels (size, size), and the spot of its head."""
    treat: Callable[[Sampler, np.ndarray], np.ndarray]
    """The whole picture -> another such."""


def as_sampled(sampler: Sampler, style: Style) -> Style:
    """Return the style as it is."""
    return style


def _recolor(style: Style, *, skin: RGB, hair: RGB, ink: RGB, line: float, iris: RGB) -> Style:
    """Return the style in a few plain colours, without shades."""
    eyes = replace(
        style.eyes,
        lash=ink,
        sclera=skin,
        iris=iris,
        iris_deep=iris,
        iris_light=mix(iris, skin, 0.4),
        pupil_color=ink,
        has_lid_shade=False,
    )
    return replace(
        style,
        ink=ink,
        line=line,
        eyes=eyes,
        skin=skin,
        skin_dark=skin,
        hair=hair,
        hair_dark=hair,
        hair_light=skin,
        hair_ink=ink,
    )


def black_and_white(sampler: Sampler, style: Style) -> Style:
    """Return the style of a manga: white skin, black lines, hair that is white, black or grey."""
    hair = sampler.pick({WHITE: 2, (12, 12, 12): 2, (150, 150, 150): 2})
    iris = sampler.choice((20, 20, 20), (110, 110, 110), (190, 190, 190))
    line = sampler.between(0.01, 0.025)
    inked = _recolor(style, skin=WHITE, hair=hair, ink=(0, 0, 0), line=line, iris=iris)
    return replace(inked, hair_ink=(0, 0, 0) if hair[0] > 100 else (90, 90, 90))


def lines_alone(sampler: Sampler, style: Style) -> Style:
    """Return the style of a drawing without colours: lines on paper."""
    paper, ink = sample_color(sampler, PAPERS), sample_color(sampler, INKS)
    iris = mix(paper, ink, sampler.choice(0, 0.3, 0.8))
    return _recolor(style, skin=paper, hair=paper, ink=ink, line=sampler.between(0.008, 0.02), iris=iris)


def without_lines(sampler: Sampler, style: Style) -> Style:
    """Return the style of a painting: no outlines, lashes and irises that are little darker than what is around."""
    lash = mix(style.eyes.lash, tone(style.skin, 0.5, 1.5), sampler.between(0.2, 0.7))
    eyes = replace(style.eyes, lash=lash, is_outlined=False, sclera=mix(style.eyes.sclera, style.skin, 0.3))
    dark = vary_shade(sampler, style.skin, (0.7, 0.9), (1.1, 1.6), (-0.04, 0.02))
    return replace(style, line=0, ink=tone(style.skin, 0.55, 1.5), hair_ink=style.hair_dark, skin_dark=dark, eyes=eyes)


def _as_painting(sampler: Sampler, picture: np.ndarray) -> np.ndarray:
    return sampler.pick({identity: 2, make_painting: 3, grayscale: 0.3})(sampler, picture)


def _any_ground(sampler: Sampler, size: int) -> np.ndarray:
    return sampler.pick({ground: 0.75, photograph: 0.25})(sampler, size)


def _paper(sampler: Sampler, size: int) -> np.ndarray:
    return flat((size, size, 3), WHITE) if sampler.chance(0.75) else ground(sampler, size)


MANNERS = {  # -> weight
    Manner(_any_ground, as_sampled, as_flat, treat): 0.56,
    Manner(_paper, black_and_white, as_flat, manga_print): 0.1,
    Manner(_paper, lines_alone, as_flat, rough_pencil): 0.1,
    Manner(_any_ground, without_lines, as_solid, _as_painting): 0.12,
    Manner(_any_ground, without_lines, as_toon, identity): 0.06,
    Manner(_any_ground, as_sampled, as_toon, identity): 0.06,
}
