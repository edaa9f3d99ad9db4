"""A dataset that is moved: copied, packed, linked by an older program, replaced, damaged."""

import contextlib
import errno
import json
import os
import shutil
import subprocess
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import luigi as luigi_library
import pyarrow.parquet as pq
import pytest
from PIL import Image

from models.data import Dataset as Faces
from pipeline import datasets, retag, store, takedown
from pipeline.errors import UserError
from pipeline.manifest import FACES, ManifestError
from pipeline.pack import pack
from pipeline.store import Store, exchange
from workflows import BuildFaceDataset, ExportRecipe, TagHairColor, TrainDCGAN
from workflows import __main__ as command_line
from workflows.training import Dataset

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


def linked(root: Path, name: str = "faces") -> Path:
    """Make `name` what older programs made of it: a link to its version."""
    place = root / "datasets" / name
    digest = datasets.published(root, name)
    shutil.rmtree(place)
    place.symlink_to(Path(".versions") / digest)
    return place


def larger(root: Path, name: str = "faces", **more) -> None:
    """Publish the version of two more faces."""
    (digest,) = (
        version.name for version in (root / "datasets/.versions").iterdir() if len(face_ids(version)) == COUNT + 2
    )
    store = Store(root, digest)
    with store.claim():
        datasets.publish(store, name, REQUEST, **more)


REQUEST = {"source": "drawn", "query": "", "path": None}


def contents(folder: Path) -> dict[str, bytes]:
    return {path: (folder / path).read_bytes() for path in datasets.files_below(folder)}


def face_ids(folder: Path) -> list[str]:
    return pq.read_table(folder / "manifest.parquet")["face_id"].to_pylist()


def retagged(root: Path, name: str = "faces") -> int:
    return retag.retag(root, name, tagger="color", folder=None, jobs=1)


def is_whole(root: Path, name: str = "faces") -> bool:
    """Whether a dataset has all of its crops, and can be trained on."""
    faces = Faces(root / "datasets" / name, root / "cache")
    return all((faces.folder / path).is_file() for path in faces.faces["path"].to_pylist())


# --- a folder that is copied -------------------------------------------------


def by_cp(place: Path, target: Path) -> None:
    subprocess.run(["cp", "-r", place, target / place.name], check=True)


def by_tar(place: Path, target: Path) -> None:
    packed = subprocess.run(["tar", "c", "-C", place.parent, place.name], check=True, capture_output=True).stdout
    subprocess.run(["tar", "x", "-C", target], input=packed, check=True)


def by_pack(place: Path, target: Path) -> None:
    pack(place.parents[1], place.name, target / "it.tar")
    subprocess.run(["tar", "x", "-f", target / "it.tar", "-C", target], check=True)
    (target / "it.tar").unlink()


def by_copytree(place: Path, target: Path) -> None:
    shutil.copytree(place, target / place.name, symlinks=True)


MOVES = [by_cp, by_tar, by_pack, by_copytree]


@pytest.mark.parametrize("move", MOVES)
def test_a_copy_is_a_dataset_elsewhere(move, root, tmp_path):
    there = tmp_path / "there"
    (there / "datasets").mkdir(parents=True)
    move(root / "datasets/faces", there / "datasets")
    assert contents(there / "datasets/faces") == contents(root / "datasets/faces")
    assert is_whole(there)
    training = TrainDCGAN(data_root=there, preset="tiny")
    assert (training.requires().complete(), training.requires().requires()) == (True, [])
    assert BuildFaceDataset(data_root=there, limit=COUNT).complete()
    with pytest.raises(UserError, match="--replace"):
        BuildFaceDataset(data_root=there, limit=COUNT + 1)


def test_a_copy_is_trained_on_and_nothing_is_drawn(root, tmp_path):
    from commands import luigi

    (tmp_path / "data/datasets").mkdir(parents=True)
    by_pack(root / "datasets/faces", tmp_path / "data/datasets")
    done = luigi(tmp_path, "TrainDCGAN", "--preset", "tiny", "--steps", "1")
    assert "ScrapeImages" not in done.stderr
    run = json.loads((tmp_path / "data/runs/dcgan96-faces-tiny/config.json").read_text())
    assert run["dataset"]["faces"] == len(face_ids(root / "datasets/faces"))


@pytest.mark.parametrize("move", [by_cp, by_tar, by_pack])
def test_a_copy_is_replaced_if_that_is_said_and_kept(move, root, tmp_path):
    there = tmp_path / "there"
    (there / "datasets").mkdir(parents=True)
    move(root / "datasets/faces", there / "datasets")
    (there / "datasets/faces/notes.txt").write_text("mine")
    shutil.copytree(root / "datasets/.versions", there / "datasets/.versions")
    before = contents(there / "datasets/faces")
    with pytest.raises(UserError, match="--replace"):
        larger(there)
    larger(there, replace=True)
    assert len(face_ids(there / "datasets/faces")) == COUNT + 2
    assert before in [contents(version) for version in (there / "datasets/.versions").iterdir()]


