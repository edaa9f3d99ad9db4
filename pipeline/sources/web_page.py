"""The pictures of any gallery on the web: a page, and those to which it links as the next.

lxml reads a page as a stream of tags: no tree is built, and MAX_BYTES of hostile HTML take 2 s and 70 MB at most.
"""

import codecs
import contextlib
import functools
import heapq
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from lxml import etree

from pipeline.errors import UserError
from pipeline.sources.base import Skipped
from pipeline.sources.parsing import bad_answer, find_page_opt_out, is_picture_url, normal_tags
from pipeline.sources.web_source import Cursor, Page, Query, RemoteImage
from pipeline.tags import MAX_TEXT, one_line, split_tags
from pipeline.terminal import sanitize_line
from pipeline.urls import absolute_url
from pipeline.web.messages import HttpRequest, HttpResponse
from pipeline.web.robots import AGENT

VERSION = 1
MAX_BYTES = 4 << 20  # of a page
MAX_TAGS = 500_000
MAX_DEPTH = 1_000  # of nested tags: each end tag is looked for among all that are open
MAX_PICTURES = 5_000
MAX_CANDIDATES = 8  # of a srcset, the largest
MIN_SIDE_PX = 48  # a picture that is smaller in both directions is an icon
LAZY_ATTRIBUTES = ("data-original", "data-lazy-src", "data-src")  # attributes from which scripts fill in `src`
PAGE_TYPES = ("", "text/html", "application/xhtml+xml")
CURE = "give the address of a page that shows pictures"

# Codecs by Python's names -> those that are tried, strictly; the last one then replaces what it cannot decode. `euc_jp`
# has no ①; the other codec of a pair is what browsers use.
CODECS = {
    "euc_jp": ("euc_jp", "euc_jis_2004"),
    "shift_jis": ("cp932",),
    "ascii": ("cp1252",),
    "iso8859-1": ("cp1252",),
    "gb2312": ("gb18030",),
    "gbk": ("gb18030",),
    "euc_kr": ("cp949",),
    "big5": ("big5hkscs",),
}
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_KNOWN_CODECS = re.compile(
    "utf-(8|16|32)|euc_|shift_jis|cp9|cp125|iso8859|iso2022|gb|big5|koi8|mac"
)  # idna takes hours
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
_UNWANTED = re.compile(r"\.(?:svg|ico)$", re.IGNORECASE)
_CANDIDATE = re.compile(r"([^\s,]\S*)(?:\s+([0-9]{1,6}(?:\.[0-9]{1,4})?)[wx](?=[\s,]|$))?")


def first_cursor(query: Query) -> Cursor:
    """Return the cursor of the first page. `url`: the next page; `visited`: the pages that were read."""
    url = absolute_url(query.text, query.base_url and query.base_url + "/")
    if url is None:
        raise UserError("--query", f"{query.text[:100]!r}", "the URL of a page", "give --query https://…")
    return {"url": url, "visited": []}


def request(query: Query, cursor: Cursor) -> HttpRequest:
    """Return the request for the page at the cursor."""
    return HttpRequest(cursor["url"])


def parse(query: Query, cursor: Cursor, answer: HttpResponse) -> Page:
    """Return the images of a page and the cursor of the next. Raise BadAnswer."""
    visited = [*cursor["visited"], cursor["url"]]
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith("image/") and not kind.startswith("image/svg"):
        url = absolute_url(answer.url) or cursor["url"]
        words = find_page_opt_out(answer)
        return Page([Skipped(url, "opted_out", words) if words else RemoteImage(url, url)], None)
    if kind not in PAGE_TYPES:
        raise bad_answer(answer, f"no web page but {kind}", CURE)
    page = _parse_page(answer)
    base = absolute_url(page.base, answer.url) or answer.url
    next_page = _next_page(page, answer, base, visited)
    offers: list[RemoteImage | Skipped] = [*_offers(page, cursor["url"], base, answer)]
    if words := find_page_opt_out(answer, page.metas):
        offers = [Skipped(cursor["url"], "opted_out", words)]
    if not offers and len(visited) == 1:
        raise bad_answer(answer, f"no picture on the page: {page.title or sanitize_line(decode(answer), 100)}", CURE)
    if next_page and len(visited) >= query.pages:
        return Page(offers, None, f"the gallery has more than the {query.pages:,} pages that are asked for")
    return Page(offers, {"url": next_page, "visited": visited} if next_page else None)


