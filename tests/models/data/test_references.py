"""Domains -> batches of sources and of references, and what is held out of each."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from models.data.dataset import UserError
from models.data.references import classes_with_pictures, held_out, held_out_domains, random_crops, references, resample
from models.papers.stargan2 import PRESETS
from pipeline.manifest import FACES

CPU = torch.device("cpu")
CONFIG = replace(PRESETS["tiny"], size=8, batch_size=6, crop_share=0.0, hflip=False)
COLORS = ["blonde"] * 4 + ["blue"] * 40 + ["red"] * 2 + ["pink"]


class Levels:
    """A dataset of pictures of one grey level each, its row."""

    def __init__(self, colors: list[str | None], val: int = 0) -> None:
        self.folder, self.digest = Path("levels"), "levels"
        split = ["train"] * (len(colors) - val) + ["val"] * val
        schema = pa.schema([FACES.field(name) for name in ("hair_color", "tags", "split", "size")])
        columns = {"hair_color": colors, "tags": [["a"]] * len(colors), "split": split, "size": [8] * len(colors)}
        self.faces = pa.table(columns, schema=schema)

    def pixels(self, split: str, size: int) -> np.ndarray:
        """Return the pictures of a split."""
        rows = np.flatnonzero(np.array(self.faces["split"]) == split).astype(np.uint8)
        return np.broadcast_to(rows[:, None, None, None], (len(rows), size, size, 3)).copy()


def by_color(*domains: str, colors: list[str] = COLORS, **changes):
    config = replace(CONFIG, domains=domains, domain_column="hair_color", **changes)
    return references({"faces": Levels(colors)}, config, seed=0, device=CPU)


def levels(pictures: torch.Tensor) -> list[int]:
    return pictures[:, 0, 0, 0].tolist()


def test_sources_and_references_are_of_their_domains_and_the_two_references_differ():
    batches = by_color("red", "blue", "blonde")
    for i in range(20):
        batch = batches(i)
        for picture, label in (("picture", "label"), ("reference", "target"), ("other_reference", "target")):
            found = [COLORS[level] for level in levels(batch[picture])]
            assert found == [("red", "blue", "blonde")[k] for k in batch[label].argmax(1)]
        assert all(a != b for a, b in zip(levels(batch["reference"]), levels(batch["other_reference"]), strict=True))
        assert batch["label"].sum(1).tolist() == [1] * 6


def test_domains_have_equal_chances_whatever_their_sizes():
    batches = by_color("red", "blue")
    labels = np.concatenate([batches(i)["label"].argmax(1) for i in range(100)])
    assert 0.4 < labels.mean() < 0.6


def test_a_batch_is_a_function_of_seed_and_step():
    config = {"crop_share": 0.5, "hflip": True}
    first, again = by_color("red", "blue", **config), by_color("red", "blue", **config)
    again(0)
    for name, value in first(3).items():
        assert torch.equal(value, again(3)[name])
    assert levels(first(3)["picture"]) != levels(first(4)["picture"])


def test_each_dataset_may_be_a_domain():
    config = replace(CONFIG, domains=("a", "b"), domain_column="")
    batches = references({"a": Levels(["red"] * 3), "b": Levels(["red"] * 200)}, config, seed=0, device=CPU)
    for i in range(10):
        batch = batches(i)
        of_a = batch["picture"][batch["label"][:, 0] == 1]
        assert all(level < 3 for level in levels(of_a))
    assert max(levels(batch["picture"])) > 3


def test_crops_have_the_published_areas_and_ratios_and_lie_in_the_picture():
    boxes = random_crops(np.random.default_rng(0), 1000, 0.5)
    assert (boxes >= 0).all()
    assert (boxes <= 1).all()
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    is_cropped = width * height < 1
    assert 0.4 < is_cropped.mean() < 0.6
    assert (width * height >= 0.799).all()
    assert ((width / height > 0.89) & (width / height < 1.11)).all()


def test_resampling_keeps_a_whole_picture_and_mirrors_a_turned_box():
    picture = torch.randint(256, (2, 8, 8, 3), dtype=torch.uint8)
    boxes = np.array([[0, 0, 1, 1], [1, 0, 0, 1]])
    whole, mirrored = resample(picture, boxes)
    assert torch.equal(whole, picture[0])
    assert torch.equal(mirrored, picture[1].flip(1))
    ramp = torch.arange(8, dtype=torch.uint8)[None, None, :, None].expand(1, 8, 8, 3) * 10
    (right,) = resample(ramp, np.array([[0.5, 0, 1, 1]]))
    assert right[0, :, 0].float().mean() > 50


@pytest.mark.parametrize(
    ("domains", "error"),
    [
        (("red",), "domains: red alone; two or more to translate between; name them"),
        (("red", "red"), "domains: red red given; different ones"),
        (("red", "pink"), "domain pink: has 1 pictures in split train; two or more; leave it out of --domains"),
        (("red", "green"), "domain green: has 0 pictures in split train"),
        (("red", "teal"), "--domains: teal is no class of hair_color; some of blonde brown"),
    ],
)
def test_domains_that_cannot_be_are_refused(domains, error):
    with pytest.raises(UserError, match=error):
        by_color(*domains)


def test_an_unknown_column_and_an_empty_dataset_are_refused():
    config = replace(CONFIG, domains=("a", "b"), domain_column="mood")
    with pytest.raises(UserError, match=r"--domain-column: mood given; one of hair_color split tags; give another"):
        references({"faces": Levels(COLORS)}, config, seed=0, device=CPU)
    empty = Levels(["red"] * 3, val=2)
    config = replace(config, domain_column="")
    with pytest.raises(UserError, match=r"domain b: has 1 pictures in split train; .*; build a larger dataset"):
        references({"a": Levels(COLORS), "b": empty}, config, seed=0, device=CPU)


def test_held_out_pictures_are_of_val_or_of_train_where_val_has_too_few():
    colors = ["red", "red", "blue", "blue", "blue", "red", "red", "blue"]
    config = replace(CONFIG, domains=("red", "blue"), domain_column="hair_color")
    held = {"faces": held_out(Levels(colors, val=3), config, 10)}
    red, blue = held_out_domains(held, 2)
    assert red[:, 0, 0, 0].tolist() == [5, 6]
    assert blue[:, 0, 0, 0].tolist() == [2, 3, 4]
    each = {name: held_out(Levels(colors, val=3), replace(config, domain_column=""), 10) for name in ("red", "blue")}
    assert [len(pictures) for pictures in held_out_domains(each, 2)] == [3, 3]


def test_classes_with_pictures_are_those_with_two_in_train():
    assert classes_with_pictures(Levels(COLORS), "hair_color") == ["blonde", "blue", "red"]
    assert classes_with_pictures(Levels(COLORS), "tags") == ["a"]
