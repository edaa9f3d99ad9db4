"""Frames of a video file at even times, through PyAV.

The file may come from anywhere: its frame rate may vary, its packets may be damaged, and its time stamps may start
anywhere, jump, or be missing. A frame is shown until the next one begins. One frame is in memory at a time.
"""

import contextlib
import itertools
import logging
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from av.filter import Graph

MAX_SIDE_PX = 1024  # of a frame: a larger one is made smaller
MAX_PIXELS = 1 << 26  # that a frame may have before it is decoded
MAX_GAP_S = 2  # between two frames: a longer one is left out
MAX_SMEARED_FRAMES = 300  # after damage, if no key frame comes before
MAX_DEMUX_ERRORS = 100  # in a row
DEFAULT_RATE = Fraction(25)  # frames per second of a file that does not state its own
TIME_TOLERANCE_S = Fraction(1, 1000)  # Matroska rounds time stamps to it
# Demuxers of files that hold a video themselves: a playlist, say, would have others opened.
_FORMATS = (
    "3gp,apng,asf,avi,dv,flv,gif,h264,hevc,ivf,matroska,mjpeg,mov,mp4,mpeg,mpegts,mpegvideo,mxf,nut,ogg,rm,vc1,webm,"
    "wtv,yuv4mpegpipe,aac,aiff,flac,mp3,wav,image2,jpeg_pipe,png_pipe,bmp_pipe,webp_pipe,tiff_pipe,webp_anim"
)

logging.getLogger("libav").setLevel(logging.CRITICAL)  # what is damaged is counted here


class UnusableVideo(Exception):
    """A file without a video that can be decoded."""

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail  # of a row of FUNNEL


class Frame(NamedTuple):
    """What a video shows at one of the even times."""

    number: int  # it is shown number / fps seconds after the first frame; numbers are left out where the video pauses
    pixels: np.ndarray  # (H, W, 3) uint8, RGB, upright, with square pixels; of the same shape in the whole video


class Video:
    """The frames of a video file, `fps` a second. Iterate once; raise UnusableVideo or OSError."""

    def __init__(self, path: Path, fps: Fraction):
        self._path, self._fps = path, fps
        self.decoded = 0  # frames of the file so far
        self.damaged = 0  # packets and frames that were skipped so far

    def __iter__(self) -> Iterator[Frame]:
        with open(self._path, "rb") as file:  # not the path: it is neither a URL nor a pattern of names
            if not file.read(1):
                raise UnusableVideo("empty")
            file.seek(0)
            try:
                container = av.open(file, options={"format_whitelist": _FORMATS, "protocol_whitelist": "none"})
            except (av.error.FFmpegError, ValueError) as error:
                raise UnusableVideo("no_video", f"unknown format ({_words(error)})") from error
            with container:
                stream = _video_stream(container)
                stream.codec_context.thread_count = 1  # videos are spread over the cores
                stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
                yield from self._sample(self._timed(stream, self._decode(container, stream)), stream)

    def _decode(self, container, stream) -> Iterator[av.VideoFrame]:
        """Yield the frames that can be decoded, and count what cannot. What follows damage is smeared until the next
        key frame, and is skipped."""
        skipped: int | None = None  # frames since the damage
        for packet in self._packets(container, stream):
            try:
                frames = [] if packet.is_corrupt else packet.decode()
                is_damaged = packet.is_corrupt
            except (av.error.FFmpegError, ValueError):  # ValueError: of a frame of unknown format
                frames, is_damaged = [], True
            if is_damaged:
                self.damaged, skipped = self.damaged + 1, 0
            for frame in frames:
                if frame.is_corrupt:
                    skipped = 0
                elif skipped is not None and (frame.key_frame or skipped >= MAX_SMEARED_FRAMES):
                    skipped = None
                if skipped is None:
                    self.decoded += 1
                    yield frame
                else:
                    self.damaged, skipped = self.damaged + 1, skipped + 1

    def _packets(self, container, stream):
        """Yield the packets of the stream, and an empty one at the end."""
        errors = 0
        while errors < MAX_DEMUX_ERRORS:
            try:
                for packet in container.demux(stream):
                    errors = 0
                    yield packet
                return
            except av.error.FFmpegError:
                self.damaged, errors = self.damaged + 1, errors + 1

    def _timed(self, stream, frames: Iterator[av.VideoFrame]) -> Iterator[tuple[Fraction, av.VideoFrame]]:
        """Yield (seconds since the first frame, frame) with times that grow."""
        step, last = 1 / _rate(stream), None
        offset: Fraction | None = None  # the time stamp of second 0
        for frame in _progressive(frames, stream):
            stamp = None if frame.pts is None else Fraction(frame.pts * (frame.time_base or stream.time_base))
            following = Fraction(0) if last is None else last + step
            if stamp is not None and (offset is None or stamp - offset < following - MAX_GAP_S):
                offset = stamp - following  # the first one, or the clock was set back
            time = following if stamp is None or offset is None else stamp - offset
            if last is None or time > last:
                yield time, frame
                last = time

    def _sample(self, timed: Iterator[tuple[Fraction, av.VideoFrame]], stream) -> Iterator[Frame]:
        """Yield the frame that is shown at each of the even times."""
        shown: tuple[Fraction, av.VideoFrame] | None = None
        number, size = 0, None
        for following in itertools.chain(timed, [None]):
            if shown is not None:
                time, frame = shown
                until = (following[0] if following else time + 1 / _rate(stream)) - TIME_TOLERANCE_S
                numbers = range(number, math.ceil(min(until, time + MAX_GAP_S) * self._fps))
                if numbers:
                    size = size or _size(frame, stream)
                    pixels = _upright_rgb(frame, size)
                    yield from (Frame(each, pixels) for each in numbers)
                number = max(number, math.ceil(until * self._fps))
            shown = following


