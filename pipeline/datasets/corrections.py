"""What a person says better than the program: `corrections/NAME.csv` below the data root, for the dataset NAME.

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
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from pipeline.errors import UserError
from pipeline.manifest import FACES, HAIR_COLORS, funnel_row

TAGGER = "hand"
_COLORS = (*HAIR_COLORS, "none")
_CORRECTIONS = ("drop", *(f"hair_color={color}" for color in _COLORS))
_EXPECTED = f"a face_id, and drop or hair_color=… of {' '.join(_COLORS)}"
_FACE_ID = re.compile("[0-9a-f]{64}")


class Corrected(NamedTuple):
    """A table of faces with its corrections carried out."""

    faces: pa.Table
    drops: list[dict]
    """Rows of FUNNEL."""
    counts: dict[str, int]
    """How many of each kind were carried out, and how many name a face that is not there."""


def file_below(root: Path, name: str) -> Path:
    return root / "corrections" / f"{name}.csv"


def read(root: Path, name: str) -> dict[str, str]:
    """face_id -> `drop` or `hair_color=…`; the last line of a face counts; empty if there is no file. Raises UserError,
    which names the line."""
    path = file_below(root, name)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        raise UserError(path, f"no UTF-8 ({error.reason})", _EXPECTED, "save it as UTF-8") from error
    said: dict[str, str] = {}
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        for cells in reader:
            face_id, *rest = (cell.strip() for cell in cells) if any(cells) else ("",)
            if not face_id or (face_id.lower() == "face_id" and not said):
                continue
            said[_checked_id(face_id)] = _checked(rest)
    except (ValueError, csv.Error) as error:
        raise UserError(path, f"line {reader.line_num}: {error}", _EXPECTED, "mend that line") from error
    return said


def _checked_id(text: str) -> str:
    if not _FACE_ID.fullmatch(text.lower()):
        raise ValueError(f"{text[:80]!r} is no face_id")
    return text.lower()


def _checked(cells: list[str]) -> str:
    said = [re.sub(r"\s", "", cell).lower() for cell in cells if cell]
    if len(said) != 1 or said[0] not in _CORRECTIONS:
        raise ValueError(f"{','.join(cells)[:80]!r} is no correction")
    return said[0]


def digest(said: dict[str, str]) -> str | None:
    """Of what is corrected; None if that is nothing."""
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16] if said else None


def carry_out(faces: pa.Table, said: dict[str, str]) -> Corrected:
    """A colour that was named by hand is certain, and its tagger is TAGGER."""
    rows, counts = faces.to_pylist() if said else [], {}
    known = {row["face_id"] for row in rows}
    kept, drops = [], []
    for row in rows:
        what = said.get(row["face_id"])
        if what == "drop":
            drops.append(funnel_row("corrections", row["source"], row["source_id"], "corrected", "", row["image_id"]))
            continue
        if what:
            color = what.removeprefix("hair_color=")
            scores = [float(name == color) for name in HAIR_COLORS]
            row |= {"hair_color": None if color == "none" else color, "hair_scores": scores, "hair_tagger": TAGGER}
        kept.append(row)
    for face_id, what in said.items():
        kind = what.partition("=")[0] if face_id in known else "of faces that are not here"
        counts[kind] = counts.get(kind, 0) + 1
    table = pa.Table.from_pylist(kept, schema=FACES) if said else faces
    return Corrected(table, drops, counts)


def without(data: bytes, face_ids: set[str]) -> bytes:
    """The file's bytes, whatever their encoding, without the lines of some faces."""

    def face_of(line: bytes) -> str:
        return line.removeprefix(codecs.BOM_UTF8).partition(b",")[0].strip(b'" \t').lower().decode("latin-1")

    return b"".join(line for line in data.splitlines(keepends=True) if face_of(line) not in face_ids)
