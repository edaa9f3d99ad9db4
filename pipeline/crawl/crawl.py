"""From a question to a source on the web to originals in images/, by way of the ledger.

First the listing, page by page, until there are as many offers as are wanted; then their files. Killed at any moment,
it goes on where the ledger and the spool stand.
"""

import contextlib
import functools
import hashlib
import json
import logging
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from pipeline.blocklist import BlockList
from pipeline.crawl import download
from pipeline.crawl.ledger import FETCHED, Counts, File, Ledger, Line, counted, file_key
from pipeline.crawl.pagination import Paginator
from pipeline.crawl.plan import plan
from pipeline.errors import UserError
from pipeline.images import collect as images
from pipeline.progress import Progress
from pipeline.sources.base import Post, Skipped
from pipeline.sources.web_source import BudgetExceeded, Cursor, Query, RemoteImage, WebSource
from pipeline.store import Store
from pipeline.web.client import Client, CrawlPolicy, HostUnavailable, host_name
from pipeline.web.partial_file import PartialFile

logger = logging.getLogger("luigi-interface")

OF_THE_MACHINE = ("program",)  # settings that say where something lies: no part of the question
MAX_EMPTY_PAGES = 50  # pages in a row without a picture that is taken: then a listing ends
# Of files: a part of one is kept for --retry-failed.
RESUMABLE = {"cut_short", "too_slow", "unreachable", "server_error", "rate_limited"}


class Harvested(NamedTuple):
    """What one question came to."""

    counts: Counts
    offers: list[Post | Skipped]
    """In the order of the source; files are read from images/."""


