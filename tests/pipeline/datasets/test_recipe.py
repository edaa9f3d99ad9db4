"""Recipes, rebuilds and takedowns, by the command line and against the stand-in server."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from pipeline import blocklist
from pipeline.datasets import takedown
from pipeline.datasets.kinds import KINDS
from pipeline.datasets.takedown_index import Removal
from tests.support.fake_site import FakeSite, InjectedFailure
from tests.support.run_luigi import error_line, last_line, luigi

COUNT = 32


@pytest.fixture(scope="module")
def site(faces):
    with FakeSite(60, pictures=lambda number: faces[number % len(faces)] + str(number).encode()) as site:
        yield site


def configure(place: Path, site: FakeSite) -> Path:
    place.mkdir(exist_ok=True)
    of_site = f"[danbooru]\nbase_url = {site.url}/danbooru\nrate = 0"
    (place / "luigi.cfg").write_text(f"[web]\nbackoff = 0.05\n{of_site}\n")
    return place


BUILD = ("BuildFaceDataset", "--name", "d", "--source", "danbooru", "--query", "1girl solo", "--limit", str(COUNT))


@pytest.fixture(scope="module")
def first(tmp_path_factory, site) -> Path:
    """A data root with a dataset of the stand-in's, and its recipe."""
    place = configure(tmp_path_factory.mktemp("first"), site)
    luigi(place, *BUILD)
    luigi(place, "ExportRecipe", "--name", "d")
    return place


@pytest.fixture
def place(first, tmp_path, site) -> Path:
    """A copy of it."""
    shutil.copytree(first / "data", tmp_path / "data", symlinks=True)
    site.faults.clear()
    return configure(tmp_path, site)


def manifest(place: Path, name: str = "d") -> pd.DataFrame:
    return pd.read_parquet(place / f"data/datasets/{name}/manifest.parquet")


def rebuild(place: Path, recipe: Path, *options: str, check: bool = True) -> subprocess.CompletedProcess:
    return luigi(place, "RebuildFaceDataset", "--name", "d", "--manifest", str(recipe), *options, check=check)


def same_but_for_the_time(left: pd.DataFrame, right: pd.DataFrame) -> None:
    frames = (frame.drop(columns="fetched_at").reset_index(drop=True) for frame in (left, right))
    pd.testing.assert_frame_equal(*frames)


def test_a_recipe_has_everything_but_pixels(first):
    path = first / "data/recipes/d.parquet"
    pd.testing.assert_frame_equal(pd.read_parquet(path), manifest(first))
    assert path.stat().st_size < 60_000
    before = path.stat().st_mtime_ns
    luigi(first, "ExportRecipe", "--name", "d")
    assert path.stat().st_mtime_ns == before


def test_rebuilt_elsewhere_it_is_the_same(first, tmp_path, site):
    recipe, place = first / "data/recipes/d.parquet", configure(tmp_path / "second", site)
    site.faults.clear()
    site.log.clear()
    done = rebuild(place, recipe)
    same_but_for_the_time(manifest(first), manifest(place))
    assert "0 vanished, 0 changed" in done.stderr
    assert manifest(place)["fetched_at"].notna().all()
    requested = Counter(requested.path for requested in site.log)
    assert set(requested.values()) == {1}
    assert not any("posts.json" in path for path in requested)  # nobody's listing is needed
    for row in manifest(place).itertuples():
        assert (place / "data/datasets/d" / row.path).is_file()
    rebuild(place, recipe)
    assert sum(requested.values()) == len(site.log)  # nor anything, the second time


