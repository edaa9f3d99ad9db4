"""The taggers of hair colour: how fast each is, and how often right on drawn portraits. Run by tests/benchmarks."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from PIL import ImageColor

from pipeline.datasets.plots import SWATCHES
from pipeline.errors import UserError
from pipeline.faces.boxes import Face
from pipeline.faces.crop import crop
from pipeline.hair import color_network as hair_color
from pipeline.hair import illustration2vec
from pipeline.hair import tagging as hair
from pipeline.hair.color_names import to_lab
from pipeline.manifest import FACES, HAIR_COLORS
from pipeline.sources.drawn import draw
from pipeline.store import Store
from tests.support import caffe_files

SEED = 3  # of the drawn portraits
MANY = 1_000  # rows for each portrait, where only tags are read


class Work(NamedTuple):
    """A tagger to be timed."""

    run: Callable[[], list[str | None]]
    truth: list[str]
    """What it should name, in the order of what it names."""
    is_judged: bool = True


def hair_works(count: int = 96) -> dict[str, Work]:
    """Of each tagger on drawn portraits: of Illustration2Vec also on a GPU, if there is one. Where its weights are not
    here it has random ones: they cost as much, and say nothing."""
    torch.set_num_threads(1)
    drawn = [draw(SEED, i) for i in range(count)]
    truth = [truth.hair_color for _, truth in drawn]
    faces = [(np.asarray(picture), Face(truth.face_box, truth.tilt, 1.0)) for picture, truth in drawn]
    works = {
        "nearest swatch": Work(lambda: [nearest_swatch(*face) for face in faces], truth),
        "color": Work(lambda: [hair.name(hair_color.color_scores(*face)) for face in faces], truth),
        "tags": Work(lambda: _predict_by_tags(truth), truth * MANY),
    }
    i2v = hair.NETWORKS["i2v"]
    crops = [crop(*face, size=i2v.size, box_scale=i2v.scale) for face in faces]
    for device in ["cpu"] + ["cuda"] * torch.cuda.is_available():
        tagger, weights = _illustration2vec(device)
        few = slice(0, 2 * illustration2vec.BATCH if device == "cpu" else None)
        for batch in (1, illustration2vec.BATCH):
            works[f"i2v, {weights} weights, {device}, {batch} at once"] = Work(
                lambda tagger=tagger, few=few, batch=batch: _predict_by_i2v(tagger, crops[few], batch),
                truth[few],
                is_judged=weights == "its own",
            )
    return works


def nearest_swatch(picture: np.ndarray, face: Face) -> str:
    """The obvious way: the median colour above the brows, and of the nine the one nearest to it."""
    strip = crop(picture, face, size=64, box_scale=1.5)[4:20, 16:48]
    seen = np.median(to_lab(strip / 255).reshape(-1, 3), axis=0)
    swatches = to_lab(np.array([ImageColor.getrgb(SWATCHES[name]) for name in HAIR_COLORS]) / 255)
    return HAIR_COLORS[np.linalg.norm(swatches - seen, axis=1).argmin()]


def _predict_by_tags(truth: list[str]) -> list[str | None]:
    schema = pa.schema([FACES.field("image_id"), FACES.field("tags")])
    tags = [["1girl", "smile", f"{color}_hair"] for color in truth * MANY]
    faces = pa.table({"image_id": [f"{i}" for i in range(len(tags))], "tags": tags}, schema)
    with tempfile.TemporaryDirectory() as root:
        return hair.tag(faces, Store(Path(root)), tagger="tags", folder=None)[0]["hair_color"].to_pylist()


def _predict_by_i2v(tagger: illustration2vec.Illustration2Vec, crops: list[np.ndarray], batch: int) -> list[str | None]:
    reported = [tagger.tag_faces(crops[at : at + batch]) for at in range(0, len(crops), batch)]
    return [hair.name(face.hair_scores, "i2v") for some in reported for face in some]


def _illustration2vec(device: str) -> tuple[illustration2vec.Illustration2Vec, str]:
    try:
        return illustration2vec.load(device=device), "its own"
    except UserError:
        network = caffe_files.at_random(illustration2vec.Tagger())
        names = [f"tag {number}" for number in range(illustration2vec.TAGS)]
        return illustration2vec.Illustration2Vec(network, names, device), "random"
