"""BuildFaceDataset --source generated: the samples of a run become a dataset."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from luigi.task_register import Register
from PIL import Image

import workflows
from models.data.dataset import Dataset
from models.runs import export
from models.sampling import samples
from pipeline.datasets import assemble, publish
from pipeline.errors import UserError
from pipeline.funnel import FUNNEL
from pipeline.manifest import FACES, read
from pipeline.marking import is_generated
from tests.support.untrained_run import SIDE, paint, untrained_run

COUNT, NOISE = 12, (2, 7)  # samples, and those of them that show no face


@pytest.fixture(scope="module")
def pictures(built) -> np.ndarray:
    """What runs paint, by seed: crops of the dataset that they learned from, and noise."""
    faces = Dataset(built / "data/datasets/faces", built / "data/cache").pixels("train", SIDE)
    painted = np.array(faces[: 2 * COUNT])
    painted[[*NOISE]] = np.random.default_rng(0).integers(0, 256, (len(NOISE), SIDE, SIDE, 3), np.uint8)
    return painted


@pytest.fixture(autouse=True, scope="module")
def _painting(pictures) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "generate_images", paint(pictures))
        yield


@pytest.fixture
def root(built, tmp_path) -> Path:
    """A data root with the dataset that runs learned from, and a run."""
    shutil.copytree(built / "data/datasets", tmp_path / "data/datasets", symlinks=True)
    untrained_run(tmp_path / "data", "r")
    return tmp_path / "data"


@pytest.fixture(scope="module")
def made(built, tmp_path_factory) -> Path:
    """The same, with the dataset `extra` of the run's samples; tests must not change it."""
    root = tmp_path_factory.mktemp("made") / "data"
    shutil.copytree(built / "data/datasets", root / "datasets", symlinks=True)
    untrained_run(root, "r")
    build(root)
    return root


@pytest.fixture
def copied(made, tmp_path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(made, tmp_path / "data", symlinks=True))


def task(root: Path, **options) -> workflows.BuildFaceDataset:
    """The task of a new process."""
    Register.clear_instance_cache()
    given = {"name": "extra", "run": "r", "count": COUNT, "size": SIDE, "jobs": 1} | options
    return workflows.BuildFaceDataset(data_root=root, source="generated", **given)


def build(root: Path, **options) -> list[dict]:
    """Build in this process, and return the rows."""
    built = task(root, **options)
    assert not built.complete()
    for stage in reversed([*built.chain()]):
        if not stage.complete():
            stage.run()
    assert built.complete()
    return rows(root)


def rows(root: Path) -> list[dict]:
    return read(root / "datasets/extra/manifest.parquet", FACES).to_pylist()


def sample_files(root: Path) -> dict[str, Path]:
    """Seed -> its file, of the last samples that were made."""
    (folder, *_) = sorted(root.glob("stages/GenerateSamples/*"), key=lambda path: -path.stat().st_mtime_ns)
    return {str(int(path.stem)): path for path in folder.glob("samples/*.png")}


def test_samples_become_faces_with_the_provenance_of_the_run(made):
    root, found, files = made, rows(made), sample_files(made)
    assert len(files) == COUNT
    for row in found:
        run, _, seed = row["source_id"].rpartition("/")
        assert (row["source"], run, row["license"], row["artist"]) == ("generated", "r", "CC0-1.0", None)
        assert (row["fetched_at"], row["page_url"], row["file_url"]) == (None, None, None)
        assert row["image_id"] == hashlib.sha256(files[seed].read_bytes()).hexdigest()
        assert (row["width"], row["box_scale"], row["rotation"], row["tilt"]) == (SIDE, 1.5, 0.0, 0.0)
        crop = root / "datasets/extra" / row["path"]
        assert np.array_equal(Image.open(crop), Image.open(files[seed]))  # cut as it is, not resampled
        assert is_generated(crop)
        assert is_generated(files[seed])
    drops = read(root / "datasets/extra/funnel.parquet", FUNNEL).to_pylist()
    assert [row["source_id"] for row in found] == sorted(f"r/{seed}" for seed in {*range(COUNT)} - {*NOISE})
    assert [(row["source_id"], row["reason"]) for row in drops] == [(f"r/{seed}", "no_face") for seed in NOISE]


