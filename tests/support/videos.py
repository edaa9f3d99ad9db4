"""Small video files of any kind, made through PyAV."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write(
    path: Path,
    frames: Iterable[np.ndarray],
    *,
    fps: int = 24,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    times_ms: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write frames (H, W, 3) uint8 as a video, at even times or at these; return the path."""
    with av.open(str(path), "w", container_options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.pix_fmt = pixels
        stream.codec_context.time_base = Fraction(1, 1000) if times_ms else Fraction(1, fps)
        stream.codec_context.thread_count = 1
        for i, picture in enumerate(frames):
            if not i:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = (times_ms[i], Fraction(1, 1000)) if times_ms else (i, Fraction(1, fps))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def sound(path: Path) -> Path:
    """Write a second of silence; return the path."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        for i in range(16):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, 1024 * i
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def turned(path: Path, out: Path, matrix: Sequence[int]) -> Path:
    """Copy an MP4 file, with another display matrix: its first five numbers, as in ISO 14496-12; return the path."""
    data = bytearray(path.read_bytes())
    header = data.find(b"tkhd") + 4  # version 0: the matrix follows 40 bytes
    for i, number in enumerate(matrix):
        data[header + 40 + 4 * i : header + 44 + 4 * i] = (number << 16).to_bytes(4, "big", signed=True)
    out.write_bytes(bytes(data))
    return out