@pytest.mark.parametrize("has_digest", [True, False])
def test_a_copy_gets_other_hair_colors_and_loses_what_is_taken_down(has_digest, root, tmp_path):
    there = tmp_path / "there"
    (there / "datasets").mkdir(parents=True)
    by_cp(root / "datasets/faces", there / "datasets")
    shutil.copytree(root / "images", there / "images")
    if not has_digest:
        (there / "datasets/faces" / datasets.DIGEST).unlink()
    retagged(there)
    assert retag.is_done(there, "faces", tagger="color", folder=None)
    rows = pq.read_table(there / "datasets/faces/manifest.parquet").to_pylist()
    outcome = takedown.take_down(there, "sha256", rows[0]["image_id"], "")
    assert "faces are left" in outcome.datasets["faces"]
    assert rows[0]["face_id"] not in face_ids(there / "datasets/faces")
    assert not list(there.rglob(f"*{rows[0]['face_id']}*"))
    assert is_whole(there)


def test_crops_take_their_room_once(root):
    place = root / "datasets/faces"
    for row in pq.read_table(place / "manifest.parquet").to_pylist():
        assert (place / row["path"]).samefile(root / "cache" / row["path"])


# --- publication -------------------------------------------------------------


class Killed(BaseException):
    pass


def dies(*_, **__) -> None:
    raise Killed


@pytest.fixture(params=[True, False], ids=["exchange", "no exchange"])
def can_exchange(request, monkeypatch) -> bool:
    if not request.param:
        monkeypatch.setattr(datasets, "exchange", lambda *_: False)
    return request.param


def test_two_paths_are_exchanged_in_one_step(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if exchange(tmp_path / "a", tmp_path / "b"):
        assert ((tmp_path / "a/b").exists(), (tmp_path / "b/a").exists()) == (True, True)
    with pytest.raises(FileNotFoundError, match="gone"):
        exchange(tmp_path / "a", tmp_path / "gone")


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_that_cannot_exchange_is_told_apart(number, tmp_path, monkeypatch):
    class Library:
        @staticmethod
        def renameat2(*_) -> int:
            store.ctypes.set_errno(number)
            return -1

    monkeypatch.setattr(store.ctypes, "CDLL", lambda *_, **__: Library)
    assert exchange(tmp_path, tmp_path) is False


def test_who_has_the_folder_open_sees_one_version_to_the_end(here):
    """A reader opens the folder once, again and again, while two versions are exchanged under it."""
    place, sizes, go = here / "datasets/faces", set(), threading.Event()

    def read() -> None:
        while not go.is_set():
            folder = os.open(place, os.O_RDONLY)
            with open(os.open("manifest.parquet", os.O_RDONLY, dir_fd=folder), "rb") as manifest:
                paths = pq.read_table(manifest, columns=["path"])["path"].to_pylist()
            for path in paths:
                os.stat(path, dir_fd=folder)
            os.close(folder)
            sizes.add(len(paths))

    digest = datasets.published(here, "faces")
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(read)
        for turn in range(500):
            if (turn >= 20 and len(sizes) == 2) or reader.done():
                break
            larger(here)
            with Store(here, digest).claim():
                datasets.publish(Store(here, digest), "faces", REQUEST)
        go.set()
        reader.result()
    assert sizes == {COUNT, COUNT + 2}


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV])
def test_without_hard_links_files_are_copied_and_known_again(number, here, monkeypatch):
    def refuse(*_, **__) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(datasets.os, "link", refuse)
    larger(here)
    digest = BuildFaceDataset(data_root=here, limit=COUNT).digest
    with Store(here, digest).claim():
        datasets.publish(Store(here, digest), "faces", REQUEST)
    assert is_whole(here)
    assert len(list((here / "datasets/.versions").iterdir())) == 2


def test_the_old_version_is_kept_and_comes_back(here, can_exchange):
    first = contents(here / "datasets/faces")
    larger(here)
    assert len(face_ids(here / "datasets/faces")) == COUNT + 2
    assert first in [contents(version) for version in (here / "datasets/.versions").iterdir()]
    build(here)
    assert contents(here / "datasets/faces") == first
    assert len(list((here / "datasets/.versions").iterdir())) == 2
    assert not [path for path in (here / "stages/.work").iterdir() if path.is_dir()]


