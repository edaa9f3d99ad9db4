"""What of some pictures stands where in a data root: a note of all that is to be taken down."""

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import datasets, images
from pipeline.blocklist import BlockList
from pipeline.errors import UserError
from pipeline.manifest import sha256_of
from pipeline.sources.site import Offer
from pipeline.store import Store, replace_file

_TOLD = ("image_id", "page_url", "file_url", "artist", "tags")


@dataclass
class Note:
    """All that is to go."""

    images: set[str] = field(default_factory=set)
    """image_ids."""
    seen: set[str] = field(default_factory=set)
    """Those of them that are really here."""
    faces: set[str] = field(default_factory=set)
    """face_ids."""
    posts: set[tuple[str, str]] = field(default_factory=set)
    """(source, source_id) in the ledger, also of pictures that could not be had."""
    offers: set[tuple[str, str]] = field(default_factory=set)
    """(source, file URL) in the ledger."""
    manifests: set[str] = field(default_factory=set)
    """sha256 of the manifests that hold some of it, and of those that these were made from."""

    @property
    def hashes(self) -> set[str]:
        return self.images | self.faces

    def keep(self, path: Path, scratch: Path) -> None:
        said = {name: sorted(values) for name, values in asdict(self).items()}
        replace_file(path, json.dumps(said).encode(), scratch=scratch)

    @classmethod
    def at(cls, path: Path) -> "Note":
        """What a takedown that was killed has left to do."""
        if not path.exists():
            return cls()
        said = json.loads(path.read_text(encoding="utf-8"))
        return cls(*({tuple(v) if isinstance(v, list) else v for v in said[each.name]} for each in fields(cls)))


def tables_below(root: Path) -> Iterator[Path]:
    """Every Parquet file in which rows of pictures may be."""
    for pattern in ("stages/*/*/*.parquet", "datasets/.versions/*/manifest.parquet", "recipes/*.parquet"):
        yield from sorted(root.glob(pattern))


def rows_of(path: Path, columns: Iterable[str]) -> Iterator[dict]:
    """Those of the columns that a table has, row by row; nothing of a table that has no image_id. Raises UserError."""
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(path, f"unreadable ({error})", "a Parquet file", "move it away, or delete it") from error
    with file:
        names = [name for name in columns if name in file.schema_arrow.names]
        if "image_id" in names:
            for batch in file.iter_batches(1024, columns=names):
                yield from batch.to_pylist()


def image_of(sha256: str, tables: list[Path]) -> str:
    """The original's, if it is the sha256 of a crop."""
    for path in tables:
        for row in rows_of(path, ("image_id", "face_id")):
            if row.get("face_id") == sha256:
                return row["image_id"]
    return sha256


class _Told:
    """A row of a manifest, as a block list reads it."""

    def __init__(self, row: dict):
        self.page_url, self.file_url, self.artist = (row.get(name) for name in ("page_url", "file_url", "artist"))
        self.tags = row.get("tags") or ()


def collect(note: Note, root: Path, wanted: BlockList, tables: list[Path]) -> None:
    """Add all that `wanted` names, wherever it stands."""
    note.seen |= {image_id for image_id in wanted.hashes if images.kept(Store(root), image_id)}
    for path in tables:
        rows = [row for row in rows_of(path, _TOLD) if row["image_id"] in wanted.hashes or wanted.why(_Told(row))]
        note.seen |= {row["image_id"] for row in rows} - {None}
    with database(root / "ledger.sqlite") as ledger:
        if ledger:
            _collect_offers(note, ledger, wanted)
    note.images |= note.seen | wanted.hashes
    for path in tables:
        rows = (row for row in rows_of(path, ("image_id", "face_id")) if row["image_id"] in note.images)
        note.faces |= {row["face_id"] for row in rows if "face_id" in row}
        if path.name == "manifest.parquet" and holds(path, note):
            note.manifests |= {sha256_of(path), *datasets.build_of(path.parent).before}
    with database(root / "cache" / "results.sqlite") as results:  # crops of which no table is left
        for key, value in results.execute("SELECT key, value FROM result WHERE name LIKE 'crops/%'") if results else ():
            if key[:64] in note.images:
                note.faces |= {crop["face_id"] for crop in json.loads(value)}


def undecided(tables: list[Path], note: Note) -> list[str]:
    """`source source_id` of the pictures whose source names neither an artist nor tags, so that no takedown by artist
    can tell whose they are. Those that our own code drew are nobody's."""
    columns = ("image_id", "source", "source_id", "artist", "tags")
    found = {
        f"{row['source']} {row['source_id']}"
        for path in tables
        for row in rows_of(path, columns)
        if row.keys() >= {*columns} and not row["artist"] and not row["tags"] and row["source"] != "drawn"
        and row["image_id"] not in note.images
    }  # fmt: skip
    return sorted(found)


def _collect_offers(note: Note, ledger: sqlite3.Connection, wanted: BlockList) -> None:
    files = ledger.execute("SELECT source, url, image_id FROM file").fetchall()
    image_of = {(source, url): image_id for source, url, image_id in files}
    harvests = ledger.execute(
        "SELECT json_extract(about, '$.source'), source_id, url, offer FROM post "
        "JOIN harvest ON harvest.id = post.harvest WHERE offer IS NOT NULL"
    )
    for source, source_id, url, offer in harvests:
        if wanted.why(Offer(**json.loads(offer))):
            note.posts.add((source, source_id))
            note.offers.add((source, url))
            note.seen |= {image_of.get((source, url))} - {None}
    # last: the same picture may have come from an address of which nobody tells the artist
    note.offers |= {pair for pair, image_id in image_of.items() if image_id in note.seen | wanted.hashes}


def holds(path: Path, note: Note) -> bool:
    """Whether a table has a row of it, or is grouped by it."""
    rows = rows_of(path, ("image_id", "group", "source", "source_id"))
    return any(is_of(row, note) or row.get("group") in note.images for row in rows)


def is_of(row: dict, note: Note) -> bool:
    return row["image_id"] in note.images or (row["source"], row["source_id"]) in note.posts


@contextlib.contextmanager
def database(path: Path) -> Iterator[sqlite3.Connection | None]:
    """Open for forgetting: what is deleted is overwritten. None if it is not there."""
    if not path.exists():
        yield None
        return
    with contextlib.closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as database:
        database.execute("PRAGMA secure_delete=ON")
        yield database
