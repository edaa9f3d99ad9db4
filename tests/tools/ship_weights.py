"""`python -m tests.tools.ship_weights RUN FOLDER`: the networks of a run in half precision, for `models/shipped/`.

The program computes with them in fp32: they are files of half the size."""

import json
import sys
from pathlib import Path

from safetensors import safe_open

from models.runs.export import write_weights


def main(run: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(run.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no dict
            about = json.loads(file.metadata()["about"])
        halves = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in weights.items()}
        write_weights(folder, halves, about, name=path.stem)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
