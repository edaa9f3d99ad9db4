"""The commands of docs/icons.md, at tiny size: a GAN learns icons, its samples are merged with them, and U-GAT-IT
learns from the mix."""

import re
import shlex
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas
import pytest

from pipeline.faces.boxes import Face
from pipeline.faces.crop import crop
from pipeline.marking import is_generated
from pipeline.sources.drawn import draw
from tests.support.run_luigi import error_line, luigi
from tests.support.taught_run import teach
from tests.workflows.test_face_dataset import kills, manifest, manifest_bytes

PAGE = Path(__file__).parents[2] / "docs/icons.md"
RUN, TAUGHT, SIDE = "icon-painter", 8, 32
BUILT = ("--limit", "24", "--size", "64", "--jobs", "1")
TINY = {
    "BuildFaceDataset": BUILT,
    "TrainPGGAN": ("--preset", "tiny", "--device", "cpu", "--set", "widths=32,32,16,16", "--set", "networks=paper"),
    "MergeDatasets": ("--jobs", "1"),
    "TrainUGATIT": ("--preset", "tiny", "--device", "cpu", "--steps", "2", "--run", "translator"),
}
"""Task -> options that make its command on the page small: the last of several counts."""
pytestmark = pytest.mark.full


def commands() -> list[list[str]]:
    """The commands of the page, without `luigi --module workflows`."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return [shlex.split(line)[3:] for block in blocks for line in block.splitlines()]


def icons(count: int) -> np.ndarray:
    """Icons that are in no dataset, cut as those are."""
    found = []
    for number in range(count):
        picture, truth = draw(7, number, style="icon")
        face = Face(truth.face_box, truth.tilt, 1.0)
        found.append(crop(np.asarray(picture), face, size=SIDE, box_scale=1.5))
    return np.stack(found)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Where all commands of the page were run. What a tiny GAN paints is noise, so it is taught a few icons."""
    place = tmp_path_factory.mktemp("icons")
    for task, *options in commands():
        luigi(place, task, *options, *TINY[task])
        if task == "TrainPGGAN":
            teach(place / "data/runs" / RUN, icons(TAUGHT))
    return place


def test_the_page_has_the_commands_of_the_article(place):
    assert [command[0] for command in commands()] == [
        "BuildFaceDataset",
        "TrainPGGAN",
        "BuildFaceDataset",
        "MergeDatasets",
        "BuildFaceDataset",
        "TrainUGATIT",
    ]


def test_the_mix_has_the_icons_and_what_was_painted(place):
    real, painted, mix = (manifest(place, name) for name in ("icons", "painted", "icon-mix"))
    assert len(real) >= 20
    assert len(painted) >= TAUGHT - 2
    assert Counter(mix.face_id) == Counter([*real.face_id, *painted.face_id])
    assert set(painted.source) == {"generated"}
    taught = {f"{RUN}/{seed}" for seed in range(TAUGHT)}
    assert len(taught & set(painted.source_id)) >= TAUGHT - 2
    assert (mix.groupby("group").split.nunique() == 1).all()
    both = pandas.concat([real, painted]).set_index("face_id")
    assert mix.set_index("face_id").split.equals(both.split[mix.face_id])
    for row in mix.itertuples():
        file = place / "data/datasets/icon-mix" / row.path
        assert is_generated(file) == (row.source == "generated")
    assert (place / "data/runs/translator/b2a.safetensors").exists()


def test_the_mix_is_labelled_again_exported_and_rebuilt_without_what_was_painted(place):
    luigi(place, "RetagDataset", "--dataset", "icon-mix", "--hair-tagger", "color")
    mix = manifest(place, "icon-mix")
    assert set(mix.hair_tagger) == {"color"}
    assert f"`{RUN}`" in (place / "data/datasets/icon-mix/README.md").read_text()
    luigi(place, "ExportRecipe", "--name", "icon-mix")
    recipe = ("--manifest", "data/recipes/icon-mix.parquet")
    luigi(place, "RebuildFaceDataset", *recipe, "--name", "again")
    assert set(manifest(place, "again").face_id) == set(mix[mix.source == "drawn"].face_id)
    funnel = pandas.read_parquet(place / "data/datasets/again/funnel.parquet")
    assert set(funnel[funnel.reason == "no_file_url"].source) == {"generated"}


def test_killed_and_run_again_gives_the_same_bytes(place, tmp_path):
    options = ("--source", "generated", "--run", RUN, "--count", "12", "--size", "64", "--jobs", "2")
    (tmp_path / "data").mkdir()
    for name in ("datasets", "runs"):
        (tmp_path / "data" / name).mkdir()
    (tmp_path / "data/runs" / RUN).symlink_to(place / "data/runs" / RUN)
    start = time.monotonic()
    done = luigi(tmp_path, "BuildFaceDataset", "--name", "whole", *options)
    assert f"samples of {SIDE} px are enlarged to crops of 64 px: --size {SIDE} leaves them sharp" in done.stderr
    whole = time.monotonic() - start
    reference = manifest_bytes(tmp_path, "whole")
    (tmp_path / "killed/data/runs").mkdir(parents=True)
    (tmp_path / "killed/data/runs" / RUN).symlink_to(place / "data/runs" / RUN)
    pauses = [whole * share for share in (0.5, 0.8, 1.1, 1.4)]
    assert kills(tmp_path / "killed", reference, pauses, *options) >= 2


def test_a_run_without_a_generator_is_one_clear_line(place):
    words = error_line(place, "BuildFaceDataset", "--name", "x", "--source", "generated", "--run", "translator")
    assert words.startswith(
        "error: data/runs/translator: holds ugatit, which generates no faces; a run of a GAN of faces"
    )


def test_a_painter_that_is_trained_on_is_refused(place):
    luigi(place, *commands()[1], *TINY["TrainPGGAN"], "--steps", "22")
    words = error_line(place, *commands()[2], *BUILT)
    assert words.startswith("error: data/datasets/painted: holds a dataset made with run 'icon-painter at step 20, ")
    assert "(now 'icon-painter at step 22, " in words
