"""Samples of a run as a source: what a task wrote is read."""

import json
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.sources import generated
from pipeline.sources.base import LocalQuery

INDEX = {
    "run": "r",
    "license": "CC0-1.0",
    "samples": [{"seed": 5, "name": "000005.png", "sha256": "a" * 64, "tags": ["blue_hair"]}],
}


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples/000005.png").write_bytes(b"a picture")
    (tmp_path / "samples.json").write_text(json.dumps(INDEX))
    return tmp_path


def test_a_sample_is_a_post_of_its_run(folder):
    (post,) = generated.posts(LocalQuery(path=folder), generated.VERSION)
    assert (post.source_id, post.license, post.tags) == ("r/5", "CC0-1.0", ("blue_hair",))
    assert (post.artist, post.fetched_at) == (None, None)
    assert post.read() == b"a picture"
    assert "a" * 64 in post.fingerprint


@pytest.mark.parametrize(
    "change",
    [{"run": 3}, {"samples": [INDEX["samples"][0] | {"name": "../x.png"}]}, {"samples": [{"seed": 5}]}, {"license": 0}],
)
def test_a_damaged_index_is_one_clear_line(folder, change):
    (folder / "samples.json").write_text(json.dumps(INDEX | change))
    with pytest.raises(UserError, match=r"samples.json: damaged \(.*\); the list of the samples; delete"):
        list(generated.posts(LocalQuery(path=folder), generated.VERSION))


@pytest.mark.parametrize(
    ("request_", "option"), [(LocalQuery(path=Path("x")), "--path"), (LocalQuery(query="x"), "--query")]
)
def test_a_path_or_a_query_is_refused(request_, option):
    with pytest.raises(UserError, match=f"{option}: x given; nothing"):
        generated.snapshot(request_)
