"""Faces of a hair colour that is asked for, and how good they are: through the command line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from models.data.dataset import HAIR_COLORS
from pipeline import assets
from pipeline.marking import is_generated
from tests.support.run_luigi import error_line, luigi
from tests.workflows.test_training import texts

RUN = "cgan-srresnet-faces-tiny"
TINY = ("TrainProjectionCGAN", "--preset", "tiny")
SIZE = 64


@pytest.fixture(scope="module")
def run(trained) -> Path:
    """A tiny run of the projection cGAN on the default dataset."""
    luigi(trained, *TINY, "--steps", "20")
    return trained / "data/runs" / RUN


@pytest.fixture(scope="module", autouse=True)
def _vgg16():
    assets.fetch("vgg16.ckpt")  # once, not within a command


def cells(path: Path) -> np.ndarray:
    """(rows, columns, S, S, 3) of a sheet, without its headings."""
    sheet = np.asarray(Image.open(path))
    rows, columns = (side // SIZE for side in sheet.shape[:2])
    return sheet[-rows * SIZE :].reshape(rows, SIZE, columns, SIZE, 3).swapaxes(1, 2)


def alike(a: np.ndarray, b: np.ndarray) -> bool:
    """The same but for rounding, which depends on how many pictures are painted at once."""
    return np.abs(a.astype(int) - b).max() <= 1


@pytest.mark.full
def test_faces_without_a_colour_are_left_out_and_counted(trained, tmp_path):
    folder = recoloured(trained, tmp_path, ("blue", "red", "black"))
    luigi(tmp_path, *TINY, "--dataset", "some", "--steps", "1", "--run", "three")
    run = tmp_path / "data/runs/three"
    table = pq.read_table(folder / "manifest.parquet")
    train = [row["hair_color"] for row in table.select(["split", "hair_color"]).to_pylist() if row["split"] == "train"]
    dataset = json.loads((run / "config.json").read_text())["dataset"]
    assert dataset["labels"] == {color: train.count(color) for color in HAIR_COLORS}
    assert dataset["left_out"] == train.count(None) > 0
    assert f"{train.count(None)} faces of the train split have none of the labels" in (run / "README.md").read_text()


@pytest.mark.full
def test_a_sweep_shows_each_seed_in_every_colour(run):
    place = run.parents[2]
    luigi(place, "SweepHairColors", "--run", RUN, "--count", "3", "--seed", "5")
    sheet = run / "generated/hair-colors-5-3.png"
    assert cells(sheet).shape[:2] == (3, 9)
    assert texts(sheet)["condition"] == " ".join(HAIR_COLORS)
    luigi(place, "GenerateFaces", "--run", RUN, "--count", "2", "--seed", "6", "--hair-color", "pink")
    for seed, row in ((6, 1), (7, 2)):
        face = Image.open(run / f"generated/faces-pink/{seed:06}.png")
        assert face.text["condition"] == "pink:1"
        assert alike(np.asarray(face), cells(sheet)[row, HAIR_COLORS.index("pink")])
    assert "Did not run any" in luigi(place, "SweepHairColors", "--run", RUN, "--count", "3", "--seed", "5").stderr


@pytest.mark.full
def test_without_a_colour_each_seed_has_one_of_its_own(run):
    luigi(run.parents[2], "GenerateFaces", "--run", RUN, "--count", "10", "--seed", "4")
    luigi(run.parents[2], "GenerateFaces", "--run", RUN, "--count", "1", "--seed", "8", "--hair-color", "silver")
    mine = Image.open(run / "generated/faces/000008.png")
    assert mine.text["condition"] == "silver:1"
    assert alike(np.asarray(mine), np.asarray(Image.open(run / "generated/faces-silver/000008.png")))


@pytest.mark.full
def test_colours_are_mixed_morphed_and_z_is_cut(run):
    place = run.parents[2]
    luigi(
        place,
        "InterpolateLatents",
        "--run",
        RUN,
        "--start",
        "3",
        "--end",
        "3",
        "--hair-color",
        "black",
        "--end-hair-color",
        "blonde",
        "--count",
        "5",
    )
    (strip,) = cells(run / "generated/line-3-3-5-black-blonde.png")
    luigi(place, "GenerateFaces", "--run", RUN, "--count", "1", "--seed", "3", "--hair-color", "black:2,blonde:2")
    half = Image.open(run / "generated/faces-black+2+blonde+2/000003.png")
    assert half.text["condition"] == "black:2,blonde:2"
    assert alike(np.asarray(half), strip[2])
    assert not alike(strip[0], strip[4])
    luigi(place, "SweepHairColors", "--run", RUN, "--count", "2", "--truncation", "0.5")
    luigi(place, "SweepHairColors", "--run", RUN, "--count", "2")
    luigi(place, "GenerateFaces", "--run", RUN, "--count", "1", "--seed", "3", "--condition", "black=0.5,blonde=0.5")
    given = Image.open(run / "generated/faces-black+0.5+blonde+0.5/000003.png")
    assert given.text["condition"] == "black=0.5,blonde=0.5"
    assert alike(np.asarray(given), strip[2])
    for option in ("SweepHairColors", "--count", "1"), ("GenerateFaces", "--count", "1", "--hair-color", "pink"):
        line = error_line(place, *option, "--run", RUN, "--condition", "blue=1")
        assert line.startswith("error: --condition: blue given, but")
    luigi(place, "InterpolateLatents", "--run", RUN, "--condition", "black=1", "--end-condition", "red=1")
    luigi(place, "InterpolateLatents", "--run", RUN, "--condition", "black=1", "--truncation", "0.5")
    ends = sorted((run / "generated").glob("line-0-1-10-black+1*.png"))
    assert len(ends) == 2
    every = ",".join(f"{color}=0.123" for color in HAIR_COLORS)
    luigi(place, "GenerateFaces", "--run", RUN, "--count", "1", "--condition", every)
    cut, whole = (cells(run / f"generated/hair-colors-0-2{more}.png") for more in ("-t0.5", ""))
    assert not alike(cut, whole)


def evaluation(run: Path) -> dict:
    return json.loads((run / "evaluation.json").read_text())


@pytest.mark.slow
def test_an_evaluation_says_the_same_twice_and_is_redone_for_other_weights(run, tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("datasets", "cache"):
        (tmp_path / "data" / name).symlink_to(run.parents[1] / name)
    shutil.copytree(run, tmp_path / "data/runs" / RUN)
    mine = tmp_path / "data/runs" / RUN
    evaluate = ("EvaluateGAN", "--run", RUN, "--samples", "64")
    luigi(tmp_path, *evaluate)
    first = evaluation(mine)
    assert set(first) >= {
        "run",
        "weights",
        "model",
        "samples",
        "reference",
        "held_out",
        "fid_vgg16_128",
        *(
            f"{measure}_vgg16_128{suffix}"
            for measure in ("kid", "precision", "recall", "density", "coverage")
            for suffix in ("", "_floor")
        ),
        *(f"intra_{measure}_vgg16_128{suffix}" for measure in ("kid", "fid") for suffix in ("", "_floor")),
        "kid_vgg16_128_error",
        "kid_vgg16_128_error_floor",
        "grain",
        "grain_floor",
        "variety",
        "variety_by_label",
        "memorization",
        "hair_ceiling",
        "hair_labels_by",
        "hair_accuracy",
        "hair_accuracy_by_color",
        "hair_samples",
    }
    assert first["samples"] == 64
    assert first["hair_samples"] >= 900
    assert first["fid_vgg16_128"] is None
    assert first["kid_vgg16_128"] > first["kid_vgg16_128_floor"]
    assert first["hair_ceiling"] > 0.9
    by_label = first["intra_by_label"]["vgg16_128"]
    assert list(by_label) == list(HAIR_COLORS)
    assert sum(row["samples"] for row in by_label.values()) == 64
    assert sum(row["reference"] for row in by_label.values()) == first["reference"]
    assert sum(row["held_out"] for row in by_label.values()) == first["held_out"]
    card = (mine / "README.md").read_text()
    kid, error = first["kid_vgg16_128"], first["kid_vgg16_128_error"]
    assert f"| KID by vgg16_128 | lower | {kid:.4g} ± {error:.2g} | {first['kid_vgg16_128_floor']:.4g} ±" in card
    assert f"| hair of the colour that was asked for | higher | {first['hair_accuracy']:.4g} |" in card
    assert all(f"(generated/{name}.png)" in card for name in ("evaluation", "hair_confusion", "neighbours"))
    for name in ("neighbours.png", "hair_confusion.png", "evaluation.png"):
        assert Image.open(mine / "generated" / name).size[0] > 200
        assert is_generated(mine / "generated" / name) == (name == "neighbours.png")
    assert "Did not run any" in luigi(tmp_path, *evaluate).stderr
    older = {key: value for key, value in first.items() if not key.startswith("intra_")}
    (mine / "evaluation.json").write_text(json.dumps(older))
    arrays = {path: path.stat().st_mtime_ns for path in (tmp_path / "data/cache/arrays").glob("*.npy")}
    luigi(tmp_path, *evaluate)
    assert evaluation(mine) == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data/cache/arrays").glob("*.npy")} == arrays
    luigi(tmp_path, *TINY, "--steps", "30")
    luigi(tmp_path, *evaluate)
    assert evaluation(mine)["weights"] != first["weights"]
    assert evaluation(mine)["kid_vgg16_128"] != first["kid_vgg16_128"]


@pytest.mark.full
def test_a_run_without_conditions_is_evaluated_without_hair(trained):
    luigi(trained, "EvaluateGAN", "--run", "dcgan96-faces-tiny", "--samples", "16", "--dataset", "few")
    assert "hair_accuracy" not in evaluation(trained / "data/runs/dcgan96-faces-tiny")
    assert evaluation(trained / "data/runs/dcgan96-faces-tiny")["kid_vgg16_128"] > 0


@pytest.mark.full
@pytest.mark.parametrize(
    "options",
    [
        ("TrainProjectionCGAN",),
        ("TrainProjectionCGAN", "--generator", "resblock"),
        ("TrainACGAN",),
        ("TrainACGAN", "--labels", "tags"),
    ],
)
def test_conditional_networks_train(options, place):
    luigi(place, *options, "--preset", "tiny", "--steps", "2")
    assert list((place / "data/runs").glob("*/model.safetensors"))


@pytest.mark.full
@pytest.mark.parametrize(
    "options", [("TrainProjectionCGAN", "--generator", "resblock"), ("TrainACGAN",), ("TrainACGAN", "--labels", "tags")]
)
def test_the_other_networks_sweep(options, place):
    luigi(place, *options, "--preset", "tiny", "--steps", "2")
    (run,) = (path for path in (place / "data/runs").iterdir() if path.is_dir())
    luigi(place, "SweepHairColors", "--run", run.name, "--count", "1")
    assert (run / "generated/hair-colors-0-1.png").exists()


def recoloured(trained: Path, place: Path, keep: tuple[str, ...], splits=("train", "val", "test")) -> Path:
    """A dataset whose faces of other colours have none, in these splits."""
    folder = place / "data/datasets/some"
    shutil.copytree((trained / "data/datasets/faces").resolve(), folder)
    manifest = folder / "manifest.parquet"
    table = pq.read_table(manifest)
    rows = table.select(["hair_color", "split"]).to_pylist()
    colors = [row["hair_color"] if row["hair_color"] in keep or row["split"] not in splits else None for row in rows]
    column = table.schema.get_field_index("hair_color")
    pq.write_table(table.set_column(column, table.schema.field(column), pa.array(colors, pa.string())), manifest)
    return folder


@pytest.mark.full
def test_one_colour_alone_cannot_be_trained_on(trained, tmp_path):
    recoloured(trained, tmp_path, ("blue",))
    line = error_line(tmp_path, *TINY, "--dataset", "some")
    assert line.startswith("error: data/datasets/some: blue alone of the labels blonde brown")


@pytest.mark.full
def test_a_run_is_trained_with_other_settings_and_keeps_them(place):
    changes = ["--augment", "diff", "--set", "upsample=nearest", "--set", "average=0.5", "--set", "penalty=noise"]
    luigi(place, *TINY, "--steps", "2", "--run", "other", *changes)
    config = json.loads((place / "data/runs/other/config.json").read_text())["config"]
    found = {name: config[name] for name in ("augment", "upsample", "average", "penalty")}
    assert found == {"augment": "diff", "upsample": "nearest", "average": 0.5, "penalty": "noise"}
    luigi(place, *TINY, "--steps", "3", "--run", "other", *changes)
    line = error_line(place, *TINY, "--steps", "3", "--run", "other", *changes[:4])
    assert "was trained with penalty noise, now interpolated; average 0.5, now 0.0; the same" in line
    luigi(place, "GenerateFaces", "--run", "other", "--count", "1")


@pytest.mark.full
def test_a_colour_that_the_manifest_lacks_cannot_be_requested(trained, tmp_path):
    recoloured(trained, tmp_path, ("blue", "red", "black"))
    luigi(tmp_path, *TINY, "--dataset", "some", "--steps", "1", "--run", "three")
    swept = luigi(tmp_path, "SweepHairColors", "--run", "three", "--count", "1")
    assert "no column for blonde, brown, pink, purple, green, silver, which no training face has" in swept.stderr
    sheet = Image.open(tmp_path / "data/runs/three/generated/hair-colors-0-1.png")
    assert sheet.text["condition"] == "black blue red"
    assert sheet.width == 3 * SIZE
    heading = np.asarray(sheet)[: sheet.height - SIZE]  # black on white
    assert heading.max() == 255
    assert all(heading[:, SIZE * column : SIZE * (column + 1)].min() < 100 for column in range(3))
    line = error_line(tmp_path, "GenerateFaces", "--run", "three", "--hair-color", "green")
    assert line.startswith("error: --hair-color: 'green' given; ")
    assert "of the colours that the run learned: black blue red; " in line


@pytest.mark.full
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["SweepHairColors", "--run", "dcgan96-faces-tiny"], "is not conditioned on hair colour"),
        (["GenerateFaces", "--run", "dcgan96-faces-tiny", "--hair-color", "blue"], "is not conditioned on hair colour"),
        (["GenerateFaces", "--run", RUN, "--hair-color", "mauve"], "--hair-color: 'mauve' given"),
        (["GenerateFaces", "--run", RUN, "--hair-color", "blue:0"], "--hair-color: 'blue:0' given"),
        (["GenerateFaces", "--run", RUN, "--hair-color", "../x"], "--hair-color: '../x' given"),
        (["GenerateFaces", "--run", RUN, "--hair-color", "blue:1.2.3"], "--hair-color: 'blue:1.2.3' given"),
        (["GenerateFaces", "--run", RUN, "--hair-color", "blue,pink,blue"], "'blue' given twice; one or several"),
        (["GenerateFaces", "--run", RUN, "--hair-color", "blue:0." + "1" * 300], "--hair-color: 'blue:0.111111"),
        (
            ["GenerateFaces", "--run", RUN, "--condition", "smile=1"],
            "'smile=1' given; LABEL=WEIGHT with labels that the",
        ),
        (["GenerateFaces", "--run", RUN, "--condition", "blue=1,blue=2"], "'blue=2' given twice"),
        (["GenerateFaces", "--run", "dcgan96-faces-tiny", "--condition", "blue=1"], "but this run has no labels"),
        ([*TINY, "--run", "x", "--set", "squeeze=lots"], "--set: squeeze=lots given; a whole number of 0 or more"),
        ([*TINY, "--run", "x", "--set", "nosuch=1"], "--set: nosuch=1 given; one of the fields size"),
        ([*TINY, "--run", "x", "--set", "beta1=2"], "--set: beta1=2 given; a number of 0 or more, below 1"),
        (["GenerateFaces", "--run", RUN, "--truncation", "-1"], "--truncation: -1.0 given"),
        (["GenerateFaces", "--run", "dcgan96-faces-tiny", "--truncation", "0.7"], "z is not of N(0, 1)"),
        (["EvaluateGAN", "--run", "nosuch"], "has no model.safetensors; a run that has saved once; train it first, or"),
        (["EvaluateGAN", "--run", "nosuch"], f"give another --run: {RUN}"),
        (["GenerateFaces"], "--run is missing; GenerateFaces needs it; see python -m workflows GenerateFaces --help"),
        (["EvaluateGAN", "--run", RUN, "--samples", "15"], "--samples: 15 given; 0, or 16 or more"),
        (["EvaluateGAN", "--run", RUN, "--dataset", "nosuch"], "there is no data/datasets/nosuch"),
        (["EvaluateGAN", "--run", RUN, "--inception", "nosuch.pt"], "--inception: nosuch.pt given"),
        (["TrainProjectionCGAN", "--generator", "unet"], "unet"),
    ],
)
def test_wrong_use_is_one_clear_line(arguments, words, run):
    before = sorted(run.parent.glob("*/generated/*"))
    line = error_line(run.parents[2], *arguments)
    assert line.startswith("error: ")
    assert words in line
    assert sorted(run.parent.glob("*/generated/*")) == before


@pytest.mark.slow
def test_a_run_that_learned_tags_alone_is_conditioned_on_them(trained, tmp_path):
    folder = recoloured(trained, tmp_path, ())
    table = pq.read_table(folder / "manifest.parquet")
    column = table.schema.get_field_index("tags")
    tags = pa.array([["smile"] if i % 2 else ["blush", "smile"] for i in range(len(table))], pa.list_(pa.string()))
    tags = tags.cast(table.schema.field(column).type)
    pq.write_table(table.set_column(column, table.schema.field(column), tags), folder / "manifest.parquet")
    run = ("--run", "tags")
    train = ("TrainACGAN", "--preset", "tiny", "--steps", "1", "--dataset", "some", *run)
    assert "no face has any of the labels blonde" in error_line(tmp_path, *train)
    luigi(tmp_path, *train, "--labels", "tags")
    luigi(tmp_path, "GenerateFaces", *run, "--count", "2")
    made = [Image.open(tmp_path / f"data/runs/tags/generated/faces/{seed:06}.png") for seed in (0, 1)]
    assert [picture.text["condition"] for picture in made] == ["blush:1", "smile:1"]
    luigi(tmp_path, "GenerateFaces", *run, "--count", "1", "--condition", "smile=1,blush=0.5", "--truncation", "0.7")
    made = Image.open(tmp_path / "data/runs/tags/generated/faces-smile+1+blush+0.5-t0.7/000000.png")
    assert made.text["condition"] == "smile=1,blush=0.5"
    luigi(tmp_path, "EvaluateGAN", *run, "--samples", "16")
    assert "hair_accuracy" not in evaluation(tmp_path / "data/runs/tags")
    assert "is not conditioned on hair colour" in error_line(tmp_path, "SweepHairColors", *run)
    (tmp_path / "data/datasets/faces").symlink_to((trained / "data/datasets/faces").resolve())
    luigi(tmp_path, *TINY, "--steps", "1", "--run", "colors")
    line = error_line(tmp_path, "EvaluateGAN", "--run", "colors", "--dataset", "some")
    assert "no face has a label that the run learned" in line


@pytest.mark.slow
def test_a_reference_that_was_built_again_is_refused_unless_it_is_meant(run, trained, tmp_path):
    shutil.copytree(run, tmp_path / "data/runs" / RUN)
    recoloured(trained, tmp_path, ("blue", "red"), splits=("train",)).rename(tmp_path / "data/datasets/faces")
    line = error_line(tmp_path, "EvaluateGAN", "--run", RUN, "--samples", "16")
    assert "was built again since the run was trained" in line
    meant = ("EvaluateGAN", "--run", RUN, "--samples", "16", "--dataset", "faces")
    luigi(tmp_path, *meant)
    assert "Did not run any" in luigi(tmp_path, *meant).stderr
    shutil.rmtree(tmp_path / "data/datasets/faces")
    recoloured(trained, tmp_path, ("blue", "pink"), splits=("train",)).rename(tmp_path / "data/datasets/faces")
    assert "Did not run any" not in luigi(tmp_path, *meant).stderr
