"""The training of the network that names hair colours."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

from models.annotators.hair_tagger import PRESETS, Batches, HairTagger, HairTaggerTraining, Patches, to_batch
from models.seeds import seed_for
from tests.support.run_luigi import last_line, luigi


def patches(count: int, seed: int = 0) -> Patches:
    """Patches of one of two colours, which say what they are, in their upper half."""
    rng = np.random.default_rng(seed)
    which = rng.integers(0, 2, count)
    pictures = rng.integers(100, 156, (count, 64, 64, 3), np.uint8)
    pictures[:, :32] = np.array([(220, 40, 40), (40, 40, 220)], np.uint8)[which][:, None, None]
    hair = np.zeros((count, 16, 16), np.uint8)
    hair[:, :8] = 255
    return Patches(pictures, hair, np.eye(10, dtype=np.float32)[which])


def normalised(pictures: np.ndarray) -> np.ndarray:
    return np.float32(pictures) / 127.5 - 1


@pytest.mark.full
def test_it_learns_which_colour_is_where_hair_is():
    torch.manual_seed(0)
    config, learned, held_out = PRESETS["tiny"], patches(64), patches(32, seed=1)
    trainer = HairTaggerTraining(config, to_batch(held_out, normalised), held_out.pictures)
    batches = Batches(learned, normalised, config.batch_size, seed=0)
    losses = [trainer.step(batches(i), i % config.horizon)["name"].item() for i in range(200)]
    assert losses[-1] < 0.2 * losses[0]
    assert trainer.validate(200)["right"] > 0.9
    _, look = trainer.exported()["tagger"](to_batch(held_out, normalised)["patch"])
    assert look[:, :7].mean() > look[:, 9:].mean()
    sheet = trainer.sheet(200)
    assert sheet.dtype == np.uint8
    assert sum(count for _, _, count in trainer.reliability()) == 32


def test_batches_are_a_function_of_seed_and_number_and_show_each_patch_once_an_epoch():
    learned = patches(48)
    batches, others = (Batches(learned, normalised, 16, seed=seed) for seed in (0, 1))
    first = [batches(i)["patch"] for i in range(6)]
    again = Batches(learned, normalised, 16, seed=0)
    assert all(torch.equal(again(i)["patch"], first[i]) for i in (5, 0, 3))
    assert not torch.equal(others(0)["patch"], first[0])
    epoch = torch.cat(first[:3])
    assert len(torch.unique(epoch.flatten(1), dim=0)) == 48
    assert seed_for(0, 0, "lessons") != seed_for(0, 1, "lessons")


def test_only_colours_of_hair_and_of_what_is_beside_it_name_it():
    """Where a colour lies does not matter, but for whether hair is there."""
    network = HairTagger(4, 8)
    with torch.no_grad():
        network.look.weight.zero_()
        network.place.fill_(-30)
        network.place[0, 3, 5] = network.place[0, 3, 6] = 30
    cells = torch.zeros(4, 3, 16, 16)
    cells[1, :, 3, 5] = cells[2, :, 3, 6] = 1
    cells[3, :, 9, 9] = 1
    names, _ = network(torch.nn.functional.interpolate(cells, scale_factor=4))
    assert torch.allclose(names[1], names[2], atol=1e-6)
    assert not torch.allclose(names[0], names[1], atol=1e-4)
    assert not torch.allclose(names[1], names[3], atol=1e-4)


@pytest.mark.full
def test_the_task_trains_and_says_how_reliable_it_is(tmp_path):
    luigi(tmp_path, "TrainHairTagger", "--preset", "tiny", "--jobs", "1")
    run = tmp_path / "data/runs/hair_tagger-tiny"
    with safe_open(run / "model.safetensors", "np") as file:
        about = json.loads(file.metadata()["about"])
    assert about["steps"] == 20
    assert sum(count for _, _, count in about["reliability"]) == 16
    before = (run / "model.safetensors").read_bytes()
    assert "Did not run any tasks" in luigi(tmp_path, "TrainHairTagger", "--preset", "tiny").stderr
    luigi(tmp_path, "TrainHairTagger", "--preset", "tiny", "--run", "again", "--jobs", "2")
    assert (tmp_path / "data/runs/again/model.safetensors").read_bytes() == before
    done = luigi(tmp_path, "TrainHairTagger", "--preset", "tiny", "--seed", "1", check=False)
    assert "--fresh" in last_line(done)