def test_the_card_and_build_json_say_which_run_and_what_it_learned_from(made):
    found, dataset = rows(made), made / "datasets/extra"
    weights = export.weights_sha256(made / "runs/r")
    learned = hashlib.sha256((made / "datasets/faces/manifest.parquet").read_bytes()).hexdigest()
    facts = {"run": "r", "model": "dcgan128", "steps": 20, "weights": weights, "dataset": "faces", "manifest": learned}
    assert assemble.build_of(dataset).generators == [facts]
    card = (dataset / "README.md").read_text()
    assert f"{len(found)} of {len(found)} faces are made by a trained network" in card
    assert (
        f"| `r` | {len(found)} | `dcgan128`, 20 steps, weights `{weights[:16]}` | `faces`, manifest `{learned[:16]}` |"
        in card
    )
    for name, value in (("source", "generated"), ("count", COUNT), ("seed", 0), ("min_face", 21), ("box_scale", 1.5)):
        assert f"| `{name}` | `{value}` |" in card


def test_another_place_and_what_a_killed_build_left_change_no_byte(made, root):
    half = root / "stages/.work" / task(root).samples.digest / "made"
    half.mkdir(parents=True)
    (half / "samples.json").write_text("{}")
    build(root)
    for name in ("manifest.parquet", "funnel.parquet", "README.md"):
        assert (root / "datasets/extra" / name).read_bytes() == (made / "datasets/extra" / name).read_bytes()


def test_a_seed_gives_the_same_face_among_any_others(made, root):
    few = build(root, count=3, seed=4)
    seeds = {"r/4", "r/5", "r/6"}
    assert few == [row for row in rows(made) if row["source_id"] in seeds]


def test_samples_of_a_run_that_was_trained_on_are_refused_and_never_mixed(copied):
    assert task(copied).complete()
    old, before = publish.version_of(copied, "extra"), rows(copied)
    untrained_run(copied, "r", seed=1)  # other weights
    with pytest.raises(UserError) as caught:
        task(copied)
    words = str(caught.value)
    assert "datasets/extra: holds a dataset made with run 'r at step 20, weights " in words
    assert "(now 'r at step 21, weights " in words
    assert "give --name, or --replace to build over it" in words
    now = build(copied, replace=True)
    assert [row["source_id"] for row in now] == [row["source_id"] for row in before]
    assert not {row["image_id"] for row in before} & {row["image_id"] for row in now}
    assert old.is_dir()


def test_a_run_that_is_trained_while_it_is_sampled_is_refused(root, pictures, monkeypatch):
    def train(network, z, *conditions):
        untrained_run(root, "r", seed=1)
        return paint(pictures)(network, z)

    monkeypatch.setattr(samples, "generate_images", train)
    with pytest.raises(UserError, match="runs/r: was trained on while it was sampled; one state of its weights; wait"):
        task(root).samples.run()
    assert not list(root.glob("stages/GenerateSamples/*"))


def test_damaged_samples_are_made_again(copied):
    file = sample_files(copied)["3"]
    data = file.read_bytes()
    file.write_bytes(data[:-1])
    assert file.is_relative_to(task(copied).samples.made)
    assert file.read_bytes() == data


def test_faces_of_a_conditional_run_have_its_labels(root):
    untrained_run(root, "r", "r3gan-colors")
    found = build(root)
    (folder,) = root.glob("stages/GenerateSamples/*")
    index = json.loads((folder / "samples.json").read_text())
    labels = {f"r/{sample['seed']}": sample["tags"] for sample in index["samples"]}
    assert len({*map(tuple, labels.values())}) > 3
    for row in found:
        (label,) = row["tags"]
        assert [label] == labels[row["source_id"]]
        assert (f"{row['hair_color']}_hair", row["hair_tagger"]) == (label, "tags")


