"""StarGAN v2: numbers of parameters and settings are the published ones, and a step is the paper's four updates."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from models.contracts import HeldOut
from models.nn.losses import r1
from models.papers import stargan2
from models.papers.stargan2 import (
    PRESETS,
    Config,
    Discriminator,
    Generator,
    MappingNetwork,
    StarGAN2,
    StyleEncoder,
    grayed,
    luminance,
)
from tests.support.textbook_stargan2 import Textbook

CPU = torch.device("cpu")
TINY = replace(PRESETS["tiny"], width=4, max_width=8, domains=("a", "b", "c"))
NETWORKS = "gfed"


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def random_batch(config: Config, seed: int = 0) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    shape, domains = (config.batch_size, config.size, config.size, 3), len(config.domains)
    keys = ("picture", "reference", "other_reference")
    batch = {key: torch.randint(256, shape, generator=rng).byte() for key in keys}
    labels = {key: torch.arange(config.batch_size) + shift for key, shift in (("label", 0), ("target", 1))}
    return batch | {key: torch.eye(domains)[label % domains] for key, label in labels.items()}


def build(**changes) -> StarGAN2:
    torch.manual_seed(0)
    return StarGAN2(replace(TINY, **changes), CPU, {})


def weights(trainer: StarGAN2) -> dict[str, dict[str, torch.Tensor]]:
    return {key: {name: p.clone() for name, p in getattr(trainer, key).named_parameters()} for key in NETWORKS}


def moved(before: dict, after: dict) -> set[str]:
    """The networks of which a weight differs."""
    return {key for key in before if any(not torch.equal(before[key][name], after[key][name]) for name in before[key])}


@pytest.mark.parametrize(
    ("domains", "f", "e", "d"), [(2, 2_438_272, 20_916_928, 20_852_290), (3, 3_259_072, 20_949_760, 20_852_803)]
)
def test_networks_have_the_published_numbers_of_parameters(domains, f, e, d):
    c = replace(Config(), domains=tuple("abc"[:domains]))
    with torch.device("meta"):
        networks = Generator(c), MappingNetwork(c), StyleEncoder(c), Discriminator(c)
    assert [count(network) for network in networks] == [33_892_995, f, e, d]


@pytest.mark.parametrize(("size", "parameters"), [(128, 33_632_003), (512, 33_964_099)])
def test_generators_of_other_sizes_have_the_published_numbers_too(size, parameters):
    with torch.device("meta"):
        assert count(Generator(replace(Config(), size=size, width=2**14 // size))) == parameters


def test_the_generators_smallest_map_has_16_px():
    with torch.device("meta"):
        g = Generator(Config())
        assert g.encode(g.first(torch.empty(1, 3, 256, 256))).shape == (1, 512, 16, 16)


def test_presets_are_the_articles_and_the_papers():
    article, paper = PRESETS["article"], PRESETS["paper"]
    assert (article.gray, article.diversity_weight) == ("both", 2)
    assert (paper.gray, paper.diversity_weight) == ("none", 1)
    for c in (article, paper):
        assert (c.size, c.style, c.latent, c.hidden, c.max_width) == (256, 64, 16, 512, 512)
        assert (c.style_weight, c.cycle_weight, c.penalty_weight, c.diversity) == (1, 1, 1, "all")
        assert (c.learning_rate, c.mapping_rate, c.beta1, c.beta2, c.weight_decay) == (1e-4, 1e-6, 0, 0.99, 1e-4)
        assert (c.batch_size, c.steps, c.diversity_steps, c.average) == (8, 100_000, 100_000, 0.999)


@pytest.mark.parametrize("size", [16, 48, 100])
def test_a_size_that_is_no_power_of_two_is_refused(size):
    with pytest.raises(ValueError, match=f"size={size}: a power of two of 32 or more expected"):
        Generator(replace(TINY, size=size))


@pytest.fixture
def _fp64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("_fp64")
@pytest.mark.parametrize(
    "changes", [{}, {"micro_batches": 2}, {"gray": "anime"}, {"gray": "both", "diversity": "luminance"}]
)
def test_a_step_is_the_textbooks(changes):
    trainer = build(diversity_weight=2.0, diversity_steps=10, **changes)
    c, batch = trainer.config, random_batch(trainer.config)
    textbook = Textbook(weights(trainer), len(c.domains), c.size)
    torch.manual_seed(1)
    losses = trainer.step(batch, 5)
    torch.manual_seed(1)
    latents = torch.randn(c.batch_size, c.latent), torch.randn(c.batch_size, c.latent)
    x, *references = (
        batch[key].permute(0, 3, 1, 2) / 127.5 - 1.0 for key in ("picture", "reference", "other_reference")
    )
    y, target = (batch[key].argmax(1).tolist() for key in ("label", "target"))
    gray = {"none": (), "anime": (1, 2), "both": (0, 1, 2)}[c.gray]
    how = {"diversity": 1.0, "gray": gray, "by_luminance": c.diversity == "luminance"}
    expected = textbook.step(x, y, target, references, latents, **how)
    assert {name: float(loss) for name, loss in losses.items()} == pytest.approx(expected, rel=1e-6)
    for key in NETWORKS:
        for name, parameter in getattr(trainer, key).named_parameters():
            torch.testing.assert_close(parameter.detach(), textbook.weights[key][name].detach(), rtol=0, atol=1e-9)


def test_the_diversity_weight_falls_to_0_and_is_a_function_of_the_step():
    article = StarGAN2.diversity_weight
    holder = type("Holder", (), {"config": Config()})()
    assert [article(holder, i) for i in (0, 50_000, 75_000, 100_000, 200_000)] == [2, 1, 0.5, 0, 0]


def test_a_step_right_after_a_resume_has_the_diversity_weight_of_its_number():
    """Half of 2 at step 5 of 10 is 1 at step 0: a new trainer does not start from the first weight again."""
    after = []
    for weight, i in ((2.0, 5), (1.0, 0), (2.0, 0)):
        trainer = build(diversity_weight=weight, diversity_steps=10)
        torch.manual_seed(1)
        trainer.step(random_batch(trainer.config), i)
        after.append(weights(trainer))
    assert moved(after[0], after[1]) == set()
    assert "g" in moved(after[0], after[2])


def test_the_reference_step_of_g_trains_g_alone_and_the_latent_step_g_f_and_e():
    trainer = build()
    parts = trainer._parts(random_batch(trainer.config))
    for kind, expected in (("reference", {"g"}), ("latent", {"g", "f", "e"})):
        before = weights(trainer)
        trainer._update_g(parts, kind, 1.0)
        assert moved(before, weights(trainer)) == expected
        before = weights(trainer)
        trainer._update_d(parts, kind)
        assert moved(before, weights(trainer)) == {"d"}
    assert all(p.requires_grad and p.grad is None for key in NETWORKS for p in getattr(trainer, key).parameters())


def test_r1_of_a_linear_critic_is_half_of_its_squared_weights_and_in_fp32_under_bf16():
    layer = nn.Linear(12, 1)
    seen = []

    def critic(x: torch.Tensor) -> torch.Tensor:
        logits = layer(x.flatten(1))[:, 0]
        seen.append(logits.dtype)
        return logits

    with torch.autocast("cpu", torch.bfloat16):
        logits, penalty = r1(critic, torch.randn(5, 3, 2, 2))
    torch.testing.assert_close(penalty, layer.weight.detach().square().sum() / 2)
    assert (seen, logits.dtype, penalty.dtype) == ([torch.float32], torch.float32, torch.float32)


def test_g_f_and_e_are_averaged_and_exported():
    trainer = build(average=0.5)
    first = weights(trainer)
    trainer.step(random_batch(trainer.config), 100)
    after = weights(trainer)
    averages = {"g": trainer.average_g, "f": trainer.average_f, "e": trainer.average_e}
    for key, average in averages.items():
        for name, parameter in average.network.named_parameters():
            torch.testing.assert_close(parameter, (first[key][name] + after[key][name]) / 2)
    exported = trainer.exported()
    assert list(exported) == ["generator", "mapping", "style_encoder"]
    assert exported["generator"] is trainer.average_g.network


HUE = torch.tensor([0.587, -0.299, 0.0])[:, None, None].expand(-1, 32, 32)  # of luminance 0
LIGHT = torch.ones(1, 32, 32)


@pytest.mark.parametrize(
    ("diversity", "change", "is_rewarded"), [("all", HUE, True), ("luminance", HUE, False), ("luminance", LIGHT, True)]
)
def test_diversity_rewards_what_it_names(diversity, change, is_rewarded):
    trainer = build(diversity=diversity)

    class Painter(nn.Module):
        """Adds as much of the change as the style says, and nothing else."""

        def forward(self, x: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
            return x + change * s[:, :1, None, None]

    trainer.g = Painter()
    trainer.g.middle = 127.5
    (part,) = trainer._parts(random_batch(trainer.config))
    with torch.no_grad():
        apart = float(trainer._terms(part, "latent")[2])
    assert (apart > 1e-3) == is_rewarded
    assert is_rewarded or apart < 1e-6


def test_gray_domains_are_gray_and_others_as_they_were():
    c = replace(TINY, gray="anime")
    assert c.is_gray == (False, True, True)
    assert replace(c, gray="both").is_gray == (True, True, True)
    assert replace(c, gray="none").is_gray == (False, False, False)
    x, y = torch.rand(3, 3, 4, 4), torch.eye(3)
    shown = grayed(x, y, c.is_gray)
    assert torch.equal(shown[0], x[0])
    torch.testing.assert_close(shown[1:], luminance(x)[1:].expand(-1, 3, -1, -1))
    torch.testing.assert_close(luminance(torch.ones(1, 3, 1, 1)), torch.ones(1, 1, 1, 1))


@pytest.mark.parametrize("by_class", [True, False])
def test_a_sheet_shows_sources_and_references_of_each_domain(by_class):
    pictures = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), np.uint8)
    if by_class:
        held_out = {"faces": HeldOut(pictures, np.eye(3, dtype=np.float32)[np.arange(12) % 3])}
        third = pictures[2::3]
    else:
        held_out = {name: HeldOut(pictures[4 * k : 4 * k + 4]) for k, name in enumerate("abc")}
        third = pictures[8:]
    trainer = StarGAN2(TINY, CPU, held_out)
    sheet = trainer.sheet(0)
    rows, columns = 2 * stargan2.SHEET_SOURCES + 1, 1 + 3 * stargan2.MAX_SHEET_STYLES
    assert sheet.shape == (rows * 32, columns * 32, 3)
    assert (sheet[2 * 32 : 3 * 32, :32] == third[0]).all()  # the third source
    head = sheet[stargan2.SHEET_SOURCES * 32 :][:32]
    assert (head[:, :32] == 255).all()
    assert (head[:, -32:] == third[-1]).all()  # the last reference
    assert trainer.validate(0)["kid_random"] > 0


def test_a_sheet_in_gray_has_no_colour():
    held_out = {
        "faces": HeldOut(np.full((6, 32, 32, 3), (200, 30, 90), np.uint8), np.eye(3, dtype=np.float32)[[0, 1, 2] * 2])
    }
    sheet = StarGAN2(replace(TINY, gray="both"), CPU, held_out).sheet(0)
    assert (sheet == sheet[:, :, :1]).all()
