"""Facts of the conditional GANs, known from outside."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from models.__main__ import sizes
from models.contracts import HeldOut
from models.metrics.pixels import grain
from models.nn import losses
from models.nn.layers import ConditionalBatchNorm, SqueezeExcite
from models.nn.plan import planned
from models.papers import acgan, projection, srresnet
from models.sampling.images import generate_images
from models.training import update

CPU = torch.device("cpu")


def count(build, config) -> int:
    with planned():
        return sum(p.numel() for p in build(config).parameters())


def test_parameter_counts_are_the_published_ones():
    assert {(row["name"], row["network"]): row["parameters"] for row in sizes() if row["name"].startswith("cgan-")} == {
        ("cgan-srresnet", "generator"): 3_906_115,
        ("cgan-srresnet", "discriminator"): 5_945_009,
        ("cgan-resblock", "generator"): 32_229_635,
        ("cgan-resblock", "discriminator"): 29_027_073,
    }
    concat = replace(projection.RESBLOCK["article"], condition="concat")
    assert count(projection.ResBlockGenerator, concat) == 32_298_243
    assert count(projection.SRResNetDiscriminator, projection.SRRESNET["paper"]) == 23_762_273
    half = replace(
        projection.RESBLOCK["article"], widths=(512, 512, 256, 128, 64, 32), d_widths=(32, 64, 128, 256, 512, 512)
    )
    assert count(projection.ResBlockGenerator, half) == 8_609_923
    assert count(projection.ResBlockDiscriminator, half) == 7_261_569
    thousand = replace(projection.RESBLOCK["article"], labels=tuple(map(str, range(1000))))
    assert count(projection.ResBlockGenerator, thousand) == 41_996_931
    assert count(projection.ResBlockDiscriminator, thousand) == 30_041_857


def test_counts_of_the_acgan_are_those_of_its_docstring():
    for labels, line in ((acgan.PRESETS["article"].labels, "nine hair colours"), (acgan.TAGS, "34 tags")):
        config = replace(acgan.PRESETS["article"], labels=labels)
        counts = [count(srresnet.SRResNetGenerator, config)]
        counts += [count(acgan.Discriminator, replace(config, d_width=width)) for width in (16, 32)]
        assert f"| {line} | {counts[0]:,} | {counts[1]:,} | {counts[2]:,} |" in acgan.__doc__
    assert count(acgan.Discriminator, acgan.PRESETS["paper"]) == 23_895_427


@pytest.mark.parametrize("kind", ["srresnet", "resblock"])
def test_the_logit_is_a_linear_one_and_the_projection_of_the_label(kind):
    config, build = {
        "srresnet": (projection.SRRESNET["tiny"], projection.SRResNetDiscriminator),
        "resblock": (projection.RESBLOCK["tiny"], projection.ResBlockDiscriminator),
    }[kind]
    torch.manual_seed(0)
    d = build(config).eval()  # so that no power iteration moves the weights between two looks
    x = torch.randn(5, 3, config.size, config.size)
    y = torch.eye(9)[[0, 3, 3, 7, 8]]
    h = (d.features if kind == "srresnet" else d.blocks)(x).sum((2, 3))
    embedded = d.projection.embed.weight.T[[0, 3, 3, 7, 8]]
    torch.testing.assert_close(d(x, y) - d.projection.linear(h).squeeze(1), (embedded * h).sum(1))
    assert h.abs().sum() > 0
    mixed = 0.3 * d(x, y) + 0.7 * d(x, y.roll(1, 0))
    torch.testing.assert_close(d(x, 0.3 * y + 0.7 * y.roll(1, 0)), mixed)


def test_hinge_losses_are_their_formulas():
    logits = torch.tensor([-2.0, -0.5, 0.0, 0.5, 3.0])
    assert losses.hinge_d_real(logits) == pytest.approx((3 + 1.5 + 1 + 0.5 + 0) / 5)
    assert losses.hinge_d_fake(logits) == pytest.approx((0 + 0.5 + 1 + 1.5 + 4) / 5)
    assert losses.hinge_g(logits) == pytest.approx(-0.2)


def test_mode_seeking_is_the_distance_of_latents_by_that_of_their_images():
    z, other = torch.zeros(2, 4), torch.full((2, 4), 0.5)
    fakes = torch.zeros(2, 3, 8, 8)
    others = torch.stack([torch.full((3, 8, 8), 0.25), torch.full((3, 8, 8), -1.0)])
    assert losses.mode_seeking(fakes, others, z, other).item() == pytest.approx((0.5 / 0.25 + 0.5 / 1) / 2, rel=1e-4)
    same = losses.mode_seeking(fakes, fakes, z, other).item()
    assert math.isfinite(same)
    assert same > 1000


def test_mode_seeking_moves_images_of_one_label_apart():
    config = replace(projection.RESBLOCK["tiny"], learning_rate=1e-2)
    picture = torch.randint(256, (config.pictures, 32, 32, 3), dtype=torch.uint8)
    batch = {"picture": picture, "label": torch.eye(9)[torch.zeros(config.pictures, dtype=torch.long)]}
    apart = {}
    for weight in (0.0, 20.0):
        torch.manual_seed(0)
        trainer = projection.ResBlockCGAN(replace(config, mode_seeking=weight), CPU, {})
        for i in range(10):
            trainer.step(batch, i)
        network = trainer.average.network
        fakes = network(network.noise(32), torch.eye(9)[[0] * 32])
        apart[weight] = torch.pdist(fakes.flatten(1)).mean().item()
    assert apart[20.0] > 1.2 * apart[0.0]


@pytest.mark.parametrize("version", ["interpolated", "noise"])
def test_a_linear_critic_of_unit_norm_has_no_penalty(version):
    weight = F.normalize(torch.randn(3 * 8 * 8, dtype=torch.float64), dim=0)
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    assert losses.dragan(lambda near: near.flatten(1) @ weight, x, version).item() == pytest.approx(0, abs=1e-20)
    assert losses.dragan(lambda near: near.flatten(1) @ weight * 3, x, version).item() == pytest.approx(4)


def test_the_penalty_of_one_sample_is_that_by_hand():
    """x̂ drawn again from the same seed; the norm over all of C·H·W of each sample; and a gradient for the critic."""
    critic = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 6 * 6, 1)).double()
    x = torch.rand(1, 3, 8, 8, dtype=torch.float64)
    torch.manual_seed(3)
    penalty = losses.dragan(lambda near: critic(near).squeeze(1), x)
    torch.manual_seed(3)
    alpha, noise = torch.rand(1, 1, 1, 1), torch.rand(1, 3, 8, 8)
    near = (alpha * x + (1 - alpha) * (x + 0.5 * x.std(correction=0) * noise)).requires_grad_()
    critic(near).sum().backward()
    assert penalty.item() == pytest.approx((near.grad.square().sum().sqrt().item() - 1) ** 2, rel=1e-6)
    assert torch.autograd.grad(penalty, critic[0].weight)[0].abs().sum() > 0


def test_the_penalty_is_of_each_sample_alone():
    x = torch.rand(2, 3, 8, 8)
    slopes = torch.tensor([2.0, 5.0])[:, None] / (3 * 8 * 8) ** 0.5
    penalty = losses.dragan(lambda near: (near.flatten(1) * slopes).sum(1), x)
    assert penalty.item() == pytest.approx(((2 - 1) ** 2 + (5 - 1) ** 2) / 2, rel=1e-5)


def test_an_unknown_version_of_the_penalty_is_refused():
    with pytest.raises(ValueError, match="interpolated or noise expected, gaussian found"):
        losses.dragan(lambda near: near.sum((1, 2, 3)), torch.rand(2, 3, 8, 8), "gaussian")


def test_conditional_normalisation_mixes_the_scales_of_a_soft_condition():
    norm = ConditionalBatchNorm(4, 3)
    nn.init.normal_(norm.scale)
    nn.init.normal_(norm.shift)
    x = torch.randn(6, 4, 5, 5)
    first, second = (norm(x, torch.eye(3)[[label] * 6]) for label in (0, 1))
    half = norm(x, torch.tensor([[0.5, 0.5, 0.0]]).expand(6, -1))
    torch.testing.assert_close(half, (first + second) / 2)
    assert not torch.allclose(first, second)


@pytest.mark.parametrize("condition", ["concat", "norm"])
@pytest.mark.parametrize("kind", ["srresnet", "resblock"])
def test_the_condition_can_enter_either_way_and_changes_the_picture(condition, kind):
    presets, build = {
        "srresnet": (projection.SRRESNET, srresnet.SRResNetGenerator),
        "resblock": (projection.RESBLOCK, projection.ResBlockGenerator),
    }[kind]
    torch.manual_seed(0)
    g = build(replace(presets["tiny"], condition=condition))
    for name, parameter in g.named_parameters():
        if name.endswith("shift"):  # at first every colour has the same
            nn.init.normal_(parameter)
    z = g.noise(4)
    one, other = (g(z, torch.eye(9)[[label] * 4]) for label in (0, 1))
    assert one.shape == (4, 3, presets["tiny"].size, presets["tiny"].size)
    assert (one - other).abs().mean() > 1e-4
    with pytest.raises(ValueError, match="concat or norm expected"):
        build(replace(presets["tiny"], condition="film"))


def test_squeeze_and_excitation_is_a_field():
    plain, squeezed = (
        srresnet.SRResNetGenerator(replace(acgan.PRESETS["tiny"], squeeze=squeeze)) for squeeze in (0, 4)
    )
    assert not [m for m in plain.modules() if isinstance(m, SqueezeExcite)]
    assert len([m for m in squeezed.modules() if isinstance(m, SqueezeExcite)]) == acgan.PRESETS["tiny"].blocks
    squeezed(squeezed.noise(2), torch.eye(9)[:2])


def test_every_layer_of_the_resblock_discriminator_is_spectrally_normalised():
    """After many looks the largest singular value of each weight is 1."""
    torch.manual_seed(0)
    d = projection.ResBlockDiscriminator(projection.RESBLOCK["tiny"])
    for _ in range(100):
        d(torch.randn(2, 3, 32, 32), torch.eye(9)[:2])
    layers = [m for m in d.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    assert len(layers) == 3 + 3 + 3 + 2 + 2
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=1e-2)
    plain = projection.ResBlockDiscriminator(replace(projection.RESBLOCK["tiny"], spectral=False))
    assert not any("parametrizations" in name for name, _ in plain.named_parameters())


LOSSES = [
    (projection.SRResNetCGAN, projection.SRRESNET, {"d": 1, "penalty": 0.5}, {}),
    (projection.ResBlockCGAN, projection.RESBLOCK, {"d": 1, "penalty": 0.5}, {}),
    (acgan.ACGAN, acgan.PRESETS, {"d": 9, "d_labels": 1, "penalty": 0.5}, {"g": 9, "g_labels": 1}),
]


@pytest.mark.parametrize(("kind", "presets", "of_d", "of_g"), LOSSES)
def test_losses_weigh_what_the_article_says(kind, presets, of_d, of_g, monkeypatch):
    assert presets["article"].penalty_weight == of_d["penalty"]
    config, added = presets["tiny"], []
    add = update.Update.add
    monkeypatch.setattr(
        update.Update,
        "add",
        lambda self, loss, **components: (added.append((loss, components)), add(self, loss, **components))[1],
    )
    trainer = kind(config, CPU, {})
    picture = torch.randint(256, (config.pictures, config.size, config.size, 3), dtype=torch.uint8)
    trainer.step({"picture": picture, "label": torch.eye(9)[torch.arange(config.pictures) % 9]}, 0)
    assert len(added) == config.d_steps + 1
    for (loss, components), weights in zip(added, [of_d] * config.d_steps + [of_g], strict=True):
        assert components.keys() == weights.keys()
        if weights:
            assert loss.item() == pytest.approx(sum(weights[name] * part.item() for name, part in components.items()))
            assert all(part.item() > 0 for part in components.values())


@pytest.mark.parametrize(
    ("kind", "config"),
    [(projection.SRResNetCGAN, projection.SRRESNET["tiny"]), (acgan.ACGAN, replace(acgan.PRESETS["tiny"], d_steps=2))],
)
def test_the_discriminator_takes_its_steps_first_each_on_new_pictures(kind, config):
    trainer = kind(config, CPU, {})
    seen = []
    calls = trainer.d.forward
    trainer.d.forward = lambda x, *y: (seen.append((x.requires_grad, x.detach().mean().item())), calls(x, *y))[1]
    grey = torch.arange(config.pictures, dtype=torch.uint8)[:, None, None, None].expand(-1, 64, 64, 3)
    trainer.step({"picture": grey, "label": torch.eye(9)[torch.arange(config.pictures) % 9]}, 0)
    turns = [mean * 127.5 + 127.5 for _, mean in seen[0:6:3]]
    assert turns == pytest.approx([7.0, 8.0], abs=1e-3)  # pictures 0, 2, 4 … and then 1, 3, 5 …
    assert len(seen) == 2 * 3 + 1  # real, fake and near the real; twice; and a fake for G
    assert [has_way_back for has_way_back, _ in seen] == [False, False, True] * 2 + [True]


def test_learning_rates_fall_as_the_papers_say():
    paper = projection.ResBlockCGAN(replace(projection.RESBLOCK["tiny"], decay_from=100, decay_to=200), CPU, {})
    assert [paper.rate(i) for i in (0, 100, 150, 200, 900)] == pytest.approx([2e-4, 2e-4, 1e-4, 0, 0])
    other = acgan.ACGAN(replace(acgan.PRESETS["tiny"], half_from=10, half_life=5), CPU, {})
    assert [other.rate(i) for i in (0, 10, 15, 20)] == pytest.approx([2e-4, 2e-4, 1e-4, 0.5e-4])


@pytest.mark.parametrize(
    ("config", "epochs"), [(projection.SRRESNET["article"], 77), (projection.RESBLOCK["article"], 70)]
)
def test_the_articles_epochs_count_the_images_of_every_step_of_d(config, epochs):
    assert config.steps * config.pictures / 22_665 == pytest.approx(epochs, abs=0.5)


def test_losses_of_labels_are_summed_over_labels():
    logits, y = torch.zeros(5, 9), torch.eye(9)[:5]
    assert acgan.label_loss(logits, y).item() == pytest.approx(9 * torch.tensor(2.0).log().item())
    assert acgan.label_loss(100 * (2 * y - 1), y).item() == pytest.approx(0)


def test_the_34_tags_are_the_papers_in_its_order():
    assert len(set(acgan.TAGS)) == 34
    assert (acgan.TAGS[0], acgan.TAGS[13]) == ("blonde_hair", "long_hair")
    assert [acgan.TAGS.index(tag) for tag in ("blush", "glasses", "blue_eyes")] == [18, 23, 24]


def trainer_of(palette, **changes):
    """A tiny trainer of the resblock pair, whose held-out images have the given counts of labels."""
    config = replace(projection.RESBLOCK["tiny"], **changes)
    labels = np.eye(len(config.labels), dtype=np.float32)[np.repeat(np.arange(len(palette)), palette)]
    pictures = np.random.default_rng(0).integers(0, 255, (len(labels), 32, 32, 3), np.uint8)
    torch.manual_seed(0)
    return projection.ResBlockCGAN(config, CPU, {"faces": HeldOut(pictures, labels)})


def test_validation_has_the_labels_of_the_held_out_images_and_a_z_for_each():
    trainer = trainer_of((9, 2, 1))
    z, y = trainer.validation_inputs()
    assert y.sum(0)[:3].tolist() == [9, 2, 1]
    assert len(torch.unique(z, dim=0)) == 12
    assert set(trainer.validate(0)) == {"kid_random"}


def test_g_may_be_updated_first_on_twice_as_many_fakes_of_uniform_labels():
    trainer = trainer_of((6, 6), g_first=True, g_batches=2, uniform_labels=True, d_steps=1, batch_size=8)
    calls, update_d, update_g = [], trainer.update_d, trainer.update_g
    trainer.update_d = lambda *args: calls.append("d") or update_d(*args)
    trainer.update_g = lambda *args: calls.append("g") or update_g(*args)
    counts = []
    trainer.g.register_forward_pre_hook(lambda module, inputs: counts.append(len(inputs[0])))
    label = torch.zeros(8, 9)
    label[:, 0] = 1
    drawn = trainer.fake_labels(label, 400)
    assert (drawn.sum(0) > 20).all()
    trainer.step({"picture": torch.zeros(8, 32, 32, 3, dtype=torch.uint8), "label": label}, 0)
    assert calls == ["g", "d"]
    assert counts == [16, 8]


def test_paper_of_the_resblock_pair_is_the_authors_program():
    paper = projection.RESBLOCK["paper"]
    assert (paper.g_first, paper.g_batches, paper.uniform_labels, paper.d_steps) == (True, 2, True, 5)
    assert paper.penalty_weight == 0
    assert not projection.RESBLOCK["article"].g_first


@pytest.mark.parametrize("pair", [projection.SRRESNET, projection.RESBLOCK])
def test_modern_is_against_collapse_and_small_is_built_on_it(pair):
    for name in ("modern", "small"):
        assert pair[name].mode_seeking > 0
        assert pair[name].average > 0.99
        assert getattr(pair[name], "upsample", "nearest") == "nearest"
        assert getattr(pair[name], "downsample", "pool") == "pool"
    assert pair["article"].mode_seeking == pair["article"].average == 0


def test_the_rate_falls_from_one_step_to_another():
    trainer = trainer_of((6, 6), decay_from=10, decay_to=20)
    rates = [trainer.rate(i) / trainer.config.learning_rate for i in (0, 10, 15, 20, 30)]
    assert rates == [1, 1, 0.5, 0, 0]


def test_nearest_upsampling_starts_without_grain():
    grains = {}
    for upsample in ("shuffle", "nearest"):
        torch.manual_seed(0)
        network = srresnet.SRResNetGenerator(replace(projection.SRRESNET["small"], upsample=upsample)).eval()
        pictures = generate_images(network, network.noise(24), torch.eye(9)[torch.arange(24) % 9])
        grains[upsample] = grain(pictures)
    assert grains["nearest"] < 0.5 * grains["shuffle"]
