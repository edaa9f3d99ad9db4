"""OpenCV's cascade for faces in photographs, of Viola and Jones, which comes with OpenCV's package.

It finds upright faces that look at the camera. https://docs.opencv.org/4.x/db/d28/tutorial_cascade_classifier.html"""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from pipeline.errors import UserError
from pipeline.faces.boxes import Face
from pipeline.faces.cascade import detect_upright, read_cascade

FILE = "haarcascade_frontalface_default.xml"


def frontalface(picture: np.ndarray, min_face: int, angles: Iterable[float] | None, asset: str) -> list[Face]:
    """Return the faces that the cascade finds in a photograph (H, W, 3) uint8 RGB, best first. Turned copies are not
    searched, so `angles` changes nothing. `asset`: path of the cascade's XML file."""
    return detect_upright(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), min_face, read_cascade(asset))


def cascade_file(folder: Path | None) -> str:
    """Return the path of the cascade in OpenCV's package. Raise UserError if it is not there."""
    path = Path(cv2.__file__).parent / "data" / FILE
    if not path.is_file():
        cure = "pip install --force-reinstall opencv-python-headless"
        raise UserError("--detector frontalface", f"there is no {path}", "OpenCV's package with its cascades", cure)
    return str(path)
