"""Images/s and peak memory of R3GAN's steps at several sizes, each in a process of its own. Run by tests/benchmarks."""

import json
import resource
import subprocess
import sys
import time
from dataclasses import replace

RUNS = 3  # of as many steps as have one penalty


def steps(preset: str, size: int) -> dict:
    """Return {"seconds": of a step, by run after a first one, "images": in a step, "peak": GB}."""
    command = [sys.executable, "-m", "tests.benchmarks.memory", preset, str(size)]
    found: dict = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def main(preset: str, size: str) -> None:
    """Make the steps, and print what `steps` returns. Without a GPU the peak is the process's, with torch's code."""
    import torch

    from models.papers.r3gan import PRESETS, R3GAN

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = replace(PRESETS[preset], size=int(size))
    trainer = R3GAN(config, device, {})
    batch = {
        "picture": torch.randint(256, (config.pictures, config.size, config.size, 3), dtype=torch.uint8).to(device)
    }
    seconds = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        for i in range(config.penalty_every):
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda", cache_enabled=False):
                float(trainer.step(batch, i)["g"])  # waits for a GPU
        seconds.append((time.perf_counter() - start) / config.penalty_every)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated()
    print(json.dumps({"seconds": seconds[1:], "images": config.pictures, "peak": peak / 1e9}))


if __name__ == "__main__":
    main(*sys.argv[1:])
