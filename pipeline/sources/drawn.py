"""Pictures drawn by our own code: the default source, which needs no network.

A picture is a pure function of (seed, i). Of portraits the truth is known: `portrait.look` says what one shows, and
`portrait.render` turns that into pixels. What needs OpenCV is imported only when a picture is drawn.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import count

from PIL import Image

from pipeline.drawing.portrait.look import Box, Look, sample, tags
from pipeline.errors import UserError
from pipeline.sources.base import LocalQuery, Post

VERSION = 1
"""Raise it when the same (seed, i) gives other pixels."""
STYLES = ("character", "icon")  # of portraits
ILLUSTRATION = "illustration"  # whole pictures of one person or several: `drawing.illustration`
QUERIES = (*STYLES, ILLUSTRATION)


@dataclass(frozen=True)
class Truth:
    """The ground truth of a drawn picture. Boxes are x0, y0, x1, y1 in px."""

    face_box: Box
    """The square from a little above the brows to the chin, centred on the face's axis; of a leaning face the
    upright square of the same side round its centre."""
    tilt: float
    """Degrees the head leans, clockwise positive."""
    hair_color: str
    left_eye: Box
    """Upright box of the eye that is on the picture's left while the head is upright, lashes included, as it is when
    wide open."""
    right_eye: Box
    openness: float
    """1 open, 0 closed."""
    tags: tuple[str, ...]


def draw(
    seed: int, i: int, *, style: str = "character", tilt: float | None = None, openness: float | None = None
) -> tuple[Image.Image, Truth]:
    """Return the i-th portrait of a seed, RGB, and its ground truth.

    `tilt` (degrees, clockwise) and `openness` (1 open .. 0 closed) replace the sampled ones and change nothing else."""
    from pipeline.drawing.portrait import render as paint  # here, as the table of sources must not need OpenCV

    look = sample(seed, i, style=style)
    look = replace(
        look,
        tilt=look.tilt if tilt is None else float(tilt),
        openness=look.openness if openness is None else float(openness),
    )
    return Image.fromarray(paint.render(look)), truth_of(look)


def truth_of(look: Look) -> Truth:
    """Return the ground truth of a portrait, which need not be drawn."""
    from pipeline.drawing.portrait import render as paint

    left, right = paint.eye_boxes(look)
    (x, y), half = look.center, look.side / 2
    return Truth(
        face_box=(x - half, y - half, x + half, y + half),
        tilt=look.tilt,
        hair_color=look.hair_color,
        left_eye=left,
        right_eye=right,
        openness=look.openness,
        tags=tags(look),
    )


def snapshot(request: LocalQuery) -> dict:
    """Return the version, the seed and the style: all that the pictures depend on. Raise UserError."""
    if request.path is not None:
        raise UserError("--path", str(request.path), "the source `drawn` draws its pictures", "leave --path out")
    if request.query not in ("", *QUERIES):
        expected = f"{', '.join(QUERIES[:-1])} or {QUERIES[-1]}"
        raise UserError("--query", repr(request.query), expected, "name one of them, or leave --query out")
    if request.seed < 0:
        raise UserError("--seed", str(request.seed), "a seed is 0 or more", "choose another")
    version: int | str = VERSION
    if request.query == ILLUSTRATION:
        from pipeline.drawing import illustration

        version = f"{VERSION}.{illustration.VERSION}"
    return {"version": version, "seed": request.seed, "style": request.query or STYLES[0]}


def posts(request: LocalQuery, snapshot: dict) -> Iterator[Post]:
    """Yield the pictures of a seed without end. A picture is drawn when it is read."""
    seed, style = snapshot["seed"], snapshot["style"]
    for i in count():
        yield Post(
            source_id=f"{seed}/{i}",
            read=partial(picture, seed, i, style),
            fingerprint=f"drawn {snapshot['version']} {style} {seed}/{i}",
            license="CC0-1.0",
            tags=() if style == ILLUSTRATION else tags(sample(seed, i, style=style)),
        )


def picture(seed: int, i: int, style: str) -> bytes:
    """Return the i-th picture of a seed as a PNG file."""
    if style == ILLUSTRATION:
        from pipeline.drawing import illustration

        drawn = Image.fromarray(illustration.draw(seed, i))
    else:
        drawn, _ = draw(seed, i, style=style)
    file = io.BytesIO()
    drawn.save(file, "PNG", compress_level=1)
    return file.getvalue()
