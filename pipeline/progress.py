"""Progress of long work: a bar on a terminal, a plain line now and then elsewhere."""

import logging
import sys
import time

from tqdm import tqdm

logger = logging.getLogger("luigi-interface")

LOG_INTERVAL_S = 30  # between two lines of progress where there is no terminal


class Progress:
    """A bar on a terminal; elsewhere a log line every LOG_INTERVAL_S."""

    def __init__(self, what: str):
        self._what, self._done, self._logged_at = what, 0, time.monotonic()
        self._bar = tqdm(desc=what, unit="", leave=False, disable=not sys.stderr.isatty())

    def advance(self) -> None:
        """Count one more item as done."""
        self._done += 1
        self._bar.update()
        if self._bar.disable and time.monotonic() - self._logged_at > LOG_INTERVAL_S:
            logger.info("%s: %d done", self._what, self._done)
            self._logged_at = time.monotonic()

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()
