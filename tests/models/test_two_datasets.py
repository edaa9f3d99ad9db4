"""A model of two datasets and two exported networks: it trains, resumes and exports."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

from models.contracts import Datasets, HeldOut
from models.data.batches import Pictures, in_range
from models.data.dataset import UserError
from models.runs import export, folder, worker
from models.runs.settings import Job, read_settings
from models.seeds import seed_for
from models.training.update import update
from models.zoo import MODELS, Model
from tests.models.test_every_model import the_same


@dataclass(frozen=True)
class Config:
    """The settings of Translator."""

    size: int = 8
    hflip: bool = False
    batch_size: int = 4
    micro_batches: int = 1
    steps: int = 4
    sample_every: int = 2
    save_every: int = 2

    @property
    def pictures(self) -> int:
        """Return the number of real images in a step, of each dataset."""
        return self.batch_size


class Network(nn.Sequential):
    """Images (N, 3, S, S) -> images of the other dataset's kind."""

    middle = 127.5

    def __init__(self, config: Config) -> None:
        super().__init__(nn.Conv2d(3, 3, 1), nn.Tanh())


class Translator:
    """Two networks, each trained to be the other's inverse."""

    def __init__(self, config: Config, device: torch.device, held_out: Mapping[str, HeldOut]) -> None:
        assert list(held_out) == ["a", "b"]
        self.device, self.held_out = device, held_out
        self.a_to_b, self.b_to_a = Network(config), Network(config)
        self.optimizer = torch.optim.Adam([*self.a_to_b.parameters(), *self.b_to_a.parameters()])

    def step(self, batch: dict[str, torch.Tensor], i: int) -> dict[str, torch.Tensor]:
        """Return the loss of both cycles."""
        a, b = (in_range(batch[role], Network.middle) for role in ("a", "b"))
        loss = (self.b_to_a(self.a_to_b(a)) - a).square().mean() + (self.a_to_b(self.b_to_a(b)) - b).square().mean()
        return {"cycle": update([self.optimizer], loss)}

    def sheet(self, i: int) -> np.ndarray:
        """Return a held-out image of each dataset."""
        return np.concatenate([self.held_out["a"].pictures[0], self.held_out["b"].pictures[0]])

    def exported(self) -> dict[str, nn.Module]:
        """Return both networks."""
        return {"a_to_b": self.a_to_b, "b_to_a": self.b_to_a}


def pairs(datasets: Datasets, config: Config, *, seed: int, device: torch.device):
    """Return batches {"a": …, "b": …}."""
    loaders = {
        role: Pictures(dataset.pixels("train", config.size), config.pictures, seed=seed_for(seed, role), device=device)
        for role, dataset in datasets.items()
    }
    return lambda i: {role: loader(i)["picture"] for role, loader in loaders.items()}


class Noise:
    """A dataset of random images."""

    def __init__(self, path: str, seed: int) -> None:
        self.folder, self.digest, self._seed = Path(path), f"{seed:0>64}", seed
        self.faces = pa.table({"split": ["train"] * 6, "size": [8] * 6, "box_scale": [1.5] * 6})

    def facts(self) -> dict:
        """Return the number of images, and their size."""
        return {"faces": len(self.faces), "size": 8, "box_scale": 1.5}

    def split(self, name: str) -> pa.Table:
        """Return all rows, which are of train."""
        return self.faces if name == "train" else self.faces.slice(0, 0)

    def pixels(self, split: str, size: int) -> np.ndarray:
        """Return the images of a split."""
        count = len(self.split(split))
        return np.random.default_rng(self._seed).integers(0, 256, (count, size, size, 3), np.uint8)


@pytest.fixture
def job(monkeypatch, tmp_path) -> Job:
    """A job of the toy model, of which there is a row while the test runs."""
    presets = dict.fromkeys(("article", "paper", "small", "tiny"), Config())
    networks = {"a_to_b": Network, "b_to_a": Network}
    row = Model("no paper", "TrainToy", presets, networks, Translator, pairs, tuple(networks), roles=("a", "b"))
    monkeypatch.setitem(MODELS, "toy", row)
    for module in (worker, folder):
        monkeypatch.setattr(
            module,
            "load_datasets",
            lambda job: {role: Noise(job.datasets[role], len(role + job.datasets[role])) for role in "ab"},
        )
    run = str(tmp_path / "run")
    return Job(run, "toy", "tiny", {"a": "art", "b": "photographs"}, str(tmp_path / "cache"), {}, device="cpu")


def test_it_trains_resumes_and_exports_both_networks(job):
    run = Path(job.run)
    worker.train(replace(job, changes={"steps": 2}))
    assert folder.is_complete(replace(job, changes={"steps": 2}))
    assert not folder.is_complete(job)
    worker.train(job)
    assert folder.is_complete(job)
    worker.train(replace(job, run=f"{run}-straight"))
    for name in ("model", "b_to_a"):
        straight = Path(f"{run}-straight") / f"{name}.safetensors"
        assert (run / f"{name}.safetensors").read_bytes() == straight.read_bytes()
    held = torch.load(run / "last.pt")
    for name, network in (("a_to_b", export.load_network(run)), ("b_to_a", export.load_network(run, "b_to_a"))):
        the_same(dict(network.state_dict()), dict(held[name]))
    assert export.read_about(run)["steps"] == 4
    card = (run / "README.md").read_text()
    assert "# toy, trained on art and photographs\n" in card
    assert card.count("a dataset of 6 faces") == 2


def test_its_settings_name_both_datasets_and_another_one_is_refused(job):
    worker.train(job)
    settings = read_settings(Path(job.run))
    assert settings["dataset"]["name"] == "art"
    assert settings["datasets"]["b"]["name"] == "photographs"
    with pytest.raises(UserError, match=r"dataset b digest 0+, now 0+"):
        worker.train(replace(job, datasets=job.datasets | {"b": "x"}))


def test_a_network_that_it_does_not_export_is_refused(job):
    worker.train(job)
    (Path(job.run) / "c.safetensors").write_bytes((Path(job.run) / "model.safetensors").read_bytes())
    with pytest.raises(UserError, match=r"c\.safetensors: damaged \(no network c\)"):
        export.load_network(Path(job.run), "c")


def test_an_old_run_of_the_hair_tagger_is_read_with_its_fields_new_names(tmp_path):
    held = {
        "model": "hair_tagger",
        "config": {"lessons": 40_000, "steps": 6_000},
        "dataset": {"name": "drawn", "digest": "0"},
    }
    (tmp_path / "config.json").write_text(json.dumps(held))
    assert read_settings(tmp_path)["config"] == {"patches": 40_000, "steps": 6_000}
