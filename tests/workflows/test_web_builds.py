"""Datasets from sites, by the command line: whole, killed, asked again."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from tests.support.fake_site import FakeSite, InjectedFailure, keeps_apart
from tests.support.run_luigi import ROOT, error_line, luigi, start_luigi


def serve(faces: list[bytes], posts: int) -> FakeSite:
    """Every post has bytes of its own: a PNG may have anything behind its end."""
    return FakeSite(posts, pictures=lambda number: faces[number % len(faces)] + str(number).encode())


@pytest.fixture
def site(faces):
    with serve(faces, 30) as site:
        yield site


@pytest.fixture
def place(tmp_path, site, monkeypatch) -> Path:
    """A folder whose luigi.cfg points at the stand-in."""
    configure(tmp_path, site)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))
    monkeypatch.setenv("ANIME_ASSETS", str(assets_folder()))
    return tmp_path


def assets_folder() -> Path:
    from pipeline import assets

    return assets.fetch("lbpcascade_animeface.xml").parent


def configure(place: Path, site: FakeSite, **more: str) -> None:
    printed = {"base_url": f"{site.url}/safebooru", "rate": "0"} | more
    lines = ["[web]", "contact = tests@example.org", "backoff = 0.05", "[safebooru]"]
    (place / "luigi.cfg").write_text("\n".join([*lines, *(f"{key} = {value}" for key, value in printed.items())]))


QUESTION = ("BuildFaceDataset", "--name", "s", "--source", "safebooru", "--query", "1girl solo")


def manifest(place: Path) -> pd.DataFrame:
    """But for what differs from one harvest to the next."""
    return pd.read_parquet(place / "data/datasets/s/manifest.parquet").drop(columns="fetched_at")


def files_requested(site: FakeSite) -> Counter:
    return Counter(requested.path for requested in site.log if "/images/" in requested.path)


def test_a_question_to_a_site_ends_in_a_dataset(place, site):
    done = luigi(place, *QUESTION, "--limit", "12")
    assert "asking for at most 1 page and 12 files, about 12 MB" in done.stderr
    faces = pd.read_parquet(place / "data/datasets/s/manifest.parquet")
    assert len(faces) >= 8
    posts = {str(post.id): post for post in site.posts}
    for row in faces.itertuples():
        post = posts[row.source_id]
        assert row.image_id == post.sha256
        assert set(post.tags) == set(row.tags)
        assert row.rating in ("general", "safe")
        assert row.page_url.endswith(f"id={post.id}")
        assert row.file_url.endswith((".png", ".jpg"))
    assert set(faces["split"]) <= {"train", "val", "test"}
    assert faces["fetched_at"].notna().all()
    card = (place / "data/datasets/s/README.md").read_text()
    assert "complete: 12 expected: 12 fetched" in card
    requested = len(site.log)
    luigi(place, *QUESTION, "--limit", "12")
    assert len(site.log) == requested
    site.add_posts(4)
    luigi(place, *QUESTION, "--limit", "12", "--refresh")
    assert set(files_requested(site).values()) == {1}
    more = pd.read_parquet(place / "data/datasets/s/manifest.parquet")
    assert set(faces["source_id"]) < set(more["source_id"])
    assert all(requested.headers["user-agent"].count("tests@example.org") == 1 for requested in site.log)


@pytest.mark.full
def test_what_failed_is_reported_in_the_card_and_requested_again(place, site):
    victim = next(post for post in site.posts if post.is_picture and post.rating == "general" and "solo" in post.tags)
    site.faults.append(InjectedFailure(f"/{victim.id}/", "status", code=404))
    luigi(place, *QUESTION, "--limit", "12")
    card = (place / "data/datasets/s/README.md").read_text()
    assert re.search("not complete: 12 expected: 11 fetched, .*1 gone", card)
    dropped = pd.read_parquet(place / "data/datasets/s/funnel.parquet")
    assert dropped[dropped.source_id == str(victim.id)].reason.tolist() == ["gone"]
    luigi(place, *QUESTION, "--limit", "12", "--retry-failed")
    assert "`complete: 12 expected: 12 fetched" in (place / "data/datasets/s/README.md").read_text()
    assert files_requested(site).most_common(1)[0][1] == 2
    assert sum(files_requested(site).values()) == 13


@pytest.mark.full(keep=1)
@pytest.mark.parametrize(
    ("settings", "options", "words"),
    [
        ({"rate": "often"}, (), "rate = often"),
        ({"rates": "1"}, (), "rates is no setting"),
        ({"base_url": "file:///etc"}, (), "base_url"),
        ({"files": "all"}, (), "original or sample"),
        ({}, ("--source", "drawn", "--query", "", "--refresh"), "--refresh"),
        ({}, ("--source", "moebooru"), "no base_url"),
        ({}, ("--query", "nothing_has_this_tag"), "nothing_has_this_tag"),
        ({}, ("--query", "rating:explicit"), "rating:explicit"),
        ({"base_url": "http://127.0.0.1:1/"}, (), "run the same command again"),
    ],
)
def test_each_mistake_is_one_clear_line(place, site, settings, options, words):
    configure(place, site, **settings)
    assert words in error_line(place, *QUESTION, "--limit", "3", *options)


def fetched(place: Path) -> set[str]:
    """Paths of the files that the ledger has as fetched."""
    with closing(sqlite3.connect(place / "data/ledger.sqlite")) as ledger:
        try:
            rows = ledger.execute("SELECT url FROM file WHERE outcome = 'fetched'").fetchall()
        except sqlite3.OperationalError:  # killed before there was a table
            return set()
    return {"/" + url.split("/", 3)[3] for (url,) in rows}


Moment = Callable[[float], bool]  # seconds since the start -> whether to kill now


def killed(place: Path, is_now: Moment, *options: str) -> bool:
    """Start the build and kill it at a moment; whether it was still running."""
    process, start = start_luigi(place, *QUESTION, *options), time.monotonic()
    while process.poll() is None and not is_now(time.monotonic() - start):
        time.sleep(0.01)
    process.kill()  # nothing if it has ended
    return process.wait() == -signal.SIGKILL


def kills(place: Path, site: FakeSite, moments: list[Moment], *options: str) -> int:
    """Kill at each moment and go on; how many kills hit. No file that the ledger has is asked for again."""
    hits, had, requested_before = 0, set(), 0
    for is_now in [*moments, lambda seconds: seconds > 600]:
        hits += killed(place, is_now, *options)
        again = {requested.path for requested in site.log[requested_before:]} & had
        assert not again
        had, requested_before = fetched(place), len(site.log)
    return hits


def same_but_for_the_time(place: Path, other: Path) -> None:
    pd.testing.assert_frame_equal(manifest(place), manifest(other))


def asked_twice(site: FakeSite) -> int:
    """Files that came whole more than once."""
    whole = Counter(requested.path for requested in site.log if "/images/" in requested.path and requested.whole)
    return sum(count - 1 for count in whole.values())


@pytest.mark.slow
def test_killed_and_run_again_is_the_same_and_requests_nothing_twice(tmp_path, place, site):
    other = tmp_path / "other"
    other.mkdir()
    options = ("--limit", "14")
    luigi(place, *QUESTION, *options)
    site.log.clear()
    configure(other, site, rate="20")
    hits = kills(other, site, [lambda _, n=n: len(files_requested(site)) >= n for n in (1, 4, 8, 12)], *options)
    assert hits == 4
    same_but_for_the_time(place, other)
    assert asked_twice(site) <= hits  # what was on its way when the process died


def test_an_interrupt_ends_it_soon_whatever_a_host_does(place, site):
    site.faults.append(InjectedFailure("/images/", "drip", times=99))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "luigi", "--module", "workflows", *QUESTION, "--limit", "3"],
        cwd=place,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not files_requested(site):
        time.sleep(0.1)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    reported = process.communicate(timeout=30)[1]
    assert time.monotonic() - start < 10
    assert "interrupted" in reported.strip().splitlines()[-1]
    assert process.returncode != 0


@pytest.mark.full
def test_two_processes_at_once_share_one_budget(place, site):
    configure(place, site, rate="5")
    with open(place / "luigi.cfg", "a") as file:
        file.write(f"\n[danbooru]\nbase_url = {site.url}/danbooru\nrate = 5\n")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "luigi", "--module", "workflows", "ScrapeImages", "--limit", "12", "--source"]
    processes = [
        subprocess.Popen(
            [*command, source], cwd=place, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for source in ("safebooru", "danbooru")
    ]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    order = ["danbooru" in requested.path for requested in site.log]
    assert 0 < order.index(True) < len(order) - 1 - order[::-1].index(False)  # they did ask at the same time
    times = sorted(requested.time for requested in site.log)
    assert len(times) >= 2 * (12 + 2)
    assert keeps_apart(times, 0.2)


@pytest.mark.slow
def test_killed_at_many_moments_is_the_same_and_requests_nothing_twice(tmp_path, place, faces):
    options = ("--limit", "200")
    other = tmp_path / "other"
    other.mkdir()
    with serve(faces, 320) as site:
        configure(place, site, rate="12")
        luigi(place, *QUESTION, *options)
        site.log.clear()
        configure(other, site, rate="12")
        pauses = [1.4 + 0.05 * k for k in range(30)]
        hits = kills(other, site, [lambda seconds, pause=pause: seconds > pause for pause in pauses], *options)
        assert hits >= 20
        same_but_for_the_time(place, other)
        print(f"{hits} kills, {asked_twice(site)} files of 200 on their way at one of them")
        assert asked_twice(site) <= hits
        assert len(files_requested(site)) == 200
