"""The page of the review, in Chromium."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from pipeline.datasets import corrections
from tests.pipeline.datasets.review.test_server import serving
from tests.support.browser import WAIT_MS, Visit, chromium, violations
from tests.support.review_dataset import write_dataset

OFFLINE = "ERR_INTERNET_DISCONNECTED"
HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>\u202e{{7*7}} javascript:alert(3)'


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@contextlib.contextmanager
def opened(browser, server, **options) -> Iterator[Page]:
    """Give the page of a server; it must ask nobody else, and report no error but that it is offline."""
    visit = Visit(browser, server.url, **options)
    visit.page.goto(server.url)
    visit.page.wait_for_selector("body[data-ready]")
    yield visit.page
    assert visit.strangers == []
    assert [each for each in visit.errors if OFFLINE not in each] == []
    visit.context.close()


def written(root: Path) -> dict[str, str]:
    return {key: each.what for key, each in corrections.read(root, "d").items()}


def active(page) -> int:
    return int(page.get_attribute(".active", "data-index"))


def await_count(page, selector: str, count: int) -> None:
    expect(page.locator(selector)).to_have_count(count, timeout=WAIT_MS)


def press(page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_with_the_keyboard_alone_faces_are_kept_dropped_recoloured_and_all_is_undone(browser, tmp_path):
    root = tmp_path / "data"
    ids = write_dataset(root, "d", 24)
    with serving(root) as server, opened(browser, server) as page:
        page.focus("#order")
        page.keyboard.press("a")  # as in the manifest
        page.focus("#grid")
        press(page, "Home", "k", "d", "4", "0")
        await_count(page, ".mark:not(:empty)", 4)
        assert written(root) == dict(zip(ids, ["keep", "drop", "hair_color=blue", "hair_color=none"], strict=False))
        assert active(page) == 4
        press(page, "Shift+ArrowRight", "Shift+ArrowRight", "d")
        await_count(page, "[data-state=drop]", 4)
        assert "4 dropped" in page.inner_text("#progress")
        press(page, "u", "Control+z", "u")
        await_count(page, ".mark:not(:empty)", 2)
        assert written(root) == dict(zip(ids, ["keep", "drop"], strict=False))
        assert active(page) == 2
        press(page, "Home", "Enter")
        page.wait_for_selector("#large[open] svg rect.own")
        press(page, "ArrowRight", "k")
        await_count(page, "[data-state=keep]", 2)
        press(page, "Escape", "End")
        assert active(page) == 23
        page.focus("#done")
        page.keyboard.press("Enter")
        page.wait_for_selector("#over")
        assert server.done.is_set()
    assert written(root) == dict(zip(ids, ["keep", "keep"], strict=False))


def test_what_is_shown_is_chosen_and_ordered(browser, tmp_path):
    root = tmp_path / "data"
    ids = write_dataset(root, "d", 24)
    (root / "corrections").mkdir()
    (root / "corrections/d.csv").write_text(f"{ids[0]},drop\n{ids[1]},hair_color=red\n")
    with serving(root) as server, opened(browser, server) as page:

        def shown() -> list[int]:
            labels = page.eval_on_selector_all("[role=option]", "cells => cells.map(cell => cell.ariaLabel)")
            return [int(label.split(",")[0]) - 1 for label in labels]

        page.click("#colors [data-color=red]")
        assert shown() == [16, 7, 1]  # the most doubtful first
        page.click("#colors [data-color='']")
        for order, key in {"score_down": lambda i: -(i % 7), "tilt": lambda i: -abs(i % 40 - 20)}.items():
            page.select_option("#order", order)
            assert shown() == sorted(range(24), key=key)
        page.select_option("#state", "dropped")
        assert shown() == [0]
        page.select_option("#state", "undecided")
        assert sorted(shown()) == [*range(2, 24)]


def test_hostile_texts_are_shown_as_text(browser, tmp_path):
    root = tmp_path / "data"
    write_dataset(
        root, "d", 2, title=HOSTILE, artist=HOSTILE, source=HOSTILE, page_url="javascript:alert(4)", tags=[HOSTILE]
    )
    with serving(root) as server, opened(browser, server) as page:
        page.wait_for_selector("#enlarge svg")
        facts = page.text_content("#facts")
        assert facts.count(HOSTILE) == 4
        assert "javascript:alert(4)" in facts
        assert page.query_selector_all("#facts img, #facts script, #facts a, #filters img") == []
        assert page.text_content("#source option:last-child") == HOSTILE


def test_a_server_that_has_gone_is_said_and_nothing_is_shown_as_saved(browser, tmp_path):
    root = tmp_path / "data"
    write_dataset(root, "d", 3)
    with serving(root) as server, opened(browser, server) as page:
        page.wait_for_selector("#enlarge svg")
        page.context.set_offline(True)
        page.keyboard.press("d")
        page.wait_for_selector("#problem:not([hidden])")
        assert "Start ReviewDataset again" in page.inner_text("#problem")
        assert page.query_selector_all("[data-state=drop]") == []


def test_a_phone_sized_window_fits_and_works_by_touch_in_japanese(browser, tmp_path):
    root = tmp_path / "data"
    ids = write_dataset(root, "d", 24)
    phone = {"viewport": {"width": 390, "height": 740}, "has_touch": True, "is_mobile": True, "locale": "ja-JP"}
    with serving(root) as server, opened(browser, server, **phone) as page:
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.get_attribute("html", "lang") == "ja"
        page.tap("#cell-4")
        page.tap("#verdicts [data-what=drop]")
        page.wait_for_selector("[data-state=drop]")
        for button in page.query_selector_all("#actions button"):
            box = button.bounding_box()
            assert box["y"] + box["height"] <= 740
            assert box["height"] >= 24
        assert page.inner_text("#verdicts [data-what=drop]").startswith("除外")
    assert len(written(root)) == 1
    assert set(written(root)) < set(ids)


FRAMES = 60
SCROLL = """async (frames) => {
  const grid = document.getElementById("grid");
  for (let frame = 0; frame < frames; frame += 1) {
    grid.scrollTop = (grid.scrollTop + 120) % (grid.scrollHeight - grid.clientHeight);
    await new Promise(requestAnimationFrame);
  }
}"""


@pytest.mark.slow
def test_two_thousand_faces_scroll_at_60_frames_a_second(browser, tmp_path):
    """By the CPU time of the page's main thread, which does not depend on what else the machine does."""
    write_dataset(tmp_path / "data", "d", 2000)
    with serving(tmp_path / "data") as server, opened(browser, server) as page:
        page.wait_for_selector("#enlarge svg")
        page.context.unroute_all()
        session, times = page.context.new_cdp_session(page), []
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        for frames in (0, FRAMES):
            page.evaluate(SCROLL, frames)
            metrics = session.send("Performance.getMetrics")["metrics"]
            times.append(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))
        print(f"{(times[1] - times[0]) / FRAMES * 1000:.1f} ms of main thread a frame")
        assert times[1] - times[0] < FRAMES / 60
        assert len(page.query_selector_all("[role=option]")) < 250
        page.focus("#grid")
        page.keyboard.press("End")
        assert active(page) == 1999
        page.wait_for_selector("#cell-1999 img")


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.full)])
@pytest.mark.parametrize("width", [1280, pytest.param(390, marks=pytest.mark.full)])
def test_axe_finds_no_serious_issue(browser, tmp_path, scheme, width):
    root = tmp_path / "data"
    ids = write_dataset(root, "d", 24)
    (root / "corrections").mkdir()
    (root / "corrections/d.csv").write_text(f"{ids[0]},drop\n{ids[1]},keep\n{ids[2]},hair_color=red\n")
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme, "bypass_csp": True}
    with serving(root) as server, opened(browser, server, **options) as page:
        page.wait_for_selector("#enlarge svg")
        for shown in (None, "keys", "large"):
            if shown:
                page.evaluate(f"document.getElementById('{shown}').showModal()")
            assert violations(page) == []
            page.keyboard.press("Escape")
