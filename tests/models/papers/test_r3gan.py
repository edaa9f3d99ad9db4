"""Facts of R3GAN's paper, known from outside."""

import json
import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from models.nn import losses
from models.papers import r3gan
from models.papers.r3gan import COLOR_PRESETS, PRESETS, Config
from models.runs.settings import Job, build_config
from pipeline.errors import UserError
from tests.models.test_every_model import Noise
from tests.support.run_luigi import error_line, luigi

CPU = torch.device("cpu")
TINY = ("TrainR3GAN", "--preset", "tiny")


def count(build, config: Config) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in build(config).parameters())


def block(width: int) -> int:
    """1×1 to twice the width, 3×3 in groups of 16 channels, 1×1 back; a bias for each of the two activations."""
    inner = 2 * width
    return width * inner + inner + inner * 16 * 9 + inner + inner * width


def test_parameter_counts_are_those_of_the_papers_networks():
    blocks_64 = 2 * (4 * block(768) + block(384))
    changes = 768 * 384  # one 1×1 convolution where the width changes
    config = PRESETS["paper"]
    assert count(r3gan.Generator, config) == 768 * 16 + 64 * 768 + blocks_64 + changes + 384 * 3
    assert count(r3gan.Discriminator, config) == 3 * 384 + blocks_64 + changes + 768 * 16 + 768
    blocks_256, changes = blocks_64 + 2 * (block(192) + block(96)), changes + 384 * 192 + 192 * 96
    config = replace(config, size=256)
    assert count(r3gan.Generator, config) == 768 * 16 + 64 * 768 + blocks_256 + changes + 96 * 3
    assert count(r3gan.Discriminator, config) == 3 * 96 + blocks_256 + changes + 768 * 16 + 768
    colored = COLOR_PRESETS["paper"]
    added = count(r3gan.Generator, colored) - count(r3gan.Generator, PRESETS["paper"])
    assert added == 9 * 64 + 64 * 768  # colours embedded beside z
    added = count(r3gan.Discriminator, colored) - count(r3gan.Discriminator, PRESETS["paper"])
    assert added == 9 * 768 + 768 * 768 - 768


def test_counts_of_the_docstring_are_the_networks():
    for preset, size in (("paper", 64), ("paper", 256), ("article", 64), ("small", 64)):
        configs = [replace(presets[preset], size=size) for presets in (PRESETS, COLOR_PRESETS)]
        counts = [count(build, config) for config in configs for build in (r3gan.Generator, r3gan.Discriminator)]
        assert f"| `{preset}` | {size} px | " + " | ".join(f"{each:,}" for each in counts) + " |" in r3gan.__doc__


def test_groups_are_the_papers():
    with torch.device("meta"):
        network = r3gan.Generator(replace(PRESETS["paper"], size=256))
    groups = [layer.grouped.groups for layer in network.layers if isinstance(layer, r3gan.Block)]
    assert groups == [each for level in (96, 96, 96, 96, 48, 24, 12) for each in (level, level)]


def test_at_first_every_block_is_the_identity_and_weights_are_scaled_by_the_depth():
    torch.manual_seed(0)
    config = replace(Config(), widths=(64, 64, 64, 64, 64))
    for network in (r3gan.Generator(config), r3gan.Discriminator(config)):
        blocks = [layer for layer in network.layers if isinstance(layer, r3gan.Block)]
        assert len(blocks) == 10
        x = torch.randn(2, 64, 8, 8)
        for each in blocks:
            assert torch.equal(each(x), x)
            gain = math.sqrt(2 / 1.04) * 10**-0.25
            assert each.narrow.weight.std().item() == pytest.approx(gain / math.sqrt(64), rel=0.05)
            assert each.grouped.weight.std().item() == pytest.approx(gain / math.sqrt(16 * 9), rel=0.05)
            assert each.narrow.bias.abs().max() == each.grouped.bias.abs().max() == 0
    colored = r3gan.Discriminator(r3gan.ColorConfig(widths=(64,) * 5))
    assert colored.embed.weight.std().item() == pytest.approx(1 / math.sqrt(64) / math.sqrt(9), rel=0.1)


