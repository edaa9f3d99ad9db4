"""A review of a dataset: its catalog, and the file of its corrections, which each change is written to at once."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from filelock import Timeout

from pipeline.datasets import corrections
from pipeline.datasets.corrections import Correction
from pipeline.datasets.review.catalog import Catalog
from pipeline.errors import UserError
from pipeline.store import Store, replace_file


class Review:
    """Corrections of a catalog's items."""

    def __init__(self, catalog: Catalog, scratch: Path) -> None:
        self.catalog = catalog
        self.file = corrections.file_below(catalog.root, catalog.name)
        self._scratch = scratch
        self._lock = threading.Lock()

    def correct(self, changes: dict[str, str | None]) -> None:
        """Write corrections, id -> `keep`, `drop`, `hair_color=…`, or None for none: all of them are in the file when
        this returns, whatever kills the program afterwards. Lines of others stay. Raise ValueError for an unknown id or
        correction, UserError if the file was damaged by hand meanwhile, OSError if it cannot be written."""
        catalog = self.catalog
        allowed = {*corrections.words(catalog.kind), None}
        if not (changes.keys() <= catalog.rows.keys() and allowed.issuperset(changes.values())):
            raise ValueError("no such item, or no such correction")
        with self._lock:
            corrections.read(catalog.root, catalog.name)
            old = self.file.read_bytes() if self.file.exists() else b""
            removed = {catalog.line_of.get(item, item) for item in changes} | changes.keys()
            added = {item: self._correction(item, what) for item, what in changes.items() if what}
            self.file.parent.mkdir(exist_ok=True)
            replace_file(self.file, corrections.replace_lines(old, removed, added), scratch=self._scratch)
            for item, what in changes.items():
                catalog.line_of[item] = item
                catalog.what.pop(item, None)
                if what:
                    catalog.what[item] = what

    def _correction(self, item: str, what: str) -> Correction:
        row = self.catalog.rows[item]
        return Correction(what, row["image_id"], tuple(row["box"])) if "box" in row else Correction(what)

    def summary(self) -> str:
        """Return how many items are corrected, and where, in one line."""
        return f"{len(self.catalog.what):,} {self.catalog.kind.items} are corrected in {self.file}"


@contextlib.contextmanager
def open_review(root: Path, name: str) -> Iterator[Review]:
    """Give the review of datasets/NAME to this process alone. Raise UserError if another has it, or if there is no such
    dataset."""
    catalog = Catalog(root, name)
    store = Store(root, f"review {name}")
    store.work.mkdir(parents=True, exist_ok=True)
    try:
        with store.lock(store.digest).acquire(timeout=0):
            pass
    except Timeout:
        cure = "end it with its button 'Done' or with Ctrl-C"
        raise UserError(f"--name {name}", "another process reviews it", "one review at a time", cure) from None
    with store.claim() as scratch:
        yield Review(catalog, scratch)
