"""A picture of any size made larger by a network that sees a part of it at a time, and resampled to any size.

All is made in strips from top to bottom, so that the large picture is never in memory. The border of a picture is
repeated around it. A tile is shown with so much of its surroundings that its pixels are those of the whole picture;
where they are not quite, the outermost FADE px of two tiles fade into each other.

In shapes: H × W px of the picture, C channels; `factor`: sides of what the network returns by those of what it is
shown.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

FADE = 4  # px on both sides of a seam over which two tiles are mixed

Enlarge = Callable[[np.ndarray], np.ndarray]
"""A part of the picture (h, w, C), of its own type -> (factor h, factor w, C) float32."""


class Tiling(NamedTuple):
    """How a picture is cut."""

    factor: int
    side: int  # px of the largest part that is shown to the network at once
    reach: int  # px: how far away from a pixel others change what is made of it

    @property
    def border(self) -> int:
        """Return the px that are shown around each tile."""
        return self.reach + FADE

    @property
    def step(self) -> int:
        """Return the px from one tile to the next. Raise ValueError if the side leaves too few."""
        if (step := self.side - 2 * self.border) < 2 * FADE:
            raise ValueError(f"a side of {self.side} px has no room for borders of {self.border} px")
        return step


def enlarged_strips(picture: np.ndarray, enlarge: Enlarge, tiling: Tiling) -> Iterator[np.ndarray]:
    """Yield the (factor H, factor W, C) picture made of (H, W, C) as strips (h, factor W, C) float32.

    A tile of one colour is made of one pixel, with its surroundings, once for each colour: that is the same."""
    (height, width), factor = picture.shape[:2], tiling.factor
    flat: dict[bytes, np.ndarray] = {}
    mixed = np.empty((0, factor * width, picture.shape[2]), np.float32)  # rows at the top to which the next tiles add
    for top in range(0, height, tiling.step):
        first, last, down = _weights(top, height, tiling)
        strip = np.zeros((factor * (last - first), *mixed.shape[1:]), np.float32)
        strip[: len(mixed)] = mixed
        for left in range(0, width, tiling.step):
            start, end, across = _weights(left, width, tiling)
            tile = _tile(picture, (first, last), (start, end), enlarge, tiling, flat)
            tile *= down[:, None, None] * across[None, :, None]
            strip[:, factor * start : factor * end] += tile
        is_last = last == height and top + tiling.step >= height
        done = len(strip) if is_last else factor * (top + tiling.step - FADE - first)
        mixed = strip[done:].copy()
        yield strip[:done]


def _weights(start: int, length: int, tiling: Tiling) -> tuple[int, int, np.ndarray]:
    """Return (first px, end, weights (factor (end - first),) float32) of the tile that begins at `start`, in one
    direction: those of all tiles add up to 1."""
    end = start + tiling.step
    first, last = max(0, start - FADE), min(length, end + FADE)
    at = first + (np.arange(tiling.factor * (last - first)) + 0.5) / tiling.factor
    rising = np.clip((at - start) / (2 * FADE) + 0.5, 0, 1) if start else np.ones_like(at)
    falling = np.clip((end - at) / (2 * FADE) + 0.5, 0, 1) if end < length else np.ones_like(at)
    return first, last, (rising * falling).astype(np.float32)


def _tile(
    picture: np.ndarray,
    rows: tuple[int, int],
    columns: tuple[int, int],
    enlarge: Enlarge,
    tiling: Tiling,
    flat: dict[bytes, np.ndarray],
) -> np.ndarray:
    """Return what the network makes of the px between these rows and columns; `flat`: what it makes of one pixel, by
    colour, which is added to."""
    reach, factor = tiling.reach, tiling.factor
    window = _window(picture, *(slice(start - reach, end + reach) for start, end in (rows, columns)))
    color = window[0, 0]
    if (window == color).all():
        if (key := color.tobytes()) not in flat:
            surroundings = np.broadcast_to(color, (2 * reach + 1, 2 * reach + 1, len(color)))
            flat[key] = _inside(enlarge(np.ascontiguousarray(surroundings)), factor * reach)
        return np.tile(flat[key], (rows[1] - rows[0], columns[1] - columns[0], 1))
    return _inside(enlarge(window), factor * reach).copy()


def _window(picture: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
    """Return the part of a picture, whose border is repeated around it."""
    (height, width) = picture.shape[:2]
    inside = picture[max(0, rows.start) : rows.stop, max(0, columns.start) : columns.stop]
    around = [(max(0, -part.start), max(0, part.stop - length)) for part, length in ((rows, height), (columns, width))]
    return np.pad(inside, [*around, (0, 0)], "edge")


def _inside(pixels: np.ndarray, border: int) -> np.ndarray:
    return pixels[border : len(pixels) - border, border : pixels.shape[1] - border]


def resampled_strips(
    strips: Iterator[np.ndarray], size: tuple[int, int], new_size: tuple[int, int]
) -> Iterator[np.ndarray]:
    """Yield a picture of `size` (height, width), whose strips are given, in the new size: by the antialiased bicubic
    filter of `models.data.resampling`, whose result does not depend on the strips."""
    height, new_height = size[0], new_size[0]
    kept, top, done, ratio = np.empty((0, size[1], 0), np.float32), 0, 0, height / new_height
    support = 2 * max(1.0, ratio) + 1
    for strip in strips:
        kept = np.concatenate([kept, strip]) if len(kept) else strip
        end = top + len(kept)
        ready = new_height if end == height else int((end - support) / ratio)
        if ready <= done:
            continue
        yield _rows(kept, top, height, new_size, done, ready)
        done = ready
        unneeded = max(0, int(done * ratio - support) - top)
        kept, top = kept[unneeded:].copy(), top + unneeded


def resampled_rows(picture: np.ndarray, new_size: tuple[int, int], start: int, end: int) -> np.ndarray:
    """Return the rows `start` to `end` of the picture (H, W, C) in the new size (height, width), float32."""
    height = len(picture)
    ratio = height / new_size[0]
    support = 2 * max(1.0, ratio) + 1
    top, bottom = max(0, int(start * ratio - support)), min(height, int(end * ratio + support) + 1)
    return _rows(picture[top:bottom].astype(np.float32), top, height, new_size, start, end)


def _rows(strip: np.ndarray, top: int, height: int, new_size: tuple[int, int], start: int, end: int) -> np.ndarray:
    """Return the rows `start` to `end` of a resampled picture of `height` px, of which the strip begins at `top`."""
    ratio, new_width = height / new_size[0], new_size[1]
    box = (0, start * ratio - top, strip.shape[1], min(end * ratio - top, len(strip)))
    channels = [
        Image.fromarray(np.ascontiguousarray(strip[..., channel])).resize(
            (new_width, end - start), Image.Resampling.BICUBIC, box=box
        )
        for channel in range(strip.shape[2])
    ]
    return np.stack([np.asarray(channel) for channel in channels], 2)
