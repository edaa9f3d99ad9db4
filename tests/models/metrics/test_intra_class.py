"""KID and FID within each label, of features whose distances are known."""

import pytest
import torch
from torchmetrics.image.fid import FrechetInceptionDistance

from models.metrics import distances
from models.metrics.intra_class import compare_labels, mean_over_labels

SIZES = {"many": (400, 300, 100), "few held out": (100, 90, 15), "few": (15, 90, 90), "unasked": (90, 15, 90)}
"""Label -> numbers of real images, samples and held-out images."""


def cloud(count: int, middle: float, seed: int) -> torch.Tensor:
    """(count, 64) of N(middle, 1)."""
    return torch.randn(count, 64, generator=torch.Generator().manual_seed(seed)) + middle


def groups(side: int, **middles: float) -> dict[str, torch.Tensor]:
    return {
        name: cloud(sizes[side], middles.get(name, 0.0), 10 * row + side)
        for row, (name, sizes) in enumerate(SIZES.items())
    }


def test_labels_with_too_few_images_are_counted_and_left_out():
    real = groups(0) | {"absent": torch.empty(0, 64)}
    found = compare_labels(groups(1) | {"absent": cloud(40, 0, 1)}, real, groups(2) | {"absent": cloud(40, 0, 2)})
    assert list(found) == list(SIZES)
    for label, sizes in SIZES.items():
        assert tuple(found[label][key] for key in ("reference", "samples", "held_out")) == sizes
    floors = {"kid_floor", "kid_error_floor", "fid", "fid_floor"}
    assert found["many"].keys() >= {"kid", "kid_error", *floors}
    assert "kid" in found["few held out"]
    assert not floors & found["few held out"].keys()
    assert "kid" not in found["few"].keys() | found["unasked"].keys()


def test_samples_of_the_label_are_at_the_floor_whatever_their_number_and_others_are_far():
    near = compare_labels(groups(1), groups(0), groups(2))["many"]
    far = compare_labels(groups(1, many=0.5), groups(0), groups(2))["many"]
    assert abs(near["kid"]) < 3 * near["kid_error"]
    assert far["kid"] > 10 * near["kid_error"]
    assert near["fid"] == pytest.approx(near["fid_floor"], rel=0.05)  # of 100 of the 300 samples
    assert far["fid"] - far["fid_floor"] == pytest.approx(64 * 0.25, rel=0.2)


def test_means_are_over_the_labels_that_have_the_figure():
    rows = {
        "a": {"kid": 1.0, "kid_error": 0.3, "kid_floor": 0.5, "kid_error_floor": 0.1, "fid": 8.0, "fid_floor": 6.0},
        "b": {"kid": 2.0, "kid_error": 0.4},
        "c": {"samples": 3, "reference": 3, "held_out": 1},
    }
    assert mean_over_labels("x", rows) == pytest.approx(
        {
            "intra_kid_x": 1.5,
            "intra_kid_x_error": 0.25,
            "intra_kid_x_floor": 0.5,
            "intra_kid_x_error_floor": 0.1,
            "intra_fid_x": 8.0,
            "intra_fid_x_floor": 6.0,
        }
    )
    assert set(mean_over_labels("x", {"c": rows["c"]}).values()) == {None}


@pytest.mark.parametrize(("count", "others"), [(30, 20), (100, 40)])
def test_the_frechet_distance_is_that_of_torchmetrics(count, others):
    """Of fewer images than features, and of more."""
    real, fake = cloud(count, 0, 1), cloud(others, 0.3, 2).cumsum(1)
    identity = torch.nn.Identity()
    identity.num_features = 64
    reference = FrechetInceptionDistance(identity)
    reference.update(real, real=True)
    reference.update(fake, real=False)
    assert distances.frechet_distance(real, fake) == pytest.approx(float(reference.compute()), rel=1e-4)
