"""The blink network: its sizes, and what its losses and its output are."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.data.clips import ClipDataset, clips, held_out
from models.nn.unet import UNet
from models.papers.blink import PRESETS, BlinkTrainer, BlinkUNet, losses
from models.runs import settings
from models.sampling.clips import animate, stack_rows
from pipeline.clips import flow as optical_flow
from tests.support import drawn_clips

CPU = torch.device("cpu")
TINY = PRESETS["tiny"]


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def network_of(**changes) -> BlinkUNet:
    torch.manual_seed(0)
    return BlinkUNet(replace(TINY, **changes)).eval()


def modulated(network: torch.nn.Module) -> torch.nn.Module:
    """Return the network with modulations as it learns them: at first they are 0."""
    for module in network.modules():
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight)
    return network


def inputs(network: BlinkUNet, count: int = 2) -> list[torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    return [torch.rand(count, *shape[1:], generator=rng) for shape in network.io_shapes()[0]]


def test_both_networks_have_the_numbers_of_parameters_that_were_computed():
    assert parameters(UNet(2, 5, 32, (32, 64, 128, 256))) == 2_241_664
    assert parameters(UNet(3, 32, 4, (32, 64, 128, 256))) == 7_427_908
    network = BlinkUNet(PRESETS["article"])
    assert (parameters(network.frames), parameters(network.clip)) == (2_241_664, 7_427_908)


def test_the_shipped_size_is_less_than_three_megabytes():
    assert 4 * parameters(BlinkUNet(PRESETS["modern"])) < 2.8e6  # beside it lies the border's network


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("region", ["eyes", "face"])
def test_every_preset_animates_both_regions(preset, region):
    config = replace(PRESETS[preset], region=region)
    with torch.device("meta"):
        plan = BlinkUNet(config)
    assert plan.io_shapes()[1] == (1, 16, 3, *config.shape)
    settings.check_output(plan, config.size)


def test_the_3d_network_halves_time_as_well():
    """16 × 64 × 128 at the first level, 2 × 8 × 16 at the last."""
    network = UNet(3, 32, 4, (32, 64, 128, 256))
    shapes = []
    for down in network.downs:
        down.register_forward_hook(lambda module, _, output: shapes.append(tuple(output.shape)))
    with torch.device("meta"):
        network.to("meta")(torch.empty(1, 32, 16, 64, 128))
    assert shapes == [(1, 64, 8, 32, 64), (1, 128, 4, 16, 32), (1, 256, 2, 8, 16)]


@pytest.mark.parametrize("refine", ["3d", "none"])
def test_the_first_frame_is_the_picture_and_the_others_move(refine):
    network = network_of(refine=refine)
    picture, flow, openness = inputs(network)
    frames = network(picture, flow, openness)
    assert torch.equal(frames[:, 0], picture)
    assert (frames[:, 1:] != picture[:, None]).any()


def test_without_the_3d_network_frames_do_not_depend_on_each_other():
    network = network_of(refine="none")
    picture, flow, openness = inputs(network)
    whole = network(picture, flow, openness)
    part = network(picture, flow[:, 3:9], openness[:, 3:9])
    torch.testing.assert_close(part[:, 1:], whole[:, 4:9])
    refined = network_of(refine="3d")
    other = flow.clone()
    other[:, 9] = 0
    assert (refined(picture, other, openness)[:, 2] != refined(picture, flow, openness)[:, 2]).any()


def test_at_the_border_the_picture_stays():
    network = network_of(border=3)
    picture, flow, openness = inputs(network)
    frames = network(picture, flow, openness)
    same = (frames == picture[:, None]).all(2).all(1).all(0)
    assert same[:3].all()
    assert same[-3:].all()
    assert same[:, :3].all()
    assert same[:, -3:].all()
    assert not same[3:-3, 3:-3].any()


def test_openness_is_an_input_only_where_it_is_asked_for():
    for openness_is_input in (True, False):
        network = modulated(network_of(openness=openness_is_input))
        picture, flow, openness = inputs(network)
        differs = (network(picture, flow, openness) != network(picture, flow, 1 - openness)).any()
        assert bool(differs) == openness_is_input


def test_the_openness_of_a_frame_reaches_its_middle():
    """Instance normalisation would take a constant map away, but for the border's zeros."""
    torch.manual_seed(0)
    unet = modulated(UNet(2, 5, 4, (4, 8, 8), conditions=1))
    x = torch.rand(1, 5, 32, 64)
    change = (unet(x, torch.zeros(1, 1)) - unet(x, torch.ones(1, 1))).abs()
    assert change[..., 8:-8, 8:-8].mean() > 0.1 * change.mean()


