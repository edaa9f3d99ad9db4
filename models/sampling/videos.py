"""Files of an animation that a network painted: GIF, animated WebP and MP4, marked as generated.

They are written part by part: of each frame only what differs from the one before is held. Pictures with an alpha
channel keep it in a WebP and a strip; a GIF has one bit of it; an MP4 shows them on white.

In shapes: H × W px of a frame; h × w px of a part; C is 3, or 4 with alpha.
"""

import io
import itertools
import os
import struct
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, NamedTuple

import av
import numpy as np
from av.video.reformatter import Colorspace
from PIL import ExifTags, GifImagePlugin, Image

from models.files import atomic_open
from models.sampling.save import GIF_MARK, MARK, save_png


class Part(NamedTuple):
    """What a frame changes of the one before; of the first frame all."""

    corner: tuple[int, int]  # x, y in px; even, as WebP asks for
    pixels: np.ndarray  # (h, w, C) uint8
    times: int  # for how many frames it is shown


MAX_SIDE_PX = 16_383  # of WebP, and about that of H.264
QUALITY = "14"  # of H.264: 0 is lossless, 51 the worst
LARGE_PX = 4_000_000  # of a frame: from it on, the encoder of H.264 holds few frames
LARGE_OPTIONS = {"preset": "veryfast", "rc-lookahead": "2", "bf": "0", "refs": "1"}
STRIP_PX, STRIP_PICTURES = 512, 8
PALETTE_PX = 512  # of a side that the palette of a GIF is made from
OPAQUE = 128  # alpha from which a pixel of a GIF is opaque
CLEAR = 255  # the color of a GIF that is transparent
TIME_BASE = Fraction(1, 90_000)
_WEBP_HAS_ALPHA, _WEBP_HAS_EXIF, _WEBP_HAS_XMP, _WEBP_IS_ANIMATED, _WEBP_DO_NOT_BLEND = 0x10, 0x08, 0x04, 0x02, 0x02
_MP4_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # the UUID of a box that holds XMP


def save_gif(path: Path, parts: Iterable[Part], fps: float, about: str) -> None:
    """Write a GIF that runs forever, in the 255 colours that suit its first pictures.

    Its durations are multiples of 10 ms: each is rounded so that they do not drift. Pixels with an alpha below OPAQUE
    are transparent, and the others opaque."""
    parts = iter(parts)
    first = [*itertools.islice(parts, STRIP_PICTURES)]
    palette = _palette(first)
    shown = np.full(first[0].pixels.shape[:2], CLEAR, np.uint8)
    header: dict | None = {"loop": 0, "comment": about.encode()}
    with atomic_open(path) as file:
        for ((x, y), pixels, _), ticks in _timed(itertools.chain(first, parts), fps, 100):
            image = Image.fromarray(pixels[..., :3]).quantize(palette=palette, dither=Image.Dither.NONE)
            colors, under = np.asarray(image), shown[y : y + image.height, x : x + image.width]
            is_same = colors == under
            if pixels.shape[2] == 4:
                is_same |= pixels[..., 3] < OPAQUE
            under[:] = np.where(is_same, under, colors)
            image.paste(CLEAR, mask=Image.fromarray(is_same))  # what is clear shows the frame before
            if header:
                file.writelines([*GifImagePlugin.getheader(image, info=header)[0], GIF_MARK])
                header = None
            file.writelines(GifImagePlugin.getdata(image, (x, y), duration=10 * ticks, transparency=CLEAR, disposal=1))
        file.write(b";")


