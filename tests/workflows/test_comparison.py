"""CompareRuns as its users meet it."""

import json

import pytest

from pipeline.marking import is_generated
from tests.support.run_luigi import error_line, luigi

pytestmark = pytest.mark.full
SMALL = ("--preset", "tiny", "--sample-every", "2", "--save-every", "3")


@pytest.fixture(scope="module")
def place(trained):
    """With three runs of 32 px: two of DCGAN, one of which was stopped and resumed, and one of hair colours."""
    for name, steps in (("straight", "8"), ("resumed", "4"), ("resumed", "8")):
        luigi(trained, "TrainDCGAN", "--variant", "96", *SMALL, "--run", name, "--steps", steps)
    luigi(trained, "TrainR3GAN", "--labels", "colors", *SMALL, "--set", "size=32", "--run", "colors", "--steps", "4")
    return trained


def test_runs_are_printed_and_shown_side_by_side(place):
    done = luigi(place, "CompareRuns", "--runs", "straight,resumed,colors")
    made = place / "data/comparisons/straight+resumed+colors"
    found = json.loads((made / "comparison.json").read_text())
    assert found["at"]["pictures"] == found["runs"]["colors"]["end"]["pictures"]
    scores = [found["runs"][name]["at_pictures"]["last"]["score"] for name in ("straight", "resumed")]
    assert scores[0] == scores[1]
    assert f"{scores[0]:.4g} (" in done.stdout
    assert all((made / name).exists() for name in ("README.md", "curves.png", "samples.png"))
    assert is_generated(made / "samples.png")
    assert not is_generated(made / "curves.png")
    again = luigi(place, "CompareRuns", "--runs", "straight,resumed,colors")
    assert again.stdout == done.stdout


@pytest.mark.parametrize(
    ("runs", "line"),
    [
        ("straight", "error: --runs: 'straight' given; two runs or more"),
        ("straight,straight", "error: --runs: 'straight' given twice"),
        ("straight,nosuch", "error: data/runs/nosuch: has no config.json; "),
    ],
)
def test_what_cannot_be_compared_is_one_line(place, runs, line):
    assert error_line(place, "CompareRuns", "--runs", runs).startswith(line)


def test_runs_of_other_sizes_are_one_line(place):
    luigi(place, "TrainR3GAN", *SMALL, "--set", "size=64", "--run", "large", "--steps", "2")
    line = error_line(place, "CompareRuns", "--runs", "straight,large")
    assert line.startswith("error: --runs: straight is of faces (")
    assert " at 32 px and large is of faces (" in line


def test_a_damaged_sheet_is_one_line_and_leaves_nothing(place):
    for sheet in (place / "data/runs/colors/samples").iterdir():
        sheet.write_bytes(sheet.read_bytes()[:200])
    line = error_line(place, "CompareRuns", "--runs", "resumed,colors")
    assert ".png: damaged" in line
    assert not (place / "data/comparisons/resumed+colors").exists()
