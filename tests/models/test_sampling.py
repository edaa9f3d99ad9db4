"""Latents, batch statistics and the classifier of tags."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch

from models.papers import projection
from models.papers.srresnet import SRResNetGenerator
from models.sampling import latents, probe, standing
from models.sampling.images import generate_images


def test_a_great_circle_keeps_the_length_of_normal_latents():
    rng = torch.Generator().manual_seed(0)
    start, end = torch.randn(2, 128, generator=rng)
    circle = latents.interpolate(start, end, 9, spherical=True)
    line = latents.interpolate(start, end, 9)
    torch.testing.assert_close(circle[[0, -1]], torch.stack([start, end]))
    lengths = circle.norm(dim=1) / torch.linspace(float(start.norm()), float(end.norm()), 9)
    assert (lengths - 1).abs().max() < 1e-5
    assert line[4].norm() < 0.75 * start.norm()
    torch.testing.assert_close(latents.interpolate(start, start, 3, spherical=True), start.expand(3, -1))


@pytest.fixture
def network() -> SRResNetGenerator:
    torch.manual_seed(0)
    return SRResNetGenerator(replace(projection.SRRESNET["tiny"], size=64)).eval()


@pytest.mark.full
def test_standing_statistics_are_those_of_truncated_latents(network):
    before = copy.deepcopy(network)
    standing.standing_statistics(network, 0.3, torch.eye(9))
    assert not any(module.training for module in network.modules())
    again = copy.deepcopy(before)
    standing.standing_statistics(again, 0.3, torch.eye(9))
    for name, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
        if "running" not in name and "num_batches" not in name:
            assert torch.equal(value, before.state_dict()[name]), name
    rng = torch.Generator().manual_seed(3)
    z, y = latents.truncated(network, 256, 0.3, rng), torch.eye(9)[torch.randint(9, (256,), generator=rng)]
    assert z.abs().max() <= 0.3
    trained = copy.deepcopy(network).train()
    wanted = trained(z, y)  # by the statistics of this batch alone
    off = [(each(z, y) - wanted).abs().mean() for each in (network, before)]
    assert off[0] < 0.2 * off[1]
    assert generate_images(network, z[:2], y[:2]).shape == (2, 64, 64, 3)


def test_a_probe_learns_tags_that_features_show_and_leaves_out_the_others():
    rng = np.random.default_rng(0)
    has = (rng.random((900, 4)) < (0.5, 0.1, 0.5, 0.01)).astype(np.float32)
    features = torch.from_numpy(rng.normal(size=(900, 20)).astype(np.float32))
    features[:, 3] += 5 * torch.from_numpy(has[:, 0])
    features[:, 7] -= 5 * torch.from_numpy(has[:, 1])
    names = ["seen", "rare and seen", "unseen", "too rare"]
    found, accuracy = probe.fit_probe(names, features[:600], has[:600], features[600:], has[600:])
    assert found.names == ["seen", "rare and seen"]
    assert min(accuracy.values()) > 0.95
    guesses = found(features[600:])
    assert np.mean([("seen" in guess) == bool(row[0]) for guess, row in zip(guesses, has[600:], strict=True)]) > 0.95
    none, accuracy = probe.fit_probe(["too rare"], features[:600], has[:600, 3:], features[600:], has[600:, 3:])
    assert none(features[:2]) == [set(), set()]
    assert accuracy == {}


def test_a_probe_leaves_hair_colours_to_the_hair_tagger():
    count = 120
    faces = pa.table(
        {
            "image_id": [str(i) for i in range(count)],
            "faces_in_image": pa.array([1] * count, pa.int32()),
            "tags": [["blue_hair", "hat"] if i // 2 % 2 else [] for i in range(count)],
            "hair_color": pa.nulls(count, pa.string()),
        }
    )
    pixels = np.array([["hat" in tags] for tags in faces["tags"].to_pylist()], np.float32)
    dataset = SimpleNamespace(split=lambda split: faces, pixels=lambda split, size: pixels)
    found, accuracy = probe.learn_tags(dataset, torch.from_numpy)
    assert found.names == ["hat"]
    assert accuracy == {"hat": 1.0}
