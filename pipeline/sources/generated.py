"""Samples of a trained run. A task has written them before, with an index; this source reads the folder."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.sources.base import LocalQuery, Post, read_file
from pipeline.stored import HEX64, read_json

VERSION = 1
INDEX, FOLDER = "samples.json", "samples"
_SAMPLE = {"seed": int, "name": re.compile("[0-9]+[.]png"), "sha256": HEX64, "tags": [str]}
_SHAPE = {"run": str, "license": (str, None), "samples": [_SAMPLE]}
MAX_INDEX_BYTES = 64 << 20  # a sample takes 150 bytes


def snapshot(request: LocalQuery) -> int:
    """Return the version: what the samples depend on is in the digest of the task that writes them. Raise UserError."""
    for option, given in (("--path", request.path), ("--query", request.query)):
        if given:
            raise UserError(
                option, f"{str(given)[:100]} given", "nothing: a run generates the pictures", "leave it out"
            )
    return VERSION


def read_index(folder: Path) -> Any:
    """Return the index of a folder of samples. Raise UserError."""
    try:
        return read_json(folder / INDEX, _SHAPE, max_bytes=MAX_INDEX_BYTES)
    except (FileNotFoundError, ValueError) as error:
        cure = f"delete {folder}: it is made again"
        raise UserError(folder / INDEX, f"damaged ({error})", "the list of the samples", cure) from error


def posts(request: LocalQuery, snapshot: int) -> Iterator[Post]:
    """Yield the samples in the folder `request.path`, by their seeds."""
    assert request.path is not None  # the task's folder
    index = read_index(request.path)
    for sample in index["samples"]:
        yield Post(
            source_id=f"{index['run']}/{sample['seed']}",
            read=partial(read_file, request.path / FOLDER / sample["name"]),
            fingerprint=f"generated {sample['sha256']}",
            license=index["license"],
            tags=tuple(sample["tags"]),
        )
