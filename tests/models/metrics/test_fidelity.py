"""PSNR and SSIM."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from models.metrics.fidelity import BORDER_PX, psnr, ssim
from tests.support import drawn_pictures


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.stack([drawn_pictures.draw(number, 40, 32) for number in range(3)])


def noisy(pictures: np.ndarray, level: int) -> np.ndarray:
    noise = np.random.default_rng(0).integers(-level, level + 1, pictures.shape)
    return np.clip(pictures + noise, 0, 255).astype(np.uint8)


def luma(pictures: np.ndarray) -> np.ndarray:
    """Y without the border, in the digits of ITU-R BT.601."""
    inner = pictures[:, BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX].astype(np.float64)
    return 16 + (65.481 * inner[..., 0] + 128.553 * inner[..., 1] + 24.966 * inner[..., 2]) / 255


def test_psnr_is_the_formula_on_luma(pictures):
    other = noisy(pictures, 20)
    errors = np.square(luma(pictures) - luma(other)).mean((1, 2))
    assert psnr(pictures, other) == pytest.approx(10 * np.log10(255**2 / errors))
    assert np.isinf(psnr(pictures, pictures)).all()


def test_a_difference_of_one_luma_level_has_48_db():
    grey, brighter = np.full((1, 20, 20, 3), 100, np.uint8), np.full((1, 20, 20, 3), 200, np.uint8)
    levels = 100 * 219 / 255  # white is 235, black 16
    assert psnr(grey, brighter)[0] == pytest.approx(48.1308 - 20 * np.log10(levels), abs=1e-4)


def test_ssim_is_that_of_torchmetrics(pictures):
    for level in (5, 40):
        other = noisy(pictures, level)
        a, b = (torch.from_numpy(luma(each))[:, None] for each in (pictures, other))
        _, maps = structural_similarity_index_measure(a, b, data_range=255.0, return_full_image=True)
        inner = maps[:, 0, 5:-5, 5:-5]  # windows that reach beyond the picture are filled by reflection
        assert ssim(pictures, other) == pytest.approx(inner.mean((1, 2)).tolist(), abs=1e-9)
    assert ssim(pictures, pictures) == pytest.approx(1)


def test_what_lies_in_the_border_does_not_matter(pictures):
    other = pictures.copy()
    other[:, :BORDER_PX] = 0
    other[:, :, -BORDER_PX:] = 255
    assert np.isinf(psnr(pictures, other)).all()
