"""ICC profiles: pixels of other colour spaces become sRGB, by littlecms."""

import functools
import io
import itertools

import numpy as np
from PIL import Image, ImageCms

from pipeline.images.containers import MAX_PROFILE_BYTES

MAX_SRGB_ERROR = 2  # of 255: a profile that changes no colour by more is taken for sRGB
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # colour space of a profile -> mode of the pixels
_CLASSES = ("scnr", "mntr", "prtr", "spac")  # of devices and spaces; the others are no description of pixels


@functools.lru_cache(maxsize=8)
def to_srgb(profile: bytes) -> tuple[str, ImageCms.ImageCmsTransform] | None:
    """Return (mode that pixels must have, RGB, L or CMYK; their transform to RGB in sRGB) of an ICC profile; None if
    it is damaged, too large, of none of these spaces, or if sRGB is what it describes."""
    if not 128 < len(profile) <= MAX_PROFILE_BYTES:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _MODES.get(source.profile.xcolor_space.strip())
        if mode is None or source.profile.device_class.strip() not in _CLASSES:
            return None
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return None if mode != "CMYK" and _is_srgb(transform, mode) else (mode, transform)


def _is_srgb(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    greys = np.arange(256, dtype=np.uint8)
    if mode == "L":
        probe, expected = Image.fromarray(greys[None]), np.repeat(greys[:, None], 3, 1)
    else:
        grid = np.array(list(itertools.product(range(0, 256, 17), repeat=3)), np.uint8)
        expected = np.concatenate([grid, np.repeat(greys[:, None], 3, 1)])
        probe = Image.fromarray(expected[None])
    seen = np.asarray(ImageCms.applyTransform(probe, transform))[0]
    return bool(np.abs(seen.astype(int) - expected).max() <= MAX_SRGB_ERROR)
