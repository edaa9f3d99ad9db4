"""Read the pictures of posts, and store the verified files under their sha256."""

import functools
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.blocklist import BlockList
from pipeline.funnel import REASONS, funnel_row
from pipeline.images.decode import EXTENSIONS, MAX_SHRINK, Rejected, decode_reduced, error_text, phash
from pipeline.later_work import Result, Work, caching, do_ahead
from pipeline.manifest import IMAGES
from pipeline.parallel import OUT_OF_MEMORY, cached_map
from pipeline.sources.base import BytesReader, FileTooLarge, Post, Skipped
from pipeline.store import Store
from pipeline.stored import HEX64

VERSION = 3

_RETRIED_REASONS = ("unreadable", "blocked")  # as permissions and lists change
_BLOCKED_BY_HASH = {"reason": "blocked", "detail": "sha256", "image_id": None}  # the sha256 stays in the list alone
_NO_BLOCKS = BlockList()
Offer = Post | Skipped


def examine(data: bytes) -> dict:
    """Return the columns of IMAGES that depend on the file alone, or {reason, detail, image_id} if it is rejected."""
    return _examine(data)[0]


def _examine(data: bytes) -> tuple[dict, np.ndarray | None]:
    """Return what `examine` returns, and the pixels, decoded at up to 1 / MAX_SHRINK of their size, if it has some."""
    image_id = hashlib.sha256(data).hexdigest()
    try:
        picture = decode_reduced(data, MAX_SHRINK)
    except Rejected as rejected:
        reason, detail = rejected.args
        return {"reason": reason, "detail": detail, "image_id": image_id}, None
    columns = {
        "image_id": image_id,
        "path": f"images/{image_id[:2]}/{image_id}.{EXTENSIONS[picture.format]}",
        "bytes": len(data),
        "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
        "format": picture.format,
        "width": picture.width,
        "height": picture.height,
        "phash": phash(picture.pixels),
    }
    return columns, picture.pixels


def take(
    post: Post, store: Store, blocked: frozenset[str] = frozenset(), later: Sequence[Work] = ()
) -> tuple[dict, list[Result]]:
    """Read, examine and store one post's picture, unless its sha256 is blocked. Return what `examine` returns, and the
    results of later work on the pixels."""
    try:
        data = post.read()
    except FileTooLarge as error:
        return {"reason": "too_large", "detail": str(error), "image_id": None}, []
    except OSError as error:
        return {"reason": "unreadable", "detail": error_text(error), "image_id": None}, []
    result, pixels = _examine(data)
    if result["image_id"] in blocked:
        return _BLOCKED_BY_HASH, []
    if pixels is None:
        return result, []
    store.put(result["path"], data)
    return result, do_ahead(later, result["image_id"], pixels)


def find_original(store: Store, image_id: str) -> Path | None:
    """Return the path of the original with that sha256, or None."""
    return next((store.root / "images" / image_id[:2]).glob(f"{image_id}.*"), None)


_REJECTION_SHAPE = {"reason": re.compile("|".join(REASONS)), "detail": str, "image_id": (HEX64, None)}
_IMAGE_SHAPE = {
    "image_id": HEX64,
    "path": re.compile("images/[0-9a-f]{2}/[0-9a-f]{64}[.][a-z0-9]{1,5}"),
    "bytes": int,
    "md5": str,
    "format": str,
    "width": int,
    "height": int,
    "phash": str,
}
"""The shapes of what `take` returns."""


def memory(store: Store):
    """Give the cached results of `take`, by the fingerprint of the post."""
    return store.memory(f"images/{VERSION}", (_IMAGE_SHAPE, _REJECTION_SHAPE))


def collect(
    offers: Iterable[Offer],
    source: str,
    limit: int,
    store: Store,
    *,
    blocked: BlockList = _NO_BLOCKS,
    jobs: int = 0,
    later: Sequence[Work] = (),
) -> tuple[pa.Table, list[dict]]:
    """Return (IMAGES, rows of FUNNEL) of the first `limit` posts (0: all) of `source` that are not blocked.

    `later`: work on the pixels of each new picture, whose results have the image_id as key. The same bytes under two
    ids give one row, of the first id in order, and a drop."""
    posts: dict[str, list[dict]] = {}  # fingerprint -> provenance of the posts under way: several may be of one file
    drops: list[dict] = []

    def drop(source_id: str, reason: str, detail: str, image_id: str | None = None) -> None:
        drops.append(funnel_row("images", source, source_id, reason, detail, image_id))

    def wanted() -> Iterator[tuple[str, Post]]:
        taken = 0
        for offer in offers:
            if isinstance(offer, Post) and (rule := blocked.match_rule(offer)):
                offer = Skipped(offer.source_id, "blocked", rule)
            if isinstance(offer, Skipped):
                drop(offer.source_id, offer.reason, offer.detail)
                continue
            posts.setdefault(offer.fingerprint, []).append(_provenance(offer, source))
            yield offer.fingerprint, offer
            taken += 1
            if taken == limit:
                return

    def is_stored(result: dict) -> bool:
        if "reason" in result:
            return result["reason"] not in _RETRIED_REASONS
        return (store.root / result["path"]).exists()

    rows = _Rows()
    with memory(store) as known, caching(later, store) as accept:
        work = functools.partial(take, store=store, blocked=blocked.hashes, later=later)
        for key, result in cached_map(
            known, work, wanted(), is_valid=is_stored, item_bytes=_item_bytes, accept=accept, what="pictures", jobs=jobs
        ):
            post = posts[key].pop()
            if not posts[key]:
                del posts[key]
            if result is None:
                drop(post["source_id"], "out_of_memory", OUT_OF_MEMORY)
                continue
            if result["image_id"] in blocked.hashes:  # a cached result may be older than the rule
                result = _BLOCKED_BY_HASH
            if "reason" in result:
                drop(post["source_id"], **result)
            else:
                rows.add(result | post)
    images = rows.table().sort_by("source_id")
    first: dict[str, int] = {}
    for row, image_id in enumerate(images["image_id"].to_pylist()):
        if first.setdefault(image_id, row) != row:
            twin, source_id = (images["source_id"][index].as_py() for index in (first[image_id], row))
            drop(source_id, "duplicate", f"the same bytes as {twin}", image_id)
    return images.take(pa.array(first.values(), pa.int64())), drops


def _item_bytes(post: Post) -> int:
    return len(post.read.data) if isinstance(post.read, BytesReader) else 0


class _Rows:
    """Rows of IMAGES as they come, stored as Arrow: Python objects would take ten times the memory."""

    def __init__(self):
        self._tables = [IMAGES.empty_table()]
        self._fresh: list[dict] = []

    def add(self, row: dict) -> None:
        self._fresh.append(row)
        if len(self._fresh) == 256:
            self._pack()

    def _pack(self) -> None:
        self._tables.append(pa.Table.from_pylist(self._fresh, schema=IMAGES))
        self._fresh = []

    def table(self) -> pa.Table:
        self._pack()
        return pa.concat_tables(self._tables).combine_chunks()


def _provenance(post: Post, source: str) -> dict:
    columns = {field.name: getattr(post, field.name) for field in fields(post)}
    del columns["read"], columns["fingerprint"]  # the first may hold the bytes; neither is a column
    return columns | {"source": source}
