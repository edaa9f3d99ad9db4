import contextlib
import sqlite3
from collections.abc import Iterator

import pytest

from pipeline.faces import crop, detect
from pipeline.faces.boxes import Face
from pipeline.hair import tagging
from pipeline.images.collect import collect
from pipeline.sources.base import BytesReader, Post
from pipeline.store import Store

CUT = {"size": 64, "frame": crop.Frame(1.5), "rotation": 0.0}


@pytest.fixture
def images(faces, store):
    posts = [Post(str(i), BytesReader(data), str(i)) for i, data in enumerate(faces[:6])]
    return collect(posts, "folder", 0, store, jobs=1)[0]


def works(store: Store) -> list:
    return [crop.cutting(store, **CUT), *tagging.picture_work("auto", None)]


def found(images, store: Store, **options):
    settings = {"detector": "lbpcascade", "sweep": "fast", "min_face": 48, "folder": None, "jobs": 1}
    return detect.detect(images, store, **settings | options)[0]


def finished(faces, store: Store):
    crops, drops = crop.cut(faces, store, **CUT, jobs=1)
    assert not drops
    return tagging.tag(crops, store, tagger="auto", folder=None, jobs=1)[0]


@contextlib.contextmanager
def counted(monkeypatch, place, name: str) -> Iterator[list]:
    calls, function = [], getattr(place, name)
    with monkeypatch.context() as patch:
        patch.setattr(place, name, lambda *inputs, **options: (calls.append(inputs), function(*inputs, **options))[1])
        yield calls


def results(store: Store) -> set:
    with contextlib.closing(sqlite3.connect(store.root / "cache/results.sqlite")) as database:
        return set(database.execute("SELECT name, key, value FROM result"))


@pytest.mark.parametrize("expected", [None, Face((100.123, 90.456, 299.789, 290.122), 3.3, 0.0)])
def test_later_stages_find_what_was_done_while_faces_were_detected(images, store, monkeypatch, expected):
    ahead = found(images, store, later=works(store), expected=expected)
    before = results(store)
    with counted(monkeypatch, crop, "load") as again:
        table = finished(ahead, store)
    assert not again
    assert results(store) == before
    for name, count in {"crops/": len(ahead), "hair/": len(ahead)}.items():
        kept = [row for row in before if row[0].startswith(name)]
        assert sum(row[1].count("(") for row in kept) == count > 0
    (store.root / "cache/results.sqlite").unlink()
    alone = found(images, store, expected=expected)
    assert not any(name.startswith(("crops/", "hair/")) for name, *_ in results(store))
    assert finished(alone, store) == table
    assert results(store) | before == before


def test_work_that_lacks_memory_is_left_to_its_own_stage(images, store, monkeypatch):
    def without_memory(*inputs, **options):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(crop, "crop", without_memory)
        faces = found(images, store, later=works(store))
    assert {name.split("/")[0] for name, *_ in results(store)} == {"images", "detect", "hair"}
    assert len(finished(faces, store)) == len(faces) > 0
