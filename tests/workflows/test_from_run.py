"""Labels of the faces that a run learned from."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from models.data.dataset import UserError
from models.sampling import standing
from workflows import GenerateFaces

LABELS = ("smile", "glasses", "blue_hair", "red_hair")


@pytest.fixture
def task(tmp_path, monkeypatch) -> GenerateFaces:
    """One of a run that learned three of four labels."""
    task = GenerateFaces(run="x", data_root=tmp_path)
    monkeypatch.setitem(task.__dict__, "label_counts", dict(zip(LABELS, (3, 1, 1, 0), strict=True)))
    return task


def train_only(table: pa.Table) -> SimpleNamespace:
    """A dataset whose train split is the table."""
    return SimpleNamespace(split={"train": table}.__getitem__)


@pytest.fixture
def drawn_from(monkeypatch) -> list:
    """The rows that conditions are drawn from, of each network that gets statistics for truncated z."""
    found: list = []
    monkeypatch.setattr(standing, "standing_statistics", lambda network, truncation, y=None: found.append(y))
    return found


def test_batch_statistics_of_truncated_z_are_of_labels_as_faces_have_them(task, drawn_from, monkeypatch):
    rows = {
        "image_id": ["a", "b", "c", "d"],
        "faces_in_image": pa.array([1, 1, 1, 1], pa.int32()),
        "tags": [["smile", "glasses"], ["smile"], ["smile"], []],
        "hair_color": ["blue", None, "red", "red"],
    }
    faces = train_only(pa.table(rows))
    monkeypatch.setattr(GenerateFaces, "trained_faces", lambda self: faces)
    task.truncate(SimpleNamespace(normal=True, labels=LABELS), 0.5)
    assert drawn_from[0].tolist() == [[1, 1, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0]]  # red was not learned


def test_without_the_dataset_they_are_of_one_label_each_as_often_as_it_was_learned(task, drawn_from, caplog):
    with caplog.at_level("WARNING", "luigi-interface"):
        task.truncate(SimpleNamespace(normal=True, labels=LABELS), 0.5)
    assert drawn_from[0].tolist() == np.eye(4)[[0, 0, 0, 1, 2]].tolist()
    assert "dataset is not there" in caplog.text


def test_of_a_run_without_labels_they_are_of_z_alone(task, drawn_from, monkeypatch):
    monkeypatch.setitem(task.__dict__, "label_counts", {})
    task.truncate(SimpleNamespace(normal=True), 0.5)
    assert drawn_from == [None]


def test_faces_without_a_learned_label_are_no_reference_of_a_conditional_run(task):
    columns = {"faces_in_image": pa.array([1, 1, 1], pa.int32()), "tags": [["smile"], ["hat"], []]}
    faces = train_only(pa.table({"image_id": ["a", "b", "c"], "hair_color": ["red", "red", "blue"], **columns}))
    rows, found = task.learned_rows(faces, "train", LABELS)
    assert rows.tolist() == [0, 2]
    assert found.tolist() == [[1, 0, 0, 0], [0, 0, 1, 0]]
    assert task.learned_rows(faces, "train", ())[0].tolist() == [0, 1, 2]


def test_given_hair_colors_are_a_mixture_where_each_face_has_one(tmp_path, monkeypatch):
    task = GenerateFaces(run="x", data_root=tmp_path, condition="pink=1,blue=0.5")
    monkeypatch.setitem(task.__dict__, "label_counts", {"pink": 3, "blue": 2})
    network = SimpleNamespace(labels=("pink", "blue"))
    (y,) = task.conditions(network, task.mixtures_of("--hair-color", "", [0, 1]))
    assert y.tolist() == [pytest.approx([2 / 3, 1 / 3])] * 2
    monkeypatch.setitem(task.__dict__, "given_labels", {"pink": 0.0})
    with pytest.raises(UserError, match="add up to 0 or less"):
        task.conditions(network, task.mixtures_of("--hair-color", "", [0]))
