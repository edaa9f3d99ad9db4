"""`python -m workflows pack NAME [FILE.tar]`: one dataset as one file, to be moved to another machine."""

import argparse
from pathlib import Path


def main(arguments: list[str]) -> str:
    """Write the tar; return the line that says so. Raise UserError."""
    parser = argparse.ArgumentParser(prog="python -m workflows pack", description=__doc__)
    parser.add_argument("name", metavar="NAME", help="name of the dataset: datasets/NAME below the data root")
    parser.add_argument("file", metavar="FILE.tar", nargs="?", help="file to write (default: NAME.tar)")
    parser.add_argument("--data-root", default="data", help="folder of datasets and runs (default: data)")
    given = parser.parse_args(arguments)
    from pipeline.datasets.pack import pack  # late: --help needs none of it

    file = Path(given.file or f"{given.name}.tar").expanduser()
    count = pack(Path(given.data_root).expanduser(), given.name, file)
    return f"{file}: {count:,} faces, {file.stat().st_size:,} bytes; unpack it in datasets/ of another data root"
