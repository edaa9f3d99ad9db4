"""ReviewDataset, from its command to the rebuilt manifest."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import manifest
from tests.pipeline.datasets.review.test_page import await_count
from tests.support.browser import chromium
from tests.support.run_luigi import BUILT, ROOT, error_line, luigi


def start_review(place: Path) -> tuple[subprocess.Popen, str]:
    """Start the command; return it with the address that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "luigi", "--module", "workflows", "ReviewDataset"],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    line = next(line for line in process.stderr if "http://" in line)
    return process, re.search(r"http://\S+", line)[0]


@pytest.fixture
def place(built, tmp_path) -> Path:
    shutil.copytree(built / "data", tmp_path / "data", symlinks=True, copy_function=os.link)
    return tmp_path


def rows(place: Path) -> list[dict]:
    return manifest.read(place / "data/datasets/faces/manifest.parquet", manifest.FACES).to_pylist()


def test_what_is_corrected_in_the_page_is_in_the_rebuilt_manifest(place):
    before = rows(place)
    process, url = start_review(place)
    with chromium() as browser:
        page = browser.new_page(locale="en-US")
        page.goto(url)
        page.wait_for_selector("body[data-ready]")
        page.select_option("#order", "manifest")
        page.focus("#grid")
        other = "4" if before[1]["hair_color"] != "blue" else "8"
        for key in ("Home", "d", other, "k"):
            page.keyboard.press(key)
        await_count(page, ".mark:not(:empty)", 3)
        page.click("#done")
        page.wait_for_selector("#over")
    reported = process.communicate(timeout=20)[1]
    assert process.returncode == 0
    assert "3 faces are corrected in" in reported
    assert "1 ran successfully" in reported
    luigi(place, "BuildFaceDataset", *BUILT)
    after = rows(place)
    assert [row["face_id"] for row in after] == [row["face_id"] for row in before[1:]]
    assert (after[0]["hair_color"], after[0]["hair_tagger"]) == ("blue" if other == "4" else "red", "hand")
    assert after[1:] == before[2:]
    card = (place / "data/datasets/faces/README.md").read_text()
    assert "1 drop, 1 hair_color, 1 keep" in card


@pytest.mark.full
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_ctrl_c_ends_it_as_done_does_and_another_signal_as_any_command(number, code, place):
    process, _ = start_review(place)
    process.send_signal(number)
    reported = process.communicate(timeout=20)[1]
    assert process.returncode == code
    assert "Traceback" not in reported
    assert ("1 ran successfully" in reported) == (code == 0)


def test_a_dataset_that_is_not_there_is_one_clear_line(tmp_path):
    assert "there is no such file or folder" in error_line(tmp_path, "ReviewDataset", "--name", "nothing")
    assert "--port" in error_line(tmp_path, "ReviewDataset", "--port", "99999")
