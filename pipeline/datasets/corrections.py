"""Corrections by hand of the dataset NAME: `corrections/NAME.csv` below the data root.

face_id,correction,image_id,box
3f6c…,drop
91ab…,hair_color=blue
c07e…,keep,77d1…,120 64 312 256

The last two columns may be left out. With them a correction also holds for a face of another id that lies there: one
that was detected again, or cut in another size.
"""

import codecs
import contextlib
import csv
import hashlib
import io
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from pipeline.datasets.kinds import KINDS, Kind
from pipeline.errors import UserError
from pipeline.funnel import funnel_row
from pipeline.manifest import HAIR_COLORS
from pipeline.stored import HEX64

TAGGER = "hand"
_COLORS = (*HAIR_COLORS, "none")
_COLORED = tuple(f"hair_color={color}" for color in _COLORS)
_CORRECTIONS = ("keep", "drop", *_COLORED)
_HEADER = "face_id,correction,image_id,box\n"
_HEADERS = {kind.id_column for kind in KINDS.values()}
_EXPECTED = f"a face_id, and keep, drop or hair_color=… of {' '.join(_COLORS)}"
_MIN_IOU = 0.4  # of two detections of one face; two faces of one build overlap less


class Correction(NamedTuple):
    """What is to become of an item: `keep`, `drop` or `hair_color=…`; and where it lies, if that is known."""

    what: str
    image_id: str | None = None
    box: tuple[float, ...] | None = None
    """x0, y0, x1, y1 of the face in the original, px."""


class Corrected(NamedTuple):
    """A manifest with its corrections applied."""

    table: pa.Table
    drops: list[dict]  # rows of FUNNEL
    counts: dict[str, int]  # how many of each kind were applied, and how many name an item that is not there


def file_below(root: Path, name: str) -> Path:
    """Return where the corrections of the dataset `name` lie."""
    return root / "corrections" / f"{name}.csv"


def words(kind: Kind) -> tuple[str, ...]:
    """Return the corrections that items of that kind can have."""
    return _CORRECTIONS if kind.has_hair_color else ("keep", "drop")


def read(root: Path, name: str) -> dict[str, Correction]:
    """Return primary key -> correction; of several lines with one key the last counts. Empty if there is no file. Raise
    UserError, which names the line."""
    path = file_below(root, name)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        raise UserError(path, f"not UTF-8 ({error.reason})", _EXPECTED, "save it as UTF-8") from error
    found: dict[str, Correction] = {}
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        for cells in reader:
            face_id, *rest = (cell.strip() for cell in cells) if any(cells) else ("",)
            if not face_id or (face_id.lower() in _HEADERS and not found):
                continue
            found[_parse_id(face_id)] = _parse_correction(rest)
    except (ValueError, csv.Error) as error:
        raise UserError(path, f"line {reader.line_num}: {error}", _EXPECTED, "correct that line") from error
    return found


def _parse_id(text: str) -> str:
    if not HEX64.fullmatch(text.lower()):
        raise ValueError(f"{text[:80]!r} is not an id")
    return text.lower()


def _parse_correction(cells: list[str]) -> Correction:
    what, *place = [cell for cell in cells if cell] or [""]
    what = re.sub(r"\s", "", what).lower()
    if what not in _CORRECTIONS or len(place) not in (0, 2):
        raise ValueError(f"{','.join(cells)[:80]!r} is not a correction")
    if not place:
        return Correction(what)
    return Correction(what, _parse_id(place[0]), _parse_box(place[1]))


def _parse_box(text: str) -> tuple[float, ...]:
    with contextlib.suppress(ValueError):
        box = tuple(map(float, text.split()))
        if len(box) == 4 and all(map(math.isfinite, box)):
            return box
    raise ValueError(f"{text[:80]!r} is not a box x0 y0 x1 y1")


