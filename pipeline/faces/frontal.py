"""OpenCV's cascade for faces in photographs, of Viola and Jones, which comes with OpenCV's package.

It finds upright faces that look at the camera. https://docs.opencv.org/4.x/db/d28/tutorial_cascade_classifier.html"""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from pipeline.errors import UserError
from pipeline.faces.boxes import Face, face_at, is_wanted, non_max_suppression
from pipeline.faces.cascade import WINDOW, read_cascade

FILE = "haarcascade_frontalface_default.xml"


def frontalface(picture: np.ndarray, min_face: int, angles: Iterable[float] | None, asset: str) -> list[Face]:
    """Return the faces that the cascade finds in a photograph (H, W, 3) uint8 RGB, best first. Turned copies are not
    searched, so `angles` changes nothing. `asset`: path of the cascade's XML file.

    It is one pass, at the scale at which a face of `min_face` px fills the smallest window."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    scale = WINDOW / min_face
    small_size = max(1, round(width * scale)), max(1, round(height * scale))
    filter_ = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.equalizeHist(cv2.resize(grey, small_size, interpolation=filter_))
    boxes, _, weights = read_cascade(asset).detectMultiScale3(
        small, scaleFactor=1.1, minNeighbors=5, minSize=(WINDOW, WINDOW), outputRejectLevels=True
    )
    by_x, by_y = width / small_size[0], height / small_size[1]
    found = [
        face_at((x + side / 2) * by_x, (y + side / 2) * by_y, side * (by_x + by_y) / 2, 0.0, weight)
        for (x, y, side, _), weight in zip(boxes, weights, strict=True)
    ]
    return non_max_suppression(face for face in found if is_wanted(face, min_face))


def cascade_file(folder: Path | None) -> str:
    """Return the path of the cascade in OpenCV's package. Raise UserError if it is not there."""
    path = Path(cv2.__file__).parent / "data" / FILE
    if not path.is_file():
        cure = "pip install --force-reinstall opencv-python-headless"
        raise UserError("--detector frontalface", f"there is no {path}", "OpenCV's package with its cascades", cure)
    return str(path)
