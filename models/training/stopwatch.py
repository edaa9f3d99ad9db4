"""The time that the steps of a training take, over all of its processes one after another."""

import contextlib
import time
from collections.abc import Iterator


class Stopwatch:
    """Seconds, counted on from `before`, which a resumed run has; unknown if those are, as None."""

    def __init__(self, before: float | None) -> None:
        self._before = before
        self._started: float | None = time.monotonic()

    def seconds(self) -> float | None:
        """Return the seconds so far, to a thousandth; None if they are unknown."""
        if self._before is None or self._started is None:
            return self._before
        return round(self._before + time.monotonic() - self._started, 3)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Do not count the time that the block takes."""
        self._before, self._started = self.seconds(), None
        try:
            yield
        finally:
            self._started = time.monotonic()
