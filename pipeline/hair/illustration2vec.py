"""Illustration2Vec: the probabilities of 1,539 tags, or 4,096 features, of a drawn picture.

Saito, Matsui: "Illustration2Vec: A Semantic Vector Representation of Illustrations", SIGGRAPH Asia 2015 Technical
Briefs, https://doi.org/10.1145/2820903.2820907. The authors' weights are Caffe's, https://github.com/rezoo/illustration2vec
(MIT); the calls `make_i2v_with_…`, `estimate_…` and `extract_…` are those of their package `i2v`, and so are the
arguments, and the shapes and errors of their results. Code that was written for it runs after
`import pipeline.hair.illustration2vec as i2v`, and unchanged where the module `i2v` of this program is installed.

The sha256 of the weights is not known here: the user supplies them (`assets.USER_SUPPLIED`), their shapes are compared
with the network's, and their own sha256 is part of the cache names of results.

In shapes: N pictures. Departs from the package where it enlarges: beyond a picture's edge its last pixels go on, where
the package of 2015 had the picture's darkest value.
"""

import gzip
import hashlib
import io
import json
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from pipeline import assets
from pipeline.errors import UserError
from pipeline.hair import caffemodel
from pipeline.manifest import HAIR_COLORS
from pipeline.store import sha256_of

TAGGER, TAG_LIST = assets.ILLUSTRATION2VEC_TAGGER
ENCODER = "illust2vec_ver200.caffemodel"
KINDS = {
    "general": slice(0, 512),
    "character": slice(512, 1024),
    "copyright": slice(1024, 1536),
    "rating": slice(1536, 1539),
}
RATINGS = ["safe", "questionable", "explicit"]
TAGS, FEATURES = 1539, 4096
_IS_RATING = np.arange(TAGS) >= KINDS["rating"].start
THRESHOLD = 0.25  # probability above which a tag is plausible

WIDTHS = ((64,), (128,), (256, 256), (512, 512), (512, 512), (1024, 1024, 1024))  # of each stage's convolutions
SIDE = 224  # px: 7 × 2⁵, so that every halving comes out even
MEAN = (164.76139251, 167.47864617, 181.13838569)  # blue, green, red, 0..255
MAX_TAG_LIST_BYTES = 1 << 20  # the list has 30 kB
BATCH = 16  # pictures at once: 0.4 GB of activations

# Hair colour -> the tags of the list that name it: see `tagging.HAIR_TAGS`. The list has one spelling of grey.
HAIR_TAGS = {color: (f"{color} hair",) for color in HAIR_COLORS} | {
    "blue": ("blue hair", "aqua hair"),
    "brown": ("brown hair", "orange hair"),
    "silver": ("silver hair", "white hair", "grey hair", "gray hair"),
}


def _trunk(widths: Sequence[Sequence[int]]) -> OrderedDict[str, nn.Module]:
    """Return layers (N, 3, 224, 224) -> (N, 1024, 7, 7), with the names that they have in the caffemodel."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    width = 3
    for stage, wides in enumerate(widths, start=1):
        for number, wide in enumerate(wides, start=1):
            layers[f"conv{stage}_{number}"] = nn.Conv2d(width, wide, 3, padding=1)
            layers[f"relu{stage}_{number}"] = nn.ReLU(inplace=True)
            width = wide
        if stage < len(widths):
            layers[f"pool{stage}"] = nn.MaxPool2d(2)
    return layers


class Tagger(nn.Sequential):
    """`prepare`d pictures (N, 3, 224, 224) -> (N, 1539) probabilities."""

    def __init__(self, widths: Sequence[Sequence[int]] = WIDTHS):
        layers = _trunk(widths)
        layers["conv6_4"] = nn.Conv2d(widths[-1][-1], TAGS, 3, padding=1)  # (N, 1539, 7, 7)
        super().__init__(layers | OrderedDict(pool6=nn.AvgPool2d(7), flat=nn.Flatten(), prob=nn.Sigmoid()))


class Encoder(nn.Sequential):
    """`prepare`d pictures (N, 3, 224, 224) -> (N, 4096) features."""

    def __init__(self, widths: Sequence[Sequence[int]] = WIDTHS):
        layers = _trunk(widths) | OrderedDict(flat=nn.Flatten())
        layers["encode1"] = nn.Linear(7 * 7 * widths[-1][-1], FEATURES)
        super().__init__(layers)


Picture = Image.Image | np.ndarray
"""Pillow's, or (H, W), (H, W, 3) or (H, W, 4) of 0..255: grey, RGB, or RGBA, whose alpha is ignored."""


