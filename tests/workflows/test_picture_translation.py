"""TranslateImages, as a command."""

import hashlib
import json
import os
import shutil
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from models.data.dataset import Dataset
from pipeline.errors import UserError
from pipeline.faces.boxes import Face
from pipeline.faces.crop import Frame, crop, view_of_crop
from pipeline.images.decode import decode, on_white
from pipeline.marking import is_generated
from pipeline.sources import drawn
from tests.support.run_luigi import error_line, luigi, start_luigi
from workflows import TranslateImages

PAIR = "ugatit-faces-icons-tiny"
STYLES, HAIR = "stargan2-faces-icons-tiny", "stargan2-faces-tiny"  # icons are grey; all is grey
SIZE = 32  # px of the faces of these runs
FACES, ICONS = Frame(1.5), Frame.of_box(0.2, 0.3, 0.8, 0.9)  # where the box lies in crops
ICON_ROTATION = 45.3  # degrees: not the same in 32 bits

full = pytest.mark.full


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Two datasets, tiny runs between them, and two pictures."""
    folder = tmp_path_factory.mktemp("translated")
    build = ("BuildFaceDataset", "--limit", "30", "--size", "64")
    luigi(folder, *build)
    how = ("--rotation", str(ICON_ROTATION), "--frame", "0.2,0.3,0.8,0.9", "--min-face", "40")
    luigi(folder, *build, "--name", "icons", "--query", "icon", *how)
    tiny = ("--preset", "tiny", "--steps", "2")
    luigi(folder, "TrainUGATIT", "--target-dataset", "icons", *tiny)
    luigi(folder, "TrainStarGAN2", "--datasets", "faces,icons", "--gray", "anime", *tiny)
    luigi(folder, "TrainStarGAN2", "--dataset", "faces", "--domain-column", "hair_color", "--gray", "both", *tiny)
    drawn.draw(5, 0)[0].save(folder / "one.png")
    drawn.draw(5, 1)[0].save(folder / "other.png")
    return folder


def translate(place: Path, run: str, *options: str) -> tuple[Path, dict]:
    """Translate. Return the folder of what was made, and what its list says."""
    done = luigi(place, "TranslateImages", "--run", run, *options)
    (line,) = (line for line in done.stderr.splitlines() if line.endswith(".json is ready"))
    file = place / line.removeprefix("INFO: ").removesuffix(" is ready")
    summary = json.loads(file.read_text())
    (folder,) = {each for each in (file.with_suffix(""), file.parent) if is_there(each, summary)}
    assert all(is_generated(folder / name) for made in summary["translated"].values() for name in made["files"])
    return folder, summary


def is_there(folder: Path, summary: dict) -> bool:
    return all((folder / name).is_file() for made in summary["translated"].values() for name in made["files"])


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def faces_of(made: dict) -> list[Face]:
    return [Face(**face) for face in made["faces"]]


def assert_is_pasted(
    folder: Path, target: str, given: np.ndarray, made: dict, frame: Frame = FACES, rotation: float = 0
) -> None:
    """Assert that the pasted picture is the given one, with each translated face where it was, leaning as it did."""
    pasted, inside = pixels_of(folder / f"{target}-pasted.png"), np.zeros(given.shape[:2], np.uint8)
    assert pasted.shape == given.shape
    assert (pasted[..., 3:] == given[..., 3:]).all()
    for number, face in enumerate(faces_of(made), start=1):
        painted = pixels_of(folder / f"{target}-face{number if number > 1 else ''}.png")
        how = {"box_scale": frame.box_scale, "offset": frame.offset, "rotation": rotation}
        again = crop(on_white(pasted), face, size=SIZE, **how)
        middle = slice(SIZE // 4, -SIZE // 4)
        difference, turned = (
            np.abs(seen.astype(int) - painted)[middle, middle].mean() for seen in (again, np.rot90(again))
        )
        assert difference < turned / 4
        matrix = view_of_crop(face, size=SIZE, frame=frame, rotation=rotation).to_picture()
        corners = np.array([(0, 0), (SIZE, 0), (SIZE, SIZE), (0, SIZE)]) - 0.5
        cv2.fillPoly(inside, [np.rint(corners @ matrix[:, :2].T + matrix[:, 2]).astype(np.int32)], 1)
    outside = cv2.dilate(inside, np.ones((5, 5), np.uint8)) == 0
    assert outside.mean() > 0.05
    assert (pasted[outside] == given[outside]).all()


@full
@pytest.mark.parametrize(("direction", "frame", "rotation"), [("a2b", FACES, 0), ("b2a", ICONS, ICON_ROTATION)])
def test_faces_are_translated_both_ways_and_put_back(direction, frame, rotation, place, tmp_path):
    pictures = tmp_path / "pictures"
    (pictures / "more").mkdir(parents=True)
    one, other = (Image.open(place / f"{name}.png") for name in ("one", "other"))
    one.save(pictures / "one.png")
    one.rotate(30, Image.Resampling.BICUBIC, expand=True, fillcolor="white").save(pictures / "tilted.png")
    two = Image.new("RGB", (one.width + other.width, one.height), "white")
    two.paste(one, (0, 0))
    two.paste(other, (one.width, 0))
    two.save(pictures / "more/two.png")
    sprite = np.asarray(one.convert("RGBA")).copy()
    sprite[:80, :, 3] = 0
    sprite[:, :60, 3] = np.linspace(0, 255, len(sprite), dtype=np.uint8)[:, None]
    Image.fromarray(sprite).save(pictures / "sprite.png")
    options = ("--direction", direction, "--input", str(pictures), "--beside", "--heat", "--paste")
    folder, summary = translate(place, PAIR, *options)
    translated = summary["translated"]
    assert set(translated) == {"one.png", "tilted.png", "more/two.png", "sprite.png"}
    assert [len(translated[name]["faces"]) for name in ("one.png", "tilted.png", "more/two.png")] == [1, 1, 2]
    ((upright,), (tilted,)) = (faces_of(translated[name]) for name in ("one.png", "tilted.png"))
    assert abs(upright.tilt - 30 - tilted.tilt) < 10
    for name, made in translated.items():
        data = (pictures / name).read_bytes()
        given, target = decode(data, keep_alpha=True)[0], name.removesuffix(".png")
        ends = ["face", "heat", "beside"] + ["face2", "heat2", "beside2"] * (len(made["faces"]) > 1) + ["pasted"]
        assert made["files"] == [f"{target}-{end}.png" for end in ends]
        assert_is_pasted(folder, target, given, made, frame, rotation)
        how = {"box_scale": frame.box_scale, "offset": frame.offset, "rotation": rotation}
        before = crop(on_white(given), faces_of(made)[0], size=64, **how)
        before = np.asarray(Image.fromarray(before).resize((SIZE, SIZE), Image.Resampling.LANCZOS))
        heat, after = (pixels_of(folder / f"{target}-{end}.png") for end in ("heat", "face"))
        assert (pixels_of(folder / f"{target}-beside.png") == np.concatenate([before, heat, after], 1)).all()
        assert np.abs(heat.astype(int) - before).max() > 60
        with Image.open(folder / f"{target}-heat.png") as file:
            assert (file.text["run"], file.text["direction"]) == (PAIR, direction)
            assert file.text["input"] == hashlib.sha256(data).hexdigest()
            assert file.text["weights"] == summary["weights"]
    assert "Did not run any tasks" in luigi(place, "TranslateImages", "--run", PAIR, *options).stderr


def color(pixels: np.ndarray) -> int:
    """Return the largest difference between the channels of a pixel."""
    return int(np.ptp(pixels.astype(int), axis=2).max())


@full
def test_a_style_is_of_a_seed_or_of_a_reference(place):
    made = []
    for style in ("--seed 0", "--seed 3", "--reference one.png", "--reference other.png"):
        options = ("--input", "other.png", "--domain", "faces", *style.split())
        folder, summary = translate(place, STYLES, *options, "--beside")
        before, after = np.split(pixels_of(folder / "other-beside.png"), 2, 1)
        assert (color(before) == 0, color(after) == 0) == (True, False)
        made.append(after.tobytes())
    assert len({*made}) == 4
    assert summary["source_domain"] == "icons"
    assert summary["reference"] == hashlib.sha256((place / "other.png").read_bytes()).hexdigest()
    shutil.rmtree(place / "data/runs" / STYLES / "generated")
    folder, _ = translate(place, STYLES, "--input", "other.png", "--domain", "faces", "--seed", "3")
    assert pixels_of(folder / "other-face.png").tobytes() == made[1]


@full
def test_the_source_domain_says_whether_pictures_are_made_grey(place):
    for source, is_gray in (("faces", False), ("icons", True)):
        options = ("--input", "other.png", "--domain", "icons", "--source-domain", source, "--beside")
        folder, summary = translate(place, STYLES, *options)
        before, after = np.split(pixels_of(folder / "other-beside.png"), 2, 1)
        assert (color(before) == 0, color(after) == 0) == (is_gray, True)
        assert summary["source_domain"] == source


@full
def test_hair_colors_are_domains(place):
    domains = json.loads((place / "data/runs" / HAIR / "config.json").read_text())["config"]["domains"]
    made = []
    for domain, source in (domains[:2], domains[1::-1]):
        folder, summary = translate(place, HAIR, "--domain", domain, "--input", "one.png", "--paste", "--beside")
        assert summary["source_domain"] == source
        assert_is_pasted(folder, "one", pixels_of(place / "one.png"), summary["translated"]["one.png"])
        before, after = np.split(pixels_of(folder / "one-beside.png"), 2, 1)
        assert color(before) == color(after) == 0
        made.append(after.tobytes())
    assert len({*made}) == 2


@full
def test_a_folder_is_translated_and_what_cannot_be_is_named(place, tmp_path):
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    picture = Image.open(place / "one.png")
    picture.convert("L").save(mixed / "grey.png")
    picture.quantize(64).save(mixed / "palette.png")
    Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257).save(mixed / "deep.png")
    cv2.imwrite(str(mixed / "deep_colors.png"), np.asarray(picture)[..., ::-1].astype(np.uint16) * 257)
    (mixed / "notes.txt").write_text("no picture")
    (mixed / "cut.png").write_bytes((place / "one.png").read_bytes()[:2000])
    Image.new("RGB", (200, 200), "white").save(mixed / "empty.png")
    (mixed / "link.png").symlink_to(place / "one.png")
    (mixed / ".DS_Store").write_text("no picture")
    folder, summary = translate(place, PAIR, "--direction", "a2b", "--input", str(mixed), "--paste")
    assert set(summary["translated"]) == {"grey.png", "palette.png", "deep.png", "deep_colors.png"}
    for name, made in summary["translated"].items():
        given = decode((mixed / name).read_bytes(), keep_alpha=True)[0]
        assert_is_pasted(folder, name.removesuffix(".png"), given, made)
    reasons = {name: reason.split(" (")[0] for name, reason in summary["skipped"].items()}
    assert reasons == {
        "notes.txt": "not_an_image",
        "cut.png": "truncated",
        "empty.png": "no face was found in it",
        "link.png": "link",
    }


@full
@pytest.mark.parametrize(
    ("direction", "name", "tilt"), [("a2b", "faces", 0), ("b2a", "icons", ICON_ROTATION)], ids=["a2b", "b2a"]
)
def test_faces_of_a_dataset_are_shown_as_in_its_training(direction, name, tilt, place):
    options = ("--input", f"data/datasets/{name}", "--count", "3", "--beside", "--paste")
    folder, summary = translate(place, PAIR, "--direction", direction, *options)
    dataset = Dataset(place / "data/datasets" / name, place / "data/cache")
    known = {
        Path(path).name: pixels
        for split in ("train", "val", "test")
        for path, pixels in zip(dataset.split(split)["path"].to_pylist(), dataset.pixels(split, SIZE), strict=True)
    }
    assert len(summary["translated"]) == 3
    for face_name, made in summary["translated"].items():
        target = face_name.removesuffix(".png")
        beside, pasted = (pixels_of(folder / f"{target}-{end}.png") for end in ("beside", "pasted"))
        assert (beside[:, :SIZE] == known[face_name]).all()
        again = np.asarray(Image.fromarray(pasted).resize((SIZE, SIZE), Image.Resampling.LANCZOS))
        assert np.abs(again.astype(int) - beside[:, SIZE:])[8:-8, 8:-8].mean() < 3
        assert faces_of(made)[0].tilt == tilt
    # the same face, cut as those of the other dataset
    other_way, other = ("b2a", (ICONS, ICON_ROTATION)) if direction == "a2b" else ("a2b", (FACES, 0))
    folder, _ = translate(place, PAIR, "--direction", other_way, *options)
    seen = pixels_of(folder / f"{target}-beside.png")[:, :SIZE].astype(int)
    assert np.abs(seen - known[face_name]).mean() > 10
    (given,) = place.glob(f"data/datasets/{name}/faces/*/{face_name}")
    assert_is_pasted(folder, target, pixels_of(given), made, *other)


@full
def test_faces_are_found_as_those_of_the_dataset_were(place, tmp_path):
    shutil.copytree(place / "data/runs" / PAIR, tmp_path / "data/runs" / PAIR)
    options = ("--direction", "b2a", "--input", "small.png")
    small = Image.open(place / "one.png").resize((535 * 44 // 265, 692 * 44 // 265), Image.Resampling.LANCZOS)
    small.save(tmp_path / "small.png")
    assert "no face was found" in error_line(tmp_path, "TranslateImages", "--run", PAIR, *options)
    (tmp_path / "data/datasets").symlink_to(place / "data/datasets")
    _, summary = translate(tmp_path, PAIR, *options)
    assert summary["detectors"] == ["lbpcascade, sweep fast, 40 px or more"]
    (tmp_path / "data/datasets").unlink()
    assert "no face was found" in error_line(tmp_path, "TranslateImages", "--run", PAIR, *options)


@full
def test_a_killed_command_goes_on_where_it_was(place, tmp_path):
    options = ("TranslateImages", "--run", PAIR, "--direction", "a2b", "--input", "pictures", "--heat", "--paste")
    for name in ("killed", "undisturbed"):
        (tmp_path / name / "data").mkdir(parents=True)
        (tmp_path / name / "data/datasets").symlink_to(place / "data/datasets")
        shutil.copytree(place / "data/runs" / PAIR, tmp_path / name / "data/runs" / PAIR)
        shutil.rmtree(tmp_path / name / "data/runs" / PAIR / "generated", ignore_errors=True)
    (tmp_path / "killed/pictures").mkdir()
    for number in range(3):
        drawn.draw(6, number)[0].save(tmp_path / f"killed/pictures/{number}.png")
    shutil.copytree(tmp_path / "killed/pictures", tmp_path / "undisturbed/pictures")
    generated = Path("data/runs", PAIR, "generated/translated-a2b")
    made = tmp_path / "killed" / generated / "pictures"
    process = start_luigi(tmp_path / "killed", *options)
    while not (made / "0-face.png").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not made.with_suffix(".json").exists()
    first = {path: path.stat().st_mtime_ns for path in made.glob("0*")}
    assert {path.name for path in first} == {"0-face.png", "0-heat.png", "0-pasted.png"}
    luigi(tmp_path / "killed", *options)
    assert first == {path: path.stat().st_mtime_ns for path in made.glob("0*")}
    luigi(tmp_path / "undisturbed", *options)
    folders = (tmp_path / name / generated for name in ("killed", "undisturbed"))
    ours, expected = ({path.name: path.read_bytes() for path in each.rglob("*.*")} for each in folders)
    assert ours == expected
    # of other options or another picture nothing is kept
    shutil.copy(tmp_path / "killed/pictures/1.png", tmp_path / "killed/pictures/0.png")
    luigi(tmp_path / "killed", *options, "--beside")
    assert all(path.stat().st_mtime_ns > written for path, written in first.items())
    beside = {path.name: path.stat().st_mtime_ns for path in made.glob("*.png")}
    luigi(tmp_path / "killed", *options)
    assert all(path.stat().st_mtime_ns > beside[path.name] for path in made.glob("*-face.png"))


def test_no_two_pictures_have_the_same_target(tmp_path):
    names = (
        "x.png",
        "x.jpg",
        "x.png.webp",
        "x-face.png",
        "x-pasted.png",
        "y.png",
        "y",
        "sub/x.png",
        "a" * 150 + ".png",
    )
    (tmp_path / "in/sub").mkdir(parents=True)
    for name in names:
        (tmp_path / "in" / name).touch()
    task = TranslateImages(run="x", input=tmp_path / "in", data_root=tmp_path)
    targets = {picture.name: picture.target for picture in task.pictures()}
    assert len({*targets.values()}) == len(names)
    assert [targets[name] for name in ("x-face.png", "sub/x.png")] == ["x-face", "sub/x"]
    assert [targets[name] for name in ("x.png", "x.jpg", "y")] == ["x.png", "x.jpg", "y"]


@full
def test_pictures_that_are_called_as_outputs_are_kept_apart(place, tmp_path):
    names = ("x.png", "x-pasted.png", "x-face.png", "x-face2.png")
    folder = tmp_path / "named"
    folder.mkdir()
    for number, name in enumerate(names):
        drawn.draw(7, number)[0].save(folder / name)
    made, summary = translate(place, PAIR, "--direction", "a2b", "--input", str(folder), "--paste")
    files = [name for picture in summary["translated"].values() for name in picture["files"]]
    assert len({*files}) == len(files) == 2 * len(names)
    for name in names:
        given = pixels_of(folder / name)
        assert_is_pasted(made, name.removesuffix(".png"), given, summary["translated"][name])


@full
def test_a_picture_of_the_same_name_is_translated_anew(place, tmp_path):
    for name, source in (("same.png", "one"), ("same.bmp", "other")):
        Image.open(place / f"{source}.png").save(tmp_path / name)
    commands = [
        ("TranslateImages", "--run", PAIR, "--direction", "a2b", "--input", str(tmp_path / name))
        for name in ("same.png", "same.bmp")
    ]
    made = place / "data/runs" / PAIR / "generated/translated-a2b/same-face.png"
    luigi(place, *commands[0])
    first = made.read_bytes()
    luigi(place, *commands[1])
    assert made.read_bytes() != first
    luigi(place, *commands[0])
    assert made.read_bytes() == first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input": "missing.png"}, r"--input: missing.png does not exist; a picture, or a folder"),
        ({"run": "a/b"}, r"--run: 'a/b' given"),
        ({"count": -1}, r"--count: -1 given"),
    ],
)
def test_options_that_cannot_be_are_refused_at_once(options, message, tmp_path):
    with pytest.raises(UserError, match=message):
        TranslateImages(**{"run": "x", "input": tmp_path, "data_root": tmp_path / "data"} | options)


@full
@pytest.mark.parametrize(
    ("run", "options", "message"),
    [
        (PAIR, "", "--direction: not given; one of a2b b2a: a is faces"),
        (PAIR, "--direction up", "--direction: up given; one of a2b b2a"),
        (PAIR, "--domain icons", "--domain: icons given, but a run of TrainUGATIT, between faces and icons, has no"),
        (PAIR, "--direction a2b --seed 1", "--seed: 1 given, but a run of TrainUGATIT"),
        (STYLES, "--direction a2b", "--direction: a2b given, but a run of TrainStarGAN2 has no directions"),
        (STYLES, "--domain icons --heat", "--heat: given, but a run of TrainStarGAN2 has no directions and maps"),
        (STYLES, "", "--domain: not given; one of the run's domains: faces icons"),
        (STYLES, "--domain cats", "--domain: cats given; one of the run's domains: faces icons"),
        (STYLES, "--domain icons --source-domain cats", "--source-domain: cats given; one of the run's domains"),
        (STYLES, "--domain icons --reference empty.png", "--reference: empty.png: no face was found in it"),
        (STYLES, "--domain icons --reference notes.txt", "--reference: notes.txt: not_an_image"),
        (STYLES, "--domain icons --reference pipe", "--reference: pipe: not a regular file"),
        (STYLES, "--domain icons --reference one.png --seed 1", "--seed: 1 given with --reference; one of both"),
        ("gan", "--direction a2b", "gan: holds another network; a run of TrainUGATIT or TrainStarGAN2"),
        ("none", "--direction a2b", "none: has no model.safetensors"),
        (PAIR, "--direction a2b --input empty.png", "empty.png: no face was found in it; a picture with a face"),
        (PAIR, "--direction a2b --input nothing", "nothing: nothing was translated (empty.png: no face was found"),
        (PAIR, "--direction a2b --input data", "--input: data given, which holds what is made of it"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(run, options, message, place):
    if not (place / "nothing").exists():
        (place / "nothing").mkdir()
        (place / "notes.txt").write_text("no picture")
        os.mkfifo(place / "pipe")
        for name in ("empty.png", "nothing/empty.png"):
            Image.new("RGB", (200, 200), "white").save(place / name)
    if run == "gan":
        luigi(place, "TrainDCGAN", "--variant", "96", "--preset", "tiny", "--steps", "1", "--run", run)
    line = error_line(place, "TranslateImages", "--run", run, "--input", "one.png", *options.split())
    assert message in line
    assert len(line) < 400
