"""Facts of the two articles' DCGANs, known from outside."""

import copy
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.__main__ import sizes
from models.contracts import HeldOut
from models.nn import losses
from models.papers import dcgan

ROOT = Path(__file__).parents[3]
CPU = torch.device("cpu")


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def shapes(network: nn.Sequential, x: torch.Tensor) -> list[tuple[int, ...]]:
    """Of what each layer hands on, without the batch."""
    found = []
    for layer in network:
        x = layer(x)
        found.append(tuple(x.shape[1:]))
    return found


def test_parameter_counts_are_the_published_ones():
    assert {(row["name"], row["network"]): row["parameters"] for row in sizes() if row["name"].startswith("dcgan")} == {
        ("dcgan96", "generator"): 4_655_427,
        ("dcgan96", "discriminator"): 2_795_202,
        ("dcgan128", "generator"): 13_462_019,
        ("dcgan128", "discriminator"): 462_785,
    }
    assert count(dcgan.Generator96(dcgan.PRESETS96["paper"])) == 12_658_432


@pytest.mark.full
def test_the_table_is_printed_for_people_and_programs():
    for_people, for_programs = (
        subprocess.run(
            [sys.executable, "-m", "models", *option], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        for option in ([], ["--json"])
    )
    assert "4,655,427" in for_people
    assert "TrainDCGAN --variant 128" in for_people
    rows = [json.loads(line) for line in for_programs.splitlines()]
    assert {"name": "dcgan128", "network": "discriminator", "parameters": 462_785} in rows


def test_side_by_side_the_shapes_are_the_articles():
    found = shapes(dcgan.Discriminator128(dcgan.Config128()), torch.zeros(2, 3, 128, 128))
    sides = [shape[1] for shape in found if len(shape) == 3]
    assert [side for before, side in zip([128, *sides], sides, strict=False) if side != before] == [
        129,
        64,
        65,
        32,
        33,
        17,
    ]
    assert 73_984 in [shape[0] for shape in found if len(shape) == 1]
    generator = dcgan.Generator96(dcgan.Config96())
    found = shapes(generator.layers, torch.zeros(2, 100))
    assert [shape for shape in found if len(shape) == 3][:1] == [(512, 6, 6)]
    assert generator(torch.zeros(2, 100)).shape == (2, 3, 96, 96)
    assert dcgan.Generator128(dcgan.Config128())(torch.zeros(2, 100)).shape == (2, 3, 128, 128)


def test_in_the_articles_order_are_activation_dropout_and_normalisation():
    names = [type(layer).__name__ for layer in dcgan.Discriminator128(dcgan.Config128())]
    assert names == [
        "ZeroPad2d",
        "Conv2d",
        "LeakyReLU",
        "Dropout",
        "ZeroPad2d",
        "Conv2d",
        "ZeroPad2d",
        "LeakyReLU",
        "Dropout",
        "BatchNorm",
        "Conv2d",
        "LeakyReLU",
        "Dropout",
        "BatchNorm",
        "Conv2d",
        "LeakyReLU",
        "Dropout",
        "Flatten",
        "Linear",
        "Flatten",
    ]
    names = [type(layer).__name__ for layer in dcgan.Generator128(dcgan.Config128()).layers]
    assert names == [
        "Linear",
        "ReLU",
        "Unflatten",
        "BatchNorm",
        "Upsample",
        "Conv2d",
        "ReLU",
        "BatchNorm",
        "Upsample",
        "Conv2d",
        "ReLU",
        "BatchNorm",
        "Conv2d",
        "Tanh",
    ]
    norm = next(m for m in dcgan.Generator128(dcgan.Config128()).modules() if isinstance(m, dcgan.BatchNorm))
    assert (norm.momentum, norm.eps) == (0.2, 1e-3)


def test_the_first_generator_is_linear_at_its_end_and_norms_units():
    layers = list(dcgan.Generator96(dcgan.Config96()).layers)
    assert isinstance(layers[-1], nn.ConvTranspose2d)
    assert layers[1].num_features == 18_432
    assert isinstance(list(dcgan.Generator96(dcgan.PRESETS96["paper"]).layers)[-1], nn.Tanh)


def test_first_weights_are_the_papers():
    torch.manual_seed(0)
    for network in (dcgan.Generator96(dcgan.Config96()), dcgan.Discriminator96(dcgan.Config96())):
        for layer in network.modules():
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
                assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
                assert layer.bias.abs().max() == 0


def test_softmax_over_two_classes_is_a_sigmoid_of_their_difference():
    logits = torch.randn(7, 2)
    torch.testing.assert_close(
        losses.softmax_cross_entropy(logits, 0), losses.binary_cross_entropy(logits[:, 0] - logits[:, 1], 1.0)
    )


def test_at_a_logit_of_nothing_both_losses_are_ln_2():
    for loss in (losses.binary_cross_entropy(torch.zeros(3), 1.0), losses.softmax_cross_entropy(torch.zeros(3, 2), 1)):
        assert loss.item() == pytest.approx(math.log(2))


def test_losses_are_computed_in_single_precision_at_least():
    assert losses.binary_cross_entropy(torch.zeros(3, dtype=torch.bfloat16), 1).dtype == torch.float32
    assert losses.softmax_cross_entropy(torch.zeros(3, 2, dtype=torch.float64), 1).dtype == torch.float64


def test_both_losses_are_computed_before_either_update():
    """mattya's order: D's update is down the loss against the G of before."""
    config = dcgan.PRESETS96["tiny"]
    torch.manual_seed(1)
    trainer = dcgan.DCGAN96(config, CPU, {"faces": HeldOut(np.zeros((4, 32, 32, 3), np.uint8))})
    batch = {"picture": torch.randint(256, (8, 32, 32, 3), dtype=torch.uint8)}
    real = (batch["picture"].permute(0, 3, 1, 2).float() - 128) / 128
    torch.manual_seed(2)
    z = trainer.g.noise(8)
    loss_d = losses.softmax_cross_entropy(trainer.d(trainer.g(z)), dcgan.FAKE)
    loss_d = loss_d + losses.softmax_cross_entropy(trainer.d(real), dcgan.REAL)
    wanted = torch.autograd.grad(loss_d, list(trainer.d.parameters()))
    torch.manual_seed(2)
    trainer.step(batch, 0)
    for parameter, gradient in zip(trainer.d.parameters(), wanted, strict=True):
        moment = trainer.opt_d.state[parameter]["exp_avg"]
        torch.testing.assert_close(moment, 0.5 * gradient, rtol=1e-3, atol=1e-5)  # the weight decay is 1e-5


def test_the_second_article_takes_half_a_batch_of_real_pictures():
    assert dcgan.Config128(batch_size=32).pictures == 16
    assert dcgan.Config96(batch_size=100).pictures == 100


def test_below_the_second_articles_sheet_is_a_walk_from_the_first_picture_to_the_second():
    trainer = dcgan.DCGAN128(dcgan.PRESETS128["tiny"], CPU, {"faces": HeldOut(np.zeros((4, 32, 32, 3), np.uint8))})
    sheet = trainer.sheet(0)
    assert sheet.shape == (6 * 32, 10 * 32, 3)
    first, second, walk = sheet[:32, :32], sheet[:32, 32:64], sheet[-32:]
    assert (walk[:, :32] == first).all()
    assert (walk[:, -32:] == second).all()
    assert not (walk[:, 32:64] == first).all()


@pytest.fixture
def _fp64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("_fp64")
def test_the_second_article_makes_fakes_for_d_by_running_statistics():
    """Keras-GAN's loop, written down once more: `predict` neither uses nor moves the statistics of the batch."""
    config = replace(dcgan.PRESETS128["tiny"], dropout=0.0, batch_size=8)
    torch.manual_seed(1)
    trainer = dcgan.DCGAN128(config, CPU, {"faces": HeldOut(np.zeros((4, 32, 32, 3), np.uint8))})
    g, d = copy.deepcopy(trainer.g), copy.deepcopy(trainer.d)
    adams = [torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999)) for network in (g, d)]

    def step(adam: torch.optim.Adam, logits: torch.Tensor, target: float) -> None:
        g.zero_grad()
        d.zero_grad()
        torch.nn.functional.binary_cross_entropy(logits.sigmoid(), torch.full_like(logits, target)).backward()
        adam.step()

    for i in range(3):
        batch = {"picture": torch.randint(256, (4, 32, 32, 3), dtype=torch.uint8)}
        torch.manual_seed(i)
        trainer.step(batch, i)
        torch.manual_seed(i)
        step(adams[1], d(batch["picture"].permute(0, 3, 1, 2) / 127.5 - 1), 1)
        with torch.no_grad():
            before = copy.deepcopy(g.state_dict())
            fake = g.eval()(torch.rand(4, config.latent) * 2 - 1)
            g.train()
            assert all(torch.equal(value, before[name]) for name, value in g.state_dict().items())
        step(adams[1], d(fake), 0)
        step(adams[0], d(g(torch.rand(8, config.latent) * 2 - 1)), 1)
    for ours, theirs in ((trainer.g, g), (trainer.d, d)):
        for name, value in ours.state_dict().items():
            torch.testing.assert_close(value, theirs.state_dict()[name], rtol=0, atol=1e-10)
