"""What a discriminator sees of augmented images."""

from dataclasses import replace

import pytest
import torch

from models.nn import augment
from models.nn.augment import diff_augment
from models.zoo import MODELS


def test_colours_are_changed_as_defined():
    """The mean of an image tells its brightness, then its greys the contrast, then its colours the saturation."""
    torch.manual_seed(0)
    x = torch.rand(400, 3, 8, 8, dtype=torch.float64) - 0.5
    seen = augment._recolor(x)
    grey, seen_grey = x.mean(1, keepdim=True), seen.mean(1, keepdim=True)
    mean, seen_mean = (each.mean((1, 2, 3), keepdim=True) for each in (x, seen))
    brightness = seen_mean - mean
    contrast = (seen_grey - seen_mean)[:, :, :1, :1] / (grey - mean)[:, :, :1, :1]
    torch.testing.assert_close(seen_grey, seen_mean + contrast * (grey - mean))
    saturation = (seen - seen_grey)[:, :1, :1, :1] / (x - grey)[:, :1, :1, :1] / contrast
    torch.testing.assert_close(seen, seen_grey + contrast * saturation * (x - grey))
    for values, least, most in ((brightness, -0.5, 0.5), (contrast, 0.5, 1.5), (saturation, 0, 2)):
        assert least <= values.min() < least + 0.02 * (most - least)
        assert most - 0.02 * (most - least) < values.max() <= most
        assert abs(values.mean() - (least + most) / 2) < 0.1


def test_each_image_is_shifted_by_an_eighth_at_most_and_what_comes_in_is_0():
    torch.manual_seed(0)
    x = torch.zeros(400, 1, 32, 32)
    x[:, :, 16, 16] = 1
    moved = augment._translate(x)
    assert moved.flatten(1).sum(1).eq(1).all()  # the point is somewhere
    places = moved.flatten(1).argmax(1)
    y, x_ = places // 32 - 16, places % 32 - 16
    assert (int(y.min()), int(y.max())) == (-4, 4)
    assert (int(x_.min()), int(x_.max())) == (-4, 4)
    assert len({*zip(y.tolist(), x_.tolist(), strict=True)}) > 60  # of 81
    ones = augment._translate(torch.ones(50, 1, 32, 32))
    assert 0.7 < ones.mean() < 1
    assert set(ones.flatten().tolist()) == {0.0, 1.0}


def test_a_square_of_half_the_side_is_left_out_in_each_image():
    torch.manual_seed(0)
    cut = augment._cut_out(torch.ones(400, 2, 32, 32)) == 0
    assert (cut[:, 0] == cut[:, 1]).all()
    rows, columns = cut[:, 0].any(2).sum(1), cut[:, 0].any(1).sum(1)
    assert (cut[:, 0].flatten(1).sum(1) == rows * columns).all()  # it is one rectangle
    assert int(rows.max()) == int(columns.max()) == 16
    assert int(rows.min()) >= 8  # its centre is within the image
    assert 0.12 < cut.float().mean() < 0.25


def test_gradients_reach_what_is_seen_and_only_that():
    torch.manual_seed(0)
    x = torch.randn(8, 3, 16, 16, requires_grad=True)
    seen = diff_augment(x, colors=False)
    seen.sum().backward()
    assert set(x.grad.flatten().tolist()) == {0.0, 1.0}
    assert x.grad.sum() == (seen != 0).sum()


def test_colours_are_differentiable():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)

    def change(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(1)
        return augment._recolor(x)

    assert torch.autograd.gradcheck(change, x)


def test_colours_stay_where_they_are_a_condition():
    torch.manual_seed(0)
    seen = diff_augment(torch.full((50, 3, 16, 16), 0.3), colors=False)
    assert set(seen.flatten().tolist()) == {0.0, float(torch.tensor(0.3))}


@pytest.mark.parametrize(("name", "stay"), [("r3gan", False), ("r3gan-colors", True), ("acgan", True)])
def test_gans_with_hair_colours_keep_them(name, stay):
    entry = MODELS[name]
    trainer = entry.trainer(replace(entry.presets["tiny"], augment="diff"), torch.device("cpu"), {})
    torch.manual_seed(0)
    seen = trainer.augment(torch.full((50, 3, 16, 16), 0.3))
    assert (set(seen.flatten().tolist()) == {0.0, float(torch.tensor(0.3))}) == stay