def _palette(parts: list[Part]) -> Image.Image:
    """Return a picture with the palette of CLEAR colours that suit the frames, as PALETTE_PX shows them."""
    small = []
    for frame, _ in _frames(parts):
        rows, columns = (1 + side // PALETTE_PX for side in frame.shape[:2])
        small.append(frame[::rows, ::columns].copy())
    pixels = np.concatenate(small)
    if pixels.shape[2] == 4 and (is_opaque := pixels[..., 3] >= OPAQUE).any():
        pixels = pixels[is_opaque][None]
    colors = Image.fromarray(np.ascontiguousarray(pixels[..., :3]))
    return colors.quantize(CLEAR, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def save_webp(path: Path, parts: Iterable[Part], fps: float, about: str) -> None:
    """Write an animated WebP without loss that runs forever. Its sides are MAX_SIDE_PX at most.

    Also the colours of transparent pixels are kept. The container is that of
    https://developers.google.com/speed/webp/docs/riff_container: Pillow would hold all frames."""
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = about
    with atomic_open(path) as file:
        file.write(b"RIFF\0\0\0\0WEBP")
        for number, (part, ticks) in enumerate(_timed(parts, fps, 1000)):
            height, width, channels = part.pixels.shape
            if not number:
                flags = _WEBP_IS_ANIMATED | _WEBP_HAS_EXIF | _WEBP_HAS_XMP | (_WEBP_HAS_ALPHA if channels == 4 else 0)
                _write_chunk(file, b"VP8X", struct.pack("<I", flags) + _uint24(width - 1, height - 1))
                _write_chunk(file, b"ANIM", struct.pack("<IH", 0, 0))
            still = io.BytesIO()
            Image.fromarray(part.pixels).save(still, "WEBP", lossless=True, exact=True, method=0)
            x, y = part.corner
            place = _uint24(x // 2, y // 2, width - 1, height - 1, ticks)
            _write_chunk(file, b"ANMF", place + bytes([_WEBP_DO_NOT_BLEND]) + still.getvalue()[len(b"RIFF....WEBP") :])
        _write_chunk(file, b"EXIF", exif.tobytes().removeprefix(b"Exif\0\0"))
        _write_chunk(file, b"XMP ", MARK)
        size = file.tell()
        file.seek(len(b"RIFF"))
        file.write(struct.pack("<I", size - len(b"RIFF....")))


def _write_chunk(file: IO[bytes], name: bytes, content: bytes) -> None:
    file.write(name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2))


def _uint24(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(3, "little") for number in numbers)


def _timed(parts: Iterable[Part], fps: float, per_second: int) -> Iterator[tuple[Part, int]]:
    """Yield each part with how long it is shown, rounded so that the times do not drift."""
    frames = shown = 0
    for part in parts:
        frames += part.times
        end = round(per_second * frames / fps)
        yield part, end - shown
        shown = end


def save_mp4(path: Path, parts: Iterable[Part], fps: float, about: str) -> None:
    """Write an MP4 with H.264, transparency on white. Of a picture with an odd side the last row or column is
    repeated."""
    parts = iter(parts)
    first = next(parts)
    height, width = (side + side % 2 for side in first.pixels.shape[:2])
    options = {"crf": QUALITY} | (LARGE_OPTIONS if width * height >= LARGE_PX else {})
    rate = Fraction(fps).limit_denominator(1001)
    with atomic_open(path) as file:
        with av.open(file, "w", format="mp4", options={"movflags": "+faststart"}) as container:
            container.metadata["comment"] = about
            stream = container.add_stream("libx264", rate=rate, options=options)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.codec_context.time_base = TIME_BASE
            stream.codec_context.colorspace = Colorspace.SMPTE170M  # what RGB is converted to; players guess others
            stream.codec_context.thread_count = 1  # more of them give other bytes
            numbers = itertools.count()
            for picture, count in _frames(itertools.chain([first], parts), on_white=True):
                frame = _video_frame(picture)
                for number in itertools.islice(numbers, count):
                    frame.pts, frame.time_base = round(number / rate / TIME_BASE), TIME_BASE
                    container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        file.seek(0, os.SEEK_END)
        file.write(struct.pack(">I4s16s", 24 + len(MARK), b"uuid", _MP4_XMP) + MARK)


def _video_frame(picture: np.ndarray) -> av.VideoFrame:
    """Return a picture (H, W, 3) as H.264 has it, with even sides."""
    height, width = picture.shape[:2]
    if height % 2 or width % 2:
        picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace=Colorspace.SMPTE170M)


def save_strip(path: Path, parts: Iterable[Part], **about: Any) -> None:
    """Write the different pictures of the first STRIP_PICTURES, side by side, as a PNG of at most STRIP_PX height with
    `about` as its texts."""
    pictures: list[np.ndarray] = []
    for frame, _ in itertools.islice(_frames(parts), STRIP_PICTURES):
        small = Image.fromarray(frame.copy())
        small.thumbnail((small.width, STRIP_PX), Image.Resampling.LANCZOS)
        pictures.append(np.asarray(small))
    save_png(path, np.concatenate(pictures, 1), **about)


def _frames(parts: Iterable[Part], *, on_white: bool = False) -> Iterator[tuple[np.ndarray, int]]:
    """Yield (a frame (H, W, C) uint8, for how many frames it is shown). All are one array, changed from one to the
    next. `on_white`: without alpha."""
    frame = None
    for (x, y), pixels, count in parts:
        if on_white and pixels.shape[2] == 4:
            alpha = pixels[..., 3:].astype(np.uint16)
            pixels = ((pixels[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
        if frame is None:
            frame = pixels.copy()
        else:
            frame[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels
        yield frame, count