class Picture(NamedTuple):
    """A picture of a page, with its stated addresses."""

    addresses: tuple[str, ...]
    """The best first."""
    alt: str


class PageTooLarge(Exception):
    """A page beyond a limit; args: the limit."""


class HtmlPage:
    """The pictures, links and metadata of a page: the target of lxml's parser, which builds no tree for it."""

    def __init__(self) -> None:
        self.title = ""
        self.base = ""
        self.next = ""
        self.license = ""
        self.metas: list[tuple[str, str]] = []
        """(name in lower case, content)."""
        self.pictures: list[Picture] = []
        self._depth = 0
        self._link = ""
        """The picture to which the open link leads."""
        self._sources: list[tuple[float, str]] | None = None
        """(size, address), the largest first, of the sources of the open <picture>."""
        self._is_title = False

    def start(self, tag: str, attrs: dict[str, str]) -> None:
        """Read a start tag."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise PageTooLarge(f"{MAX_DEPTH:,} nested tags")
        if handle := getattr(self, f"_on_{tag}", None):
            handle(attrs)

    def end(self, tag: str) -> None:
        """Read an end tag, or the end of a tag that another one closes."""
        self._depth -= 1
        if tag == "a":
            self._link = ""
        elif tag == "picture":
            self._sources = None
        elif tag == "title":
            self._is_title = False

    def data(self, text: str) -> None:
        """Read text: only the title's is used."""
        if self._is_title and len(self.title) < MAX_TEXT:
            self.title += text[:MAX_TEXT]

    def close(self) -> None:
        """End the page."""

    def _on_title(self, attrs: dict[str, str]) -> None:
        self._is_title = not self.title  # drawings have titles too

    def _on_base(self, attrs: dict[str, str]) -> None:
        self.base = self.base or attrs.get("href", "")

    def _on_link(self, attrs: dict[str, str]) -> None:
        relations = attrs.get("rel", "").lower().split()
        if "next" in relations:
            self.next = self.next or attrs.get("href", "")
        if "license" in relations:
            self.license = self.license or attrs.get("href", "")

    def _on_a(self, attrs: dict[str, str]) -> None:
        self._on_link(attrs)
        href = attrs.get("href", "")
        # A colon: what a wiki calls File:x.jpg is a page.
        self._link = href if is_picture_url(href) and ":" not in href.rpartition("/")[2] else ""

    def _on_meta(self, attrs: dict[str, str]) -> None:
        name, content = (attrs.get("name") or attrs.get("property", "")).strip().lower(), attrs.get("content", "")
        if name == "og:image":
            self._add_picture([content])
        elif name in ("author", "keywords", "robots", AGENT):
            self.metas.append((name, content))

    def _on_picture(self, attrs: dict[str, str]) -> None:
        self._sources = []

    def _on_source(self, attrs: dict[str, str]) -> None:
        if self._sources is not None:  # or it is of a film
            self._sources = _largest(self._sources, _candidates(attrs.get("srcset", "")))

    def _on_img(self, attrs: dict[str, str]) -> None:
        sizes = [re.fullmatch(r"\s*([0-9]{1,5})(px)?\s*", attrs.get(side, "")) for side in ("width", "height")]
        if not self._link and all(size and int(size[1]) < MIN_SIDE_PX for size in sizes):
            return
        own = [_candidates(attrs.get(name, "")) for name in ("data-srcset", "srcset")]
        largest = [url for _, url in _largest(*own, self._sources or [])]
        lazy = [attrs.get(name, "") for name in LAZY_ATTRIBUTES]
        self._add_picture([self._link, *lazy, *largest, attrs.get("src", "")], attrs.get("alt", ""))

    def _add_picture(self, addresses: list[str], alt: str = "") -> None:
        if len(self.pictures) >= MAX_PICTURES:
            raise PageTooLarge(f"{MAX_PICTURES:,} pictures")
        self.pictures.append(Picture(tuple(filter(None, addresses)), alt))


def _candidates(srcset: str) -> Iterator[tuple[float, str]]:
    """Yield (size, address) of each candidate of a srcset."""
    for found in _CANDIDATE.finditer(srcset):
        yield float(found[2] or 1), found[1].rstrip(",")