def test_its_own_colors_are_those_of_the_cheeks():
    """What is painted is the skin's colour, and units of the deviation of all colours."""
    network = network_of(own_colors=True, refine="none", openness=False)
    picture, flow, openness = inputs(network)
    skin = torch.tensor([0.7, 0.4, 0.1])
    picture[0, :, -3:, :24] = skin[:, None, None]  # most of the lowest rows
    network.head.weight.data.zero_()
    network.head.bias.data[:3] = torch.tensor([0.0, 1.0, -2.0])
    painted, _ = network.paint(picture, flow, openness)
    expected = skin + (picture[0].std((1, 2)) + 0.05) * network.head.bias[:3]
    torch.testing.assert_close(painted[0], expected[None, :, None, None].expand_as(painted[0]))


def test_a_3d_network_needs_all_frames():
    with pytest.raises(ValueError, match="frames: 16 expected with refine 3d, 2 found"):
        BlinkUNet(replace(TINY, frames=2))


def test_a_step_takes_as_many_frames_as_it_is_told(dataset):
    """Each with its own flow and openness, in their order."""
    config = replace(TINY, refine="none", frames=3)
    trainer = BlinkTrainer(config, CPU, {"clips": held_out(dataset, config, 2)})
    height, width = config.shape
    times = torch.arange(16).expand(config.batch_size, 16)
    levels = 10 * times[:, :, None, None, None]
    batch = {
        "clip": levels.expand(-1, -1, height, width, 3).to(torch.uint8),
        "flow": levels.expand(-1, -1, height, width, 2).float(),
        "openness": times.float(),
    }
    ((still, truth, flow, openness),) = trainer._parts(batch)
    assert (still == -1).all()
    assert openness.shape == (config.batch_size, 3)
    assert (openness.diff(dim=1) > 0).all()
    assert len(openness.unique()) > 3
    levels = 10 * openness[:, :, None, None, None]
    torch.testing.assert_close(flow, levels.expand(-1, -1, 2, height, width))
    torch.testing.assert_close(truth, levels.expand(-1, -1, 3, height, width) / 127.5 - 1)


# --- losses


def test_errors_weigh_four_times_where_the_clip_changes():
    config = replace(TINY, changed_weight=4.0, temporal_weight=0.0, mask_weight=0.05)
    clip = torch.zeros(1, 4, 3, 8, 8)
    clip[:, 2:, 0, :2] = 0.2  # in two of four frames, in a quarter of the rows
    clip[:, 1:, 0, 4] = 0.03  # too little to be a change
    frames, mask = clip + 0.5, torch.full((1, 4, 1, 8, 8), 0.3)
    found = losses(frames, mask, clip, clip[:, 0], config)
    assert found.keys() == {"content", "mask"}
    assert found["content"].item() == pytest.approx(0.5 * (1 + 3 / 8))
    assert found["mask"].item() == pytest.approx(0.05 * 0.3)


def test_the_temporal_loss_is_of_changes_between_frames_alone():
    config = replace(TINY, temporal_weight=2.0)
    clip, mask = torch.rand(1, 4, 3, 8, 8), torch.zeros(1, 4, 1, 8, 8)
    assert losses(clip + 0.5, mask, clip, clip[:, 0], config)["temporal"].item() == pytest.approx(0, abs=1e-6)
    ramp = torch.arange(4.0)[None, :, None, None, None] / 10
    assert losses(clip + ramp, mask, clip, clip[:, 0], config)["temporal"].item() == pytest.approx(0.2)


def test_a_line_beside_its_place_is_better_than_none_on_a_pyramid_alone():
    """On one level, what is missing costs half of what is drawn two pixels off."""
    truth = torch.zeros(1, 1, 3, 16, 16)
    truth[..., 8, :] = 1
    off, none, mask = truth.roll(2, 3), torch.zeros_like(truth), torch.zeros(1, 1, 1, 16, 16)

    def error(frames: torch.Tensor, levels: int) -> float:
        still = torch.zeros(1, 3, 16, 16)
        return losses(frames, mask, truth, still, replace(TINY, levels=levels, changed_weight=1.0))["content"].item()

    assert error(none, 1) == pytest.approx(0.5 * error(off, 1))
    assert error(none, 4) > 0.8 * error(off, 4)
    assert error(truth, 4) == 0


