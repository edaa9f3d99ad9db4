"""Where in a data root rows, files and offers of some pictures are: the index of a takedown."""

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.blocklist import BlockList
from pipeline.datasets import assemble
from pipeline.datasets.kinds import CLIP_SOURCE
from pipeline.errors import UserError
from pipeline.funnel import FUNNEL
from pipeline.manifest import CLIPS, FACES, GENERATED_SOURCE, ManifestError, batches, schema_of, sha256_of
from pipeline.sources.web_source import RemoteImage
from pipeline.store import is_damage, replace_file
from pipeline.stored import HEX64, parse_json, read_json

MAX_NOTE_BYTES = 256 << 20  # a picture and a face take 70 bytes each
_PROVENANCE = ("image_id", "page_url", "file_url", "artist", "tags")
_IDS = ("image_id", "face_id", "group")
_READ = (*_PROVENANCE, "face_id", "group", "split", "source", "source_id")
_OFFER = {
    "source_id": str,
    "file_url": str,
    "tags": [str],
    "instead": ([str], None),
    **dict.fromkeys(("page_url", "artist", "title", "rating", "license", "md5", "sha256"), (str, None)),
}


@dataclass
class Removal:
    """All that a takedown removes."""

    images: set[str] = field(default_factory=set)
    """image_ids."""
    seen: set[str] = field(default_factory=set)
    """Those of them that are in this data root."""
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
        """Return the ids of originals and of items."""
        return self.images | self.faces

    def keep(self, path: Path, scratch: Path) -> None:
        """Write the note `path`."""
        note = {name: sorted(values) for name, values in asdict(self).items()}
        replace_file(path, json.dumps(note).encode(), scratch=scratch)

    @classmethod
    def at(cls, path: Path) -> "Removal":
        """Return what the note `path` of a killed takedown holds; an empty Removal if there is none. Raise UserError if
        the note is damaged."""
        pairs = [[str, str]]
        shape = {each.name: pairs if each.name in ("posts", "offers") else [HEX64] for each in fields(cls)}
        try:
            note = read_json(path, shape, max_bytes=MAX_NOTE_BYTES)
        except FileNotFoundError:
            return cls()
        except ValueError as error:
            cure = "move it away, and give that takedown again"
            raise UserError(path, f"damaged ({error})", "the note of a takedown that was killed", cure) from error
        removal = cls()
        for each in fields(cls):
            getattr(removal, each.name).update(tuple(v) if isinstance(v, list) else v for v in note[each.name])
        return removal


class Unread(dict[str, str]):
    """What a takedown could not read: path relative to the data root -> reason. The user has to look at it."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root

    def add(self, path: Path, reason: object) -> None:
        """Add a path below the data root."""
        self[path.relative_to(self._root).as_posix()] = " ".join(str(reason).split())[:200]

    def holds(self, path: Path) -> bool:
        """Return whether that path was added."""
        return path.relative_to(self._root).as_posix() in self

    def drop(self, path: Path) -> None:
        """Remove a path that was added."""
        del self[path.relative_to(self._root).as_posix()]

    def is_link(self, path: Path) -> bool:
        """Return whether `path`, or a folder between the data root and it, is a link; the link is added. What is behind
        one may be anybody's: nothing there is opened or removed."""
        below = path.relative_to(self._root).parts
        for count in range(1, len(below) + 1):
            place = self._root.joinpath(*below[:count])
            if place.is_symlink():
                self.add(place, "it is a link")
                return True
        return False

    def glob(self, pattern: str) -> list[Path]:
        """Return the matching paths below the data root, in order, without links and without paths through links."""
        places = [self._root]
        for part in pattern.split("/"):
            found = sorted(path for place in places if place.is_dir() for path in place.glob(part))
            places = [path for path in found if not self.is_link(path)]
        return places


_TABLES = (
    "stages/*/*/*.parquet",
    "datasets/.versions/*/manifest.parquet",
    "datasets/.versions/*/funnel.parquet",
    "recipes/*.parquet",
)


def tables_below(unread: Unread) -> list[Path]:
    """Return every Parquet file in which rows of pictures may be, of those that can be read; the others are added to
    `unread`."""
    tables = []
    for path in (path for pattern in _TABLES for path in unread.glob(pattern)):
        try:
            for _ in _rows_in_batches(path, _READ):
                pass
        except (OSError, ValueError) as error:
            unread.add(path, error)
        else:
            tables.append(path)
    return tables


