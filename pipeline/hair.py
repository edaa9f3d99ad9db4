"""Faces -> hair colour: a probability for each of the nine, by whoever knows best.

A site's tags know, where a picture has one face and one colour is said of it. Illustration2Vec, if its weights are
here, was trained on such tags. The colours of the pixels are always there.
"""

import functools
import itertools
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pipeline import assets, images
from pipeline.faces import CROP_VERSION, Face, crop, per_face, rows_of
from pipeline.hair_color import VERSION as color_version
from pipeline.hair_color import color_scores
from pipeline.images import load
from pipeline.manifest import HAIR_COLORS, with_columns
from pipeline.store import Store

VERSION = 2
TOLD = "hair colours"  # so begin the lines of a card that tell of the taggers
LIKELY = 1 / 3  # a colour is named when it is this probable, and more so than any other and than "none" …
LIKELY_TO_I2V = 0.25  # … or this, by Illustration2Vec: the article's threshold
SURE = 0.95  # what a site's tag is worth: people tag well, but of another face in the picture now and then
I2V_SIZE, I2V_SCALE = 224, 1.5  # px of the crop that it looks at, and sides of the face in it

HAIR_TAGS = {f"{color}_hair": color for color in HAIR_COLORS} | {
    "aqua_hair": "blue", "light_blue_hair": "blue", "dark_blue_hair": "blue", "orange_hair": "brown",
    "light_brown_hair": "brown", "dark_brown_hair": "brown", "white_hair": "silver", "grey_hair": "silver",
    "gray_hair": "silver", "light_purple_hair": "purple", "light_green_hair": "green", "dark_green_hair": "green",
    "blond_hair": "blonde", "yellow_hair": "blonde",
}  # fmt: skip
"""As sites say it -> one of the nine."""
_MANY = {"multicolored_hair", "two-tone_hair", "gradient_hair", "streaked_hair", "split-color_hair", "rainbow_hair"}

logger = logging.getLogger("luigi-interface")

Scores = list[float]
"""Nine probabilities, in the order of HAIR_COLORS; what is left to 1 is "none"."""


def name(scores: Scores, tagger: str = "color") -> str | None:
    """The colour that the nine probabilities of that tagger say, or None."""
    best = max(range(len(scores)), key=scores.__getitem__)
    least = LIKELY_TO_I2V if tagger == "i2v" else max(LIKELY, 1 - sum(scores))
    return HAIR_COLORS[best] if scores[best] >= least else None


def names(crops: np.ndarray, box_scale: float) -> list[str | None]:
    """The colour of each of (N, S, S, 3) uint8 crops of one face, cut with that `box_scale`, by their pixels."""
    size = crops.shape[1]
    margin = (size - size / box_scale) / 2
    face = Face(box=(margin, margin, size - margin, size - margin), tilt=0.0, score=0.0)
    return [name(color_scores(picture, face)) for picture in crops]


class Asked(NamedTuple):
    """What taggers need."""

    store: Store
    folder: Path | None
    """Where assets are looked for first."""
    jobs: int


class Said(NamedTuple):
    """What a tagger says of a face."""

    scores: Scores
    tags: list[str]
    """More that it saw, spelled as sites do."""


def _by_tags(faces: pa.Table, asked: Asked) -> list[Said | None]:
    """What the site's tags say, of pictures with one face and of one colour; None of others."""
    alone = {image_id for image_id, count in Counter(faces["image_id"].to_pylist()).items() if count == 1}
    said: list[Said | None] = []
    for image_id, tags in rows_of(faces, "image_id", "tags"):
        spelled = {tag.lower().replace(" ", "_") for tag in tags or ()}
        colors = {HAIR_TAGS[tag] for tag in spelled & HAIR_TAGS.keys()}
        if image_id in alone and len(colors) == 1 and not spelled & _MANY:
            said.append(Said([SURE * (color in colors) for color in HAIR_COLORS], []))
        else:
            said.append(None)
    return said


def _by_color(faces: pa.Table, asked: Asked) -> list[Said | None]:
    scores = per_face(
        faces, asked.store, f"hair/{images.VERSION}.{CROP_VERSION}.{color_version}/color",
        functools.partial(_color_one, store=asked.store), what="looking at hair", jobs=asked.jobs,
    )  # fmt: skip
    return [Said(nine, []) for nine in scores]


def _color_one(image: tuple[str, list[Face]], store: Store) -> list[Scores]:
    path, faces = image
    picture = load(store.root / path)
    return [_rounded(color_scores(picture, face)) for face in faces]


def _by_i2v(faces: pa.Table, asked: Asked) -> list[Said | None]:
    """In this process: the network takes 0.6 GB, and all cores or the GPU. Raises UserError without its files."""
    from pipeline import illustration2vec

    version = f"{images.VERSION}.{CROP_VERSION}.{VERSION}.{illustration2vec.digest(asked.folder)}"
    said = per_face(
        faces, asked.store, f"hair/{version}/i2v",
        functools.partial(_i2v_one, store=asked.store, folder=asked.folder), what="asking Illustration2Vec", jobs=1,
    )  # fmt: skip
    return [Said(scores, tags) for scores, tags in said]


