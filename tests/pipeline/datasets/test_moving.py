"""A dataset that is moved: copied, packed, replaced, damaged."""

import contextlib
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import luigi as luigi_library
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from models.data.dataset import Dataset as Faces
from pipeline.datasets import publish as datasets
from pipeline.datasets import retag, takedown
from pipeline.datasets.pack import pack
from pipeline.errors import UserError
from pipeline.manifest import FACES, ManifestError
from pipeline.store import Store
from workflows import BuildFaceDataset, ExportRecipe, RetagDataset, TrainDCGAN
from workflows.base.stage import disk_errors_as_user_errors
from workflows.cli import pack as pack_command

COUNT = 8


def build(root: Path, name: str = "faces", limit: int = COUNT, **more) -> BuildFaceDataset:
    task = BuildFaceDataset(data_root=root, name=name, limit=limit, jobs=1, **more)
    assert luigi_library.build([task], local_scheduler=True, log_level="ERROR")
    return task


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A data root with `faces`, of COUNT faces, which was built over a version of two more."""
    root = tmp_path_factory.mktemp("moving") / "data"
    build(root, limit=COUNT + 2)
    build(root)
    return root


@pytest.fixture
def here(root, tmp_path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(root, tmp_path / "here", symlinks=True, copy_function=shutil.copy2))


def digest_of(root: Path, count: int) -> str:
    """The digest of the version with so many faces."""
    (version,) = (each for each in (root / "datasets/.versions").iterdir() if len(face_ids(each)) == count)
    return version.name


def publish(root: Path, count: int, name: str = "faces", **more) -> None:
    """Let `name` stand for the version with so many faces."""
    store = Store(root, digest_of(root, count))
    with store.claim():
        datasets.publish(store, name, REQUEST, **more)


REQUEST = {"source": "drawn", "query": "", "path": None}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def versions(root: Path) -> list[dict[str, bytes]]:
    return [contents(version) for version in (root / "datasets/.versions").iterdir()]


def face_ids(folder: Path) -> list[str]:
    return pq.read_table(folder / "manifest.parquet")["face_id"].to_pylist()


def retagged(root: Path, name: str = "faces") -> int:
    return retag.retag(root, name, tagger="color", folder=None, jobs=1)


def taken_down(root: Path, name: str = "faces") -> takedown.Outcome:
    """Take down the first face, which is in both versions."""
    return takedown.take_down(root, "sha256", face_ids(root / "datasets" / name)[0], "")


def is_whole(root: Path, name: str = "faces") -> bool:
    """Whether a dataset has all of its crops, and can be trained on."""
    faces = Faces(root / "datasets" / name, root / "cache")
    return all((faces.folder / path).is_file() for path in faces.faces["path"].to_pylist())


# --- a dataset that is copied ------------------------------------------------


def by_cp(place: Path, target: Path) -> None:
    subprocess.run(["cp", "-rL", place, target], check=True)


def by_tar(place: Path, target: Path) -> None:
    packed = subprocess.run(["tar", "ch", "-C", place.parent, place.name], check=True, capture_output=True).stdout
    subprocess.run(["tar", "x", "-C", target], input=packed, check=True)


def by_pack(place: Path, target: Path) -> None:
    pack(place.parents[1], place.name, target / "it.tar")
    subprocess.run(["tar", "x", "-f", target / "it.tar", "-C", target], check=True)
    (target / "it.tar").unlink()


def by_copytree(place: Path, target: Path) -> None:
    shutil.copytree(place, target / place.name)


MOVES = [by_cp, by_tar, by_pack, by_copytree]


def copied(move, root: Path, there: Path) -> Path:
    """A new data root with a copy of `faces`; its place."""
    (there / "datasets").mkdir(parents=True)
    move(root / "datasets/faces", there / "datasets")
    return there / "datasets/faces"


@pytest.mark.parametrize("move", MOVES)
def test_a_copy_is_a_dataset_elsewhere(move, root, tmp_path):
    place = copied(move, root, tmp_path / "there")
    assert contents(place) == contents(root / "datasets/faces")
    assert is_whole(tmp_path / "there")
    training = TrainDCGAN(data_root=tmp_path / "there", preset="tiny")
    assert [(dataset.complete(), dataset.requires()) for dataset in training.requires()] == [(True, [])]
    assert not ExportRecipe(data_root=tmp_path / "there").run()
    with pytest.raises(UserError, match=r"made with source 'a copy from elsewhere'.*--replace"):
        BuildFaceDataset(data_root=tmp_path / "there", limit=COUNT + 1)


def link_by_cp(place: Path, target: Path) -> None:
    subprocess.run(["cp", "-r", place, target], check=True)


def link_by_tar(place: Path, target: Path) -> None:
    packed = subprocess.run(["tar", "c", "-C", place.parent, place.name], check=True, capture_output=True).stdout
    subprocess.run(["tar", "x", "-C", target], input=packed, check=True)


def link_by_copy(place: Path, target: Path) -> None:
    shutil.copy2(place, target / place.name, follow_symlinks=False)


@pytest.mark.parametrize("move", [link_by_cp, link_by_tar, link_by_copy])
def test_a_copy_of_the_link_alone_is_reported(move, root, tmp_path):
    copied(move, root, tmp_path / "there")
    with pytest.raises(
        ManifestError, match=r"is a link to '.versions/\w+', which is not there.*copy it here again, whole"
    ):
        TrainDCGAN(data_root=tmp_path / "there", preset="tiny")


@pytest.mark.parametrize("move", MOVES)
def test_a_copy_is_replaced_with_replace_and_kept(move, root, tmp_path):
    there = tmp_path / "there"
    place = copied(move, root, there)
    (place / "notes.txt").write_text("mine")
    shutil.copytree(root / "datasets/.versions", there / "datasets/.versions")
    before = contents(place)
    with pytest.raises(UserError, match="--replace"):
        publish(there, COUNT + 2)
    assert contents(place) == before
    publish(there, COUNT + 2, replace=True)
    assert (place.is_symlink(), len(face_ids(place))) == (True, COUNT + 2)
    assert before in versions(there)


def test_a_copy_of_the_same_dataset_is_published_over(here):
    place = made_a_folder(here)
    build(here)
    assert (place.is_symlink(), is_whole(here)) == (True, True)


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("move", MOVES)
def test_a_copy_gets_other_hair_colors_and_loses_what_is_taken_down(move, root, tmp_path):
    there = tmp_path / "there"
    place = copied(move, root, there)
    shutil.copytree(root / "images", there / "images")
    before = contents(place)
    retagged(there)
    assert before in versions(there)
    assert retag.is_done(there, "faces", tagger="color", folder=None)
    victim = face_ids(place)[0]
    assert "faces are left" in taken_down(there).datasets["faces"]
    assert victim not in face_ids(place)
    assert not list(there.rglob(f"*{victim}*"))
    assert is_whole(there)
    with pytest.raises(UserError, match="--replace"):
        BuildFaceDataset(data_root=there, limit=COUNT)


def test_two_copies_are_taken_down_from_and_each_keeps_its_own_files(root, tmp_path):
    there = tmp_path / "there"
    place = copied(by_cp, root, there)
    shutil.copytree(place, there / "datasets/other")
    (there / "datasets/other/funnel.parquet").unlink()
    victim = face_ids(place)[0]
    assert {*taken_down(there).datasets} == {"faces", "other"}
    assert not list(there.rglob(f"*{victim}*"))
    assert (is_whole(there), is_whole(there, "other")) == (True, True)


def test_copies_of_the_same_manifest_are_kept_beside_each_other(here):
    store, numbers = Store(here, "0" * 16), []
    for number in range(3):
        place = made_a_folder(here)
        (place / "notes.txt").write_text(str(number))
        with store.claim():
            numbers.append(datasets.adopt(store, "faces").name[16:])
        assert (place / "notes.txt").read_text() == str(number)
    assert numbers == ["", ".1", ".2"]
    assert is_whole(here)


def made_a_folder(root: Path) -> Path:
    """Put a copy of `faces` in the place of its link."""
    place = root / "datasets/faces"
    shutil.copytree(place, root / "copy")
    place.unlink()
    return (root / "copy").rename(place)


# --- publication -------------------------------------------------------------


class Killed(BaseException):
    pass


def dies(*_, **__) -> None:
    raise Killed


def test_the_old_version_is_kept_and_comes_back(here):
    first = contents(here / "datasets/faces")
    publish(here, COUNT + 2)
    assert len(face_ids(here / "datasets/faces")) == COUNT + 2
    build(here)
    assert contents(here / "datasets/faces") == first
    assert len(versions(here)) == 2


def replaced(root: Path) -> None:
    publish(root, COUNT + 2, replace=True)


@pytest.mark.parametrize(
    ("go", "step"),
    [(replaced, "_note"), (replaced, "_link"), (replaced, "os.rename"), (retagged, "_link"), (taken_down, "os.rename")],
)
def test_a_kill_at_any_step_loses_nothing_of_a_copy(go, step, here, monkeypatch):
    place = made_a_folder(here)
    (place / "notes.txt").write_text("mine")
    before = contents(place)
    with monkeypatch.context() as patch:
        patch.setattr(datasets.os if "os." in step else datasets, step.removeprefix("os."), dies)
        with contextlib.suppress(Killed):
            go(here)
    assert before in [*versions(here), *([contents(place)] if place.exists() else [])]
    if not os.path.lexists(place):  # killed between two renames: what was there is told
        with pytest.raises(UserError, match=r"is gone; it was made with source 'a copy from elsewhere'.*\.versions/"):
            TrainDCGAN(data_root=here, preset="tiny")
        return
    go(here)
    assert is_whole(here)


@pytest.mark.parametrize("name", ["faces", "other"])
def test_a_version_that_two_names_stand_for_is_taken_down_from_once(name, here):
    build(here, "other")
    victim = face_ids(here / "datasets/faces")[0]
    assert {*taken_down(here, name).datasets} == {"faces", "other"}
    assert not list(here.rglob(f"*{victim}*"))


@pytest.mark.parametrize("gone", ["datasets", "datasets/.versions", "datasets/.versions/{}"])
def test_what_is_removed_meanwhile_is_reported(gone, here):
    store = Store(here, digest_of(here, COUNT))
    with store.claim():
        shutil.rmtree(here / gone.format(store.digest))
        message = "was removed while this program worked with it"
        with pytest.raises(UserError, match=message), disk_errors_as_user_errors(here):
            datasets.publish(store, "faces", REQUEST)


# --- what is damaged ---------------------------------------------------------


def dangling(place: Path) -> None:
    place.unlink()
    place.symlink_to(".versions/" + "0" * 16)


def dangling_elsewhere(place: Path) -> None:
    place.unlink()
    place.symlink_to("/nowhere/at/all")


def loop(place: Path) -> None:
    place.unlink()
    place.symlink_to(place.name)


def no_manifest(place: Path) -> None:
    (place / "manifest.parquet").unlink()


def empty(place: Path) -> None:
    place.unlink()
    place.mkdir()


def a_file(place: Path) -> None:
    place.unlink()
    place.write_text("no folder")


def cut(place: Path) -> None:
    data = (place / "manifest.parquet").read_bytes()
    (place / "manifest.parquet").unlink()
    (place / "manifest.parquet").write_bytes(data[:-9])


def nothing_in_it(place: Path) -> None:
    (place / "manifest.parquet").unlink()
    (place / "manifest.parquet").touch()


def another_table(place: Path) -> None:
    table = pq.read_table(place / "manifest.parquet").drop_columns(["box", "split"])
    (place / "manifest.parquet").unlink()
    pq.write_table(table, place / "manifest.parquet")


def a_pipe(place: Path) -> None:
    (place / "manifest.parquet").unlink()
    os.mkfifo(place / "manifest.parquet")


DAMAGES = [dangling, dangling_elsewhere, loop, no_manifest, empty, a_file, cut, nothing_in_it, another_table, a_pipe]


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_reported_with_the_cure_and_built_over_by_nobody(damage, here):
    place = here / "datasets/faces"
    damage(place)
    runs = [
        lambda: TrainDCGAN(data_root=here, preset="tiny"),
        lambda: ExportRecipe(data_root=here).run(),
        lambda: RetagDataset(data_root=here, dataset="faces", hair_tagger="color").run(),
        lambda: pack(here, "faces", here / "faces.tar"),
    ]
    for run in runs:
        with pytest.raises(ManifestError, match="move away what is there and build it again") as reported:
            run()
        assert "\n" not in str(reported.value)
    assert not RetagDataset(data_root=here, dataset="faces", hair_tagger="color").complete()
    assert not (here / "faces.tar").exists()
    assert not (here / "recipes").exists() or not list((here / "recipes").iterdir())


@pytest.mark.full(keep=3)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_takedown_names_a_damaged_dataset_and_goes_on(damage, here):
    victim = face_ids(here / "datasets/faces")[0]
    damage(here / "datasets/faces")
    outcome = takedown.take_down(here, "sha256", victim, "")
    assert outcome.faces == 1
    assert not list((here / "images").rglob(f"{victim}*"))
    if damage not in (a_file, another_table):  # the latter is one of an older program
        assert "not looked at" in outcome.datasets["faces"]


@pytest.mark.parametrize("damage", [dangling, no_manifest, cut, another_table])
def test_the_same_build_repairs_what_is_damaged(damage, here, root):
    damage(here / "datasets/faces")
    assert not BuildFaceDataset(data_root=here, limit=COUNT).complete()
    build(here)
    assert contents(here / "datasets/faces") == contents(root / "datasets/faces")


def test_only_faces_that_were_never_there_are_built_unrequested(here, tmp_path):
    (tmp_path / "in").mkdir()
    (task,) = TrainDCGAN(data_root=tmp_path / "new", preset="tiny").requires()
    assert isinstance(task.requires(), BuildFaceDataset)
    (here / "datasets/faces").unlink()  # of the default request: made again
    assert isinstance(TrainDCGAN(data_root=here, preset="tiny").requires()[0].requires(), BuildFaceDataset)
    record = here / "datasets/.requests/faces.json"
    reported = json.loads(record.read_text())
    record.write_text(json.dumps(reported | {"request": {"source": "folder", "query": "", "path": "/mine"}}))
    with pytest.raises(UserError, match="is gone; it was made with source 'folder', path '/mine'"):
        TrainDCGAN(data_root=here, preset="tiny", steps=3)


@pytest.mark.parametrize("path", ["../../../x.png", "/etc/hostname", "faces/../../../y.png"])
def test_a_path_from_outside_stays_within_the_dataset(path, here, tmp_path):
    place = here / "datasets/faces"
    table = pq.read_table(place / "manifest.parquet").to_pylist()
    table[0]["path"] = path
    (place / "manifest.parquet").unlink()
    pq.write_table(pa.Table.from_pylist(table, schema=FACES), place / "manifest.parquet")
    before = sorted(tmp_path.rglob("*.png"))
    with pytest.raises(UserError):
        retagged(here)
    with pytest.raises(UserError):
        pack(here, "faces", here / "faces.tar")
    assert sorted(tmp_path.rglob("*.png")) == before


# --- pack --------------------------------------------------------------------


def test_pack_gives_the_same_bytes_with_relative_names(root, here, tmp_path):
    pack(root, "faces", tmp_path / "a.tar")
    made_a_folder(here)
    pack(here, "faces", tmp_path / "b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as tar:
        names = tar.getnames()
    assert all(name.startswith("faces/") for name in names)
    assert {"faces/manifest.parquet", "faces/README.md", "faces/funnel.parquet"} <= {*names}


def test_pack_says_what_it_wrote_in_one_line(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = pack_command.main(["faces", "--data-root", str(root)])
    assert printed.startswith(f"faces.tar: {COUNT} faces, ")
    assert "\n" not in printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nosuch"], "nosuch: there is no such"),
        (["../x"], "'../x' given"),
        (["faces", "nowhere/x.tar"], "nowhere/x.tar"),
        (["faces", "."], "is a folder"),
        (["faces", "x" * 300 + ".tar"], "File name too long"),
        ([], "NAME"),
    ],
)
def test_pack_refuses_in_one_line(arguments, words, here, monkeypatch):
    from workflows.cli import errors as console

    monkeypatch.chdir(here)
    monkeypatch.setattr("argparse.ArgumentParser.error", console._raise_usage_error)
    with pytest.raises(UserError, match=words) as reported:
        pack_command.main([*arguments, *["--data-root", str(here)] * bool(arguments)])
    assert "\n" not in str(reported.value)
    assert not list(here.glob("*.tar"))


def lose_a_crop(place: Path) -> None:
    next((place / "faces").rglob("*.png")).unlink()


def link_a_crop(place: Path) -> None:
    crop = next((place / "faces").rglob("*.png"))
    crop.unlink()
    crop.symlink_to("/etc/hostname")


def pipe_a_crop(place: Path) -> None:
    crop = next((place / "faces").rglob("*.png"))
    crop.unlink()
    os.mkfifo(crop)


@pytest.mark.parametrize("damage", [lose_a_crop, link_a_crop, pipe_a_crop])
def test_pack_holds_all_crops_or_is_not_written(damage, here):
    damage(here / "datasets/faces")
    with pytest.raises(UserError, match=r"crops|link or a device"):
        pack(here, "faces", here / "faces.tar")
    assert not list(here.glob("*.tar*"))


def test_what_stands_in_the_tar_opens_as_pictures(root, tmp_path):
    pack(root, "faces", tmp_path / "faces.tar")
    with tarfile.open(tmp_path / "faces.tar") as tar:
        for member in tar:
            assert (member.isfile(), member.uid, member.mode) == (True, 0, 0o644)
            if member.name.endswith(".png"):
                Image.open(tar.extractfile(member)).verify()


@pytest.mark.parametrize("work", [retagged, taken_down])
def test_a_link_among_the_crops_brings_nothing_in(here, tmp_path, work):
    """The manifest names a file behind a link to a folder elsewhere."""
    place, before = made_a_folder(here), {*(here / "datasets/.versions").iterdir()}
    (tmp_path / "secret").mkdir()
    crop = next((place / "faces").rglob("*.png"))
    crop.parent.rename(tmp_path / "secret" / crop.parent.name)
    crop.parent.symlink_to(tmp_path / "secret" / crop.parent.name)
    with contextlib.suppress(UserError):
        work(here)
    for version in {*(here / "datasets/.versions").iterdir()} - before:
        linked = version / "faces" / crop.parent.name
        assert linked.is_symlink() or not (linked / crop.name).exists()
