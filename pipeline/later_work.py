"""Work of later stages on a picture, done by an earlier stage while it has the pixels: one decoding serves several.

The later stage finds the results in its cache, and does what is missing there.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
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


class LaterCaches(ExitStack):
    """The caches of such work."""

    def __init__(self, later: Iterable[Work], store: Store):
        super().__init__()
        self._caches = {work.cache: self.enter_context(store.memory(work.cache, None)) for work in later}

    def accept(self, done: tuple[Any, list[Result]]) -> Any:
        """Store the results of later work. Return the other result, that of the stage itself."""
        own, results = done
        for cache, key, value in results:
            self._caches[cache].set(key, value)
        return own