def test_with_three_taps_resampling_is_bilinear_and_one_is_the_others_transpose():
    up, down = (r3gan.Resampling(2, 2, 3, up=up) for up in (True, False))
    x, y = torch.randn(1, 2, 6, 6), torch.randn(1, 2, 12, 12)
    finer = up(x)
    assert finer.shape == y.shape
    torch.testing.assert_close(finer[:, :, ::2, ::2], x)
    torch.testing.assert_close(finer[:, :, 1:-1:2, ::2], (x[:, :, :-1] + x[:, :, 1:]) / 2)
    torch.testing.assert_close((finer * y).sum(), 4 * (x * down(y)).sum())
    assert down(torch.ones(1, 2, 12, 12))[0, 0, 2, 2] == 1


def test_with_four_taps_resampling_within_the_border_is_that_of_image_libraries():
    up, down = (r3gan.Resampling(2, 2, 4, up=up) for up in (True, False))
    x = torch.randn(1, 2, 12, 12)
    for ours, factor in ((up(x), 2.0), (down(x), 0.5)):
        theirs = F.interpolate(x, scale_factor=factor, mode="bilinear", antialias=factor < 1)
        torch.testing.assert_close(ours[:, :, 1:-1, 1:-1], theirs[:, :, 1:-1, 1:-1])


@pytest.mark.parametrize(("taps", "ratio"), [(3, 4), (4, 1)])
def test_four_taps_leave_no_pattern_of_period_two(taps, ratio):
    finer = r3gan.Resampling(1, 1, taps, up=True)(torch.randn(64, 1, 64, 64))[:, :, 2:-2, 2:-2]
    assert finer[:, :, ::2, ::2].var() / finer[:, :, 1::2, 1::2].var() == pytest.approx(ratio, rel=0.05)


def test_other_numbers_of_taps_are_one_clear_line():
    with pytest.raises(UserError, match="taps=5 given: taps must be 3 or 4, 5 found"):
        build_config(Job("run", "r3gan", "tiny", {}, "cache", {}, {"taps": "5"}))


def test_the_loss_of_a_pair_depends_on_its_difference_and_swaps_with_it():
    a, b = torch.randn(7), torch.randn(7)
    torch.testing.assert_close(losses.relativistic(a, b), -torch.log(torch.sigmoid(a - b)).mean())
    torch.testing.assert_close(losses.relativistic(a + 5, b + 5), losses.relativistic(a, b))
    assert losses.relativistic(a, a).item() == pytest.approx(math.log(2))
    swapped = losses.relativistic(b, a) - losses.relativistic(a, b)
    torch.testing.assert_close(swapped, (a - b).mean())  # softplus(t) - softplus(-t) = t


class Linear(nn.Module):
    """D(x) = w·x."""

    def __init__(self, weight: torch.Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x, *y):
        return (self.weight * x).sum((1, 2, 3))


@pytest.mark.parametrize("colored", [False, True])
def test_both_penalties_of_a_linear_discriminator_are_its_squared_weight(colored):
    config = (COLOR_PRESETS if colored else PRESETS)["tiny"]
    trainer = (r3gan.ColorR3GAN if colored else r3gan.R3GAN)(config, CPU, {})
    weight = 0.01 * torch.randn(3, 32, 32)
    trainer.d = Linear(weight.clone())
    trainer.opt_d = torch.optim.SGD(trainer.d.parameters(), 1.0)
    trainer.follow_schedules = lambda i: None
    found = trainer.step(Noise(config)(0), 0)
    for name in ("r1", "r2"):
        torch.testing.assert_close(found[name], weight.square().sum())


