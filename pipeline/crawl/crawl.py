"""A crawl: from a query to a source on the web to originals in images/, by way of the ledger.

First the listing, page by page, until there are as many images as are wanted; then their files. A crawl that is killed
at any moment goes on from the ledger and the partial files.
"""

import contextlib
import functools
import hashlib
import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from pipeline.blocklist import BlockList
from pipeline.crawl.download import download_image
from pipeline.crawl.ledger import FETCHED, CrawlSummary, Entry, File, Ledger, file_key, summarize
from pipeline.crawl.pagination import BudgetExceeded, Paginator
from pipeline.errors import UserError
from pipeline.images import collect as images
from pipeline.progress import Progress
from pipeline.sources.base import Post, Skipped
from pipeline.sources.web_source import Cursor, Query, RemoteImage, WebSource
from pipeline.store import Store
from pipeline.web.client import Client, CrawlPolicy, HostUnavailable, host_name
from pipeline.web.partial_file import PartialFile

logger = logging.getLogger("luigi-interface")

Result = TypeVar("Result")

MACHINE_SETTINGS = ("program",)  # options that say where a program lies, and change no result
ASSUMED_LATENCY_S = 0.3  # of a request, where no rate is kept
MAX_EMPTY_PAGES = 50  # pages in a row without a new image, after which a listing ends
# Reasons for which a file failed and its part is kept for --retry-failed.
RESUMABLE = {"cut_short", "too_slow", "unreachable", "server_error", "rate_limited"}


class CrawlResult(NamedTuple):
    """What one crawl found."""

    counts: CrawlSummary
    offers: list[Post | Skipped]
    """In the order of the source; the bytes are read from images/."""