def _words(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error))[:100]


def _video_stream(container):
    """Return the largest stream of moving pictures. Raise UnusableVideo if there is none."""
    streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not streams:
        kinds = sorted({stream.type for stream in container.streams if stream.type != "video"})
        raise UnusableVideo("no_video", f"no video stream, only {' and '.join(kinds)}" if kinds else "no video stream")
    known = [stream for stream in streams if stream.codec_context is not None]
    if not known:
        raise UnusableVideo("no_video", "its codec is unknown")
    return max(known, key=lambda stream: stream.codec_context.width * stream.codec_context.height)


def _rate(stream) -> Fraction:
    rate = stream.average_rate or stream.guessed_rate or DEFAULT_RATE
    return rate if 0 < rate <= 1000 else DEFAULT_RATE


def _progressive(frames: Iterator[av.VideoFrame], stream) -> Iterator[av.VideoFrame]:
    """Yield the frames, with the two fields of those that are interlaced made one picture."""
    graph, shape = None, None
    for frame in frames:
        form = frame.width, frame.height, frame.format.name
        if graph is not None and form != shape:
            yield from _drain(graph, None)
            graph = None
        if graph is None and frame.interlaced_frame:
            graph, shape = _deinterlacer(frame, stream), form
        if graph is None:
            yield frame
        else:
            yield from _drain(graph, frame)
    if graph is not None:
        yield from _drain(graph, None)


def _deinterlacer(frame: av.VideoFrame, stream) -> Graph:
    graph = Graph()
    base = frame.time_base or stream.time_base
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=base)
    graph.link_nodes(
        source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink")
    ).configure()
    return graph


def _drain(graph: Graph, frame: av.VideoFrame | None) -> Iterator[av.VideoFrame]:
    """Push a frame, or the end, into the graph, and yield what comes out."""
    graph.vpush(frame)
    with contextlib.suppress(av.error.BlockingIOError, av.error.EOFError):
        while True:
            yield graph.vpull()


def _size(frame: av.VideoFrame, stream) -> tuple[int, int]:
    """Return the width and height of the video's frames before they are turned: with square pixels, and not larger
    than MAX_SIDE_PX."""
    aspect = float(stream.sample_aspect_ratio or 1)
    width, height = frame.width * (aspect if 0.1 < aspect < 10 else 1), frame.height
    scale = min(1, MAX_SIDE_PX / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _upright_rgb(frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
    """Return (H, W, 3) uint8 of that size, turned as the file says; what is transparent is white."""
    has_alpha = any(component.is_alpha for component in frame.format.components)
    pixels: np.ndarray = frame.to_ndarray(format="rgba" if has_alpha or frame.format.name == "pal8" else "rgb24")
    if pixels.shape[1::-1] != size:
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    if pixels.shape[2] == 4:
        alpha = pixels[..., 3:].astype(np.uint16)
        pixels = ((pixels[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    quarter_turns = round(frame.rotation / 90) % 4  # counterclockwise
    return np.ascontiguousarray(np.rot90(pixels, quarter_turns)) if quarter_turns else pixels
