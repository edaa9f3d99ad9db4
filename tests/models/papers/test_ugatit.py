"""U-GAT-IT: numbers of parameters, shapes, norms, CAM, losses and schedule are those of the paper's code, or the
article's; and the step that saves memory is that of one summed loss."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from models.contracts import HeldOut
from models.nn.plan import planned
from models.papers import ugatit
from models.papers.ugatit import PRESETS, UGATIT, Config, Critic, Discriminator, Generator
from models.sampling.heat import overlay
from tests.support.textbook_ugatit import Textbook, mixed_norm

CPU = torch.device("cpu")
TINY = PRESETS["tiny"]


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def random_pictures(config: Config, seed: int = 0) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    shape = (config.batch_size, config.size, config.size, 3)
    return {role: torch.randint(256, shape, generator=rng).byte() for role in "ab"}


@pytest.mark.parametrize(
    ("changes", "parameters"),
    [
        ({}, 283_679_424),
        ({"blocks": 4}, 278_959_808),
        ({"blocks": 4, "size": 128}, 77_633_216),
        ({"blocks": 4, "size": 512}, 1_084_266_176),
        ({"light": True}, 15_309_504),
        ({"light": True, "blocks": 4}, 10_589_888),
    ],
)
def test_generators_have_the_published_numbers_of_parameters(changes, parameters):
    with torch.device("meta"):
        assert count(Generator(replace(Config(), **changes))) == parameters


def test_discriminators_have_the_published_numbers_of_parameters_and_shapes():
    with planned():
        d = Discriminator(Config())
        judgements = d(torch.empty(1, 3, 256, 256))
        output = Generator(Config()).translate(torch.empty(2, 3, 256, 256))
    assert (count(d.local), count(d.whole)) == (3_290_560, 53_130_176)
    shapes = [[tuple(each.shape[1:]) for each in judgement] for judgement in judgements]
    assert shapes == [[(1, 30, 30), (2,), (1, 31, 31)], [(1, 6, 6), (2,), (1, 7, 7)]]
    assert [tuple(each.shape) for each in output] == [(2, 3, 256, 256), (2, 2), (2, 1, 64, 64)]


def test_the_wide_layers_have_the_published_share_of_the_parameters():
    with torch.device("meta"):
        assert count(Generator(PRESETS["paper"]).style) == 268_632_064
        assert count(Generator(PRESETS["light"]).style) == 262_144


def test_presets_are_the_articles_and_the_authors():
    article, paper = PRESETS["article"], PRESETS["paper"]
    assert (article.blocks, article.steps, article.crop, article.hflip) == (6, 36_000, "article", False)
    assert (paper.blocks, paper.steps, paper.crop, paper.hflip) == (4, 1_000_000, "official", True)
    for c in (article, paper):
        assert (c.size, c.width, c.batch_size, c.light) == (256, 64, 1, False)
        assert (c.learning_rate, c.beta1, c.weight_decay) == (1e-4, 0.5, 1e-4)
        weights = c.adversarial_weight, c.cycle_weight, c.identity_weight, c.cam_weight
        assert weights == (1, 10, 10, 1000)


@pytest.mark.parametrize(("rho", "axes"), [(1.0, (2, 3)), (0.0, (1, 2, 3))])
def test_rho_1_is_instance_and_rho_0_layer_normalisation(rho, axes):
    x = torch.randn(2, 5, 8, 8) * 3 + 7
    made = ugatit.layer_instance_norm(x, torch.full((5,), rho), torch.ones(5), torch.zeros(5))
    expected = (x - x.mean(axes, keepdim=True)) / (x.var(axes, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-5)


def test_the_norm_and_its_gradients_are_those_of_its_formula():
    torch.manual_seed(0)
    x, rho = torch.randn(2, 3, 4, 4, dtype=torch.float64), torch.rand(3, dtype=torch.float64)
    gamma, beta = torch.randn(2, 2, 3, dtype=torch.float64)
    inputs = [tensor.requires_grad_() for tensor in (x, rho, gamma, beta)]
    expected = mixed_norm(x, rho) * gamma[:, :, None, None] + beta[:, :, None, None]
    made = ugatit.layer_instance_norm(*inputs)
    torch.testing.assert_close(made, expected)
    slope = torch.randn_like(made)
    torch.testing.assert_close(*(torch.autograd.grad(each, inputs, slope) for each in (made, expected)))


def test_the_encoders_norm_is_torchs_instance_norm():
    x = torch.randn(2, 5, 8, 8)
    torch.testing.assert_close(ugatit.instance_norm(x), F.instance_norm(x), rtol=1e-4, atol=1e-5)


def test_norms_and_cam_are_computed_in_fp32_under_bf16():
    x, ones = torch.randn(1, 8, 8, 8).bfloat16(), torch.ones(8)
    with torch.autocast("cpu", torch.bfloat16):
        made = ugatit.layer_instance_norm(x, ones, ones, 0 * ones)
        weighted, logits = ugatit.ClassActivation(8)(x)
    assert made.dtype == torch.bfloat16
    exact = ugatit.layer_instance_norm(x.float(), ones, ones, 0 * ones)
    assert torch.equal(made, exact.bfloat16())
    assert weighted.dtype == logits.dtype == torch.float32


def test_cam_weights_each_channel_by_the_weight_of_its_classifier():
    cam, x = ugatit.ClassActivation(3), torch.randn(2, 3, 4, 4)
    weighted, logits = cam(x)
    torch.testing.assert_close(weighted[:, 3:], x * cam.maximum.weight[:, :, None, None])
    torch.testing.assert_close(weighted[:, :3].mean((2, 3)).sum(1), logits[:, 0])
    torch.testing.assert_close(cam.maximum(x.amax((2, 3)))[:, 0], logits[:, 1])


def test_the_critics_cam_uses_the_weight_before_spectral_normalisation():
    critic = Critic(4, 1).eval()
    x = torch.randn(1, 8, 5, 5)
    weighted, logits = critic.attention(x)
    raw = critic.attention.mean.parametrizations.weight.original
    assert not torch.equal(raw, critic.attention.mean.weight)
    torch.testing.assert_close(weighted[:, :8], x * raw[:, :, None, None])
    torch.testing.assert_close(logits[:, :1], x.mean((2, 3)) @ critic.attention.mean.weight.T)


def test_initial_weights_of_the_article_leave_spectrally_normalised_layers_alone():
    torch.manual_seed(0)
    article = Discriminator(replace(TINY, width=16))
    torch.manual_seed(0)
    torchs = Discriminator(replace(TINY, width=16, weights="torch"))
    assert torch.equal(article.local.last.weight, torchs.local.last.weight)
    assert float(article.local.merge.weight.detach().std()) == pytest.approx(0.02, rel=0.1)
    assert float(torchs.local.merge.weight.detach().std()) > 0.05
    assert float(Generator(replace(TINY, width=16)).first.weight.detach().std()) == pytest.approx(0.02, rel=0.1)


def test_rho_starts_as_published_and_stays_within_0_and_1():
    c = replace(TINY, learning_rate=0.3, horizon=100, blocks=2)
    trainer = UGATIT(c, CPU, {})
    rhos = [p for net in (trainer.a2b, trainer.b2a) for name, p in net.named_parameters() if name.endswith("rho")]
    assert len(rhos) == 2 * (2 * c.blocks + 2)
    assert {round(value, 3) for rho in rhos for value in rho.tolist()} == {0.9, 0.0}
    for i in range(10):
        trainer.step(random_pictures(c, i), i)
        assert all(float(rho.min()) >= 0 and float(rho.max()) <= 1 for rho in rhos)
    assert any(float(rho.max()) == 1 for rho in rhos)  # it would have left


def test_the_learning_rate_is_constant_for_half_of_the_horizon_and_then_falls_to_0():
    c = replace(Config(), horizon=1000)
    rates = [ugatit.learning_rate(i, c) for i in (0, 499, 500, 750, 999, 1000, 5000)]
    assert rates == pytest.approx([1e-4, 1e-4, 1e-4, 5e-5, 2e-7, 0, 0])
    trainer = UGATIT(replace(TINY, horizon=4), CPU, {})
    trainer.step(random_pictures(TINY), 3)
    assert [each.param_groups[0]["lr"] for each in (trainer.opt_g, trainer.opt_d)] == pytest.approx([5e-5, 5e-5])


@pytest.fixture
def _fp64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def pairs_of_parameters(ours: nn.Module, theirs: nn.Module) -> list[tuple[list[nn.Parameter], nn.Parameter]]:
    """Pair by shape, and in order of definition; a wide layer of ours has several parts."""
    by_shape = defaultdict(list)
    for parameter in ours.parameters():
        by_shape[parameter.shape].append(parameter)
    found = []
    for parameter in theirs.parameters():
        parts = 1 if parameter.shape in by_shape else ugatit.WIDE_PARTS
        shape = torch.Size((len(parameter) // parts, *parameter.shape[1:]))
        found.append(([by_shape[shape].pop(0) for _ in range(parts)], parameter))
    assert not any(by_shape.values())
    return found


@pytest.mark.usefixtures("_fp64")
@pytest.mark.parametrize("changes", [{}, {"light": True}, {"recompute": True}, {"micro_batches": 2}])
def test_a_step_is_that_of_the_textbook_with_one_summed_loss(changes):
    torch.manual_seed(0)
    c = replace(TINY, blocks=2, **changes)
    names = ("size", "width", "blocks", "light", "local_downs", "global_downs")
    trainer, textbook = UGATIT(c, CPU, {}), Textbook(**{name: getattr(c, name) for name in names})
    mine = trainer.a2b, trainer.b2a, trainer.d_a, trainer.d_b
    networks = list(zip(mine, (textbook.a2b, textbook.b2a, textbook.d_a, textbook.d_b), strict=True))
    pairs = [pair for ours, theirs in networks for pair in pairs_of_parameters(ours, theirs)]
    with torch.no_grad():
        for ours, theirs in pairs:
            theirs.copy_(torch.cat(ours))
    batch = random_pictures(c)
    losses = trainer.step(batch, 0)
    for ours, theirs in networks[2:]:  # the textbook's power iterations are left out: it takes our vectors
        norms = [part[0] for part in ours.modules() if isinstance(part, parametrize.ParametrizationList)]
        layers = [layer for layer in theirs.eval().modules() if hasattr(layer, "weight_orig")]
        for norm, layer in zip(norms, layers, strict=True):
            layer.weight_u, layer.weight_v = norm._u, norm._v
    expected = textbook.step(*(batch[role].permute(0, 3, 1, 2) / 127.5 - 1 for role in "ab"))
    assert {name: float(loss) for name, loss in losses.items()} == pytest.approx(expected, rel=1e-9)
    for ours, theirs in pairs:
        mine_opt, theirs_opt = next(
            each
            for each in ((trainer.opt_g, textbook.opt_g), (trainer.opt_d, textbook.opt_d))
            if theirs in each[1].state
        )
        gradient = torch.cat([mine_opt.state[part]["exp_avg"] for part in ours])
        torch.testing.assert_close(gradient, theirs_opt.state[theirs]["exp_avg"], rtol=1e-6, atol=1e-12)
        assert {float(mine_opt.state[part]["step"]) for part in ours} == {1}
        torch.testing.assert_close(torch.cat(ours), theirs.detach(), rtol=0, atol=1e-6)


def test_the_discriminators_stay_as_they_are_in_the_generators_step():
    trainer = UGATIT(replace(TINY, adversarial_weight=0.0, weight_decay=0.0), CPU, {})
    before = {name: parameter.clone() for name, parameter in trainer.d_a.named_parameters()}
    trainer.step(random_pictures(TINY), 0)
    for name, parameter in trainer.d_a.named_parameters():
        assert torch.equal(parameter, before[name])
        assert parameter.requires_grad
        assert parameter.grad is None


def test_a_sheet_shows_both_directions_with_maps_and_the_film_one_picture_of_each():
    held_out = {
        role: HeldOut(np.random.default_rng(number).integers(0, 256, (6, 32, 32, 3), np.uint8))
        for number, role in enumerate("ab")
    }
    trainer = UGATIT(TINY, CPU, held_out)
    sheet, headings = trainer.sheet(0), 16
    assert sheet.shape == (headings + 8 * 32, 9 * 32, 3)
    assert (sheet[headings : headings + 32, :32] == held_out["a"].pictures[0]).all()
    assert (sheet[headings + 4 * 32 : headings + 5 * 32, :32] == held_out["b"].pictures[0]).all()
    frame = trainer.frame(0)
    assert frame.shape == (64, 64, 3)
    assert (frame[32:, :32] == held_out["b"].pictures[0]).all()
    scores = trainer.validate(0)
    assert scores["kid_random"] == pytest.approx((scores["kid_random_a2b"] + scores["kid_random_b2a"]) / 2)


@pytest.mark.parametrize("heat", [np.zeros((4, 4)), np.full((4, 4), 7.0), np.full((4, 4), np.nan)])
def test_a_heat_map_that_is_the_same_everywhere_is_drawn_as_0(heat):
    shown = overlay(np.full((8, 8, 3), 100, np.uint8), heat.astype(np.float32))
    assert (shown == shown[0, 0]).all()
    assert shown[0, 0].argmax() == 2  # blue


def test_a_heat_map_goes_from_blue_to_red():
    shown = overlay(np.zeros((8, 8, 3), np.uint8), np.array([[0.0, 5.0]], np.float32))
    assert shown[0, 0].argmax() == 2
    assert shown[0, -1].argmax() == 0
