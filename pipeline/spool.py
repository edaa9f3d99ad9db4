"""Where a file lies while it is fetched, so that a kill costs no byte that was there, and no second request.

NAME.json holds what the host said of it, NAME.part grows, and NAME.whole is all of it: until somebody has put it where
it belongs, and calls `done`.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

VALIDATORS = ("etag", "last-modified")


class Spool:
    """Of one URL. For one process and thread at a time."""

    def __init__(self, folder: Path, url: str):
        stem = folder / hashlib.sha256(url.encode()).hexdigest()[:32]
        self._note, self._part, self.whole = (stem.with_suffix(end) for end in (".json", ".part", ".whole"))

    def is_whole(self) -> bool:
        return self.whole.exists()

    def noted(self) -> dict[str, Any]:
        """What `begin` was told last; empty if that is lost."""
        try:
            return json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def resumable(self) -> tuple[int, dict[str, str]]:
        """(bytes that are there, the headers that ask for the rest of the same file). Without a validator there is no
        saying that it is the same: then it begins anew."""
        size = self._part.stat().st_size if self._part.exists() else 0
        noted = self.noted()
        # A weak ETag does not promise the same bytes.
        validator = next((noted[name] for name in VALIDATORS if noted.get(name, "W/").startswith("W/") is False), None)
        if not size or validator is None:
            return 0, {}
        return size, {"Range": f"bytes={size}-", "If-Range": validator}

    def begin(self, note: dict[str, Any]) -> None:
        """From the first byte on. `note`: JSON."""
        self._part.unlink(missing_ok=True)
        fresh = self._note.with_suffix(".note")
        fresh.write_text(json.dumps(note), encoding="utf-8")
        os.replace(fresh, self._note)

    def add(self, chunks: Iterable[bytes]) -> None:
        """Append; what came before an error is kept."""
        with open(self._part, "ab") as file:
            for chunk in chunks:
                file.write(chunk)

    def finish(self) -> None:
        self._part.touch()  # it may have no bytes
        os.replace(self._part, self.whole)

    def done(self) -> None:
        """Nothing of it is needed any more."""
        for path in (self._part, self.whole, self._note):  # a note alone is nothing, a file without one is odd
            path.unlink(missing_ok=True)
