"""A small dataset of whole pictures of unequal sizes: plain shapes, stored in several formats."""

import hashlib
import io
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
from PIL import Image

from pipeline import manifest
from pipeline.manifest import IMAGE_DATASET

FORMATS = ("PNG", "JPEG", "WEBP")
SPLITS = ("train", "train", "train", "val", "test")


def draw(number: int, width: int, height: int) -> np.ndarray:
    """Return the picture of that number, (height, width, 3) uint8: discs with outlines on a slope of colours."""
    rng = np.random.default_rng(number)
    ends = rng.integers(0, 256, (2, 3))
    slope = np.linspace(0, 1, width)[None, :, None]
    picture = np.ascontiguousarray(np.broadcast_to(ends[0] + slope * (ends[1] - ends[0]), (height, width, 3)), np.uint8)
    for _ in range(12):
        middle, radius = (int(rng.integers(width)), int(rng.integers(height))), int(rng.integers(3, 24))
        cv2.circle(picture, middle, radius, rng.integers(0, 256, 3).tolist(), -1, cv2.LINE_AA)
        cv2.circle(picture, middle, radius, (20, 10, 10), 1, cv2.LINE_AA)
    return picture


def write(folder: Path, count: int = 10, least: int = 80) -> Path:
    """Write a dataset of `count` pictures whose sides are `least` px or more, and a manifest. Return the folder."""
    rows = []
    for number in range(count):
        width, height = least + 7 * (number % 4), least + 5 * (number % 3)
        picture, format_ = draw(number, width, height), FORMATS[number % len(FORMATS)]
        file = io.BytesIO()
        Image.fromarray(picture).save(file, format_)
        image_id = hashlib.sha256(file.getvalue()).hexdigest()
        path = f"images/{image_id[:2]}/{image_id}.{format_.lower()}"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(file.getvalue())
        rows.append(
            {
                "image_id": image_id,
                "path": path,
                "bytes": len(file.getvalue()),
                "md5": hashlib.md5(file.getvalue()).hexdigest(),
                "format": format_,
                "width": width,
                "height": height,
                "phash": "0" * 16,
                "source": "drawn",
                "source_id": f"0/{number}",
                "tags": [],
                "group": image_id,
                "split": SPLITS[number % len(SPLITS)],
            }
        )
    manifest.write(pa.Table.from_pylist(rows, IMAGE_DATASET), IMAGE_DATASET, folder / "manifest.parquet")
    return folder
