"""BuildImageDataset as its users meet it: through the command line."""

import hashlib
import time
from pathlib import Path

import numpy as np
import pandas
import pytest
from PIL import Image

from pipeline.datasets import recipe, takedown
from pipeline.datasets.kinds import KINDS
from pipeline.datasets.pack import pack
from pipeline.errors import UserError
from pipeline.manifest import IMAGE_DATASET, read
from pipeline.sources.drawn import draw
from tests.support.run_luigi import error_line, luigi, start_luigi
from workflows.base.dataset import Dataset
from workflows.image_dataset import BuildImageDataset

FOLDER = ("BuildImageDataset", "--source", "folder", "--path", "pictures", "--jobs", "1")
DRAWN = ("BuildImageDataset", "--limit", "12", "--jobs", "1")


def manifest(place: Path, file: str = "manifest") -> pandas.DataFrame:
    return pandas.read_parquet(place / f"data/datasets/art/{file}.parquet").set_index("source_id")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder `pictures` of whole, odd and bad pictures, and the dataset `art` of them."""
    place = tmp_path_factory.mktemp("art")
    folder = place / "pictures"
    folder.mkdir()
    first, second, third = (draw(0, i)[0].resize((300, 320)) for i in range(3))
    first.save(folder / "first.png")
    first.resize((450, 480)).save(folder / "larger.jpg", quality=92)
    second.save(folder / "moving.gif", save_all=True, append_images=[third])
    clear = third.convert("RGBA")
    clear.paste((0, 0, 0, 0), (0, 0, 300, 40))
    clear.save(folder / "clear.png")
    third.resize((600, 255)).save(folder / "low.png")
    (folder / "cut.png").write_bytes((folder / "first.png").read_bytes()[:5000])
    (folder / "text.jpg").write_text("no picture")
    luigi(place, *FOLDER)
    return place


@pytest.mark.full
def test_whole_pictures_are_in_and_each_other_one_is_a_row_of_the_funnel(made):
    art, dataset = manifest(made), made / "data/datasets/art"
    assert list(art.reset_index()[IMAGE_DATASET.names].columns) == IMAGE_DATASET.names
    assert set(art.index) == {"first.png", "larger.jpg", "moving.gif", "clear.png"}
    for name, row in art.iterrows():
        assert (dataset / row.path).read_bytes() == (made / "pictures" / str(name)).read_bytes()
        assert (dataset / row.path).samefile(made / "data" / row.path)
        assert hashlib.sha256((dataset / row.path).read_bytes()).hexdigest() == row.image_id
    assert art.group["first.png"] == art.group["larger.jpg"]
    assert art.group.nunique() == 3
    funnel = manifest(made, "funnel")
    assert funnel.reason.to_dict() == {"low.png": "small_original", "cut.png": "truncated", "text.jpg": "not_an_image"}
    card = (dataset / "README.md").read_text()
    assert "4 whole pictures with sides of 300 px or more from 5 pictures" in card
    assert (dataset / "contact_sheet.png").exists()


@pytest.mark.full
def test_image_folder_loaders_read_it(made, tmp_path):
    datasets = pytest.importorskip("datasets")
    place = str(made / "data/datasets/art")
    loaded = datasets.load_dataset("imagefolder", data_dir=place, cache_dir=str(tmp_path / "cache"), split="train")
    assert {row["source_id"]: row["image"].size for row in loaded} == {
        name: (row.width, row.height) for name, row in manifest(made).iterrows()
    }


@pytest.mark.full
def test_of_a_picture_that_moves_the_first_frame_is_shown_and_what_is_transparent_is_white(made):
    dataset = made / "data/datasets/art"
    rows = read(dataset / "manifest.parquet", IMAGE_DATASET).to_pylist()
    pictures = {row["source_id"]: np.asarray(KINDS["images"].load(dataset, row)) for row in rows}
    with Image.open(made / "pictures/moving.gif") as moving:
        assert np.array_equal(pictures["moving.gif"], np.asarray(moving.convert("RGB")))
    assert (pictures["clear.png"][:40] == 255).all()
    assert not (pictures["clear.png"][40:] == 255).all()


def test_the_dataset_art_is_built_for_a_training_that_lacks_it(tmp_path):
    missing = Dataset(name="art", kind="images", data_root=tmp_path)
    missing.check()
    assert isinstance(missing.requires(), BuildImageDataset)
    with pytest.raises(UserError, match="BuildImageDataset --name other"):
        Dataset(name="other", kind="images", data_root=tmp_path).check()


@pytest.mark.full
def test_a_second_run_does_nothing_and_of_copies_the_largest_can_be_kept(made):
    assert "Did not run any tasks" in luigi(made, *FOLDER).stderr
    luigi(made, *FOLDER, "--near-duplicates", "drop", "--name", "no-copies")
    table = pandas.read_parquet(made / "data/datasets/no-copies/manifest.parquet")
    assert set(table.source_id) == {"larger.jpg", "moving.gif", "clear.png"}


@pytest.mark.full
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((*FOLDER, "--min-side", "5000"), "none of 5 pictures is large enough"),
        ((*FOLDER, "--min-side", "0"), "--min-side"),
        ((*DRAWN, "--query", "nosuch"), "character, icon or illustration"),
    ],
)
def test_what_is_wrong_is_one_line(options, words, made):
    line = error_line(made, *options, "--name", "wrong")
    assert line.startswith("error: ")
    assert words in line


@pytest.mark.full
def test_illustrations_are_packed_shared_and_taken_down(tmp_path):
    luigi(tmp_path, *DRAWN)
    art, root = manifest(tmp_path), tmp_path / "data"
    assert set(art.index) == {f"0/{i}" for i in range(12)}
    assert {*art.width, *art.height} == {512}
    assert set(art.license) == {"CC0-1.0"}
    assert pack(root, "art", tmp_path / "art.tar") == 12
    luigi(tmp_path, "ExportRecipe", "--name", "art")
    held = recipe.read(root / "recipes/art.parquet")
    redrawn = {post.source_id: hashlib.sha256(post.read()).hexdigest() for post in recipe.redraw(held)}
    assert redrawn == {f"drawn {name}": row.image_id for name, row in art.iterrows()}
    gone = art.iloc[3]
    assert takedown.take_down(root, "sha256", gone.image_id, "").datasets == {"art": "11 of 12 pictures are left"}
    assert not list(root.rglob(f"{gone.image_id}*"))
    luigi(tmp_path, *DRAWN)
    assert set(manifest(tmp_path).index) == {*art.index} - {gone.name}
    assert manifest(tmp_path, "funnel").reason.to_dict() == {gone.name: "blocked"}


@pytest.mark.slow
def test_a_build_that_is_killed_ends_with_the_same_bytes(tmp_path):
    """Killed at 15 moments, spread over a build, and run again."""
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    start = time.monotonic()
    luigi(tmp_path / "whole", *DRAWN)
    length = time.monotonic() - start
    for moment in range(15):
        process = start_luigi(tmp_path / "killed", *DRAWN)
        time.sleep(1 + (length + 2) * moment / 15)
        process.kill()
        process.wait()
    luigi(tmp_path / "killed", *DRAWN)
    ours, theirs = (tmp_path / name / "data/datasets/art" for name in ("killed", "whole"))
    files = sorted(path.relative_to(theirs) for path in theirs.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(ours) for path in ours.rglob("*") if path.is_file())
    assert all((ours / file).read_bytes() == (theirs / file).read_bytes() for file in files)
