"""Files that version 0.1 (commit 96ed798) made: a dataset of 16 drawn faces, its recipe, a run, and a cache."""

import shutil
from pathlib import Path

ARCHIVE = Path(__file__).parents[1] / "data" / "version_0_1.tar.xz"
"""Made at that commit by

    luigi --module workflows BuildFaceDataset --limit 16 --size 32
    luigi --module workflows ExportRecipe
    luigi --module workflows TrainDCGAN --variant 128 --preset tiny --steps 6 --run tiny --device cpu

and packed with `tar -cJf` in data/, without images/, stages/, cache/faces/, cache/arrays/, the thumbnails of
cache/results.sqlite, the pictures and metadata.parquet of the dataset, and all of the run but config.json, last.pt,
metrics.jsonl, model.safetensors and README.md."""


def unpack(root: Path) -> Path:
    """Unpack the files as the data root `root`, and return it."""
    root.mkdir(parents=True, exist_ok=True)
    shutil.unpack_archive(ARCHIVE, root)  # tarfile's filters came with Python 3.11.4; Debian 12 has 3.11.2
    return root
