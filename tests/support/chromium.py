"""A real Chromium for tests of pages, which may talk to 127.0.0.1 alone."""

import contextlib
import os
import shutil
from collections.abc import Iterator

import pytest

CHROMIUM = os.environ.get("CHROMIUM", "chromium")


@contextlib.contextmanager
def chromium() -> Iterator:
    """Give Playwright's browser; skip the test where there is no Chromium."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = shutil.which(CHROMIUM) or pytest.skip(f"no {CHROMIUM}: apt-get install chromium")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
