"""Work of later stages on a picture, done by an earlier stage while it has the pixels: one decoding serves several.

The later stage finds the results in its cache, and does what is missing there.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from pipeline.parallel import attempt
from pipeline.store import Store


class Work(NamedTuple):
    """What a stage makes of a decoded picture."""

    cache: str  # name of the stage's cached results
    function: Callable[..., Any]  # picklable; its result is a JSON value


class Result(NamedTuple):
    """What is to be cached."""

    cache: str
    key: str
    value: Any


def do_ahead(later: Iterable[Work], key: str, *inputs: Any) -> list[Result]:
    """Return the results of the work on `inputs`. What lacks the memory now is left to its own stage."""
    done = [Result(work.cache, key, attempt(work.function, *inputs)) for work in later]
    return [result for result in done if result.value is not None]


@contextlib.contextmanager
def caching(later: Iterable[Work], store: Store) -> Iterator[Callable[[tuple[Any, list[Result]]], Any]]:
    """Give a function (the stage's own result, results of later work) -> the first; it caches the others."""
    with contextlib.ExitStack() as stack:
        caches = {work.cache: stack.enter_context(store.memory(work.cache, None)) for work in later}

        def accept(done: tuple[Any, list[Result]]) -> Any:
            own, results = done
            for cache, key, value in results:
                caches[cache].set(key, value)
            return own

        yield accept
