"""Blink clips: manifest -> regions -> batches."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
import torch

from models import distributed
from models.data import clips
from models.data.clips import MARGIN_PX, Change, ClipDataset, Clips, cut, region_box
from models.data.dataset import Dataset, ManifestError, UserError
from models.papers.blink import PRESETS
from pipeline import manifest
from pipeline.clips import flow
from pipeline.manifest import CLIPS
from tests.support import drawn_clips

CPU = torch.device("cpu")
STILL = replace(PRESETS["tiny"], hflip=False, box_jitter=0, color_jitter=0.0, time_stretch=0.0, batch_size=6)
INNER = slice(MARGIN_PX, -MARGIN_PX)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return drawn_clips.write(tmp_path_factory.mktemp("clips"))


@pytest.fixture
def dataset(folder, tmp_path) -> ClipDataset:
    return ClipDataset(folder, tmp_path)


def rewrite(folder: Path, **values: object) -> None:
    """Give every row of a manifest other values."""
    path = folder / "manifest.parquet"
    rows = [row | values for row in manifest.read(path, CLIPS).to_pylist()]
    manifest.write(pa.Table.from_pylist(rows, CLIPS), CLIPS, path)


# --- regions


def test_the_strip_of_eyes_is_twice_as_wide_as_high_and_holds_both():
    left, right = (30, 50, 50, 70), (80, 52, 100, 72)
    x0, y0, x1, y1 = region_box("eyes", (10, 10, 118, 118), left, right)
    assert x1 - x0 == pytest.approx(2 * (y1 - y0))
    assert x0 < 30
    assert x1 > 100
    assert y0 < 50
    assert y1 > 72
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((65, 61))


def test_tall_eyes_make_the_strip_larger():
    left, right = (40, 20, 60, 80), (70, 20, 90, 80)
    x0, y0, x1, y1 = region_box("eyes", (10, 10, 118, 118), left, right)
    assert y1 - y0 == pytest.approx(1.5 * 60)
    assert x1 - x0 == pytest.approx(180)


@pytest.mark.parametrize("eyes", [(None, (80, 52, 100, 72)), ((30, 50, 50, 70), None), (None, None)])
def test_with_a_hidden_eye_the_strip_lies_at_a_fixed_place_of_the_face(eyes):
    assert region_box("eyes", (100, 200, 200, 300), *eyes) == pytest.approx((108, 231, 192, 273))


def test_the_face_is_a_square():
    assert region_box("face", (10, 20, 110, 100), None, None) == (10, 10, 110, 110)
    with pytest.raises(ValueError, match="region: eyes or face expected, mouth found"):
        region_box("mouth", (0, 0, 1, 1), None, None)


def test_a_region_is_cut_with_its_margin_and_the_border_repeated():
    frames = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3), np.uint8)
    assert (cut(frames, (10, 12, 30, 22), 10, 20) == frames[:, 12:22, 10:30]).all()
    assert (cut(frames, (10, 12, 30, 22), 10, 20, margin=3) == frames[:, 9:25, 7:33]).all()
    beyond = cut(frames, (-5, -5, 15, 5), 10, 20)
    assert (beyond[:, 5:, 5:] == frames[:, :5, :15]).all()
    assert (beyond[:, 0, 0] == frames[:, 0, 0]).all()


# --- the dataset


def test_frames_are_the_regions_of_the_film_strips(dataset):
    found = dataset.frames("train", "eyes", (16, 32))
    rows = dataset.split("train")
    assert found.shape == (len(rows), 16, 16 + 2 * MARGIN_PX, 32 + 2 * MARGIN_PX, 3)
    assert found.dtype == np.uint8
    row = rows.slice(1, 1).to_pylist()[0]
    strip = manifest.load_png(dataset.folder, row["path"], 48, 16 * 48)
    box = region_box("eyes", row["face_box"], row["left_eye"], row["right_eye"])
    assert (found[1] == cut(np.asarray(strip).reshape(16, 48, 48, 3), box, 16, 32, MARGIN_PX)).all()


def test_flow_and_openness_are_of_the_same_clips_and_follow_the_lids(dataset):
    frames, field, curves = (
        dataset.frames("train", "eyes", (32, 64)),
        dataset.flow("train", "eyes", (32, 64)),
        dataset.openness("train"),
    )
    assert (field[2] == flow.from_first_frame(frames[2]).astype(np.float16)).all()
    assert curves.shape == (len(frames), 16)
    for motion, curve in zip(field, curves, strict=True):
        length = np.abs(motion.astype(np.float32)).mean((1, 2, 3))
        assert (length[curve == 1] < 0.01).all()
        assert length[curve == 0].min() > 3 * length[curve == 1].max() + 0.005


def test_arrays_are_made_once_and_again_for_another_region(folder, tmp_path, monkeypatch):
    ClipDataset(folder, tmp_path).frames("val", "eyes", (16, 32))
    monkeypatch.setattr(ClipDataset, "_region", None)
    ClipDataset(folder, tmp_path).frames("val", "eyes", (16, 32))  # from the cache, or it would fail
    for region, shape in (("face", (16, 32)), ("eyes", (16, 16))):
        with pytest.raises(TypeError):
            ClipDataset(folder, tmp_path).frames("val", region, shape)


def test_a_hidden_eye_is_null_in_the_manifest(folder, tmp_path):
    copy = drawn_clips.write(tmp_path / "copy", 2)
    rewrite(copy, left_eye=None)
    assert ClipDataset(copy, tmp_path / "cache").rows["left_eye"].to_pylist() == [None, None]
    found = ClipDataset(copy, tmp_path / "cache").frames("train", "eyes", (16, 32))
    assert (found != ClipDataset(folder, tmp_path / "cache").frames("train", "eyes", (16, 32))[:2]).any()


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("left_eye", [0.0, 0.0, 1e9, 10.0], "the eyes of clips/.* lie at"),
        ("face_box", [5.0, 5.0, float("nan"), 10.0], "the face of clips/.* lie"),
        ("size", 40, "48 × 768 px; 40 × 640"),
    ],
)
def test_what_is_wrong_with_a_dataset_is_one_clear_line(column, value, words, tmp_path):
    copy = drawn_clips.write(tmp_path / "copy", 2)
    rewrite(copy, **{column: value})
    with pytest.raises(ManifestError, match=words):
        ClipDataset(copy, tmp_path / "cache").frames("train", "face" if column == "face_box" else "eyes", (16, 32))


def test_a_dataset_of_clips_is_none_of_faces(folder, tmp_path):
    with pytest.raises(ManifestError, match=r"lacks the columns .*face_id"):
        Dataset(folder, tmp_path)


# --- batches


def test_each_epoch_shows_every_clip_once(dataset):
    batches = Clips(dataset, replace(STILL, batch_size=3), seed=1, device=CPU)
    frames = dataset.frames("train", "eyes", STILL.shape)[:, :, INNER, INNER]
    shown = torch.cat([batches(i)["clip"] for i in range(2)]).numpy()
    found = [next(n for n, clip in enumerate(frames) if (clip == each).all()) for each in shown]
    assert sorted(found) == list(range(len(frames)))


def test_a_batch_is_a_function_of_seed_and_step(dataset):
    config = replace(PRESETS["tiny"], flow_dropout=0.5)
    first, second = (Clips(dataset, config, seed=3, device=CPU) for _ in range(2))
    for i in (7, 0, 7):
        a, b = first(i), second(i)
        assert a.keys() == {"clip", "flow", "openness"}
        assert all(torch.equal(a[key], b[key]) for key in a)
    assert not torch.equal(first(0)["clip"], Clips(dataset, config, seed=4, device=CPU)(0)["clip"])


def test_each_process_gets_its_slice(dataset, monkeypatch):
    batches = Clips(dataset, PRESETS["tiny"], seed=0, device=CPU)
    whole = batches(2)
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    parts = []
    for rank in (0, 1):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        parts.append(batches(2))
    for key in whole:
        assert torch.equal(torch.cat([part[key] for part in parts]), whole[key])


def test_the_next_batch_is_made_ahead_for_a_gpu(dataset, monkeypatch):
    from concurrent.futures import ThreadPoolExecutor

    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self)
    ahead, plain = (Clips(dataset, PRESETS["tiny"], seed=0, device=CPU) for _ in range(2))
    ahead._pool = ThreadPoolExecutor(1)
    for i in (0, 1, 2, 7, 3):  # a jump, as after resuming, finds another batch waiting
        assert torch.equal(ahead(i)["clip"], plain(i)["clip"])
        assert ahead._next[0] == i + 1


def test_batches_without_flow_have_none(dataset):
    batch = clips.clips_alone({"clips": dataset}, STILL, seed=0, device=CPU)(0)
    assert batch.keys() == {"clip", "openness"}


def test_a_mirrored_clip_moves_the_other_way():
    rng = np.random.default_rng(0)
    clip = rng.integers(0, 256, (16, 20, 30, 3), np.uint8)
    field = rng.uniform(-1, 1, (16, 20, 30, 2)).astype(np.float32)
    plain, mirrored = Change(), Change(mirrored=True)
    assert (mirrored.frames(clip) == plain.frames(clip)[:, :, ::-1]).all()
    assert (mirrored.flow(field) == plain.flow(field)[:, :, ::-1] * (-1, 1)).all()


def test_the_flow_of_a_mirrored_clip_is_its_mirrored_flow():
    smooth = cv2.GaussianBlur(np.random.default_rng(0).random((60, 100, 3)), (0, 0), 3)
    texture = np.uint8(255 * (smooth - smooth.min()) / np.ptp(smooth))
    clip = np.stack([texture[:, 40 - 2 * min(t, 2) :][:, :60] for t in range(16)])  # to the right by up to 4 px
    mirror = Change(mirrored=True)
    found = flow.from_first_frame(np.ascontiguousarray(mirror.frames(clip)))
    assert found[2:, 10:-10, 10:-10, 0].mean() * flow.UNIT_PX == pytest.approx(-4, abs=0.3)
    inner = np.s_[:, 10:-10, 10:-10]
    assert np.abs(found - mirror.flow(flow.from_first_frame(clip)))[inner].max() * flow.UNIT_PX < 0.5


def test_clip_and_flow_are_shifted_and_stretched_alike():
    numbers = np.arange(16)[:, None, None, None] + np.zeros((16, 20, 30, 3), np.uint8)
    change = Change(shift=(2, -1), speed=1.2)
    frames = change.frames(numbers.astype(np.uint8))
    assert frames[:, 0, 0, 0].tolist() == change.times().tolist()
    assert change.times()[0] == 0
    assert change.times().tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 15, 15]
    place = np.broadcast_to(np.stack(np.mgrid[:20, :30], -1), (16, 20, 30, 2))
    assert change.flow(place)[0, 0, 0].tolist() == [MARGIN_PX + 2, MARGIN_PX - 1]


def test_colors_change_alike_in_the_whole_clip():
    clip = np.full((16, 20, 30, 3), (100, 200, 50), np.uint8)
    assert (Change(gain=(1.1, 1.5, 0.9)).frames(clip) == (110, 255, 45)).all()


def test_hues_turn_about_the_greys():
    clip = np.zeros((16, 20, 30, 3), np.uint8)
    clip[:, :, :15], clip[:, :, 15:] = (255, 0, 0), (90, 90, 90)
    third = Change(hue=1 / 3).frames(clip)
    assert (third[:, :, 0] == (0, 255, 0)).all()
    assert (third[:, :, -1] == 90).all()


def test_a_zoomed_clip_and_its_flow_fit_each_other():
    clip = np.transpose(np.broadcast_to(4 * np.arange(40, dtype=np.uint8), (16, 3, 24, 40)), (0, 2, 3, 1))
    found = Change(zoom=(1.0, 1.25)).frames(clip)
    plain = Change().frames(clip)
    middle = (found.shape[2] - 1) / 2
    expected = 4 * (MARGIN_PX + middle + (np.arange(found.shape[2]) - middle) / 1.25)
    assert np.abs(found[:, :, :, 0] - expected).max() <= 0.5
    assert np.ptp(plain[0, 0, :, 0]) > np.ptp(found[0, 0, :, 0])
    field = np.full((16, 24, 40, 2), (2, 3), np.float16)
    assert np.allclose(Change(zoom=(2.0, 0.5)).flow(field), (1, 6))
    assert np.allclose(Change(zoom=(2.0, 0.5), mirrored=True).flow(field), (-1, 6))


def test_the_share_of_clips_without_flow_is_as_set(dataset):
    config = replace(STILL, flow_dropout=0.3, batch_size=200)
    still = (Clips(dataset, config, seed=0, device=CPU)(0)["flow"] == 0).flatten(1).all(1)
    assert 0.2 < still.float().mean() < 0.4


def test_more_jitter_than_there_is_margin_is_refused(dataset):
    with pytest.raises(UserError, match=f"box_jitter=9 given; {MARGIN_PX} or less"):
        Clips(dataset, replace(STILL, box_jitter=9), seed=0, device=CPU)


def test_held_out_clips_are_those_of_val_unchanged(dataset):
    found = clips.held_out(dataset, STILL, 512)
    assert (found.clips == dataset.frames("val", "eyes", STILL.shape)[:, :, INNER, INNER]).all()
    assert (found.flow == dataset.flow("val", "eyes", STILL.shape)[:, :, INNER, INNER]).all()
    assert (found.openness == dataset.openness("val")).all()
    assert len(clips.held_out(dataset, STILL, 1).clips) == 1