def digest(by_id: dict[str, Correction]) -> str | None:
    """Return the digest of the corrections; None if there are none."""
    if not by_id:
        return None
    values = {key: each if each.box else each.what for key, each in by_id.items()}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def match(kind: Kind, rows: list[dict], by_id: dict[str, Correction]) -> dict[str, str]:
    """Return the id of each row that is corrected -> the id of its correction: its own, or else that of the face which
    lay where it lies, and is no longer among the rows."""
    here = {row[kind.id_column] for row in rows}
    found = {key: key for key in by_id if key in here}
    gone = defaultdict(list)  # image_id -> (box, id)
    for key, correction in by_id.items():
        if key not in here and correction.box:
            gone[correction.image_id].append((correction.box, key))
    for row in rows if gone else ():
        if row[kind.id_column] not in found and "box" in row:
            overlaps = [(_iou(row["box"], box), key) for box, key in gone.get(row["image_id"], ())]
            iou, key = max(overlaps, default=(0, ""))
            if iou >= _MIN_IOU:
                found[row[kind.id_column]] = key
    return found


def _iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Return intersection over union of two boxes."""
    sides = [max(0.0, min(a[axis + 2], b[axis + 2]) - max(a[axis], b[axis])) for axis in (0, 1)]
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return math.prod(sides) / max(sum(areas) - math.prod(sides), 1e-9)


def kept(kind: Kind, table: pa.Table, by_id: dict[str, Correction]) -> set[str]:
    """Return the ids of the rows that stay whatever the limits of the build are: those that are kept by hand, or whose
    hair color is given by hand."""
    matched = match(kind, table.to_pylist(), by_id) if by_id else {}
    return {row_id for row_id, key in matched.items() if by_id[key].what != "drop"}


def apply(kind: Kind, table: pa.Table, by_id: dict[str, Correction]) -> Corrected:
    """Drop rows and set hair colours. A colour set by hand has the score 1 and the tagger TAGGER. Raise UserError if a
    colour is given for a kind without any."""
    if any(correction.what not in words(kind) for correction in by_id.values()):
        cure = "remove the lines with hair_color="
        raise UserError("the corrections by hand", f"a hair color of a {kind.item}", "keep or drop", cure)
    rows, counts = table.to_pylist() if by_id else [], Counter[str]()
    matched = match(kind, rows, by_id)
    remaining, drops = [], []
    for row in rows:
        key = matched.get(row[kind.id_column])
        what = by_id[key].what if key else ""
        if what == "drop":
            source, source_id = kind.provenance(row)
            drops.append(funnel_row("corrections", source, source_id, "corrected", "", row[kind.original_column]))
            continue
        if what in _COLORED:
            color = what.removeprefix("hair_color=")
            scores = [float(name == color) for name in HAIR_COLORS]
            row |= {"hair_color": None if color == "none" else color, "hair_scores": scores, "hair_tagger": TAGGER}
        remaining.append(row)
    applied = set(matched.values())
    for key, correction in by_id.items():
        counts[correction.what.partition("=")[0] if key in applied else f"of {kind.items} that are not here"] += 1
    return Corrected(pa.Table.from_pylist(remaining, schema=kind.schema) if by_id else table, drops, dict(counts))


def remove_lines(data: bytes, ids: set[str]) -> bytes:
    """Return the bytes of a file, whatever their encoding, without the lines that name any of these items or
    originals."""

    def names_one(line: bytes) -> bool:
        cells = line.removeprefix(codecs.BOM_UTF8).split(b",")
        return any(cell.strip(b'" \t\r\n').lower().decode("latin-1") in ids for cell in cells)

    return b"".join(line for line in data.splitlines(keepends=True) if not names_one(line))


def replace_lines(data: bytes, removed: set[str], added: dict[str, Correction]) -> bytes:
    """Return the bytes of a file with the lines of some ids removed and others added; all other lines stay as they
    are."""
    data = remove_lines(data, removed | added.keys()) or _HEADER.encode()
    if not data.endswith(b"\n"):
        data += b"\n"
    return data + "".join(f"{key},{_line(correction)}\n" for key, correction in added.items()).encode()


def _line(correction: Correction) -> str:
    if correction.box is None:
        return correction.what
    return f"{correction.what},{correction.image_id},{' '.join(f'{side:g}' for side in correction.box)}"
