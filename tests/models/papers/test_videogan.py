"""VideoGAN: its sizes, and what the trials differ in."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.contracts import HeldOutClips
from models.data.dataset import UserError
from models.papers.videogan import PRESETS, Config, Discriminator, Generator, UnconditionalGenerator, VideoGAN
from models.runs import settings

CPU = torch.device("cpu")
TINY = PRESETS["tiny"]


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def random_clips(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 16, *TINY.shape, 3), np.uint8)


def trainer_of(**changes) -> VideoGAN:
    torch.manual_seed(0)
    clips = random_clips(2)
    held = HeldOutClips(clips, np.zeros((*clips.shape[:4], 2), np.float32), np.ones((2, 16), np.float32))
    return VideoGAN(replace(TINY, **changes), CPU, {"clips": held})


def batch() -> dict[str, torch.Tensor]:
    return {"clip": torch.from_numpy(random_clips(TINY.batch_size))}


def test_the_networks_have_the_authors_numbers_of_parameters():
    with torch.device("meta"):
        config = Config()
        assert (parameters(Generator(config)), parameters(Discriminator(config))) == (67_167_879, 44_103_042)
        assert parameters(Generator(config, frames=32)) == 68_216_455
        assert parameters(Discriminator(config, frames=32)) == 44_135_810
        narrow = replace(config, widths=(64, 128, 256, 512))
        assert (parameters(UnconditionalGenerator()), parameters(Discriminator(narrow, frames=32))) == (
            16_245_383,
            11_057_858,
        )


def test_clips_have_the_authors_sizes():
    with torch.device("meta"):
        picture, clip = torch.empty(2, 3, 64, 64), torch.empty(2, 32, 3, 64, 64)
        assert Generator(Config())(picture).shape == (2, 16, 3, 64, 64)
        assert Generator(Config(), frames=32)(picture).shape == clip.shape
        assert UnconditionalGenerator()(torch.empty(2, 100)).shape == clip.shape
        assert Discriminator(Config(), frames=32)(clip).shape == (2, 2)
        assert Discriminator(Config())(clip[:, :16]).shape == (2, 2)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("trial", ["adversarial", "conv_lstm"])
def test_every_preset_gives_layers_within_the_limit(preset, trial):
    with torch.device("meta"):
        settings.check_output(Generator(replace(PRESETS[preset], trial=trial)), PRESETS[preset].size)


@pytest.mark.parametrize(
    ("trial", "names"),
    [
        ("adversarial", {"d", "first_frame", "content", "g"}),
        ("clipped", {"d", "first_frame", "content", "g"}),
        ("content", {"first_frame", "content"}),
        ("conv_lstm", {"first_frame", "content"}),
    ],
)
def test_a_trial_has_its_losses_and_a_discriminator_only_if_it_plays_against_one(trial, names):
    trainer = trainer_of(trial=trial)
    assert trainer.step(batch(), 0).keys() == names
    assert hasattr(trainer, "d") == ("d" in names)


def test_only_the_trial_with_a_reference_depends_on_one():
    picture = torch.rand(2, 3, *TINY.shape)
    one, other = torch.rand(2, 2, 16, 3, *TINY.shape)
    for trial in ("content", "conv_lstm"):
        g = trainer_of(trial=trial).g.eval()
        assert (g(picture, one) != g(picture, other)).any() == (trial == "conv_lstm")


def test_the_order_of_the_reference_matters():
    g = trainer_of(trial="conv_lstm").g.eval()
    picture, reference = torch.rand(1, 3, *TINY.shape), torch.rand(1, 16, 3, *TINY.shape)
    assert (g(picture, reference) != g(picture, reference.flip(1))).any()


def test_clipped_weights_stay_within_the_limit():
    trainer = trainer_of(trial="clipped", clip_weight=0.003)
    trainer.step(batch(), 0)
    assert max(parameter.abs().max().item() for parameter in trainer.d.parameters()) == pytest.approx(0.003)
    free = trainer_of()
    free.step(batch(), 0)
    assert max(parameter.abs().max().item() for parameter in free.d.parameters()) > 0.5


def test_clipped_gradients_have_the_length_of_the_limit():
    """After Adam's first step, its first moment is a tenth, or whatever 1 - β₁ is, of the gradient."""
    trainer = trainer_of(trial="clipped", clipping="gradients", clip_norm=1e-3)
    trainer.step(batch(), 0)
    moments = [state["exp_avg"] for state in trainer.opt_d.state.values()]
    length = torch.cat([moment.flatten() for moment in moments]).norm() / (1 - TINY.beta1)
    assert length.item() == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("trial", "adversarial or clipped or content or conv_lstm"),
        ("region", "face or eyes"),
        ("clipping", "weights or gradients"),
    ],
)
def test_other_words_are_refused(field, words):
    job = settings.Job("run", "videogan-cond", "tiny", {}, "", {}, {field: "odd"})
    with pytest.raises(UserError, match=f"{field}=odd given; {words};"):
        settings.build_config(job)
    with pytest.raises(ValueError, match=f"{field} is odd"):
        settings.config_from_json("videogan-cond", {field: "odd"})


def test_the_foreground_is_shown_before_a_still_background():
    """With the mask shut, all frames are the same."""
    g = trainer_of(trial="content").g.eval()
    g.decoder.mask.weight.data.zero_()
    g.decoder.mask.bias.data.fill_(-100)
    frames = g(torch.rand(1, 3, *TINY.shape))
    assert torch.equal(frames, frames[:, :1].expand_as(frames))


def test_the_score_of_a_copy_is_written_beside_it():
    trainer = trainer_of(trial="content")
    clips = trainer.held_out["clips"].clips.astype(float)
    assert trainer.validate(0)["copy"] == pytest.approx(np.abs(clips - clips[:, :1]).mean())
    assert trainer.sheet(0).shape == (2 * 3 * TINY.size, 16 * TINY.size, 3)