@pytest.mark.full
def test_what_vanished_or_changed_is_reported_and_the_rest_is_the_same(first, tmp_path, site):
    whole, place = manifest(first), configure(tmp_path / "second", site)
    pictures = sorted(set(whole["source_id"]))
    assert len(pictures) >= 20
    gone, changed = pictures[:: len(pictures) // 3][:3], pictures[1]
    site.faults[:] = [InjectedFailure(f"/{post}/", "status", code=404, times=99) for post in gone]
    site.faults.append(InjectedFailure(f"/{changed}/", "other_bytes", times=99))
    done = rebuild(place, first / "data/recipes/d.parquet")
    rest = whole[~whole["source_id"].isin([*gone, changed])]
    same_but_for_the_time(rest, manifest(place))
    assert f"{len(rest)} of {len(whole)} faces" in done.stderr
    assert "3 vanished (3 gone), 1 changed" in done.stderr
    reported = json.loads((place / "data/datasets/d/rebuild.json").read_text())
    assert sorted(reported["vanished"]["gone"]) == sorted(f"danbooru {post}" for post in gone)
    assert reported["changed"] == [f"danbooru {changed}"]
    funnel = pd.read_parquet(place / "data/datasets/d/funnel.parquet").set_index("source_id")
    assert {post: funnel.loc[post, "reason"] for post in gone} == dict.fromkeys(gone, "gone")
    assert funnel.loc[changed, "reason"] == "changed"
    site.faults.clear()
    rebuild(place, first / "data/recipes/d.parquet", "--retry-failed")
    same_but_for_the_time(whole, manifest(place))


@pytest.mark.full
def test_a_drawn_dataset_is_drawn_again_to_the_byte(tmp_path):
    luigi(tmp_path, "BuildFaceDataset", "--limit", "10", "--seed", "3", "--box-scale", "1.3", "--rotation", "7")
    luigi(tmp_path, "ExportRecipe")
    other = tmp_path / "other"
    other.mkdir()
    rebuild(other, tmp_path / "data/recipes/faces.parquet")
    paths = [
        root / "datasets" / name / "manifest.parquet"
        for root, name in ((tmp_path / "data", "faces"), (other / "data", "d"))
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    luigi(other, "ExportRecipe", "--name", "d")  # a rebuilt one can be shared on
    again = tmp_path / "again"
    again.mkdir()
    rebuild(again, other / "data/recipes/d.parquet")
    assert (again / "data/datasets/d/manifest.parquet").read_bytes() == paths[0].read_bytes()


@pytest.mark.full
def test_pictures_of_a_folder_cannot_be_had_and_that_is_reported(tmp_path, faces):
    (tmp_path / "pictures").mkdir()
    for number, data in enumerate(faces[:3]):
        (tmp_path / "pictures" / f"{number}.png").write_bytes(data)
    luigi(tmp_path, "BuildFaceDataset", "--name", "f", "--source", "folder", "--path", str(tmp_path / "pictures"))
    other = tmp_path / "other"
    other.mkdir()
    line = last_line(rebuild(other, tmp_path / "data/datasets/f/manifest.parquet", check=False))
    assert "none of its 3 pictures can be fetched, first 0.png: no_file_url" in line


@pytest.mark.full
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table.assign(size=100_000), "size"),
        (lambda table: table.assign(box_scale=1e9), "box_scale"),
        (lambda table: table.assign(image_id="../../etc/passwd"), "image_id"),
        (lambda table: table.assign(box=[[0.0, 0.0, 1e9, 1e9]] * len(table)), "box"),
        (lambda table: table.drop(columns="tilt"), "tilt"),
        (lambda table: table.iloc[:0], "no face"),
        (lambda table: table.assign(size="large"), "r.parquet"),
        (lambda table: table.assign(image_id=7), "r.parquet"),
        (lambda table: table.assign(tags=None), "r.parquet"),
        (lambda table: table.assign(tags=[[None]] * len(table)), "tags"),
        (lambda table: table.assign(split=None), "r.parquet"),
        (lambda table: table.assign(hair_scores=[[1.0]] * len(table)), "r.parquet"),
        (lambda table: table.assign(title="x" * 20_000_000), "rows of more than"),
    ],
)
def test_a_recipe_from_outside_is_looked_at_first(first, tmp_path, change, words):
    import pyarrow as pa
    import pyarrow.parquet as pq

    changed = change(manifest(first))
    pq.write_table(pa.Table.from_pandas(changed, preserve_index=False), tmp_path / "r.parquet")
    assert words in last_line(rebuild(tmp_path, tmp_path / "r.parquet", check=False))


@pytest.mark.full(keep=2)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("RebuildFaceDataset", "--manifest", "nothing.parquet"), "--manifest"),
        (("RebuildFaceDataset", "--manifest", "luigi.cfg"), "luigi.cfg"),
        (("ExportRecipe", "--name", "nothing"), "there is no such file"),
        (("ExportRecipe", "--name", "../x"), "--name"),
        (("Takedown",), "--artist"),
        (("Takedown", "--artist", "a", "--sha256", "b" * 64), "--artist"),
        (("Takedown", "--sha256", "abc"), "64"),
        (("Takedown", "--url-prefix", "https:"), "slash"),
        (("Takedown", "--artist", "a", "--data-root", "nowhere"), "nowhere"),
    ],
)
def test_each_mistake_is_one_clear_line(first, arguments, words):
    assert words in error_line(first, *arguments)


