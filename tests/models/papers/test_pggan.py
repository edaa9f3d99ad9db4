"""PGGAN: numbers of weights and settings are the published ones, what has grown follows from the step, and networks and
a step are those of the article's code and of the paper."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from models.nn.losses import gradient_penalty
from models.papers.pggan import PGGAN, PRESETS, Config, Discriminator, Generator, Growth, MinibatchStd, PixelNorm
from models.training import checkpoint
from tests.support import textbook_pggan as textbook
from tests.support.run_luigi import luigi

CPU = torch.device("cpu")
TINY = PRESETS["tiny"]
PAPER = {"networks": "paper", "fade_real": True, "g_first": False}
with_both = pytest.mark.parametrize("changes", [{}, PAPER], ids=["article", "paper"])


@pytest.fixture(autouse=True)
def _fp64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def count(build, config: Config) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(config).parameters())


def batch(config: Config, seed: int = 0) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return {"picture": torch.randint(256, (config.batch_size, config.size, config.size, 3), generator=rng).byte()}


def build(**changes) -> PGGAN:
    torch.manual_seed(0)
    return PGGAN(replace(TINY, **changes), CPU, {})


def test_parameter_counts_are_the_published_ones():
    assert count(Generator, PRESETS["article"]) == 2_361_713
    assert count(Discriminator, PRESETS["article"]) == 6_562_497


def test_at_1024_px_the_papers_networks_have_its_23_1_million_weights():
    paper = replace(PRESETS["paper"], size=1024, widths=(512, 512, 512, 512, 256, 128, 64, 32, 16))
    assert count(Generator, paper) == 23_079_115
    assert count(Discriminator, paper) == 23_087_249


def test_the_articles_settings():
    c = PRESETS["article"]
    assert (c.size, c.latent, c.batch_size, c.average, c.g_first) == (256, 512 * 4 * 4, 8, 0.995, True)
    assert (c.penalty_weight, c.drift_weight, c.beta1, c.beta2) == (10.0, 1e-3, 0.0, 0.99)
    assert (c.steps, c.grown) == (8 * 7500, 7 * 7500)
    trainer = build(**{name: getattr(c, name) for name in ("late_from", "learning_rate", "late_learning_rate")})
    assert [trainer.rate(i) for i in (0, 56_249, 56_250, 59_999)] == [5e-4, 5e-4, 1e-4, 1e-4]


def test_the_papers_settings():
    c = PRESETS["paper"]
    assert (c.latent, c.learning_rate, c.beta1, c.beta2, c.average) == (512, 1e-3, 0.0, 0.99, 0.999)
    assert [c.batch_size * steps for steps in (c.first, c.fade, c.hold)] == [800_000] * 3
    assert c.batch_size * c.steps == 12_000_000
    trainer = build(late_from=0)
    assert trainer.rate(10**6) == TINY.learning_rate


def test_in_the_article_a_level_comes_every_7500_steps_and_fades_in_over_all_of_them():
    c = PRESETS["article"]
    for i in (0, 1, 7499, 7500, 7501, 11_250, 15_000, 15_001, 40_000, 52_499, 52_500, 52_501, 59_999):
        assert c.growth(i) == pytest.approx(textbook.level_of(i / 7500, 7))


def test_in_the_paper_a_level_fades_in_over_half_of_its_steps():
    c = PRESETS["paper"]
    assert c.growth(50_000) == Growth(0, 1.0)
    assert c.growth(75_000) == Growth(1, 0.5)
    assert c.growth(100_000) == c.growth(150_000) == Growth(1, 1.0)
    assert c.growth(175_000) == Growth(2, 0.5)
    assert c.growth(c.grown - 1) == Growth(6, 1 - 1 / 50_000)
    assert c.growth(c.grown) == c.growth(10**9) == Growth(6, 1.0)


def test_a_smaller_size_is_grown_up_earlier():
    c = replace(PRESETS["article"], size=64)
    assert c.top == 4
    assert c.grown == 5 * 7500
    assert count(Generator, c) < count(Generator, PRESETS["article"])


@with_both
@pytest.mark.parametrize("growth", [Growth(0, 1.0), Growth(1, 0.25), Growth(2, 1.0), Growth(3, 0.5)])
def test_networks_are_the_textbooks(changes, growth, monkeypatch):
    torch.manual_seed(0)
    config = replace(TINY, **changes)
    monkeypatch.setattr(Config, "growth", lambda self, i: growth)
    g, d = Generator(config), Discriminator(config)
    for network in (g, d):
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                nn.init.normal_(parameter)
    generate, discriminate = textbook.NETWORKS[config.networks]
    z = torch.randn(4, config.latent)
    images = g.paint(z)
    expected = generate(g.state_dict(), z, *growth)
    expected = expected * 2 - 1 if config.networks == "article" else expected
    torch.testing.assert_close(images, expected, rtol=1e-5, atol=1e-5)
    assert images.shape == (4, 3, *[4 * 2**growth.level] * 2)
    torch.testing.assert_close(d(images, growth), discriminate(d.state_dict(), images, *growth), rtol=1e-5, atol=1e-5)


@with_both
def test_at_a_share_of_0_pictures_are_those_of_the_level_below_and_at_1_those_of_the_new_one_alone(
    changes, monkeypatch
):
    torch.manual_seed(0)
    g = Generator(replace(TINY, **changes))
    z = torch.randn(2, TINY.latent)

    def painted(*growth) -> torch.Tensor:
        monkeypatch.setattr(Config, "growth", lambda self, i: Growth(*growth))
        return g.paint(z)

    below, at_0, at_1 = painted(1, 1.0), painted(2, 0.0), painted(2, 1.0)
    torch.testing.assert_close(at_0, F.interpolate(below, scale_factor=2))
    nn.init.normal_(g.to_rgb[1].weight)
    assert torch.equal(painted(2, 1.0), at_1)
    assert not torch.equal(painted(2, 0.5), at_1)


@with_both
def test_d_sees_only_the_level_below_at_a_share_of_0(changes):
    torch.manual_seed(0)
    d = Discriminator(replace(TINY, **changes))
    x = torch.rand(4, 3, 16, 16)
    torch.testing.assert_close(d(x, Growth(2, 0.0)), d(F.avg_pool2d(x, 2), Growth(1, 1.0)))


def test_pictures_have_their_full_size_at_every_level_and_new_networks_have_grown_up():
    g = Generator(TINY)
    assert g.paint(torch.randn(1, 64)).shape == g(torch.randn(1, 64)).shape == (1, 3, 32, 32)
    g.trained_step = 0
    image = g(torch.randn(1, 64))
    assert image.shape == (1, 3, 32, 32)
    assert torch.equal(image, image[:, :, ::8, ::8].repeat_interleave(8, 2).repeat_interleave(8, 3))


def test_what_has_grown_is_that_of_the_step_also_right_after_a_resume(tmp_path: Path):
    """Pictures are those of before, and the next step is at its level: nothing counts but the step."""
    first = build()
    for i in range(4):
        first.step(batch(TINY, i), i)
    checkpoint.save(tmp_path, first, 4)
    second = build()
    assert second.g.trained_step == 0
    assert checkpoint.load(tmp_path, second)[0] == 4
    assert second.g.trained_step == second.average.network.trained_step == 3
    z = torch.randn(2, TINY.latent)
    assert torch.equal(first.average.network(z), second.average.network(z))
    second.step(batch(TINY), 9)  # not 4: the level is that of the step alone
    assert TINY.growth(second.g.trained_step) == Growth(3, 1.0)


def test_the_mean_of_squares_of_a_normalised_place_is_1():
    normed = PixelNorm()(torch.randn(2, 7, 3, 3) * 5)
    torch.testing.assert_close(normed.square().mean(1), torch.ones(2, 3, 3))


@pytest.mark.parametrize("unbiased", [False, True])
def test_the_deviation_of_a_batch_is_beside_its_maps(unbiased):
    x = torch.randn(4, 5, 3, 3)
    seen = MinibatchStd(unbiased=unbiased)(x)
    assert torch.equal(seen[:, :5], x)
    deviation = x.std(0, unbiased=unbiased).mean()
    torch.testing.assert_close(seen[:, 5], deviation.expand(4, 3, 3))
    same = x[:1].expand(4, 5, 3, 3).clone().requires_grad_()
    alike = MinibatchStd(unbiased=unbiased)(same)[:, 5]
    assert alike.max() < 2e-4
    (slope,) = torch.autograd.grad(alike.sum(), same)
    assert slope.isfinite().all()


def test_the_penalty_of_a_linear_critic_is_the_distance_of_its_length_from_1():
    weight = torch.randn(3, 4, 4)
    x, fakes = torch.randn(5, 3, 4, 4), torch.randn(5, 3, 4, 4)
    penalty = gradient_penalty(lambda images: (weight * images).sum((1, 2, 3)), x, fakes)
    torch.testing.assert_close(penalty, (weight.norm() - 1) ** 2)
    unit = weight / weight.norm()
    assert gradient_penalty(lambda images: (unit * images).sum((1, 2, 3)), x, fakes).item() == pytest.approx(0)


def test_the_penalty_is_between_each_real_image_and_its_fake():
    """Of D(x) = ‖x‖² / 2 the gradient is the point itself."""
    x, fakes = torch.randn(6, 3, 4, 4), torch.randn(6, 3, 4, 4)
    torch.manual_seed(3)
    penalty = gradient_penalty(lambda images: images.square().sum((1, 2, 3)) / 2, x, fakes)
    torch.manual_seed(3)
    share = torch.rand(6, 1, 1, 1)
    between = share * x + (1 - share) * fakes
    torch.testing.assert_close(penalty, (between.flatten(1).norm(dim=1) - 1).square().mean())


@with_both
@pytest.mark.parametrize("steps", [(0, 1), (2, 3), (15, 16)])
def test_a_step_is_the_textbooks(changes, steps):
    """The losses, the order of updates, the level of real images, the rates, and the average."""
    trainer = build(**changes)
    config = trainer.config
    is_articles = config.networks == "article"
    generate, discriminate = textbook.NETWORKS[config.networks]
    g, d, mean = (
        {name: p.detach().clone().requires_grad_() for name, p in network.named_parameters()}
        for network in (trainer.g, trainer.d, trainer.g)
    )
    adams = [torch.optim.Adam(w.values(), betas=(0.0, 0.99)) for w in (g, d)]

    def update_g(growth) -> torch.Tensor:
        loss = -discriminate(d, generate(g, torch.randn(8, config.latent), *growth), *growth).mean()
        descend(adams[0], loss)
        return loss

    def update_d(x, growth) -> tuple[torch.Tensor, torch.Tensor]:
        fake = generate(g, torch.randn(8, config.latent), *growth).detach()
        on_real = discriminate(d, x, *growth)
        loss = discriminate(d, fake, *growth).mean() - on_real.mean()
        share = torch.rand(8, 1, 1, 1)
        between = (share * x + (1 - share) * fake).requires_grad_()
        (slope,) = torch.autograd.grad(discriminate(d, between, *growth).sum(), between, create_graph=True)
        penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
        descend(adams[1], loss + 10 * penalty + 0.001 * on_real.square().mean())
        return loss, penalty

    def descend(adam, loss) -> None:
        for each in adams:
            each.zero_grad()
        loss.backward()
        adam.step()

    for i in steps:
        for adam in adams:
            adam.param_groups[0]["lr"] = 1e-4 if i >= 15 else 5e-4
        pictures = batch(config, i)
        torch.manual_seed(i)
        losses = trainer.step(pictures, i)
        growth = config.growth(i)
        x = F.adaptive_avg_pool2d(pictures["picture"].permute(0, 3, 1, 2) / 255.0, 4 * 2**growth.level)
        x = x if is_articles else x * 2 - 1
        if config.fade_real:
            x = growth.alpha * x + (1 - growth.alpha) * F.interpolate(F.avg_pool2d(x, 2), scale_factor=2)
        torch.manual_seed(i)
        if is_articles:
            loss_g, (loss_d, penalty) = update_g(growth), update_d(x, growth)
        else:
            (loss_d, penalty), loss_g = update_d(x, growth), update_g(growth)
        wanted = {"g": loss_g, "d": loss_d, "penalty": penalty}
        for name, loss in wanted.items():
            torch.testing.assert_close(losses[name], loss.detach(), rtol=1e-4, atol=1e-5)
        decay = min(0.995, (1 + i) / (10 + i))
        mean = {name: (decay * p + (1 - decay) * g[name]).detach() for name, p in mean.items()}
    for network, weights in ((trainer.g, g), (trainer.d, d), (trainer.average.network, mean)):
        for name, parameter in network.named_parameters():
            torch.testing.assert_close(parameter, weights[name], rtol=0, atol=2e-5)


@with_both
def test_d_sees_augmented_pictures_at_every_level(changes):
    """Real ones and fakes, at the level's side."""
    trainer = build(**changes, augment="diff")
    seen = []
    augment = trainer.augment

    def note(x):
        seen.append(tuple(x.shape[-2:]))
        assert x.min() >= -1 or trainer.config.networks == "paper"
        return augment(x)

    trainer.augment = note
    for i in (0, 2, 5, 9):
        losses = trainer.step(batch(TINY, i), i)
        assert all(loss.isfinite() for loss in losses.values())
    assert seen == [(side, side) for side in (4, 8, 16, 32) for _ in range(3)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 100}, "size: 8 or 16 or 32 or 64 or 128 or 256 expected with 7 widths, 100 found"),
        ({"size": 512}, "size: 8 or 16 or 32 or 64 or 128 or 256 expected with 7 widths, 512 found"),
        ({"size": 4}, "4 found"),
        ({"widths": (8,)}, "size: two widths or more expected with 1 widths, 256 found"),
        ({"latent": 100}, "latent: a multiple of 16 expected, 100 found"),
        ({"fade": 0}, "fade: 1 or more steps expected, 0 found"),
    ],
)
def test_settings_without_networks_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Config(**changes)


@pytest.mark.full
def test_a_run_that_has_not_grown_up_is_used_as_it_is_and_then_grows_on(place):
    """At step 6 its pictures are of the level of 16 px, enlarged; at step 20 of 32 px."""
    train = ("TrainPGGAN", "--preset", "tiny", "--augment", "diff")
    run = place / "data/runs/pggan-faces-tiny"
    generate = ("GenerateFaces", "--run", run.name, "--count", "4", "--truncation", "0.7")
    for steps, side in (("6", 16), ("20", 32)):
        luigi(place, *train, "--steps", steps)
        luigi(place, *generate)
        (picture,) = (run / "generated").glob("faces*.png")
        pixels = np.asarray(Image.open(picture).convert("RGB"))
        height, width, _ = pixels.shape
        squares = pixels.reshape(height // 2, 2, width // 2, 2, 3)
        assert (squares == squares[:, :1, :, :1]).all() == (side == 16)
    luigi(place, "InterpolateLatents", "--run", run.name, "--start", "3", "--end", "8")
    luigi(place, "EvaluateGAN", "--run", run.name, "--samples", "16", "--dataset", "few")
    assert json.loads((run / "evaluation.json").read_text())["samples"] == 16
    assert len(list((run / "generated").iterdir())) >= 3
