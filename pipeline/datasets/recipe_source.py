"""The pictures of a recipe (`pipeline.datasets.recipe`), as a source on the web: where each was found, and what
its bytes are.

It is in no table: RebuildFaceDataset asks it once for each source that the recipe names, with that source's manners.
"""

import json

from pipeline.datasets import recipe
from pipeline.sources.base import Drop
from pipeline.sources.sidecars import one_line
from pipeline.sources.web_source import (
    Answer,
    Cursor,
    Listing,
    Offer,
    Query,
    absolute_url,
    tags_of,
    words_of,
)

VERSION = 1


def first(query: Query) -> Cursor:
    return {"sha256": recipe.sha256(query.path)}


def ask(query: Query, cursor: Cursor) -> None:
    """Nothing: a recipe is a file of this machine."""


def read(query: Query, cursor: Cursor, answer: Answer | None) -> Listing:
    """Of the sources that the option `sources` names, as JSON."""
    names = json.loads(query.options["sources"])
    pictures = recipe.read(query.path).pictures.items()
    offers = [_offer(query, key, row) for key, row in pictures if row["source"] in names and row["file_url"]]
    return Listing(offers, None)


def _offer(query: Query, key: str, row: dict) -> Offer | Drop:
    url = absolute_url(row["file_url"])
    if url is None:
        return Drop(key, "bad_url", words_of(row["file_url"], 100))
    if query.ratings and row["rating"] and row["rating"] not in query.ratings:
        return Drop(key, "rating", words_of(row["rating"], 20))
    told = {name: one_line(row[name]) for name in ("title", "artist", "rating", "license")}
    page_url = absolute_url(row["page_url"])
    return Offer(key, url, page_url=page_url, **told, tags=tags_of(row["tags"]), sha256=row["image_id"])