def test_faces_lie_where_those_lay_that_the_run_learned_from(root):
    run = root / "runs/r"
    settings = json.loads((run / "config.json").read_text())
    settings["dataset"] |= {"box_scale": 2.0, "face_x": 0.5, "face_y": 0.6, "rotation": 10.0}
    (run / "config.json").write_text(json.dumps(settings))
    for row in build(root):
        assert (row["box_scale"], row["face_x"], row["face_y"]) == (2.0, 0.5, pytest.approx(0.6))
        assert (row["tilt"], row["rotation"]) == (10.0, 10.0)
        assert row["box"] == pytest.approx([16, 22.4, 48, 54.4], abs=1e-3)
    card = (root / "datasets/extra/README.md").read_text()
    assert "| `frame` | `0.25,0.35,0.75,0.85` |" in card
    assert "| `rotation` | `10.0` |" in card


def test_without_what_the_run_learned_from_no_licence_is_stated(root):
    untrained_run(root, "r", "r3gan-colors")
    (root / "datasets/faces").unlink()
    assert {row["license"] for row in build(root)} == {None}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"run": ""}, "--run: '' given; letters"),
        ({"run": "../x"}, "--run: '../x' given; letters"),
        (
            {"run": "none"},
            "runs/none: has no model.safetensors; a run that has saved once; train it first, or give another --run: r",
        ),
        ({"query": "icon"}, "--query: icon given; nothing: a run generates the pictures"),
        ({"path": Path("x")}, "--path: x given; nothing: a run generates the pictures"),
        (
            {"box_scale": 2.0},
            "--box-scale: 2.0 given; nothing: generated faces are cut as those that their run learned",
        ),
        ({"rotation": 45.0}, "--rotation: 45.0 given; nothing: generated faces are cut"),
        ({"refresh": True}, "--refresh: True given; a web source"),
    ],
)
def test_bad_input_is_one_clear_line(root, options, words):
    with pytest.raises(UserError) as caught:
        _ = task(root, **options).digest
    assert words in str(caught.value)


@pytest.mark.parametrize(("options", "words"), [({"run": "r"}, "--run: given"), ({"count": 3}, "--count: given")])
def test_options_of_generated_pictures_are_refused_for_others(tmp_path, options, words):
    with pytest.raises(UserError, match=f"{words} with --source drawn; --source generated; give that, or leave"):
        workflows.BuildFaceDataset(data_root=tmp_path, **options)


@pytest.mark.parametrize("model", ["ugatit", "seam-refiner", "hair_tagger"])
def test_a_run_without_a_generator_of_faces_is_refused(root, model):
    export.write_weights(root / "runs/r", {}, {"model": model, "config": {}, "steps": 1})
    with pytest.raises(UserError, match=f"runs/r: holds {model}, which generates no faces; a run of a GAN of faces"):
        task(root)


def test_a_run_that_paints_no_faces_yet_is_one_clear_line(root, monkeypatch):
    monkeypatch.setattr(samples, "generate_images", paint(np.full((1, SIDE, SIDE, 3), 90, np.uint8)))
    with pytest.raises(UserError, match="found no face in them; at least one; train longer what generated them"):
        build(root)


def test_samples_that_copy_faces_of_another_split_are_a_leak_in_a_merge(root):
    found = build(root, size=128)  # of the dataset that the run learned from
    names = {"names": ("faces", "extra"), "name": "mix", "data_root": root, "jobs": 1}
    with pytest.raises(
        UserError, match=r"groups of copies that lie in several splits: \d+, such as faces \S+ \(train\) and extra r/"
    ):
        workflows.MergeDatasets(**names).run()
    workflows.MergeDatasets(**names, near_duplicates="drop").run()
    mix = read(root / "datasets/mix/manifest.parquet", FACES)
    real = pq.read_metadata(root / "datasets/faces/manifest.parquet").num_rows
    assert real <= len(mix) < real + len(found)
