"""nagadomi's Imager::AnimeFace, by the optional package animeface."""

import functools
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from PIL import __version__ as pillow_version

from pipeline.errors import UserError
from pipeline.faces.boxes import Face, face_at, is_wanted, non_max_suppression
from pipeline.faces.views import Pyramid, detection_views, sweep

ANIMEFACE_VERSION = "2.0.3"
ANIMEFACE_WINDOW = 48  # px: about the smallest face that it finds
CHECK_PORTRAIT = 0  # number of the drawn portrait, of seed 0, with which the package is checked


def animeface(picture: np.ndarray, min_face: int, angles: Iterable[float] | None, asset: str) -> list[Face]:
    """Return the faces that Imager::AnimeFace finds in (H, W, 3) uint8 RGB, best first.

    It is ten times slower than the cascade, and finds faces that lean by up to 30 degrees.
    In views turned further it has many false positives, and checking them from other angles removes only half:
    so `angles` turns no view, and None leaves out the framed one."""
    pyramid = Pyramid(picture)
    upright, framed = detection_views(pyramid.width, pyramid.height, min_face, ANIMEFACE_WINDOW, ())
    found = sweep(pyramid, [upright] if angles is None else [upright, framed], _animefaces)
    return non_max_suppression(face for face in (face_at(*row) for row in found) if is_wanted(face, min_face))


def _animefaces(pixels: np.ndarray) -> np.ndarray:
    """Return (N, 5): centre x and y, side, degrees of the line through the eyes, likelihood."""
    import animeface  # an extra

    found = []
    for seen in animeface.detect(Image.fromarray(pixels)):
        box, left, right = seen.face.pos, seen.left_eye.pos, seen.right_eye.pos  # of the person, not of the picture
        across = left.x + left.width / 2 - right.x - right.width / 2
        down = left.y + left.height / 2 - right.y - right.height / 2
        side, lean = max(box.width, box.height), math.degrees(math.atan2(down, across))
        found.append((box.x + box.width / 2, box.y + box.height / 2, side, lean, seen.likelihood))
    return np.array(found, float).reshape(-1, 5)


@functools.cache
def check_animeface(folder: Path | None) -> str:
    """Return "", as the package needs no asset from the folder. Raise UserError unless it finds the face of a drawn
    portrait; with Pillow 12 and later it finds none."""
    from pipeline.sources.drawn import draw

    cure = f"pip install 'animeface=={ANIMEFACE_VERSION}' 'pillow<12'"
    expected = f"the package animeface {ANIMEFACE_VERSION} and a Pillow before 12"
    try:
        found = _animefaces(np.asarray(draw(0, CHECK_PORTRAIT)[0]))
    except ImportError as error:
        raise UserError("--detector", f"animeface is not installed: {error}", expected, cure) from error
    if not len(found):
        raise UserError("--detector", f"animeface with Pillow {pillow_version} is blind", expected, cure)
    return ""
