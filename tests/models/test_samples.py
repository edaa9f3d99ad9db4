"""Samples of a run as the pictures of a dataset."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from models.papers import dcgan, projection
from models.papers.srresnet import SRResNetGenerator
from models.sampling import samples

ABOUT = {"run": "r", "weights": "0" * 64}


@pytest.fixture
def network() -> SRResNetGenerator:
    torch.manual_seed(0)
    return SRResNetGenerator(replace(projection.SRRESNET["tiny"], size=64)).eval()


def write(network, folder: Path, seeds: range, conditions) -> list[samples.Sample]:
    folder.mkdir()
    return list(samples.write_samples(network, folder, seeds, conditions, ABOUT))


def test_a_seed_has_the_same_file_among_any_others(network, tmp_path):
    conditions = torch.eye(9)
    many = write(network, tmp_path / "many", range(3, 29), conditions)
    few = write(network, tmp_path / "few", range(24, 26), conditions)
    assert [sample.seed for sample in many] == list(range(3, 29))
    assert few == many[21:23]
    assert (tmp_path / "few/000024.png").read_bytes() == (tmp_path / "many/000024.png").read_bytes()
    assert len({sample.sha256 for sample in many}) == len(many)


def test_labels_are_drawn_as_often_as_they_occur_and_are_tags(network, tmp_path):
    conditions = torch.eye(9)[[0, 0, 0, 3]]  # three blonde faces, and one with blue hair
    tags = Counter(tag for sample in write(network, tmp_path / "x", range(200), conditions) for tag in sample.tags)
    assert tags.keys() == {"blonde_hair", "blue_hair"}
    assert 35 <= tags["blue_hair"] <= 65
    with Image.open(tmp_path / "x/000000.png") as picture:
        assert picture.text["condition"] in ("blonde", "blue")


def test_a_file_holds_its_recipe_and_its_marking(tmp_path):
    torch.manual_seed(0)
    network = dcgan.Generator96(dcgan.PRESETS96["tiny"]).eval()
    (sample,) = write(network, tmp_path / "x", range(7, 8), None)
    assert sample.tags == []
    with Image.open(tmp_path / "x" / sample.name) as picture:
        assert {name: picture.text[name] for name in ("run", "weights", "seed", "condition")} == ABOUT | {
            "seed": "7",
            "condition": "",
        }
        assert "trainedAlgorithmicMedia" in picture.text["XML:com.adobe.xmp"]
