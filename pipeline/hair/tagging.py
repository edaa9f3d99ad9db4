"""Faces -> hair colour: a probability for each of the nine, by whoever knows best.

A site's tags know, where a picture has one face and one colour is said of it. Illustration2Vec, if its weights are
here, was trained on such tags. The colours of the pixels are always there.
"""

import functools
import itertools
import logging
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pipeline import assets
from pipeline.faces.boxes import Face
from pipeline.faces.crop import CROP_VERSION, by_image, crop, image_key, per_face, rows_of
from pipeline.hair.color_network import color_scores
from pipeline.hair.color_network import version as color_version
from pipeline.images import collect as images
from pipeline.images.decode import load
from pipeline.manifest import HAIR_COLORS, with_columns
from pipeline.progress import Progress
from pipeline.store import Store
from pipeline.stored import NUMBER

VERSION = 4
TOLD = "hair colours"  # so begin the lines of a card that tell of the taggers
MIN_COLOR_PROBABILITY = (
    1 / 3
)  # a colour is named when it is this probable, and more so than any other and than "none" …
MIN_I2V_PROBABILITY = 0.25  # … or this, by Illustration2Vec: the article's threshold
SURE = 0.95  # what a site's tag is worth: people tag well, but of another face in the picture now and then
I2V_SIZE, I2V_SCALE = 224, 1.5  # px of the crop that it looks at, and sides of the face in it
I2V_PICTURES = 16  # whose faces are asked about at once
I2V_HEADING = "illustration2vec:"  # among the tags of a row: what follows is the network's word, not the source's

HAIR_TAGS = {f"{color}_hair": color for color in HAIR_COLORS} | {
    "aqua_hair": "blue",
    "light_blue_hair": "blue",
    "dark_blue_hair": "blue",
    "orange_hair": "brown",
    "light_brown_hair": "brown",
    "dark_brown_hair": "brown",
    "white_hair": "silver",
    "grey_hair": "silver",
    "gray_hair": "silver",
    "light_purple_hair": "purple",
    "light_green_hair": "green",
    "dark_green_hair": "green",
    "light_pink_hair": "pink",
    "dark_red_hair": "red",
    "blond_hair": "blonde",
    "yellow_hair": "blonde",
    "platinum_blonde_hair": "blonde",
    "light_blonde_hair": "blonde",
}
"""As sites say it -> one of the nine."""
_MANY = re.compile(
    "(multi_?colou?red|two_toned?|split_colou?r(ed)?|gradient|streaked|rainbow|colou?red_(inner|tips))_hair"
)

logger = logging.getLogger("luigi-interface")

Scores = list[float]
"""Nine probabilities, in the order of HAIR_COLORS; what is left to 1 is "none"."""
_NINE = [NUMBER] * len(HAIR_COLORS)


def name(scores: Scores, tagger: str = "color") -> str | None:
    """The colour that the nine probabilities of that tagger say, or None."""
    best = max(range(len(scores)), key=scores.__getitem__)
    least = MIN_I2V_PROBABILITY if tagger == "i2v" else max(MIN_COLOR_PROBABILITY, 1 - sum(scores))
    return HAIR_COLORS[best] if scores[best] >= least else None


def names(crops: np.ndarray, box_scale: float) -> list[str | None]:
    """The colour of each of (N, S, S, 3) uint8 crops of one face, cut with that `box_scale`, by their pixels."""
    size = crops.shape[1]
    margin = (size - size / box_scale) / 2
    face = Face(box=(margin, margin, size - margin, size - margin), tilt=0.0, score=0.0)
    return [name(color_scores(picture, face)) for picture in crops]


class TaggerContext(NamedTuple):
    """What taggers need."""

    store: Store
    folder: Path | None
    """Where assets are looked for first."""
    jobs: int
    more_faces: frozenset[str] = frozenset()
    """image_ids of faces that were found too, and are not in the table."""


class Prediction(NamedTuple):
    """What a tagger says of a face."""

    scores: Scores
    tags: list[str]
    """What else it saw, spelled as sites do."""


def sites_tags(tags: Iterable[str] | None) -> list[str]:
    """What the source said, without what Illustration2Vec added."""
    return list(itertools.takewhile(lambda tag: tag != I2V_HEADING, tags or ()))


