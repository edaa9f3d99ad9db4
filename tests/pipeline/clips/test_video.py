"""Frames of video files of many kinds, at even times."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.clips.video import UnusableVideo, Video
from tests.support import videos

SIDE = 64


def picture(i: int, *, height: int = SIDE, width: int = SIDE) -> np.ndarray:
    """A picture that shows its number: a white bar for each set bit, over a textured ground."""
    rng = np.random.default_rng(0)
    ground = cv2.resize(rng.integers(60, 120, (4, 4, 3), np.uint8), (width, height))
    for bit in range(8):
        ground[8:-8, 8 * bit + 1 : 8 * bit + 7] = 235 if i >> bit & 1 else 20
    return ground


def number(pixels: np.ndarray) -> int:
    """The number that a picture shows."""
    middle = pixels[pixels.shape[0] // 2].mean(-1)
    return sum(int(middle[8 * bit + 4] > 128) << bit for bit in range(8))


def shown(path, fps=18) -> list[tuple[int, int]]:
    return [(frame.number, number(frame.pixels)) for frame in Video(path, Fraction(fps))]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("a.mkv", {}),
        ("a.webm", {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}}),
        ("a.avi", {"codec": "mjpeg", "pixels": "yuvj420p"}),
        ("a.ts", {}),
        ("a.mov", {"options": {"bf": "2"}}),
    ],
)
def test_each_of_the_even_times_has_the_frame_that_is_shown_then(tmp_path, name, options):
    path = videos.write(tmp_path / name, map(picture, range(48)), fps=24, **options)
    assert shown(path) == [(k, k * 24 // 18) for k in range(36)]


def test_a_gif_is_a_video(tmp_path):
    frames = [Image.fromarray(picture(i)) for i in range(20)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=50)
    assert shown(tmp_path / "a.gif") == [(k, k * 20 // 18) for k in range(18)]


def test_a_frame_rate_that_varies_changes_no_time(tmp_path):
    times = [0, 40, 80, 400, 420, 500, 1000]
    path = videos.write(tmp_path / "a.mkv", map(picture, range(7)), times_ms=times, options={"bf": "0"})
    assert shown(path)[:18] == [(k, sum(t * 18 <= 1000 * k for t in times) - 1) for k in range(18)]


def test_time_starts_with_the_first_frame(tmp_path):
    path = videos.write(tmp_path / "a.mkv", map(picture, range(24)), times_ms=[5000 + 50 * i for i in range(24)])
    assert shown(path, fps=20)[:24] == [(k, k) for k in range(24)]


def test_a_pause_is_left_out(tmp_path):
    times = [0, 100, 200, 7_200_000, 7_200_100]
    path = videos.write(tmp_path / "a.mkv", map(picture, range(5)), times_ms=times)
    numbers = [k for k, _ in shown(path, fps=10)]
    assert numbers[:3] == [0, 1, 2]
    assert numbers[-2:] == [72_000, 72_001]
    assert len(numbers) < 30


@pytest.mark.parametrize(("matrix", "turns"), [((0, 1, 0, -1, 0), -1), ((0, -1, 0, 1, 0), 1), ((-1, 0, 0, 0, -1), 2)])
def test_a_video_is_turned_as_its_file_says(tmp_path, matrix, turns):
    path = videos.write(tmp_path / "a.mp4", [picture(i, height=32) for i in range(8)])
    upright = next(iter(Video(path, Fraction(18)))).pixels
    turned = videos.turned(path, tmp_path / "b.mp4", matrix)
    assert np.array_equal(next(iter(Video(turned, Fraction(18)))).pixels, np.rot90(upright, turns))


def test_fields_are_made_one_picture(tmp_path):
    def bar(x: int) -> np.ndarray:
        canvas = np.full((SIDE, 2 * SIDE, 3), 30, np.uint8)
        canvas[:, x : x + 24] = 220
        return canvas

    def woven(i: int) -> np.ndarray:
        early, late = bar(8 + 8 * i), bar(12 + 8 * i)
        early[1::2] = late[1::2]
        return early

    options = {"flags": "+ildct+ilme", "x264-params": "tff=1:qp=10"}
    path = videos.write(tmp_path / "a.mkv", map(woven, range(10)), fps=25, options=options)
    for frame in Video(path, Fraction(25)):
        rows = frame.pixels[8:-8].mean(-1)
        assert abs(np.diff(rows, axis=0)).mean() < 3, frame.number


def test_pixels_that_are_not_square_are_made_so(tmp_path):
    options = {"aspect": "2"}
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options=options)
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(2)
        for i in range(4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(i), format="rgb24")))
        container.mux(stream.encode(None))
    assert next(iter(Video(path, Fraction(18)))).pixels.shape == (SIDE, 2 * SIDE, 3)


def test_a_large_video_is_made_smaller(tmp_path):
    path = videos.write(tmp_path / "a.mp4", [picture(0, height=720, width=2560)] * 3)
    assert next(iter(Video(path, Fraction(18)))).pixels.shape == (288, 1024, 3)


KEY_FRAMES = {"options": {"g": "12"}, "container_options": {"cluster_time_limit": "500"}}


@pytest.mark.parametrize("name", ["a.mkv", "a.ts"])
def test_what_is_left_of_a_truncated_file_is_read(tmp_path, name):
    path = videos.write(tmp_path / name, map(picture, range(96)), **KEY_FRAMES)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    found = shown(path, fps=24)
    assert 20 < len(found) < 80
    assert all(k == i for k, i in found[:-2])


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts"])
def test_damage_in_the_middle_is_skipped_and_counted(tmp_path, name):
    path = videos.write(tmp_path / name, map(picture, range(96)), **KEY_FRAMES)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = np.random.default_rng(0).bytes(200)
    path.write_bytes(bytes(data))
    video = Video(path, Fraction(24))
    found = {frame.number: number(frame.pixels) for frame in video}
    assert video.damaged or video.decoded < 90  # Matroska leaves damaged packets out by itself
    assert sum(k == i for k, i in found.items()) > 70
    assert found[max(found)] == 95


def _still(path):
    Image.fromarray(picture(0)).save(path / "a.png")
    return path / "a.png"


def _text(path):
    (path / "a.mp4").write_text("#EXTM3U\n#EXTINF:1,\nfile:///dev/zero\n")
    return path / "a.mp4"


def _empty(path):
    (path / "a.mp4").touch()
    return path / "a.mp4"


@pytest.mark.parametrize(
    ("make", "reason"),
    [(lambda path: videos.sound(path / "a.m4a"), "no_video"), (_text, "no_video"), (_empty, "empty")],
)
def test_a_file_without_a_video_has_a_reason(tmp_path, make, reason):
    with pytest.raises(UnusableVideo) as caught:
        list(Video(make(tmp_path), Fraction(18)))
    assert caught.value.reason == reason


def test_a_still_picture_is_one_decoded_frame(tmp_path):
    video = Video(_still(tmp_path), Fraction(18))
    list(video)
    assert video.decoded == 1
