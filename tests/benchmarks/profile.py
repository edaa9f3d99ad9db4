"""Where the CPU seconds of a training step go, by kind of operator. Run by tests/benchmarks."""

import time
from dataclasses import replace

import torch
from torch.profiler import ProfilerActivity, profile

from models.zoo import MODELS
from tests.benchmarks.steps import ours
from tests.models.test_every_model import Noise

STEPS = 2
KINDS = {
    "convolutions": ("convolution",),
    "products": ("mm", "linear", "einsum"),
    "normalizations": ("norm",),
    "copies": ("copy", "aten::cat", "fill_", "zero_", "contiguous", "clone"),
    "optimizers": ("adam",),
}
"""Kind -> parts of the names of its operators; the first kind that fits counts."""


def shares(name: str, preset: str) -> tuple[float, dict[str, float]]:
    """Return (the CPU seconds of a step of a model on noise, the share of each kind of operator in them, and of all
    that is no operator, less what profiling adds). One of the steps has a penalty where not all have one."""
    config = MODELS[name].presets[preset]
    if hasattr(config, "vgg"):
        config = replace(config, vgg="random")  # which takes as long as the real one
    steps = max(STEPS, getattr(config, "penalty_every", 1))
    step = ours(name, config, Noise(config)(0), torch.device("cpu"))

    def run() -> float:
        start = time.process_time()
        for i in range(steps):
            step(i)
        return (time.process_time() - start) / steps

    run()
    seconds = run()
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        run()
    found = dict.fromkeys((*KINDS, "other operators"), 0.0)
    for event in profiled.key_averages():
        if event.key.startswith("aten::"):
            kind = next((kind for kind, parts in KINDS.items() if any(part in event.key for part in parts)), None)
            found[kind or "other operators"] += event.self_cpu_time_total / 1e6 / steps
    total = max(seconds, sum(found.values()))
    return seconds, {kind: each / total for kind, each in found.items()} | {"the rest": 1 - sum(found.values()) / total}
