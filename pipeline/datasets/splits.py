"""Groups of near-duplicates and of faces of one picture; the split of a group: train, val or test."""

import hashlib
import math
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from pipeline.funnel import funnel_row
from pipeline.images.near_duplicates import find_copies
from pipeline.manifest import rows_of, with_columns
from pipeline.store import Store

VERSION = 2
COPIES = ("copies_of_picture", "copies_of_face")
"""Columns that only `largest_of_copies` needs: which rows are of copies of one picture, and which are copies of one
face, each named by the smallest id among them."""


def components(edges: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return node -> the smallest node of its connected component."""
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
    """Return train, val or test (80/10/10), by a hash: adding pictures moves no group."""
    tenth = int.from_bytes(hashlib.sha256(f"split of {group}".encode()).digest()[:8], "big") % 10
    return {8: "val", 9: "test"}.get(tenth, "train")


def copies_of_pictures(images: pa.Table, store: Store, *, jobs: int = 0) -> dict[str, str]:
    """Return image_id -> the smallest image_id among its copies, of IMAGES whose files lie in the store."""
    files = {key: store.root / path for key, path in rows_of(images, "image_id", "path")}
    return components([(key, key) for key in files] + list(find_copies(files, "pictures", store, jobs=jobs)))


def group(faces: pa.Table, images: pa.Table, store: Store, *, crops: Path, jobs: int = 0) -> pa.Table:
    """Return the faces with the columns `group`, `split` and COPIES. `images` are the IMAGES that they come from.

    Two pictures are one group if one is a copy of the other, or any crop of the one, below the folder `crops`, of a
    crop of the other."""
    of_picture = copies_of_pictures(images, store, jobs=jobs)
    files = {key: crops / path for key, path in rows_of(faces, "face_id", "path")}
    same_faces = list(find_copies(files, "faces", store, jobs=jobs))
    of_face = components([(key, key) for key in files] + same_faces)
    image_of = dict(rows_of(faces, "face_id", "image_id"))
    group_of = components([*of_picture.items(), *((image_of[a], image_of[b]) for a, b in same_faces)])
    image_ids, face_ids = faces["image_id"].to_pylist(), faces["face_id"].to_pylist()
    groups = [group_of[image_id] for image_id in image_ids]
    faces = with_columns(faces, group=groups, split=[split_of(group) for group in groups])
    for column, of, keys in zip(COPIES, (of_picture, of_face), (image_ids, face_ids), strict=True):
        faces = faces.append_column(column, pa.array([of[key] for key in keys], pa.string()))
    return faces


def largest_of_copies(faces: pa.Table, columns: Iterable[str] = COPIES) -> tuple[pa.Table, list[dict]]:
    """Return the faces, or the pictures, without copies, and a row of FUNNEL for each that is dropped. `columns` name
    the copies, as COPIES do. Of copied pictures the largest is kept, then of copied faces the one of the largest
    picture; among equals the first image_id."""
    drops = []
    for column in columns:
        best: dict[str, tuple] = {}  # which copies -> the largest of their pictures
        for copies, image_id, *size, source_id in rows_of(faces, column, "image_id", "width", "height", "source_id"):
            key = (-math.prod(size), image_id, source_id)
            best[copies] = min(key, best.get(copies, key))
        rows = rows_of(faces, column, "image_id", "source", "source_id")
        is_largest = []
        for copies, image_id, source, source_id in rows:
            _, largest, of = best[copies]
            is_largest.append(image_id == largest)
            if image_id != largest:
                drops.append(funnel_row("copies", source, source_id, "near_duplicate", f"of {of}", image_id))
        faces = faces.filter(pa.array(is_largest, pa.bool_()))
    return faces, drops
