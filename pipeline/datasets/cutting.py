"""How the faces of a dataset were found and cut, done to other pictures."""

import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from pipeline.datasets.assemble import build_of
from pipeline.faces import crop, detect
from pipeline.faces.boxes import Face
from pipeline.faces.views import View

DEFAULTS: dict[str, Any] = {"detector": "lbpcascade", "sweep": "fast", "min_face": 48}
"""Of DetectFaces: they are taken where a dataset does not say."""

logger = logging.getLogger("luigi-interface")


class Cutting(NamedTuple):
    """How the faces of a dataset were found and cut."""

    size: int  # px of a crop
    frame: crop.Frame
    rotation: float  # degrees that faces lean in crops, clockwise
    detector: str
    sweep: str
    min_face: int  # px

    @property
    def found_by(self) -> str:
        """Return how faces are found, in words."""
        return f"{self.detector}, sweep {self.sweep}, {self.min_face} px or more"

    def find(self, picture: np.ndarray) -> list[Face]:
        """Return the faces of a picture (H, W, 3) uint8, best first. Raise UserError if an asset is missing."""
        return detect.find_faces(picture, detector=self.detector, sweep=self.sweep, min_face=self.min_face)

    def cut(self, picture: np.ndarray, face: Face, size: int) -> np.ndarray:
        """Return the crop round a face as a run of `size` px is shown it: (size, size, 3) uint8."""
        how: dict[str, Any] = {"box_scale": self.frame.box_scale, "offset": self.frame.offset}
        whole = crop.crop(picture, face, size=self.size, rotation=self.rotation, **how)
        return resized(whole, size)

    def view(self, face: Face, size: int) -> View:
        """Return which part of the picture that crop shows."""
        return crop.view_of_crop(face, size=size, frame=self.frame, rotation=self.rotation)


def resized(whole: np.ndarray, size: int) -> np.ndarray:
    """Return a crop at the size of a run, as its training resampled it: (size, size, 3) uint8."""
    return np.asarray(Image.fromarray(whole).resize((size, size), Image.Resampling.LANCZOS))


def cutting_of(folder: Path, facts: dict[str, Any]) -> Cutting:
    """Return how the dataset in `folder` was cut, by the facts that a run has of it, and how its faces were found. A
    dataset that is gone, was not made by BuildFaceDataset, or was merged of several that differ in it, does not say the
    latter: then DEFAULTS are taken. Raise ManifestError."""
    settings = build_of(folder).settings
    found: dict[str, Any] = {name: settings.get(name, value) for name, value in DEFAULTS.items()}
    detectors, sweeps = [*detect.DETECTOR_CHOICES], [*detect.SWEEPS]  # what is found may be a list, which has no hash
    is_known = found["detector"] in detectors and found["sweep"] in sweeps
    if not is_known or type(found["min_face"]) is not int or "detector" not in settings:
        logger.info("%s does not say how its faces were found: %s is used", folder, DEFAULTS["detector"])
        found = DEFAULTS
    rotation, frame = as_cut(facts.get("rotation"), *map(facts.get, crop.Frame._fields))
    return Cutting(facts["size"], frame, rotation, **found)


def as_cut(rotation: float | None, *frame: float | None) -> tuple[float, crop.Frame]:
    """Return (the rotation, the `Frame`) that faces were cut with, of the 32 bits of each value in a manifest."""
    rotation, *values = (value and crop.as_given(value) for value in (rotation, *frame))
    return rotation or 0.0, crop.Frame._make(values)
