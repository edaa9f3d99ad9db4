"""Manifest rows -> labels."""

import numpy as np
import pyarrow as pa

from models.data.dataset import HAIR_COLORS


def class_labels(faces: pa.Table, column: str) -> tuple[list[str], np.ndarray]:
    """Return (names of the classes, (N,) int64 class of each face, -1 for none).

    Of `hair_color` these are the nine; of `tags` the first tag, which in a dataset from class folders is the class."""
    values = faces[column].to_pylist()
    if column == "tags":
        values = [tags[0] if tags else None for tags in values]
        names = sorted({value for value in values if value is not None})
    else:
        names = list(HAIR_COLORS)
    number = {name: index for index, name in enumerate(names)}
    return names, np.array([number.get(value, -1) for value in values], np.int64)


def conditions(faces: pa.Table, names: tuple[str, ...]) -> np.ndarray:
    """Return (N, T) float32, 1 for each name that a face has: its hair colour if the names are the nine, else its tags.

    A hair colour counts as its tag too, such as blue_hair."""
    if names == HAIR_COLORS:
        found = [{color} for color in faces["hair_color"].to_pylist()]
    else:
        rows = zip(faces["tags"].to_pylist(), faces["hair_color"].to_pylist(), strict=True)
        found = [{*tags, f"{color}_hair"} for tags, color in rows]
    return np.array([[name in face for name in names] for face in found], np.float32).reshape(len(faces), len(names))
