"""The ledger, damaged: unlike the cache it cannot be made again, so it is named, and nothing of it is changed."""

import os
import sqlite3
from pathlib import Path

import pytest

from pipeline.crawl.ledger import FETCHED, File, Ledger
from pipeline.errors import UserError
from pipeline.sources.base import Skipped
from pipeline.sources.web_source import RemoteImage

POSTS = 400


def fill(file: Path) -> None:
    ledger = Ledger(file, "s")
    ledger.begin("h", 0, {"source": "s"}, {"page": 0}, is_retry=False)
    offers = [RemoteImage(str(i), f"https://a.test/{i}.png", tags=("solo",)) for i in range(POSTS)]
    ledger.add_page("h", 0, offers, None, "")
    for offer in offers:
        ledger.record_file(offer, File(FETCHED, image_id="0" * 64, path=f"images/00/{'0' * 64}.png", bytes=1))
    ledger.add_page("h", 0, [Skipped("dropped", "gone", "HTTP 404")], None, "")
    ledger.add_cost("2026-11", 0.5)
    ledger.finish("h", 0)
    ledger.close()


def use(file: Path) -> int:
    ledger = Ledger(file, "s")
    try:
        assert ledger.id
        ledger.last_finished_round("h")
        ledger.rounds("h", 0)
        ledger.cost_in_month("2026-11")
        ledger.add_cost("2026-11", 0.5)
        return len(list(ledger.entries("h", 0, 0)))
    finally:
        ledger.close()


def statement(*statements: str):
    def damage(file: Path) -> None:
        with sqlite3.connect(file) as database:
            for each in statements:
                database.execute(each)
        database.close()

    return damage


def as_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


DAMAGES = {
    "garbage": lambda file: file.write_bytes(b"garbage" * 1000),
    "cut": lambda file: os.truncate(file, file.stat().st_size // 2 + 100),
    "pages overwritten": lambda file: file.write_bytes(file.read_bytes()[:8192] + b"\xff" * 60_000),
    "a folder": as_folder,
    "another table": statement("DROP TABLE file", "CREATE TABLE file (x)"),
    "no id": statement("UPDATE ledger SET id = x'ff'"),
    "an odd cursor": statement("UPDATE round SET cursor = '[1]'"),
    "a cursor that is no JSON": statement("UPDATE round SET cursor = '{'"),
    "an odd offer": statement("UPDATE post SET offer = '{\"source_id\": 1}' WHERE source_id = '7'"),
    "an offer with more in it": statement("UPDATE post SET offer = replace(offer, 'file_url', 'file')"),
    "an offer of numbers": statement("UPDATE post SET offer = replace(offer, '\"solo\"', '7')"),
    "a path that leaves": statement("UPDATE file SET path = '../../x.png'"),
    "an odd outcome": statement("UPDATE file SET outcome = 'odd'"),
    "an odd date": statement("UPDATE file SET fetched_at = 'yesterday'"),
    "a count that is none": statement("UPDATE round SET wanted = 'abc'"),
    "a round's words that are bytes": statement("UPDATE round SET shortfall = x'00'"),
    "a number of a round that is none": statement("UPDATE round SET number = 'abc'"),
    "no reason": statement("UPDATE post SET reason = NULL WHERE offer IS NULL"),
    "an odd reason": statement("UPDATE post SET reason = 'nonsense' WHERE offer IS NULL"),
    "a detail that is bytes": statement("UPDATE post SET detail = x'00' WHERE offer IS NULL"),
    "an amount that is none": statement("UPDATE spent SET usd = 'abc'"),
    "an amount that is bytes": statement("UPDATE spent SET usd = x'00'"),
    "bytes that are no UTF-8": statement("UPDATE file SET detail = CAST(x'ff' AS TEXT)"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_ledger_is_one_clear_line_and_stays(damage, tmp_path):
    file = tmp_path / "ledger.sqlite"
    fill(file)
    assert use(file) == POSTS + 1
    DAMAGES[damage](file)
    with pytest.raises(UserError, match=r"ledger\.sqlite: .*; the ledger of what was fetched; .*move it away"):
        use(file)
    assert file.exists()


def test_an_empty_ledger_is_a_new_one(tmp_path):
    (tmp_path / "ledger.sqlite").write_bytes(b"")
    assert use(tmp_path / "ledger.sqlite") == 0


def test_a_page_is_not_added_to_a_count_that_is_none(tmp_path):
    fill(tmp_path / "ledger.sqlite")
    DAMAGES["a count that is none"](tmp_path / "ledger.sqlite")
    ledger = Ledger(tmp_path / "ledger.sqlite", "s")
    with pytest.raises(UserError, match=r"ledger\.sqlite: damaged \(wanted is \"abc\"\)"):
        ledger.add_page("h", 0, [], None, "")
    ledger.close()
