"""One file that a site offers: fetched, compared with what the site states about it, and stored in images/."""

import hashlib
from datetime import datetime, timezone

from pipeline.crawl.ledger import FETCHED, File
from pipeline.images import collect as images
from pipeline.sources.web_source import RemoteImage
from pipeline.store import Store
from pipeline.urls import absolute_url
from pipeline.web.client import BlockedByHost, Client, HostUnavailable, host_name
from pipeline.web.http import RequestFailed
from pipeline.web.messages import HttpRequest
from pipeline.web.partial_file import PartialFile


def download_image(
    image: RemoteImage,
    urls: dict[str, str],
    partial_file: PartialFile,
    client: Client,
    store: Store,
    own: set[str],
    blocked: frozenset[str] = frozenset(),
) -> tuple[File, dict | None]:
    """Return the outcome of the file, and its columns of IMAGES if it is stored.

    `urls` maps the file's addresses, the best first, to where each is fetched; `blocked` holds sha256 of files that are
    not stored. Raise HostUnavailable or BlockedByHost for a host of `own`: nothing is left to fetch then."""
    if image.sha256 and (existing := images.find_original(store, image.sha256)):
        columns = images.examine(existing.read_bytes())
        fetched_at = datetime.fromtimestamp(existing.stat().st_mtime, timezone.utc).isoformat()
        return File(FETCHED, "", columns["image_id"], columns["path"], columns["bytes"], True, fetched_at), columns
    address, url = next(iter(urls.items()))
    referer = absolute_url(image.page_url)  # a header holds an encoded address, or none
    try:
        for address, url in urls.items():  # the one that answers is used below
            try:
                client.fetch_file(HttpRequest(url, referer=referer), partial_file)
                break
            except RequestFailed as failure:
                if failure.reason != "gone" or address == [*urls][-1]:
                    raise
        columns, problem = _examine(image, partial_file)
        if _may_be_cut(columns):
            partial_file.discard()
            client.fetch_file(HttpRequest(url, referer=referer), partial_file)
            columns, problem = _examine(image, partial_file)
    except (HostUnavailable, BlockedByHost) as closed:
        if host_name(url) in own:
            raise
        if isinstance(closed, HostUnavailable):
            return File("unreachable", closed.detail[:200]), None
        return File("refused", str(closed)[:200]), None
    except RequestFailed as failure:
        return File(failure.reason, failure.detail[:200]), None
    if columns["image_id"] in blocked:
        return File("blocked", "sha256"), None
    fetched_at = partial_file.fetched_at()
    # Hosts that recompress pictures break their sites' md5; a sha256 in the user's list must match.
    if problem and ("path" not in columns or image.sha256):
        return File(*problem, image_id=columns["image_id"], fetched_at=fetched_at), None
    store.adopt(columns["path"], partial_file.complete_path)
    is_as_promised = not problem if image.md5 or image.sha256 or image.bytes else None
    detail = problem[1] if problem else ""
    kept = (columns["image_id"], columns["path"], columns["bytes"], is_as_promised, fetched_at)
    return File(FETCHED, detail, *kept, address if address != image.file_url else None), columns


def _examine(image: RemoteImage, partial_file: PartialFile) -> tuple[dict, tuple[str, str] | None]:
    """Return the columns of IMAGES, and what is wrong with the file: a reason and a detail, or None."""
    data = partial_file.complete_path.read_bytes()
    columns = images.examine(data)
    md5 = columns.get("md5") or hashlib.md5(data, usedforsecurity=False).hexdigest()
    found = {"bytes": len(data), "md5": md5, "sha256": columns["image_id"]}
    for name, value in found.items():
        stated = getattr(image, name)
        if stated and stated != value:
            return columns, ("wrong_hash", f"{name} {value}, promised {stated}")
    return columns, (columns["reason"], columns["detail"]) if "reason" in columns else None


def _may_be_cut(columns: dict) -> bool:
    """Return whether another fetch may bring more of it. A complete picture with another hash would not change."""
    return columns.get("reason") in ("empty", "truncated", "not_an_image")
