"""The code of a stage does not change while its VERSION stays, by which caches and digests know it."""

import copy
import json

import pytest

from tests.tools.stage_versions import PYTHON, STAGES, TABLE, current, digest_of_code, problems, versions_in_code


def test_each_stage_is_as_it_was_recorded_with_its_version():
    recorded = json.loads(TABLE.read_text())
    if recorded["python"] != PYTHON:
        pytest.skip(f"the digests are of Python {recorded['python']}, this is {PYTHON}")
    lines = problems(recorded["stages"], current())
    assert not lines, "\n".join(lines)


def test_every_version_in_the_code_is_that_of_a_recorded_stage():
    assert versions_in_code() == STAGES.keys()


def test_changed_code_or_weights_name_the_version_to_raise():
    now = current()
    changed = copy.deepcopy(now)
    changed["pipeline.faces.detect.VERSION"]["files"]["pipeline/faces/network.safetensors"] = "0" * 16
    (line,) = problems(changed, now)
    assert line.startswith("raise pipeline.faces.detect.VERSION (now ")
    assert "pipeline/faces/network.safetensors changed" in line


def test_a_raised_version_is_to_be_recorded():
    now = current()
    changed = copy.deepcopy(now)
    changed["pipeline.faces.quality.VERSION"]["version"] = -1
    (line,) = problems(changed, now)
    assert line.startswith("pipeline.faces.quality.VERSION is new or was raised: record it")


@pytest.mark.parametrize(
    "other",
    [
        "def f(x):\n    return x + 1\n",
        '"""Of f."""\n\n\ndef f(x):\n    """Return more."""\n    return (x + 1)  # one\n',
    ],
)
def test_wording_and_layout_change_no_digest(other):
    assert digest_of_code('def f(x):\n    "Give more."\n    return x + 1\n') == digest_of_code(other)


def test_another_constant_changes_the_digest():
    assert digest_of_code("def f(x):\n    return x + 1\n") != digest_of_code("def f(x):\n    return x + 2\n")
