"""Two domains -> batches without pairs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from models.data.dataset import UserError
from models.data.pairs import ARTICLE_CROPS, draw_box, pairs
from models.papers.ugatit import PRESETS

CPU = torch.device("cpu")
CONFIG = replace(PRESETS["tiny"], size=8, batch_size=2)


class Gradients:
    """A dataset of N pictures of one grey level each, its row, so that a crop tells which it is of."""

    def __init__(self, name: str, count: int, size: int = 16) -> None:
        self.folder, self.digest, self._size = Path(name), name, size
        self.faces = pa.table({"size": [size] * count})

    def split(self, name: str) -> pa.Table:
        """Return all rows, which are of train."""
        return self.faces if name == "train" else self.faces.slice(0, 0)

    def pixels(self, split: str, size: int) -> np.ndarray:
        """Return the pictures; `asked` is their size."""
        self.asked = size
        rows = np.arange(len(self.split(split)), dtype=np.uint8)
        return np.broadcast_to(rows[:, None, None, None], (len(rows), size, size, 3)).copy()


def build(a: int = 5, b: int = 7, config=CONFIG, seed: int = 0):
    return pairs({"a": Gradients("art", a), "b": Gradients("photographs", b)}, config, seed=seed, device=CPU)


def rows(batches, role: str, steps: int) -> list[int]:
    return [int(level) for i in range(steps) for level in batches(i)[role][:, 0, 0, 0]]


def test_each_epoch_takes_as_many_of_each_domain_as_the_smaller_one_has():
    batches = build()
    a, b = (rows(batches, role, 10) for role in "ab")  # 20 pictures: four epochs of five
    for epoch in range(4):
        part = slice(5 * epoch, 5 * epoch + 5)
        assert sorted(a[part]) == list(range(5))
        assert len(set(b[part])) == 5
    assert set(b) == set(range(7))
    assert a[:5] != a[5:10]
    assert a[:5] != b[:5]


def test_a_batch_is_a_function_of_seed_and_step():
    config = replace(CONFIG, hflip=True)
    first, again, other = build(config=config), build(config=config), build(config=config, seed=1)
    again(0)
    for role in "ab":
        assert torch.equal(first(7)[role], again(7)[role])
    assert any(not torch.equal(first(i)["a"], other(i)["a"]) for i in range(3))
    assert first(7)["a"].shape == (2, 8, 8, 3)
    assert first(7)["a"].dtype == torch.uint8


@pytest.mark.parametrize(
    ("crop", "least"), [("article", {"a": 0.9, "b": 0.7}), ("official", dict.fromkeys("ab", 0.89))]
)
def test_crops_are_squares_within_the_picture(crop, least):
    rng = np.random.default_rng(0)
    for role in "ab":
        boxes = np.array([draw_box(rng, crop, role) for _ in range(500)])
        assert boxes.min() >= 0
        assert boxes.max() <= 1
        sides = boxes[:, 2:] - boxes[:, :2]
        assert np.allclose(sides[:, 0], sides[:, 1])
        assert sides.min() >= least[role]
        centres = 0.5 - (boxes[:, :2] + boxes[:, 2:]) / 2
        if crop == "article":
            for axis, (low, high) in enumerate((ARTICLE_CROPS[role].x, ARTICLE_CROPS[role].y)):
                assert low <= centres[:, axis].min() < 0.9 * low
                assert 0.9 * high < centres[:, axis].max() <= high
        else:
            assert np.allclose(sides, 256 / 286)


def test_pictures_are_read_larger_than_they_are_shown_where_the_faces_are():
    datasets = {"a": Gradients("art", 3, size=12), "b": Gradients("photographs", 3, size=64)}
    pairs(datasets, CONFIG, seed=0, device=CPU)
    assert [dataset.asked for dataset in datasets.values()] == [12, 16]


def test_a_domain_without_a_face_is_refused():
    with pytest.raises(UserError, match=r"photographs: has no face in the split train; one or more; build a larger"):
        build(b=0)


def test_one_dataset_under_two_names_is_refused():
    twice = Gradients("art", 3), Gradients("copy", 3)
    twice[1].digest = twice[0].digest
    with pytest.raises(UserError, match=r"copy: has the same faces as art; another domain"):
        pairs(dict(zip("ab", twice, strict=True)), CONFIG, seed=0, device=CPU)
