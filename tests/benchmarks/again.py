"""Builds of one folder: with one core and two, again with nothing new, and with one picture more. Run by
tests/benchmarks/build.py."""

import json
import statistics
import tempfile
from pathlib import Path

from pipeline.sources.drawn import draw
from tests.benchmarks.commands import Cost, build


def again(count: int = 1000, more: int = 3) -> dict[str, Cost]:
    """Print and return what whole commands take, so with their starts, on drawn pictures; the last two are medians."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "pictures"
        folder.mkdir()
        for i in range(count):
            _add(folder, i)
        full = {jobs: build(folder, Path(place) / str(jobs), "--jobs", jobs) for jobs in (1, 2)}
        nothing = [build(folder, Path(place) / "2", "--jobs", 2) for _ in range(more)]
        one = []
        for i in range(count, count + more):
            _add(folder, i)
            one.append(build(folder, Path(place) / "2", "--jobs", 2))
    costs = {f"full, --jobs {jobs}": [cost] for jobs, cost in full.items()}
    costs |= {"nothing new": nothing, "one picture more": one}
    return {name: _tell(name, count, each) for name, each in costs.items()}


def _add(folder: Path, i: int) -> None:
    draw(0, i)[0].save(folder / f"{i:05}.png", compress_level=1)


def _tell(name: str, count: int, costs: list[Cost]) -> Cost:
    """Print and return the medians."""
    cost = Cost(*map(statistics.median, zip(*costs, strict=True)))
    wall, cpu = round(cost.wall, 2), round(cost.cpu, 2)
    line = {"bench": f"build/{name}", "pictures": count, "wall_s": wall, "cpu_s": cpu, "runs": len(costs)}
    print(json.dumps(line), flush=True)
    return cost
