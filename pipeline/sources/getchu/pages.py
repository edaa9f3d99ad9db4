"""Parsers of Getchu's pages: a month's items, an item's characters.

Pages are EUC-JP, and so are the Japanese words that are searched: with a wrong charset nothing would be found. So each
page must look like the requested one, or is an error.

Trees are built by lxml. Measured against Python's parser, both below BeautifulSoup:
500 kB of `<a` 0.0 s (more than 20 s), of `<?` 0.0 s (19 s); a million attributes 2.1 s, 290 MB (2.3 s, 710 MB). A
million entities take 0.3 s (1.6 s), nested tags 2 s and 105 MB for each million bytes (the same), and end tags that end
nothing their number times the depth, 2.4 s for 30,000 of each: hence MAX_TAGS, below which nothing took 2 s or 100 MB.
"""

import itertools
import re
from collections import defaultdict
from typing import Any
from urllib.parse import urlsplit

from bs4 import BeautifulSoup, NavigableString, Tag

from pipeline.sources.base import Skipped
from pipeline.sources.getchu.item_id import OWN_HOSTS, parse_item_id
from pipeline.sources.parsing import bad_answer, find_page_opt_out, normal_tags
from pipeline.sources.web_page import decode
from pipeline.sources.web_source import RemoteImage
from pipeline.tags import MAX_TEXT, one_line
from pipeline.urls import absolute_url
from pipeline.web.messages import HttpResponse

MAX_BYTES, MAX_TAGS, MAX_DEPTH = 2 << 20, 50_000, 1_000  # of a page
MAX_FOUND, MAX_NAMES = 3_000, 500  # links or pictures of a page, and names of characters
CONFIRM = "set confirm_age = true under [getchu] of luigi.cfg if you are 18 or older"
CHANGED = "try again later; if it stays, the site has changed: leave this item or month out of the query"
_FILE = re.compile(r"/brandnew/([0-9]+)/([^/]+\.(?:jpe?g|png|gif|webp))$", re.IGNORECASE)
_NO_PORTRAIT = re.compile(r"package|sample|novelty|icon|_all(?![a-z])", re.IGNORECASE)
_MAIN_PICTURE, _SIDE_PICTURE = re.compile(r"package_ss?\."), re.compile(r"package_100\.|icon_50\.")
_RELEASES = re.compile("発売.{0,8}タイトル")
_JAPANESE = re.compile("[ぁ-ヿ一-龥]")
_SHOP = re.compile(r"（この[^（）]{0,40}）|\s*[|｜][^|｜]*(?:Getchu|げっちゅ).*")
_VOICE = re.compile(r"[\s(（\[［【]{0,3}(?:C\.?V\.?|ＣＶ|声優?|voice)\s*[：:／/].*", re.IGNORECASE | re.DOTALL)
_A_PICTURE = re.compile(r"\.(?:jpe?g|png|gif|webp)\s*$", re.IGNORECASE)
_BRACKETS = re.compile(r"[(（【［\[][^)）】］\]]*[)）】］\]]?")


def parse_page(answer: HttpResponse) -> BeautifulSoup:
    """Return the page's tree. Raise BadAnswer for a page that is too large, has too many tags, or nests them too
    deep."""
    if len(answer.body) > MAX_BYTES:
        raise bad_answer(answer, f"a page of {len(answer.body):,} bytes, at most {MAX_BYTES:,}", CHANGED)
    text = _decode_best(answer)
    if text.count("<") > MAX_TAGS:
        raise bad_answer(answer, f"a page of more than {MAX_TAGS:,} tags", CHANGED)
    page = BeautifulSoup(text.replace("\0", ""), "lxml")
    depths = {id(page): 0}
    for tag in page.find_all(True):
        depths[id(tag)] = depths[id(tag.parent)] + 1
    if max(depths.values()) > MAX_DEPTH:
        raise bad_answer(answer, f"a page of tags that are nested more than {MAX_DEPTH:,} deep", CHANGED)
    return page


def _decode_best(answer: HttpResponse) -> str:
    """Return the page as text: in the stated charset, or if that leaves holes or no Japanese in the best of several."""
    texts = [decode(answer)]
    if "\ufffd" in texts[0] or not _JAPANESE.search(texts[0]):
        kinds = ("text/html; charset=utf-8", "text/html; charset=euc-jp")
        texts += [decode(answer._replace(headers={"content-type": kind})) for kind in kinds]
    return min(texts, key=lambda text: (not _JAPANESE.search(text), text.count("\ufffd")))


def _is_gate(page: BeautifulSoup, answer: HttpResponse) -> bool:
    return "/php/attestation" in urlsplit(answer.url).path or "年齢認証" in _text_of(page.title)


def _check_count(found: list, answer: HttpResponse) -> None:
    if len(found) > MAX_FOUND:
        raise bad_answer(answer, f"a page of more than {MAX_FOUND:,} items or pictures", CHANGED)