def test_frames_that_close_are_drawn_more_often(dataset):
    config = replace(TINY, refine="none", frames=2, closing_first=True, batch_size=4)
    trainer = BlinkTrainer(config, CPU, {"clips": held_out(dataset, config, 2)})
    batch = clips({"clips": dataset}, config, seed=0, device=CPU)(0)
    batch["openness"] = torch.ones(4, 16)
    batch["openness"][:, 5:8] = 0.2
    torch.manual_seed(0)
    drawn = [float((openness < 0.9).float().mean()) for _ in range(50) for *_, openness in trainer._parts(batch)]
    assert np.mean(drawn) > 2.5 * 3 / 16


def test_the_article_has_the_error_and_the_mask_alone():
    clip, mask = torch.rand(1, 4, 3, 8, 8), torch.zeros(1, 4, 1, 8, 8)
    found = losses(clip + 0.5, mask, clip, clip[:, 0], PRESETS["article"])
    assert found.keys() == {"content", "mask"}
    assert found["content"].item() == pytest.approx(0.5)


# --- training and use


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> ClipDataset:
    return ClipDataset(drawn_clips.write(tmp_path_factory.mktemp("clips")), tmp_path_factory.mktemp("cache"))


@pytest.mark.full
@pytest.mark.parametrize("refine", ["none", "3d"])
def test_it_learns_a_blink(refine, dataset):
    """On clips that it was trained on, the error becomes much smaller than that of the picture repeated."""
    still = {"hflip": False, "box_jitter": 0, "color_jitter": 0.0, "time_stretch": 0.0}
    widths = {"widths": (12, 16, 16), "refine_widths": (12, 16, 16)}
    config = replace(TINY, refine=refine, learning_rate=5e-3, horizon=0, changed_weight=4.0, **still, **widths)
    torch.manual_seed(0)
    trainer = BlinkTrainer(config, CPU, {"clips": held_out(dataset, config, 4)})
    batches = clips({"clips": dataset}, config, seed=0, device=CPU)
    trainer.held_out = {"clips": held_out(dataset, config, 4)}
    for i in range(60):
        trainer.step(batches(i), i)
    scores = trainer.validate(60)
    assert scores["changed_error"] < 0.6 * scores["changed_copy"]


def test_the_score_of_a_copy_is_the_copys(dataset):
    trainer = BlinkTrainer(TINY, CPU, {"clips": held_out(dataset, TINY, 2)})
    for parameter in trainer.average.parameters():
        parameter.data.zero_()
    trainer.average.network.clip.last.bias.data[3] = -50  # the mask
    scores = trainer.validate(0)
    assert scores["error"] == scores["copy"] > 0
    assert scores["changed_error"] == scores["changed_copy"] > scores["copy"]


def test_the_sheet_shows_input_truth_and_output_of_each_clip(dataset):
    held = held_out(dataset, TINY, 2)
    trainer = BlinkTrainer(TINY, CPU, {"clips": held})
    height, width = TINY.shape
    sheet = trainer.sheet(0)
    assert sheet.shape == (3 * len(held.clips) * height, 16 * width, 3)
    assert (sheet[:height] == stack_rows([held.clips[0][:1].repeat(16, 0)])).all()
    assert (sheet[height : 2 * height] == stack_rows([held.clips[0]])).all()


def test_a_region_is_animated_with_the_flow_of_another_size():
    network = network_of(refine="none")
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (16, 32, 3), np.uint8)
    field, openness = rng.uniform(-0.3, 0.3, (16, 32, 64, 2)).astype(np.float32), np.linspace(1, 0, 16)
    frames = animate(network, picture, field, openness)
    assert frames.shape == (16, 16, 32, 3)
    assert frames.dtype == np.uint8
    assert (frames[0] == picture).all()
    assert (frames == animate(network, picture, optical_flow.transfer(field, 16, 32), openness)).all()
    still = animate(network, picture, np.zeros((16, 16, 32, 2), np.float32), openness)
    assert (animate(network, picture, None, openness) == still).all()
    assert (frames != still).any()
    with pytest.raises(ValueError, match="training mode"):
        animate(network.train(), picture, None, openness)