@dataclass(frozen=True)
class Crawl:
    """One question to one source."""

    source: str
    site: WebSource
    query: Query
    policy: CrawlPolicy
    store: Store
    connections: int = 2
    is_strict: bool = False
    """Whether a file whose md5 is not the promised one is a failure, even if it is a whole picture."""
    max_cost_usd: float = float("inf")
    """What asking this source may cost in a month (UTC), with all questions to it from this data root."""
    blocked: BlockList = BlockList()  # noqa: RUF009  # it is frozen
    hosts: Path | None = None
    """Where the budgets of hosts lie; None: in the user's cache."""

    @functools.cached_property
    def key(self) -> str:
        """What the question is, whichever port a mirror of the site listens on. Raises UserError if it is none."""
        return hashlib.sha256(json.dumps([self.site.engine.VERSION, self._about]).encode()).hexdigest()[:16]

    @functools.cached_property
    def _about(self) -> dict:
        query = self.query
        options = {name: value for name, value in query.options.items() if name not in OF_THE_MACHINE}
        return {
            "source": self.source,
            "host": urlsplit(query.base_url).hostname,
            "query": query.text,
            "files": query.files,
            "ratings": query.ratings,
            "pages": query.pages,
            "strict": self.is_strict,
            "options": options,
            "first": self.site.engine.first(query),
        }

    def round(self, *, is_new: bool) -> tuple[str, int]:
        """(the ledger's id, the round that stands or, with `is_new`, the one that is to be made)."""
        with self._ledger() as ledger:
            finished = ledger.finished(self.key)
            return ledger.id, 0 if finished is None else finished + is_new

    def run(self, number: int, limit: int, *, is_refresh: bool = False, is_retry: bool = False) -> Harvested:
        """Ask for what is missing of the first `limit` pictures (0: all) of each round up to `number`. Raises UserError
        if the source cannot be asked now: what is there is kept."""
        stop = threading.Event()
        client = Client(self.policy, self.store.root / "cache" / "pages", stop, self.hosts)
        # One process asks a source at a time: two would share its rate, and might fetch the same file.
        with self.store.alone(f"harvest {self.source}", f"asking {self.source}"), self._ledger() as ledger:
            first = self._first(ledger) if is_refresh or not number else None
            ledger.begin(self.key, number, self._about, first, is_retry=is_retry)
            try:
                self._list(client, ledger, number, limit)
                self._fetch(client, ledger, number, limit, stop)
            finally:
                stop.set()
            ledger.finish(self.key, number)
            lines = self._lines(ledger, number, limit)
            counts = counted(lines, ledger.rounds(self.key, number), limit)
        logger.log(logging.INFO if counts.is_complete else logging.WARNING, "%s: %s", self.source, counts)
        if counts.by_kind.keys() & {"failed", "rate-limited", "refused", "gone"}:
            logger.warning("%s: --retry-failed asks again for what failed", self.source)
        return Harvested(counts, [self._offered(line) for line in lines])

    @functools.cached_property
    def _lister(self) -> Paginator:
        return Paginator(self.source, self.site, self.query, self.max_cost_usd)

    def _why(self, offer: RemoteImage) -> str | None:
        """Why the block list keeps it out; None if it does not."""
        return "sha256" if offer.sha256 in self.blocked.hashes else self.blocked.match_rule(offer)

    def _noted(self, offer: RemoteImage | Skipped) -> RemoteImage | Skipped:
        """As the ledger is to have it: of what is blocked, nothing but that it is, and by which line."""
        rule = self._why(offer) if isinstance(offer, RemoteImage) else None
        return Skipped(offer.source_id, "blocked", rule) if rule else offer

    def _first(self, ledger: Ledger) -> Cursor:
        """Of a round's listing: from the beginning, or only of what is new, where a site can be asked for that."""
        newest = [each.newest for each in ledger.rounds(self.key, 1 << 30) if each.newest]
        is_told = newest and hasattr(self.site.engine, "since")
        return self.site.engine.since(self.query, newest[-1]) if is_told else self.site.engine.first(self.query)

    def _lines(self, ledger: Ledger, number: int, limit: int) -> list[Line]:
        """What is blocked as dropped; a file that is not the promised one as failed, if that is asked for."""
        return [self._judged(line) for line in ledger.lines(self.key, number, limit)]

    def _judged(self, line: Line) -> Line:
        if line.offer and (rule := self._why(line.offer)):
            return Line(line.source_id, None, Skipped(line.source_id, "blocked", rule), None)
        if self.is_strict and line.file and line.file.outcome == FETCHED and line.file.is_as_promised == 0:
            return line._replace(file=line.file._replace(outcome="wrong_hash"))
        return line

    def _offered(self, line: Line) -> Post | Skipped:
        if line.drop:
            return line.drop
        offer, file = line.offer, line.file
        if file.outcome != FETCHED:
            return Skipped(line.source_id, file.outcome, file.detail)
        return Post(
            line.source_id,
            functools.partial(Path.read_bytes, self.store.root / file.path),
            self._fingerprint(offer.file_url, file.image_id),
            offer.page_url,
            file.came_from or offer.file_url,
            offer.title,
            offer.artist,
            offer.rating,
            offer.license,
            offer.tags,
            file.fetched_at and datetime.fromisoformat(file.fetched_at),
        )

    @contextlib.contextmanager
    def _ledger(self) -> Iterator[Ledger]:
        self.store.work.mkdir(parents=True, exist_ok=True)
        with self.store.lock("ledger"):  # SQLite's own time-out does not cover the change to a write-ahead log
            ledger = Ledger(self.store.root / "ledger.sqlite", self.source)
        with contextlib.closing(ledger):
            yield ledger

    def _fingerprint(self, url: str, image_id: str) -> str:
        return f"{self.source} {url} {image_id}"

    def _list(self, client: Client, ledger: Ledger, upto: int, limit: int) -> None:
        for number, cursor, wanted, *_, is_whole in ledger.rounds(self.key, upto):
            if cursor is not None and (not limit or wanted < limit):
                self._tell_plan(limit - wanted if limit else 0, ledger)
            empty_pages = 0
            while cursor is not None and (not limit or wanted < limit):
                try:
                    more, is_known = limit - wanted if limit else 0, ledger.has_posts(self.key)
                    found = self._lister.page(client, ledger, cursor, more, is_known=is_known)
                except BudgetExceeded as enough:
                    told = f"{enough}; when max_cost_usd allows for more, --retry-failed goes on"
                    ledger.add_page(self.key, number, [], cursor, told)
                    break
                offers = [self._noted(offer) for offer in found.offers]
                fresh, known = ledger.add_page(self.key, number, offers, found.next, found.shortfall, found.newest)
                wanted, cursor = wanted + fresh, found.next
                empty_pages = 0 if fresh or (number and known) or self.site.is_bounded else empty_pages + 1
                if number and cursor and not is_whole and _is_all_known(cursor, fresh, known):
                    cursor = None
                    ledger.add_page(self.key, number, [], None, "")
                elif cursor and empty_pages == MAX_EMPTY_PAGES:
                    cursor = None
                    ledger.add_page(
                        self.key, number, [], None, f"{MAX_EMPTY_PAGES} pages in a row brought no picture that is taken"
                    )

    def _fetch(self, client: Client, ledger: Ledger, number: int, limit: int, stop: threading.Event) -> None:
        offers = {file_key(line.offer): line.offer for line in self._missing(ledger, number, limit)}
        if not offers:
            return
        own = self._own_hosts(list(offers.values()))
        size = sum(offer.bytes or self.site.typical_bytes for offer in offers.values())
        logger.info("%s: fetching %s", self.source, self._plan(0, len(offers), size))
        (self.store.root / "cache" / "parts").mkdir(parents=True, exist_ok=True)
        progress = Progress("pictures")
        take = functools.partial(self._take, client, own)
        with images.memory(self.store) as memory, ThreadPoolExecutor(self.connections) as pool:
            try:
                for offer, (file, columns) in _in_any_order(pool, take, offers.values(), 2 * self.connections):
                    if columns:
                        memory.set(self._fingerprint(offer.file_url, file.image_id), columns)
                    ledger.record(offer, file)
                    partial_file = self._partial_file(offer)
                    if partial_file.is_whole() or file.outcome not in RESUMABLE:
                        partial_file.done()
                    progress.advance()
            except HostUnavailable as down:
                raise UserError(
                    self.source,
                    down.detail,
                    "answers",
                    "what was fetched is kept; run the same command again to go on, or later",
                ) from down
            finally:
                stop.set()  # before the pool waits for its threads
                progress.close()

    def _missing(self, ledger: Ledger, number: int, limit: int) -> Iterator[Line]:
        for line in ledger.lines(self.key, number, limit):
            if line.offer and self._why(line.offer):
                continue
            if line.offer and line.file and line.file.path and not (self.store.root / line.file.path).exists():
                ledger.forget(line.offer)  # somebody has deleted the original
                yield line
            elif line.offer and not line.file:
                yield line

    def _own_hosts(self, offers: list[RemoteImage]) -> set[str]:
        """Those without which there is nothing left to do: the site's, and where most of its files lie."""
        if not self.site.is_one_site:
            return set()
        named = {host_name(url) for url in (self.query.base_url, self.query.file_base_url) if url}
        lie = Counter(host_name(self._address(offer.file_url)) for offer in offers)
        return named | {name for name, count in lie.items() if 2 * count > len(offers)}

    def _take(self, client: Client, own: set[str], offer: RemoteImage) -> tuple[File, dict | None]:
        urls = {url: self._address(url) for url in (offer.file_url, *offer.instead)}
        return download.take(offer, urls, self._partial_file(offer), client, self.store, own, self.blocked.hashes)

    def _partial_file(self, offer: RemoteImage) -> PartialFile:
        return PartialFile(self.store.root / "cache" / "parts", f"{self.source} {file_key(offer)}")

    def _address(self, url: str) -> str:
        """Where the file is fetched: at the mirror that the configuration names, if it does."""
        parts = urlsplit(url)
        if self.query.file_base_url and self.query.file_base_url != self.site.file_base_url:
            path = f"{parts.path}?{parts.query}" if parts.query else parts.path
            return self.query.file_base_url + path
        return url

    def _tell_plan(self, wanted: int, ledger: Ledger) -> None:
        """Before the listing: what is asked for at most. `wanted`: more pictures; 0: all there are."""
        where = urlsplit(self.query.base_url).netloc or self.source
        pages = -(-wanted // self.site.page_size) if self.site.page_size else 1
        what = f"at most {self._plan(pages, wanted, wanted * self.site.typical_bytes)}" if wanted else "all there is"
        logger.info("%s: asking for %s%s", where, what, self._estimate(wanted, ledger))

    def _estimate(self, wanted: int, ledger: Ledger) -> str:
        """Of the money; empty where asking is free."""
        if self.site.max_cost_usd is None:
            return ""
        about = f"about {wanted * self.site.typical_cost:.2f} USD, " if wanted else ""
        left = self._lister.left(ledger)
        return f"; {about}never more than {left:.3f} USD, which is left of this month's max_cost_usd"

    def _plan(self, pages: int, files: int, size: int) -> str:
        return plan(pages, files, size, self.policy.rate, self.connections)


def _is_all_known(cursor: Cursor, fresh: int, known: int) -> bool:
    """Whether a refresh has come to what is there. Newest first, one known post says so; in another order of a booru's,
    a page with nothing new; a gallery may have something new anywhere."""
    return bool(known) if cursor.get("is_keyed") else "is_keyed" in cursor and not fresh


def _in_any_order(pool: ThreadPoolExecutor, take, offers, ahead: int) -> Iterator[tuple[RemoteImage, tuple]]:
    """(offer, take(offer)) as they are done, never more than `ahead` under way."""
    under_way: dict[Future, RemoteImage] = {}
    offers = iter(offers)
    while True:
        while len(under_way) < ahead and (offer := next(offers, None)):
            under_way[pool.submit(take, offer)] = offer
        if not under_way:
            return
        try:
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                yield under_way.pop(future), future.result()
        except BaseException:
            for future in under_way:
                future.cancel()
            raise
