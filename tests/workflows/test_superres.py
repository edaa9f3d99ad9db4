"""TrainSRGAN and TrainESRGAN, as their users meet them."""

import json
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from models.runs import export
from models.training import checkpoint
from models.training.logger import read_metrics
from pipeline.errors import UserError
from tests.models.test_every_model import the_same
from tests.support import drawn_clips, drawn_pictures
from tests.support.run_luigi import error_line, luigi, start_luigi
from workflows.superres import TrainESRGAN, TrainSRGAN

RUN = Path("data/runs/esrgan-art-tiny")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A dataset of pictures, and a tiny run on it."""
    place = tmp_path_factory.mktemp("superres")
    drawn_pictures.write(place / "data/datasets/art")
    luigi(place, "TrainESRGAN", "--preset", "tiny", "--steps", "10", "--set", "pretrain_steps=4")
    return place


def test_a_run_has_both_networks_a_sheet_scores_and_a_card(place):
    run = place / RUN
    networks = [export.load_network(run, name) for name in (None, "pretrained")]
    x = torch.rand(1, 3, 5, 7)
    assert networks[0](x).shape == (1, 3, 20, 28)
    assert not torch.equal(networks[0](x), networks[1](x))
    with Image.open(run / "samples/000010.png") as sheet:
        assert sheet.width == 4 * 32
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {"psnr", "ssim", "psnr_bicubic"} <= next(line for line in lines if line["kind"] == "score").keys()
    card = (run / "README.md").read_text()
    assert "# esrgan, trained on art\n" in card
    assert "four times as wide and high" in card
    assert "a dataset of 10 pictures" in card


@pytest.mark.full
def test_a_longer_training_goes_on_over_the_change_of_phase(place):
    options = ("--preset", "tiny", "--set", "pretrain_steps=4")
    luigi(place, "TrainESRGAN", *options, "--run", "halves", "--steps", "3")
    luigi(place, "TrainESRGAN", *options, "--run", "halves", "--steps", "10")
    for name in ("model", "pretrained"):
        a, b = (place / run / f"{name}.safetensors" for run in (RUN, RUN.with_name("halves")))
        assert a.read_bytes() == b.read_bytes()


@pytest.mark.full
def test_compressed_pictures_make_another_run(place):
    task = TrainSRGAN(data_root=place / "data", preset="tiny", degrade="jpeg")
    assert task.run_name == "srgan-jpeg-art-tiny"
    assert task.job["changes"]["degrade"] == "jpeg"
    luigi(place, "TrainSRGAN", "--preset", "tiny", "--steps", "2", "--degrade", "jpeg")
    settings = json.loads((place / "data/runs/srgan-jpeg-art-tiny/config.json").read_text())
    assert settings["config"]["degrade"] == "jpeg"
    assert settings["dataset"]["pictures"] == 10


def test_vgg16_is_asked_for_only_where_its_weights_are_used(place, monkeypatch):
    monkeypatch.setattr("workflows.superres.vgg16_weights", lambda: Path("/there/vgg16.ckpt"))
    assert TrainESRGAN(data_root=place / "data", preset="tiny").files() == {}
    assert TrainESRGAN(data_root=place / "data", preset="compact").files() == {"vgg16": "/there/vgg16.ckpt"}
    task = TrainESRGAN(data_root=place / "data", preset="compact", set=("vgg=random",))
    assert task.files() == {}


def test_auto_is_compact_on_a_cpu(place):
    assert TrainESRGAN(data_root=place / "data", device="cpu").preset == "compact"


def test_pictures_that_are_too_small_end_a_training_with_one_line(place):
    line = error_line(place, "TrainSRGAN", "--preset", "tiny", "--run", "small", "--set", "size=96")
    assert line.startswith("error: ")
    assert "none of the 6 pictures of the split train is 96 × 96 px or more" in line
    assert not (place / "data/runs/small").exists()


def test_a_dataset_of_another_kind_or_none_is_refused(place):
    drawn_clips.write(place / "data/datasets/blinks", count=2)
    with pytest.raises(UserError, match=r"manifest\.parquet without .*image_id"):
        TrainESRGAN(data_root=place / "data", dataset="blinks", preset="tiny")
    with pytest.raises(UserError, match=r"--dataset nowhere: there is no .*BuildImageDataset --name nowhere"):
        TrainESRGAN(data_root=place / "data", dataset="nowhere", preset="tiny")


COLLAPSING = (
    *("TrainESRGAN", "--preset", "tiny", "--steps", "40", "--set", "network=compact", "--set", "width=16"),
    *("--set", "pretrain_steps=10", "--set", "pretrain_rate=3e-3", "--set", "learning_rate=0.02"),
    *("--set", "collapse_ratio=1.5", "--set", "collapse_every=5"),
)
"""A training whose rate is 100 times too high as soon as the discriminator plays."""


@pytest.mark.full
def test_a_training_that_collapses_recovers_also_when_it_is_killed_meanwhile(place):
    luigi(place, *COLLAPSING, "--run", "whole")
    lines = read_metrics(place / "data/runs/whole")
    scores = [(line["step"], line["random_features"], line["psnr"]) for line in lines if line["kind"] == "score"]
    before = next(each for each in scores if each[0] == 10)
    rollbacks = [line["step"] for line in lines if line["kind"] == "rollback"]
    assert rollbacks
    collapsed = next(each for each in scores if each[0] == rollbacks[0])
    assert collapsed[1] > 1.5 * before[1]
    assert scores[-1][1] <= 1.02 * before[1]
    assert scores[-1][2] >= before[2] - 0.1
    assert f"At step {rollbacks[0]} it collapsed" in (place / "data/runs/whole/README.md").read_text()

    process = start_luigi(place, *COLLAPSING, "--run", "killed")
    killed = place / "data/runs/killed"
    while not any(line["kind"] == "rollback" for line in read_metrics(killed)):
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()  # its training ends with it
    process.wait()
    luigi(place, *COLLAPSING, "--run", "killed")
    for name in ("model", "pretrained"):
        a, b = (place / f"data/runs/{run}/{name}.safetensors" for run in ("whole", "killed"))
        assert a.read_bytes() == b.read_bytes()
    states = [checkpoint.read(place / f"data/runs/{run}/last.pt") for run in ("whole", "killed")]
    the_same(*states)
