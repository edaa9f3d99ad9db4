"""Datasets that are built by networks which the user brings, through the command line."""

import hashlib

import pandas
import pytest
from PIL import Image

from tests.support import onnx_files
from tests.support.onnx_files import spotted
from tests.support.run_luigi import last_line, luigi


@pytest.mark.full
def test_a_dataset_is_built_by_a_detector_and_a_tagger_of_ones_own(tmp_path, monkeypatch):
    files = {"yolo": onnx_files.yolo(), "wd": onnx_files.wd({"red_hair": (9, 0, 0)}), "tags": onnx_files.tag_list()}
    own = onnx_files.put(tmp_path / "own", **files)
    monkeypatch.setenv("ANIME_ASSETS", str(own))
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i in range(9):  # more than a worker takes at once
        Image.fromarray(spotted(400, 500 + i, (150 + 10 * i, 200))).save(pictures / f"{i}.png")
    build = ("BuildFaceDataset", "--source", "folder", "--path", "pictures", "--jobs", "2", "--size", "64")
    networks = ("--detector", "yolo", "--hair-tagger", "wd")

    luigi(tmp_path, *build, *networks)
    faces = pandas.read_parquet(tmp_path / "data/datasets/faces/manifest.parquet")
    assert set(faces.detector) == {"yolo"}
    assert len(faces) == 9
    for row in faces.itertuples():
        x = (row.box[0] + row.box[2]) / 2
        assert abs(x - (150 + 10 * int(row.source_id.removesuffix(".png")))) <= 6
        assert (row.hair_color, row.hair_tagger) == ("red", "wd")
        assert list(row.tags) == ["wd:", "red_hair", "rating:general"]
    card = (tmp_path / "data/datasets/faces/README.md").read_text()
    assert all(hashlib.sha256(content).hexdigest() in card for content in (files["yolo"], files["wd"]))

    onnx_files.put(own, yolo=onnx_files.yolo(classes=("hand",)))  # another file: no result of the first is taken
    found = last_line(luigi(tmp_path, *build, *networks, check=False))
    assert found.startswith("error: 9 pictures: yolo found no face in them")
    onnx_files.put(own, yolo=b"<html>")
    assert "own/yolo.onnx: it cannot be read" in last_line(luigi(tmp_path, *build, *networks, check=False))
