"""ADA's operators, and how its probability follows D."""

import functools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from models.nn import ada
from models.nn.ada import ADA
from models.runs.settings import Job, build_config
from pipeline.errors import UserError

CPU = torch.device("cpu")


def ones(value: float = 1.0) -> Tensor:
    return torch.full((1,), value, dtype=torch.float64)


def picture(side: int = 8) -> Tensor:
    return torch.randn(1, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_with_a_probability_of_0_nothing_changes():
    x = torch.randn(5, 3, 16, 16)
    torch.testing.assert_close(ada.change(x, torch.tensor(0.0), colors=True), x, rtol=1e-5, atol=1e-5)


def test_under_autocast_images_are_changed_as_exactly():
    x, p = torch.randn(5, 3, 64, 64), torch.tensor(1.0)
    torch.manual_seed(0)
    expected = ada.change(x, p, colors=True)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(ada.change(x, p, colors=True), expected, rtol=0, atol=0)


def test_warps_of_whole_pixels_and_quarter_turns_are_exact():
    x = picture()
    torch.testing.assert_close(ada.warp(x, ada.scaling(ones(-1), ones())), x.flip(3))
    for quarters, turned in ((1, torch.rot90(x, 1, (2, 3))), (2, torch.rot90(x, 2, (2, 3)))):
        torch.testing.assert_close(ada.warp(x, ada.rotation(ones(quarters * math.pi / 2))), turned)
    moved = ada.warp(x, ada.shift(ones(2 / 8), ones(-1 / 8)))
    torch.testing.assert_close(moved[:, :, 1:, :-2], x[:, :, :-1, 2:])
    torch.testing.assert_close(moved[:, :, 0, :-2], x[:, :, 0, 2:])  # mirrored at the border
    half = ada.warp(x, ada.shift(ones(0.5 / 8), ones(0)))
    torch.testing.assert_close(half[..., :-1], (x[..., 1:] + x[..., :-1]) / 2)


def test_a_larger_image_shows_its_middle():
    line = torch.linspace(-7, 7, 8, dtype=torch.float64).expand(1, 3, 8, 8)
    halved = ada.warp(line, ada.scaling(ones(0.5), ones(0.5)))
    torch.testing.assert_close(halved, line / 2)


def test_colors_are_changed_as_defined():
    x = picture()
    grey = x.mean(1, keepdim=True)
    torch.testing.assert_close(ada.recolor(x, ada.brightness(ones(0.3))), x + 0.3)
    torch.testing.assert_close(ada.recolor(x, ada.contrast(ones(1.5))), x * 1.5)
    torch.testing.assert_close(ada.recolor(x, ada.luma_flip(ones(0))), x)
    torch.testing.assert_close(ada.recolor(x, ada.luma_flip(ones())), x - 2 * grey)
    torch.testing.assert_close(ada.recolor(x, ada.saturation(ones(0))), grey.expand_as(x))
    torch.testing.assert_close(ada.recolor(x, ada.saturation(ones(2))), 2 * x - grey)
    torch.testing.assert_close(ada.recolor(x, ada.hue(ones(2 * math.pi / 3))), x.roll(1, 1))
    torch.testing.assert_close(ada.recolor(x, ada.hue(ones(math.pi))), 2 * grey - x)


def test_operators_have_the_strengths_of_the_paper(monkeypatch):
    """With a probability of 1: each factor of the warp, and of the colors."""
    torch.manual_seed(0)
    found: dict[str, list[Tensor]] = {}

    def spy(*values: Tensor, name: str, own: Callable[..., Tensor]) -> Tensor:
        found.setdefault(name, []).append(torch.stack(values))
        return own(*values)

    for name in ("scaling", "rotation", "shift", "brightness", "contrast", "luma_flip", "hue", "saturation"):
        monkeypatch.setattr(ada, name, functools.partial(spy, name=name, own=getattr(ada, name)))
    x, p = torch.zeros(4000, 3, 16, 16), torch.tensor(1.0)
    ada._random_warp(x, p)
    ada._random_recoloring(x, p)
    flip, size, stretch = found["scaling"]
    assert set(flip[0].tolist()) == {-1.0, 1.0}
    assert torch.equal(size[0], size[1])
    torch.testing.assert_close(stretch[0] * stretch[1], torch.ones(4000))
    assert size[0].log2().std().item() == pytest.approx(0.2, rel=0.1)
    assert stretch[0].log2().std().item() == pytest.approx(0.2, rel=0.1)
    quarters, before, after = found["rotation"]
    assert {round(angle / math.pi * 2) for angle in quarters[0].tolist()} == {0, 1, 2, 3}
    assert before.std().item() == pytest.approx(math.pi / math.sqrt(3), rel=0.1)
    assert after.abs().max() > 3
    pixels, fractions = found["shift"]
    assert set((pixels * 16).flatten().tolist()) == {-2.0, -1.0, 0.0, 1.0, 2.0}
    assert fractions.std().item() == pytest.approx(1 / 8, rel=0.1)
    assert found["brightness"][0].std().item() == pytest.approx(0.2, rel=0.1)
    assert found["contrast"][0].log2().std().item() == pytest.approx(0.5, rel=0.1)
    assert found["luma_flip"][0].mean().item() == pytest.approx(0.5, abs=0.05)
    assert found["hue"][0].std().item() == pytest.approx(math.pi / math.sqrt(3), rel=0.1)
    assert found["saturation"][0].log2().std().item() == pytest.approx(1, rel=0.1)


def test_each_image_is_changed_with_the_probability():
    torch.manual_seed(0)
    x = torch.randn(1, 3, 16, 16).expand(4000, -1, -1, -1)
    p = torch.tensor(0.2)
    is_turned = [(ada._random_warp(x, p) - torch.eye(3)).flatten(1).abs().amax(1) > 1e-6 for _ in range(2)]
    # 6 operators, of which a flip and a quarter turn are nothing in 1/2 and 1/4, a shift rounds to 0 in some cases
    kept = (1 - 0.2 / 2) * (1 - 0.2 * 3 / 4) * (1 - 0.2 * (1 - 1 / 16)) * (1 - 0.2) ** 3 * (1 - 0.2)
    assert torch.cat(is_turned).float().mean().item() == pytest.approx(1 - kept, abs=0.03)
    cut = (ada._cut_out(torch.ones(4000, 1, 16, 16), p) == 0).flatten(1)
    assert cut.any(1).float().mean().item() == pytest.approx(0.2, abs=0.02)
    assert int(cut.sum(1).max()) == 64  # half the side
    again = ada._random_recoloring(x, 0.5 * p)
    unchanged = ((again - torch.eye(4)).flatten(1).abs().amax(1) < 1e-6).float().mean().item()
    assert unchanged == pytest.approx(0.9**4 * 0.95, abs=0.03)


def test_hair_keeps_its_color_where_that_is_a_condition():
    torch.manual_seed(0)
    x = torch.tensor([0.3, -0.2, 0.7]).view(1, 3, 1, 1).expand(50, 3, 16, 16)
    seen = ada.change(x, torch.tensor(1.0), colors=False)
    is_cut = (seen == 0).all(1, keepdim=True)
    torch.testing.assert_close(torch.where(is_cut, x, seen), x)


@pytest.mark.full
def test_gradients_pass_and_those_of_gradients_too():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)

    def seen(x: Tensor) -> Tensor:
        torch.manual_seed(4)
        return ada.change(x, torch.tensor(1.0, dtype=torch.float64), colors=True)

    assert torch.autograd.gradcheck(seen, x)
    assert torch.autograd.gradgradcheck(seen, x)


