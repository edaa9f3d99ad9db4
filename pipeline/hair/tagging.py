"""Faces -> hair colour: a probability for each of the nine, by the most reliable tagger that applies.

A site's tags apply where a picture has one face and tags of one hair colour. Illustration2Vec, if its weights are
there, was trained on such tags, and so was the WD tagger. The colour network, which needs the pixels alone, always
applies.
"""

import functools
import importlib
import itertools
import logging
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pipeline import assets
from pipeline.faces.boxes import Face
from pipeline.faces.crop import CROP_VERSION, Frame, by_image, crop, image_key, per_face
from pipeline.hair.color_network import color_scores
from pipeline.hair.color_network import version as color_version
from pipeline.images import collect
from pipeline.images.decode import load
from pipeline.later_work import Work
from pipeline.manifest import HAIR_COLORS, rows_of, with_columns
from pipeline.progress import Progress
from pipeline.store import Store
from pipeline.stored import NUMBER

VERSION = 4
# A colour is named when it is this probable, and more so than any other and than "none".
MIN_COLOR_PROBABILITY = 1 / 3
SITE_TAG_PROBABILITY = 0.95  # of a site's tag: people tag well, but sometimes another face in the picture


class NetworkTagger(NamedTuple):
    """One row of NETWORKS."""

    module: str  # in `pipeline.hair`: BATCH, `digest(folder)`, and `load(folder)`, which returns what has `tag_faces`
    title: str
    heading: str  # among the tags of a row: those after it are the network's, not the source's
    size: int  # px of the crop that it looks at
    scale: float  # side of the crop, in sides of the face
    least: float  # probability from which a colour is named: that of the article, or of the author

    @property
    def functions(self) -> Any:
        """Return the module; that of Illustration2Vec imports torch."""
        return importlib.import_module(f"pipeline.hair.{self.module}")


NETWORKS = {
    "i2v": NetworkTagger("illustration2vec", "Illustration2Vec", "illustration2vec:", 224, 1.5, 0.25),
    "wd": NetworkTagger("wd", "the WD tagger", "wd:", 448, 2.0, 0.35),
}
"""Taggers that look at crops and predict other tags, too."""

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
"""Tag as sites spell it -> one of the nine colours."""
_SEVERAL_COLORS = re.compile(
    "(multi_?colou?red|two_toned?|split_colou?r(ed)?|gradient|streaked|rainbow|colou?red_(inner|tips))_hair"
)

logger = logging.getLogger("luigi-interface")

Scores = list[float]
"""Nine probabilities, in the order of HAIR_COLORS; what is left to 1 is "none"."""
_NINE = [NUMBER] * len(HAIR_COLORS)


def name(scores: Scores, tagger: str = "color") -> str | None:
    """Return the colour that the nine probabilities of that tagger name, or None."""
    best = max(range(len(scores)), key=scores.__getitem__)
    least = NETWORKS[tagger].least if tagger in NETWORKS else max(MIN_COLOR_PROBABILITY, 1 - sum(scores))
    return HAIR_COLORS[best] if scores[best] >= least else None


def names(crops: np.ndarray, frame: Frame) -> list[str | None]:
    """Return the colour of each of (N, S, S, 3) uint8 crops of one face, cut with that frame, by their pixels."""
    face = Face(frame.box(crops.shape[1]), tilt=0.0, score=0.0)
    return [name(color_scores(picture, face)) for picture in crops]


class TaggerContext(NamedTuple):
    """The arguments that all taggers share."""

    store: Store
    folder: Path | None  # where assets are looked for first
    jobs: int
    more_faces: frozenset[str] = frozenset()  # image_ids of faces that were found too, and are not in the table


class Prediction(NamedTuple):
    """A tagger's result for one face."""

    scores: Scores
    tags: list[str]  # other tags that it predicts, spelled as sites do


ByTagger = dict[str, Prediction | None]
"""The tagger, in the order of its chain -> its prediction for a face; None: it does not apply."""


def site_tags(tags: Iterable[str] | None) -> list[str]:
    """Return the source's tags, without those that a network added."""
    headings = {network.heading for network in NETWORKS.values()}
    return list(itertools.takewhile(lambda tag: tag not in headings, tags or ()))


