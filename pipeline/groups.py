"""Near-duplicates and faces of one picture -> groups; a group -> train, val or test."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from pipeline import near
from pipeline.manifest import funnel_row, with_columns
from pipeline.store import Store

VERSION = 2
NEAR_DUPLICATES = ("keep", "drop")


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


def group(
    faces: pa.Table, images: pa.Table, store: Store, *, crops: Path, near_duplicates: str = "keep", jobs: int = 0
) -> tuple[pa.Table, list[dict]]:
    """Faces with their crops' columns, and the IMAGES they come from -> (the same with `group` and `split`, rows of
    FUNNEL).

    Two pictures are one group if one is a copy of the other, or any crop of the one, below the folder `crops`, of a
    crop of the other. `near_duplicates` is one of NEAR_DUPLICATES: `drop` keeps, of a group's pictures with faces, the
    largest."""
    originals = dict(_rows(images, "image_id", "path"))
    image_of = dict(_rows(faces, "face_id", "image_id"))
    edges = [(image_id, image_id) for image_id in originals]
    edges += near.copies({key: store.root / path for key, path in originals.items()}, "pictures", store, jobs=jobs)
    pairs = near.copies({key: crops / path for key, path in _rows(faces, "face_id", "path")}, "faces", store, jobs=jobs)
    edges += [(image_of[a], image_of[b]) for a, b in pairs]
    group_of = components(edges)
    groups = [group_of[image_id] for image_id in faces["image_id"].to_pylist()]
    faces = with_columns(faces, group=groups, split=[split_of(group) for group in groups])
    return _largest_of_each(faces, images) if near_duplicates == "drop" else (faces, [])


def _largest_of_each(faces: pa.Table, images: pa.Table) -> tuple[pa.Table, list[dict]]:
    """The faces of each group's picture with the most pixels (among equals, the most bytes, then the first image_id),
    and a row of FUNNEL for each other picture."""
    size_of = {image_id: (width * height, size) for image_id, width, height, size in
               _rows(images, "image_id", "width", "height", "bytes")}  # fmt: skip
    pictures = {image_id: row for image_id, *row in _rows(faces, "image_id", "group", "source", "source_id")}
    kept: dict[str, str] = {}  # group -> image_id
    for image_id in sorted(pictures):
        best = kept.setdefault(pictures[image_id][0], image_id)
        if size_of[image_id] > size_of[best]:
            kept[pictures[image_id][0]] = image_id
    drops = [
        funnel_row("groups", source, source_id, "near_duplicate", f"of {pictures[kept[group]][2]}", image_id)
        for image_id, (group, source, source_id) in pictures.items() if kept[group] != image_id
    ]  # fmt: skip
    is_kept = [kept[group] == image_id for image_id, group in _rows(faces, "image_id", "group")]
    return faces.filter(pa.array(is_kept, pa.bool_())), drops


def _rows(table: pa.Table, *names: str) -> Iterable[tuple]:
    return zip(*(table[name].to_pylist() for name in names), strict=True)
