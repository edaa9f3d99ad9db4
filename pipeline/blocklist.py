"""The block list, `blocklist.csv` below the data root: what must never enter a dataset.

It is applied at scraping and at building.

artist,domain,url_prefix,sha256,reason
someone,,,,asked by mail on 2026-11-20
,example.org,,,robots
"""

import csv
import functools
import hashlib
import io
import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from pipeline.errors import UserError
from pipeline.store import replace_file
from pipeline.tags import artist_of_tag, normal_tag
from pipeline.urls import absolute_url

VERSION = 2  # of how artists are found
KINDS = ("artist", "domain", "url_prefix", "sha256")
COLUMNS = (*KINDS, "reason")
_EXAMPLE = f"a table with the columns {','.join(COLUMNS)}"


class HasProvenance(Protocol):
    """What a rule is matched with: a Post, a RemoteImage, or a row of a manifest."""

    @property
    def page_url(self) -> str | None:
        """Return the URL of the page that shows it."""

    @property
    def file_url(self) -> str | None:
        """Return the URL of the file."""

    @property
    def artist(self) -> str | None:
        """Return the artist."""

    @property
    def tags(self) -> tuple[str, ...]:
        """Return the tags."""


@dataclass(frozen=True)
class BlockList:
    """The rules of a block list: each filled cell is one."""

    cells: frozenset[tuple[str, str]] = frozenset()  # (one of KINDS, the value in its plain form)

    def __bool__(self) -> bool:
        return bool(self.cells)

    @property
    def digest(self) -> str | None:
        """Return a digest of the rules, in any order and without their reasons; None if there are none."""
        if not self.cells:
            return None
        versions = [VERSION] if any(kind == "artist" for kind, _ in self.cells) else []
        return hashlib.sha256(json.dumps([*versions, *sorted(self.cells)]).encode()).hexdigest()[:16]

    @functools.cached_property
    def hashes(self) -> frozenset[str]:
        """Return the sha256 of blocked originals."""
        return frozenset(value for kind, value in self.cells if kind == "sha256")

    @functools.cached_property
    def _prefixes(self) -> tuple[str, ...]:
        return tuple(value for kind, value in self.cells if kind == "url_prefix")

    def match_rule(self, picture: HasProvenance) -> str | None:
        """Return the kind of rule that matches a picture; None if none does. Hashes are not compared."""
        if not self.cells:
            return None
        if any(("artist", name) in self.cells for name in artist_names(picture.artist, picture.tags)):
            return "artist"
        places = (picture.page_url, picture.file_url, *getattr(picture, "instead", ()))
        urls = [comparable_url(url) for url in places if url]
        if any(("domain", domain) in self.cells for url in urls for domain in _parent_domains(url)):
            return "domain"
        return "url_prefix" if self._prefixes and any(url.startswith(self._prefixes) for url in urls) else None


def artist_names(artist: str | None, tags: tuple[str, ...] | list[str]) -> set[str]:
    """Return all names of the artists of a picture, in one spelling. Any tag may be one, also where an artist is named:
    boorus list artists among the tags, some as `artist:name`."""
    parts = [artist, *re.split(r"[,;、，；]", artist)] if artist else []
    return {_normal_name(name) for name in (*parts, *tags, *filter(None, map(artist_of_tag, tags)))} - {""}


def _normal_name(text: str) -> str:
    """Return a name in one spelling: as a tag, of half width, without the @ of a handle."""
    return normal_tag(unicodedata.normalize("NFKC", text)).lstrip("@")


def comparable_url(url: str) -> str:
    """Return a URL in the form in which prefixes are compared: without the scheme and its usual port, the host in lower
    case and ASCII, nothing of the path percent-encoded."""
    absolute = absolute_url(url if "://" in url else f"https://{url.strip()}") or ""
    scheme, _, rest = absolute.partition("://")
    host, _, path = rest.partition("/")
    name = host.removesuffix({"http": ":80", "https": ":443"}.get(scheme, ":")).rstrip(".")
    return f"{name}/{unquote(path)}"


