"""What is measured of a network that lets faces blink."""

import numpy as np
import pytest
import torch

from models import blink_evaluation as evaluation
from models.data.clips import ClipDataset, cut, region_box
from models.papers.seam import PRESETS, SeamRefiner
from tests.support import drawn_clips

FPS = 18.0


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> list[evaluation.HeldClip]:
    dataset = ClipDataset(
        drawn_clips.write(tmp_path_factory.mktemp("clips"), size=96), tmp_path_factory.mktemp("cache")
    )
    found = [*evaluation.held_clips(dataset, "test", 9)]
    assert found
    return found


class Known(torch.nn.Module):
    """A network that paints what it is told: frames (T, H, W, 3), with masks of these values (T,)."""

    region, shape, middle, openness = "eyes", (32, 64), 127.5, False

    def __init__(self, frames: np.ndarray, cover: np.ndarray) -> None:
        super().__init__()
        self.frames, self.cover, self.device = frames, cover, torch.nn.Parameter(torch.zeros(1))
        self.eval()

    def paint(self, picture, flow, openness):
        painted = torch.from_numpy(self.frames.copy()).permute(0, 3, 1, 2).float()[None] / 127.5 - 1
        cover = torch.from_numpy(self.cover)[None, :, None, None, None]
        return painted, cover.expand(1, len(self.frames), 1, *self.shape).float()


def told(clip: evaluation.HeldClip, cover: float) -> Known:
    """Return a network that knows a clip, and paints it with that mask where the eyes are not as they were."""
    box = region_box("eyes", clip.eyes.face, clip.eyes.left, clip.eyes.right)
    return Known(cut(clip.frames, tuple(round(end) for end in box), 32, 64), cover * (clip.openness < 1))


def measure(clip: evaluation.HeldClip, network: Known) -> dict:
    def judge(frames):  # it sees what changes: in these clips the eyes alone
        return 1 - np.abs(frames.astype(int) - frames[0]).mean((1, 2, 3)) / 100

    def distance(a, b):
        return (a - b).abs().mean((1, 2, 3))

    torch.manual_seed(0)
    return evaluation.measure_blinks(network, [clip], FPS, judge, distance, SeamRefiner(PRESETS["tiny"]).eval())[0]


def test_a_network_that_knows_the_truth_is_near_it(clips):
    measured = measure(clips[0], told(clips[0], cover=1))
    assert measured["error_share"] < 0.5
    assert measured["lpips"] < 0.5 * measured["copy_lpips"]
    assert measured["correlation"] > 0.8
    assert measured["changed_outside"] == 0


def test_a_network_that_paints_nothing_is_a_copy(clips):
    measured = measure(clips[0], told(clips[0], cover=0))
    assert measured["correlation"] == 0
    assert measured["error_share"] == 1
    assert measured["lpips"] == measured["copy_lpips"] > 0
    assert measured["lines"] == measured["copy_lines"]
    assert measured["closed_share"] == 0
    assert measured["seam_mask"] == pytest.approx(measured["seam_feather"], abs=3)


def test_a_clip_keeps_its_truth(clips):
    clip = clips[0]
    assert clip.frames.shape[0] == len(clip.openness) == 16
    assert (clip.eyes.crop == clip.frames[0]).all()
    x0, y0, x1, y1 = clip.region
    assert 0 <= x0 < x1 <= clip.frames.shape[2]
    assert 0 <= y0 < y1 <= clip.frames.shape[1]


def test_without_a_clip_there_is_nothing_to_measure():
    with pytest.raises(ValueError, match="no clip"):
        evaluation.measure_blinks(Known(np.zeros((1, 32, 64, 3)), np.ones(1)), [], FPS, None, None, None)
