"""Files of version 0.1 stay readable: its datasets, recipes, runs and caches."""

import json
import sqlite3

import pytest

from models.data.dataset import Dataset
from models.training.checkpoint import read as read_checkpoint
from pipeline.datasets import assemble, recipe
from pipeline.manifest import FACES, read
from tests.support.old_files import unpack
from tests.support.run_luigi import luigi


@pytest.fixture
def root(tmp_path):
    return unpack(tmp_path / "data")


def test_dataset_and_recipe_are_read(root):
    dataset = Dataset(root / "datasets/faces", root / "cache")
    assert dataset.pixels("train", 32).shape == (len(dataset.split("train")), 32, 32, 3)
    held = recipe.read(root / "recipes/faces.parquet")
    assert held.rows.equals(dataset.faces)
    assert held.build.settings == assemble.build_of(root / "datasets/faces").settings
    assert held.build.settings["hair_tagger"] == "auto"


@pytest.mark.full
def test_a_run_is_resumed_and_another_trains_on_the_old_dataset(root):
    train = ("TrainDCGAN", "--variant", "128", "--preset", "tiny", "--device", "cpu")
    luigi(root.parent, *train, "--run", "tiny", "--steps", "8")
    assert read_checkpoint(root / "runs/tiny/last.pt")["step"] == 8
    steps = [json.loads(line)["step"] for line in (root / "runs/tiny/metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)
    assert steps[-1] == 8
    luigi(root.parent, *train, "--run", "another", "--steps", "2")
    assert read_checkpoint(root / "runs/another/last.pt")["step"] == 2


@pytest.mark.full
def test_a_recipe_is_rebuilt_with_the_old_cache_and_pictures_are_taken_down(root):
    faces = read(root / "datasets/faces/manifest.parquet", FACES)
    luigi(root.parent, "RebuildFaceDataset", "--manifest", "data/recipes/faces.parquet")
    rebuilt = read(root / "datasets/rebuilt/manifest.parquet", FACES)
    assert rebuilt["image_id"].equals(faces["image_id"])  # faces are cut otherwise since: their ids are others
    done = luigi(root.parent, "Takedown", "--sha256", faces["face_id"][0].as_py())
    assert "runs/tiny was trained on them" in done.stderr
    gone = faces["image_id"][0].as_py()
    for name, before in (("faces", faces), ("rebuilt", rebuilt)):
        left = read(root / f"datasets/{name}/manifest.parquet", FACES)
        assert left["face_id"].to_pylist() == before["face_id"].to_pylist()[1:]
    with sqlite3.connect(root / "cache/results.sqlite") as results:
        assert not results.execute("SELECT key FROM result WHERE key LIKE ?", (f"%{gone}%",)).fetchall()
