"""Where a file lies while it is fetched, so that a kill costs no byte that was there, and no second request.

NAME.part grows, NAME.json says by what the rest of it can be asked for, and NAME.whole is all of it: until somebody has
put it where it belongs, and calls `done`.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path

from pipeline.store import remove
from pipeline.stored import read_json

VALIDATORS = ("etag", "last-modified")


class PartialFile:
    """Of one URL. For one process and thread at a time."""

    def __init__(self, folder: Path, url: str):
        stem = folder / hashlib.sha256(url.encode()).hexdigest()[:32]
        self._note, self._part, self.whole = (stem.with_suffix(end) for end in (".json", ".part", ".whole"))

    def is_whole(self) -> bool:
        return self.whole.is_file()

    def fetched_at(self) -> str:
        """When it was whole, UTC."""
        return datetime.fromtimestamp(self.whole.stat().st_mtime, timezone.utc).isoformat()

    def resumable(self) -> tuple[int, dict[str, str]]:
        """(bytes that are there, the headers that ask for the rest of the same file). Without a validator there is no
        saying that it is the same: then it begins anew."""
        try:
            size = self._part.stat().st_size
            said = read_json(self._note, {str: str})
            if not self._part.is_file():
                raise ValueError("no regular file")
        except (OSError, ValueError):
            return 0, {}
        # A weak ETag does not promise the same bytes.
        validator = next((said[name] for name in VALIDATORS if not said.get(name, "W/").startswith("W/")), None)
        if not size or validator is None:
            return 0, {}
        return size, {"Range": f"bytes={size}-", "If-Range": validator}

    def begin(self, validators: dict[str, str]) -> None:
        """From the first byte on. Without validators, or for a file that is soon fetched, it need not be resumable."""
        remove(self._part)
        if validators:
            fresh = self._note.with_suffix(".note")
            fresh.write_text(json.dumps(validators), encoding="utf-8")
            remove(self._note)
            os.replace(fresh, self._note)
        else:
            remove(self._note)

    def add(self, chunks: Iterable[bytes]) -> None:
        """Append; what came before an error is kept."""
        with open(self._part, "ab") as file:
            for chunk in chunks:
                file.write(chunk)

    def finish(self) -> None:
        self._part.touch()  # it may have no bytes
        if not self.whole.is_file():
            remove(self.whole)
        os.replace(self._part, self.whole)

    def done(self) -> None:
        """Nothing of it is needed any more."""
        for path in (self.whole, self._part, self._note):
            remove(path)
