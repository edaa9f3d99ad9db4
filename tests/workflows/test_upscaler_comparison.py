"""CompareUpscalers, with networks of which is known what they make."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.comparison.upscalers import measurement
from models.data.dataset import sha256_of
from models.data.resampling import enlarge, shrink
from models.metrics.fidelity import psnr, ssim
from models.papers import esrgan
from models.runs import export
from pipeline.errors import UserError
from pipeline.marking import is_generated
from tests.models.runs.test_damaged_files import run_settings
from tests.support import drawn_pictures
from tests.support.run_luigi import error_line, luigi
from workflows import CompareUpscalers

BRIGHTER = 20 / 255  # what a run's last network adds to a picture whose pixels it repeats; that of phase 1 adds none


def make_run(root: Path, name: str, steps: int = 2, dataset: str = "art", digest: str = "0" * 64) -> None:
    """Write a run whose phase 1 has a step."""
    config = replace(esrgan.PRESETS["tiny"], network="compact")
    network = esrgan.generator(config).requires_grad_(False)
    *_, last, _ = network.layers
    last.weight.zero_()
    run = root / "runs" / name
    run.mkdir(parents=True)
    settings = run_settings() | {"model": "esrgan", "config": asdict(config)}
    settings["dataset"] = {"name": dataset, "digest": digest, "pictures": 10}
    (run / "config.json").write_text(json.dumps(settings))
    about = {"model": "esrgan", "config": asdict(config), "steps": steps}
    for network_name, value in (("pretrained", 0.0), ("model", BRIGHTER)):
        last.bias.fill_(value)
        export.write_weights(run, network.state_dict(), about, name=network_name)


@pytest.fixture
def place(tmp_path) -> Path:
    """With a dataset, a run on it, and VGG16's weights nowhere."""
    dataset = drawn_pictures.write(tmp_path / "data/datasets/art")
    make_run(tmp_path / "data", "four", digest=sha256_of(dataset / "manifest.parquet"))
    return tmp_path


@pytest.fixture(autouse=True)
def _no_vgg16(monkeypatch):
    def absent() -> Path:
        raise UserError("vgg16.ckpt", "cannot be had", "it", "fetch it")

    monkeypatch.setattr("workflows.upscaler_comparison.vgg16_weights", absent)


def compare(place: Path, **options) -> dict:
    task = CompareUpscalers(**{"runs": ("four",), "data_root": place / "data", "device": "cpu"} | options)
    task.run()
    assert task.complete()
    assert {"README.md", "sheet.png", "colors.png"} <= {path.name for path in task.folder.iterdir()}
    assert is_generated(task.folder / "sheet.png")
    return json.loads((task.folder / "comparison.json").read_text())


def dark(number: int, width: int, height: int) -> np.ndarray:
    return drawn_pictures.draw(number, width, height) // 2 + 30


def repeat_pixels(pixels: np.ndarray) -> np.ndarray:
    return pixels.repeat(4, 0).repeat(4, 1)


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def test_each_network_and_bicubic_interpolation_are_measured_against_the_truth(place):
    pictures = [dark(number, 64, 48) for number in range(2)]
    for number, picture in enumerate(pictures):
        save(place / f"in/{number}.png", picture)
    found = compare(place, input=place / "in")["upscalers"]
    assert list(found) == ["bicubic", "four, L1 only", "four"]
    truth, small = np.stack(pictures), [shrink(picture) for picture in pictures]
    made = {
        "bicubic": np.stack([enlarge(each) for each in small]),
        "four, L1 only": np.stack([repeat_pixels(each) for each in small]),
        "four": np.stack([repeat_pixels(each) for each in small]) + 20,
    }
    for name, expected in made.items():
        assert found[name]["psnr"] == pytest.approx(psnr(expected, truth).mean(), abs=1e-4)
        assert found[name]["ssim"] == pytest.approx(ssim(expected, truth).mean(), abs=1e-6)
    assert found["four"]["colors"] - 20 == pytest.approx(0, abs=found["four, L1 only"]["colors"])
    assert found["four, L1 only"]["colors"] < 5
    assert found["four"]["colors"] == pytest.approx(np.mean([*found["four"]["colors_by_channel"].values()]))


def test_lpips_is_measured_where_vgg16_is(place, monkeypatch, caplog):
    save(place / "a.png", dark(0, 64, 48))
    assert "lpips" not in compare(place, input=place / "a.png")["upscalers"]["four"]
    assert "without LPIPS: vgg16.ckpt: cannot be had" in caplog.text
    monkeypatch.setattr(CompareUpscalers, "_look", lambda self, device: lambda truth, made: [0.1, 0.2, 0.3])
    found = compare(place, input=place / "a.png")["upscalers"]
    assert [each["lpips"] for each in found.values()] == [0.1, 0.2, 0.3]