def holding(root: Path, needles: set[str]) -> dict[str, set[str]]:
    """Files below `root` whose bytes, name or unpacked columns hold any of the needles."""
    found = {}
    for path in root.rglob("*"):
        if path.is_file():
            data = path.read_bytes() + str(path).encode()
            if path.suffix == ".parquet":
                data += pd.read_parquet(path).to_json(date_format="iso").encode()
            if hits := {needle for needle in needles if needle.encode() in data}:
                found[str(path.relative_to(root))] = hits
    return found


def traces(place: Path, rows: pd.DataFrame) -> set[str]:
    """All by which the pictures of some rows can be known."""
    with closing(sqlite3.connect(place / "data/ledger.sqlite")) as ledger:
        urls = {url for (url,) in ledger.execute("SELECT url FROM file")} & set(rows["file_url"])
    assert urls
    return {*rows["image_id"], *rows["face_id"], *urls, *rows["page_url"]}


@pytest.mark.full
def test_a_takedown_leaves_no_trace_and_no_rebuild_brings_it_back(place, site):
    whole = manifest(place)
    artist = whole["artist"].iloc[0]
    theirs, others = whole[whole["artist"] == artist], whole[whole["artist"] != artist]
    assert 1 < len(theirs) < len(whole) - 4
    (place / "data/corrections").mkdir()
    hand = place / "data/corrections/d.csv"
    hand.write_text(f"{theirs['face_id'].iloc[0]},drop\n{others['face_id'].iloc[0]},hair_color=red\n")
    run = place / "data/runs/gan"
    (run / "generated").mkdir(parents=True)
    digest = hashlib.sha256((place / "data/datasets/d/manifest.parquet").read_bytes()).hexdigest()
    (run / "config.json").write_text(json.dumps({"dataset": {"digest": digest}}))
    (run / "generated/neighbours.png").write_bytes(b"their faces")
    needles = traces(place, theirs)
    assert {path.split("/")[0] for path in holding(place / "data", needles)} >= {
        "cache",
        "corrections",
        "datasets",
        "images",
        "ledger.sqlite",
        "recipes",
        "stages",
    }
    done = luigi(place, "Takedown", "--artist", artist.replace("_", " ").upper(), "--reason", "asked by mail")
    assert holding(place / "data", needles) == {}
    reported = re.search(r"taken down: (\d+) pictures, (\d+) faces", done.stderr)
    assert int(reported[1]) >= len(set(theirs["image_id"]))  # some have no face
    assert int(reported[2]) == len(theirs)
    assert "runs/gan was trained on them" in done.stderr
    assert not (run / "generated/neighbours.png").exists()
    left = manifest(place)
    assert set(left["face_id"]) == set(others["face_id"])
    assert not set(left["group"]) & set(theirs["image_id"])
    assert hand.read_text() == f"{others['face_id'].iloc[0]},hair_color=red\n"
    assert blocklist.read(place / "data").cells == {("artist", artist)}
    requested = len(site.log)
    luigi(place, *BUILD)
    assert set(manifest(place)["face_id"]) == set(others["face_id"])
    assert len(site.log) == requested
    luigi(place, *BUILD, "--refresh")
    rebuilt = manifest(place)
    assert set(rebuilt["face_id"]) >= set(others["face_id"])
    assert artist not in set(rebuilt["artist"])
    assert holding(place / "data/datasets", needles) == {}
    assert holding(place / "data/images", needles) == {}
    assert not any(
        "file" in requested.path and f"/{row}/" in requested.path
        for requested in site.log[requested:]
        for row in theirs.source_id
    )


@pytest.mark.full
def test_a_rebuild_of_a_recipe_obeys_the_block_list(first, tmp_path, site):
    whole, place = manifest(first), configure(tmp_path / "second", site)
    artist, victim = whole["artist"].iloc[0], whole[whole["artist"] != whole["artist"].iloc[0]].iloc[0]
    (place / "data").mkdir()
    (place / "data/blocklist.csv").write_text(f"artist,sha256\n{artist},\n,{victim.image_id}\n")
    rebuild(place, first / "data/recipes/d.parquet")
    rest = whole[(whole["artist"] != artist) & (whole["image_id"] != victim.image_id)]
    same_but_for_the_time(rest, manifest(place))
    reasons = pd.read_parquet(place / "data/datasets/d/funnel.parquet")["reason"]
    assert set(reasons) == {"blocked"}
    assert not list((place / "data/images").rglob(f"{victim.image_id}*"))


