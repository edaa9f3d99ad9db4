"""SAGAN: numbers of weights and settings are the published ones, and attention is the paper's equations."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from models.nn.ema import EMA
from models.nn.layers import BatchNorm
from models.papers import sagan
from models.papers.sagan import PRESETS, SAGAN, Config, Discriminator, Generator, SelfAttention
from tests.support import textbook_sagan as textbook
from tests.support.run_luigi import luigi

CPU = torch.device("cpu")
TINY = PRESETS["tiny"]


@pytest.fixture(autouse=True)
def _fp64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def batch(config: Config, seed: int = 0) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return {"picture": torch.randint(256, (config.batch_size, config.size, config.size, 3), generator=rng).byte()}


def is_normalized(layer: nn.Module) -> bool:
    return hasattr(layer, "parametrizations")


def randomize_gates(network: nn.Module) -> None:
    for layer in network.modules():
        if isinstance(layer, SelfAttention):
            nn.init.normal_(layer.gamma)


def test_parameter_counts_are_the_published_ones():
    assert count(Generator(PRESETS["article"])) == 2_948_149
    assert count(Discriminator(PRESETS["article"])) == 3_175_299


def test_the_articles_settings():
    c = PRESETS["article"]
    assert (c.size, c.latent, c.batch_size, c.average, c.hflip) == (64, 20, 5, 0.0, False)
    assert (c.learning_rate, c.d_learning_rate, c.beta1, c.beta2) == (1e-4, 4e-4, 0.0, 0.9)
    assert c.steps == 3000 * 640 // 5
    paper = PRESETS["paper"]
    assert (paper.learning_rate, paper.d_learning_rate, paper.beta1, paper.beta2) == (1e-4, 4e-4, 0.0, 0.9)
    assert (paper.latent, paper.batch_size, paper.steps) == (128, 256, 1_000_000)


def test_in_the_article_maps_of_16_and_32_px_have_attention_in_g_and_those_of_8_and_4_px_in_d():
    found = []

    def note(module, inputs, output) -> None:
        found.append((output.shape[1], output.shape[-1]))

    g, d = Generator(PRESETS["article"]), Discriminator(PRESETS["article"])
    for network in (g, d):
        for layer in network.modules():
            if isinstance(layer, SelfAttention):
                layer.register_forward_hook(note)
    images = g(torch.randn(2, 20))
    assert images.shape == (2, 3, 64, 64)
    assert d(images).shape == (2,)
    assert found == [(128, 16), (64, 32), (256, 8), (512, 4)]


@pytest.mark.parametrize(("preset", "left"), [("article", 1 + 2 * 3), ("paper", 0)])
def test_which_weights_are_normalised(preset, left):
    """The article's last layers and attention are not; with the paper's words all are."""
    for network in (Generator(PRESETS[preset]), Discriminator(PRESETS[preset])):
        layers = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))]
        assert sum(not is_normalized(layer) for layer in layers) == left
        assert not any(hasattr(layer, "weight_orig") for layer in layers)


def test_first_weights_are_the_articles():
    torch.manual_seed(0)
    for network in (Generator(PRESETS["article"]), Discriminator(PRESETS["article"])):
        for layer in network.modules():
            if isinstance(layer, BatchNorm):
                assert layer.weight.mean().item() == pytest.approx(1, abs=0.01)
                assert layer.weight.std().item() == pytest.approx(0.02, rel=0.3)
            elif isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                weight = layer.parametrizations.weight.original if is_normalized(layer) else layer.weight
                assert weight.std().item() == pytest.approx(0.02, rel=0.1)
                assert layer.bias.abs().max() == 0
            elif isinstance(layer, SelfAttention):
                assert layer.gamma.item() == 0


@pytest.mark.parametrize("narrow_values", [False, True])
def test_attention_is_the_papers_equations_and_nothing_at_a_gate_of_0(narrow_values):
    torch.manual_seed(0)
    layer = SelfAttention(16, narrow_values=narrow_values)
    x = torch.randn(3, 16, 5, 4)
    assert torch.equal(layer(x), x)
    nn.init.constant_(layer.gamma, 0.7)
    weights = {f"a.{name}": p for name, p in layer.named_parameters()}
    torch.testing.assert_close(layer(x), textbook.attention(weights, "a", x))
    assert layer.query.out_channels == layer.key.out_channels == 2
    assert layer.value.out_channels == (2 if narrow_values else 16)


def test_attention_among_equal_keys_is_the_mean():
    torch.manual_seed(0)
    layer = SelfAttention(8)
    nn.init.zeros_(layer.key.weight)
    nn.init.ones_(layer.gamma)
    x = torch.randn(2, 8, 3, 3)
    torch.testing.assert_close(layer(x) - x, layer.value(x).mean((2, 3), keepdim=True).expand_as(x))


@pytest.mark.parametrize("changes", [{}, {"spectral_all": True, "narrow_values": True}, {"spectral": False}])
def test_networks_are_the_textbooks(changes):
    torch.manual_seed(0)
    config = replace(TINY, **changes)
    g, d = Generator(config), Discriminator(config)
    for network in (g, d):
        randomize_gates(network)
        network.train()
    for _ in range(3):
        d(g(torch.randn(8, config.latent)))  # moves the statistics
    g.eval(), d.eval()
    z = torch.randn(4, config.latent)
    torch.testing.assert_close(g(z), textbook.generator(g.state_dict(), z))
    torch.testing.assert_close(d(g(z)), textbook.discriminator(d.state_dict(), g(z)))


def test_a_step_is_d_down_the_hinge_and_then_g_each_with_new_fakes_and_its_own_rate():
    torch.manual_seed(0)
    trainer = SAGAN(TINY, CPU, {})
    randomize_gates(trainer.g), randomize_gates(trainer.d)
    g, d = copy.deepcopy(trainer.g), copy.deepcopy(trainer.d)
    adams = [torch.optim.Adam(network.parameters(), rate, (0.0, 0.9)) for network, rate in ((g, 1e-4), (d, 4e-4))]
    for i in range(3):
        pictures = batch(TINY, i)
        torch.manual_seed(i)
        losses = trainer.step(pictures, i)
        torch.manual_seed(i)
        real = pictures["picture"].permute(0, 3, 1, 2) / 127.5 - 1
        fake = g(torch.randn(8, TINY.latent)).detach()
        loss_d = (1 - d(real)).relu().mean() + (1 + d(fake)).relu().mean()
        adams[1].zero_grad()
        loss_d.backward()
        adams[1].step()
        loss_g = -d(g(torch.randn(8, TINY.latent))).mean()
        adams[0].zero_grad()
        loss_g.backward()
        adams[0].step()
        torch.testing.assert_close(losses, {"g": loss_g.detach(), "d": loss_d.detach()})
    for ours, theirs in ((trainer.g, g), (trainer.d, d)):
        torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=1e-8)


def test_an_averaged_network_is_divided_by_the_largest_singular_value_of_its_own():
    """The unit vectors that estimate it are those of the network: a mean of them would be shorter."""
    torch.manual_seed(0)
    network = nn.utils.parametrizations.spectral_norm(nn.Linear(6, 5, bias=False))
    average = EMA(network, 0.9)
    for i in range(50):
        with torch.no_grad():
            network.parametrizations.weight.original.add_(torch.randn(5, 6) * 0.1)
        network(torch.randn(2, 6))
        average.update(network, i)
    copied, own = average.network.parametrizations.weight, network.parametrizations.weight
    assert torch.equal(copied[0]._u, own[0]._u)
    assert torch.equal(copied[0]._v, own[0]._v)
    assert not torch.equal(copied.original, own.original)
    assert copied[0]._u.norm().item() == pytest.approx(1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 96}, "size: 64 expected with 4 widths, 96 found"),
        ({"size": 128}, "size: 64 expected with 4 widths, 128 found"),
        ({"attention": (24,)}, "attention: sides of maps, 4 8 … 32 px expected, 24 found"),
        ({"d_attention": (64,)}, "d_attention: sides of maps, 4 8 … 32 px expected, 64 found"),
        ({"size": 256, "widths": (8,) * 6, "attention": (128,)}, "4 8 … 64 px expected, 128 found"),
    ],
)
def test_settings_without_a_network_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Config(**changes)


def test_another_size_has_as_many_widths():
    config = replace(TINY, size=128, widths=(8,) * 5)
    assert sagan.Generator(config)(torch.randn(1, 16)).shape == (1, 3, 128, 128)


@pytest.mark.full
def test_a_run_is_used_as_any_other_one(place):
    luigi(place, "TrainSAGAN", "--preset", "tiny", "--augment", "diff", "--steps", "2")
    run = place / "data/runs/sagan-faces-tiny"
    luigi(place, "GenerateFaces", "--run", run.name, "--count", "4", "--truncation", "0.7")
    luigi(place, "InterpolateLatents", "--run", run.name, "--start", "3", "--end", "8")
    luigi(place, "EvaluateGAN", "--run", run.name, "--samples", "16", "--dataset", "few")
    assert (run / "evaluation.json").exists()
    assert len(list((run / "generated").iterdir())) >= 3