def _predict_by_tags(faces: pa.Table, context: TaggerContext) -> list[Prediction | None]:
    """Predict from the site's tags, for pictures with one face and tags of one colour; None for others."""
    count = Counter([*faces["image_id"].to_pylist(), *context.more_faces])
    predictions: list[Prediction | None] = []
    for image_id, tags in rows_of(faces, "image_id", "tags"):
        spelled = {re.sub("[ -]", "_", tag.strip().lower()) for tag in site_tags(tags)}
        colors = {HAIR_TAGS[tag] for tag in spelled & HAIR_TAGS.keys()}
        if count[image_id] == 1 and len(colors) == 1 and not any(map(_SEVERAL_COLORS.fullmatch, spelled)):
            predictions.append(Prediction([SITE_TAG_PROBABILITY * (color in colors) for color in HAIR_COLORS], []))
        else:
            predictions.append(None)
    return predictions


def _predict_by_color(faces: pa.Table, context: TaggerContext) -> list[Prediction | None]:
    work, jobs = _color_work(), context.jobs
    scores = per_face(faces, context.store, work, shape=[_NINE], what="looking at hair", jobs=jobs)
    if missing := scores.count(None):
        logger.warning("%d faces: not enough memory to look at their hair", missing)
    return [Prediction(nine or [0.0] * len(HAIR_COLORS), []) for nine in scores]


def _color_work() -> Work:
    return Work(f"hair/{collect.VERSION}.{CROP_VERSION}.{VERSION}.{color_version()}/color", _score_faces)


def _score_faces(picture: np.ndarray, faces: list[Face], file: Path) -> list[Scores]:
    return [_round_down(color_scores(picture, face)) for face in faces]


def _predict_by_network(faces: pa.Table, context: TaggerContext, *, network: str) -> list[Prediction | None]:
    """Predict in this process: one of NETWORKS takes 0.6 GB or more, and all cores or the GPU. Raise UserError without
    its files."""
    images_of = {image_key(image_id, image[1]): image for image_id, image in by_image(faces).items()}
    version = f"{collect.VERSION}.{CROP_VERSION}.{VERSION}.{NETWORKS[network].functions.digest(context.folder)}"
    progress = Progress(f"asking {NETWORKS[network].title}")
    with context.store.memory(f"hair/{version}/{network}", [[_NINE, [str]]]) as memory:
        predictions = {key: memory.get(key) for key in images_of}
        unknown = [key for key in images_of if predictions[key] is None]
        results = _run_network(NETWORKS[network], [images_of[key] for key in unknown], context)
        for key, result in zip(unknown, results, strict=True):
            predictions[key] = result
            memory.set(key, result)
            progress.advance()
    progress.close()
    return [Prediction(scores, tags) for key in images_of for scores, tags in predictions[key]]


def _run_network(
    network: NetworkTagger, pictures: list[tuple[str, list[Face]]], context: TaggerContext
) -> Iterator[list[tuple[Scores, list[str]]]]:
    """Yield (scores, tags) of each face of each picture."""
    results = _tag_crops(network, pictures, context)
    for _, faces in pictures:
        yield [(_round_down(scores), tags) for scores, tags in itertools.islice(results, len(faces))]


def _tag_crops(
    network: NetworkTagger, pictures: list[tuple[str, list[Face]]], context: TaggerContext
) -> Iterator[tuple[Scores, list[str]]]:
    """Yield (scores, tags) of each face. The last batch is filled with blank crops: a network rounds differently in
    smaller ones, and a resumed build would get other digits."""
    tagger, batch = network.functions.load(context.folder), network.functions.BATCH
    crops = (
        crop(picture, face, size=network.size, box_scale=network.scale)
        for path, faces in pictures
        for picture in [load(context.store.root / path)]
        for face in faces
    )
    blank = np.zeros((network.size, network.size, 3), np.uint8)
    while some := list(itertools.islice(crops, batch)):
        yield from tagger.tag_faces([*some, *[blank] * (batch - len(some))])[: len(some)]


def _round_down(scores: Sequence[float]) -> Scores:
    """Return the scores rounded down to four decimals: their sum, 1 at most, must not grow."""
    return [math.floor(1e4 * score) / 1e4 for score in scores]


_PREDICT: dict[str, Callable[[pa.Table, TaggerContext], list[Prediction | None]]] = {
    "tags": _predict_by_tags,
    "i2v": functools.partial(_predict_by_network, network="i2v"),
    "wd": functools.partial(_predict_by_network, network="wd"),
    "color": _predict_by_color,
}
TAGGERS = {"color": ("color",), "i2v": ("i2v",), "wd": ("wd",), "tags": ("tags",), "auto": ("tags", "i2v", "color")}
"""--hair-tagger -> the taggers to run, by falling precedence."""


def tagger_chain(tagger: str, folder: Path | None) -> tuple[str, ...]:
    """Return the taggers of a row of TAGGERS; auto omits Illustration2Vec if its files are missing."""
    if tagger == "auto" and _missing(folder):
        return tuple(name for name in TAGGERS[tagger] if name != "i2v")
    return TAGGERS[tagger]