def prepare(pictures: Sequence[Picture]) -> Tensor:
    """Return (N, 3, 224, 224) float32: resized to a square, bilinear between pixel centres without antialiasing, as the
    training pictures were; channels blue, green, red, less their means."""
    pixels = np.empty((len(pictures), SIDE, SIDE, 3), np.float32)
    for row, picture in zip(pixels, pictures, strict=True):
        row[:] = _resize(picture)[:, :, ::-1] - MEAN
    return torch.from_numpy(pixels).movedim(3, 1)


def _resize(picture: Picture) -> np.ndarray:
    pixels = np.asarray(picture.convert("RGB") if isinstance(picture, Image.Image) else picture, np.float32)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    if pixels.ndim != 3 or pixels.shape[2] not in (3, 4):
        raise ValueError(f"a picture of shape {pixels.shape} instead of (H, W), (H, W, 3) or (H, W, 4)")
    return cv2.resize(pixels[:, :, :3], (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)


class FaceTags(NamedTuple):
    """The predictions for one face."""

    hair_scores: list[float]
    """Of the nine in the order of HAIR_COLORS: 0..1, summing to 1 or less."""
    tags: list[str]
    """The likely ones of all kinds but rating, likeliest first within a kind, spelled as sites do: blue_hair."""


class Illustration2Vec:
    """A network and, if it is the tagger, the names of its tags, and the thresholds of the rule f0.5."""

    def __init__(
        self,
        network: nn.Module,
        tags: Sequence[str] | None = None,
        device: torch.device | str = "cpu",
        threshold: np.ndarray | None = None,
    ):
        self.network = network.requires_grad_(False).eval().to(device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # which torch's stubs lack
        self.device = device
        self.tags = None if tags is None else np.array(tags)
        self.threshold = threshold
        self.index = {tag: number for number, tag in enumerate(tags or ())}  # of two equal names the last, as in `i2v`

    def probabilities(self, pictures: Sequence[Picture]) -> np.ndarray:
        """Return (N, 1539) float32 of 0..1, in the order of `tags`. In the sixth decimal they depend on the other
        pictures of the call: the same bytes need the same groups of pictures. Raise UserError for an encoder."""
        if self.tags is None:
            raise UserError("illustration2vec", "the network for features", f"the one for tags, {TAGGER}", "load that")
        return self._outputs(pictures)

    def estimate_specific_tags(self, images: Sequence[Picture], tags: Sequence[str]) -> list[dict[str, float]]:
        """Return {tag: probability} of each picture. Raise KeyError for a tag that is not in the list."""
        found = self.probabilities(images)
        return [{tag: float(row[self.index[tag]]) for tag in tags} for row in found]

    def estimate_top_tags(self, images: Sequence[Picture], n_tag: int = 10) -> list[dict[str, list]]:
        """Return {kind: [(tag, probability), …]} of each picture: the likeliest `n_tag` of a kind, all three
        ratings."""
        return [
            {kind: self._top(row, kind)[: None if kind == "rating" else n_tag] for kind in KINDS}
            for row in self.probabilities(images)
        ]

    def estimate_plausible_tags(
        self, images: Sequence[Picture], threshold: float = THRESHOLD, threshold_rule: str = "constant"
    ) -> list[dict[str, list]]:
        """Return {kind: [(tag, probability), …]} of each picture: those above the threshold, all three ratings.

        With the rule f0.5 each tag has a threshold of its own, of the file that `make_i2v_with_…` was given, where
        precision counts twice as much as recall. Raise TypeError for another rule, or without that file."""
        if threshold_rule not in ("constant", "f0.5"):
            raise TypeError(f"threshold_rule: constant or f0.5 expected, {threshold_rule!r} given")
        if threshold_rule == "f0.5" and self.threshold is None:
            raise TypeError("threshold_rule f0.5 needs thresholds: give threshold_path when the network is loaded")
        limits = np.full(TAGS, threshold) if threshold_rule == "constant" else np.asarray(self.threshold)
        return [
            {kind: self._top(np.where((row > limits) | _IS_RATING, row, -1), kind) for kind in KINDS}
            for row in self.probabilities(images)
        ]

    def extract_feature(self, images: Sequence[Picture]) -> np.ndarray:
        """Return (N, 4096) float32. Raise UserError for a tagger."""
        if self.tags is not None:
            raise UserError("illustration2vec", "the network for tags", f"the one for features, {ENCODER}", "load that")
        return self._outputs(images)

    def extract_binary_feature(self, images: Sequence[Picture]) -> np.ndarray:
        """Return (N, 512) uint8: the signs of the features, eight in a byte, the first in its highest bit."""
        return np.packbits(self.extract_feature(images) > 0, axis=1)

    def tag_faces(self, crops: Sequence[Picture], threshold: float = THRESHOLD) -> list[FaceTags]:
        """Return the hair scores and the tags of each crop of a face."""
        results = []
        for row in self.probabilities(crops):
            general = dict(self._top(row, "general"))
            nine = [max(general.get(tag, 0.0) for tag in HAIR_TAGS[color]) for color in HAIR_COLORS]
            likely = [tag for kind in KINDS if kind != "rating" for tag, p in self._top(row, kind) if p > threshold]
            tags = list(dict.fromkeys(tag.replace(" ", "_") for tag in likely))
            results.append(FaceTags([score / max(1.0, sum(nine)) for score in nine], tags))
        return results

    def _outputs(self, pictures: Sequence[Picture]) -> np.ndarray:
        # What PyTorch allows a GPU's convolutions, TensorFloat-32, has three decimal places: results would differ.
        full_precision = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with torch.inference_mode(), full_precision:
            starts = range(0, max(1, len(pictures)), BATCH)
            parts = [self.network(prepare(pictures[at : at + BATCH]).to(self.device)).cpu() for at in starts]
            return torch.cat(parts).numpy()

    def _top(self, probabilities: np.ndarray, kind: str) -> list[tuple[str, float]]:
        """Return (tag, probability) of a kind, likeliest first, without negative ones."""
        assert self.tags is not None
        row, tags = probabilities[KINDS[kind]], self.tags[KINDS[kind]].tolist()
        return [(tags[number], float(row[number])) for number in np.argsort(-row, kind="stable") if row[number] >= 0]


def load(folder: Path | None = None, device: torch.device | str | None = None) -> Illustration2Vec:
    """Return the tagger with the files that the user supplied, on the GPU if there is one. Raise UserError if they are
    missing, with where to get and to put them, or damaged."""
    weights, tags = assets.find_all(TAGGER, TAG_LIST, folder=folder)
    return make_i2v_with_torch(weights, tags, device or ("cuda" if torch.cuda.is_available() else "cpu"))


def digest(folder: Path | None = None) -> str:
    """Return the digest of the weights and tags that `load` would load. Raise UserError if one of them is missing or
    fails `caffemodel.check`."""
    weights, tags = assets.find_all(TAGGER, TAG_LIST, folder=folder)
    with torch.device("meta"):
        caffemodel.check(weights, Tagger())
    causes = [sha256_of(weights), *read_tags(tags)]
    return hashlib.sha256(json.dumps(causes).encode()).hexdigest()[:16]


def make_i2v_with_torch(
    param_path: Path | str,
    tag_path: Path | str | None = None,
    device: torch.device | str = "cpu",
    threshold_path: Path | str | None = None,
) -> Illustration2Vec:
    """Return the tagger if a list of tags is given, else the encoder. Raise UserError."""
    with torch.device("meta"):  # shapes only: the file is checked before memory is allocated
        network = Encoder() if tag_path is None else Tagger()
    tags = None if tag_path is None else read_tags(Path(tag_path))
    threshold = None if threshold_path is None else _read_thresholds(Path(threshold_path))
    caffemodel.load_into(network, Path(param_path))
    return Illustration2Vec(network, tags, device, threshold)


def make_i2v_with_chainer(
    param_path: Path | str, tag_path: Path | str | None = None, threshold_path: Path | str | None = None
) -> Illustration2Vec:
    """Return the same by the name, and with the arguments, that the package's users call. Chainer is not needed."""
    return make_i2v_with_torch(param_path, tag_path, threshold_path=threshold_path)


def make_i2v_with_onnx(
    param_path: Path | str, tag_path: Path | str | None = None, threshold_path: Path | str | None = None
) -> Illustration2Vec:
    """Return the same of a network in an ONNX file, which OpenCV runs, on the CPU. Raise UserError."""
    tags = None if tag_path is None else read_tags(Path(tag_path))
    threshold = None if threshold_path is None else _read_thresholds(Path(threshold_path))
    return Illustration2Vec(_OnnxNetwork(Path(param_path), FEATURES if tags is None else TAGS), tags, "cpu", threshold)


class _OnnxNetwork(nn.Module):
    """`prepare`d pictures (N, 3, 224, 224) -> (N, `outputs`), by OpenCV."""

    def __init__(self, path: Path, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        try:
            self._net = cv2.dnn.readNetFromONNX(str(path))
            found = self(torch.zeros(1, 3, SIDE, SIDE)).shape
        except cv2.error as error:
            raise UserError(path, "no network in ONNX", f"one of {outputs:,} outputs", "give another") from error
        if tuple(found) != (1, outputs):
            raise UserError(path, f"{found[1]:,} outputs", f"{outputs:,}", "give the other of tagger and encoder")

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of each picture: one at a time, as the file may fix the size of the batch."""
        rows = []
        for picture in x.numpy():
            self._net.setInput(picture[None])
            rows.append(self._net.forward().reshape(1, -1))
        return torch.from_numpy(np.concatenate(rows))


def _read_thresholds(path: Path) -> np.ndarray:
    """Return the array `threshold` (1539,) of an .npz file. Raise UserError."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            threshold = np.asarray(arrays["threshold"], np.float64).reshape(-1)
        if len(threshold) != TAGS or not np.isfinite(threshold).all():
            raise ValueError(f"{len(threshold):,} numbers")
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        expected = f"an .npz file with `threshold`, {TAGS:,} numbers"
        raise UserError(path, " ".join(str(error).split())[:100], expected, "give another") from error
    return threshold


def read_tags(path: Path) -> list[str]:
    """Return the 1,539 names of tag_list.json, gzipped or not. Raise UserError."""
    try:
        data = path.read_bytes() if path.stat().st_size < MAX_TAG_LIST_BYTES else b""
        if data.startswith(b"\x1f\x8b"):  # gzip's first bytes
            with gzip.open(io.BytesIO(data)) as unpacked:
                data = unpacked.read(MAX_TAG_LIST_BYTES)
        tags = json.loads(data)
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise ValueError("no list of names")
        "".join(tags).encode()  # no halves of characters
        colors = {f"{color} hair" for color in HAIR_COLORS}
        if len(tags) != TAGS or tags[KINDS["rating"]] != RATINGS or not colors < set(tags[KINDS["general"]]):
            raise ValueError(f"another list, of {len(tags):,} names")
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        expected = f"a JSON list of {TAGS:,} tags, with the nine colours of hair and the three ratings in their places"
        raise UserError(path, str(error), expected, "download it again") from error
    return tags
