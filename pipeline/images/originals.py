"""The pictures of an image dataset, as pixels."""

from pathlib import Path

import numpy as np

from pipeline.errors import UserError
from pipeline.images import decode
from pipeline.manifest import ManifestError, is_within
from pipeline.store import has_sha256


def load(folder: Path, row: dict) -> np.ndarray:
    """Return the picture of a row of IMAGE_DATASET, whose dataset lies in `folder`: (H, W, 3) uint8 sRGB, upright,
    transparency on white. Raise ManifestError unless it lies there, is whole, and is the one that the row names."""
    file, cure = folder / row["path"], "remove the dataset and build it again"
    if not is_within(file, folder):
        raise ManifestError(file, "it leads out of the dataset", "a picture within its folder", cure)
    if not has_sha256(file, row["image_id"]):
        raise ManifestError(file, "gone, or another file than the manifest says", "the original", cure)
    try:
        return decode.load(file)
    except UserError as error:
        raise ManifestError(file, "it cannot be decoded", "the original", cure) from error