def _by_tags(faces: pa.Table, asked: TaggerContext) -> list[Prediction | None]:
    """What the site's tags say, of pictures with one face and of one colour; None of others."""
    count = Counter([*faces["image_id"].to_pylist(), *asked.more_faces])
    said: list[Prediction | None] = []
    for image_id, tags in rows_of(faces, "image_id", "tags"):
        spelled = {re.sub("[ -]", "_", tag.strip().lower()) for tag in sites_tags(tags)}
        colors = {HAIR_TAGS[tag] for tag in spelled & HAIR_TAGS.keys()}
        if count[image_id] == 1 and len(colors) == 1 and not any(map(_MANY.fullmatch, spelled)):
            said.append(Prediction([SURE * (color in colors) for color in HAIR_COLORS], []))
        else:
            said.append(None)
    return said


def _by_color(faces: pa.Table, asked: TaggerContext) -> list[Prediction | None]:
    scores = per_face(
        faces,
        asked.store,
        f"hair/{images.VERSION}.{CROP_VERSION}.{color_version()}/color",
        functools.partial(_color_one, store=asked.store),
        shape=[_NINE],
        what="looking at hair",
        jobs=asked.jobs,
    )
    if missing := scores.count(None):
        logger.warning("%d faces: not enough memory to look at their hair", missing)
    return [Prediction(nine or [0.0] * len(HAIR_COLORS), []) for nine in scores]


def _color_one(image: tuple[str, list[Face]], store: Store) -> list[Scores]:
    path, faces = image
    picture = load(store.root / path)
    return [_rounded(color_scores(picture, face)) for face in faces]


def _by_i2v(faces: pa.Table, asked: TaggerContext) -> list[Prediction | None]:
    """In this process: the network takes 0.6 GB, and all cores or the GPU. Raises UserError without its files."""
    from pipeline.hair import illustration2vec

    images_of = {image_key(image_id, image[1]): image for image_id, image in by_image(faces).items()}
    version = f"{images.VERSION}.{CROP_VERSION}.{VERSION}.{illustration2vec.digest(asked.folder)}"
    progress = Progress("asking Illustration2Vec")
    with asked.store.memory(f"hair/{version}/i2v", [[_NINE, [str]]]) as memory:
        said = {key: memory.get(key) for key in images_of}
        unknown = iter([key for key in images_of if said[key] is None])
        while some := list(itertools.islice(unknown, I2V_PICTURES)):
            for key, told in zip(some, _ask_i2v([images_of[key] for key in some], asked), strict=True):
                said[key] = told
                memory.set(key, told)
                progress.advance()
    progress.close()
    return [Prediction(scores, tags) for key in images_of for scores, tags in said[key]]


def _ask_i2v(pictures: list[tuple[str, list[Face]]], asked: TaggerContext) -> Iterator[list[tuple[Scores, list[str]]]]:
    """Of each picture what is said of each of its faces. Always so many at once as the network takes: with fewer it
    rounds otherwise, and what a killed build left to do would come out in other digits."""
    from pipeline.hair.illustration2vec import BATCH

    crops = []
    for path, faces in pictures:
        picture = load(asked.store.root / path)
        crops += [crop(picture, face, size=I2V_SIZE, box_scale=I2V_SCALE) for face in faces]
    blank = np.zeros((I2V_SIZE, I2V_SIZE, 3), np.uint8)
    told = iter(_illustration2vec(asked.folder).tag_faces([*crops, *[blank] * (-len(crops) % BATCH)]))
    for _, faces in pictures:
        yield [(_rounded(one.hair_scores), one.tags) for one in itertools.islice(told, len(faces))]


@functools.cache
def _illustration2vec(folder: Path | None):
    import torch

    from pipeline.hair import illustration2vec

    return illustration2vec.load(folder, "cuda" if torch.cuda.is_available() else "cpu")


def _rounded(scores: Sequence[float]) -> Scores:
    """Down: they are 1 together at most, and stay so."""
    return [math.floor(1e4 * score) / 1e4 for score in scores]


