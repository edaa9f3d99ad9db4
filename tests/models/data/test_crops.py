"""Whole pictures -> batches of random crops with their small versions."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from models import distributed
from models.data import crops
from models.data.crops import ImageDataset, held_out
from models.data.dataset import ManifestError, UserError
from models.data.resampling import SCALE, compress, enlarge, shrink
from models.papers.esrgan import PRESETS
from pipeline.manifest import IMAGE_DATASET, read, write
from tests.support import drawn_pictures

CPU = torch.device("cpu")
CONFIG = replace(PRESETS["tiny"], size=32, batch_size=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return drawn_pictures.write(tmp_path_factory.mktemp("pictures") / "art")


@pytest.fixture
def dataset(folder, tmp_path) -> ImageDataset:
    return ImageDataset(folder, tmp_path)


def build(dataset: ImageDataset, config=CONFIG, seed: int = 0):
    return crops.crops({"images": dataset}, config, seed=seed, device=CPU)


def place_of(crop: np.ndarray, dataset: ImageDataset, split: str) -> tuple[int, int, int]:
    """(row, top, left) of a crop in a picture of the split."""
    for number, row in enumerate(dataset.split(split).to_pylist()):
        picture = dataset.picture(row)
        fit = cv2.matchTemplate(picture, crop, cv2.TM_SQDIFF)
        top, left = np.unravel_index(fit.argmin(), fit.shape)
        if (picture[top : top + len(crop), left : left + len(crop)] == crop).all():
            return number, int(top), int(left)
    raise AssertionError("no picture has this crop")


def test_crops_are_of_the_train_split_and_low_is_high_made_small(dataset):
    batch = build(dataset)(0)
    assert {key: tuple(value.shape) for key, value in batch.items()} == {"high": (4, 32, 32, 3), "low": (4, 8, 8, 3)}
    places = [place_of(high, dataset, "train") for high in batch["high"].numpy()]
    assert len({number for number, _, _ in places}) == 4  # an epoch has each picture once
    assert len({place[1:] for place in places}) > 1
    for high, low in zip(batch["high"].numpy(), batch["low"].numpy(), strict=True):
        assert (low == shrink(high)).all()


def test_a_batch_is_a_function_of_seed_and_step(dataset):
    first, again, other = build(dataset), build(dataset), build(dataset, seed=1)
    first(0)
    assert torch.equal(first(3)["high"], again(3)["high"])
    assert not torch.equal(first(3)["high"], other(3)["high"])


def test_two_processes_share_what_one_has(dataset, monkeypatch):
    whole, parts = build(dataset)(2), []
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    for rank in (0, 1):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        parts.append(build(dataset)(2))
    for key, value in whole.items():
        assert torch.equal(value, torch.cat([part[key] for part in parts]))


def test_crops_are_mirrored_and_turned_with_their_small_versions(dataset):
    found = set()
    plain, changed = build(dataset), build(dataset, replace(CONFIG, hflip=True, turns=True))
    ways = [(flip, turn) for flip in (1, -1) for turn in range(4)]
    for i in range(8):
        for a, b in zip(plain(i)["high"].numpy(), changed(i)["high"].numpy(), strict=True):
            found.add(next(way for way in ways if (np.rot90(a[:, :: way[0]], way[1]) == b).all()))
    assert len(found) == 8


def test_jpeg_compresses_most_small_pictures_but_not_all(dataset):
    batches = build(dataset, replace(CONFIG, degrade="jpeg"))
    equal = [
        bool((low == shrink(high)).all())
        for i in range(8)
        for high, low in zip(*(batches(i)[key].numpy() for key in ("high", "low")), strict=True)
    ]
    assert 0 < sum(equal) < len(equal) / 2


def test_pictures_smaller_than_a_crop_are_left_out_and_counted(dataset, capfd):
    size = 92  # of the pictures' 80 to 101 × 80 to 90 px none is that high …
    with pytest.raises(UserError, match=r"none of the 6 pictures .* is 92 × 92 px or more; .*--min-side 92"):
        build(dataset, replace(CONFIG, size=size))
    with pytest.raises(UserError, match=r"92 × 92 px"):
        held_out(dataset, replace(CONFIG, size=size), 4)
    held_out(dataset, CONFIG, 4)
    assert not capfd.readouterr().err
    assert build(dataset, replace(CONFIG, size=88))(0)["high"].shape == (4, 88, 88, 3)  # … and few are 88 px
    assert "pictures are smaller than 88 px, and are left out" in capfd.readouterr().err


def test_held_out_crops_are_the_middles_of_val(dataset):
    found = held_out(dataset, CONFIG, 10)
    assert found.high.shape == (2, 32, 32, 3)
    for high, low, row in zip(*found, dataset.split("val").to_pylist(), strict=True):
        picture = dataset.picture(row)
        top, left = (picture.shape[0] - 32) // 2, (picture.shape[1] - 32) // 2
        assert (high == picture[top : top + 32, left : left + 32]).all()
        assert (low == shrink(high)).all()
    assert len(held_out(dataset, CONFIG, 1).high) == 1


def test_without_memory_for_them_pictures_are_decoded_again(dataset, monkeypatch):
    held = build(dataset)(1)
    monkeypatch.setattr(crops, "MAX_HELD_BYTES", 0)
    batches = build(dataset)
    assert torch.equal(batches(1)["high"], held["high"])
    assert not batches._held


@pytest.mark.parametrize(("change", "words"), [("remove", "no file"), ("damage", "damaged"), ("other", "85 × 80 px")])
def test_a_file_that_is_not_as_its_row_says_is_named(change, words, tmp_path):
    place = drawn_pictures.write(tmp_path / "art", count=5)
    table = read(place / "manifest.parquet", IMAGE_DATASET)
    row = table.to_pylist()[0]
    file = place / row["path"]
    if change == "remove":
        file.unlink()
    elif change == "damage":
        file.write_bytes(b"no picture")
    else:
        Image.new("RGB", (85, 80)).save(file, "PNG")
    with pytest.raises(ManifestError, match=rf"{file.name}: .*{words}"):
        ImageDataset(place, tmp_path).picture(row)


def test_a_link_out_of_the_dataset_is_not_followed(tmp_path):
    place = drawn_pictures.write(tmp_path / "art", count=5)
    row = read(place / "manifest.parquet", IMAGE_DATASET).to_pylist()[0]
    file = place / row["path"]
    file.rename(tmp_path / "away")
    file.symlink_to(tmp_path / "away")
    with pytest.raises(ManifestError, match="no file within the dataset"):
        ImageDataset(place, tmp_path).picture(row)


def test_a_manifest_without_a_picture_is_refused(tmp_path):
    place = drawn_pictures.write(tmp_path / "art", count=1)
    write(read(place / "manifest.parquet", IMAGE_DATASET).slice(0, 0), IMAGE_DATASET, place / "manifest.parquet")
    with pytest.raises(ManifestError, match="holds no picture"):
        ImageDataset(place, tmp_path)


# --- resampling


def test_shrinking_and_enlarging_are_torchs_antialiased_bicubic_up_to_rounding():
    picture = 64 + drawn_pictures.draw(0, 96, 64) // 2  # near black and white Pillow clips after each direction
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].double()
    for ours, size in ((shrink(picture), (16, 24)), (enlarge(picture), (256, 384))):
        theirs = F.interpolate(x, size, mode="bicubic", antialias=True).clamp(0, 255)[0].permute(1, 2, 0).numpy()
        assert ours.shape == theirs.shape
        assert abs(ours - theirs).max() < 1.2  # as it rounds
        assert abs(ours - theirs).mean() < 0.3


def test_fine_stripes_become_grey_as_they_do_not_without_antialiasing():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, 1::3] = 255
    small = shrink(stripes)[4:-4, 4:-4].astype(int)
    plain = cv2.resize(stripes, (16, 16), interpolation=cv2.INTER_CUBIC)[4:-4, 4:-4].astype(int)
    assert np.ptp(small) < 30
    assert np.ptp(plain) > 100


def test_a_slope_stays_a_slope():
    slope = np.broadcast_to(np.arange(0, 256, 4, dtype=np.uint8)[None, :, None], (64, 64, 3)).copy()
    small = shrink(slope)[8, :, 0].astype(int)
    assert abs(small[2:-2] - (6 + 16 * np.arange(16))[2:-2]).max() <= 1  # the mean of four pixels
    assert abs(enlarge(shrink(slope))[32, 12:-12, 0].astype(int) - slope[32, 12:-12, 0]).max() <= 2
    assert SCALE == 4


def test_a_compressed_picture_is_near_and_less_near_with_less_quality():
    picture = drawn_pictures.draw(1, 48, 32)
    errors = [abs(compress(picture, quality, halves_colors=False).astype(int) - picture).mean() for quality in (95, 40)]
    assert 0 < errors[0] < errors[1] < 20
    halved = abs(compress(picture, 95, halves_colors=True).astype(int) - picture).mean()
    assert errors[0] < halved < 20
