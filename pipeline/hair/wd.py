"""The WD taggers of SmilingWolf, version 3: the probabilities of 10,861 tags of Danbooru, of a drawn picture.

An ONNX file maps (N, 448, 448, 3) BGR, 0..255, to (N, tags) probabilities, and `selected_tags.csv` has a row for each
tag: https://huggingface.co/SmilingWolf/wd-swinv2-tagger-v3 (Apache-2.0). Both are fetched, unless the user has others,
named WEIGHTS and TAG_LIST."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline import assets
from pipeline.errors import UserError
from pipeline.hair.tagging import HAIR_TAGS, Prediction
from pipeline.manifest import HAIR_COLORS
from pipeline.onnx_network import OnnxNetwork, check_installed
from pipeline.tags import normal_tag

WEIGHTS, TAG_LIST = "wd.onnx", "wd.csv"
SIDE = 448  # px
BATCH = 8  # pictures at once: 1 GB of activations
MAX_TAG_LIST_LENGTH = 1 << 22  # characters; the list has 308,468
GENERAL, CHARACTER, RATING = "0", "4", "9"  # categories, of which each picture has one rating
MIN_PROBABILITY = {GENERAL: 0.35, CHARACTER: 0.85}  # of a tag: the author's


class Tagger:
    """A network, and the names and categories of its tags."""

    def __init__(self, weights: Path, tag_list: Path) -> None:
        self.tags = read_tags(tag_list)
        self.network = OnnxNetwork(weights, (SIDE, SIDE, 3))
        kinds = np.array([kind for _, kind in self.tags])
        self._of_kind = {kind: np.flatnonzero(kinds == kind) for kind in (GENERAL, CHARACTER, RATING)}
        colors = [HAIR_TAGS.get(name) if kind == GENERAL else None for name, kind in self.tags]
        self._of_color = [[i for i, name in enumerate(colors) if name == color] for color in HAIR_COLORS]

    def tag_faces(self, crops: Sequence[np.ndarray]) -> list[Prediction]:
        """Return the hair scores and the tags of each crop of a face, (448, 448, 3) uint8 RGB. Raise UserError."""
        return [self._predict(row) for row in self._outputs(self.prepare(crops))]

    @staticmethod
    def prepare(crops: Sequence[np.ndarray]) -> np.ndarray:
        """Return (N, 448, 448, 3) float32, BGR."""
        return np.stack(crops)[..., ::-1].astype(np.float32)

    def _outputs(self, x: np.ndarray) -> np.ndarray:
        found = self.network(x)
        if found.shape != (len(x), len(self.tags)) or not ((found >= 0) & (found <= 1)).all():
            size = f"({len(x)}, {len(self.tags)})"
            raise self.network.output_error(found, f"{size} of 0 to 1, as {TAG_LIST} has {len(self.tags):,} tags")
        return found

    def _predict(self, likely: np.ndarray) -> Prediction:
        nine = [float(likely[tags].max()) for tags in self._of_color]
        tags = [tag for kind, least in MIN_PROBABILITY.items() for tag in self._ranked(likely, kind, least)]
        rating = [f"rating:{name}" for name in self._ranked(likely, RATING, 0)[:1]]
        return Prediction([score / max(1.0, sum(nine)) for score in nine], list(dict.fromkeys(tags + rating)))

    def _ranked(self, likely: np.ndarray, kind: str, least: float) -> list[str]:
        """Return the tags of that kind and probability, likeliest first."""
        of_kind = self._of_kind[kind]
        ranked = of_kind[np.argsort(-likely[of_kind], kind="stable")]
        return [self.tags[i][0] for i in ranked[likely[ranked] >= least]]


def load(folder: Path | None = None) -> Tagger:
    """Return the tagger of the user's files, or of the usual ones. Raise UserError if they are missing, or do not
    fit."""
    return Tagger(*(assets.find_or_fetch(name, folder) for name in (WEIGHTS, TAG_LIST)))


def digest(folder: Path | None = None) -> str:
    """Return the sha256 of the weights and of the tags that `load` would load. Raise UserError without onnxruntime."""
    check_installed()
    return ".".join(assets.digest(name, folder) for name in (WEIGHTS, TAG_LIST))


def read_tags(path: Path) -> list[tuple[str, str]]:
    """Return (name, category) of each row of a `selected_tags.csv`. Raise UserError."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            lines = file.read(MAX_TAG_LIST_LENGTH + 1)
        if len(lines) > MAX_TAG_LIST_LENGTH:
            raise ValueError(f"more than {MAX_TAG_LIST_LENGTH:,} characters")
        rows = [(row.get("name"), row.get("category")) for row in csv.DictReader(io.StringIO(lines))]
        tags = [(normal_tag(name), kind) for name, kind in rows if name is not None and kind is not None]
        if len(tags) < len(rows):
            raise ValueError("a row without name or category")
        general = {name for name, category in tags if category == GENERAL}
        if missing := set(HAIR_COLORS) - {color for tag, color in HAIR_TAGS.items() if tag in general}:
            raise ValueError(f"no {min(missing)} hair among {len(tags):,} tags")
    except (OSError, ValueError, csv.Error) as error:
        found = " ".join(str(error).split())[:200]
        expected = "selected_tags.csv of a WD tagger, with name and category (0 general, 4 character, 9 rating)"
        raise UserError(path, found, expected, "give the one of the same network") from error
    return tags