def test_the_pictures_are_the_split_test_of_the_runs_dataset(place, capsys):
    manifest = compare(place)["pictures"]
    assert len(manifest) == 2
    assert "2 pictures of the split test of art" in capsys.readouterr().out
    make_run(place / "data", "other")
    assert [*compare(place, runs=("four", "other"))["upscalers"]] == [
        "bicubic",
        *("four, L1 only", "four"),
        *("other, L1 only", "other"),
    ]
    out = capsys.readouterr().out
    assert "other: was trained on another dataset" in out
    assert "four: was" not in out
    page = (place / "data/comparisons/four+other-on-art/README.md").read_text()
    assert "| four, L1 only |" in page
    assert "`luigi --module workflows CompareUpscalers --runs four,other --count 16`" in page


def test_a_run_that_is_in_its_first_phase_has_one_row(place):
    make_run(place / "data", "young", steps=1)
    assert [*compare(place, runs=("young",), count=1)["upscalers"]] == ["bicubic", "young"]


def test_what_cannot_be_compared_is_left_out_and_the_rest_is_done(place, caplog):
    given = place / "in"
    save(given / "good.png", dark(1, 70, 50))
    save(given / "small.png", dark(1, 31, 50))
    (given / "corrupt.png").write_bytes((given / "good.png").read_bytes()[:200])
    found = compare(place, input=given)
    assert found["pictures"] == ["good.png"]
    assert found["skipped"]["small.png"] == "too small (31 × 50 px; 32 × 32 px or more are measured)"
    assert found["skipped"]["corrupt.png"].startswith("truncated")
    assert "small.png: too small" in caplog.text


def test_the_middle_of_a_large_picture_is_taken_and_its_sides_are_multiples_of_4():
    picture = drawn_pictures.draw(1, 540, 63)
    given = measurement.with_truth("a", picture)
    assert (given.truth == picture[1:61, 14:526]).all()
    assert (given.small == shrink(given.truth)).all()


def test_the_sheet_shows_where_most_happens(place):
    picture = np.full((200, 400, 3), 200, np.uint8)
    picture[30:150, 230:350] = dark(1, 120, 120)
    save(place / "a.png", picture)
    compare(place, input=place / "a.png")
    sheet = np.asarray(Image.open(place / "data/comparisons/four-on-a.png/sheet.png"))
    truth = sheet[-measurement.SHOWN_PX :]
    assert sheet.shape[1] == 3 * measurement.SHOWN_PX
    assert any(
        (truth[top : top + 120, left : left + 120] == dark(1, 120, 120)).all()
        for top in range(41)
        for left in range(41)
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runs": ()}, "--runs: '' given; a run or more"),
        ({"runs": ("four", "four")}, "'four' given twice"),
        ({"runs": ("none",)}, "none: has no config.json; a run that this program trained"),
        ({"runs": ("gan",)}, "gan: is a run of dcgan96; runs of TrainSRGAN or TrainESRGAN"),
        (
            {"runs": ("four", "elsewhere")},
            "--runs: they were trained on art and sprites; runs of one dataset; give --dat",
        ),
        ({"dataset": "faces"}, "--dataset faces: there is no .*BuildImageDataset --name faces"),
        ({"dataset": "art", "samples": "gan"}, "--dataset and --samples: given together"),
        (
            {"input": "data/datasets/art"},
            "is a dataset; a picture, or a folder of pictures; give its name as --dataset",
        ),
        ({"input": "missing"}, "missing: there is no such file or folder"),
        ({"input": "empty"}, "empty: a folder without a file that can be read"),
        ({"input": "small"}, r"small: no picture can be compared \(a.png: too small"),
    ],
)
def test_what_cannot_be_is_one_line(options, message, place, monkeypatch):
    monkeypatch.chdir(place)
    make_run(place / "data", "elsewhere", dataset="sprites")
    (place / "data/runs/gan").mkdir()
    (place / "data/runs/gan/config.json").write_text(json.dumps(run_settings()))
    (place / "empty").mkdir()
    save(place / "small/a.png", dark(0, 20, 20))
    with pytest.raises(UserError, match=message):
        compare(place, **{key: Path(value) if key == "input" else value for key, value in options.items()})


@pytest.mark.full
def test_the_command_compares_samples_of_a_gan_without_a_truth(trained, tmp_path):
    make_run(tmp_path / "data", "four")
    (tmp_path / "data/datasets").symlink_to(trained / "data/datasets")
    luigi(tmp_path, "TrainDCGAN", "--variant", "96", "--preset", "tiny", "--steps", "1", "--run", "gan")
    done = luigi(tmp_path, "CompareUpscalers", "--runs", "four", "--samples", "gan", "--count", "2")
    assert "2 samples of gan." in done.stdout
    assert "Flaws become larger, too." in done.stdout
    found = json.loads((tmp_path / "data/comparisons/four-on-gan/comparison.json").read_text())
    assert found["compared_with"] == "small"
    assert found["pictures"] == ["000000.png", "000001.png"]
    assert [*found["upscalers"]["four"]] == ["colors", "colors_by_channel"]
    assert found["upscalers"]["four, L1 only"]["colors"] == 0
    line = error_line(tmp_path, "CompareUpscalers", "--runs", "four", "--samples", "four")
    assert "four: holds another network; a run of a GAN of faces" in line
