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


def inputs(network: BlinkUNet, count: int = 2) -> list[torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    return [torch.rand(count, *shape[1:], generator=rng) for shape in network.io_shapes()[0]]


def test_both_networks_have_the_numbers_of_parameters_that_were_computed():
    assert parameters(UNet(2, 5, 32, (32, 64, 128, 256))) == 2_241_664
    assert parameters(UNet(3, 32, 4, (32, 64, 128, 256))) == 7_427_908
    network = BlinkUNet(PRESETS["article"])
    assert (parameters(network.frames), parameters(network.clip)) == (2_241_664, 7_427_908)


def test_the_shipped_size_is_less_than_three_megabytes_in_half_precision():
    assert 2 * parameters(BlinkUNet(PRESETS["modern"])) < 3e6


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
        network = network_of(openness=openness_is_input)
        picture, flow, openness = inputs(network)
        differs = (network(picture, flow, openness) != network(picture, flow, 1 - openness)).any()
        assert bool(differs) == openness_is_input


def test_another_refinement_is_refused():
    with pytest.raises(ValueError, match="refine: 3d or none expected, 4d found"):
        BlinkUNet(replace(TINY, refine="4d"))


# --- losses


def test_errors_weigh_four_times_where_the_clip_changes():
    config = replace(TINY, changed_weight=4.0, temporal_weight=0.0, mask_weight=0.05)
    clip = torch.zeros(1, 4, 3, 8, 8)
    clip[:, 2:, 0, :2] = 0.2  # in two of four frames, in a quarter of the rows
    clip[:, 1:, 0, 4] = 0.03  # too little to be a change
    frames, mask = clip + 0.5, torch.full((1, 4, 1, 8, 8), 0.3)
    found = losses(frames, mask, clip, config)
    assert found.keys() == {"content", "mask"}
    assert found["content"].item() == pytest.approx(0.5 * (1 + 3 / 8))
    assert found["mask"].item() == pytest.approx(0.05 * 0.3)


def test_the_temporal_loss_is_of_changes_between_frames_alone():
    config = replace(TINY, temporal_weight=2.0)
    clip, mask = torch.rand(1, 4, 3, 8, 8), torch.zeros(1, 4, 1, 8, 8)
    assert losses(clip + 0.5, mask, clip, config)["temporal"].item() == pytest.approx(0, abs=1e-6)
    ramp = torch.arange(4.0)[None, :, None, None, None] / 10
    assert losses(clip + ramp, mask, clip, config)["temporal"].item() == pytest.approx(0.2)


def test_the_article_has_the_error_and_the_mask_alone():
    clip, mask = torch.rand(1, 4, 3, 8, 8), torch.zeros(1, 4, 1, 8, 8)
    found = losses(clip + 0.5, mask, clip, PRESETS["article"])
    assert found.keys() == {"content", "mask"}
    assert found["content"].item() == pytest.approx(0.5)


# --- training and use


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> ClipDataset:
    return ClipDataset(drawn_clips.write(tmp_path_factory.mktemp("clips")), tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize("refine", ["3d", "none"])
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
