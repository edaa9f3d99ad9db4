"""Flow of frames whose motion is known."""

import cv2
import numpy as np
import pytest

from pipeline.clips import flow


@pytest.fixture(scope="module")
def texture() -> np.ndarray:
    """A smooth random picture, larger than a frame."""
    smooth = cv2.GaussianBlur(np.random.default_rng(0).random((120, 180, 3)), (0, 0), 3)
    return np.uint8(255 * (smooth - smooth.min()) / np.ptp(smooth))


def moved(texture: np.ndarray, dx: int, dy: int) -> np.ndarray:
    """Return (64, 128, 3): a window of the texture, whose content has moved right by dx px and down by dy px."""
    return texture[25 - dy : 89 - dy, 25 - dx : 153 - dx]


@pytest.mark.parametrize(("dx", "dy"), [(3, 0), (0, 3), (-3, 2), (6, -5)])
def test_a_shift_is_recovered_within_half_a_pixel(texture, dx, dy):
    found = flow.from_first_frame(np.stack([moved(texture, 0, 0), moved(texture, dx, dy)]))
    assert found.shape == (2, 64, 128, 2)
    inner = found[1, 16:-16, 16:-16] * flow.UNIT_PX
    assert np.abs(inner - (dx, dy)).max() < 0.5


def test_the_first_frame_and_a_still_do_not_move(texture):
    found = flow.from_first_frame(np.stack([moved(texture, 0, 0)] * 3))
    assert (found[0] == 0).all()
    assert np.abs(found).max() * flow.UNIT_PX < 0.1


def test_the_flow_is_from_the_first_frame_not_from_the_one_before(texture):
    found = flow.from_first_frame(np.stack([moved(texture, 2 * t, 0) for t in range(4)]))
    means = found[:, 16:-16, 16:-16, 0].mean((1, 2)) * flow.UNIT_PX
    assert means == pytest.approx([0, 2, 4, 6], abs=0.3)


def test_the_same_frames_have_the_same_flow_within_minus_one_and_one():
    frames = np.random.default_rng(1).integers(0, 256, (4, 64, 128, 3), np.uint8)
    first, second = flow.from_first_frame(frames), flow.from_first_frame(frames)
    assert (first == second).all()
    assert first.dtype == np.float32
    assert np.abs(first).max() <= 1


def test_vectors_grow_with_the_field_that_they_are_transferred_to():
    half = np.full((2, 10, 20, 2), (0.2, -0.3), np.float32)
    found = flow.transfer(half, 20, 60)
    assert found.shape == (2, 20, 60, 2)
    np.testing.assert_allclose(found, np.full((2, 20, 60, 2), (0.6, -0.6), np.float32), rtol=1e-6)
    assert flow.transfer(half, 100, 20).min() == -1