def rows_of(path: Path, columns: Iterable[str]) -> Iterator[dict]:
    """Yield the rows of a table with those of the columns that it has, under the names that FACES has for them: an
    item's key is `face_id` and its original's `image_id`, also of clips. Yield nothing of a table that has no original.
    Raise ManifestError if a value is not as this program writes it."""
    try:
        for batch in _rows_in_batches(path, columns):
            for start in range(0, len(batch), 1024):
                yield from batch.slice(start, 1024).to_pylist()
    except (OSError, ValueError) as error:
        raise ManifestError(path, str(error), "a table of this program", "look at it yourself") from error


def _rows_in_batches(path: Path, columns: Iterable[str]) -> Iterator[pa.RecordBatch]:
    """Raise ValueError, OSError."""
    names = schema_of(path).names
    if "clip_id" in names:
        yield from _clips_in_batches(path, columns)
        return
    if "image_id" not in names:
        return
    if missing := {"source", "source_id"}.difference(names):
        raise ValueError(f"lacks the column {min(missing)}")
    first = (FACES if "face_id" in names else FUNNEL).field("image_id")  # of a dropped picture it may be null
    wanted = [first if name == "image_id" else FACES.field(name) for name in columns]
    for batch in batches(path, pa.schema(wanted)):
        _check_hashes(batch)
        yield batch


def _clips_in_batches(path: Path, columns: Iterable[str]) -> Iterator[pa.RecordBatch]:
    """Raise ValueError, OSError."""
    names = {"image_id": "video_id", "face_id": "clip_id", "source_id": "video", "group": "group", "split": "split"}
    present = schema_of(path).names
    if missing := {"video_id", "video"}.difference(present):
        raise ValueError(f"lacks the column {min(missing)}")
    wanted = [name for name in columns if names.get(name) in present]
    for batch in batches(path, pa.schema([CLIPS.field(names[name]) for name in wanted])):
        arrays = dict(zip(wanted, (batch[names[name]] for name in wanted), strict=True))
        if "source" in columns:
            arrays["source"] = pa.array([CLIP_SOURCE] * len(batch), pa.string())
        renamed = pa.RecordBatch.from_pydict(arrays)
        _check_hashes(renamed)
        yield renamed


def _check_hashes(batch: pa.RecordBatch) -> None:
    """Raise ValueError unless each id of an item, an original or a group is a sha256."""
    for name in {*_IDS}.intersection(batch.schema.names):
        if not pc.all(pc.match_substring_regex(batch[name], f"^{HEX64.pattern}$"), min_count=0).as_py():
            raise ValueError(f"{name} that is not a sha256")


def image_of(sha256: str, tables: list[Path]) -> str:
    """Return the sha256 of the original if `sha256` is that of a crop or clip; otherwise `sha256`."""
    for path in tables:
        for row in rows_of(path, ("image_id", "face_id")):
            if row.get("face_id") == sha256:
                return str(row["image_id"])
    return sha256


class _Row:
    """A row of a manifest as `pipeline.blocklist.HasProvenance`."""

    def __init__(self, row: dict) -> None:
        self.page_url, self.file_url, self.artist = (row.get(name) for name in ("page_url", "file_url", "artist"))
        self.tags = tuple(row.get("tags") or ())


def collect(removal: Removal, root: Path, wanted: BlockList, tables: list[Path], unread: Unread) -> None:
    """Add to `removal` all that the block list `wanted` names."""
    removal.seen |= {image_id for image_id in wanted.hashes if unread.glob(f"images/{image_id[:2]}/{image_id}.*")}
    for path in tables:
        every = rows_of(path, _PROVENANCE)
        rows = [row for row in every if row["image_id"] in wanted.hashes or wanted.match_rule(_Row(row))]
        removal.seen |= {row["image_id"] for row in rows} - {None}
    with database(root / "ledger.sqlite", unread) as ledger:
        if ledger:
            _collect_offers(removal, ledger, wanted)
    removal.images |= removal.seen | wanted.hashes
    for path in tables:
        items = rows_of(path, ("image_id", "face_id"))
        removal.faces |= {row["face_id"] for row in items if row["image_id"] in removal.images and "face_id" in row}
        if path.name == "manifest.parquet" and holds(path, removal):
            removal.manifests |= {sha256_of(path), *build_of(path.parent, unread).before}
    with database(root / "cache" / "results.sqlite", unread) as results:  # crops of which no table is left
        removal.faces |= (
            {face_id for image_id, face_id in crops_in(results) if image_id in removal.images} if results else set()
        )


