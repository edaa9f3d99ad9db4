"""Corrections by hand of the dataset NAME: `corrections/NAME.csv` below the data root.

face_id,correction
3f6c…,drop
91ab…,hair_color=blue
"""

import codecs
import csv
import hashlib
import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from pipeline.datasets.kinds import KINDS, Kind
from pipeline.errors import UserError
from pipeline.funnel import funnel_row
from pipeline.manifest import HAIR_COLORS

TAGGER = "hand"
_COLORS = (*HAIR_COLORS, "none")
_CORRECTIONS = ("drop", *(f"hair_color={color}" for color in _COLORS))
_HEADERS = {kind.id_column for kind in KINDS.values()}
_EXPECTED = f"a face_id, and drop or hair_color=… of {' '.join(_COLORS)}"
_FACE_ID = re.compile("[0-9a-f]{64}")


class Corrected(NamedTuple):
    """A manifest with its corrections applied."""

    table: pa.Table
    drops: list[dict]  # rows of FUNNEL
    counts: dict[str, int]  # how many of each kind were applied, and how many name an item that is not there


def file_below(root: Path, name: str) -> Path:
    """Return where the corrections of the dataset `name` lie."""
    return root / "corrections" / f"{name}.csv"


def read(root: Path, name: str) -> dict[str, str]:
    """Return primary key -> `drop` or `hair_color=…`; of several lines with one key the last counts. Empty if there is
    no file. Raise UserError, which names the line."""
    path = file_below(root, name)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        raise UserError(path, f"not UTF-8 ({error.reason})", _EXPECTED, "save it as UTF-8") from error
    found: dict[str, str] = {}
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
    if not _FACE_ID.fullmatch(text.lower()):
        raise ValueError(f"{text[:80]!r} is not a face_id")
    return text.lower()


def _parse_correction(cells: list[str]) -> str:
    values = [re.sub(r"\s", "", cell).lower() for cell in cells if cell]
    if len(values) != 1 or values[0] not in _CORRECTIONS:
        raise ValueError(f"{','.join(cells)[:80]!r} is not a correction")
    return values[0]


def digest(by_id: dict[str, str]) -> str | None:
    """Return the digest of the corrections; None if there are none."""
    return hashlib.sha256(json.dumps(by_id, sort_keys=True).encode()).hexdigest()[:16] if by_id else None


def apply(kind: Kind, table: pa.Table, by_id: dict[str, str]) -> Corrected:
    """Drop rows and set hair colours. A colour set by hand has the score 1 and the tagger TAGGER. Raise UserError if a
    colour is given for a kind without any."""
    if not kind.has_hair_color and any(what != "drop" for what in by_id.values()):
        cure = "remove the lines with hair_color="
        raise UserError("the corrections by hand", f"a hair color of a {kind.item}", "drop", cure)
    rows, counts = table.to_pylist() if by_id else [], Counter[str]()
    here = {row[kind.id_column] for row in rows}
    remaining, drops = [], []
    for row in rows:
        what = by_id.get(row[kind.id_column])
        if what == "drop":
            source, source_id = kind.provenance(row)
            drops.append(funnel_row("corrections", source, source_id, "corrected", "", row[kind.original_column]))
            continue
        if what:
            color = what.removeprefix("hair_color=")
            scores = [float(name == color) for name in HAIR_COLORS]
            row |= {"hair_color": None if color == "none" else color, "hair_scores": scores, "hair_tagger": TAGGER}
        remaining.append(row)
    for key, what in by_id.items():
        label = what.partition("=")[0] if key in here else f"of {kind.items} that are not here"
        counts[label] += 1
    return Corrected(pa.Table.from_pylist(remaining, schema=kind.schema) if by_id else table, drops, dict(counts))


def remove_lines(data: bytes, ids: set[str]) -> bytes:
    """Return the bytes of a file, whatever their encoding, without the lines of some items."""

    def id_of(line: bytes) -> str:
        return line.removeprefix(codecs.BOM_UTF8).partition(b",")[0].strip(b'" \t').lower().decode("latin-1")

    return b"".join(line for line in data.splitlines(keepends=True) if id_of(line) not in ids)
