"""The list of tasks, the options of one, unknown tasks, and the preset that is chosen."""

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import workflows
from models.zoo import MODELS
from pipeline.errors import UserError
from tests.support.run_luigi import ROOT
from workflows.cli import help as help_texts
from workflows.training import DURATIONS, PRESETS, TrainDCGAN, Training, TrainProjectionCGAN


def run(place: Path, *command: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=place, env=environment, capture_output=True, text=True, check=False
    )


def test_without_arguments_and_with_help_the_tasks_are_listed(tmp_path):
    done = run(tmp_path, "workflows")
    assert done.returncode == 0, done.stderr
    assert done.stdout == run(tmp_path, "luigi", "--module", "workflows", "--help").stdout
    for name in workflows.__all__:
        assert len(re.findall(rf"^  {name} ", done.stdout, re.MULTILINE)) == 1


def test_a_reader_that_has_read_enough_is_no_error(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "workflows"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert done.stderr == b""


def test_each_task_is_in_a_group_and_base_classes_are_in_none():
    listed = help_texts.list_tasks(workflows.GROUPS)
    assert {"BuildFaceDataset", "TrainDCGAN", "Takedown", "EvaluateGAN", "DrawHair"} <= set(workflows.__all__)
    assert not {"Training", "NamedRun", "FromRun", "OfHairColor", "Stage", "NamedDataset"} & set(workflows.__all__)
    assert all(f"  {name} " in listed for name in workflows.__all__)
    assert workflows.BuildFaceDataset.task_family == "BuildFaceDataset"
    with pytest.raises(AttributeError):
        _ = workflows.NoSuchTask


@pytest.mark.parametrize("name", ["BuildFaceDataset", "TrainProjectionCGAN", "Takedown", "TrainHairTagger"])
def test_each_option_is_described_once_with_its_default(name):
    text = help_texts.describe_task(name)
    for option, _ in getattr(workflows, name).get_params():
        assert len(re.findall(rf"^  --{option.replace('_', '-')}\b(?!-)", text, re.MULTILINE)) == 1
    assert "Choices:" not in text
    assert "--scheduler" not in text
    assert max(map(len, text.splitlines())) <= 110


def test_every_option_has_a_description():
    for name in workflows.__all__:
        for option, parameter in getattr(workflows, name).get_params():
            assert parameter.description, f"{name} --{option}"


def test_help_of_a_task_is_the_same_for_both_commands(tmp_path):
    done = run(tmp_path, "workflows", "TrainDCGAN", "--help")
    assert done.returncode == 0, done.stderr
    assert "(default 0)" in done.stdout
    assert "(default ())" not in done.stdout
    assert done.stdout == run(tmp_path, "luigi", "--module", "workflows", "TrainDCGAN", "--help").stdout


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("BuildFaceDatset", "BuildFaceDataset"), ("traindcgan", "TrainDCGAN"), ("Generate", "GenerateFaces")],
)
def test_an_unknown_task_gets_a_suggestion(typed, meant):
    with pytest.raises(UserError, match=f"did you mean .*{meant}"):
        help_texts.check_task_name(typed)


def test_no_task_of_luigi_is_suggested():
    with pytest.raises(UserError) as error:
        help_texts.check_task_name("RangeBas")
    assert "RangeBase" not in str(error.value)


def test_every_model_has_durations():
    assert DURATIONS.keys() == MODELS.keys()
    assert all(all(durations) for durations in DURATIONS.values())


@pytest.fixture
def no_dataset_needed(monkeypatch):
    monkeypatch.setattr(Training, "_check_dataset_and_names", lambda self: None)


@pytest.mark.parametrize(("gpus", "preset"), [(0, "small"), (1, "article")])
def test_the_preset_is_chosen_by_the_device(gpus, preset, tmp_path, monkeypatch, caplog, no_dataset_needed):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    with caplog.at_level(logging.INFO, "luigi-interface"):
        task = TrainProjectionCGAN(data_root=tmp_path)
    assert task.job["preset"] == preset
    assert task.run_name == f"cgan-srresnet-faces-{preset}"
    (line,) = [record.getMessage() for record in caplog.records if "preset auto" in record.getMessage()]
    assert "article" in line
    assert "small" in line
    assert TrainProjectionCGAN(data_root=tmp_path, device="cpu").preset == "small"
    assert TrainProjectionCGAN(data_root=tmp_path, preset="tiny").preset == "tiny"


def test_a_run_that_exists_keeps_its_preset(tmp_path, no_dataset_needed):
    folder = tmp_path / "runs" / "mine"
    folder.mkdir(parents=True)
    settings = {"model": "dcgan96", "preset": "tiny", "config": {}, "dataset": {"name": "faces", "digest": "0"}}
    (folder / "config.json").write_text(json.dumps(settings))
    assert TrainDCGAN(data_root=tmp_path, run="mine").preset == "tiny"
    assert TrainDCGAN(data_root=tmp_path, run="mine", fresh=True, device="cpu").preset == "small"
    assert TrainDCGAN(data_root=tmp_path, run="other", device="cpu").preset == "small"


def test_auto_is_no_preset_of_a_model():
    assert PRESETS[0] == "auto"
    for entry in MODELS.values():
        assert list(entry.presets) == [name for name in PRESETS if name in entry.presets]
        assert {"article", "paper", "small", "tiny"} <= entry.presets.keys()


def test_fields_of_the_settings_are_listed_and_given_as_often_as_wanted(tmp_path, no_dataset_needed):
    text = help_texts.describe_task("TrainProjectionCGAN")
    assert "--set of cgan-srresnet, at the preset article: size=128" in text
    assert "upsample=shuffle" in text
    assert TrainDCGAN(data_root=tmp_path, preset="tiny").job["assignments"] == {}
    task = TrainProjectionCGAN(data_root=tmp_path, preset="tiny", set=("average=0.9", "upsample=nearest"))
    assert task.job["assignments"] == {"average": "0.9", "upsample": "nearest"}
    parse = TrainProjectionCGAN.set.parse
    assert parse(["upsample=nearest", "average=0.9"]) == parse("upsample=nearest average=0.9") == task.set
    assert TrainProjectionCGAN.set.serialize(task.set) == "average=0.9 upsample=nearest"
    for wrong in (["upsample"], ["=1"], ["a=1", "a=2"], ["a=1 2"]):
        with pytest.raises(UserError, match=r"--set: .* FIELD=VALUE, each field once"):
            parse(wrong)


def test_augmentation_is_the_presets_unless_it_is_given(tmp_path, no_dataset_needed):
    assert "augment" not in TrainDCGAN(data_root=tmp_path, preset="tiny").job["changes"]
    for kind in ("none", "diff"):
        assert TrainDCGAN(data_root=tmp_path, preset="tiny", augment=kind).job["changes"] == {"augment": kind}


@pytest.mark.parametrize("is_stdout", [True, False])
def test_only_a_broken_stdout_ends_quietly(is_stdout, tmp_path):
    code = """
import os, sys
from workflows.cli import errors
errors.install_error_reporter()
reader, writer = os.pipe()
os.close(reader)
os.write(1 if sys.argv[1:] else writer, b"x")
"""
    reader, writer = os.pipe()
    if is_stdout:
        os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", code, *["stdout"] * is_stdout],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert ("error: BrokenPipeError" in done.stderr) == (not is_stdout)
    assert (done.stderr == "") == is_stdout
