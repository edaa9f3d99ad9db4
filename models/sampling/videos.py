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
from PIL import ExifTags, Image

from models.files import atomic_open
from models.sampling.save import save_png

Frames = Iterable[tuple[np.ndarray, int]]
"""(A picture (H, W, 3) uint8, for how many frames it is shown), one after the other."""

MAX_SIDE_PX = 16_383  # of WebP, and about that of H.264
QUALITY = "14"  # of H.264: 0 is lossless, 51 the worst
STRIP_PX, STRIP_PICTURES = 512, 8
PALETTE_PX = 512  # of a side that the palette of a GIF is made from
TIME_BASE = Fraction(1, 90_000)


def save_gif(path: Path, shown: Frames, fps: float, about: str) -> None:
    """Write a GIF that runs forever, in the 256 colours that suit its first pictures.

    Its durations are multiples of 10 ms: each is rounded so that they do not drift."""
    pictures = iter(shown)
    first = [*itertools.islice(pictures, STRIP_PICTURES)]
    small = [each[:: 1 + len(each) // PALETTE_PX, :: 1 + each.shape[1] // PALETTE_PX] for each, _ in first]
    palette = Image.fromarray(np.concatenate(small)).quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    images, counts = [], []
    for picture, count in itertools.chain(first, pictures):
        images.append(Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.NONE))
        counts.append(count)
    options = {"duration": [10 * ticks for ticks in _ticks(counts, fps, 100)], "loop": 0, "comment": about.encode()}
    with atomic_open(path) as file:
        images[0].save(file, "GIF", save_all=True, append_images=images[1:], **options)


def save_webp(path: Path, shown: Frames, fps: float, about: str) -> None:
    """Write an animated WebP without loss that runs forever. Its sides are MAX_SIDE_PX at most."""
    images, counts = [], []
    for picture, count in shown:
        images.append(Image.fromarray(picture))
        counts.append(count)
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = about
    options = {"duration": _ticks(counts, fps, 1000), "loop": 0, "lossless": True, "exif": exif}
    with atomic_open(path) as file:
        images[0].save(file, "WEBP", save_all=True, append_images=images[1:], **options)


def _ticks(counts: list[int], fps: float, per_second: int) -> list[int]:
    """Return how long each picture is shown, rounded so that the times do not drift."""
    ends = np.rint(per_second * np.cumsum(counts) / fps).astype(int)
    return [int(part) for part in np.diff(ends, prepend=0)]


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
