"""The face network: what it finds, what it is taught, and how it is trained."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.annotators import face_crops
from models.annotators.face_crops import KERNEL_SIDES, Crops, Scenes, View, random_view, retexture, targets
from models.annotators.face_detector import PRESETS, FaceDetector, focal_loss
from models.data.dataset import UserError
from models.runs.export import read_about
from models.training.checkpoint import read
from models.training.loop import fit
from models.training.update import ramped_cosine
from pipeline.faces import detect
from pipeline.faces import network as face_network
from pipeline.faces.network import FaceNetwork, peaks
from pipeline.marking import is_generated
from pipeline.sources.drawn import draw
from pipeline.training_data import detector_scenes as face_scenes
from tests.pipeline.faces.test_detect import center, drawn, side, turned
from tests.support.run_luigi import ROOT, luigi

TINY = PRESETS["tiny"]
WEIGHTS = str(face_network.WEIGHTS)


def found_in(picture: np.ndarray, sweep: str = "fast", weights: str = WEIGHTS) -> list:
    return detect.find(picture, finder="network", asset=weights, sweep=sweep, min_face=48)


def off_by(angle: float, expected: float) -> float:
    return abs((angle - expected + 180) % 360 - 180)


def test_the_weights_that_are_shipped_find_drawn_portraits_at_their_place_and_tilt():
    right, errors = 0, []
    for i in range(20):
        tilt = (-30, 0, 15, 40)[i % 4]
        picture, truth = drawn(i, tilt=tilt)
        faces = found_in(picture)
        assert len(faces) <= 1
        right += any(np.hypot(*(center(face) - truth)) < 0.2 * side(face) for face in faces)
        errors += [off_by(face.tilt, tilt) for face in faces]
    assert right >= 18
    assert np.median(errors) <= 8
    assert face_network.WEIGHTS.stat().st_size < 2_000_000


@pytest.mark.full
def test_full_finds_faces_on_their_side_and_on_their_head():
    right = {"fast": 0, "full": 0}
    for i in range(8):
        angle = 45 * i + 100
        picture, truth = turned(*drawn(i, tilt=0), angle)
        for sweep in right:
            faces = found_in(picture, sweep)
            right[sweep] += any(
                np.hypot(*(center(face) - truth)) < 0.25 * side(face) and off_by(face.tilt, angle) < 20
                for face in faces
            )
    assert right["full"] >= 7
    assert right["full"] > right["fast"]


@pytest.mark.parametrize("sweep", detect.SWEEPS)
def test_where_nothing_is_drawn_there_is_no_face(sweep):
    for size in ((30, 10), (1, 1), (500, 300), (20_000, 3)):
        assert found_in(np.full((*size, 3), 255, np.uint8), sweep) == []
    assert found_in(np.random.default_rng(0).integers(0, 255, (500, 500, 3), np.uint8), sweep) == []


def test_the_same_picture_gives_the_same_faces_also_from_weights_that_are_read_anew():
    picture, _ = drawn(0)
    first = found_in(picture)
    face_network.load.cache_clear()
    assert found_in(picture) == first
    assert len(first) == 1


def test_nobody_waits_for_torch_who_does_not_ask_the_network():
    code = "import sys, pipeline.faces.detect; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert answer.stdout.strip() == "False"


def test_a_picture_that_is_looked_at_beside_it_changes_nothing():
    picture, _ = drawn(0)
    tight = picture[: picture.shape[0] // 8 * 8, : picture.shape[1] // 8 * 8][:256, :256]
    network = face_network.load(WEIGHTS)
    alone, among = network.maps(tight[None])[0], network.maps(np.stack([255 - tight, tight]))[1]
    np.testing.assert_allclose(alone, among, atol=1e-4)


@pytest.mark.parametrize("damage", [lambda data: data[:5000], lambda data: b"", lambda data: b"x" * 100, None])
def test_damaged_weights_are_one_clear_error(damage, tmp_path):
    path = tmp_path / "face_network.safetensors"
    if damage:
        path.write_bytes(damage(face_network.WEIGHTS.read_bytes()))
    with pytest.raises(UserError, match=r"face_network\.safetensors: unreadable .*install this package again"):
        found_in(np.zeros((64, 64, 3), np.uint8), weights=str(path))


# --- what it is taught


def as_maps(reported: dict[str, np.ndarray]) -> np.ndarray:
    """A network's answer that is right."""
    return np.concatenate([np.where(reported["heat"] == 1, 5.0, -9.0)[None], reported["shape"]]).astype(np.float32)


