"""What does not fit into memory is refused before anything is built, and a long training tells what it takes."""

import time

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from models.data.dataset import UserError
from models.nn.plan import planned
from models.runs import memory
from models.training import probe
from models.zoo import MODELS

CPU = torch.device("cpu")


def test_a_training_needs_at_least_its_weights_and_moments():
    assert memory.parameter_count("ugatit", MODELS["ugatit"].presets["article"]) == 2 * (283_679_424 + 56_420_736)


def test_planned_networks_have_the_tensors_of_others_which_are_built_as_ever():
    build, config = MODELS["ugatit"].networks["discriminator_a"], MODELS["ugatit"].presets["tiny"]
    with planned():
        plan = build(config).state_dict()
    assert {name: tensor.shape for name, tensor in plan.items()} == {
        name: tensor.shape for name, tensor in build(config).state_dict().items()
    }
    assert all(tensor.is_meta for tensor in plan.values())
    torch.manual_seed(0)
    assert (
        torch.linalg.matrix_norm(spectral_norm(nn.Linear(16, 16)).weight, 2) < 1.1
    )  # as the iterations are done again


@pytest.mark.full
def test_what_does_not_fit_is_refused_with_the_preset_that_does(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda device: 4 * 10**9)
    presets = MODELS["ugatit"].presets
    with pytest.raises(UserError, match=r"680,200,320 weights need 8\.2 GB, and 4\.0 GB are free.*--preset light"):
        memory.check_memory("ugatit", presets["article"], CPU)
    assert memory.check_memory("ugatit", presets["light"], CPU) == 2 * (10_589_888 + 56_420_736)


def test_a_system_that_does_not_tell_refuses_nothing(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda device: None)
    assert memory.check_memory("ugatit", MODELS["ugatit"].presets["tiny"], CPU)


def test_this_machine_tells():
    assert memory.available_bytes(CPU)


@pytest.mark.parametrize(("left", "lines"), [(36_000, 1), (100, 0)])
def test_a_long_training_tells_once_what_it_takes(left, lines, monkeypatch, capsys):
    clock = iter(range(0, 100, 2))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    measured = probe.Probe(CPU, 1_234_567)
    for step in range(probe.PROBE_STEPS):
        measured.advance("mine", left - step)
    told = capsys.readouterr().err
    assert told.count("\n") == lines
    if lines:
        assert "mine: 1,234,567 weights to train, " in told
        assert " GB of memory, 2 s a step, about 20.0 hours in all" in told
