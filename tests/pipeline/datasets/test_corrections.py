"""Corrections by hand: what the file may say, and what becomes of it."""

import pytest

from pipeline import manifest
from pipeline.datasets import corrections
from pipeline.errors import UserError
from pipeline.funnel import FUNNEL
from tests.support.run_luigi import luigi

A, B = "a" * 64, "b" * 64


def printed(store, text: str) -> dict[str, str]:
    path = corrections.file_below(store.root, "d")
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return corrections.read(store.root, "d")


@pytest.mark.parametrize(
    "text",
    [
        f"face_id,correction\n{A},drop\n{B},hair_color=blue\n",
        f"{A},drop\n{B},hair_color=blue",
        f"\ufeffFace_ID,what\r\n\r\n{A.upper()}, DROP\r\n{B},hair_color = Blue,\r\n",
        f"{A},hair_color=red\n{A},drop\n{B},hair_color=blue\n",
    ],
)
def test_the_ways_to_write_it(store, text):
    assert printed(store, text) == {A: "drop", B: "hair_color=blue"}


@pytest.mark.parametrize(
    "text",
    [
        "face_id,correction\n\nabc,drop",
        f"{A},drop\n\n{B},hair_color=orange",
        f"{A},drop\n\n{B}",
        f"{A},drop\n\n{B},keep",
        f"{A},drop\n\n{B},blue",
        f"{A},drop\n\n{B},drop,hair_color=red",
        f"{A},drop\n\nface_id,drop",
    ],
)
def test_a_line_that_is_wrong_is_named(store, text):
    with pytest.raises(UserError, match="line 3"):
        printed(store, text)


def test_no_file_and_an_empty_one_change_nothing(store):
    assert corrections.read(store.root, "d") == {}
    assert corrections.digest(printed(store, "face_id,correction\n")) is None


@pytest.mark.full
def test_they_survive_every_rebuild_and_are_counted(tmp_path):
    build = ("BuildFaceDataset", "--limit", "12")
    luigi(tmp_path, *build)
    path = tmp_path / "data/datasets/faces"
    first = manifest.read(path / "manifest.parquet", manifest.FACES).to_pylist()
    dropped, renamed, unnamed = first[0], first[1], first[2]
    new = "blue" if renamed["hair_color"] != "blue" else "red"
    text = f"{dropped['face_id']},drop\n{renamed['face_id']},hair_color={new}\n{unnamed['face_id']},hair_color=none\n"
    (tmp_path / "data/corrections").mkdir()
    (tmp_path / "data/corrections/faces.csv").write_text(f"face_id,correction\n{text}{A},drop\n")
    for options in ((), ("--limit", "14")):
        luigi(tmp_path, *build, *options)
        rows = {row["face_id"]: row for row in manifest.read(path / "manifest.parquet", manifest.FACES).to_pylist()}
        assert dropped["face_id"] not in rows
        mended, none = rows[renamed["face_id"]], rows[unnamed["face_id"]]
        assert (mended["hair_color"], mended["hair_tagger"], sum(mended["hair_scores"])) == (new, "hand", 1)
        assert mended["hair_scores"][manifest.HAIR_COLORS.index(new)] == 1
        assert (none["hair_color"], sum(none["hair_scores"])) == (None, 0)
        assert len(rows) == len(first) - 1 + 2 * (options != ())
        dropped_rows = manifest.read(path / "funnel.parquet", FUNNEL).to_pylist()
        assert [row["source_id"] for row in dropped_rows if row["reason"] == "corrected"] == [dropped["source_id"]]
        assert "1 drop, 2 hair_color, 1 of faces that are not here" in (path / "README.md").read_text()
    (tmp_path / "data/corrections/faces.csv").unlink()
    luigi(tmp_path, *build)
    assert manifest.read(path / "manifest.parquet", manifest.FACES).to_pylist() == first
