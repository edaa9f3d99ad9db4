"""A small dataset of faces, with its originals, to be reviewed: written in a moment."""

import hashlib
import io
from pathlib import Path

import pyarrow as pa
from PIL import Image

from pipeline.manifest import FACES, HAIR_COLORS, write
from tests.pipeline.test_manifest import row

SIDE = 128  # px, of crops; originals are twice as large


def _png(number: int, side: int) -> tuple[str, bytes]:
    file = io.BytesIO()
    color = (number * 37 % 256, number // 256 * 16 % 256, number % 256)
    Image.new("RGB", (side, side), color).save(file, "PNG")
    return hashlib.sha256(file.getvalue()).hexdigest(), file.getvalue()


def _write(folder: Path, number: int, side: int) -> tuple[str, str]:
    sha256, data = _png(number, side)
    path = f"{folder.name}/{sha256[:2]}/{sha256}.png"
    (folder / sha256[:2]).mkdir(parents=True, exist_ok=True)
    (folder.parent / path).write_bytes(data)
    return sha256, path


def write_dataset(root: Path, name: str, count: int, **changes) -> list[str]:
    """Write datasets/NAME of `count` faces, one in each original, with changes of all rows; return the face_ids."""
    folder, rows = root / "datasets" / name, []
    for number in range(count):
        face_id, path = _write(folder / "faces", number, SIDE)
        image_id, image_path = _write(root / "images", number, 2 * SIDE)
        plain = {
            "face_id": face_id,
            "path": path,
            "size": SIDE,
            "image_id": image_id,
            "image_path": image_path,
            "width": 2 * SIDE,
            "height": 2 * SIDE,
            "box": [64.0, 48.0, 192.0, 176.0],
            "tilt": number % 40 - 20.0,
            "score": float(number % 7),
            "hair_color": HAIR_COLORS[number % 9],
            "hair_scores": [(1 - number / 2 / count) * (color == number % 9) for color in range(9)],
            "source_id": f"{number}.png",
        }
        rows.append(row(**plain | changes))
    write(pa.Table.from_pylist(rows, schema=FACES), FACES, folder / "manifest.parquet")
    return [each["face_id"] for each in rows]
