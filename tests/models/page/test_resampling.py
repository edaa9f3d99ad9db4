"""The page's resampling: that of Pillow and OpenCV."""

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.faces.boxes import Face, non_max_suppression, overlap
from pipeline.faces.views import Pyramid, View
from pipeline.images.decode import on_white

FILTERS = {"bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS}
MATRIX = np.array([[0.83, 0.31, 3.2], [-0.27, 0.9, 5.7]])


def picture(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, channels), dtype=np.uint8)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape
    return float(np.abs(a.astype(float) - b).max())


@pytest.mark.parametrize("size", [(1, 1), (30, 41), (99, 120)])
@pytest.mark.parametrize("name", FILTERS)
def test_resize_is_pillows_to_the_bit(js, name, size):
    pixels, box = picture(*size), (0.1 * size[1], 0.05 * size[0], 0.83 * size[1], 0.9 * size[0])
    for new, part in (((64, 50), None), ((64, 50), box), ((200, 150), box), ((size[1], 7), None)):
        found = js("vision/resample.js", "resize", pixels, *new, name, *([part] if part else []))
        assert difference(np.asarray(Image.fromarray(pixels).resize(new, FILTERS[name], part)), found) == 0
        units = pixels.astype(np.float32) / 255
        found = js("vision/resample.js", "resize", units, *new, name, *([part] if part else []))
        channels = [
            Image.fromarray(np.ascontiguousarray(units[..., i])).resize(new, FILTERS[name], part) for i in range(3)
        ]
        assert difference(np.stack([np.asarray(channel) for channel in channels], 2), found) < 1e-6


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_reduce_is_pillows_to_the_bit(js, factor):
    found = js("vision/resample.js", "reduce", picture(33, 47), factor)
    assert difference(np.asarray(Image.fromarray(picture(33, 47)).reduce(factor)), found) == 0


@pytest.mark.parametrize("size", [(40, 60), (41, 60), (1, 7)])
def test_areas_are_opencvs(js, size):
    half = (size[1] + 1) // 2, (size[0] + 1) // 2
    for pixels, most in ((picture(*size), 1), (picture(*size).astype(np.float32), 1e-4)):
        found = js("vision/opencv.js", "shrinkArea", pixels, *half)
        assert difference(cv2.resize(pixels, half, interpolation=cv2.INTER_AREA), found) <= most


def test_cubic_resizing_is_opencvs(js):
    levels = picture(32, 64).astype(np.float32)
    found = js("vision/opencv.js", "resizeCubic", levels, 129, 64)
    assert difference(cv2.resize(levels, (129, 64), interpolation=cv2.INTER_CUBIC), found) < 1e-3


@pytest.mark.parametrize("border", [255, "repeat"])
def test_warping_is_opencvs(js, border):
    around = {"borderValue": (255,) * 3} if border == 255 else {"borderMode": cv2.BORDER_REPLICATE}
    call = "(p, matrix, filter, border) => m.warp(p, matrix, 64, 50, { filter, border })"
    for name, flag, most in (("linear", cv2.INTER_LINEAR, 0), ("cubic", cv2.INTER_CUBIC, 1)):
        for pixels, limit in ((picture(60, 70), most), (picture(60, 70).astype(np.float32), 1e-3)):
            wanted = cv2.warpAffine(pixels, MATRIX, (64, 50), flags=flag | cv2.WARP_INVERSE_MAP, **around)
            assert (
                difference(wanted, js("vision/warp.js", call, pixels, MATRIX.ravel().tolist(), name, border)) <= limit
            )
    forward = js(
        "vision/warp.js",
        "(p, matrix) => m.warp(p, m.inverse(matrix), 64, 50)",
        picture(60, 70),
        MATRIX.ravel().tolist(),
    )
    assert difference(cv2.warpAffine(picture(60, 70), MATRIX, (64, 50), flags=cv2.INTER_LINEAR), forward) == 0


@pytest.mark.parametrize("step", [0.6, 1.0, 1.7, 4.9])
def test_views_are_those_of_the_pipeline(js, step):
    pixels = picture(121, 163)
    view = View((70.0, 61.5), (90, 70), step, 31.0)
    found = js("vision/view.js", "(p, view) => new m.Pyramid(p).show(view)", pixels, view._asdict())
    assert difference(Pyramid(pixels).show(view), found) <= 1


def test_transparency_lies_on_white(js):
    pixels = picture(20, 30, 4)
    pixels[:5, :, 3] = 0
    assert difference(on_white(pixels), js("vision/picture.js", "onWhite", pixels)) == 0


def test_boxes_overlap_and_are_suppressed_as_in_the_pipeline(js):
    rng = np.random.default_rng(0)
    faces = []
    for x, y, side, tilt, score in rng.uniform((0, 0, 20, -180, -1), (120, 120, 90, 180, 3), (60, 5)).round(2):
        faces.append(Face((x, y, x + side, y + side), tilt, score))
    given = [face._asdict() for face in faces]
    pairs = js("vision/boxes.js", "(faces) => faces.map((a) => faces.map((b) => m.overlap(a, b)))", given)
    assert pairs == [[overlap(a, b) for b in faces] for a in faces]
    assert 0.05 < np.mean(pairs) < 0.6
    kept = js("vision/boxes.js", "nonMaxSuppression", given)
    assert [face["score"] for face in kept] == [face.score for face in non_max_suppression(faces)]