def test_the_penalties_pass_through_the_augmentation():
    """Of images that are halved before D sees them, D = w·x has the slope w/2."""
    trainer = r3gan.R3GAN(PRESETS["tiny"], CPU, {})
    weight = 0.01 * torch.randn(3, 32, 32)
    trainer.d = Linear(weight.clone())
    trainer.opt_d = torch.optim.SGD(trainer.d.parameters(), 1.0)
    trainer.augment = lambda x: x / 2
    trainer.follow_schedules = lambda i: None
    found = trainer.step(Noise(PRESETS["tiny"])(0), 0)
    torch.testing.assert_close(found["r2"], weight.square().sum() / 4)


@pytest.mark.parametrize(("every", "i", "weight"), [(1, 0, 1), (4, 0, 0), (4, 3, 4)])
def test_a_step_is_the_papers_written_out(every, i, weight):
    """One of D and one of G, with gradients by hand, SGD, and all noise repeated; with a penalty at every step, or at
    each fourth, weighed four times as much."""
    config = replace(PRESETS["tiny"], batch_size=4, gamma=1.0, horizon=10, penalty_every=every)
    trainer = r3gan.R3GAN(config, CPU, {})
    for part in ("g", "d"):
        network = getattr(trainer, part)
        for layer in network.modules():
            if isinstance(layer, r3gan.Block):
                nn.init.normal_(layer.wide.weight, 0, 0.1)
        setattr(trainer, f"opt_{part}", torch.optim.SGD(network.parameters(), 0.01))
    trainer.follow_schedules = lambda i: None
    generator, discriminator = r3gan.Generator(config), r3gan.Discriminator(config)
    generator.load_state_dict(trainer.g.state_dict())
    discriminator.load_state_dict(trainer.d.state_dict())
    batch = Noise(config)(0)
    real = batch["picture"].permute(0, 3, 1, 2) / 127.5 - 1
    torch.manual_seed(1)
    found = trainer.step(batch, i)
    assert ("r1" in found) == ("r2" in found) == bool(weight)
    torch.manual_seed(1)
    x, fake = real.clone().requires_grad_(), generator(generator.noise(4)).detach().requires_grad_()
    on_real, on_fake = discriminator(x), discriminator(fake)
    penalties = [
        torch.autograd.grad(logits.sum(), images, create_graph=True)[0].square().sum((1, 2, 3)).mean()
        for logits, images in ((on_real, x), (on_fake, fake))
    ]
    loss = F.softplus(-(on_real - on_fake)).mean() + weight * config.gamma_at(i) / 2 * sum(penalties)
    for p, slope in zip(
        discriminator.parameters(), torch.autograd.grad(loss, [*discriminator.parameters()]), strict=True
    ):
        p.data -= 0.01 * slope
    loss = F.softplus(-(discriminator(generator(generator.noise(4))) - discriminator(real))).mean()
    for p, slope in zip(generator.parameters(), torch.autograd.grad(loss, [*generator.parameters()]), strict=True):
        p.data -= 0.01 * slope
    for ours, theirs in ((trainer.d, discriminator), (trainer.g, generator)):
        for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6, msg=name)


def test_schedules_are_half_cosines_over_the_papers_20_million_images():
    config = PRESETS["paper"]
    assert config.horizon * config.batch_size == 20_000_000
    trainer = r3gan.R3GAN(replace(PRESETS["tiny"], horizon=config.horizon, augment="ramp"), CPU, {})
    middle = config.horizon // 2
    expected = {
        0: (2e-4, 0.9, 0.0),
        config.horizon: (5e-5, 0.99, 0.3),
        2 * config.horizon: (5e-5, 0.99, 0.3),
        middle: (1.25e-4, 0.945, 0.15),
    }
    for i, (rate, beta2, p) in expected.items():
        trainer.follow_schedules(i)
        for optimizer in (trainer.opt_g, trainer.opt_d):
            (group,) = optimizer.param_groups
            assert group["lr"] == pytest.approx(rate, rel=1e-4)
            assert group["betas"] == (0.0, pytest.approx(beta2, rel=1e-4))
            assert group["eps"] == 1e-8
        assert trainer.augment.keywords["p"].item() == pytest.approx(p, abs=1e-4)
    assert [config.gamma_at(i) for i in (0, config.horizon)] == pytest.approx([2, 0.2])
    large = replace(config, size=256)
    assert [large.gamma_at(i) for i in (0, config.horizon)] == pytest.approx([150, 15])


