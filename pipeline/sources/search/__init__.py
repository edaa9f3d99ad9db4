"""Image searches: each is one engine, which builds its offers with `offer_hit`, and one row of SOURCES.

No other module names one. Google's Custom Search API ends on 2027-01-01: then its module and its row are deleted, and
nothing else changes.

A hit is on a site that was not requested yet. What the search states about the file (length, type, hash) is what a
crawler saw once, so it is not compared; its URL may lead anywhere.
"""

from pipeline.sources.base import Skipped
from pipeline.sources.folder import OTHERS
from pipeline.sources.parsing import BadAnswer, bad_answer, normal_tags, parse_json_body
from pipeline.sources.web_source import RemoteImage
from pipeline.tags import one_line
from pipeline.terminal import sanitize_line
from pipeline.urls import absolute_url
from pipeline.web.messages import HttpResponse

_UNKNOWN_TYPES = {"", "image/", "image/*", "application/octet-stream", "binary/octet-stream"}
_UNUSABLE_TYPES = {"svg", "svgz", "svg+xml", "ico", "x-icon", "vnd.microsoft.icon", "psd", "vnd.adobe.photoshop"}
_OTHER_EXTENSIONS = {"m4v", "mpg", "mpeg", "flv", "wmv", "swf", "ogv", "gifv", "m3u8"} | {name[1:] for name in OTHERS}


def parse_object(answer: HttpResponse) -> dict:
    """Return the JSON object of the body. Raise BadAnswer."""
    data = parse_json_body(answer)
    if not isinstance(data, dict):
        raise bad_answer(answer, f"no results but {str(data)[:100]!r}")
    return data


def parse_refusal(answer: HttpResponse) -> dict:
    """Return the JSON object of an answer of 4xx or 5xx; empty if it is something else: a proxy before an API may
    answer web pages."""
    try:
        return parse_object(answer)
    except BadAnswer:
        return {}


def offer_hit(
    hit_id: str,
    url: object,
    *,
    kind: object = "",
    page_url: object = None,
    title: object = None,
    artist: object = None,
    rating: str | None = None,
    license: str | None = None,
    tags: list[str] | None = None,
) -> RemoteImage | Skipped:
    """Return the offer of a hit. `hit_id`: the service's id, or empty if it is named by its URL; `kind`: the stated
    type, as `image/png` or `png`."""
    address = absolute_url(url)
    if address is None:
        return Skipped(hit_id or sanitize_line(url) or "no URL", "bad_url", sanitize_line(url, 100) or "no URL")
    if found := non_picture_type(kind, address):
        return Skipped(hit_id or address, "not_a_picture", found)
    return RemoteImage(
        hit_id or address,
        address,
        page_url=absolute_url(page_url),
        title=one_line(title),
        artist=one_line(artist),
        rating=rating,
        license=license,
        tags=tuple(dict.fromkeys(normal_tags(tags or []))),
    )


def non_picture_type(kind: object, url: str) -> str:
    """Return the type of a file that is not a picture, by its stated type or else by its name; empty if it may be a
    picture."""
    claimed = sanitize_line(kind or "", 100).partition(";")[0].strip().lower().lstrip(".")
    if claimed in _UNKNOWN_TYPES:
        name = url.partition("?")[0].rpartition("/")[2]
        claimed = name.rpartition(".")[2].lower() if "." in name else ""
    family, slash, name = claimed.rpartition("/")
    is_none = name in _UNUSABLE_TYPES or (family not in ("", "image") if slash else name in _OTHER_EXTENSIONS)
    return claimed[:40] if is_none else ""
