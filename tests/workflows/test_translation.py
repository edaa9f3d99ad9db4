"""TrainUGATIT, as its users meet it."""

import json
from pathlib import Path

import pytest
from PIL import Image

from models.runs import export
from pipeline.errors import UserError
from tests.support.run_luigi import luigi
from workflows.translation import TrainUGATIT

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