def picture_work(tagger: str, folder: Path | None) -> list[Work]:
    """Return the work of that row of TAGGERS on each picture and its faces; the others work on tags, or in batches."""
    return [_color_work()] if "color" in tagger_chain(tagger, folder) else []


def _missing(folder: Path | None) -> list[str]:
    return [name for name in assets.ILLUSTRATION2VEC_TAGGER if not assets.find(name, folder)]


def version_of(tagger: str, folder: Path | None) -> list:
    """Return what the result depends on besides the faces, JSON values. Raise UserError if a tagger's files are
    missing."""
    chain = tagger_chain(tagger, folder)
    return [VERSION, color_version(), *chain, *_digests(chain, folder).values()]


def _digests(chain: Iterable[str], folder: Path | None) -> dict[str, str]:
    """Return the digest of the files of each network of the chain. Raise UserError if one cannot be used."""
    return {member: NETWORKS[member].functions.digest(folder) for member in chain if member in NETWORKS}


def tag(
    faces: pa.Table, store: Store, *, tagger: str, folder: Path | None, jobs: int = 0, more_faces: Iterable[str] = ()
) -> tuple[pa.Table, dict[str, str]]:
    """Return (the faces with the three columns of hair, lines for the card about the taggers).

    `faces` have their crops' columns; `folder` is where assets are looked for first; `more_faces` are the image_ids of
    faces that were found too, and dropped. Tags of one of NETWORKS are added to `tags`, after its heading."""
    context, chain = TaggerContext(store, folder, jobs, frozenset(more_faces)), tagger_chain(tagger, folder)
    if chain != TAGGERS[tagger]:
        missing = " nor ".join(_missing(folder))
        logger.info("no %s of Illustration2Vec here: hair colours come from sites' tags and from the pixels", missing)
    predictions: list[ByTagger] = [{} for _ in range(len(faces))]
    for member in chain:
        # Illustration2Vec is slow: it runs on faces without a prediction
        needs_one = [member != "i2v" or not any(of_face.values()) for of_face in predictions]
        found = iter(_PREDICT[member](faces.filter(pa.array(needs_one, pa.bool_())), context))
        for of_face, is_needed in zip(predictions, needs_one, strict=True):
            of_face[member] = next(found) if is_needed else None
    heading = next((row.heading for key, row in NETWORKS.items() if key in chain), "")  # without one no tags are added
    decided = [_decide(of_face) for of_face in predictions]
    faces = with_columns(
        faces,
        hair_color=[row.color for row in decided],
        hair_scores=[row.scores for row in decided],
        hair_tagger=[row.tagger for row in decided],
        tags=[_tags(old, heading, row.tags) for old, row in zip(faces["tags"].to_pylist(), decided, strict=True)],
    )
    files = {f"files of {member}": digest for member, digest in _digests(chain, folder).items()}
    return faces, _count_disagreements(predictions, chain) | files


def _tags(old: Sequence[str] | None, heading: str, seen: Sequence[str]) -> list[str]:
    site = site_tags(old)
    seen = [tag for tag in seen if tag not in site]
    return [*site, heading, *seen] if seen else site


class Decision(NamedTuple):
    """The prediction that is used for a face, and the tags of all taggers."""

    tagger: str
    scores: Scores
    color: str | None
    tags: list[str]


def _decide(predictions: ByTagger) -> Decision:
    """Return the prediction of the first tagger that names a colour; if none does, the last prediction."""
    tags = [tag for prediction in predictions.values() if prediction for tag in prediction.tags]
    last = Decision(next(iter(predictions)), [0.0] * len(HAIR_COLORS), None, tags)
    for tagger, prediction in predictions.items():
        if prediction is not None:
            last = Decision(tagger, prediction.scores, name(prediction.scores, tagger), tags)
            if last.color:
                return last
    return last


def _count_disagreements(predictions: Iterable[ByTagger], chain: Iterable[str]) -> dict[str, str]:
    """Return, for each two taggers, how often they name different colours for the same face, as lines for the card."""
    named = [{tagger: name(found.scores, tagger) for tagger, found in each.items() if found} for each in predictions]
    lines = {}
    for a, b in itertools.combinations(chain, 2):
        pairs = [(colors[a], colors[b]) for colors in named if colors.get(a) and colors.get(b)]
        if pairs:
            differ = sum(x != y for x, y in pairs)
            lines[f"hair colours by {a} and by {b}"] = f"{differ:,} of {len(pairs):,} faces differ"
    return lines