def build_of(version: Path, unread: Unread) -> assemble.Build:
    """Return how a version was built: of its `before`, the manifests from which its own was made by taking faces out.
    Empty if that cannot be read."""
    try:
        if not unread.is_link(version / assemble.BUILD):
            return assemble.build_of(version)
    except ManifestError as error:
        unread.add(version / assemble.BUILD, error.__cause__)
    return assemble.Build({}, 0, {})


def crops_in(results: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Yield (image_id, face_id) of each crop that the cache knows. Raise ValueError if it is damaged."""
    for key, value in results.execute("SELECT key, value FROM result WHERE name LIKE 'crops/%'"):
        for crop in parse_json(value, [{"face_id": HEX64}]):
            yield str(key)[:64], crop["face_id"]


def undecided(tables: list[Path], removal: Removal) -> list[str]:
    """Return `source source_id` of the pictures whose source states neither an artist nor tags: a takedown by artist
    cannot find them. What our own code drew or a run generated has no artist and is left out."""
    columns = ("image_id", "source", "source_id", "artist", "tags")
    found = {
        f"{row['source']} {row['source_id']}"
        for path in tables
        for row in rows_of(path, columns)
        if row.keys() >= {*columns}
        and not row["artist"]
        and not row["tags"]
        and row["source"] not in ("drawn", GENERATED_SOURCE)
        and row["image_id"] not in removal.images
    }
    return sorted(found)


def _collect_offers(removal: Removal, ledger: sqlite3.Connection, wanted: BlockList) -> None:
    """Add the offers of the ledger. Raise ValueError if it is malformed; then nothing of it is added."""
    files = ledger.execute("SELECT source, url, image_id FROM file").fetchall()
    for *key, image_id in files:
        if not all(isinstance(text, str) for text in key) or not (image_id is None or _is_id(image_id)):
            raise ValueError(f"of the file {key!r:.80} an image_id {image_id!r:.80}")
    image_of = {(source, url): image_id for source, url, image_id in files}
    posts = ledger.execute(
        "SELECT json_extract(about, '$.source'), source_id, url, offer FROM post "
        "JOIN harvest ON harvest.id = post.harvest WHERE offer IS NOT NULL"
    ).fetchall()
    offers = [(str(source), str(key), str(url), RemoteImage(**_offer(text))) for source, key, url, text in posts]
    theirs = [post for *post, offer in offers if wanted.match_rule(_Row(asdict(offer)))]
    removal.posts |= {(source, source_id) for source, source_id, _ in theirs}
    removal.offers |= {(source, url) for source, _, url in theirs}
    removal.seen |= {image_id for source, _, url in theirs if (image_id := image_of.get((source, url)))}
    # last: the same picture may have come from a URL whose source states no artist
    removal.offers |= {pair for pair, image_id in image_of.items() if image_id in removal.seen | wanted.hashes}


def _offer(text: str | bytes) -> dict:
    """Return the fields of a RemoteImage in the ledger. Raise ValueError."""
    offer = parse_json(text, _OFFER)
    return {each.name: offer[each.name] for each in fields(RemoteImage) if offer.get(each.name) is not None}


def _is_id(value: object) -> bool:
    return isinstance(value, str) and bool(HEX64.fullmatch(value))


def holds(path: Path, removal: Removal) -> bool:
    """Return whether a table has a row of the removal, or a group that is named after one."""
    rows = rows_of(path, ("image_id", "group", "source", "source_id"))
    return any(is_of(row, removal) or row.get("group") in removal.images for row in rows)


def is_of(row: dict, removal: Removal) -> bool:
    """Return whether the removal holds the original, or the post, of a row."""
    return row["image_id"] in removal.images or (row["source"], row["source_id"]) in removal.posts


@contextlib.contextmanager
def database(path: Path, unread: Unread) -> Iterator[sqlite3.Connection | None]:
    """Open an SQLite database so that deleted data is overwritten; give None if it is missing or in `unread`. Add it to
    `unread` if it is damaged, as an error of SQLite or a ValueError in the block shows."""
    if not path.exists() or unread.holds(path) or unread.is_link(path):
        yield None
        return
    if not path.is_file():
        unread.add(path, "no regular file")
        yield None
        return
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as database:
            database.execute("PRAGMA trusted_schema=OFF")
            database.execute("PRAGMA secure_delete=ON")
            yield database
    except (sqlite3.DatabaseError, ValueError) as error:
        if isinstance(error, sqlite3.DatabaseError) and not is_damage(error):
            raise
        unread.add(path, error)
