"""Chromium, and pages that it shows from this machine alone."""

import contextlib
import os
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page, Route, sync_playwright

from models.page import npm, server

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
AXE = Path(__file__).with_name("axe")
WAIT_MS = 120_000  # machines that run tests are busy
PIXELS = """canvas => {
    const { width, height } = canvas;
    return { width, height, data: [...canvas.getContext("2d").getImageData(0, 0, width, height).data] };
}"""
DROPPED = """([name, bytes]) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(bytes)], name));
    return data;
}"""


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser; an error says how to get it, as a test that is skipped proves nothing."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "no browser: apt-get install chromium, or name one in CHROMIUM"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextlib.contextmanager
def served(folder: Path, handler: type[SimpleHTTPRequestHandler] = server.Handler) -> Iterator[str]:
    """Serve a folder; give its address, without a slash at the end."""
    with server.open_server(folder, "127.0.0.1", 0, handler) as opened:
        threading.Thread(target=opened.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{opened.server_address[1]}"
        opened.shutdown()


class Visit:
    """A page in a browser context of its own. What it asks of other machines is refused, and remembered; so are its
    errors."""

    def __init__(self, browser: Browser, address: str, **options: Any) -> None:
        self.address = address
        self.strangers: list[str] = []
        self.errors: list[str] = []
        self.context = browser.new_context(**{"accept_downloads": True, "locale": "en-GB"} | options)
        self.context.set_default_timeout(WAIT_MS)
        self.context.route("**/*", self._admit)
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)

    def _admit(self, route: Route) -> None:
        if route.request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            route.continue_()
        else:
            self.strangers.append(route.request.url)
            route.abort()

    def go(self, state: str = "") -> None:
        """Show the page with this state after `#`, and wait until all is painted."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.address}/#{state}")
        self.settle()

    def settle(self) -> None:
        """Wait until the page has painted what it is to paint, or says what went wrong."""
        self.page.wait_for_selector('[role=tabpanel]:not([hidden])[aria-busy="false"], .alert:not([hidden])')

    @property
    def state(self) -> str:
        """Return what is in the address after `#`."""
        found: str = self.page.evaluate("location.hash.slice(1)")  # which is ahead of `page.url`
        return found

    @property
    def alert(self) -> str:
        """Return what the page says went wrong."""
        self.page.wait_for_selector(".alert:not([hidden])")
        return self.page.locator(".alert p").inner_text()

    def pixels(self, selector: str = ".grid canvas", number: int = 0) -> np.ndarray:
        """Return what a canvas shows, (H, W, 3) uint8."""
        found = self.page.locator(selector).nth(number).evaluate(PIXELS)
        return np.array(found["data"], np.uint8).reshape(found["height"], found["width"], 4)[..., :3]

    def save(self, button: str, target: Path) -> Path:
        """Press a button that saves a file, and return the file."""
        with self.page.expect_download() as download:
            self.page.get_by_role("button", name=button, exact=True).click()
        path = target / download.value.suggested_filename
        download.value.save_as(path)
        return path

    def drop(self, path: Path) -> None:
        """Drop a file on the page."""
        data = self.page.evaluate_handle(DROPPED, [path.name, [*path.read_bytes()]])
        for event in ("dragover", "drop"):
            self.page.dispatch_event("main", event, {"dataTransfer": data})

    def check_fit(self) -> None:
        """Assert that nothing is wider than the window, and that the tab is seen whose panel is shown."""
        assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        box = self.page.get_by_role("tab", selected=True).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= self.page.viewport_size["width"]

    def violations(self) -> list[str]:
        """Return what axe-core calls serious or critical."""
        return violations(self.page)


def violations(page: Page) -> list[str]:
    """Return what axe-core calls serious or critical in a page."""
    page.evaluate((npm.install(AXE) / "axe-core/axe.min.js").read_text())
    return [
        f"{each['id']}: {node['html'][:120]}"
        for each in page.evaluate("axe.run()")["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]