def _parent_domains(url: str) -> list[str]:
    """Return `a.b.org/c` -> a.b.org, b.org, org."""
    names = url.partition("/")[0].partition(":")[0].rstrip(".").split(".")
    return [".".join(names[start:]) for start in range(len(names))]


def _domain(text: str) -> str:
    host = comparable_url(text).partition("/")[0].partition(":")[0].rstrip(".")
    if not re.fullmatch(r"[\w-]+(\.[\w-]+)+", host):
        raise ValueError("a domain such as example.org")
    return host


def _sha256(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", text.lower()):
        raise ValueError("64 hexadecimal digits")
    return text.lower()


def _url_prefix(text: str) -> str:
    plain = comparable_url(text)
    if text.strip().count("/") < (3 if "://" in text else 1) or plain.startswith("/"):
        raise ValueError("the beginning of a URL, up to and with the slash behind its host or more")
    return plain


def _artist(text: str) -> str:
    if not (name := _normal_name(text)):
        raise ValueError("a name")
    return name


_NORMALIZERS = {"artist": _artist, "domain": _domain, "url_prefix": _url_prefix, "sha256": _sha256}


def parse_cell(kind: str, text: str) -> tuple[str, str]:
    """Return a cell in its normal form. Raise ValueError, which states what was expected."""
    return kind, _NORMALIZERS[kind](text)


def file_below(root: Path) -> Path:
    """Return the path of the block list of a data root."""
    return root / "blocklist.csv"


def read(root: Path) -> BlockList:
    """Return the block list of a data root, empty if it has no file. Raise UserError, which names the line: a list that
    is misread lets pictures in."""
    return BlockList(frozenset(each for row in _rows(file_below(root)) for each in row))


def _rows(path: Path) -> list[list[tuple[str, str]]]:
    try:
        if path.exists() and not path.is_file():  # a pipe would be read for ever
            raise UserError(path, "a folder, a pipe or a device", _EXAMPLE, "move it away")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return []
    except UnicodeDecodeError as error:
        raise UserError(path, f"no UTF-8 ({error.reason})", _EXAMPLE, "save it as UTF-8") from error
    except OSError as error:
        raise UserError(path, error.strerror or str(error), _EXAMPLE, "correct its permissions") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="more", strict=True)
    try:
        names = [(name or "").strip().lower() for name in reader.fieldnames or []]
    except csv.Error as error:
        raise UserError(path, "line 1 is not right", str(error), "correct that line") from error
    if names and (not set(names) <= set(COLUMNS) or len(set(names)) < len(names)):
        raise UserError(path, f"the columns {','.join(names)[:100]}", _EXAMPLE, "correct its first line")
    reader.fieldnames = names
    rows = []
    try:
        for row in reader:
            if "more" in row:
                raise ValueError(f"as many cells as columns: {','.join(names)}; quote a cell that has commas")
            rows.append([parse_cell(kind, row[kind]) for kind in KINDS if (row.get(kind) or "").strip()])
    except (ValueError, csv.Error) as error:
        raise UserError(path, f"line {reader.line_num} is not right", str(error), "correct that line") from error
    return rows


def add(root: Path, kind: str, text: str, reason: str, scratch: Path) -> None:
    """Add a line, unless the rule is there. Raise UserError if the file is wrong, ValueError if the text is."""
    path, value = file_below(root), parse_cell(kind, text)
    if value in read(root).cells:
        return
    existing = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    file = io.StringIO()
    columns = [name.strip().lower() for name in next(csv.reader(existing.splitlines()[:1]), COLUMNS)]
    writer = csv.DictWriter(file, columns, lineterminator="\n", extrasaction="ignore")
    if kind not in columns:
        raise UserError(path, f"no column {kind}", _EXAMPLE, "add the column")
    if not existing:
        writer.writeheader()
    writer.writerow({kind: text.strip(), "reason": " ".join(reason.split())})
    complete = existing if not existing or existing.endswith("\n") else existing + "\n"
    replace_file(path, (complete + file.getvalue()).encode(), scratch=scratch)