def read_month(page: BeautifulSoup, answer: HttpResponse) -> list[str]:
    """Return the items of the main column. Raise BadAnswer if it is no month's page, or has items only in other
    places."""
    if _is_gate(page, answer):
        raise bad_answer(answer, "the site asks for the age", CONFIRM)
    headings = [""]
    tags: list[tuple[str, str, Tag]] = []
    for tag in page.find_all(True):
        if "category_pc_t2" in _classes(tag):
            headings.append(_text_of(tag))
        elif tag.name == "a" and (item := parse_item_id(tag.get("href"), answer.url)):
            tags.append((item, headings[-1], tag))
    _check_count(tags, answer)
    is_headed = any(map(_RELEASES.search, headings))
    links = [(item, not is_headed or _RELEASES.search(heading), _place(tag)) for item, heading, tag in tags]
    side = {item for item, _, place in links if place == "side"}
    main = [
        item
        for item, is_release, place in links
        if is_release and (place == "main" or (place == "headed" and is_headed and item not in side))
    ]
    if not main and not (_is_month(page) and side.issuperset(item for item, *_ in links)):
        raise bad_answer(answer, "a page without items: has the layout changed?", CHANGED)
    return list(dict.fromkeys(main))


def _classes(tag: Tag) -> list[str]:
    return tag.get_attribute_list("class") if tag.has_attr("class") else []


def _place(link: Tag) -> str:
    """Return where on a month's page a link is, by the marks of any year: main, side, headed (main, if its heading says
    so and no link of the side column leads to the same item), or empty."""
    around = {name for tag in (link, *link.parents) for name in _classes(tag)}
    image = link.find("img")
    picture = str(image.get("src")) if image else ""
    if any(name.startswith("content_side") for name in around) or _SIDE_PICTURE.search(picture):
        return "side"
    is_listed = around & {"div_product", "product"} or link.find_parent("td", class_="dd")
    if is_listed or _MAIN_PICTURE.search(picture) or {"black", "category_pc_b"} <= around:
        return "main"
    return "headed" if "category_pc_b" in around else ""


def _is_month(page: BeautifulSoup) -> bool:
    """Return whether a page without items is a month's page: it links to other months, apart from the shop's menu."""
    ways = [str(tag.get("action") or tag.get("href")) for tag in page.find_all(["a", "form"])]
    ways = [way for way in ways if "month_title.html" in way]
    is_dated = any("year=" in way for way in ways) or page.find("form", action=re.compile("month_title.html"))
    return bool(ways and (is_dated or "発売" in _text_of(page.title)))


def read_item(
    base_url: str, item: str, page: BeautifulSoup, answer: HttpResponse, *, is_adult: bool
) -> list[RemoteImage | Skipped]:
    """Return the portraits of an item's page. `is_adult`: whether the user has confirmed their age. Raise BadAnswer if
    it is no item's page."""
    if _is_gate(page, answer):
        return [Skipped(item, "age_gate", "it is asked in spite of confirm_age" if is_adult else CONFIRM)]
    portraits = _portraits(base_url, item, page, answer)
    if not portraits and not page.select_one("#soft-title, #soft_table, .chara-name"):
        raise bad_answer(answer, "a page without an item: maintenance, or has the layout changed?", CHANGED)
    metas = [(str(tag.get("name", "")).strip().lower(), str(tag.get("content", ""))) for tag in page.find_all("meta")]
    if words := find_page_opt_out(answer, metas):
        return [Skipped(item, "opted_out", words)]
    meta = page.find("meta", property="og:title")
    titles = (_text_of(page.find(id="soft-title")), meta and meta.get("content"), _text_of(page.title))
    title = next(filter(None, (one_line(_SHOP.sub("", str(text or "")[:500])) for text in titles)), None)
    brand = _text_of(page.find(id="brandsite")) or next(iter(_row(page, "ブランド")), "")
    fields: dict[str, Any] = {
        "page_url": f"{base_url}/item/{item}/",
        "artist": ", ".join(_row(page, "原画"))[:MAX_TEXT] or None,
    }
    fields |= {"rating": None if is_adult else "general"}
    offers: list[RemoteImage | Skipped] = []
    for (source_id, url), name in zip(portraits, _names(page, list(portraits.values())), strict=True):
        tags = dict.fromkeys(normal_tags([text for text in (title, brand, name) if text]))
        offers.append(RemoteImage(source_id, url, **fields, title=name or title, tags=tuple(tags)))
    return offers


