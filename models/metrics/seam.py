"""The visible border of a region that was pasted into a picture."""

import numpy as np

BESIDE_PX = (2, 3, 4)  # from the border, on either side, where steps are the picture's own


def seam_score(picture: np.ndarray, box: tuple[int, int, int, int]) -> float:
    """Return how much larger the steps of colour across a box's border are than those beside it, in grey levels.

    `picture` is (H, W, 3) of 0 to 255; the box x0, y0, x1, y1, half open, has BESIDE_PX within the picture around it. 0
    or less: the border cannot be told from its surroundings."""
    x0, y0, x1, y1 = box
    values = picture.astype(np.float64)
    # Lines across each side, as (position along the side, pixel across it); the border lies between pixels 5 and 6.
    reach = max(BESIDE_PX) + 2
    sides = [
        values[y0:y1, x0 - reach : x0 + reach],
        values[y0:y1, x1 - reach : x1 + reach],
        values[y0 - reach : y0 + reach, x0:x1].swapaxes(0, 1),
        values[y1 - reach : y1 + reach, x0:x1].swapaxes(0, 1),
    ]
    steps = np.concatenate([np.abs(np.diff(side, axis=1)).mean(-1) for side in sides])  # (all positions, 2 reach - 1)
    border = reach - 1
    beside = [border + sign * distance for distance in BESIDE_PX for sign in (-1, 1)]
    return float(steps[:, border].mean() - steps[:, beside].mean())
