"""Each filter keeps what it says, drops the rest with its reason, and is off by default."""

import pyarrow as pa
import pytest

from pipeline.faces.quality import Limits, select

FACES = pa.table(
    {
        "source": ["folder"] * 5,
        "source_id": list("abcde"),
        "image_id": list("ABCDE"),
        "width": pa.array([100, 900, 900, 900, 900], pa.int32()),
        "height": pa.array([900, 300, 900, 900, 900], pa.int32()),
        "sharpness": pa.array([50, 900, 20, 900, 900], pa.float32()),
        "brightness": pa.array([0.5, 0.5, 0.5, 0.1, 0.95], pa.float32()),
        "score": pa.array([16, 0.5, 90, -1, 1.5], pa.float32()),
        "monochrome": [False, False, True, True, False],
    }
)


@pytest.mark.parametrize(
    ("limits", "kept", "reasons"),
    [
        ({}, "abcde", {}),
        ({"min_sharpness": 50}, "abde", {"c": "blurred"}),
        ({"min_sharpness": 60}, "bde", {"a": "blurred", "c": "blurred"}),
        ({"min_brightness": 0.2}, "abce", {"d": "dark"}),
        ({"max_brightness": 0.9}, "abcd", {"e": "bright"}),
        ({"monochrome": "drop"}, "abe", {"c": "monochrome", "d": "monochrome"}),
        ({"monochrome": "only"}, "cd", {"a": "colored", "b": "colored", "e": "colored"}),
        ({"min_original": 300}, "bcde", {"a": "small_original"}),
        ({"min_score": 1.5}, "ace", {"b": "low_score", "d": "low_score"}),
        (
            {"min_original": 301, "min_sharpness": 60},
            "de",
            {"a": "small_original", "b": "small_original", "c": "blurred"},
        ),
    ],
)
def test_each_filter(limits, kept, reasons):
    faces, drops = select(FACES, Limits(**limits))
    assert "".join(faces["source_id"].to_pylist()) == kept
    assert {row["source_id"]: row["reason"] for row in drops} == reasons
    assert faces.schema.equals(FACES.schema)