@pytest.mark.parametrize("step", ["link_all", "keep", "replace_file", "_put", "exchange", "os.rename", "shutil.rmtree"])
@pytest.mark.parametrize("what", ["build", "retag", "old link"])
def test_a_kill_at_any_step_loses_nothing(what, step, here, can_exchange, monkeypatch):
    """The name holds the old dataset or the new, whole; only between two renames it may be missing."""
    if what == "old link":
        linked(here)
    go = retagged if what == "retag" else larger
    before = contents(here / "datasets/faces")
    (here / "datasets/faces/notes.txt").write_text("mine")
    owner = datasets if "." not in step else getattr(datasets, step.split(".")[0])
    with monkeypatch.context() as patch:
        patch.setattr(owner, step.split(".")[-1], dies)
        with contextlib.suppress(Killed):
            go(here)
    if can_exchange or os.path.lexists(here / "datasets/faces"):
        assert is_whole(here)
    go(here)
    assert is_whole(here)
    kept = [contents(version) for version in (here / "datasets/.versions").iterdir()]
    assert any(before.items() <= each.items() and each.get("notes.txt") == b"mine" for each in kept)


def test_a_link_of_an_older_program_is_read_and_becomes_a_folder(here):
    place = linked(here)
    before = contents(place)
    assert (Dataset(name="faces", data_root=here).complete(), is_whole(here)) == (True, True)
    pack(here, "faces", here / "faces.tar")
    assert contents(place) == before
    build(here)
    assert not place.is_symlink()
    assert contents(place) == before


@pytest.mark.parametrize("change", [
    retagged,
    larger,
    lambda here: takedown.take_down(here, "sha256", face_ids(here / "datasets/faces")[0], ""),
])  # fmt: skip
def test_whatever_changes_an_old_link_makes_it_a_folder(change, here):
    place = linked(here)
    change(here)
    assert not place.is_symlink()
    assert is_whole(here)


def test_two_names_of_one_digest_are_folders_of_their_own(here):
    build(here, "other")
    assert contents(here / "datasets/other") == contents(here / "datasets/faces")
    shutil.rmtree(here / "datasets/faces")
    assert is_whole(here, "other")
    build(here)
    victim = face_ids(here / "datasets/faces")[0]
    outcome = takedown.take_down(here, "sha256", victim, "")
    assert {*outcome.datasets} == {"faces", "other"}
    assert not list(here.rglob(f"*{victim}*"))


def test_versions_may_be_deleted(here):
    for version in (here / "datasets/.versions").iterdir():
        if len(face_ids(version)) == COUNT:
            shutil.rmtree(version)
    assert is_whole(here)
    assert BuildFaceDataset(data_root=here, limit=COUNT).complete()
    before = contents(here / "datasets/faces")
    larger(here)
    assert before in [contents(version) for version in (here / "datasets/.versions").iterdir()]


def test_what_was_taken_down_is_gone_from_a_dataset_that_was_changed_by_hand(here):
    """Its manifest is another than its version's."""
    place, other = here / "datasets/faces", here / "datasets/other"
    larger(here, "other")
    added = [
        row for row in pq.read_table(other / "manifest.parquet").to_pylist() if row["face_id"] not in face_ids(place)
    ]
    (place / "manifest.parquet").unlink()
    shutil.copy(other / "manifest.parquet", place)
    shutil.copytree(other / "faces", place / "faces", dirs_exist_ok=True)
    shutil.rmtree(other)
    shutil.rmtree(here / "datasets/.versions" / BuildFaceDataset(data_root=here, limit=COUNT + 2).digest)
    for stage in here.glob("stages/[!.]*"):
        shutil.rmtree(stage)
    takedown.take_down(here, "sha256", added[0]["image_id"], "")
    assert added[0]["face_id"] not in face_ids(place)
    assert not list(here.rglob(f"*{added[0]['face_id']}*"))


# --- what is damaged ---------------------------------------------------------


def dangling(place: Path) -> None:
    shutil.rmtree(place)
    place.symlink_to(".versions/" + "0" * 16)


def dangling_elsewhere(place: Path) -> None:
    shutil.rmtree(place)
    place.symlink_to("/nowhere/at/all")


def loop(place: Path) -> None:
    shutil.rmtree(place)
    place.symlink_to(place.name)


def no_manifest(place: Path) -> None:
    (place / "manifest.parquet").unlink()


def empty(place: Path) -> None:
    shutil.rmtree(place)
    place.mkdir()


def a_file(place: Path) -> None:
    shutil.rmtree(place)
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