@dataclass(frozen=True)
class Crawl:
    """One query to one source."""

    source: str
    site: WebSource
    query: Query
    policy: CrawlPolicy
    store: Store
    connections: int = 2
    is_strict: bool = False
    """Whether a file with an md5 other than the stated one counts as failed, even if it is a complete picture."""
    max_cost_usd: float = float("inf")
    """Limit for a month (UTC), for all queries to this source from this data root."""
    blocked: BlockList = BlockList()  # noqa: RUF009  # it is frozen
    hosts: Path | None = None
    """Folder of the rate limiters; None: in the user's cache."""

    @functools.cached_property
    def key(self) -> str:
        """Return the digest of the query, which does not depend on a mirror's port. Raise UserError if the query
        is not valid."""
        return hashlib.sha256(json.dumps([self.site.engine.VERSION, self._question]).encode()).hexdigest()[:16]

    @functools.cached_property
    def _question(self) -> dict[str, Any]:
        query = self.query
        options = {name: value for name, value in query.options.items() if name not in MACHINE_SETTINGS}
        return {
            "source": self.source,
            "host": urlsplit(query.base_url).hostname,
            "query": query.text,
            "files": query.files,
            "ratings": query.ratings,
            "pages": query.pages,
            "strict": self.is_strict,
            "options": options,
            "first": self.site.engine.first_cursor(query),
        }

    def round(self, *, is_new: bool) -> tuple[str, int]:
        """Return the ledger's id and the number of the last finished round, or with `is_new` of the one after it."""
        with self._ledger() as ledger:
            finished = ledger.last_finished_round(self.key)
            return ledger.id, 0 if finished is None else finished + is_new

    def run(self, number: int, limit: int, *, is_refresh: bool = False, is_retry: bool = False) -> CrawlResult:
        """Fetch missing files of each round up to `number`, of its first `limit` images (0: all). Raise UserError if
        the source cannot be reached now; what was fetched is kept."""
        stop = threading.Event()
        client = Client(self.policy, self.store.root / "cache" / "pages", stop, self.hosts)
        # One process at a time crawls a source: two would share its rate, and might fetch the same file.
        with self.store.exclusive(f"harvest {self.source}", f"asking {self.source}"), self._ledger() as ledger:
            first = self._first_cursor_of_round(ledger) if is_refresh or not number else None
            ledger.begin(self.key, number, self._question, first, is_retry=is_retry)
            try:
                self._list_pages(client, ledger, number, limit)
                self._fetch_files(client, ledger, number, limit, stop)
            finally:
                stop.set()
            ledger.finish(self.key, number)
            entries = [self._apply_rules(entry) for entry in ledger.entries(self.key, number, limit)]
            counts = summarize(entries, ledger.rounds(self.key, number), limit)
        logger.log(logging.INFO if counts.is_complete else logging.WARNING, "%s: %s", self.source, counts)
        if counts.by_kind.keys() & {"failed", "rate-limited", "refused", "gone"}:
            logger.warning("%s: --retry-failed asks again for what failed", self.source)
        return CrawlResult(counts, [self._to_post(entry) for entry in entries])

    @functools.cached_property
    def _paginator(self) -> Paginator:
        return Paginator(self.source, self.site, self.query, self.max_cost_usd)

    def _match_rule(self, image: RemoteImage) -> str | None:
        """Return the kind of rule of the block list that matches an image; None if none does."""
        return "sha256" if image.sha256 in self.blocked.hashes else self.blocked.match_rule(image)

    def _hide_blocked(self, offer: RemoteImage | Skipped) -> RemoteImage | Skipped:
        """Return the record to store; a blocked image keeps only the rule that matched."""
        rule = self._match_rule(offer) if isinstance(offer, RemoteImage) else None
        return Skipped(offer.source_id, "blocked", rule) if rule else offer

    def _first_cursor_of_round(self, ledger: Ledger) -> Cursor:
        """Return the cursor of a new listing, limited to new posts if the site supports such a query."""
        newest = [each.newest for each in ledger.rounds(self.key, 1 << 30) if each.newest]
        cursor_since = getattr(self.site.engine, "cursor_since", None)
        if newest and cursor_since:
            return dict(cursor_since(self.query, newest[-1]))
        return self.site.engine.first_cursor(self.query)

    def _apply_rules(self, entry: Entry | Skipped) -> Entry | Skipped:
        """Return the entry, skipped if it is blocked; with `is_strict`, failed if its file is not the promised one."""
        if isinstance(entry, Skipped):
            return entry
        if rule := self._match_rule(entry.image):
            return Skipped(entry.image.source_id, "blocked", rule)
        if self.is_strict and entry.file and entry.file.outcome == FETCHED and entry.file.is_as_promised == 0:
            return entry._replace(file=entry.file._replace(outcome="wrong_hash"))
        return entry

    def _to_post(self, entry: Entry | Skipped) -> Post | Skipped:
        if isinstance(entry, Skipped):
            return entry
        image, file = entry
        assert file is not None  # every file has an outcome once the round is finished
        if file.outcome != FETCHED:
            return Skipped(image.source_id, file.outcome, file.detail)
        assert file.path is not None
        assert file.image_id is not None
        return Post(
            image.source_id,
            functools.partial(Path.read_bytes, self.store.root / file.path),
            self._fingerprint(image.file_url, file.image_id),
            image.page_url,
            file.came_from or image.file_url,
            image.title,
            image.artist,
            image.rating,
            image.license,
            image.tags,
            datetime.fromisoformat(file.fetched_at) if file.fetched_at else None,
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

    def _list_pages(self, client: Client, ledger: Ledger, upto: int, limit: int) -> None:
        for number, cursor, wanted, *_, relist_known in ledger.rounds(self.key, upto):
            if cursor is not None and (not limit or wanted < limit):
                self._log_plan(limit - wanted if limit else 0, ledger)
            empty_pages = 0
            while cursor is not None and (not limit or wanted < limit):
                missing = limit - wanted if limit else 0
                has_posts = ledger.has_posts(self.key)
                try:
                    page = self._paginator.fetch(client, ledger, cursor, missing, has_posts=has_posts)
                except BudgetExceeded as exceeded:
                    shortfall = f"{exceeded}; when max_cost_usd allows for more, --retry-failed goes on"
                    ledger.add_page(self.key, number, [], cursor, shortfall)
                    break
                offers = [self._hide_blocked(offer) for offer in page.offers]
                new, known = ledger.add_page(self.key, number, offers, page.next, page.shortfall, page.newest)
                wanted, cursor = wanted + new, page.next
                empty_pages = 0 if new or (number and known) or self.site.is_bounded else empty_pages + 1
                has_caught_up = number and cursor and not relist_known and _has_caught_up(cursor, new, known)
                if has_caught_up or (cursor and empty_pages == MAX_EMPTY_PAGES):
                    shortfall = f"{MAX_EMPTY_PAGES} pages in a row brought no picture that is taken"
                    cursor = None
                    ledger.add_page(self.key, number, [], None, "" if has_caught_up else shortfall)

    def _fetch_files(self, client: Client, ledger: Ledger, number: int, limit: int, stop: threading.Event) -> None:
        missing = {file_key(image): image for image in self._missing_images(ledger, number, limit)}
        if not missing:
            return
        own = self._own_hosts(list(missing.values()))
        size = sum(image.bytes or self.site.typical_bytes for image in missing.values())
        logger.info("%s: fetching %s", self.source, self._describe_plan(0, len(missing), size))
        (self.store.root / "cache" / "parts").mkdir(parents=True, exist_ok=True)
        progress = Progress("pictures")
        download = functools.partial(self._download, client, own)
        with images.memory(self.store) as memory, ThreadPoolExecutor(self.connections) as pool:
            try:
                for image, (file, columns) in _map_unordered(pool, download, missing.values(), 2 * self.connections):
                    if columns and file.image_id:
                        memory.set(self._fingerprint(image.file_url, file.image_id), columns)
                    ledger.record_file(image, file)
                    partial_file = self._partial_file(image)
                    if partial_file.is_complete() or file.outcome not in RESUMABLE:
                        partial_file.discard()
                    progress.advance()
            except HostUnavailable as down:
                cure = "what was fetched is kept; run the same command again to go on, or later"
                raise UserError(self.source, down.detail, "answers", cure) from down
            finally:
                stop.set()  # before the pool waits for its threads
                progress.close()

    def _missing_images(self, ledger: Ledger, number: int, limit: int) -> Iterator[RemoteImage]:
        """Yield the images whose file was never requested, or was deleted since."""
        for entry in ledger.entries(self.key, number, limit):
            if isinstance(entry, Skipped) or self._match_rule(entry.image):
                continue
            if entry.file and entry.file.path and not (self.store.root / entry.file.path).exists():
                ledger.forget_file(entry.image)
            elif entry.file:
                continue
            yield entry.image

    def _own_hosts(self, missing: list[RemoteImage]) -> set[str]:
        """Return the hosts whose failure ends the crawl: the site's own, and one that has most of the missing files."""
        if not self.site.is_one_site:
            return set()
        named = {host_name(url) for url in (self.query.base_url, self.query.file_base_url) if url}
        counts = Counter(host_name(self._mirror_url(image.file_url)) for image in missing)
        return named | {name for name, count in counts.items() if 2 * count > len(missing)}

    def _download(self, client: Client, own: set[str], image: RemoteImage) -> tuple[File, dict[str, Any] | None]:
        urls = {url: self._mirror_url(url) for url in (image.file_url, *image.instead)}
        partial_file = self._partial_file(image)
        return download_image(image, urls, partial_file, client, self.store, own, self.blocked.hashes)

    def _partial_file(self, image: RemoteImage) -> PartialFile:
        return PartialFile(self.store.root / "cache" / "parts", f"{self.source} {file_key(image)}")

    def _mirror_url(self, url: str) -> str:
        """Return where to fetch the file: at the mirror that the configuration names, if it names one."""
        parts = urlsplit(url)
        if self.query.file_base_url and self.query.file_base_url != self.site.file_base_url:
            path = f"{parts.path}?{parts.query}" if parts.query else parts.path
            return self.query.file_base_url + path
        return url

    def _log_plan(self, wanted: int, ledger: Ledger) -> None:
        """Log, ahead of the listing, how much is requested at most. `wanted`: images; 0: all."""
        where = urlsplit(self.query.base_url).netloc or self.source
        pages = -(-wanted // self.site.page_size) if self.site.page_size else 1
        plan = self._describe_plan(pages, wanted, wanted * self.site.typical_bytes)
        what = f"at most {plan}" if wanted else "all there is"
        logger.info("%s: asking for %s%s", where, what, self._estimate_cost(wanted, ledger))

    def _estimate_cost(self, wanted: int, ledger: Ledger) -> str:
        """Return the expected cost in words; empty for a source that is free."""
        if self.site.max_cost_usd is None:
            return ""
        about = f"about {wanted * self.site.typical_cost:.2f} USD, " if wanted else ""
        left = self._paginator.budget_left(ledger)
        return f"; {about}never more than {left:.3f} USD, which is left of this month's max_cost_usd"

    def _describe_plan(self, pages: int, files: int, size: int) -> str:
        """Return the requests, bytes (`size`, of all files), rate and time of the crawl in words."""
        rate = self.policy.rate
        seconds = (pages + files) * (1 / rate if rate else ASSUMED_LATENCY_S / self.connections)
        parts = [f"{count:,} {noun}{'s' * (count != 1)}" for count, noun in ((pages, "page"), (files, "file")) if count]
        pace = f"{rate:g} requests a second to a host" if rate else "no limit of rate"
        return f"{' and '.join(parts)}, about {size / 1e6:,.0f} MB; {pace}: about {_duration(seconds)}"


def _has_caught_up(cursor: Cursor, new: int, known: int) -> bool:
    """Return whether a refresh has reached known posts: at the first one if the listing is sorted by date; in
    another order of a booru, at a page without new posts. In a gallery, any page may have new pictures."""
    return bool(known) if cursor.get("is_keyed") else "is_keyed" in cursor and not new


def _map_unordered(
    pool: ThreadPoolExecutor, work: Callable[[RemoteImage], Result], items: Iterable[RemoteImage], ahead: int
) -> Iterator[tuple[RemoteImage, Result]]:
    """Yield (item, work(item)) as they finish, with at most `ahead` items in progress."""
    waiting = iter(items)
    under_way: dict[Future[Result], RemoteImage] = {pool.submit(work, item): item for item in islice(waiting, ahead)}
    try:
        while under_way:
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                yield under_way.pop(future), future.result()
                under_way |= {pool.submit(work, item): item for item in islice(waiting, 1)}
    finally:
        for future in under_way:
            future.cancel()


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
