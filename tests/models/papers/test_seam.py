"""The seam refiner, and the score of a seam."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.contracts import HeldOut
from models.metrics.seam import seam_score
from models.nn.pasted import Pasted, depth_in
from models.papers.seam import EDGE_PX, PRESETS, SeamRefiner, SeamTrainer, disturb, random_boxes, with_other

CPU = torch.device("cpu")
TINY = PRESETS["tiny"]
MIDDLE = torch.full((1, 9), 0.5)  # draws of U(0, 1) that disturb nothing, but for blur
MIDDLE[0, 8] = 0
BOXES = [[8, 10, 40, 26], [6, 6, 30, 18]]


def smooth_faces(count: int, size: int) -> np.ndarray:
    place = np.linspace(0, 1, size)
    slopes = np.random.default_rng(0).uniform(0, 120, (count, 2, 3))
    faces = 10 + place[None, :, None, None] * slopes[:, :1, None] + place[None, None, :, None] * slopes[:, 1:, None]
    return faces.astype(np.uint8)


def test_the_refiner_has_the_number_of_parameters_that_was_computed():
    assert sum(parameter.numel() for parameter in SeamRefiner(PRESETS["article"]).parameters()) == 39_907


def test_outside_the_ring_nothing_changes_by_a_bit():
    torch.manual_seed(0)
    network = SeamRefiner(TINY)
    torch.nn.init.normal_(network.layers[-1].weight)
    face, inner = torch.rand(2, 2, 3, 48, 48) * 2 - 1
    pasted = Pasted.of(face, inner, torch.tensor(BOXES), TINY.ring)
    refined = network(*pasted)
    outside = (pasted.ring == 0).expand_as(face)
    assert torch.equal(refined[outside], pasted.faces[outside])
    assert (refined != pasted.faces)[~outside].any()
    beyond = (depth_in(torch.tensor(BOXES), 48, 48) <= 0)[:, None].expand_as(face)
    assert torch.equal(refined[beyond], face[beyond])  # the picture's own pixels


def test_depth_counts_from_the_border_inwards():
    depth = depth_in(torch.tensor([[2, 1, 8, 6]]), 10, 10)[0]
    assert depth[3].tolist() == [-1, 0, 1, 2, 3, 3, 2, 1, 0, -1]
    assert depth[:, 4].tolist() == [0, 1, 2, 3, 2, 1, 0, -1, -2, -3]
    assert ((depth > 0).sum(), (depth == 1).sum()) == (30, 18)


def test_the_ring_falls_from_the_border_inwards():
    face, inner = torch.zeros(1, 3, 48, 48), torch.ones(1, 3, 48, 48)
    pasted = Pasted.of(face, inner, torch.tensor([[4, 4, 44, 24]]), ring=4)
    line = pasted.ring[0, 0, 14, :14].tolist()
    assert line[:4] == [0] * 4
    assert line[4:8] == pytest.approx([0.962, 0.691, 0.309, 0.038], abs=1e-3)
    assert line[8:] == [0] * 6
    assert pasted.faces[0, 0, 14, :14].tolist() == [0] * 4 + [1] * 10


def test_something_else_lies_in_the_middle_of_each_box():
    face = torch.rand(2, 3, 48, 48)
    other = with_other(face, torch.tensor(BOXES), torch.full((2, 2), 0.5))
    changed = (other != face).any(1)
    for number, (x0, y0, x1, y1) in enumerate(BOXES):
        assert changed[number, (y0 + y1) // 2, (x0 + x1) // 2]
        assert not changed[number, y0, x0]
        assert 0.2 < changed[number].sum() / ((x1 - x0) * (y1 - y0)) < 0.35
        inside = other[number, :, changed[number]]
        assert torch.equal(inside, face[number].roll((16, 12), (1, 2))[:, changed[number]])


def test_boxes_lie_within_the_face_and_vary():
    boxes = random_boxes(torch.rand(500, 4, generator=torch.Generator().manual_seed(0)), 128)
    assert boxes.min() >= EDGE_PX
    assert boxes.max() <= 128 - EDGE_PX
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert (width / height).min() < 1 < 2 < (width / height).max()
    assert (len(width.unique()), len(boxes[:, 0].unique())) > (10, 10)


def test_a_disturbance_of_nothing_is_none():
    face = torch.rand(1, 3, 20, 20) * 2 - 1
    torch.testing.assert_close(disturb(face, MIDDLE), face)


@pytest.mark.parametrize(
    ("draw", "expected"), [((0, 1.0), 0.53), ((0, 0.0), 0.47), ((3, 1.0), 0.5 + 8 / 255), ((3, 0.0), 0.5 - 8 / 255)]
)
def test_gain_and_offset_are_at_most_six_percent_and_four_levels(draw, expected):
    draws = MIDDLE.clone()
    draws[0, draw[0]] = draw[1]
    assert disturb(torch.full((1, 3, 20, 20), 0.5), draws)[0, 0].mean().item() == pytest.approx(expected)


def test_the_shift_is_at_most_a_pixel():
    draws = MIDDLE.clone()
    draws[0, 6] = 1
    face = torch.rand(1, 3, 20, 20)
    torch.testing.assert_close(disturb(face, draws)[..., :-1], face[..., 1:])


@pytest.mark.full
def test_it_learns_to_hide_a_seam():
    torch.manual_seed(0)
    faces = smooth_faces(16, TINY.size)
    config = replace(TINY, width=16, ring=8, learning_rate=3e-3, average=0.0, batch_size=8)
    trainer = SeamTrainer(config, CPU, {"faces": HeldOut(faces)})
    for i in range(300):
        torch.manual_seed(i)
        trainer.step({"picture": torch.from_numpy(faces[np.arange(8) + 8 * (i % 2)])}, i)
    scores = trainer.validate(300)
    assert scores["seam"] < 0.7 * scores["hard"]


# --- the score


def test_a_step_of_ten_levels_across_the_border_scores_ten():
    picture = np.full((60, 80, 3), 100, np.uint8)
    picture[20:40, 20:60] = 110
    assert seam_score(picture, (20, 20, 60, 40)) == pytest.approx(10)


def test_a_slope_that_goes_on_across_the_border_is_no_seam():
    picture = np.broadcast_to(np.arange(80)[None, :, None], (60, 80, 3))
    assert seam_score(picture, (20, 20, 60, 40)) == 0


def test_noise_everywhere_is_no_seam():
    picture = np.random.default_rng(0).integers(0, 256, (128, 256, 3), np.uint8)
    assert abs(seam_score(picture, (10, 10, 240, 110))) < 3
