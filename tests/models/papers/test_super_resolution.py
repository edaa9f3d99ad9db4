"""SRGAN and ESRGAN: networks, losses, both phases, and what is measured."""

import itertools
import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from models.contracts import HeldOutCrops
from models.data.dataset import UserError
from models.data.resampling import enlarge, shrink
from models.metrics.fidelity import psnr
from models.nn.losses import relativistic_average
from models.nn.perceptual import CAFFE_SCALE, PerceptualLoss
from models.nn.vgg import load_vgg16, random_vgg16
from models.papers import esrgan, srgan
from models.papers.super_resolution import Compact, VGGDiscriminator, learning_rate
from tests.models.test_evaluation import weights
from tests.support import drawn_pictures

CPU = torch.device("cpu")
TINY = esrgan.PRESETS["tiny"]


def held_out(count: int = 3, size: int = 32) -> HeldOutCrops:
    high = np.stack([drawn_pictures.draw(number, size, size) for number in range(count)])
    return HeldOutCrops(high, np.stack([shrink(picture) for picture in high]))


def batch(size: int = 32, count: int = 4) -> dict[str, torch.Tensor]:
    return {key: torch.from_numpy(value) for key, value in held_out(count, size)._asdict().items()}


def esrgan_trainer(**changes) -> esrgan.ESRGAN:
    torch.manual_seed(0)
    return esrgan.ESRGAN(replace(TINY, **changes), CPU, {"images": held_out()})


def copy_of(network: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in network.state_dict().items()}


def are_equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[key], b[key]) for key in a)


@pytest.fixture
def _fp64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


# --- networks


@pytest.mark.parametrize(
    ("build", "config", "count"),
    [
        (esrgan.RRDBNet, esrgan.Config(blocks=3), 2_309_507),
        (esrgan.RRDBNet, esrgan.Config(blocks=6), 4_467_779),
        (esrgan.RRDBNet, esrgan.PRESETS["article"], 10_942_595),
        (esrgan.RRDBNet, esrgan.PRESETS["paper"], 16_697_987),
        (srgan.SRResNet, srgan.PRESETS["article"], 1_475_349),
        (srgan.SRResNet, srgan.PRESETS["paper"], 1_549_462),
        (srgan.PaperDiscriminator, srgan.PRESETS["paper"], 23_565_505),
        (srgan.PaperDiscriminator, srgan.Config(size=128), 38_245_569),
        (srgan.PaperDiscriminator, srgan.Config(size=256), 138_908_865),
        (VGGDiscriminator, esrgan.Config(size=128), 14_499_401),
        (VGGDiscriminator, esrgan.Config(size=256), 21_055_049),
        (Compact, esrgan.PRESETS["compact"], 621_424),
    ],
)
def test_the_networks_have_as_many_parameters_as_was_computed(build, config, count):
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in build(config).parameters()) == count


def test_sides_that_the_discriminators_cannot_halve_are_refused_or_stay_odd():
    with pytest.raises(ValueError, match="a multiple of 16 expected, 72 found"):
        srgan.PaperDiscriminator(srgan.Config(size=72))
    for size in (32, 36, 48):
        assert VGGDiscriminator(replace(TINY, size=size))(torch.rand(2, 3, size, size)).shape == (2,)


@pytest.mark.parametrize("build", [esrgan.generator, srgan.generator])
@pytest.mark.parametrize("preset", ["tiny", "compact"])
def test_networks_take_pictures_of_any_size(build, preset):
    presets = esrgan.PRESETS if build is esrgan.generator else srgan.PRESETS
    network = build(replace(presets[preset], width=8)).eval()
    for height, width in ((1, 1), (5, 9)):
        assert network(torch.rand(2, 3, height, width)).shape == (2, 3, 4 * height, 4 * width)