def _largest(*candidates: Iterable[tuple[float, str]]) -> list[tuple[float, str]]:
    return heapq.nlargest(MAX_CANDIDATES, itertools.chain(*candidates), key=lambda pair: pair[0])


def _parse_page(answer: HttpResponse) -> HtmlPage:
    """Return the page; a tag that is cut off at its end is left out. Raise BadAnswer."""
    if len(answer.body) > MAX_BYTES:
        raise bad_answer(answer, f"a page of {len(answer.body):,} bytes, at most {MAX_BYTES:,}", CURE)
    page, text = HtmlPage(), decode(answer)
    try:
        if text.count("<") > MAX_TAGS:
            raise PageTooLarge(f"{MAX_TAGS:,} tags")
        etree.fromstring(text.encode("utf-8", "replace"), etree.HTMLParser(target=page, encoding="utf-8"))
    except PageTooLarge as problem:
        raise bad_answer(answer, f"a page of more than {problem}", CURE) from None
    return page


def decode(answer: HttpResponse) -> str:
    """Return the page as text, in the charset that its header or the page itself states."""
    for mark, name in MARKS.items():
        if answer.body.startswith(mark):
            return answer.body.decode(name, "replace")
    head = answer.body[:4096].decode("latin-1")
    declared = _CHARSET.search(answer.headers.get("content-type", "")) or _CHARSET.search(head)
    for name in _codecs(declared[1] if declared else "utf-8"):
        with contextlib.suppress(UnicodeDecodeError):
            text = answer.body.decode(name)
            break
    else:
        text = answer.body.decode(name, "replace")
    return text.translate(_ibm_extensions()) if name == "euc_jis_2004" else text


@functools.cache
def _ibm_extensions() -> dict[int, str]:
    """Return the characters of rows 89 to 92 of EUC-JP as Python reads them (JIS X 0213) -> as browsers do, and so
    pages mean them: IBM's kanji, such as those of many family names. https://encoding.spec.whatwg.org/#index-jis0208"""
    table = {}
    for row, cell in itertools.product(range(89, 93), range(1, 95)):
        lead = (row - 1) // 2 + 0xC1  # as Shift_JIS numbers them
        trail = cell + 0x9E if row % 2 == 0 else cell + 0x3F + (cell > 63)
        with contextlib.suppress(UnicodeDecodeError):
            other = bytes([lead, trail]).decode("cp932")
            table[ord(bytes([row + 0xA0, cell + 0xA0]).decode("euc_jis_2004"))] = other
    return table


def _codecs(charset: str) -> tuple[str, ...]:
    try:
        name = codecs.lookup(charset).name
    except LookupError:
        name = "utf-8"
    return CODECS.get(name, (name if _KNOWN_CODECS.match(name) else "utf-8",))


def _next_page(page: HtmlPage, answer: HttpResponse, base: str, visited: list[str]) -> str | None:
    """Return the URL of the next page, if it is on the same host and was not read yet."""
    own, url = absolute_url(answer.url), absolute_url(page.next, base)
    is_new = url is not None and url not in (*visited, own)
    return url if is_new and urlsplit(url).netloc == urlsplit(own or "").netloc else None


def _offers(page: HtmlPage, page_url: str, base: str, answer: HttpResponse) -> Iterator[RemoteImage]:
    """Yield each picture once, at its best URL; none that is a smaller version of another."""
    own = absolute_url(answer.url)
    titles: dict[str, str] = {}  # URL -> what the page calls it
    smaller: set[str] = set()
    for picture in page.pictures:
        urls = [absolute_url(address, base) for address in picture.addresses]
        wanted = [url for url in urls if url and url != own and not _UNWANTED.search(urlsplit(url).path)]
        if wanted:
            best, *others = wanted
            smaller |= {*others} - {best}
            titles[best] = titles.get(best) or picture.alt
    metas = dict(reversed(page.metas))  # the first of a name counts
    fields: dict[str, Any] = {
        "page_url": page_url,
        "artist": one_line(metas.get("author")),
        "license": absolute_url(page.license, base),
        "tags": normal_tags(split_tags(metas.get("keywords"))),
    }
    for url, title in titles.items():
        if url not in smaller:
            yield RemoteImage(url, url, title=one_line(title) or one_line(page.title), **fields)
