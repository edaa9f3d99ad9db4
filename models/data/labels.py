"""Manifest rows -> labels."""

from collections import Counter

import numpy as np
import pyarrow as pa

from models.data.dataset import HAIR_COLORS, UserError


def class_labels(faces: pa.Table, column: str) -> tuple[list[str], np.ndarray]:
    """Return (names of the classes, (N,) int64 class of each face, -1 for none).

    Of `hair_color` these are the nine; of `tags` the first tag, which in a dataset from class folders is the class; of
    another column its texts. Raise UserError if it is no column of texts."""
    columns = [field.name for field in faces.schema if pa.types.is_string(field.type)] + ["tags"]
    if column not in columns:
        raise UserError("--domain-column", f"{column} given", f"one of {' '.join(columns)}", "give another")
    values = faces[column].to_pylist()
    if column == "tags":
        values = [tags[0] if tags else None for tags in values]
    names = list(HAIR_COLORS) if column == "hair_color" else sorted({value for value in values if value is not None})
    number = {name: index for index, name in enumerate(names)}
    return names, np.array([number.get(value, -1) for value in values], np.int64)


def is_alone(faces: pa.Table) -> np.ndarray:
    """Return (N,) whether a face is the only one that was found in its picture, so that the picture's tags are its own.
    In a manifest without that count, the rows of the picture are counted."""
    images, found = faces["image_id"].to_pylist(), faces["faces_in_image"].to_pylist()
    rows = Counter(images)
    return np.array([(count or rows[image]) == 1 for image, count in zip(images, found, strict=True)], bool)


def conditions(faces: pa.Table, names: tuple[str, ...]) -> np.ndarray:
    """Return (N, T) float32, 1 for each name that a face has: its hair colour if all names are, else its tags.

    Tags are of a whole picture, so of a picture with several faces none counts; a face's own hair colour
    counts as its tag too, such as blue_hair."""
    if set(names) <= set(HAIR_COLORS):
        found = [{color} for color in faces["hair_color"].to_pylist()]
    else:
        rows = zip(faces["tags"].to_pylist(), faces["hair_color"].to_pylist(), is_alone(faces), strict=True)
        found = [{*(tags if alone else ()), f"{color}_hair"} for tags, color, alone in rows]
    return np.array([[name in face for name in names] for face in found], np.float32).reshape(len(faces), len(names))
