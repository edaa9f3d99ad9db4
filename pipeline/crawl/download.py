"""One file that a site offers: fetched, held against what is promised of it, and put into images/."""

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


def take(
    offer: RemoteImage,
    urls: dict[str, str],
    partial_file: PartialFile,
    client: Client,
    store: Store,
    own: set[str],
    blocked: frozenset[str] = frozenset(),
) -> tuple[File, dict | None]:
    """(what came of the file, its columns of IMAGES if it is kept). `urls`: the file's addresses, the best first, and
    where each is asked for; `blocked`: sha256 of files that are not to be kept. Raises Down or Banned if that holds for
    all that is left: of a host of `own`."""
    if offer.sha256 and (here := images.kept(store, offer.sha256)):
        columns = images.examine(here.read_bytes())
        fetched_at = datetime.fromtimestamp(here.stat().st_mtime, timezone.utc).isoformat()
        return File(FETCHED, "", columns["image_id"], columns["path"], columns["bytes"], True, fetched_at), columns
    address, url = next(iter(urls.items()))
    referer = absolute_url(offer.page_url)  # a header holds an encoded address, or none
    try:
        for address, url in urls.items():  # the one that answers is used below
            try:
                client.file(HttpRequest(url, referer=referer), partial_file)
                break
            except RequestFailed as failure:
                if failure.reason != "gone" or address == [*urls][-1]:
                    raise
        columns, problem = _verdict(offer, partial_file)
        if _may_be_cut(columns):
            partial_file.done()
            client.file(HttpRequest(url, referer=referer), partial_file)
            columns, problem = _verdict(offer, partial_file)
    except (HostUnavailable, BlockedByHost) as closed:
        if host_name(url) in own:
            raise
        reason, detail = (
            ("unreachable", closed.detail) if isinstance(closed, HostUnavailable) else ("refused", str(closed))
        )
        return File(reason, detail[:200]), None
    except RequestFailed as failure:
        return File(failure.reason, failure.detail[:200]), None
    if columns["image_id"] in blocked:
        return File("blocked", "sha256"), None
    fetched_at = partial_file.fetched_at()
    # Hosts that squeeze pictures break their sites' md5; a list's sha256 is there to be held.
    if problem and ("path" not in columns or offer.sha256):
        return File(*problem, image_id=columns["image_id"], fetched_at=fetched_at), None
    store.adopt(columns["path"], partial_file.whole)
    is_as_promised = not problem if offer.md5 or offer.sha256 or offer.bytes else None
    detail = problem[1] if problem else ""
    kept = (columns["image_id"], columns["path"], columns["bytes"], is_as_promised, fetched_at)
    return File(FETCHED, detail, *kept, address if address != offer.file_url else None), columns


def _verdict(offer: RemoteImage, partial_file: PartialFile) -> tuple[dict, tuple[str, str] | None]:
    """(what the file tells of itself, what is wrong with it: a reason, and more in words)."""
    data = partial_file.whole.read_bytes()
    columns = images.examine(data)
    md5 = columns.get("md5") or hashlib.md5(data, usedforsecurity=False).hexdigest()
    found = {"bytes": len(data), "md5": md5, "sha256": columns["image_id"]}
    for name, value in found.items():
        promised = getattr(offer, name)
        if promised and promised != value:
            return columns, ("wrong_hash", f"{name} {value}, promised {promised}")
    return columns, (columns["reason"], columns["detail"]) if "reason" in columns else None


def _may_be_cut(columns: dict) -> bool:
    """Whether another fetch may bring more of it. A whole picture of other bytes than promised comes again as it is."""
    return columns.get("reason") in ("empty", "truncated", "not_an_image")
