"""Files of an animation: GIF, animated WebP and MP4.

In shapes: H × W px of a frame.
"""

import itertools
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Colorspace
from PIL import Image

from models.files import atomic_open
from models.sampling.save import save_png

Frames = Iterable[tuple[np.ndarray, int]]
"""(A picture (H, W, 3) uint8, for how many frames it is shown), one after the other."""

QUALITY = "14"  # of H.264: 0 is lossless, 51 the worst
STRIP_PX, STRIP_PICTURES = 512, 8
PALETTE_PX = 512  # of a side that the palette of a GIF is made from
TIME_BASE = Fraction(1, 90_000)


def save_gif(path: Path, shown: Frames, fps: float, about: str) -> None:
    """Write a GIF that runs forever, in the 256 colours that suit its first pictures.

    Its durations are multiples of 10 ms: each is rounded so that they do not drift."""
    pictures, counts = _apart(shown)
    seen = [
        each[:: 1 + len(each) // PALETTE_PX, :: 1 + each.shape[1] // PALETTE_PX] for each in pictures[:STRIP_PICTURES]
    ]
    palette = Image.fromarray(np.concatenate(seen)).quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    first, *rest = (
        Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures
    )
    ends = np.rint(100 * np.cumsum(counts) / fps).astype(int)
    durations = [10 * int(part) for part in np.diff(ends, prepend=0)]
    with atomic_open(path) as file:
        first.save(file, "GIF", save_all=True, append_images=rest, duration=durations, loop=0, comment=about.encode())


def save_webp(path: Path, shown: Frames, fps: float, about: str) -> None:
    """Write an animated WebP without loss that runs forever."""
    pictures, counts = _apart(shown)
    ends = np.rint(1000 * np.cumsum(counts) / fps).astype(int)
    first, *rest = map(Image.fromarray, pictures)
    exif = Image.Exif()
    exif[0x010E] = about  # ImageDescription
    with atomic_open(path) as file:
        durations = [int(part) for part in np.diff(ends, prepend=0)]
        first.save(
            file, "WEBP", save_all=True, append_images=rest, duration=durations, loop=0, lossless=True, exif=exif
        )


def _apart(shown: Frames) -> tuple[list[np.ndarray], list[int]]:
    pictures, counts = zip(*shown, strict=True)
    return [*pictures], [*counts]


def save_mp4(path: Path, shown: Frames, fps: float, about: str) -> None:
    """Write an MP4 with H.264. Of a picture with an odd side the last row or column is repeated."""
    pictures = _each(shown)
    first = next(pictures)
    height, width = (side + side % 2 for side in first.shape[:2])
    rate = Fraction(fps).limit_denominator(1001)
    with atomic_open(path) as file, av.open(file, "w", format="mp4", options={"movflags": "+faststart"}) as container:
        container.metadata["comment"] = about
        stream = container.add_stream("libx264", rate=rate, options={"crf": QUALITY})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = TIME_BASE
        stream.codec_context.colorspace = Colorspace.SMPTE170M  # what RGB is converted to; players guess others
        stream.codec_context.thread_count = 1  # more of them give other bytes
        for number, picture in enumerate(itertools.chain([first], pictures)):
            more = ((0, height - picture.shape[0]), (0, width - picture.shape[1]), (0, 0))
            frame = av.VideoFrame.from_ndarray(np.pad(picture, more, "edge"), format="rgb24")
            frame.pts, frame.time_base = round(number / rate / TIME_BASE), TIME_BASE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def save_strip(path: Path, shown: Frames, **about: object) -> None:
    """Write the different pictures of the first STRIP_PICTURES, side by side, as a PNG of at most STRIP_PX height with
    `about` as its texts."""
    pictures: list[np.ndarray] = []
    for picture, _ in itertools.islice(shown, STRIP_PICTURES):
        small = Image.fromarray(picture)
        small.thumbnail((small.width, STRIP_PX), Image.Resampling.LANCZOS)
        pictures.append(np.asarray(small))
    save_png(path, np.concatenate(pictures, 1), **about)


def _each(shown: Frames) -> Iterator[np.ndarray]:
    for picture, count in shown:
        for _ in range(count):
            yield picture
