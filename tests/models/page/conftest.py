"""A process of Node with the page's modules, and a browser."""

from collections.abc import Iterator

import pytest

from tests.support import browser
from tests.support.page_modules import PageModules


@pytest.fixture(scope="package")
def js() -> Iterator[PageModules]:
    modules = PageModules()
    yield modules
    modules.close()


@pytest.fixture(scope="package")
def chromium() -> Iterator[browser.Browser]:
    with browser.chromium() as started:
        yield started
