"""JSON that is read back from disk, or from a file that somebody else made: parsed, and checked against a shape."""

import json
import math
import re
from pathlib import Path
from typing import Any

HEX64 = re.compile("[0-9a-f]{64}")
"""The shape of an image_id, a face_id, or a manifest's sha256."""
NUMBER = (float, int)


MAX_BYTES = 16 << 20  # of a file: parsed, it takes thirty times as much memory


def read_json(path: Path, shape: object, *, max_bytes: int = MAX_BYTES) -> Any:
    """Return the JSON value in the file `path`, of at most `max_bytes`. Raise FileNotFoundError, or ValueError as
    `parse_json` does."""
    if path.exists() and not path.is_file():
        raise ValueError("not a regular file")
    try:
        with open(path, "rb") as file:
            data = file.read(max_bytes + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error
    if len(data) > max_bytes:
        raise ValueError(f"more than {max_bytes:,} bytes")
    return parse_json(data, shape)


def parse_json(text: str | bytes, shape: object) -> Any:
    """Return the JSON value of `text`. Raise ValueError unless it is JSON of that shape, see `check`."""
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        value = _DECODER.decode(text)
    except (RecursionError, TypeError) as error:
        raise ValueError(f"no JSON ({type(error).__name__})") from error
    check(value, shape)
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no finite number")
    return number


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)  # `json.loads` would make one for each text


def check(value: Any, shape: object, where: str = "the value") -> None:
    """Raise ValueError unless `value`, parsed from JSON, has the shape.

    A shape is a type (`str`, `int` of 64 bits, `float`, `bool`), None, a compiled pattern that a whole string matches,
    a tuple of alternatives, `[shape]` for an array, `[shape, shape]` for an array of that length, `{str: shape}` for
    an object of any keys, or `{"key": shape, …}`: a key that is missing counts as null, and others may be there."""
    if isinstance(shape, tuple):
        if any(_matches(value, one, where) for one in shape):
            return
    elif isinstance(shape, list) and isinstance(value, list):
        if len(shape) == 1 or len(shape) == len(value):
            for number, item in enumerate(value):
                check(item, shape[number % len(shape)], f"{where}[{number}]")
            return
    elif isinstance(shape, dict) and isinstance(value, dict):
        if str in shape:
            for key, item in value.items():
                check(key, str, f"a key of {where}")
                check(item, shape[str], f"{where} {key[:40]!r}")
        else:
            for key, item in shape.items():
                check(value.get(key), item, key)
        return
    elif isinstance(shape, re.Pattern) and isinstance(value, str):
        if shape.fullmatch(value):
            return
    elif type(value) is shape or (value is None and shape is None):
        if shape is str:
            value.encode()  # half of a surrogate pair is a UnicodeEncodeError, a ValueError
        if shape is not int or abs(value) < 1 << 63:
            return
    found = json.dumps(value)[:60] if isinstance(value, (str, int, float, bool)) else type(value).__name__
    raise ValueError(f"{where} is {found}")


def _matches(value: object, shape: object, where: str) -> bool:
    try:
        check(value, shape, where)
    except ValueError:
        return False
    return True
