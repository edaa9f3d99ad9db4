"""The pictures of a recipe (`pipeline.recipe`), as a source on the web: where each was found, and what its bytes are.

It is in no table: RebuildFaceDataset asks it once for each source that the recipe names, with that source's manners.
"""

from pipeline import recipe
from pipeline.sources.post import Drop
from pipeline.sources.site import Answer, Cursor, Listing, Offer, Query, absolute_url, words_of

VERSION = 1


def first(query: Query) -> Cursor:
    return {"sha256": recipe.sha256(query.path), "sources": query.options["sources"]}


def ask(query: Query, cursor: Cursor) -> None:
    """Nothing: a recipe is a file of this machine."""


def read(query: Query, cursor: Cursor, answer: Answer | None) -> Listing:
    names = query.options["sources"].split()
    pictures = recipe.read(query.path).pictures
    return Listing([_offer(picture) for picture in pictures if picture["source"] in names], None)


def _offer(picture: dict) -> Offer | Drop:
    url = absolute_url(picture["file_url"])
    if url is None:
        return Drop(picture["image_id"], "bad_url", words_of(picture["file_url"], 100))
    told = {name: picture[name] for name in ("title", "artist", "rating", "license")}
    return Offer(
        picture["image_id"], url, page_url=absolute_url(picture["page_url"]), **told, tags=tuple(picture["tags"]),
        sha256=picture["image_id"],
    )  # fmt: skip
