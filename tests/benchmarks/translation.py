"""Steps of U-GAT-IT at 256 px and their memory, ours and the textbook's, each in a process of its own, in turns. Run by
tests/benchmarks."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace


def steps(networks: str, runs: int) -> Iterator[dict[str, dict[str, float]]]:
    """Yield seconds and peak memory in GB after each of `runs` steps of `ours` and `textbook`, after a first one.

    `networks` is light or full, with 4 + 4 blocks."""
    command = [sys.executable, "-m", "tests.benchmarks.translation", networks]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children = {name: subprocess.Popen([*command, name], **pipes) for name in ("ours", "textbook")}
    try:
        for run in range(runs + 1):
            found = {}
            for name, child in children.items():
                print(file=child.stdin, flush=True)
                found[name] = json.loads(child.stdout.readline())
            if run:
                yield found
    finally:
        for child in children.values():
            child.kill()
            child.wait()


def _step(networks: str, name: str) -> Callable[[int], object]:
    import torch

    from models.papers.ugatit import PRESETS, UGATIT
    from tests.support.textbook_ugatit import Textbook

    c = replace(PRESETS["paper"], light=networks == "light")
    batch = {role: torch.randint(256, (1, c.size, c.size, 3), dtype=torch.uint8) for role in "ab"}
    if name == "ours":
        trainer = UGATIT(c, torch.device("cpu"), {})
        return lambda i: trainer.step(batch, i)
    fields = ("size", "width", "blocks", "light", "local_downs", "global_downs")
    textbook = Textbook(**{field: getattr(c, field) for field in fields})
    a, b = (batch[role].permute(0, 3, 1, 2).contiguous() / 127.5 - 1 for role in "ab")
    return lambda i: textbook.step(a, b)


def main() -> None:
    """Make a step for each line of stdin, and print its seconds and the process's peak memory."""
    step = _step(*sys.argv[1:])
    for i, _ in enumerate(sys.stdin):
        start = time.perf_counter()
        step(i)
        seconds, peak = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(json.dumps({"seconds": seconds, "peak": peak}), flush=True)


if __name__ == "__main__":
    main()
