"""A face's pixels -> hair colour: a probability for each of the nine.

A small network predicts where hair is and which colour it has there, as opposed to skin, eyes and background. It was
trained by TrainHairTagger on drawn heads alone (`hair_patches`). It is so small that NumPy runs it: a build needs no
torch, and its results do not depend on how many threads work."""

import functools
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file

from pipeline.errors import UserError
from pipeline.faces.boxes import Face
from pipeline.faces.crop import crop
from pipeline.hair.color_names import to_lab

VERSION = 3
PATCH = 64  # px: side of the patch that is looked at
FACE_SIDES = 2.0  # side of the patch, in sides of the face
CELLS = 16  # a side: of what the network looks at, 4 px each
WEIGHTS = Path(__file__).with_suffix(".safetensors")
_CENTER, _RANGE = (50.0, 0.0, 0.0), (30.0, 20.0, 20.0)  # of lightness, a and b


def color_scores(picture: np.ndarray, face: Face) -> list[float]:
    """Return nine probabilities, in the order of HAIR_COLORS, of a face in an (H, W, 3) uint8 RGB original; what is
    left to 1 is that of none."""
    patch = crop(picture, face, size=PATCH, box_scale=FACE_SIDES)
    both = [_probabilities(normalize(view), _weights()) for view in (patch, patch[:, ::-1])]
    return [float(share) for share in np.mean(both, axis=0)[:-1]]


def normalize(patch: np.ndarray) -> np.ndarray:
    """Return (…, 3) uint8 RGB as (…, 3) float32: CIELAB, about -1..1."""
    return (to_lab(np.float32(patch) / 255) - np.array(_CENTER, np.float32)) / np.array(_RANGE, np.float32)


class Bin(NamedTuple):
    """Faces for which the network has about the same confidence."""

    confidence: float  # mean probability of the likeliest name
    accuracy: float  # share of the faces whose likeliest name is the right one
    faces: int


@functools.cache
def reliability() -> list[Bin]:
    """Return the network's reliability on drawn faces of a style that it was not trained on, measured when it was
    trained. Raise UserError."""
    try:
        with safe_open(WEIGHTS, "np") as file:
            return [Bin(*row) for row in json.loads(file.metadata()["about"])["reliability"]]
    except (OSError, SafetensorError, LookupError, TypeError, ValueError) as error:
        raise _weights_error(error) from error


def calibration_error(bins: list[Bin]) -> float:
    """Return the expected calibration error, Guo et al. 2017, https://arxiv.org/abs/1706.04599, eq. 3."""
    return sum(abs(bin.confidence - bin.accuracy) * bin.faces for bin in bins) / max(1, sum(bin.faces for bin in bins))


class Coverage(NamedTuple):
    """What is left of the names when the less likely ones are left out."""

    least: float  # probability that a name needs
    named: float  # share of the faces that have such a name
    accuracy: float  # share of those that have the right one


def coverage(bins: list[Bin], steps: Iterable[float] = (0.3, 0.5, 0.7, 0.8, 0.9)) -> list[Coverage]:
    """Return how many faces keep a name, and how many of the names are right, by the least probability of a name: by
    tenths, as the bins are."""
    rows, total = [], max(1, sum(bin.faces for bin in bins))
    for least in steps:
        kept = [bin for bin in bins if int(10 * bin.confidence) >= round(10 * least)]
        faces = sum(bin.faces for bin in kept)
        right = sum(bin.accuracy * bin.faces for bin in kept)
        rows.append(Coverage(least, faces / total, right / max(1, faces)))
    return rows


@functools.cache
def version() -> str:
    """Return the version of the code and the weights, on which probabilities depend besides the picture. Raise
    UserError."""
    try:
        return f"{VERSION}.{hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()[:12]}"
    except OSError as error:
        raise _weights_error(error) from error


@functools.cache
def _weights() -> dict[str, np.ndarray]:
    """Return the weights in double precision: sums in another order are the same in the digits that are stored."""
    try:
        weights = {name: array.astype(np.float64) for name, array in load_file(WEIGHTS).items()}
        _probabilities(np.zeros((PATCH, PATCH, 3)), weights)  # all of them are there, and fit
    except (OSError, SafetensorError, LookupError, ValueError) as error:
        raise _weights_error(error) from error
    return weights


def _weights_error(error: Exception) -> UserError:
    return UserError(WEIGHTS, repr(error)[:200], "the weights that this package ships", "install it again")


def _probabilities(x: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    """Return (10,) of (PATCH, PATCH, 3): `models.annotators.hair_tagger.HairTagger`, step by step."""
    colors = x.reshape(CELLS, PATCH // CELLS, CELLS, PATCH // CELLS, 3).mean((1, 3))
    for name in ("color.0", "color.2"):
        colors = np.maximum(colors @ weights[f"{name}.weight"][:, :, 0, 0].T + weights[f"{name}.bias"], 0)
    for name, stride, dilation in (("first", 2, 1), ("second", 2, 1), ("third", 1, 2), ("fourth", 1, 4)):
        x = np.maximum(_convolve(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride, dilation), 0)
    look = x @ weights["look.weight"][0, :, 0, 0] + weights["look.bias"] + weights["place"][0]
    hair = 1 / (1 + np.exp(-look))  # (CELLS, CELLS)
    there, elsewhere = (
        np.einsum("hw,hwc->c", share, colors) / CELLS**2 / (share.mean() + 1e-3)
        for share in (np.square(hair), np.square(1 - hair))
    )
    features = np.concatenate([there, elsewhere, [hair.mean()]])
    hidden = np.maximum(weights["hidden.weight"] @ features + weights["hidden.bias"], 0)
    logits = weights["name.weight"] @ hidden + weights["name.bias"]
    likely = np.exp(logits - logits.max())
    return likely / likely.sum()


def _convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int, dilation: int) -> np.ndarray:
    """Return (H / stride, W / stride, O) of (H, W, C) * (O, C, K, K), with zeros beyond the edges."""
    reach = dilation * (weight.shape[-1] // 2)
    padded = np.pad(x, [(reach, reach)] * 2 + [(0, 0)])
    windows = sliding_window_view(padded, (2 * reach + 1,) * 2, axis=(0, 1))  # (H, W, C, …)
    windows = windows[::stride, ::stride, :, ::dilation, ::dilation]  # (h, w, C, K, K)
    return np.tensordot(windows, weight, axes=((2, 3, 4), (1, 2, 3))) + bias