def _portraits(base_url: str, item: str, page: BeautifulSoup, answer: HttpResponse) -> dict[tuple[str, str], Tag]:
    """Return (source_id, URL) of each portrait -> its tag, by the names of files, or else by the alternative texts.

    An image that links to another picture, in a row that has a portrait, is of the whole figure. Raise BadAnswer if
    characters have pictures of which none is a portrait."""
    items = {item, parse_item_id(answer.url, answer.url)}
    images: list[tuple[Tag, str, re.Match[str]]] = []
    for image in page.find_all("img"):
        url = _address(base_url, image.get("src"), answer) or ""
        file = _FILE.search(urlsplit(url).path)
        if file and not _NO_PORTRAIT.search(file[2]):
            images.append((image, url, file))
    _check_count(images, answer)
    name_tags = page.find_all(class_="chara-name", limit=MAX_NAMES)
    name_rows = {id(name.find_parent("tr")) for name in name_tags} - {id(None)}
    named: dict[str, tuple[str, Tag]] = {}
    described: dict[str, tuple[str, Tag]] = {}
    rows: set[int] = set()
    strange = None
    for image, url, file in images:
        is_linked, row = image.find_parent("a", href=_A_PICTURE), image.find_parent("tr")
        is_named = file[1] in items and "chara" in file[2].lower()
        if (is_named or "キャラ" in str(image.get("alt")).rpartition("|")[2]) and not (is_linked and id(row) in rows):
            (named if is_named else described).setdefault(file[0], (url, image))
            rows |= {id(row)} if row else set()
        elif not is_linked and id(row) in name_rows:
            strange = url
    if strange and not named and not described:
        raise bad_answer(answer, f"characters with pictures of another kind: {strange}", CHANGED)
    found: dict[tuple[str, str], Tag] = {}
    taken: set[str] = set()
    for path, (url, image) in (named or described).items():
        folder, name = path.split("/")[-2:]
        short = f"{folder}/{re.sub(f'^c?{folder}', '', name).rpartition('.')[0]}"
        found[f"{folder}/{name}" if short in taken else short, url] = image
        taken.add(short)
    return found


def _address(base_url: str, source: object, answer: HttpResponse) -> str | None:
    """Return the URL of a picture, in one spelling for the shop's own: `./brandnew/…` on /item/N/ too."""
    url = absolute_url(source, answer.url)
    parts = urlsplit(url or "")
    file = _FILE.search(parts.path)
    if file and parts.hostname in (*OWN_HOSTS, urlsplit(base_url).hostname):
        return f"{base_url}{file[0]}" + (f"?{parts.query}" if parts.query else "")
    return url


def _names(page: BeautifulSoup, portraits: list[Tag]) -> list[str | None]:
    """Return the character of each portrait: a name in the first row around it that has names, if it has as many as
    portraits; a single name in its own row may have several portraits."""
    names: dict[int | None, list[Tag]] = defaultdict(list)  # id of a row -> the names within it
    pictures: dict[int | None, list[Tag]] = defaultdict(list)
    for found, tags in ((names, page.find_all(class_="chara-name", limit=MAX_NAMES)), (pictures, portraits)):
        for tag in tags:
            for parent in tag.find_parents("tr"):
                found[id(parent)].append(tag)
    called = []
    for portrait in portraits:
        rows = [id(row) for row in portrait.find_parents("tr")]
        row = next((row for row in rows if row in names), None)
        place = next((place for place, other in enumerate(pictures[row]) if other is portrait), 0)
        is_alone = len(names[row]) == 1 and row == rows[0]
        is_one_each = len(names[row]) == len(pictures[row])
        called.append(_name(names[row][0 if is_alone else place]) if row and (is_alone or is_one_each) else None)
    return called


def _name(tag: Tag) -> str | None:
    """Return a character's name, without the part played, which is on a line above, its reading, measures, and the
    voice."""
    lines = _VOICE.sub("", _text_lines(tag.find("charalist") or tag)).split("\n")
    names = [next(filter(None, map(str.strip, _BRACKETS.split(line))), "") for line in lines]
    return one_line(next((name for name in reversed(names) if name and not re.search("[：:]", name)), None))


def _row(page: BeautifulSoup, label: str) -> list[str]:
    """Return the entries under a label in the shop's table."""
    fields = page.find(string=lambda text: len(text) < 50 and "".join(text.split()).rstrip("：:") == label)
    cell = fields and fields.find_parent(["td", "th"])
    value = cell and cell.find_next_sibling(["td", "th"])
    pieces = re.split("[、，,／/\n]", _SHOP.sub("", _text_lines(value))) if value else []
    return [piece for text in pieces if (piece := one_line(text))]


def _text_of(tag: Tag | None) -> str:
    return (one_line(_text_lines(tag)) or "") if tag else ""


def _text_lines(tag: Tag) -> str:
    """Return the beginning of a tag's text; line breaks and links begin lines."""
    parts = []
    for node in itertools.islice(tag.descendants, 300):
        if type(node) is NavigableString:  # and no comment or script
            parts.append(re.sub(r"\s+", " ", node[:500]))
        elif isinstance(node, Tag) and node.name in ("a", "br"):
            parts.append("\n")
    return "".join(parts)[:MAX_TEXT]
