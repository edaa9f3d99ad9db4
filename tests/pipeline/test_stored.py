"""JSON that is read back."""

import os

import pytest

from pipeline.stored import HEX64, check, parse_json, read_json

SHAPE = {"name": str, "count": int, "of": ([HEX64], None), "more": {str: (int, float)}, "pairs": [[str, str]]}
RIGHT = {"name": "a", "count": 1, "of": ["0" * 64], "more": {"x": 1, "y": 0.5}, "pairs": [["a", "b"]]}


def test_what_is_of_the_shape_comes_through():
    check(RIGHT | {"another": []}, SHAPE)
    check({name: value for name, value in RIGHT.items() if name != "of"}, SHAPE)


@pytest.mark.parametrize(
    "change",
    [
        {"name": None},
        {"name": ["a"]},
        {"name": "\ud800"},
        {"count": True},
        {"count": 1.0},
        {"count": 1 << 63},
        {"of": ["0" * 63]},
        {"of": ["A" * 64]},
        {"of": ["0" * 64 + "\n"]},
        {"of": "0" * 64},
        {"more": {"x": {"y": 1}}},
        {"more": []},
        {"more": {"\udcff": 1}},
        {"pairs": [["a"]]},
        {"pairs": [["a", 1]]},
        {"pairs": {}},
    ],
)
def test_another_shape_is_a_value_error(change):
    with pytest.raises(ValueError, match=r"is |surrogates"):
        check(RIGHT | change, SHAPE)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        b'{"a": 1e999}',
        b"[NaN]",
        b"[-Infinity]",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 5000,
        b"[1",
        b'"a"',
        "\ufeff[]".encode(),
    ],
)
def test_what_is_no_json_or_not_of_the_shape_is_a_value_error(text):
    with pytest.raises(ValueError):  # noqa: PT011  # of many words
        parse_json(text, [int])


def test_a_folder_or_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ValueError, match="regular"):
            read_json(path, [int])
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "none", [int])
