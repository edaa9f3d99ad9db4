"""TrainUGATIT and TrainStarGAN2, as their users meet them."""

import json
from pathlib import Path

import pytest
from PIL import Image

from models.runs import export
from pipeline.errors import UserError
from tests.support.run_luigi import luigi
from workflows.translation import TrainStarGAN2, TrainUGATIT

RUN = Path("data/runs/ugatit-faces-icons-tiny")


@pytest.fixture(scope="module")
def translated(built, tmp_path_factory) -> Path:
    """A copy of the drawn dataset, a second one of icons, and a tiny run on both."""
    place = tmp_path_factory.mktemp("translated")
    (place / "data/datasets").mkdir(parents=True)
    (place / "data/datasets/faces").symlink_to((built / "data/datasets/faces").resolve())
    luigi(place, "BuildFaceDataset", "--name", "icons", "--query", "icon", "--limit", "12", "--size", "64")
    luigi(place, "TrainUGATIT", "--target-dataset", "icons", "--preset", "tiny", "--steps", "10")
    return place


def test_a_run_has_both_generators_a_film_and_a_card_of_both_datasets(translated):
    run = translated / RUN
    names = {path.name for path in run.iterdir()}
    assert {"model.safetensors", "b2a.safetensors", "film.webp", "last.pt", "best.pt", "README.md"} <= names
    assert [path.name for path in sorted((run / "film").iterdir())] == ["000000.png", "000010.png"]
    with Image.open(run / "film.webp") as film:
        assert (film.n_frames, film.size) == (2, (64, 64))
    assert "# ugatit, trained on faces and icons\n" in (run / "README.md").read_text()
    settings = json.loads((run / "config.json").read_text())
    assert (settings["dataset"]["name"], settings["datasets"]["b"]["name"]) == ("faces", "icons")
    for name in (None, "b2a"):
        assert export.load_network(run, name).size == 32


@pytest.mark.full
def test_a_longer_training_goes_on_and_the_film_grows(translated):
    done = luigi(translated, "TrainUGATIT", "--target-dataset", "icons", "--preset", "tiny", "--steps", "20")
    assert "TrainUGATIT" in done.stderr
    with Image.open(translated / RUN / "film.webp") as film:
        assert film.n_frames == 3
    luigi(translated, "TrainUGATIT", "--target-dataset", "icons", "--preset", "tiny", "--run", "straight")
    for name in ("model", "b2a"):
        a, b = (translated / run / f"{name}.safetensors" for run in (RUN, RUN.with_name("straight")))
        assert a.read_bytes() == b.read_bytes()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"target_dataset": "faces"}, r"--target-dataset: faces given, as --source-dataset; two datasets"),
        ({"target_dataset": "nowhere"}, r"--target-dataset nowhere: there is no .*BuildFaceDataset --name nowhere"),
        ({"target_dataset": "faces", "source_dataset": "a/b"}, r"--source-dataset: 'a/b' given"),
    ],
)
def test_datasets_that_cannot_be_are_refused(options, error, translated):
    with pytest.raises(UserError, match=error):
        TrainUGATIT(data_root=translated / "data", preset="tiny", **options)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"datasets": ("faces",)}, r"--datasets: faces given; two different ones or more, separated by commas"),
        ({"datasets": ("faces", "faces")}, r"--datasets: faces,faces given; two different ones"),
        ({"datasets": ("faces", "nowhere")}, r"--datasets nowhere: there is no .*BuildFaceDataset --name nowhere"),
        ({"datasets": ("faces", "icons"), "domains": ("red", "blue")}, r"--datasets: given with --domains"),
        ({"datasets": ("faces", "icons"), "dataset": "icons"}, r"--datasets: given with --dataset"),
        ({"domains": ("red",)}, r"--domains: red given; two different ones"),
        ({"dataset": "nowhere"}, r"--dataset nowhere: there is no"),
    ],
)
def test_domains_that_cannot_be_are_refused(options, error, translated):
    with pytest.raises(UserError, match=error):
        TrainStarGAN2(data_root=translated / "data", preset="tiny", **options)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"domain_column": "mood"}, r"--domain-column: mood given; one of .* hair_color .*tags"),
        ({"domain_column": "source"}, r"--dataset faces: 1 classes of source .*; 2 to 32; name them"),
        ({"domain_column": "title"}, r"--dataset faces: 0 classes of title .*; there are none"),
        ({"dataset": "icons", "domains": ("red", "blue"), "preset": "article"}, r"faces of 64 px; 256 px or more"),
    ],
)
def test_columns_and_crops_that_cannot_be_are_refused_when_it_runs(options, error, translated):
    task = TrainStarGAN2(data_root=translated / "data", **({"preset": "tiny"} | options))
    with pytest.raises(UserError, match=error):
        task.run()


@pytest.mark.full
def test_each_dataset_is_a_domain_and_a_run_has_its_three_networks(translated):
    luigi(
        translated, "TrainStarGAN2", "--datasets", "faces,icons", "--preset", "tiny", "--gray", "anime", "--steps", "10"
    )
    run = translated / "data/runs/stargan2-faces-icons-tiny"
    settings = json.loads((run / "config.json").read_text())
    config = settings["config"]
    assert (config["domains"], config["domain_column"], config["gray"]) == (["faces", "icons"], "", "anime")
    assert (settings["dataset"]["name"], settings["datasets"]["icons"]["name"]) == ("faces", "icons")
    for name, shapes in ((None, 2), ("mapping", 2), ("style_encoder", 2)):
        assert len(export.load_network(run, name).io_shapes()[0]) == shapes
    assert "# stargan2, trained on faces and icons\n" in (run / "README.md").read_text()


@pytest.mark.full
def test_the_classes_of_a_column_are_domains(translated):
    luigi(translated, "TrainStarGAN2", "--domains", "blue,red", "--preset", "tiny", "--steps", "2")
    settings = json.loads((translated / "data/runs/stargan2-faces-tiny/config.json").read_text())
    assert (settings["config"]["domains"], settings["config"]["domain_column"]) == (["blue", "red"], "hair_color")
