"""The memory that a training needs at least, and the memory that there is."""

from pathlib import Path
from typing import Any

import torch

from models.data.dataset import UserError
from models.nn.plan import planned
from models.zoo import MODELS

BYTES_PER_PARAMETER = 12  # a weight and Adam's two moments, in fp32


def parameter_count(model: str, config: Any) -> int:
    """Return the number of parameters of all networks that are trained."""
    with planned():
        networks = [build(config) for build in MODELS[model].networks.values()]
    return sum(parameter.numel() for network in networks for parameter in network.parameters())


def available_bytes(device: torch.device) -> int | None:
    """Return the free memory of a GPU, or of this machine; None if the system does not tell."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable")), None)


def check_memory(model: str, config: Any, device: torch.device) -> int:
    """Return the number of parameters. Raise UserError if they alone need more memory than there is."""
    count, available = parameter_count(model, config), available_bytes(device)
    if available is not None and BYTES_PER_PARAMETER * count > available:
        presets = MODELS[model].presets.items()
        fitting = [name for name, each in presets if BYTES_PER_PARAMETER * parameter_count(model, each) <= available]
        found = f"{count:,} weights need {gigabytes(BYTES_PER_PARAMETER * count)}, and {gigabytes(available)} are free"
        cure = f"give --preset {fitting[0]}" if fitting else "free some memory"
        raise UserError("--preset", found, "networks that fit into memory", cure)
    return count


def gigabytes(count: int) -> str:
    """Return '1.5 GB' for a number of bytes."""
    return f"{count / 1e9:.1f} GB"
