"""What the engines of boorus share: ratings, variants of a file, and pages that are keyed by id."""

from pipeline.errors import UserError
from pipeline.sources.parsing import bad_answer, is_picture_url, whole_number
from pipeline.sources.web_source import Cursor, Query
from pipeline.urls import absolute_url
from pipeline.web.messages import HttpResponse

WITHOUT_IDS = "a page of posts without ids: the site cannot be asked for what is below them"


def check_ratings(query: Query, names: dict[str, str]) -> None:
    """Raises UserError if the query itself asks for ratings that are not to be taken. `names`: of the letters."""
    for word in query.text.split():
        if word.startswith("rating:"):
            asked = {names.get(rating, rating) for rating in word.removeprefix("rating:").split(",")}
            if not asked <= set(query.ratings):
                raise UserError(
                    "--query",
                    f"it asks for {word}",
                    f"nothing but {' '.join(query.ratings)}",
                    "leave it out, or set ratings in the source's section of luigi.cfg",
                )


def rating_of(item: dict, names: dict[str, str]) -> str:
    """A post's, by the word or letter that is usual with its site; empty if it has none."""
    rating = str(item.get("rating") or "")
    return names.get(rating, rating)


def choose_variant(query: Query, original: str | None, sample: object) -> str | None:
    """Which file is wanted: the original, or the smaller picture `sample` (as the site says), if that is one."""
    is_sample = query.files == "sample" and is_picture_url(str(sample or ""))
    return (absolute_url(sample, query.base_url + "/") if is_sample else None) or original


def id_of(item: object) -> int | None:
    """A post's id, 1 or more; None if it has none."""
    return (whole_number(item.get("id")) if isinstance(item, dict) else None) or None


def next_cursor(cursor: Cursor, items: list, answer: HttpResponse) -> Cursor | None:
    """The cursor of the next page, where pages are keyed by id (`below`) if the query allows (`is_keyed`), and numbered
    (`page`) if not; None if no post of this page has an id (WITHOUT_IDS). Raises BadAnswer if the site does not heed
    the key: it would be asked for ever."""
    if not cursor["is_keyed"]:
        return cursor | {"page": cursor["page"] + 1}
    ids = [number for item in items if (number := id_of(item))]
    if not ids:
        return None
    below = min(ids)
    if cursor["below"] is not None and below >= cursor["below"]:
        raise bad_answer(answer, f"the page does not go on below post {cursor['below']}")
    return cursor | {"below": below}
