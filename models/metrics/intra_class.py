"""KID and FID within each label: how far samples of a label are from real images of that label.

The mean of FID over labels is intra-FID: Miyato & Koyama 2018, https://arxiv.org/abs/1802.05637, §4. A label has a few
hundred images, of which FID is mostly bias: it is of as many samples as there are held-out images, so that its floor
has the same bias. KID has none.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from models.metrics import distances

MIN_IMAGES = 16  # of a label, on each side that is compared

Features = Mapping[str, Tensor]
"""Label -> (N, F), of its images; N may be 0."""


def compare_labels(fake: Features, real: Features, held_out: Features) -> dict[str, dict[str, Any]]:
    """Return the numbers of images, KID with its standard error, FID, and the floors of both, of each label that
    real images have.

    A label with fewer than MIN_IMAGES samples or real images has the numbers alone; one with fewer held-out images has
    neither floors nor FID."""
    found = {}
    for label in (label for label, features in real.items() if len(features)):
        of_fake, of_real, of_held_out = fake[label], real[label], held_out[label]
        row: dict[str, Any] = {"samples": len(of_fake), "reference": len(of_real), "held_out": len(of_held_out)}
        if min(len(of_fake), len(of_real)) >= MIN_IMAGES:
            row["kid"], row["kid_error"] = distances.kid(of_real, of_fake)
            if (count := min(len(of_fake), len(of_held_out))) >= MIN_IMAGES:
                row["kid_floor"], row["kid_error_floor"] = distances.kid(of_real, of_held_out)
                for key, features in (("fid", of_fake), ("fid_floor", of_held_out)):
                    row[key] = distances.frechet_distance(of_real, distances.shuffled(features)[:count])
        found[label] = row
    return found


def mean_over_labels(key: str, by_label: Mapping[str, Mapping[str, Any]]) -> dict[str, float | None]:
    """Return the means of what `compare_labels` found, None where no label has it; `key`, in each name, says by which
    features. The standard errors are those of the means if no image has two labels."""
    means: dict[str, float | None] = {}
    for suffix in ("", "_floor"):
        kids, fids, errors = (
            [row[name + suffix] for row in by_label.values() if name + suffix in row]
            for name in ("kid", "fid", "kid_error")
        )
        means |= {
            f"intra_kid_{key}{suffix}": float(np.mean(kids)) if kids else None,
            f"intra_kid_{key}_error{suffix}": math.hypot(*errors) / len(errors) if errors else None,
            f"intra_fid_{key}{suffix}": float(np.mean(fids)) if fids else None,
        }
    return means
