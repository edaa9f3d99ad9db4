"""Networks without numbers: to see their tensors' names and shapes."""

import contextlib
from collections.abc import Iterator

import torch
from torch.nn.utils.parametrizations import _SpectralNorm


@contextlib.contextmanager
def planned() -> Iterator[None]:
    """Build networks on the device `meta` within the block: they take no memory, and hardly any time.

    The power iterations with which spectral_norm begins are left out, as `meta` takes seconds for them."""
    iterate = _SpectralNorm._power_method
    _SpectralNorm._power_method = lambda *arguments: None  # type: ignore[method-assign]
    try:
        with torch.device("meta"):
            yield
    finally:
        _SpectralNorm._power_method = iterate  # type: ignore[method-assign]
