"""The pictures of a recipe (`pipeline.datasets.recipe`) as a web source: the URL of each, and the sha256 of its bytes.

It is no row of SOURCES: RebuildFaceDataset queries it once for each source that the recipe names, under the crawl
policy of that source.
"""

import json
from pathlib import Path

from pipeline.datasets import recipe
from pipeline.sources.base import Skipped
from pipeline.sources.sidecars import one_line
from pipeline.sources.web_source import (
    Cursor,
    HttpResponse,
    Page,
    Query,
    RemoteImage,
    absolute_url,
    sanitize_line,
    tags_of,
)

VERSION = 1


def first(query: Query) -> Cursor:
    """Return the cursor of the only page: the sha256 of the recipe."""
    return {"sha256": recipe.sha256(_path(query))}


def ask(query: Query, cursor: Cursor) -> None:
    """Return no request: a recipe is a file of this machine."""


def read(query: Query, cursor: Cursor, answer: HttpResponse | None) -> Page:
    """Return the pictures whose source the option `sources`, a JSON list, names."""
    names = json.loads(query.options["sources"])
    pictures = recipe.read(_path(query)).pictures.items()
    offers = [_offer(query, key, row) for key, row in pictures if row["source"] in names and row["file_url"]]
    return Page(offers, None)


def _path(query: Query) -> Path:
    """Return the recipe's file. Raise ValueError if the query has none."""
    if query.path is None:
        raise ValueError("a query to a recipe without its path")
    return query.path


def _offer(query: Query, key: str, row: dict) -> RemoteImage | Skipped:
    url = absolute_url(row["file_url"])
    if url is None:
        return Skipped(key, "bad_url", sanitize_line(row["file_url"], 100))
    if query.ratings and row["rating"] and row["rating"] not in query.ratings:
        return Skipped(key, "rating", sanitize_line(row["rating"], 20))
    title, artist, rating, license_ = (one_line(row[name]) for name in ("title", "artist", "rating", "license"))
    return RemoteImage(
        key,
        url,
        page_url=absolute_url(row["page_url"]),
        title=title,
        artist=artist,
        rating=rating,
        license=license_,
        tags=tags_of(row["tags"]),
        sha256=row["image_id"],
    )