_TELL: dict[str, Callable[[pa.Table, TaggerContext], list[Prediction | None]]] = {
    "tags": _by_tags,
    "i2v": _by_i2v,
    "color": _by_color,
}
TAGGERS = {"color": ("color",), "i2v": ("i2v",), "tags": ("tags",), "auto": ("tags", "i2v", "color")}
"""--hair-tagger -> who is asked, those first whose word counts more."""


def tagger_chain(tagger: str, folder: Path | None) -> tuple[str, ...]:
    """Of TAGGERS; auto goes on without Illustration2Vec where its files are not."""
    if tagger == "auto" and _missing(folder):
        return tuple(who for who in TAGGERS[tagger] if who != "i2v")
    return TAGGERS[tagger]


def _missing(folder: Path | None) -> list[str]:
    return [name for name in assets.ILLUSTRATION2VEC_TAGGER if not assets.find(name, folder)]


def version_of(tagger: str, folder: Path | None) -> list:
    """What the result depends on besides the faces, JSON values. Raises UserError if a tagger's files are missing."""
    asked = tagger_chain(tagger, folder)
    versions: list = [VERSION, color_version(), *asked]
    if "i2v" in asked:
        assets.bring(*assets.ILLUSTRATION2VEC_TAGGER, folder=folder)
        from pipeline.hair import illustration2vec  # imports torch

        versions.append(illustration2vec.digest(folder))
    return versions


def tag(
    faces: pa.Table,
    store: Store,
    *,
    tagger: str,
    folder: Path | None = None,
    jobs: int = 0,
    more_faces: Iterable[str] = (),
) -> tuple[pa.Table, dict[str, str]]:
    """Faces with their crops' columns -> (the same with the three columns of hair, what the card says of the taggers).

    `folder` is where assets are looked for first; `more_faces` are the image_ids of faces that were found too, and
    dropped. Tags that Illustration2Vec saw are added to `tags`, behind I2V_HEADING."""
    asked, who = TaggerContext(store, folder, jobs, frozenset(more_faces)), tagger_chain(tagger, folder)
    if who != TAGGERS[tagger]:
        missing = " nor ".join(_missing(folder))
        logger.info("no %s of Illustration2Vec here: hair colours come from sites' tags and from the pixels", missing)
    said: dict[str, list[Prediction | None]] = {}
    for one in who:
        # Illustration2Vec is slow: it is asked about what nobody knows yet
        is_open = [one != "i2v" or not any(words) for words in zip(*said.values(), strict=True)] or [True] * len(faces)
        told = iter(_TELL[one](faces.filter(pa.array(is_open, pa.bool_())), asked))
        said[one] = [next(told) if is_asked else None for is_asked in is_open]
    decided = [_decide(dict(zip(who, words, strict=True))) for words in zip(*said.values(), strict=True)]
    faces = with_columns(
        faces,
        hair_color=[row.color for row in decided],
        hair_scores=[row.scores for row in decided],
        hair_tagger=[row.who for row in decided],
    )
    index = faces.schema.get_field_index("tags")
    field = faces.schema.field(index)
    tags = [_tags(old, row.tags) for old, row in zip(faces["tags"].to_pylist(), decided, strict=True)]
    return faces.set_column(index, field, pa.array(tags, field.type)), _told(said)


def _tags(old: Sequence[str] | None, seen: Sequence[str]) -> list[str]:
    site = sites_tags(old)
    seen = [tag for tag in seen if tag not in site]
    return [*site, I2V_HEADING, *seen] if seen else site


class Decision(NamedTuple):
    """What counts of what was said of a face."""

    who: str
    scores: Scores
    color: str | None
    tags: list[str]


def _decide(said: dict[str, Prediction | None]) -> Decision:
    """The first who names a colour counts; if none does, the last who said anything."""
    tags = [tag for words in said.values() if words for tag in words.tags]
    last = Decision(next(iter(said)), [0.0] * len(HAIR_COLORS), None, tags)
    for who, words in said.items():
        if words is not None:
            last = Decision(who, words.scores, name(words.scores, who), tags)
            if last.color:
                return last
    return last


def _told(said: dict[str, list[Prediction | None]]) -> dict[str, str]:
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