DAMAGES = [
    dangling, dangling_elsewhere, loop, no_manifest, empty, a_file, cut, nothing_in_it, another_table, a_pipe,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_told_with_the_cure_and_built_over_by_nobody(damage, here):
    place = here / "datasets/faces"
    damage(place)
    runs = [
        lambda: TrainDCGAN(data_root=here, preset="tiny"),
        lambda: ExportRecipe(data_root=here).run(),
        lambda: TagHairColor(data_root=here, dataset="faces", hair_tagger="color").run(),
        lambda: pack(here, "faces", here / "faces.tar"),
    ]
    for run in runs:
        with pytest.raises(ManifestError, match="move away what is there and build it again") as told:
            run()
        assert "\n" not in str(told.value)
    assert not TagHairColor(data_root=here, dataset="faces", hair_tagger="color").complete()
    assert not (here / "faces.tar").exists()
    assert not (here / "recipes").exists() or not list((here / "recipes").iterdir())


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_takedown_names_a_damaged_dataset_and_goes_on(damage, here):
    victim = face_ids(here / "datasets/faces")[0]
    damage(here / "datasets/faces")
    outcome = takedown.take_down(here, "sha256", victim, "")
    assert outcome.faces == 1
    assert not list((here / "images").rglob(f"{victim}*"))
    if damage is not a_file:
        assert "not looked at" in outcome.datasets["faces"]


@pytest.mark.parametrize("damage", [dangling, no_manifest, cut, another_table])
def test_the_same_build_mends_what_is_damaged(damage, here, root):
    damage(here / "datasets/faces")
    assert not BuildFaceDataset(data_root=here, limit=COUNT).complete()
    build(here)
    assert contents(here / "datasets/faces") == contents(root / "datasets/faces")


def test_only_faces_that_were_never_there_are_built_unasked(here, tmp_path):
    (tmp_path / "in").mkdir()
    task = TrainDCGAN(data_root=tmp_path / "new", preset="tiny").requires()
    assert isinstance(task.requires(), BuildFaceDataset)
    shutil.rmtree(here / "datasets/faces")  # of the default request: made again
    assert isinstance(TrainDCGAN(data_root=here, preset="tiny").requires().requires(), BuildFaceDataset)
    record = here / "datasets/.requests/faces.json"
    told = json.loads(record.read_text())
    record.write_text(json.dumps(told | {"request": {"source": "folder", "query": "", "path": "/mine"}}))
    with pytest.raises(UserError, match="is gone; it was made with source 'folder', path '/mine'"):
        TrainDCGAN(data_root=here, preset="tiny", steps=3)


@pytest.mark.parametrize("told", ["../../x", "0" * 15, "A" * 16, "", "0" * 10_000_000, "\x00"])
def test_a_digest_from_outside_is_no_path(told, here):
    place = here / "datasets/faces"
    (place / datasets.DIGEST).write_text(told)
    (here / "datasets/.requests/faces.json").unlink()
    assert datasets.published(here, "faces") == datasets.sha256_of(place / "manifest.parquet")[:16]
    retagged(here)
    assert is_whole(here)


@pytest.mark.parametrize("path", ["../../../x.png", "/etc/hostname", "faces/../../../y.png"])
def test_a_path_from_outside_stays_within_the_dataset(path, here, tmp_path):
    place = here / "datasets/faces"
    table = pq.read_table(place / "manifest.parquet").to_pylist()
    table[0]["path"] = path
    (place / "manifest.parquet").unlink()
    pq.write_table(datasets.pa.Table.from_pylist(table, schema=FACES), place / "manifest.parquet")
    before = sorted(tmp_path.rglob("*.png"))
    with pytest.raises(UserError):
        retagged(here)
    with pytest.raises(UserError):
        pack(here, "faces", here / "faces.tar")
    assert [
        each for each in sorted(tmp_path.rglob("*.png")) if "kept" not in str(each) and ".versions" not in str(each)
    ] == [each for each in before if ".versions" not in str(each)]


# --- pack --------------------------------------------------------------------


def test_pack_gives_the_same_bytes_with_relative_names(root, here, tmp_path):
    pack(root, "faces", tmp_path / "a.tar")
    linked(here)
    pack(here, "faces", tmp_path / "b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as tar:
        names = tar.getnames()
    assert all(name.startswith("faces/") for name in names)
    assert {"faces/manifest.parquet", "faces/README.md", f"faces/{datasets.DIGEST}"} <= {*names}


def test_pack_says_what_it_wrote_in_one_line(root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command_line.main(["pack", "faces", "--data-root", str(root)])
    said = capsys.readouterr().out
    assert said.startswith(f"faces.tar: {COUNT} faces, ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(("arguments", "words"), [
    (["nosuch"], "nosuch: there is no such"),
    (["../x"], "'../x' given"),
    (["faces", "nowhere/x.tar"], "nowhere/x.tar"),
    (["faces", "."], "is a folder"),
    ([], "NAME"),
])  # fmt: skip
def test_pack_refuses_in_one_line(arguments, words, here, monkeypatch):
    from workflows import console

    monkeypatch.chdir(here)
    monkeypatch.setattr("argparse.ArgumentParser.error", console._misused)
    with pytest.raises(UserError, match=words) as told:
        command_line.main(["pack", *arguments, *["--data-root", str(here)] * bool(arguments)])
    assert "\n" not in str(told.value)
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