def test_residuals_are_scaled_by_a_fifth_in_both_kinds_of_block():
    """So without weights a dense block is the identity, and three in a block add a fifth of their input, as in the
    authors' code."""
    block, x = esrgan.RRDB(8), torch.randn(2, 8, 5, 5)
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    *_, last = block.blocks
    assert torch.equal(last(x), x)
    torch.testing.assert_close(block(x), 1.2 * x)
    nn.init.ones_(last.convs[-1].bias)  # its last convolution returns 1 everywhere
    torch.testing.assert_close(last(x), x + 0.2)
    torch.testing.assert_close(block(x), x + 0.2 * (x + 0.2))


def test_dense_blocks_begin_small():
    torch.manual_seed(0)
    conv = esrgan.DenseBlock(64).convs[2]
    assert conv.weight.std().item() == pytest.approx(0.1 * math.sqrt(2 / (128 * 9)), rel=0.02)
    assert not conv.bias.any()


def test_the_compact_network_adds_to_the_enlarged_pixels():
    network, x = Compact(replace(TINY, network="compact")), torch.rand(1, 3, 4, 5)
    last = network.layers[-2]
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    assert torch.equal(network(x), x.repeat_interleave(4, 2).repeat_interleave(4, 3))


def test_the_compact_network_learns_from_its_first_steps():
    config = replace(esrgan.PRESETS["compact"], size=32, vgg="random", pretrain_schedule="constant", d_width=4)
    torch.manual_seed(0)
    trainer = esrgan.ESRGAN(replace(config, average=0.0), CPU, {"images": held_out(4)})
    for i in range(60):
        trainer.step(batch(), i)
    high, low = held_out(4)
    assert trainer.validate(60)["psnr"] > psnr(low.repeat(4, 1).repeat(4, 2), high).mean() + 2


def test_srgan_returns_0_to_1_of_its_tanh():
    network = srgan.SRResNet(srgan.PRESETS["tiny"]).eval()
    nn.init.constant_(network.last[-2].bias, -100.0)
    assert network(torch.rand(1, 3, 4, 4)).max() == 0
    nn.init.constant_(network.last[-2].bias, 100.0)
    assert network(torch.rand(1, 3, 4, 4)).min() == 1


# --- losses


