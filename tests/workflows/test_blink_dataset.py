"""BuildBlinkDataset: from films and folders of videos to a manifest."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.clips.blinks import LOWEST_MARGIN
from pipeline.drawing import film
from pipeline.manifest import CLIPS
from tests.support.run_luigi import error_line, luigi
from tests.support.videos import write

pytestmark = pytest.mark.full
ONE_FILM = ("BuildBlinkDataset", "--limit", "1", "--jobs", "1")


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with a dataset of the clips of one film."""
    place = tmp_path_factory.mktemp("films")
    luigi(place, *ONE_FILM)
    return place


def test_a_film_becomes_a_manifest_of_strips(built):
    dataset = built / "data/datasets/blinks"
    table = pq.read_table(dataset / "manifest.parquet")
    assert table.schema.names == CLIPS.names
    assert len(table) > 0
    for clip in table.to_pylist():
        strip = np.asarray(Image.open(dataset / clip["path"]))
        assert strip.shape == (16 * clip["size"], clip["size"], 3)
        assert len(clip["openness"]) == clip["frames"] == 16
        assert clip["openness"][clip["closed_frame"]] <= min(clip["openness"]) + LOWEST_MARGIN
        assert min(clip["openness"][: clip["closed_frame"]]) > 0.35
    assert "film strip" in (dataset / "README.md").read_text()
    assert (dataset / "contact_sheet.png").exists()
    assert "Did not run any tasks" in luigi(built, *ONE_FILM).stderr


def test_a_folder_with_bad_files_gives_a_reason_for_each(tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    film.write(videos / "film.mp4", 1, 0)
    (videos / "empty.mp4").write_bytes(b"")
    (videos / "noise.mkv").write_bytes(np.random.default_rng(0).bytes(2000))
    Image.new("RGB", (64, 64)).save(videos / "still.png")
    write(videos / "short.mp4", [np.full((96, 96, 3), 90, np.uint8)] * 3)
    luigi(tmp_path, "BuildBlinkDataset", "--videos", str(videos), "--jobs", "1")
    dataset = tmp_path / "data/datasets/blinks"
    funnel = pq.read_table(dataset / "funnel.parquet").to_pylist()
    reasons = {row["source_id"].split("#")[0]: row["reason"] for row in funnel}
    assert {"empty.mp4", "noise.mkv", "still.png", "short.mp4"} <= set(reasons)
    assert {row["video"] for row in pq.read_table(dataset / "manifest.parquet").to_pylist()} == {"film.mp4"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--videos", "nowhere"), "there is no such file or folder"),
        (("--frames", "12"), "--frames"),
        (("--source", "folder"), "--videos"),
    ],
)
def test_what_is_wrong_is_one_line(options, words, tmp_path):
    line = error_line(tmp_path, "BuildBlinkDataset", *options)
    assert line.startswith("error: ")
    assert words in line


@pytest.mark.slow
def test_a_build_that_is_killed_ends_with_the_same_manifest(built, tmp_path):
    """Killed at 20 moments, spread over a build, and run again."""
    expected = (built / "data/datasets/blinks/manifest.parquet").read_bytes()
    command = [sys.executable, "-m", "workflows", *ONE_FILM]
    for moment in range(20):
        process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
        time.sleep(1 + moment)
        process.send_signal(signal.SIGKILL)
        process.wait()
    luigi(tmp_path, *ONE_FILM)
    assert (tmp_path / "data/datasets/blinks/manifest.parquet").read_bytes() == expected