def _i2v_one(image: tuple[str, list[Face]], store: Store, folder: Path | None) -> list[tuple[Scores, list[str]]]:
    """All faces of a picture in one call, as what else is in it changes the last digits."""
    path, faces = image
    picture = load(store.root / path)
    crops = [crop(picture, face, size=I2V_SIZE, box_scale=I2V_SCALE) for face in faces]
    return [(_rounded(told.hair_scores), told.tags) for told in _illustration2vec(folder).tag_faces(crops)]


@functools.cache
def _illustration2vec(folder: Path | None):
    import torch

    from pipeline import illustration2vec

    return illustration2vec.load(folder, "cuda" if torch.cuda.is_available() else "cpu")


def _rounded(scores: Sequence[float]) -> Scores:
    return [round(float(score), 4) for score in scores]


_TELL: dict[str, Callable[[pa.Table, Asked], list[Said | None]]] = {
    "tags": _by_tags, "i2v": _by_i2v, "color": _by_color,
}  # fmt: skip
TAGGERS = {"color": ("color",), "i2v": ("i2v",), "tags": ("tags",), "auto": ("tags", "i2v", "color")}
"""--hair-tagger -> who is asked, those first whose word counts more."""


def who_is_asked(tagger: str, folder: Path | None) -> tuple[str, ...]:
    """Of TAGGERS; auto goes on without Illustration2Vec where its files are not."""
    is_there = all(assets.find(name, folder) for name in assets.ILLUSTRATION2VEC_TAGGER)
    if tagger == "auto" and not is_there:
        return tuple(who for who in TAGGERS[tagger] if who != "i2v")
    return TAGGERS[tagger]


def version_of(tagger: str, folder: Path | None) -> list:
    """What the result depends on besides the faces, JSON values. Raises UserError if a tagger's files are missing."""
    asked = who_is_asked(tagger, folder)
    versions: list = [VERSION, color_version, *asked]
    if "i2v" in asked:
        assets.bring(*assets.ILLUSTRATION2VEC_TAGGER, folder=folder)
        from pipeline import illustration2vec  # imports torch

        versions.append(illustration2vec.digest(folder))
    return versions


def tag(
    faces: pa.Table, store: Store, *, tagger: str, folder: Path | None = None, jobs: int = 0
) -> tuple[pa.Table, dict[str, str]]:
    """Faces with their crops' columns -> (the same with the three columns of hair, what the card says of the taggers).

    `folder` is where assets are looked for first. Tags that Illustration2Vec saw are added to `tags`."""
    asked, who = Asked(store, folder, jobs), who_is_asked(tagger, folder)
    if who != TAGGERS[tagger]:
        logger.info("no weights of Illustration2Vec here: hair colours come from the sites' tags and from the pixels")
    said: dict[str, list[Said | None]] = {}
    for one in who:
        # Illustration2Vec is slow: it is asked about what nobody knows yet
        is_open = [one != "i2v" or not any(words) for words in zip(*said.values(), strict=True)] or [True] * len(faces)
        told = iter(_TELL[one](faces.filter(pa.array(is_open, pa.bool_())), asked))
        said[one] = [next(told) if is_asked else None for is_asked in is_open]
    decided = [_decide(dict(zip(who, words, strict=True))) for words in zip(*said.values(), strict=True)]
    faces = with_columns(
        faces, hair_color=[row.color for row in decided], hair_scores=[row.scores for row in decided],
        hair_tagger=[row.who for row in decided],
    )  # fmt: skip
    tags = [list(dict.fromkeys([*old, *row.tags])) for old, row in zip(faces["tags"].to_pylist(), decided, strict=True)]
    index = faces.schema.get_field_index("tags")
    return faces.set_column(index, faces.schema.field(index), pa.array(tags, faces.schema.field(index).type)), _told(
        said
    )


class Decision(NamedTuple):
    """What counts of what was said of a face."""

    who: str
    scores: Scores
    color: str | None
    tags: list[str]


def _decide(said: dict[str, Said | None]) -> Decision:
    """The first who names a colour counts; if none does, the last who said anything."""
    tags = [tag for words in said.values() if words for tag in words.tags]
    last = Decision(next(iter(said)), [0.0] * len(HAIR_COLORS), None, tags)
    for who, words in said.items():
        if words is not None:
            last = Decision(who, words.scores, name(words.scores, who), tags)
            if last.color:
                return last
    return last


def _told(said: dict[str, list[Said | None]]) -> dict[str, str]:
    """How often any two taggers who both name a colour of the same face disagree."""
    named = {
        who: [None if words is None else name(words.scores, who) for words in all_words]
        for who, all_words in said.items()
    }
    told = {}
    for a, b in itertools.combinations(named, 2):
        pairs = [(x, y) for x, y in zip(named[a], named[b], strict=True) if x and y]
        if pairs:
            differ = sum(x != y for x, y in pairs)
            told[f"{TOLD} by {a} and by {b}"] = f"{differ:,} of {len(pairs):,} faces differ"
    return told