def test_the_moving_average_forgets_half_in_its_half_life():
    config = PRESETS["paper"]
    assert config.decay(0) == 0
    steps = 500_000 / config.batch_size
    assert config.decay(config.horizon) ** steps == pytest.approx(0.5)
    assert config.decay(config.horizon // 2) ** (steps / 2) == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize("size", [64, 96, 128, 256])
def test_images_have_the_size(size):
    config = replace(COLOR_PRESETS["tiny"], size=size)
    generator = r3gan.Generator(config)
    y = torch.eye(9)[:2]
    images = generator(generator.noise(2), y)
    assert images.shape == (2, 3, size, size)
    assert r3gan.Discriminator(config)(images, y).shape == (2,)
    assert generator.basis.shape[-1] == (6 if size == 96 else 4)


@pytest.mark.parametrize("size", ["100", "2", "512", "8.5"])
def test_a_size_that_the_networks_cannot_have_is_one_clear_line(size):
    job = Job("run", "r3gan", "tiny", {}, "cache", {}, {"size": size})
    with pytest.raises(UserError, match="--set: size="):
        build_config(job)


def test_the_error_says_which_sizes_there_are():
    with pytest.raises(
        ValueError, match="no networks for 100 px, but for 4 to 7 px times a power of two, with 7 widths"
    ):
        replace(PRESETS["tiny"], size=100)


def test_ada_sees_differences_of_pairs_since_a_constant_in_d_has_no_meaning():
    config, seen = replace(PRESETS["tiny"], augment="ada"), []
    for constant in (0, 100):
        torch.manual_seed(0)
        trainer = r3gan.R3GAN(config, CPU, {})
        trainer.d.register_forward_hook(lambda module, inputs, output, constant=constant: output + constant)
        trainer.observe = lambda logits: seen.append(logits.detach())
        trainer.step(Noise(config)(0), 0)
    assert seen[0].abs().max() > 0.01
    torch.testing.assert_close(*seen, rtol=0, atol=1e-3)


@pytest.mark.full
def test_runs_of_both_kinds_are_used_and_evaluated(place):
    luigi(place, *TINY, "--steps", "2", "--augment", "ada", "--run", "plain")
    luigi(place, *TINY, "--steps", "2", "--labels", "colors", "--size", "96", "--dataset", "few")
    luigi(place, "GenerateFaces", "--run", "plain", "--count", "2", "--truncation", "0.7")
    luigi(place, "InterpolateLatents", "--run", "plain", "--start", "1", "--end", "2")
    luigi(place, "EvaluateGAN", "--run", "plain", "--samples", "16", "--dataset", "few")
    colored = ("--run", "r3gan-colors-few-tiny")
    luigi(place, "SweepHairColors", *colored, "--count", "1")
    luigi(place, "GenerateFaces", *colored, "--count", "1", "--hair-color", "blue:0.7,pink:0.3")
    luigi(place, "EvaluateGAN", *colored, "--samples", "16")
    config = json.loads((place / "data/runs/r3gan-colors-few-tiny/config.json").read_text())["config"]
    assert config["size"] == 96
    line = error_line(place, *TINY, "--size", "64", "--set", "size=128", "--run", "x")
    assert line.startswith("error: --size: 64 given, and --set size=")
    assert "no networks for 100 px" in error_line(place, *TINY, "--set", "size=100", "--run", "x")
