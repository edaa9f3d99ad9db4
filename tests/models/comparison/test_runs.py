"""Runs side by side, of logs whose figures are known."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.comparison.runs import history, pictures, table
from models.data.dataset import UserError, sha256_of
from models.runs import export
from tests.models.runs.test_damaged_files import run_settings
from workflows import CompareRuns

SIZE = 8


def make_run(root: Path, name: str, scores: dict, *, batch=4, seconds=1.0, size=SIZE, dataset=None, **changes):
    """A run with those scores by step, of `seconds` a step; None: from before they were logged."""
    folder = root / "runs" / name
    (folder / "samples").mkdir(parents=True)
    settings = run_settings(**changes)
    settings["config"] |= {"batch_size": batch, "size": size}
    settings["dataset"] |= dataset or {}
    (folder / "config.json").write_text(json.dumps(settings))
    lines = []
    for step, score in scores.items():
        took = {} if seconds is None else {"seconds": step * seconds}
        lines += [{"step": step, "kind": "loss", **took, "d": 1.0}]
        lines += [{"step": step, "kind": "score", **took, "kid_random": score}]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def evaluate(run: Path, steps: int, **measured) -> None:
    """Give a run weights, and an evaluation of them."""
    export.write_weights(run, {}, {"model": "dcgan96", "config": {}, "steps": steps})
    found = {
        "weights": sha256_of(run / "model.safetensors"),
        "reference_digest": "0" * 64,
        "samples": 64,
        "reference": 99,
    }
    (run / "evaluation.json").write_text(
        json.dumps(found | {"kid_vgg16_128": 0.5, "kid_vgg16_128_floor": 0.1} | measured)
    )


def histories(root: Path) -> list[history.History]:
    return [history.read_history(folder) for folder in sorted((root / "runs").iterdir())]


def cells(root: Path) -> dict[str, tuple[str, ...]]:
    """The rows of the table by their first cell, which is the first where several have it."""
    rows = table.rows_of(histories(root))
    return {row[0]: row[1:] for row in reversed(rows)}


def test_runs_are_compared_at_the_most_pictures_and_seconds_that_all_have(tmp_path):
    make_run(tmp_path, "fast", {10: 9.0, 20: 3.0, 30: 5.0, 40: 4.0, 90: 1.0}, batch=4)
    make_run(tmp_path, "slow", {5: 8.0, 10: 6.0}, batch=16, seconds=3.5)
    both = histories(tmp_path)
    assert history.budgets(both) == {"pictures": 160, "seconds": 35.0}
    fast, slow = (history.standing_at(each, "pictures", 160) for each in both)
    assert (fast.last.step, fast.best.step, slow.last.step, slow.best.step) == (40, 20, 10, 10)
    fast, slow = (history.standing_at(each, "seconds", 35.0) for each in both)
    assert (fast.last.step, fast.best.step, slow.last.step) == (30, 20, 10)
    found = cells(tmp_path)
    assert found["kid_random at 160 pictures seen"] == ("lower", "4 (160)", "6 (160)", "")
    assert found["best until then"] == ("lower", "3 (80)", "6 (160)", "")
    assert found["kid_random at 35 seconds of training"] == ("lower", "5 (30)", "6 (35)", "")
    assert found["kid_random at the end"] == ("lower", "1 (360)", "6 (160)", "")
    assert found["seconds until then"] == ("", "90", "35", "")


def test_a_run_whose_first_score_is_later_has_none_yet(tmp_path):
    make_run(tmp_path, "a", {10: 2.0})
    make_run(tmp_path, "b", {30: 1.0})
    assert cells(tmp_path)["kid_random at 40 pictures seen"] == ("lower", "2 (40)", "not yet", "")


def test_scores_that_are_not_finite_are_shown_and_never_best(tmp_path):
    make_run(tmp_path, "a", {10: 2.0, 20: None})
    make_run(tmp_path, "b", {20: None})
    found = cells(tmp_path)
    assert found["kid_random at 80 pictures seen"] == ("lower", "not finite (80)", "not finite (80)", "")
    assert found["best until then"] == ("lower", "2 (40)", "not finite (80)", "")
    text = json.dumps(table.as_json(histories(tmp_path)), allow_nan=False)
    assert json.loads(text)["runs"]["a"]["at_pictures"]["best"] == {
        "step": 10,
        "pictures": 40,
        "seconds": 10,
        "score": 2,
    }


def test_runs_from_before_seconds_were_logged_are_compared_by_pictures(tmp_path):
    make_run(tmp_path, "a", {10: 2.0}, seconds=None)
    make_run(tmp_path, "b", {10: 2.0})
    assert history.budgets(histories(tmp_path)) == {"pictures": 40}
    make_run(tmp_path, "c", {20: 2.0})
    assert cells(tmp_path)["kid_random at 10 seconds of training"] == ("lower", "–", "2 (10)", "not yet", "")
    assert "a: was trained before seconds were logged." in table.notes_on(histories(tmp_path))
    pictures.save_curves(tmp_path / "curves.png", histories(tmp_path))
    assert Image.open(tmp_path / "curves.png").size[0] > 600


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"dataset": {"digest": "1" * 64}}, "a is of faces (00000000) at 8 px and b is of faces (11111111) at 8 px;"),
        ({"size": 16}, "a is of faces (00000000) at 8 px and b is of faces (00000000) at 16 px;"),
    ],
)
def test_runs_whose_scores_are_on_other_scales_are_refused(changes, found, tmp_path):
    make_run(tmp_path, "a", {10: 2.0})
    make_run(tmp_path, "b", {10: 2.0}, **changes)
    with pytest.raises(UserError) as caught:
        history.check_comparable(histories(tmp_path))
    assert str(caught.value).startswith(f"--runs: {found}")


def test_figures_of_evaluations_are_of_the_last_weights_and_the_runs_own_faces(tmp_path):
    for name, steps in (("a", 30), ("b", 10), ("c", 10), ("d", 10)):
        evaluate(make_run(tmp_path, name, {10: 2.0}), steps)
    evaluate(tmp_path / "runs/b", 10, samples=32, kid_vgg16_128=0.25, grain=1.5, grain_floor=0.7)
    evaluate(tmp_path / "runs/c", 10, reference_digest="other")
    export.write_weights(tmp_path / "runs/d", {}, {"model": "dcgan96", "config": {}, "steps": 20})
    found = cells(tmp_path)
    assert found["KID by vgg16_128"] == ("lower", "0.5", "0.25", "–", "–", "0.1")
    assert found["grain: strength of patterns of period two"] == ("like real", "–", "1.5", "–", "–", "0.7")
    assert found["EvaluateGAN, after pictures seen"] == ("", "120", "40", "–", "–", "")
    assert found["samples, train faces compared"] == ("", "64, 99", "32, 99", "–", "–", "")
    notes = table.notes_on(histories(tmp_path))
    assert [note[:2] for note in notes if "no evaluation" in note] == ["c:", "d:"]
    assert any("unequal numbers" in note for note in notes)


def test_what_makes_a_run_unlike_others_is_said(tmp_path):
    make_run(tmp_path, "a", {10: 2.0}, init_from={"run": "first", "sha256": None})
    make_run(tmp_path, "b", {10: 2.0}, dataset={"left_out": 12, "labels": {"blue": 5}})
    notes = table.notes_on(histories(tmp_path))
    assert "a: began with the weights of first, whose training does not count." in notes
    assert "b: learned from, and is scored by, faces with its labels; 12 others were left out." in notes


def cell_numbers(rows: int, columns: int, red: int) -> Image.Image:
    """A sheet of samples whose green channel says which row it is, the blue one which column."""
    sheet = np.full((rows * SIZE, columns * SIZE, 3), red, np.uint8)
    sheet[:, :, 1] = np.arange(rows * SIZE)[:, None] // SIZE
    sheet[:, :, 2] = np.arange(columns * SIZE) // SIZE
    return Image.fromarray(sheet)


def test_the_sheet_has_a_row_of_each_run_of_the_step_that_is_compared(tmp_path):
    make_run(tmp_path, "a", {10: 2.0, 20: 1.0})
    make_run(tmp_path, "b", {10: 2.0}, seconds=None)
    for step, red in {10: 40, 20: 80}.items():
        cell_numbers(10, 3, red).save(tmp_path / f"runs/a/samples/{step:06}.png")
    made = pictures.sheet(histories(tmp_path))
    height = len(made) // 4  # at 40 pictures and at the end, each of two runs
    rows = made.reshape(4, height, 10, SIZE, 3)[:, -SIZE:]
    assert [int(row[0, 0, 0, 0]) for row in rows] == [40, 255, 80, 255]
    assert rows[0, 0, :, 0, 1].tolist() == list(range(10))
    assert rows[0, 0, :, 0, 2].tolist() == [0, 1, 2] * 3 + [0]
    (tmp_path / "runs/a/samples/000010.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"000010\.png: damaged"):
        pictures.sheet(histories(tmp_path))


def test_sheets_of_few_rows_give_as_many_samples(tmp_path):
    for name in "ab":
        make_run(tmp_path, name, {10: 2.0})
        cell_numbers(6, 10, 0).save(tmp_path / f"runs/{name}/samples/000010.png")
    shown = pictures.sheet(histories(tmp_path))[-SIZE:].reshape(SIZE, 10, SIZE, 3)[0, :, 0]
    assert shown[:, 1].tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3]
    assert shown[:, 2].tolist() == list(range(10))


def test_what_cannot_be_compared_is_refused_by_name(tmp_path):
    make_run(tmp_path, "good", {10: 2.0})
    with pytest.raises(UserError, match=r"runs/nosuch: has no config\.json; .*give others in --runs: good"):
        history.read_history(tmp_path / "runs/nosuch")
    make_run(tmp_path, "young", {})
    with pytest.raises(UserError, match=r"runs/young: has no kid_random in metrics\.jsonl"):
        history.read_history(tmp_path / "runs/young")
    for model in ("ugatit", "stargan2", "blink-flow", "videogan-cond", "seam-refiner", "face_detector"):
        make_run(tmp_path, model, {10: 2.0}, model=model, config={})
        with pytest.raises(UserError, match=f"runs/{model}: is a run of {model}; runs of GANs of faces"):
            history.read_history(tmp_path / "runs" / model)


@pytest.mark.parametrize(
    ("runs", "found"),
    [
        (("a",), "--runs: 'a' given; two runs or more"),
        ((), "--runs: '' given; two runs or more"),
        (("a", "b", "a"), "--runs: 'a' given twice; each run once"),
        (("a", "../b"), r"--runs: '\.\./b' given; letters, digits"),
    ],
)
def test_names_that_make_no_comparison_are_refused_before_anything_runs(runs, found):
    with pytest.raises(UserError, match=found):
        CompareRuns(runs=runs)


def test_the_task_prints_the_table_and_writes_it_with_pictures_each_time(tmp_path, capsys):
    make_run(tmp_path, "a", {10: 2.0})
    make_run(tmp_path, "b", {10: 0.5, 20: -0.25})
    task = CompareRuns(runs=("a", "b"), data_root=tmp_path)
    assert not task.complete()
    task.run()
    assert task.complete()
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split() == ["better", "a", "b", "real", "faces"]
    assert printed[2].split() == "kid_random at 40 pictures seen lower 2 (40) 0.5 (40)".split()
    made = tmp_path / "comparisons/a+b"
    assert {path.name for path in made.iterdir()} == {"README.md", "comparison.json", "curves.png", "samples.png"}
    page = (made / "README.md").read_text()
    assert "| kid_random at 40 pictures seen | lower | 2 (40) | 0.5 (40) |  |" in page
    assert "--runs a,b`" in page
    found = json.loads((made / "comparison.json").read_text())
    assert found["at"] == {"pictures": 40, "seconds": 10.0}
    assert found["runs"]["b"]["end"]["score"] == -0.25
    assert math.isclose(found["runs"]["a"]["at_seconds"]["last"]["score"], 2.0)
