"""AnimateBlink and EvaluateBlink, as commands."""

import json
import os
import shutil
import time
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageSequence

from models.sampling import animation as models_animation
from pipeline.drawing import film
from pipeline.faces import detect, landmarks
from pipeline.marking import is_generated
from pipeline.sources import drawn
from tests.support import drawn_clips
from tests.support.run_luigi import error_line, luigi, start_luigi
from workflows import animation

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with pictures of faces, clips, and runs of the blink network and of the refiner that learned little."""
    folder = tmp_path_factory.mktemp("animated")
    (folder / "pictures").mkdir()
    for number in range(3):
        drawn.draw(5, number)[0].save(folder / f"pictures/{number}.png")
    drawn_clips.write(folder / "data/datasets/clips")
    options = ("--preset", "tiny", "--dataset", "clips", "--set", "refine=none", "--run", "tiny")
    luigi(folder, "TrainBlinkUNet", *options)
    luigi(folder, "TrainBlinkUNet", *options[:4], "--run", "flow", "--steps", "2")
    return folder


def test_the_blends_are_those_that_there_are():
    assert animation.BLENDS == models_animation.BLENDS


def frames_of(path: Path, mode: str = "RGB") -> list[np.ndarray]:
    with Image.open(path) as file:
        return [np.asarray(frame.convert(mode)) for frame in ImageSequence.Iterator(file)]


def test_the_shipped_network_animates_a_picture(place):
    luigi(place, "AnimateBlink", "--input", "pictures/0.png")
    made = place / "data/generated/blinks"
    picture = np.asarray(Image.open(place / "pictures/0.png").convert("RGB"))
    frames = frames_of(made / "0.webp")
    (face,) = json.loads((made / "0.png.json").read_text())["animated"]["0.png"]["faces"]
    outside = np.ones(picture.shape[:2], bool)
    for x0, y0, x1, y1 in face["boxes"]:
        outside[y0:y1, x0:x1] = False
    assert len(face["boxes"]) == 2
    assert len(frames) > 4
    for frame in frames:
        assert (frame[outside] == picture[outside]).all()
    assert (frames[0] == picture).all()
    assert max(np.abs(frame[~outside].astype(int) - picture[~outside]).mean() for frame in frames) > 10
    with Image.open(made / "0.gif") as gif:
        assert gif.size == picture.shape[1::-1]
    with av.open(str(made / "0.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 4 * 24
    assert is_generated(made / "0-strip.png")
    assert "Did not run any tasks" in luigi(place, "AnimateBlink", "--input", "pictures/0.png").stderr
    (made / "0.gif").unlink()
    luigi(place, "AnimateBlink", "--input", "pictures/0.png")
    assert (made / "0.gif").exists()


def test_a_folder_is_animated_and_what_cannot_be_is_named(place, tmp_path):
    shutil.copytree(place / "pictures", tmp_path / "mixed")
    (tmp_path / "mixed/notes.txt").write_text("no picture")
    Image.new("RGB", (200, 200), "white").save(tmp_path / "mixed/empty.png")
    Image.open(tmp_path / "mixed/2.png").convert("RGB").save(tmp_path / "mixed/2.jpg")
    Image.new("RGB", (20, 16_400)).save(tmp_path / "mixed/long.png")
    luigi(tmp_path, "AnimateBlink", "--input", "mixed", "--blend", "feather", "--seconds", "2")
    summary = json.loads((tmp_path / "data/generated/blinks/mixed.json").read_text())
    assert set(summary["animated"]) == {"0.png", "1.png", "2.png", "2.jpg"}
    assert set(summary["skipped"]) == {"notes.txt", "empty.png", "long.png"}
    assert "16383" in summary["skipped"]["long.png"]
    assert summary["skipped"]["notes.txt"].startswith("not_an_image (")
    assert all((tmp_path / f"data/generated/blinks/mixed/{name}.webp").exists() for name in ("2.png", "2.jpg"))
    assert "no face" in summary["skipped"]["empty.png"]
    assert (tmp_path / "data/generated/blinks/mixed/1.gif").exists()


def test_transparency_is_kept(place):
    picture = np.asarray(Image.open(place / "pictures/0.png").convert("RGBA")).copy()
    picture[:40, :, 3] = 0
    picture[:, :30, 3] = np.linspace(0, 255, len(picture), dtype=np.uint8)[:, None]
    Image.fromarray(picture[80:500]).save(place / "sprite.png")
    luigi(place, "AnimateBlink", "--input", "sprite.png")
    made = place / "data/generated/blinks"
    (face,) = json.loads((made / "sprite.png.json").read_text())["animated"]["sprite.png"]["faces"]
    picture = picture[80:500]
    outside = np.ones(picture.shape[:2], bool)
    for x0, y0, x1, y1 in face["boxes"]:
        outside[y0:y1, x0:x1] = False
    frames = frames_of(made / "sprite.webp", "RGBA")
    strip = np.asarray(Image.open(made / "sprite-strip.png"))
    assert len(frames) > 4
    for frame in (*frames, *np.split(strip, strip.shape[1] // picture.shape[1], 1)):
        assert (frame[outside] == picture[outside]).all()
        assert (frame[..., 3] == picture[..., 3]).all()
    assert max(np.abs(frame.astype(int) - picture).max() for frame in frames) > 60
    for frame in frames_of(made / "sprite.gif", "RGBA"):
        assert ((frame[..., 3] == 255) == (picture[..., 3] >= 128)).all()


def test_eyes_of_a_grey_picture_stay_grey(place):
    Image.open(place / "pictures/0.png").convert("L").save(place / "manga.png")
    luigi(place, "AnimateBlink", "--input", "manga.png")
    frames = frames_of(place / "data/generated/blinks/manga.webp")
    assert all(np.ptp(frame, axis=2).max() == 0 for frame in frames)
    assert max(np.abs(frame.astype(int) - frames[0]).max() for frame in frames) > 60


def test_a_killed_command_goes_on_where_it_was(place, tmp_path):
    for name in ("killed", "undisturbed"):
        shutil.copytree(place / "pictures", tmp_path / name / "pictures")
    options = ("AnimateBlink", "--input", "pictures", "--seconds", "2")
    made = tmp_path / "killed/data/generated/blinks/pictures"
    process = start_luigi(tmp_path / "killed", *options)
    while not (made / "1.gif").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (made.parent / "pictures.json").exists()
    first = {path: path.stat().st_mtime_ns for path in made.glob("0*")}
    assert len(first) == 4
    luigi(tmp_path / "killed", *options)
    assert first == {path: path.stat().st_mtime_ns for path in made.glob("0*")}
    luigi(tmp_path / "undisturbed", *options)
    folders = (tmp_path / name / "data/generated/blinks" for name in ("killed", "undisturbed"))
    ours, expected = ({path.name: path.read_bytes() for path in each.rglob("*.*")} for each in folders)
    assert ours == expected
    # of other options or another picture nothing is kept
    shutil.copy(place / "pictures/1.png", tmp_path / "killed/pictures/0.png")
    luigi(tmp_path / "killed", *options, "--blend", "hard")
    assert first.keys() == {path for path in made.glob("0*") if path.stat().st_mtime_ns > first[path]}


def cover_the_left_eye(picture: Image.Image) -> Image.Image:
    """Return the picture with a strand of hair over the eye on its left."""
    pixels = np.asarray(picture)
    asset = detect.DETECTORS["network"].asset(None)
    faces = detect.find(pixels, finder="network", asset=asset, sweep="fast", min_face=32)[:1]
    x0, y0, x1, y1 = landmarks.find(pixels, faces)[0].left_eye
    width, color = x1 - x0, tuple(pixels[int(y0 - 0.9 * (y1 - y0)), int((x0 + x1) / 2)].tolist())
    left, right, top = x0 - 0.4 * width, x1 + 0.3 * width, y0 - 1.2 * width
    strand = [(left, top), (right, top), (right, y1), ((x0 + x1) / 2, y1 + 0.9 * width), (left, y1)]
    ImageDraw.Draw(picture).polygon(strand, fill=color)
    return picture


def test_leaning_faces_hidden_eyes_and_several_faces(tmp_path):
    (tmp_path / "faces").mkdir()
    for number in range(2):
        picture = drawn.draw(77, number)[0].convert("RGB")
        for tilt in (-45, 45):
            turned = picture.rotate(tilt, Image.Resampling.BICUBIC, expand=True, fillcolor="white")
            turned.save(tmp_path / f"faces/turned{number}{tilt}.png")
        two = Image.new("RGB", (2 * picture.width, picture.height))
        two.paste(picture, (0, 0))
        two.paste(picture, (picture.width, 0))
        two.save(tmp_path / f"faces/two{number}.png")
        cover_the_left_eye(picture).save(tmp_path / f"faces/hidden{number}.png")
    luigi(tmp_path, "AnimateBlink", "--input", "faces", "--seconds", "2")
    summary = json.loads((tmp_path / "data/generated/blinks/faces.json").read_text())
    eyes = {name: [len(face["boxes"]) for face in made["faces"]] for name, made in summary["animated"].items()}
    for number in range(2):
        assert eyes[f"turned{number}-45.png"] == eyes[f"turned{number}45.png"] == [2]
        assert eyes[f"two{number}.png"] == [2, 2]
        assert eyes[f"hidden{number}.png"] == [1]


@pytest.mark.parametrize("blend", ["hard", "poisson", "refiner"])
def test_a_reference_clip_gives_its_timing(place, blend):
    (strip, *_) = sorted((place / "data/datasets/clips/clips").rglob("*.png"))
    options = ("--input", "pictures/1.png", "--reference", str(strip), "--run", "tiny", "--blend", blend)
    luigi(place, "AnimateBlink", *options, "--seconds", "1.5")
    with av.open(str(place / "data/runs/tiny/generated/blinks/1.mp4")) as video:
        assert video.streams.video[0].average_rate == 18
        assert sum(1 for _ in video.decode(video=0)) == 27


def test_a_video_is_a_reference_too(place):
    film.write(place / "film.mp4", 1, 0)
    luigi(place, "AnimateBlink", "--input", "pictures/2.png", "--reference", "film.mp4")
    assert (place / "data/generated/blinks/2.gif").exists()


def test_a_dataset_and_a_run_are_animated(place, tmp_path):
    luigi(tmp_path, "BuildFaceDataset", "--limit", "24")
    luigi(tmp_path, "AnimateBlink", "--input", "data/datasets/faces", "--count", "2", "--seconds", "2")
    summary = json.loads((tmp_path / "data/generated/blinks/faces.json").read_text())
    assert len(summary["animated"]) + len(summary["skipped"]) == 2
    luigi(tmp_path, "TrainDCGAN", "--variant", "96", "--preset", "tiny", "--run", "gan")
    done = luigi(tmp_path, "AnimateBlink", "--input", "data/runs/gan", "--count", "2", check=False)
    assert (tmp_path / "data/runs/gan/generated/faces/000001.png").exists()
    assert "000000.png: its eyes are" in done.stderr or (tmp_path / "data/generated/blinks/gan.json").exists()


def test_faces_of_a_turned_dataset_blink_as_they_lean(tmp_path):
    luigi(tmp_path, "BuildFaceDataset", "--limit", "8", "--rotation", "45")
    luigi(tmp_path, "AnimateBlink", "--input", "data/datasets/faces", "--count", "2", "--seconds", "1.5")
    summary = json.loads((tmp_path / "data/generated/blinks/faces.json").read_text())
    assert len(summary["animated"]) == 2
    for made in summary["animated"].values():
        ((left, right),) = (face["boxes"] for face in made["faces"])
        assert left[2] > right[0] + 4  # the eyes' regions lie slanted; upright ones are beside each other


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--input", "missing.png"), "error: --input: missing.png"),
        (("--input", "notes.txt"), "not_an_image"),
        (("--input", "white.png"), "no face was found"),
        (("--input", "data"), "which holds what is made of it"),
        (("--input", "data/runs/tiny"), "error: --input: data/runs/tiny is a run of another network"),
        (("--input", "pictures/0.png", "--reference", "missing.mp4"), "--reference"),
        (("--input", "pictures/0.png", "--reference", "white.png"), "white.png"),
        (("--input", "pictures/0.png", "--run", "none"), "model.safetensors"),
        (("--input", "pictures/0.png", "--refiner", "tiny"), "--refiner"),
        (("--input", "pictures/0.png", "--refiner", "tiny", "--blend", "refiner"), "TrainSeamRefiner"),
        (("--input", "pictures/0.png", "--seconds", "0.2"), "--seconds"),
        (("--input", "pictures/0.png", "--run", "flow"), "--reference"),
        (("--input", "pictures/0.png", "--reference", "pipe"), "not a regular file"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(place, options, words):
    (place / "notes.txt").write_text("no picture")
    Image.new("RGB", (200, 200), "white").save(place / "white.png")
    if not (place / "pipe").exists():
        os.mkfifo(place / "pipe")
    line = error_line(place, "AnimateBlink", *options)
    assert words in line
    assert len(line) < 400


def test_a_run_is_measured_beside_a_copy(place):
    luigi(place, "EvaluateBlink", "--run", "tiny", "--dataset", "clips")
    folder = place / "data/runs/tiny/generated"
    measured = json.loads((folder / "blink_evaluation.json").read_text())
    assert measured["clips"] > 0
    assert measured["copy_error"] > 0
    assert measured["changed_outside"] == 0
    assert {"seam_hard", "seam_refiner", "seam_truth", "lpips", "lines", "error_share_without_flow"} <= set(measured)
    assert is_generated(folder / "blink_clips.png")
    assert (folder / "blink_openness.png").exists()
