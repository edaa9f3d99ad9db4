"""What the engines of boorus share: ratings, variants of a file, and pages that are keyed by id."""

from typing import TypeVar

from pipeline.errors import UserError
from pipeline.sources.base import Skipped
from pipeline.sources.parsing import bad_answer, is_picture_url, parse_integer
from pipeline.sources.web_source import Cursor, Page, Query, RemoteImage
from pipeline.urls import absolute_url
from pipeline.web.messages import HttpResponse

Url = TypeVar("Url")
LAST_PAGE = 1000  # of an ordered query: Danbooru shows no more, and a site that ignores the number would never end
WITHOUT_IDS = "a page of posts without ids: the site cannot be asked for what is below them"


def first_cursor(query: Query, names: dict[str, str], ordered: tuple[str, ...]) -> Cursor:
    """Return the cursor of the first page. Queries with a word that begins with one of `ordered` come in an order of
    their own, and cannot be keyed by id. Raise UserError, see `check_ratings`."""
    check_ratings(query, names)
    is_keyed = not any(word.lstrip("-").startswith(ordered) for word in query.text.split())
    return {"below": None, "page": 1, "is_keyed": is_keyed}


def check_ratings(query: Query, names: dict[str, str]) -> None:
    """Raise UserError if the query itself asks for ratings that are not allowed. `names` maps letters to ratings."""
    for word in query.text.split():
        if word.startswith("rating:"):
            ratings = {names.get(rating, rating) for rating in word.removeprefix("rating:").split(",")}
            if not ratings <= set(query.ratings):
                cure = "leave it out, or set ratings in the source's section of luigi.cfg"
                raise UserError("--query", f"it asks for {word}", f"nothing but {' '.join(query.ratings)}", cure)


def read_rating(item: dict, names: dict[str, str]) -> str:
    """Return a post's rating, by the word or letter that its site uses; empty if it has none."""
    rating = str(item.get("rating") or "")
    return names.get(rating, rating)


def choose_variant(query: Query, original: Url, sample: object) -> str | Url:
    """Return the URL of the wanted version of a file: the original's, or that of `sample` if the query asks for samples
    and `sample` is the URL of a picture."""
    is_sample = query.files == "sample" and is_picture_url(str(sample or ""))
    return (absolute_url(sample, query.base_url + "/") if is_sample else None) or original


def read_id(item: object) -> int | None:
    """Return a post's id, 1 or more; None if it has none."""
    return (parse_integer(item.get("id")) if isinstance(item, dict) else None) or None


def next_cursor(cursor: Cursor, items: list, answer: HttpResponse) -> Cursor | None:
    """Return the cursor of the next page; None if no post of this page has an id (WITHOUT_IDS).

    Pages are keyed by id (`below`) if the order of the query allows it (`is_keyed`), and numbered (`page`) if not.
    Raise BadAnswer if the site ignores the key: the listing would never end."""
    if not cursor["is_keyed"]:
        return cursor | {"page": cursor["page"] + 1}
    ids = [number for item in items if (number := read_id(item))]
    if not ids:
        return None
    below = min(ids)
    if cursor["below"] is not None and below >= cursor["below"]:
        raise bad_answer(answer, f"the page does not go on below post {cursor['below']}")
    return cursor | {"below": below}


def make_page(offers: list[RemoteImage | Skipped], cursor: Cursor, items: list, answer: HttpResponse) -> Page:
    """Return the page of the posts `items`, with the cursor of the next: none after an empty page, and none after
    LAST_PAGE. Raise BadAnswer."""
    after = next_cursor(cursor, items, answer) if items else None
    if after is None:
        return Page(offers, None, WITHOUT_IDS if items else "")
    if after["page"] > LAST_PAGE:
        return Page(offers, None, f"no more than {LAST_PAGE:,} pages of an ordered query are listed")
    return Page(offers, after)
