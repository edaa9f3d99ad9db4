"""Manifest -> batches."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from models import distributed
from models.data.batches import Pictures, in_range, labelled
from models.data.dataset import Dataset, UserError
from models.data.labels import class_labels, conditions, is_alone

CPU = torch.device("cpu")


@pytest.fixture
def faces(built) -> Path:
    return built / "data/datasets/faces"


@pytest.fixture
def copy(faces, tmp_path) -> Path:
    """One that may be spoiled."""
    return Path(shutil.copytree(faces.resolve(), tmp_path / "copy"))


def test_pixels_are_the_crops_in_the_manifests_order_resampled_once(faces, tmp_path):
    dataset = Dataset(faces, tmp_path)
    rows = dataset.split("train")
    pixels = dataset.pixels("train", 96)
    assert pixels.shape == (len(rows), 96, 96, 3)
    assert pixels.dtype == np.uint8
    for row in (0, len(rows) - 1):
        crop = Image.open(faces / rows["path"][row].as_py())
        assert (np.asarray(crop.resize((96, 96), Image.Resampling.LANCZOS)) == pixels[row]).all()
    assert (dataset.pixels("train", 128)[0] == np.asarray(Image.open(faces / rows["path"][0].as_py()))).all()


def test_the_array_is_built_once_and_again_for_another_manifest(faces, copy, tmp_path, monkeypatch):
    Dataset(faces, tmp_path).pixels("train", 64)
    monkeypatch.setattr(Dataset, "_picture", None)
    Dataset(faces, tmp_path).pixels("train", 64)  # from the cache, or it would fail
    table = pq.read_table(copy / "manifest.parquet")
    pq.write_table(table.slice(1), copy / "manifest.parquet")
    with pytest.raises(TypeError):
        Dataset(copy, tmp_path).pixels("train", 64)


def test_splits_share_no_picture(faces, tmp_path):
    dataset = Dataset(faces, tmp_path)
    names = [set(dataset.split(split)["face_id"].to_pylist()) for split in ("train", "val", "test")]
    assert sum(map(len, names)) == len(set.union(*names)) == len(dataset.faces)


@pytest.mark.parametrize("damage", ["gone", "text", "wrong size", "too small", "no manifest", "no rows", "no parquet"])
def test_what_is_wrong_with_a_dataset_is_one_clear_line(damage, copy, tmp_path):
    manifest = copy / "manifest.parquet"
    victim = copy / pq.read_table(manifest)["path"][3].as_py()
    size, words = (
        64,
        {
            "gone": "there is no such file",
            "text": "unreadable",
            "wrong size": "50 × 50 px; 128 × 128",
            "too small": "faces of 128 px; 256 px or more",
            "no manifest": "no such file",
            "no rows": "holds no face",
            "no parquet": "unreadable",
        }[damage],
    )
    victim.chmod(0o644)
    if damage == "gone":
        victim.unlink()
    elif damage == "text":
        victim.unlink()
        victim.write_text("no picture")
    elif damage == "wrong size":
        victim.unlink()
        Image.new("RGB", (50, 50)).save(victim)
    elif damage == "too small":
        size = 256
    elif damage == "no manifest":
        manifest.unlink()
    elif damage == "no rows":
        pq.write_table(pq.read_table(manifest).slice(0, 0), manifest)
    else:
        manifest.write_text("no parquet")

    def load() -> None:
        for split in ("train", "val", "test"):
            Dataset(copy, tmp_path).pixels(split, size)

    with pytest.raises(UserError, match=words) as error:
        load()
    assert str(error.value).count("; ") == 2
    assert not list((tmp_path / "arrays").glob("*.npy")) or damage in ("gone", "text", "wrong size")


def test_a_full_disk_while_the_array_is_written_is_an_error_and_no_array(faces, tmp_path):
    import resource
    import signal

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
        with pytest.raises(OSError, match="File too large"):
            Dataset(faces, tmp_path).pixels("train", 128)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert not list((tmp_path / "arrays").glob("*.npy"))
    assert len(Dataset(faces, tmp_path).pixels("train", 128))


def numbered(count: int) -> np.ndarray:
    """Pictures that say their number in each pixel, and their column in the second channel."""
    pixels = np.zeros((count, 4, 4, 3), np.uint8)
    pixels[..., 0] = np.arange(count)[:, None, None]
    pixels[..., 1] = np.arange(4)
    return pixels


def test_each_epoch_shows_every_picture_once_in_another_order():
    batches = Pictures(numbered(10), 4, seed=1, device=CPU)
    shown = torch.cat([batches(i)["picture"][:, 0, 0, 0] for i in range(10)]).tolist()
    epochs = [shown[start : start + 10] for start in range(0, 40, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_a_batch_may_be_larger_than_the_dataset():
    assert sorted(Pictures(numbered(3), 7, seed=0, device=CPU)(0)["picture"][:, 0, 0, 0].tolist())[:1] == [0]
    assert len(Pictures(numbered(3), 7, seed=0, device=CPU)(5)["picture"]) == 7


def test_a_batch_is_a_function_of_seed_and_step():
    first, second = (Pictures(numbered(50), 8, seed=3, device=CPU, hflip=True) for _ in range(2))
    for i in (7, 0, 7, 3):
        assert torch.equal(first(i)["picture"], second(i)["picture"])
    assert not torch.equal(first(0)["picture"], Pictures(numbered(50), 8, seed=4, device=CPU, hflip=True)(0)["picture"])


def test_half_of_the_pictures_are_mirrored_if_requested():
    batches = Pictures(numbered(50), 64, seed=0, device=CPU, hflip=True)
    pictures = torch.cat([batches(i)["picture"] for i in range(20)])
    mirrored = (pictures[:, 0, 0, 1] == 3).float().mean().item()
    assert 0.45 < mirrored < 0.55
    assert set(pictures[:, 0, 0, 1].tolist()) == {0, 3}
    assert (Pictures(numbered(50), 64, seed=0, device=CPU)(0)["picture"][:, 0, 0, 1] == 0).all()


def test_each_process_gets_its_slice(monkeypatch):

    batches = Pictures(numbered(40), 8, seed=0, device=CPU, hflip=True)
    whole = batches(2)["picture"]
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    parts = []
    for rank in (0, 1):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        parts.append(batches(2)["picture"])
    assert torch.equal(torch.cat(parts), whole)


def test_what_does_not_fit_a_gpu_is_fetched_one_batch_ahead(monkeypatch):
    """As on a GPU, whose pinned memory is ordinary here."""
    from concurrent.futures import ThreadPoolExecutor

    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self)
    ahead, plain = (Pictures(numbered(40), 8, seed=0, device=CPU) for _ in range(2))
    ahead._pool = ThreadPoolExecutor(1)
    for i in (0, 1, 2, 7, 8, 3):  # a jump, as after resuming, finds another batch waiting
        assert torch.equal(ahead(i)["picture"], plain(i)["picture"])
        assert ahead._next[0] == i + 1
    resident = Pictures(numbered(40), 8, seed=0, device=CPU)
    resident._resident = torch.from_numpy(resident._pixels)
    assert torch.equal(resident(5)["picture"], plain(5)["picture"])


def test_labels_come_with_their_pictures():
    batches = Pictures(numbered(30), 8, seed=0, device=CPU, labels=np.arange(30) * 10)
    batch = batches(4)
    assert torch.equal(batch["label"], batch["picture"][:, 0, 0, 0].long() * 10)


@pytest.mark.full
def test_class_folders_are_classes(tmp_path):
    """Article 004's set: a folder per class, and a loader that returns labels."""
    import luigi

    from models.papers import dcgan
    from pipeline.sources.drawn import draw
    from workflows import BuildFaceDataset

    for i in range(24):
        folder = tmp_path / "icons" / ("yasuna", "sonya", "agiri")[i % 3]
        folder.mkdir(parents=True, exist_ok=True)
        draw(2, i)[0].save(folder / f"{i:03}.png")
    task = BuildFaceDataset(source="folder", path=tmp_path / "icons", data_root=tmp_path / "data", name="icons", jobs=1)
    assert luigi.build([task], local_scheduler=True, log_level="ERROR")
    dataset = Dataset(tmp_path / "data/datasets/icons", tmp_path / "data/cache")
    names, classes = class_labels(dataset.faces, "tags")
    assert names == ["agiri", "sonya", "yasuna"]
    for source_id, number in zip(dataset.faces["source_id"].to_pylist(), classes, strict=True):
        assert source_id.split("/")[0] == names[number]
    batch = labelled({"faces": dataset}, dcgan.PRESETS128["tiny"], seed=0, device=CPU, column="tags")(0)
    assert batch["label"].shape == (4,)
    assert batch["picture"].shape == (4, 32, 32, 3)


