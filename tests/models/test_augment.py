"""What a discriminator sees of augmented images."""

import torch

from models.nn import augment
from models.nn.augment import AUGMENTATIONS, diff_augment


def test_none_changes_nothing():
    x = torch.randn(3, 3, 16, 16)
    assert torch.equal(AUGMENTATIONS["none"](x), x)


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
    seen = diff_augment(x)
    seen.sum().backward()
    assert set(x.grad.flatten().tolist()) == {0.0, 1.0}
    assert x.grad.sum() == (seen != 0).sum()


def test_colours_stay():
    torch.manual_seed(0)
    seen = diff_augment(torch.full((50, 3, 16, 16), 0.3))
    assert set(seen.flatten().tolist()) == {0.0, float(torch.tensor(0.3))}
