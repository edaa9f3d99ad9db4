"""Near-duplicates and faces of one picture -> groups; a group -> train, val or test."""

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator

import pyarrow as pa

from pipeline.manifest import with_columns

VERSION = 1
NEAR = 3  # bits of 64 in which the hashes of a picture and of its recompressed or resized copy differ at most
_BANDS = NEAR + 1  # by the pigeonhole principle, hashes that near agree in one of so many bands of 16 bits


def near_pairs(hashes: Iterable[str]) -> Iterator[tuple[str, str]]:
    """All pairs of different 64-bit hashes (16 hex digits) that differ in at most NEAR bits; some come twice."""
    unique = {text: int(text, 16) for text in hashes}
    for band in range(_BANDS):
        buckets = defaultdict(list)
        for text in unique:
            buckets[text[4 * band : 4 * band + 4]].append(text)
        for bucket in buckets.values():
            for a, b in itertools.combinations(bucket, 2):
                if (unique[a] ^ unique[b]).bit_count() <= NEAR:
                    yield a, b


def components(edges: Iterable[tuple[str, str]]) -> dict[str, str]:
    """node -> the smallest node of its connected component."""
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = node = parent[parent[node]]
        return node

    for a, b in edges:
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    return {node: root(node) for node in parent}


def split_of(group: str) -> str:
    """train, val or test (80/10/10): a hash, so that adding pictures moves no group."""
    tenth = int.from_bytes(hashlib.sha256(f"split of {group}".encode()).digest()[:8], "big") % 10
    return {8: "val", 9: "test"}.get(tenth, "train")


def group(faces: pa.Table, images: pa.Table) -> pa.Table:
    """Faces with their crops' columns, and the IMAGES they come from -> the same with `group` and `split`.

    Two pictures are one group if the perceptual hashes of the pictures, or of any crops of theirs, are near."""
    hashed = defaultdict(list)  # what was hashed, and its hash -> image_ids
    for kind, table in (("picture", images), ("crop", faces)):
        for image_id, phash in zip(table["image_id"].to_pylist(), table["phash"].to_pylist(), strict=True):
            hashed[kind, phash].append(image_id)
    edges = [(ids[0], other) for ids in hashed.values() for other in ids]
    for kind in ("picture", "crop"):
        pairs = near_pairs(phash for kind_, phash in hashed if kind_ == kind)
        edges += [(hashed[kind, a][0], hashed[kind, b][0]) for a, b in pairs]
    group_of = components(edges)
    groups = [group_of[image_id] for image_id in faces["image_id"].to_pylist()]
    return with_columns(faces, group=groups, split=[split_of(group) for group in groups])
