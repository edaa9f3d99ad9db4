import resource

import numpy as np
import pytest
from PIL import Image

from pipeline.faces.boxes import Face
from pipeline.faces.crop import Frame, crop


def smooth(size: int = 400) -> np.ndarray:
    """Blobs without symmetry, all of them larger than a few px."""
    rng = np.random.default_rng(5)
    coarse = Image.fromarray(rng.integers(0, 255, (12, 12, 3), np.uint8))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


MIDDLE = Face((150.0, 150.0, 250.0, 250.0), tilt=0.0, score=1.0)


def test_a_crop_is_one_resample_of_the_square_round_the_face():
    expected = Image.fromarray(smooth()).resize((64, 64), Image.Resampling.LANCZOS, box=(125, 125, 275, 275))
    assert np.array_equal(crop(smooth(), MIDDLE, size=64, box_scale=1.5), np.asarray(expected))


@pytest.mark.parametrize(("rotation", "quarters"), [(90, -1), (180, 2), (-90, 1), (270, 1)])
def test_rotation_is_clockwise_about_the_faces_centre(rotation, quarters):
    upright = crop(smooth(), MIDDLE, size=64, box_scale=1.5)
    turned = crop(smooth(), MIDDLE, size=64, box_scale=1.5, rotation=rotation)
    assert difference(turned, np.rot90(upright, quarters)) < 0.7
    assert difference(turned, upright) > 10


def test_a_leaning_face_is_set_upright_first():
    turned = Image.fromarray(smooth()).rotate(-30, Image.Resampling.BICUBIC)  # clockwise, about (200, 200)
    leaning = Face(MIDDLE.box, tilt=30.0, score=1.0)
    assert difference(crop(np.asarray(turned), leaning, size=64), crop(smooth(), MIDDLE, size=64)) < 1.0


@pytest.mark.parametrize("rotation", [0.0, 45.0, 200.0])
def test_beyond_the_edge_the_picture_goes_on(rotation):
    corner = Face((-10.0, 340.0, 90.0, 440.0), tilt=0.0, score=1.0)
    assert crop(np.full((400, 400, 3), 200, np.uint8), corner, size=64, box_scale=2, rotation=rotation).min() == 200


@pytest.mark.parametrize(("x", "y"), [(150, 150), (-30, 330), (-500, 200), (200, 700), (800, -600)])
def test_a_crop_over_the_edge_is_one_of_a_larger_picture(x, y):
    large = np.pad(smooth(), [(1000, 1000), (1000, 1000), (0, 0)], mode="edge")
    here, there = (Face((at + x, at + y, at + x + 100.0, at + y + 100.0), 20.0, 1.0) for at in (0, 1000))
    assert np.array_equal(crop(smooth(), here, size=64, box_scale=2), crop(large, there, size=64, box_scale=2))


@pytest.mark.parametrize("side", [40.0, 100.0, 390.0])
def test_turning_costs_no_sharpness(side):
    """Isotropic noise has the same detail at every angle: resampled twice, a turned crop would have less."""
    rng = np.random.default_rng(0)
    noise = np.asarray(
        Image.fromarray(rng.integers(0, 255, (600, 600, 3), np.uint8)).resize((400, 400), Image.Resampling.LANCZOS)
    )
    face = Face((200 - side / 2, 200 - side / 2, 200 + side / 2, 200 + side / 2), tilt=0.0, score=1.0)
    upright, turned = (crop(noise, face, size=64, rotation=rotation).astype(float).std() for rotation in (0, 33))
    assert turned / upright > 0.93


@pytest.mark.parametrize("rotation", [0, 45])
def test_a_window_far_larger_than_the_crop_costs_no_memory(rotation):
    face = Face((100.0, 100.0, 3100.0, 3100.0), 0.0, 1.0)
    picture = np.full((3200, 3200, 3), 7, np.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert np.array_equal(np.unique(crop(picture, face, size=128, box_scale=8.0, rotation=rotation)), [7])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600_000  # KiB


def test_shrinking_first_shows_the_same():
    picture = smooth(3000)
    box = (300.0, 700.0, 2300.0, 2700.0)
    whole = np.asarray(Image.fromarray(picture).resize((64, 64), Image.Resampling.LANCZOS, box=box))
    assert difference(crop(picture, Face(box, 0.0, 1.0), size=64), whole) < 1


@pytest.mark.parametrize("size", [32, 16, 7])
def test_shrinking_first_shows_the_same_of_a_leaning_face_at_the_edge(size):
    face = Face((-20.0, 150.0, 200.0, 370.0), 25.0, 1.0)
    fine = Image.fromarray(crop(smooth(), face, size=8 * size, box_scale=1.5))  # too large a crop to shrink first
    whole = np.asarray(fine.resize((size, size), Image.Resampling.LANCZOS))
    assert difference(crop(smooth(), face, size=size, box_scale=1.5), whole) < 1


def test_shrinking_does_not_alias():
    y, x = np.mgrid[:800, :800]
    board = np.repeat((((x + y) % 2) * 255).astype(np.uint8)[:, :, None], 3, axis=2)
    face = Face((100.0, 100.0, 700.0, 700.0), tilt=0.0, score=1.0)
    for rotation in (0, 45):
        assert crop(board, face, size=48, rotation=rotation).std() < 3


SQUARE = (0.2, 0.3, 0.6, 0.7)  # of the face in a crop


def marked(face: Face) -> np.ndarray:
    """A black picture with a white square where the face is, turned as it leans."""
    x0, y0, x1, y1 = face.box
    y, x = np.mgrid[:400, :400] + 0.5
    angle, right, down = np.radians(face.tilt), x - (x0 + x1) / 2, y - (y0 + y1) / 2
    across, along = np.cos(angle) * right + np.sin(angle) * down, np.cos(angle) * down - np.sin(angle) * right
    inside = np.maximum(abs(across), abs(along)) < (x1 - x0) / 2
    return np.repeat((inside * 255).astype(np.uint8)[:, :, None], 3, axis=2)


@pytest.mark.parametrize("tilt", [0.0, 30.0, -100.0])
def test_a_frame_says_where_the_face_lies_in_the_crop(tilt):
    face, frame = Face(MIDDLE.box, tilt, 1.0), Frame.of_box(*SQUARE)
    made = crop(marked(face), face, size=100, box_scale=frame.box_scale, offset=frame.offset)[:, :, 0] > 127
    rows, columns = np.flatnonzero(made.any(1)), np.flatnonzero(made.any(0))
    found = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    assert found == pytest.approx([100 * end for end in SQUARE], abs=1)
    assert frame.box(100) == pytest.approx([100 * end for end in SQUARE], abs=1e-4)


def test_a_face_that_is_turned_on_purpose_keeps_its_place():
    frame = Frame.of_box(*SQUARE)
    how = {"size": 100, "box_scale": frame.box_scale, "offset": frame.offset, "rotation": 45.0}
    y, x = np.nonzero(crop(marked(MIDDLE), MIDDLE, **how)[:, :, 0] > 127)
    assert (x.mean(), y.mean()) == pytest.approx((39.5, 49.5), abs=0.5)


def test_a_frame_in_the_middle_is_a_scale():
    assert Frame.of_box(0.25, 0.25, 0.75, 0.75) == (2.0, 0.5, 0.5)
    assert Frame.of_box(0.25, 0.25, 0.75, 0.75).offset == Frame(2.0).offset == (0.0, 0.0)
    assert Frame(2.0).box(100) == (25, 25, 75, 75)