@pytest.mark.parametrize(
    ("faces_in_image", "alone"),
    [
        ([None, None, None], [False, False, True]),  # an old manifest
        ([2, 2, 1], [False, False, True]),
        ([2, 2, 2], [False, False, False]),  # the other face of b was dropped
    ],
)
def test_tags_count_only_for_a_face_that_is_alone_in_its_picture(faces_in_image, alone):
    rows = {
        "image_id": ["a", "a", "b"],
        "tags": [["smile", "glasses"], ["smile", "glasses"], ["smile"]],
        "hair_color": ["blue", "red", None],
    }
    faces = pa.table(rows | {"faces_in_image": pa.array(faces_in_image, pa.int32())})
    assert is_alone(faces).tolist() == alone
    found = conditions(faces, ("smile", "glasses", "blue_hair"))
    assert found.tolist() == [[0, 0, 1], [0, 0, 0], [int(alone[2]), 0, 0]]
    assert conditions(faces, ("red", "blue")).tolist() == [[0, 1], [1, 0], [0, 0]]


def test_faces_without_a_label_are_minus_one(faces, tmp_path):
    table = Dataset(faces, tmp_path).faces
    names, classes = class_labels(table, "hair_color")
    assert names[3] == "blue"  # its number in every dataset
    assert all(
        (name is None and number == -1) or names[number] == name
        for name, number in zip(table["hair_color"].to_pylist(), classes, strict=True)
    )


@pytest.mark.parametrize(("middle", "low", "high"), [(128.0, -1.0, 127 / 128), (127.5, -1.0, 1.0)])
def test_pictures_are_put_in_range_with_channels_last(middle, low, high):
    picture = torch.zeros(2, 4, 4, 3, dtype=torch.uint8)
    picture[:, 0] = 255
    ranged = in_range(picture, middle)
    assert ranged.shape == (2, 3, 4, 4)
    assert (ranged.min().item(), ranged.max().item()) == (low, high)
    assert ranged.is_contiguous(memory_format=torch.channels_last)
    assert ranged.dtype == torch.float32
