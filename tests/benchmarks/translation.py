"""Steps of U-GAT-IT and StarGAN v2 at 256 px and their memory, ours and the textbook's, each in a process of its own,
in turns. Run by tests/benchmarks."""

import functools
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

STARGAN2_BATCH = 2  # faces: the articles' 8 take four times as long


def steps(networks: str, runs: int) -> Iterator[dict[str, dict[str, float]]]:
    """Yield seconds and peak memory in GB after each of `runs` steps of `ours` and `textbook`, after a first one.

    `networks` is a row of STEPS."""
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


def _ugatit(name: str, *, light: bool) -> Callable[[int], object]:
    """Return a step of a pair, with 4 + 4 blocks."""
    import torch

    from models.papers.ugatit import PRESETS, UGATIT
    from tests.support.textbook_ugatit import Textbook

    c = replace(PRESETS["paper"], light=light)
    batch = {role: torch.randint(256, (1, c.size, c.size, 3), dtype=torch.uint8) for role in "ab"}
    if name == "ours":
        trainer = UGATIT(c, torch.device("cpu"), {})
        return lambda i: trainer.step(batch, i)
    fields = ("size", "width", "blocks", "light", "local_downs", "global_downs")
    textbook = Textbook(**{field: getattr(c, field) for field in fields})
    a, b = (batch[role].permute(0, 3, 1, 2).contiguous() / 127.5 - 1 for role in "ab")
    return lambda i: textbook.step(a, b)


def _stargan2(name: str) -> Callable[[int], object]:
    """Return a step of STARGAN2_BATCH faces of two domains."""
    import torch

    from models.papers.stargan2 import PRESETS, StarGAN2
    from tests.support.textbook_stargan2 import Textbook

    c = replace(PRESETS["paper"], batch_size=STARGAN2_BATCH)
    trainer = StarGAN2(c, torch.device("cpu"), {})
    keys = ("picture", "reference", "other_reference")
    pictures = {key: torch.randint(256, (c.batch_size, c.size, c.size, 3), dtype=torch.uint8) for key in keys}
    domains = [k % 2 for k in range(c.batch_size)]
    y = torch.eye(2)[domains]
    if name == "ours":
        return lambda i: trainer.step({**pictures, "label": y, "target": 1 - y}, i)
    textbook = Textbook({key: dict(getattr(trainer, key).named_parameters()) for key in "gfed"}, 2, c.size)
    x, *references = (pictures[key].permute(0, 3, 1, 2).contiguous() / 127.5 - 1 for key in keys)
    targets = [1 - k for k in domains]
    latents = tuple(torch.randn(c.batch_size, c.latent) for _ in range(2))
    weight = c.diversity_weight
    return lambda i: textbook.step(x, domains, targets, references, latents, diversity=weight)


STEPS = {
    "light": functools.partial(_ugatit, light=True),
    "full": functools.partial(_ugatit, light=False),
    "stargan2": _stargan2,
}
"""By networks: ours or textbook -> the step."""


def main() -> None:
    """Make a step for each line of stdin, and print its seconds and the process's peak memory."""
    networks, name = sys.argv[1:]
    step = STEPS[networks](name)
    for i, _ in enumerate(sys.stdin):
        start = time.perf_counter()
        step(i)
        seconds, peak = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(json.dumps({"seconds": seconds, "peak": peak}), flush=True)


if __name__ == "__main__":
    main()
