"""A process of Node with the page's modules."""

from collections.abc import Iterator

import pytest

from tests.support.page_modules import PageModules


@pytest.fixture(scope="package")
def js() -> Iterator[PageModules]:
    modules = PageModules()
    yield modules
    modules.close()