def test_the_relativistic_loss_is_its_closed_form_and_swapping_swaps_it():
    real, fake = torch.randn(2, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    first = [math.log(1 / (1 + math.exp(-(x - fake.mean().item())))) for x in real.tolist()]
    second = [math.log(1 - 1 / (1 + math.exp(-(x - real.mean().item())))) for x in fake.tolist()]
    expected = -(sum(first) / 6 + sum(second) / 6) / 2
    assert relativistic_average(real, fake).item() == pytest.approx(expected)
    assert relativistic_average(fake, real).item() != pytest.approx(expected)
    torch.testing.assert_close(relativistic_average(fake, real), relativistic_average(-real, -fake))


def test_d_and_g_want_the_opposite_and_all_logits_have_a_say():
    real, fake = torch.randn(2, 6, generator=torch.Generator().manual_seed(1)).requires_grad_()
    for loss, sign in ((relativistic_average(real, fake), -1), (relativistic_average(fake, real), 1)):
        of_real, of_fake = torch.autograd.grad(loss, (real, fake))
        assert (of_real.sign() == sign).all()
        assert (of_fake.sign() == -sign).all()


def test_features_before_and_after_the_relu_are_those_of_torchvisions_indices():
    network, x = random_vgg16(), torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    normalised = (x - network.mean) / network.std
    for indices, activated in (((2, 7, 14, 21, 28), False), ((3, 8, 15, 22, 29), True)):
        found = network.block_features(x, activated=activated)
        assert (min(maps.min() for maps in found) >= 0) == activated
        for maps, index in zip(found, indices, strict=True):
            y = normalised
            for layer in list(network)[: index + 1]:
                y = F.relu(y) if isinstance(layer, nn.ReLU) else layer(y)
            assert torch.equal(maps, y)
    assert len(network.block_features(x, count=2)) == 2


def test_the_random_network_is_always_the_same_and_takes_no_chance_from_the_training():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = random_vgg16().state_dict()
    torch.manual_seed(1)
    assert are_equal(first, random_vgg16().state_dict())
    assert first["0.weight"].std() > 0.1
    torch.set_rng_state(before)


def perceptual(**changes) -> PerceptualLoss:
    options = {"activated": True, "distance": "l1", "scale": "torch"} | changes
    return PerceptualLoss(random_vgg16(), (1, 3), **options)


def test_the_perceptual_loss_is_the_distance_of_the_layers_that_are_asked_for():
    x, y = torch.rand(2, 2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    for activated in (False, True):
        maps = [random_vgg16().block_features(each, activated=activated) for each in (x, y)]
        errors = [maps[0][block] - maps[1][block] for block in (0, 2)]
        l1, l2 = sum(error.abs().mean() for error in errors), sum(error.square().mean() for error in errors)
        torch.testing.assert_close(perceptual(activated=activated)(x, y), l1)
        torch.testing.assert_close(perceptual(activated=activated, distance="l2")(x, y), l2)
        torch.testing.assert_close(perceptual(activated=activated, scale="caffe")(x, y), CAFFE_SCALE * l1)
        torch.testing.assert_close(
            perceptual(activated=activated, distance="l2", scale="caffe")(x, y), CAFFE_SCALE**2 * l2
        )


def test_caffes_features_are_those_of_grey_levels():
    """But for biases, which are 0 here, and the three channels' deviations, whose mean is taken."""
    network, x = random_vgg16(), torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    levels = 255 * x - 255 * network.mean
    for layer in list(network)[:4]:
        levels = F.relu(levels) if isinstance(layer, nn.ReLU) else layer(levels)
    ours = CAFFE_SCALE * network.block_features(x, count=1)[0]
    assert (levels - ours).abs().mean() < 0.05 * levels.mean()


def test_the_perceptual_loss_has_gradients_of_the_fake_alone():
    x, y = torch.rand(2, 1, 3, 16, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
    for activated in (False, True):
        of_x, of_y = torch.autograd.grad(perceptual(activated=activated)(x, y), (x, y), allow_unused=True)
        assert of_x.abs().min() >= 0
        assert of_x.any()
        assert of_y is None


# --- phases


def test_the_learning_rate_is_a_function_of_the_step():
    c = esrgan.Config(
        pretrain_steps=100, pretrain_rate=1.0, learning_rate=8.0, milestones=(10, 20), decay=0.5, pretrain_period=40
    )
    assert {learning_rate(i, c) for i in range(100)} == {1.0}
    assert [learning_rate(i, c) for i in (100, 109, 110, 119, 120, 999)] == [8.0, 8.0, 4.0, 4.0, 2.0, 2.0]
    cosine = replace(c, pretrain_schedule="cosine")
    assert [learning_rate(i, cosine) for i in (0, 20, 40, 60)] == pytest.approx([1, 0.5, 1, 0.5])
    assert learning_rate(39, cosine) < 0.002
    halving = replace(c, pretrain_schedule="halving")
    assert [learning_rate(i, halving) for i in (0, 39, 40, 80, 99)] == [1, 1, 0.5, 0.25, 0.25]


@pytest.mark.parametrize(("loss", "others"), [("l1", ("mse", "perceptual")), ("mse", ("l1",)), ("perceptual", ("l1",))])
def test_phase_1_trains_g_alone_by_its_loss(loss, others):
    trainer = esrgan_trainer(pretrain_steps=2, pretrain_loss=loss)
    d = copy_of(trainer.d)
    value = trainer.step(batch(), 0)
    assert list(value) == ["pretrain"]
    assert are_equal(d, trainer.d.state_dict())
    assert not trainer.opt_d.state
    for other in others:
        assert esrgan_trainer(pretrain_steps=2, pretrain_loss=other).step(batch(), 0) != value
    assert trainer.opt_g.param_groups[0]["lr"] == trainer.config.pretrain_rate


def test_what_phase_1_ends_with_is_kept():
    trainer = esrgan_trainer(pretrain_steps=2, average=0.9)
    for i in range(2):
        trainer.step(batch(), i)
        exported = trainer.exported()
        assert are_equal(exported["generator"].state_dict(), exported["pretrained"].state_dict())
    kept = copy_of(trainer.exported()["pretrained"])
    trainer.step(batch(), 2)
    exported = trainer.exported()
    assert are_equal(kept, exported["pretrained"].state_dict())
    assert not are_equal(kept, exported["generator"].state_dict())


def test_a_network_that_makes_all_darker_has_collapsed():
    """As one did, whose LPIPS became better meanwhile."""
    guard, high = esrgan_trainer(collapse_ratio=1.5).collapse, held_out().high
    assert guard.measures == ("psnr",)
    soft, dark = (
        float(psnr(made, high).mean()) for made in (np.stack([enlarge(shrink(each)) for each in high]), high // 3)
    )
    assert not guard.judge(1, 1.0, soft)
    assert not guard.judge(2, 0.8, soft - 3)
    assert guard.judge(3, 0.7, dark)


def test_adam_starts_anew_with_phase_2():
    trainer = esrgan_trainer(pretrain_steps=3)
    counts = []
    for i in range(5):
        trainer.step(batch(), i)
        counts.append({int(state["step"]) for state in trainer.opt_g.state.values()})
    assert counts == [{1}, {2}, {3}, {1}, {2}]


@pytest.mark.parametrize("relativistic", [True, False])
@pytest.mark.usefixtures("_fp64")
def test_a_step_of_phase_2_is_that_of_separate_passes(relativistic):
    """G's update by D, then D's update by fakes of G before its update, as the authors' code has it."""
    data = batch()
    trainer, reference = (esrgan_trainer(relativistic=relativistic, perceptual_weight=0.5) for _ in range(2))
    for each in (trainer, reference):
        each.step(data, 0)
    losses = trainer.step(data, 1)
    g, d, c = reference.g, reference.d, reference.config
    low, high = (data[key].permute(0, 3, 1, 2).double() / 255 for key in ("low", "high"))
    ones, zeros = torch.ones(4), torch.zeros(4)

    def against(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """-E log σ(a - E b) - E log(1 - σ(b - E a)), or without means."""
        entropy = F.binary_cross_entropy_with_logits
        if relativistic:
            return (entropy(a - b.mean(), ones) + entropy(b - a.mean(), zeros)) / 2
        return entropy(a, ones) + entropy(b, zeros)

    opt_g, opt_d = (torch.optim.Adam(net.parameters(), c.learning_rate, (c.beta1, c.beta2)) for net in (g, d))
    fake = g(low)
    adversarial = against(d(fake), d(high).detach())
    if not relativistic:
        adversarial = F.binary_cross_entropy_with_logits(d(fake), ones)
    content = c.l1_weight * F.l1_loss(fake, high) + 0.5 * reference._perceptual(fake, high)
    opt_g.zero_grad()
    (c.adversarial_weight * adversarial + content).backward()
    opt_d.zero_grad()
    d_loss = against(d(high), d(fake.detach()))
    d_loss.backward()
    opt_g.step()
    opt_d.step()
    assert losses["d"].item() == pytest.approx(d_loss.item())
    assert losses["adversarial"].item() == pytest.approx(c.adversarial_weight * adversarial.item())
    for ours, theirs in ((trainer.g, g), (trainer.d, d)):
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)


@pytest.mark.usefixtures("_fp64")
def test_micro_batches_are_summed_in_phase_2():
    gradients = []
    for parts in (1, 2):
        trainer = esrgan_trainer(micro_batches=parts, relativistic=False)
        for module in trainer.d.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.forward = lambda x: x * 0.9
        trainer.step(batch(), 0)
        trainer.step(batch(), 1)
        gradients.append([state["exp_avg"] for opt in (trainer.opt_g, trainer.opt_d) for state in opt.state.values()])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-12)


def test_terms_without_weight_are_left_out_and_all_others_are_weighted():
    terms = esrgan_trainer(perceptual_weight=0.0, l1_weight=0.0)._terms(*torch.rand(2, 1, 3, 8, 8), *torch.zeros(2, 1))
    assert list(terms) == ["adversarial"]
    fake, high = torch.full((1, 3, 32, 32), 0.5), torch.full((1, 3, 32, 32), 0.75)
    terms = esrgan_trainer(l1_weight=0.1)._terms(fake, high, torch.zeros(1), torch.zeros(1))
    assert terms["l1"].item() == pytest.approx(0.1 * 0.25)
    assert terms["adversarial"].item() == pytest.approx(0.005 * math.log(2))


# --- VGG16's file


def test_the_weights_are_read_from_the_file_that_is_given(tmp_path):
    file = tmp_path / "vgg16.ckpt"
    file.write_bytes(pickle.dumps(weights(), 3))
    config = replace(TINY, vgg="imagenet")
    trainer = esrgan.ESRGAN(config, CPU, {"images": held_out()}, vgg16=file)
    assert are_equal(load_vgg16(file).state_dict(), trainer._perceptual._network.state_dict())
    assert next(iter(trainer.validate(0))) == "lpips"
    with pytest.raises(UserError, match=r"VGG16: no file .*--set vgg=random"):
        esrgan.ESRGAN(config, CPU, {"images": held_out()})


def test_a_layer_that_vgg16_does_not_have_is_refused():
    with pytest.raises(UserError, match=r"layers=1,6 given; blocks of VGG16, 1 to 5"):
        esrgan_trainer(layers=(1, 6))


# --- what is shown and measured


def test_a_sheet_has_a_row_for_each_crop_low_bicubic_output_truth():
    trainer = esrgan_trainer()
    sheet, (high, low) = trainer.sheet(0)[-3 * 32 :], held_out()
    rows = sheet.reshape(3, 32, 4, 32, 3).swapaxes(1, 2)
    for row, truth, small in zip(rows, high, low, strict=True):
        assert (row[0][::4, ::4] == small).all()
        assert (row[1] == enlarge(small)).all()
        assert (row[3] == truth).all()
        assert (row[2] != truth).any()


def test_scores_are_of_the_averaged_network_beside_those_of_bicubic_interpolation():
    crops = held_out(size=64)
    trainer = esrgan.ESRGAN(replace(TINY, network="compact", size=64), CPU, {"images": crops})
    last = trainer.average.network.layers[-2]
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)  # it repeats each pixel
    found, (high, low) = trainer.validate(0), crops
    squares = low.repeat(4, 1).repeat(4, 2)
    assert found["psnr"] == pytest.approx(psnr(squares, high).mean())
    assert found["psnr_bicubic"] == pytest.approx(psnr(np.stack([enlarge(each) for each in low]), high).mean())
    assert found["psnr_bicubic"] > found["psnr"]
    assert found["ssim_bicubic"] > found["ssim"]
    names = [f"{name}{of}" for of, name in itertools.product(("", "_bicubic"), ("random_features", "psnr", "ssim"))]
    assert list(found) == names


def test_a_few_steps_of_phase_1_come_nearer_to_the_truth():
    config = replace(TINY, network="compact", width=16, pretrain_steps=60, pretrain_rate=3e-3, average=0.0)
    torch.manual_seed(0)
    trainer = esrgan.ESRGAN(config, CPU, {"images": held_out(4)})
    before = trainer.validate(0)["psnr"]
    for i in range(60):
        trainer.step(batch(), i)
    assert trainer.validate(60)["psnr"] > before + 2
