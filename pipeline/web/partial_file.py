"""The place of a file while it is fetched, so that a kill loses no byte and causes no second request.

NAME.part grows; NAME.json holds ETag or Last-Modified for a Range request of the rest; NAME.whole is the complete file,
until it is moved to its place and `discard` is called.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import cast

from pipeline.store import remove
from pipeline.stored import read_json

VALIDATORS = ("etag", "last-modified")


class PartialFile:
    """The partial file of one URL. For one process and thread at a time."""

    def __init__(self, folder: Path, url: str):
        stem = folder / hashlib.sha256(url.encode()).hexdigest()[:32]
        self._validators_file, self._part = stem.with_suffix(".json"), stem.with_suffix(".part")
        self.complete_path = stem.with_suffix(".whole")

    def is_complete(self) -> bool:
        """Return whether the whole file is there."""
        return self.complete_path.is_file()

    def fetched_at(self) -> str:
        """Return when the file was complete, UTC."""
        return datetime.fromtimestamp(self.complete_path.stat().st_mtime, timezone.utc).isoformat()

    def resume_state(self) -> tuple[int, dict[str, str]]:
        """Return the number of bytes that are there and the headers that request the rest; (0, {}) without a strong
        validator, as the file may have changed."""
        try:
            size = self._part.stat().st_size
            validators = cast("dict[str, str]", read_json(self._validators_file, {str: str}))
            if not self._part.is_file():
                raise ValueError("no regular file")
        except (OSError, ValueError):
            return 0, {}
        # A weak ETag does not promise the same bytes.
        strong = [validators[name] for name in VALIDATORS if not validators.get(name, "W/").startswith("W/")]
        return (size, {"Range": f"bytes={size}-", "If-Range": strong[0]}) if size and strong else (0, {})

    def begin(self, validators: dict[str, str]) -> None:
        """Start from the first byte. Without validators the file cannot be resumed."""
        remove(self._part)
        if validators:
            fresh = self._validators_file.with_suffix(".note")
            fresh.write_text(json.dumps(validators), encoding="utf-8")
            remove(self._validators_file)
            os.replace(fresh, self._validators_file)
        else:
            remove(self._validators_file)

    def append(self, chunks: Iterable[bytes]) -> None:
        """Append chunks; those before an error are kept."""
        with open(self._part, "ab") as file:
            for chunk in chunks:
                file.write(chunk)

    def finish(self) -> None:
        """Mark the file as complete."""
        self._part.touch()  # it may have no bytes
        if not self.complete_path.is_file():
            remove(self.complete_path)
        os.replace(self._part, self.complete_path)

    def discard(self) -> None:
        """Delete all of it."""
        for path in (self.complete_path, self._part, self._validators_file):
            remove(path)
