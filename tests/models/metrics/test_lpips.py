"""LPIPS: its formula, its weights, and what it says of pictures."""

from unittest import mock

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torchmetrics.functional.image import lpips as reference

from models.metrics.lpips import LPIPS, load_weights
from models.nn.vgg import VGG16, load_vgg16
from pipeline import assets
from pipeline.sources.drawn import draw


@pytest.fixture(scope="module")
def network() -> VGG16:
    torch.manual_seed(0)
    network = VGG16()
    for parameter in network.parameters():
        if parameter.ndim == 4:
            torch.nn.init.kaiming_normal_(parameter, nonlinearity="relu")
    return network


@pytest.fixture(scope="module")
def picture() -> torch.Tensor:
    pixels = np.array(draw(3, 1)[0].resize((64, 64)))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1


def by_torchmetrics(network: VGG16, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the distances by the authors' code as torchmetrics has it, with this network in place of torchvision's."""
    with mock.patch.object(reference, "_get_tv_model_features", return_value=[*network.children()]):
        return reference._LPIPS(net="vgg")(a, b).flatten()


def blurred(picture: torch.Tensor, px: int) -> torch.Tensor:
    return F.avg_pool2d(F.pad(picture, (px,) * 4, mode="replicate"), 2 * px + 1, stride=1)


def test_the_weights_are_of_the_five_blocks_and_not_negative():
    assert [tuple(weights.shape) for weights in load_weights()] == [(n, 1, 1) for n in (64, 128, 256, 512, 512)]
    assert all((weights >= 0).all() for weights in load_weights())


def test_the_distance_is_that_of_torchmetrics(network):
    a, b = torch.rand(2, 3, 3, 33, 48, generator=torch.Generator().manual_seed(1)) * 2 - 1
    found = LPIPS(network.block_features)(a, b)
    assert found.shape == (3,)
    torch.testing.assert_close(found, by_torchmetrics(network, a, b), rtol=1e-4, atol=1e-6)


def test_the_last_block_is_what_the_network_returns(network, picture):
    maps = network.block_features(picture)
    assert [tuple(x.shape[1:]) for x in maps] == [
        (width, side, side) for width, side in ((64, 64), (128, 32), (256, 16), (512, 8), (512, 4))
    ]
    assert torch.equal(maps[-1], network(picture))


def test_equal_pictures_have_no_distance_and_the_order_does_not_matter(network, picture):
    distance, other = LPIPS(network.block_features), blurred(picture, 1)
    assert distance(picture, picture).tolist() == [0]
    assert distance(picture, other).item() == pytest.approx(distance(other, picture).item())


def test_the_distance_has_gradients(network, picture):
    other = blurred(picture, 1).requires_grad_()
    LPIPS(network.block_features)(picture, other).sum().backward()
    assert other.grad.abs().max() > 0


def test_the_distance_grows_with_blur(network, picture):
    distances = [LPIPS(network.block_features)(picture, blurred(picture, px)).item() for px in (1, 2, 4, 8)]
    assert distances == sorted(distances)
    assert distances[0] > 0


@pytest.mark.full
def test_with_the_real_network_the_distance_is_that_of_torchmetrics_and_grows_with_blur(picture):
    network = load_vgg16(assets.fetch_any("vgg16.ckpt", "vgg16-397923af.pth"))
    others = torch.cat([blurred(picture, px) for px in (1, 2, 4)])
    found = LPIPS(network.block_features)(picture, others)
    torch.testing.assert_close(found, by_torchmetrics(network, picture, others))
    assert found.tolist() == sorted(found.tolist())
    assert 0.05 < found[0] < found[2] < 0.7


def test_the_spread_of_pictures_is_the_mean_distance_of_their_pairs(network):
    pictures = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(2)) * 2 - 1
    distance = LPIPS(network.block_features)
    pairs = [(a, b) for a in range(4) for b in range(a)]
    expected = torch.cat([distance(pictures[a][None], pictures[b][None]) for a, b in pairs]).mean()
    torch.testing.assert_close(distance.spread(pictures), expected)
    assert distance.spread(pictures[:1].expand(3, -1, -1, -1)) == 0