@pytest.mark.parametrize("kind", ["sha256", "face", "url_prefix"])
def test_one_picture_is_taken_down_by_its_hash_its_crops_hash_or_its_address(place, kind):
    whole = manifest(place)
    victim = whole.iloc[len(whole) // 2]
    text = {"sha256": victim.image_id, "face": victim.face_id, "url_prefix": victim.page_url}[kind]
    outcome = takedown.take_down(place / "data", kind.replace("face", "sha256"), text, "")
    theirs = whole[whole["image_id"] == victim.image_id]
    found = holding(place / "data", traces_of(theirs))
    assert found.keys() <= {"blocklist.csv"}
    assert (outcome.images, outcome.faces) == (1, len(theirs))
    assert set(manifest(place)["face_id"]) == set(whole["face_id"]) - set(theirs["face_id"])
    card = (place / "data/datasets/d/README.md").read_text()
    assert "`taken down` | `1`" in card


def test_of_a_copy_it_is_no_longer_known_whose_it_was(place):
    funnel = pd.read_parquet(place / "data/datasets/d/funnel.parquet")
    copies = funnel[funnel.reason == "duplicate"].set_index("source_id").detail
    theirs = copies == copies.iloc[0]
    whole, of = manifest(place), copies.iloc[0].rpartition(" ")[2]
    takedown.take_down(place / "data", "sha256", whole[whole.source_id == of].image_id.iloc[0], "")
    after = pd.read_parquet(place / "data/datasets/d/funnel.parquet").set_index("source_id").detail
    assert set(after[copies[theirs].index]) == {""}
    assert len(copies[~theirs])
    assert after[copies[~theirs].index].equals(copies[~theirs])


def traces_of(rows: pd.DataFrame) -> set[str]:
    return {*rows["image_id"], *rows["face_id"], *rows["file_url"]}


def test_a_takedown_that_is_killed_is_finished_by_the_next(place, monkeypatch):
    """At every step, whichever it is: the steps are those of the functions that change something."""
    whole = manifest(place)
    artist = whole["artist"].iloc[0]
    needles = traces_of(whole[whole["artist"] == artist])
    steps = [
        "_datasets",
        "_keep_report",
        "_discard",
        "_rewrite_recipe",
        "_runs",
        "_remove_files",
        "_execute_and_vacuum",
    ]

    class Killed(BaseException):
        pass

    def kill(*_, **__) -> None:
        raise Killed

    for owner, step in [*((takedown, step) for step in steps), (takedown.os, "replace"), (takedown.shutil, "rmtree")]:
        with monkeypatch.context() as patch:
            patch.setattr(owner, step, kill)
            with pytest.raises(Killed):
                takedown.take_down(place / "data", "artist", artist, "")
    assert (place / "data/takedown.json").exists()
    takedown.take_down(place / "data", "artist", "somebody else", "")
    assert holding(place / "data", needles) == {}
    assert not (place / "data/takedown.json").exists()


def test_a_dataset_of_which_nothing_is_left_is_removed(place):
    outcome = takedown.take_down(place / "data", "url_prefix", manifest(place)["page_url"][0].rpartition("/")[0], "")
    assert "removed" in outcome.datasets["d"]
    assert not (place / "data/datasets/d").exists()
    assert not list((place / "data/images").rglob("*.*"))


def test_while_another_process_works_nothing_is_taken_down(place):
    from pipeline.store import Store

    with Store(place / "data", "abc").claim():
        assert "another process" in error_line(place, "Takedown", "--artist", "x")


def test_groups_that_were_named_by_it_are_named_anew():
    import pyarrow as pa

    from pipeline.datasets.splits import split_of

    table = pa.table({"image_id": ["b", "c", "a", "d", "e"], "group": ["a", "a", "a", "d", "d"], "split": ["val"] * 5})
    left = takedown._remove_rows(table, Removal(images={"a"}), "image_id").to_pydict()
    assert left["image_id"] == ["b", "c", "d", "e"]
    assert left["group"] == ["b", "b", "d", "d"]
    assert left["split"] == [split_of("b")] * 2 + ["val"] * 2


@pytest.mark.full
def test_what_could_not_be_had_of_an_artist_leaves_no_row_either(tmp_path, site):
    place = configure(tmp_path, site)
    posts = [post for post in site.posts if post.is_picture and post.rating == "general" and not post.is_hidden]
    victim = next(post for post in posts if "solo" in post.tags)
    site.faults[:] = [InjectedFailure(f"/{victim.id}/", "status", code=404, times=99)]
    luigi(place, *BUILD)
    funnel = place / "data/datasets/d/funnel.parquet"
    assert str(victim.id) in set(pd.read_parquet(funnel)["source_id"])
    luigi(place, "Takedown", "--artist", f"artist_{victim.n % 4}")
    assert str(victim.id) not in set(pd.read_parquet(funnel)["source_id"])
    assert holding(place / "data", {victim.file("danbooru")}) == {}


@pytest.mark.full
def test_a_takedown_killed_at_any_file_leaves_nothing(place, monkeypatch):
    """Whatever file is the next to be removed when the process dies: of folders, too, that are removed file by file."""
    whole = manifest(place)
    artist = whole["artist"].iloc[0]
    needles = traces_of(whole[whole["artist"] == artist])
    unlink, left, kills = os.unlink, 0, 0

    class Killed(BaseException):
        pass

    def dying(*arguments, **more):
        nonlocal left, kills
        left -= 1
        if left < 0:
            kills += 1
            raise Killed
        return unlink(*arguments, **more)

    for count in (0, 1, 2, 3, 5, 8, 13, 21, 34, 55):
        with monkeypatch.context() as patch:
            patch.setattr(os, "unlink", dying)
            left = count
            with contextlib.suppress(Killed):
                takedown.take_down(place / "data", "artist", artist, "")
    assert kills >= 5
    takedown.take_down(place / "data", "artist", artist, "")
    assert holding(place / "data", needles) == {}
    assert set(manifest(place)["face_id"]) == set(whole[whole["artist"] != artist]["face_id"])


def test_the_same_file_from_an_address_that_names_no_artist_leaves_no_trace_either(place):
    victim = manifest(place).iloc[0]
    with closing(sqlite3.connect(place / "data/ledger.sqlite")) as ledger, ledger:
        ledger.execute(
            "INSERT INTO file SELECT 'urls', 'https://mirror.example/1.png', outcome, detail, image_id, path, bytes, "
            "is_as_promised, fetched_at, came_from FROM file WHERE image_id = ?",
            (victim.image_id,),
        )
    shutil.rmtree(place / "data/stages")  # the ledger alone knows whose it is
    shutil.rmtree(place / "data/recipes")
    shutil.rmtree(place / "data/datasets")
    takedown.take_down(place / "data", "artist", victim.artist, "")
    assert holding(place / "data", {victim.image_id, victim.face_id, "mirror.example"}) == {}


@pytest.mark.full
def test_a_file_that_cannot_be_read_is_named_and_the_rest_is_taken_down(place):
    whole = manifest(place)
    (place / "data/recipes/junk.parquet").write_bytes(b"junk")
    done = luigi(place, "Takedown", "--artist", whole["artist"][0])
    assert "data/recipes/junk.parquet could not be read: look at it yourself" in done.stderr
    assert (place / "data/recipes/junk.parquet").read_bytes() == b"junk"
    assert set(manifest(place)["face_id"]) == set(whole[whole["artist"] != whole["artist"][0]]["face_id"])


@pytest.mark.full
def test_a_version_of_an_older_program_does_not_stop_it(place):
    whole = manifest(place)
    old = place / "data/datasets/.versions/0123456789abcdef"
    old.mkdir()
    whole.drop(columns="monochrome").to_parquet(old / "manifest.parquet")
    luigi(place, "Takedown", "--artist", whole["artist"][0])
    assert not old.exists()


@pytest.mark.full
def test_corrections_in_any_encoding_lose_their_lines_and_nothing_else(place):
    whole = manifest(place)
    victim, other = whole["face_id"][0], whole["face_id"][len(whole) - 1]
    assert whole["artist"][0] != whole["artist"][len(whole) - 1]
    (place / "data/corrections").mkdir()
    path = place / "data/corrections/another.csv"
    by_place = f"{'0' * 64},drop,{whole['image_id'][0]},1 2 3 4\r\n"
    path.write_bytes(f"\ufeff{victim.upper()},drop\r\n{by_place}{other},drop\r\n".encode() + b"\xff\xfe,x\r\n")
    takedown.take_down(place / "data", "artist", whole["artist"][0], "")
    assert path.read_bytes() == f"{other},drop\r\n".encode() + b"\xff\xfe,x\r\n"


def test_runs_that_began_with_a_run_on_them_are_named_too(place):
    digest = hashlib.sha256((place / "data/datasets/d/manifest.parquet").read_bytes()).hexdigest()
    runs = {"a": (digest, None), "b": ("0" * 64, "a"), "c": ("0" * 64, "b"), "d": ("0" * 64, None)}
    for name, (trained_on, first) in runs.items():
        (place / "data/runs" / name).mkdir(parents=True)
        settings = {"dataset": {"digest": trained_on}, "init_from": first and {"run": first}}
        (place / "data/runs" / name / "config.json").write_text(json.dumps(settings))
    outcome = takedown.take_down(place / "data", "artist", manifest(place)["artist"][0], "")
    assert outcome.runs == ["a", "b", "c"]
    assert outcome.unknown_runs == ["d"]


def test_what_is_left_of_its_groups_is_named():
    import pyarrow as pa

    held = pa.table(
        {"image_id": ["a", "b", "c"], "face_id": ["1", "2", "3"], "group": ["a", "a", "c"], "split": ["val"] * 3}
    )
    removal = Removal(images={"a"})
    words = takedown._near_duplicates(KINDS["faces"], held, takedown._remove_rows(held, removal, "image_id"), removal)
    assert words.startswith("; 1 of them are near-duplicates")


def test_nothing_taken_down_is_reported(place):
    done = luigi(place, "Takedown", "--sha256", "ab" * 32)
    assert "taken down: 0 pictures" in done.stderr
    assert "nothing of" in done.stderr


@pytest.mark.slow
def test_a_rebuild_after_a_takedown_knows_what_is_missing(first, tmp_path, site):
    whole, place = manifest(first), configure(tmp_path / "second", site)
    site.faults.clear()
    artist = whole["artist"].iloc[0]
    recipe = tmp_path / "old.parquet"
    shutil.copy(first / "data/recipes/d.parquet", recipe)
    rebuild(place, recipe)
    assert (place / "data/datasets/d/rebuild.json").exists()
    theirs = whole[whole["artist"] == artist]
    done = luigi(place, "Takedown", "--artist", artist)
    assert (place / "data/datasets/d/rebuild.json").exists()
    done = rebuild(place, recipe)
    count = len(set(theirs["image_id"]))
    assert f"{count} vanished ({count} blocked), 0 changed" in done.stderr
    assert holding(place / "data", {*theirs["image_id"], *theirs["face_id"], *theirs["file_url"]}) == {}
    (place / "data/blocklist.csv").unlink()
    rebuild(place, recipe, "--retry-failed")
    same_but_for_the_time(whole, manifest(place))
    card = (place / "data/datasets/d/README.md").read_text()
    assert "0 vanished, 0 changed" in card
    assert "`harvest`" not in card


@pytest.mark.full
def test_a_rebuild_leaves_the_sites_own_crawls_alone_and_takes_what_is_here(first, tmp_path, site):
    whole, place = manifest(first), configure(tmp_path / "second", site)
    changed = whole["source_id"].iloc[3]
    site.faults[:] = [InjectedFailure(f"/{changed}/", "other_bytes", times=99)]
    rebuild(place, first / "data/recipes/d.parquet")
    site.faults.clear()
    site.log.clear()
    luigi(place, "BuildFaceDataset", "--name", "own", *BUILD[3:])
    assert changed in set(manifest(place, "own")["source_id"])
    site.log.clear()
    rebuild(place, first / "data/recipes/d.parquet", "--retry-failed")
    assert not [call for call in site.log if "/files/" in call.path]  # it came meanwhile, for the other
    same_but_for_the_time(whole, manifest(place))


@pytest.mark.full
def test_a_recipe_is_no_way_round_ratings_and_no_picture_is_lost_from_its_report(first, tmp_path, site):
    import pyarrow.parquet as pq

    site.faults.clear()
    whole = manifest(first)
    place = configure(tmp_path / "second", site)
    changed = whole.assign(rating=["e" if n < 4 else "g" for n in range(len(whole))])
    changed["source"] = ["my own source" if 4 <= n < 6 else "danbooru" for n in range(len(whole))]
    import pyarrow as pa

    pq.write_table(pa.Table.from_pandas(changed, preserve_index=False), tmp_path / "r.parquet")
    (place / "luigi.cfg").write_text((place / "luigi.cfg").read_text() + f"[urls]\nbase_url = {site.url}\nrate = 0\n")
    done = rebuild(place, tmp_path / "r.parquet")
    lost = len(set(whole["image_id"][:4]))
    assert f"{lost} vanished ({lost} rating)" in done.stderr
    assert len(manifest(place)) == len(whole) - 4