def test_the_probability_rises_by_what_is_seen_while_signs_exceed_the_target():
    """A step of 10 images; every fourth moves p by 40 of 1,000."""
    augment = ADA(CPU, pictures_a_step=10, pictures=1000, colors=True)
    found = []
    for _ in range(12):
        augment.observe(torch.ones(10))
        found.append(augment.p.item())
    assert found == pytest.approx([0.0] * 3 + [0.04] * 4 + [0.08] * 4 + [0.12])
    augment.observe(torch.tensor([1.0] * 8 + [-1.0] * 2))  # a mean of 0.6 over the four: it stays
    for _ in range(3):
        augment.observe(torch.tensor([0.1] * 8 + [-9.0] * 2))
    assert augment.p.item() == pytest.approx(0.12)
    for _ in range(40):
        augment.observe(-torch.ones(10))
    assert augment.p.item() == 0
    for _ in range(200):
        augment.observe(torch.ones(10))
    assert augment.p.item() == 1


def test_it_goes_on_from_its_state():
    first, second = (ADA(CPU, pictures_a_step=4, pictures=100, colors=True) for _ in range(2))
    for _ in range(6):
        first.observe(torch.ones(4))
    second.load_state_dict(first.state_dict())
    for _ in range(2):
        first.observe(torch.ones(4))
        second.observe(torch.ones(4))
    assert first.p.item() == second.p.item() == pytest.approx(0.32)


@pytest.mark.parametrize("model", ["videogan-cond", "ugatit", "blink-flow"])
def test_a_model_without_a_place_for_it_refuses_it_in_one_clear_line(model):
    with pytest.raises(UserError, match=f"--augment: ada given for {model}; a GAN with a discriminator of pictures"):
        build_config(Job("run", model, "tiny", {}, "cache", {"augment": "ada"}))