def test_a_network_that_says_what_it_is_taught_finds_the_faces():
    faces = np.array([(30.2, 40.9, 24, 20, 1), (90, 60, 60, -45, 1), (100.5, 110, 21, 0, 1)], float)
    reported = targets(faces, 128)
    assert [reported["heat"][int(y // 8), int(x // 8)] for x, y, *_ in faces] == [1, 1, 1]
    assert (reported["heat"] == 1).sum() == 3
    assert reported["mask"].all()
    found = peaks(as_maps(reported))
    np.testing.assert_allclose(found[np.argsort(found[:, 0]), :4], faces[:, :4], atol=1e-3)


@pytest.mark.parametrize("face", [(60, 60, 30, 0, 0), (60, 60, 12, 0, 1), (60, 60, 90, 0, 1), (3, 60, 30, 0, 1)])
def test_nothing_is_queried_about_faces_that_are_hidden_small_large_or_cut_off(face):
    reported = targets(np.array([face, (110, 20, 20, 0, 1)], float), 128)
    x, y = face[:2]
    assert not reported["mask"][y // 8, x // 8]
    assert reported["mask"][2, 13]
    assert (reported["heat"] == 1).sum() == 1


def test_a_view_shows_a_face_where_it_says():
    """A black dot on white, in a stretched, turned and mirrored crop."""
    y, x = np.mgrid[:256, :256]
    picture = (255 - 255 * np.exp(-((x - 100) ** 2 + (y - 90) ** 2) / 200)).astype(np.uint8)[..., None].repeat(3, 2)
    face, rng = np.array([(100, 90, 60, 10, 1)], float), np.random.default_rng(1)
    mirrors = set()
    for _ in range(12):
        view = random_view(rng, 256, face, 128)
        (where,) = view.transform(face)
        crop = face_crops.render(np.random.default_rng(0), picture, view, 128)[..., 0]
        mirrors.add(view.mirror)
        if (np.abs(where[:2] - 64) < 40).all():
            row, column = np.unravel_index(crop.argmin(), crop.shape)
            assert np.hypot(column - where[0], row - where[1]) < 2.5
    assert mirrors == {-1, 1}


def test_another_texture_keeps_means_spreads_and_shapes():
    rng = np.random.default_rng(3)
    x = np.full((40, 40, 3), (-0.5, 0.1, 0.6), np.float32)
    x[10:30, 10:30] = (0.4, -0.3, 0.2)
    for _ in range(20):
        seen = retexture(rng, x)
        assert (seen.shape, seen.dtype) == (x.shape, np.float32)
        np.testing.assert_allclose(seen.mean((0, 1)), x.mean((0, 1)), atol=1e-5)
        assert (seen.std((0, 1)) <= x.std((0, 1)) + 1e-5).all()  # of a mixture of two
        reach = max(KERNEL_SIDES) // 2
        inside = seen[10 + reach : 30 - reach, 10 + reach : 30 - reach]
        assert np.ptp(inside, axis=(0, 1)).max() < 1e-5
    assert not np.allclose(retexture(rng, x), retexture(rng, x))


def test_a_mirrored_face_leans_the_other_way_and_a_turned_one_further():
    face = np.array([(10, 0, 40, 30, 1)], float)
    matrix = np.array([(0.0, -2, 0), (-2, 0, 0)])  # mirrored, then a quarter turn, twice as large
    assert View(matrix, 2.0, 90.0, -1).transform(face).tolist() == [[0, -20, 80, 60, 1]]


def some_scenes(count: int = 12) -> Scenes:
    """Plain drawn portraits."""
    pictures, faces = [], []
    for i in range(count):
        picture, truth = draw(1, i, tilt=0)
        x0, y0, x1, y1 = np.array(truth.face_box) * 256 / np.array(picture.size * 2)
        pictures.append(np.asarray(picture.resize((256, 256))))
        faces.append((i, (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, 0, 1))
    return Scenes(np.stack(pictures), np.array(faces))


def test_a_batch_is_a_function_of_seed_and_number():
    scenes = some_scenes()
    first, again, other = Crops(scenes, 64, 8, seed=0), Crops(scenes, 64, 8, seed=0), Crops(scenes, 64, 8, seed=1)
    first(3)  # what was asked for before changes nothing
    for i in (0, 7):
        for name, value in first(i).items():
            assert torch.equal(value, again(i)[name])
    assert not torch.equal(first(0)["picture"], other(0)["picture"])
    assert not torch.equal(first(0)["picture"], first(1)["picture"])
    shapes = {name: tuple(value.shape) for name, value in first(0).items()}
    assert shapes == {
        "picture": (8, 3, 64, 64),
        "heat": (8, 8, 8),
        "mask": (8, 8, 8),
        "near": (8, 8, 8),
        "shape": (8, 5, 8, 8),
    }


def test_a_part_of_the_scenes_has_their_faces():
    scenes = some_scenes(4)
    part = scenes.part(1, 3)
    assert len(part.pictures) == 2
    assert part.faces_of(1).tolist() == scenes.faces_of(2).tolist()


# --- how it is trained


def test_the_focal_loss_is_that_of_the_paper():
    logit, heat = torch.tensor([[[0.0, 1.0], [-2.0, 3.0]]]), torch.tensor([[[1.0, 0.5], [0.0, 0.0]]])
    requested = torch.tensor([[[True, True], [True, False]]])
    p = logit.sigmoid()[0]
    expected = -((1 - p[0, 0]) ** 2 * p[0, 0].log()) - 0.5**4 * p[0, 1] ** 2 * (1 - p[0, 1]).log()
    expected -= p[1, 0] ** 2 * (1 - p[1, 0]).log()
    torch.testing.assert_close(focal_loss(logit, heat, requested), expected)


def test_the_rate_rises_and_falls_to_nothing():
    c = PRESETS["full"]
    rates = [
        ramped_cosine(i, peak=c.learning_rate, warm_up=c.warm_up, horizon=c.horizon) for i in range(c.horizon + 10)
    ]
    assert np.argmax(rates) in range(c.warm_up - 2, c.warm_up + 2)
    assert max(rates) == pytest.approx(c.learning_rate, rel=0.02)
    assert rates[-1] == pytest.approx(0, abs=1e-9)


def trained(run, steps: int) -> FaceDetector:
    torch.manual_seed(0)
    scenes = some_scenes()
    trainee = FaceDetector(replace(TINY, horizon=40), FaceNetwork(), scenes.part(8, 12))
    fit(trainee, Crops(scenes.part(0, 8), 64, 8, seed=0), run, steps=steps, sample_every=10, save_every=10)
    return trainee


@pytest.mark.full
def test_the_loss_goes_down_and_a_run_that_goes_on_is_the_same(tmp_path):
    from tests.models.test_every_model import the_same

    trained(tmp_path / "whole", 30)
    trained(tmp_path / "halves", 10)
    trained(tmp_path / "halves", 30)
    whole, halves = (read(tmp_path / run / "last.pt") for run in ("whole", "halves"))
    the_same(whole, halves)
    scenes = some_scenes()
    batch = Crops(scenes, 64, 32, seed=9)(0)
    losses = []
    for weights in (None, whole["network"]):
        torch.manual_seed(0)
        network = FaceNetwork()
        if weights:
            network.load_state_dict(weights)
        with torch.no_grad():
            losses.append(float(focal_loss(network(batch["picture"])[:, 0], batch["heat"], batch["mask"])))
    assert losses[1] < 0.7 * losses[0]


def test_scenes_are_drawn_in_their_order_however_many_draw(tmp_path):
    for jobs in (1, 2):
        (tmp_path / str(jobs)).mkdir()
        face_scenes.draw_all(5, 20, tmp_path / str(jobs), jobs=jobs)
    for name in ("pictures.npy", "faces.npy"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    scenes = Scenes(np.load(tmp_path / "1" / "pictures.npy", mmap_mode="r"), np.load(tmp_path / "1" / "faces.npy"))
    picture, faces = face_scenes.scenes.draw(5, 7, size=face_scenes.SIZE)
    assert np.array_equal(scenes.pictures[7], picture)
    assert {tuple(row) for row in scenes.faces_of(7)} == {(f.x, f.y, f.side, f.tilt, f.is_clear) for f in faces}


@pytest.mark.full
def test_the_task_trains_from_nothing_what_the_finder_reads(tmp_path):
    tiny = ("TrainFaceDetector", "--preset", "tiny")
    luigi(tmp_path, *tiny, "--steps", "4")
    run = tmp_path / "data/runs/face_detector-tiny"
    assert read_about(run)["steps"] == 4
    assert not is_generated(run / "samples" / "000004.png")  # drawn scenes, and boxes
    assert found_in(np.zeros((64, 64, 3), np.uint8), weights=str(run / "model.safetensors")) == []
    assert "Did not run any tasks" in luigi(tmp_path, *tiny, "--steps", "4").stderr
    luigi(tmp_path, *tiny, "--steps", "6")
    assert read_about(run)["steps"] == 6
    refused = luigi(tmp_path, *tiny, "--seed", "1", check=False).stderr
    assert "was trained with" in refused
