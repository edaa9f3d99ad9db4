"""Files of animations, read back."""

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence

from models.sampling import videos
from models.sampling.videos import Part

FPS = 18


@pytest.fixture
def shown() -> list[tuple[np.ndarray, int]]:
    """Four pictures of odd size, which differ in one corner."""
    y, x = np.mgrid[:35, :45]
    picture = np.stack([100 + 2 * x, 220 - 3 * y, 90 + x + y], 2).astype(np.uint8)
    pictures = [picture.copy() for _ in range(4)]
    for number, each in enumerate(pictures):
        each[:10, :10] = 60 * number
    return list(zip(pictures, (5, 1, 3, 9), strict=True))


def parts_of(shown: list[tuple[np.ndarray, int]]) -> list[Part]:
    """The frames as parts: of all but the first the corner that changes, and a little more."""
    (first, count), *more = shown
    return [Part((0, 0), first, count), *(Part((0, 0), picture[:15, :17], count) for picture, count in more)]


def test_a_webp_holds_every_pixel(tmp_path, shown):
    videos.save_webp(tmp_path / "a.webp", parts_of(shown), FPS, "how it was made")
    with Image.open(tmp_path / "a.webp") as file:
        assert file.getexif()[0x010E] == "how it was made"
        assert file.info["loop"] == 0
        read = [(np.asarray(frame.convert("RGB")), frame.info["duration"]) for frame in ImageSequence.Iterator(file)]
    assert [duration for _, duration in read] == [278, 55, 167, 500]
    for (ours, _), (given, _) in zip(read, shown, strict=True):
        assert (ours == given).all()


def test_a_gif_has_one_palette_and_durations_that_do_not_drift(tmp_path, shown):
    videos.save_gif(tmp_path / "a.gif", parts_of(shown), FPS, "how it was made")
    with Image.open(tmp_path / "a.gif") as file:
        assert file.info["comment"] == b"how it was made"
        read = [(np.asarray(frame.convert("RGB")), frame.info["duration"]) for frame in ImageSequence.Iterator(file)]
    assert [duration for _, duration in read] == [280, 50, 170, 500]
    for (ours, _), (given, _) in zip(read, shown, strict=True):
        assert np.abs(ours.astype(int) - given).max() < 25
        assert (ours[10:] == read[0][0][10:]).all()


def test_an_mp4_has_every_frame_at_its_time(tmp_path, shown):
    videos.save_mp4(tmp_path / "a.mp4", parts_of(shown), FPS, "how it was made")
    videos.save_mp4(tmp_path / "b.mp4", parts_of(shown), FPS, "how it was made")
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    with av.open(str(tmp_path / "a.mp4")) as file:
        assert file.metadata["comment"] == "how it was made"
        assert file.streams.video[0].codec_context.name == "h264"
        read = [(float(frame.time), frame.to_ndarray(format="rgb24")) for frame in file.decode(video=0)]
    assert [round(time * FPS, 2) for time, _ in read] == list(range(18))
    given = [picture for picture, count in shown for _ in range(count)]
    for (_, ours), picture in zip(read, given, strict=True):
        assert ours.shape == (36, 46, 3)
        assert np.abs(ours[:35, :45].astype(int) - picture).mean() < 3


def test_a_strip_shows_the_pictures_side_by_side(tmp_path, shown):
    videos.save_strip(tmp_path / "a.png", parts_of(shown), run="r")
    with Image.open(tmp_path / "a.png") as file:
        assert file.text["run"] == "r"
        assert (np.asarray(file) == np.concatenate([picture for picture, _ in shown], 1)).all()
    large = [Part((0, 0), np.zeros((1024, 100, 3), np.uint8), 1)] * 20
    videos.save_strip(tmp_path / "b.png", large)
    with Image.open(tmp_path / "b.png") as file:
        assert file.size == (50 * videos.STRIP_PICTURES, 512)


@pytest.fixture
def clear(shown) -> list[tuple[np.ndarray, int]]:
    """The same with alpha: clear on the left, with colours of their own there, half clear in the middle."""
    alpha = np.full((35, 45), 255, np.uint8)
    alpha[:, :6], alpha[:, 6:12], alpha[:, 12:20] = 0, 60, 200
    return [(np.dstack([picture, alpha]), count) for picture, count in shown]


def test_a_webp_and_a_strip_hold_every_pixel_with_its_alpha(tmp_path, clear):
    videos.save_webp(tmp_path / "a.webp", parts_of(clear), FPS, "")
    with Image.open(tmp_path / "a.webp") as file:
        assert file.mode == "RGBA"
        read = [np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(file)]
    assert all((ours == given).all() for ours, (given, _) in zip(read, clear, strict=True))
    videos.save_strip(tmp_path / "a.png", parts_of(clear))
    with Image.open(tmp_path / "a.png") as file:
        assert (np.asarray(file) == np.concatenate([picture for picture, _ in clear], 1)).all()


def test_a_gif_is_clear_where_less_than_half_of_a_pixel_is_there(tmp_path, clear):
    videos.save_gif(tmp_path / "a.gif", parts_of(clear), FPS, "")
    with Image.open(tmp_path / "a.gif") as file:
        read = [np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(file)]
    for ours, (given, _) in zip(read, clear, strict=True):
        is_opaque = given[..., 3] >= 128
        assert (ours[..., 3] == np.where(is_opaque, 255, 0)).all()
        assert np.abs(ours[is_opaque][:, :3].astype(int) - given[is_opaque][:, :3]).max() < 25


def test_an_mp4_is_on_white(tmp_path, clear):
    videos.save_mp4(tmp_path / "a.mp4", parts_of(clear), FPS, "")
    with av.open(str(tmp_path / "a.mp4")) as file:
        (first, *_) = (frame.to_ndarray(format="rgb24") for frame in file.decode(video=0))
    alpha = clear[0][0][..., 3:] / 255
    assert np.abs(first[:35, :45] - (clear[0][0][..., :3] * alpha + 255 * (1 - alpha))).mean() < 3
    assert (first[:34, :4] > 250).all()


def test_a_large_mp4_takes_few_frames_of_memory(tmp_path, monkeypatch, shown):
    monkeypatch.setattr(videos, "LARGE_PX", 1)
    videos.save_mp4(tmp_path / "a.mp4", parts_of(shown), FPS, "")
    with av.open(str(tmp_path / "a.mp4")) as file:
        assert file.streams.video[0].codec_context.has_b_frames == 0
        assert sum(1 for _ in file.decode(video=0)) == 18
