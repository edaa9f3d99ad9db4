"""The landmark network: what it is taught, and how it is trained."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.annotators import landmark_crops
from models.annotators.landmark_crops import Crops, Faces, Shift, random_shift, show
from models.annotators.landmarks import PRESETS, LandmarkTraining, losses_of, overlap
from models.runs.export import read_about
from models.training.checkpoint import read
from models.training.loop import fit
from pipeline.faces import landmark_network
from pipeline.faces.boxes import Face
from pipeline.faces.landmark_network import LandmarkNetwork, predict
from pipeline.training_data import face_landmarks
from tests.support.run_luigi import luigi

TINY = PRESETS["tiny"]


def faces(count: int, tilt: float = 0) -> Faces:
    """Grey pictures with a black dot at the mouth and a white one in the middle of the left eye."""
    pictures = np.full((count, 160, 160, 3), 127, np.uint8)
    around = 5 * np.stack([np.cos(angles := np.linspace(0, 2 * np.pi, 8, endpoint=False)), np.sin(angles)], 1)
    points = np.concatenate([[(84, 100), (80, 114)], np.add(around, (66, 76)), np.add(around, (94, 76))])
    pictures[:, 98:102, 82:86] = 0
    pictures[:, 74:78, 64:68] = 255
    return Faces(pictures, np.tile(np.float32([tilt, 0.25, 1, 0.5, 1, *points.ravel()]), (count, 1)))


def middle_of(chosen: np.ndarray) -> np.ndarray:
    y, x = np.nonzero(chosen)
    return np.array([x.mean() + 0.5, y.mean() + 0.5]) / (landmark_crops.SIZE / 2) - 1


def test_crops_are_those_of_the_network():
    assert (landmark_crops.SIZE, landmark_crops.FACE_SIDES) == (landmark_network.SIZE, landmark_network.FACE_SIDES)
    assert landmark_crops.DRAWN_SIDES == face_landmarks.FACE_SIDES
    face = face_landmarks.draw_face(0, 0)
    picture, row = face_landmarks.centered(face)
    crop, _ = show(Faces(picture[None], row[None]), 0, Shift())
    side = face_landmarks.SIZE / face_landmarks.FACE_SIDES
    box = tuple(face_landmarks.SIZE / 2 + side * half for half in (-0.5, -0.5, 0.5, 0.5))
    seen = landmark_network.Pyramid(picture).show(landmark_network._view(Face(box, float(row[0]), 1.0)))
    assert np.abs(seen.astype(int) - crop).mean() < 2


@pytest.mark.parametrize("mirror", [1, -1])
@pytest.mark.parametrize("tilt", [0, 40])
def test_points_are_where_the_crop_shows_them(mirror, tilt):
    shown = faces(1, tilt)
    for shift in (Shift(mirror=mirror), Shift(0.1, -0.05, 0.9, -12, mirror)):
        crop, target = show(shown, 0, shift)
        np.testing.assert_allclose(target[8:10], middle_of(crop[..., 0] < 60), atol=0.02)
        left = target[:4] if mirror > 0 else target[4:8]
        np.testing.assert_allclose((left[:2] + left[2:]) / 2, middle_of((crop > 200).all(2)[:90, :]), atol=0.03)
        assert target[12:].tolist() == ([0.25, 1, 0.5, 1] if mirror > 0 else [1, 0.25, 1, 0.5])


def test_batches_are_a_function_of_seed_and_number():
    shown = faces(4)
    first, again, other = Crops(shown, 3, seed=0)(1), Crops(shown, 3, seed=0)(1), Crops(shown, 3, seed=1)(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["picture"], other["picture"])
    assert {name: tuple(part.shape) for name, part in first.items()} == {
        "picture": (3, 3, 96, 96),
        "points": (3, 12),
        "openness": (3, 2),
        "visible": (3, 2),
    }


def test_shifts_go_both_ways_and_half_are_mirrored():
    rng = np.random.default_rng(0)
    shifts = [random_shift(rng) for _ in range(400)]
    assert 0.4 < np.mean([shift.mirror < 0 for shift in shifts]) < 0.6
    assert 0.05 < np.std([shift.x for shift in shifts]) < 0.1
    assert max(abs(np.log(shift.scale)) for shift in shifts) <= 0.25


def test_the_truth_has_no_loss_and_hidden_eyes_teach_no_openness():
    batch = Crops(faces(4), 4, seed=0)(0)
    batch["visible"][:] = 1
    right = torch.cat([batch["points"], torch.logit(batch["openness"], 1e-6), torch.full((4, 2), 20.0)], 1)
    assert sum(float(loss) for loss in losses_of(right, batch).values()) < 1e-3
    wrong = torch.cat([batch["points"], -right[:, 12:]], 1)
    assert losses_of(wrong, batch)["openness"] > 0.1
    batch["visible"][:] = 0
    assert losses_of(wrong, batch)["openness"] == 0


def test_overlap_is_intersection_over_union():
    boxes = torch.tensor([[0.0, 0, 2, 2], [5, 5, 6, 6]])
    assert overlap(boxes, torch.tensor([[1.0, 0, 3, 2], [0, 0, 1, 1]])).tolist() == pytest.approx([1 / 3, 0])


def trained(run, steps: int) -> LandmarkTraining:
    torch.manual_seed(0)
    trainer = LandmarkTraining(replace(TINY, horizon=40), LandmarkNetwork(), predict, faces(4))
    fit(trainer, Crops(faces(8), 8, seed=0), run, steps=steps, sample_every=10, save_every=5)
    return trainer


@pytest.mark.full
def test_the_sheet_and_the_scores_are_of_the_held_out_faces(tmp_path):
    trainer = trained(tmp_path, 1)
    assert trainer.sheet(0).shape == (192, 4 * 192, 3)
    scores = trainer.validate(0)
    assert next(iter(scores)) == "error"
    assert scores["error"] == pytest.approx(scores["openness"] + 1 - scores["iou"])
    assert sum(count for _, _, count in trainer.reliability()) == 4  # of each face, one eye shows for the most part


@pytest.mark.slow
def test_the_loss_goes_down_and_a_run_that_goes_on_is_the_same(tmp_path):
    from tests.models.test_every_model import the_same

    trained(tmp_path / "whole", 45)
    trained(tmp_path / "halves", 10)
    trained(tmp_path / "halves", 45)
    whole, halves = (read(tmp_path / run / "last.pt") for run in ("whole", "halves"))
    the_same(whole, halves)
    batch, losses = Crops(faces(8), 32, seed=9)(0), []
    for weights in (None, whole["network"]):
        torch.manual_seed(0)
        network = LandmarkNetwork()
        if weights:
            network.load_state_dict(weights)
        with torch.no_grad():
            losses.append(float(losses_of(network(batch["picture"]), batch)["boxes"]))
    assert losses[1] < 0.7 * losses[0]


@pytest.mark.full
def test_the_task_trains_from_nothing_what_the_finder_reads(tmp_path):
    tiny = ("TrainLandmarks", "--preset", "tiny")
    luigi(tmp_path, *tiny, "--steps", "4")
    run = tmp_path / "data/runs/landmarks-tiny"
    about = read_about(run)
    assert about["steps"] == 4
    picture, whole = np.zeros((64, 64, 3), np.uint8), Face((0, 0, 64, 64), 0, 1)
    (found,) = landmark_network.find(picture, [whole], str(run / "model.safetensors"))
    assert 0 <= found.left_openness <= 1
    assert "Did not run any tasks" in luigi(tmp_path, *tiny, "--steps", "4").stderr
    luigi(tmp_path, *tiny, "--steps", "6")
    assert read_about(run)["steps"] == 6
