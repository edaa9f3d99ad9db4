"""A nullable column may be added to a manifest: old datasets and recipes are read as if it were null in them."""

import luigi
import pytest
import torch

import workflows
from models.data.batches import pictures
from models.data.dataset import Dataset
from models.zoo import MODELS
from pipeline.datasets import recipe, retag, takedown
from pipeline.datasets.pack import pack
from pipeline.manifest import read
from tests.support.new_column import COLUMN, add_column
from tests.support.old_files import unpack


@pytest.fixture
def root(tmp_path):
    return unpack(tmp_path / "data")


def run(task: luigi.Task) -> None:
    assert luigi.build([task], local_scheduler=True, log_level="WARNING")


def test_an_old_dataset_is_trained_on_rebuilt_exported_and_taken_down(root, tmp_path, monkeypatch):
    run(workflows.RebuildFaceDataset(data_root=root, manifest=root / "recipes/faces.parquet", name="before", jobs=1))
    schema = add_column(monkeypatch)
    dataset = Dataset(root / "datasets/faces", root / "cache")
    assert dataset.faces[COLUMN.name].null_count == len(dataset.faces) == 16

    config, device = MODELS["dcgan128"].presets["tiny"], torch.device("cpu")
    trainer = MODELS["dcgan128"].trainer(config, device, {"faces": dataset.pixels("val", config.size)})
    assert trainer.step(pictures({"faces": dataset}, config, seed=0, device=device)(0), 0)

    recipe._read.cache_clear()
    run(workflows.RebuildFaceDataset(data_root=root, manifest=root / "recipes/faces.parquet", name="after", jobs=1))
    before, after = (read(root / f"datasets/{name}/manifest.parquet", schema) for name in ("before", "after"))
    assert after["face_id"].equals(before["face_id"])  # the old dataset's differ: version 0.1 cut its crops otherwise
    run(workflows.ExportRecipe(data_root=root, name="faces"))
    assert recipe.read(root / "recipes/faces.parquet").rows[COLUMN.name].null_count == 16
    assert pack(root, "faces", tmp_path / "faces.tar") == 16

    retag.retag(root, "before", tagger="color", folder=None, jobs=1)
    gone = dataset.faces["image_id"][0].as_py()
    takedown.take_down(root, "sha256", gone, "")
    for name in ("faces", "before", "after"):
        left = read(root / f"datasets/{name}/manifest.parquet", schema)
        assert left["source_id"].to_pylist() == dataset.faces["source_id"].to_pylist()[1:]
        assert left[COLUMN.name].null_count == 15
