"""The pictures of a recipe (`pipeline.datasets.recipe`), as a source on the web: where each was found, and what
its bytes are.

It is not in SOURCES: RebuildFaceDataset uses it once for each source of the recipe, with that source's crawl policy.
"""

import json
from pathlib import Path
from typing import Any

from pipeline.datasets import recipe
from pipeline.sources.base import Skipped
from pipeline.sources.parsing import normal_tags
from pipeline.sources.web_source import Cursor, Page, Query, RemoteImage
from pipeline.tags import one_line
from pipeline.terminal import sanitize_line
from pipeline.urls import absolute_url
from pipeline.web.messages import HttpResponse

VERSION = 1


def first_cursor(query: Query) -> Cursor:
    """Return the cursor of the first page: the recipe's sha256."""
    return {"sha256": recipe.sha256(_path(query))}


def _path(query: Query) -> Path:
    assert query.path is not None  # RebuildFaceDataset gives the recipe's
    return query.path


def request(query: Query, cursor: Cursor) -> None:
    """Return None: a recipe is a local file."""


def parse(query: Query, cursor: Cursor, answer: HttpResponse | None) -> Page:
    """Return the images of the sources that the option `sources` names, as JSON."""
    names = json.loads(query.options["sources"])
    pictures = recipe.read(_path(query)).pictures.items()
    offers = [_parse_row(query, key, row) for key, row in pictures if row["source"] in names and row["file_url"]]
    return Page(offers, None)


def _parse_row(query: Query, key: str, row: dict) -> RemoteImage | Skipped:
    url = absolute_url(row["file_url"])
    if url is None:
        return Skipped(key, "bad_url", sanitize_line(row["file_url"], 100))
    if query.ratings and row["rating"] and row["rating"] not in query.ratings:
        return Skipped(key, "rating", sanitize_line(row["rating"], 20))
    fields: dict[str, Any] = {name: one_line(row[name]) for name in ("title", "artist", "rating", "license")}
    page_url = absolute_url(row["page_url"])
    return RemoteImage(key, url, page_url=page_url, **fields, tags=normal_tags(row["tags"]), sha256=row["image_id"])
