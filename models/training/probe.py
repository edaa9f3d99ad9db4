"""What a training takes, told after its first steps: memory, and hours on this machine."""

import resource
import sys
import time

import torch

PROBE_STEPS = 5  # that are measured; the first is slower than others, and is not timed
LONG_S = 600  # a shorter training tells nothing


class Probe:
    """A clock of the first steps of a training, which prints one line after PROBE_STEPS of them."""

    def __init__(self, device: torch.device, parameters: int) -> None:
        self._device, self._parameters, self._times = device, parameters, list[float]()

    def advance(self, name: str, left: int) -> None:
        """Count a step, after which `left` are left. After the last one that is measured print the line."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        self._times.append(time.monotonic())
        if len(self._times) < PROBE_STEPS:
            return
        seconds = (self._times[-1] - self._times[0]) / (PROBE_STEPS - 1)
        if seconds * left < LONG_S:
            return
        takes = f"{seconds:.2g} s a step, about {seconds * left / 3600:.1f} hours in all"
        weights = f"{self._parameters:,} weights to train"
        print(f"{name}: {weights}, {self._peak() / 1e9:.1f} GB of memory, {takes}", file=sys.stderr)

    def _peak(self) -> int:
        """Return the most bytes that were in use."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
