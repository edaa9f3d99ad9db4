"""A manifest schema with one more nullable column, in memory alone."""

import sys

import pyarrow as pa
import pytest

from pipeline.datasets import kinds
from pipeline.manifest import FACES, column

COLUMN = column("eye_color", pa.string(), "a column that no dataset has yet", null=True)


def add_column(monkeypatch: pytest.MonkeyPatch) -> pa.Schema:
    """Let every module of ours see FACES with COLUMN at its end, and return that schema."""
    schema = FACES.append(COLUMN)
    kind = kinds.FACE_KIND._replace(schema=schema)
    old_kind = kinds.FACE_KIND
    monkeypatch.setitem(kinds.KINDS, "faces", kind)
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in ("pipeline", "models", "workflows"):
            for attribute, value in list(vars(module).items()):
                if value is FACES:
                    monkeypatch.setattr(module, attribute, schema)
                elif value is old_kind:
                    monkeypatch.setattr(module, attribute, kind)
    return schema
