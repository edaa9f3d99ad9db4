"""BuildFaceDataset as its users meet it: through the command line."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas
import pytest
from PIL import Image, ImageFilter

from pipeline.drawing.portrait.look import sample
from pipeline.errors import UserError
from pipeline.faces.crop import CROP_VERSION
from pipeline.funnel import REASONS
from pipeline.manifest import FACES, HAIR_COLORS
from pipeline.sources.drawn import draw, truth_of
from tests.support.run_luigi import BUILT, error_line, last_line, luigi, luigi_process
from tests.support.sprites import HAIR
from workflows.face_dataset import CropFaces

ROOT = Path(__file__).parents[2]


def build(place: Path, *options: str, check: bool = True) -> subprocess.CompletedProcess:
    """`luigi --module workflows BuildFaceDataset …` in the folder `place`."""
    return luigi(place, "BuildFaceDataset", "--jobs", "1", *options, check=check)


def manifest(place: Path, name: str = "faces") -> pandas.DataFrame:
    return pandas.read_parquet(place / "data" / "datasets" / name / "manifest.parquet")


def manifest_bytes(place: Path, name: str = "faces") -> bytes:
    return (place / "data" / "datasets" / name / "manifest.parquet").read_bytes()


def test_a_build_of_drawn_pictures_is_what_readme_promises(built):
    faces = manifest(built)
    dataset = built / "data" / "datasets" / "faces"
    assert len(faces) >= 85
    assert list(faces.columns) == FACES.names
    assert set(faces.hair_color.dropna()) == set(HAIR_COLORS)
    assert set(faces.split) == {"train", "val", "test"}
    assert (faces.groupby("group").split.nunique() == 1).all()
    assert faces.fetched_at.isna().all()
    for path, face_id in zip(faces.path, faces.face_id, strict=True):
        assert hashlib.sha256((dataset / path).read_bytes()).hexdigest() == face_id
        with Image.open(dataset / path) as crop:
            assert (crop.format, crop.mode, crop.size) == ("PNG", "RGB", (128, 128))
    for image_path, image_id in zip(faces.image_path, faces.image_id, strict=True):
        assert hashlib.sha256((built / "data" / image_path).read_bytes()).hexdigest() == image_id
    assert {"README.md", "contact_sheet.png", "hair_colors.png", "funnel.parquet", "metadata.parquet"} <= set(
        os.listdir(dataset)
    )


@pytest.mark.full
def test_from_nothing_a_training_builds_the_default_dataset_and_its_faces_are_those_drawn(tmp_path):
    luigi(tmp_path, "TrainDCGAN", "--preset", "tiny", "--steps", "2")
    assert (tmp_path / "data/runs/dcgan96-faces-tiny/model.safetensors").exists()

    def overlap(a, b) -> float:
        width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        shared = max(0, width) * max(0, height)
        return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)

    faces, found, right, overlaps = manifest(tmp_path), 0, 0, []
    for i in range(360):
        truth = truth_of(sample(0, i))
        here = faces[faces.source_id == f"0/{i}"]
        best = max(here.itertuples(), key=lambda face: overlap(face.box, truth.face_box), default=None)
        if best is not None and overlap(best.box, truth.face_box) > 0.3:
            found += 1
            overlaps.append(overlap(best.box, truth.face_box))
            right += best.hair_color == truth.hair_color
    assert found / 360 >= 0.98
    assert np.median(overlaps) >= 0.6
    assert right / 360 >= 0.98


def test_a_second_run_does_nothing(built):
    before = sorted((path, path.stat().st_mtime_ns) for path in (built / "data").rglob("*"))
    assert "Did not run any tasks" in build(built, *BUILT).stderr
    assert sorted((path, path.stat().st_mtime_ns) for path in (built / "data").rglob("*")) == before


@pytest.mark.slow
def test_a_build_in_another_data_root_gives_the_same_bytes(built, tmp_path):
    build(tmp_path, *BUILT, "--data-root", "elsewhere/data", "--jobs", "1", "--name", "other")
    assert (tmp_path / "elsewhere/data/datasets/other/manifest.parquet").read_bytes() == manifest_bytes(built)


def test_image_folder_loaders_decode_it_from_anywhere(built, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.chdir(tmp_path)
    loaded = datasets.load_dataset(
        "imagefolder", data_dir=str(built / "data/datasets/faces"), cache_dir=str(tmp_path / "cache"), split="train"
    )
    faces = manifest(built)
    assert len(loaded) == len(faces)
    row = loaded[7]
    crop = built / "data/datasets/faces" / faces.set_index("face_id").path[row["face_id"]]
    assert np.array_equal(np.asarray(row["image"]), np.asarray(Image.open(crop)))
    assert row["hair_color"] == faces.set_index("face_id").hair_color[row["face_id"]]


def drawn_folder(folder: Path, count: int, seed: int = 3) -> Path:
    folder.mkdir(parents=True)
    for i in range(count):
        draw(seed, i)[0].save(folder / f"{i:04}.png", compress_level=1)
    return folder


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    return drawn_folder(tmp_path_factory.mktemp("drawn") / "pictures", 24)


def test_good_pictures_are_in_and_each_bad_one_is_a_row_of_the_funnel(pictures, tmp_path):
    folder = shutil.copytree(pictures, tmp_path / "pictures")
    names = sorted(path.name for path in folder.iterdir())
    with Image.open(folder / names[0]) as picture:
        picture = picture.convert("RGB")
        exif = Image.Exif()
        exif[0x0112] = 6
        picture.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
        picture.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.jpg", exif=exif, quality=95)
        picture.quantize(64).save(folder / "palette.gif", transparency=0)
        grey = np.asarray(picture.convert("L")).astype(np.uint16) * 257
        Image.fromarray(grey).save(folder / "deep.png")
        picture.save(folder / "short.jpg", quality=95)
    (folder / "short.jpg").write_bytes((folder / "short.jpg").read_bytes()[:-5000])
    (folder / "text.png").write_text("I am no picture")
    (folder / "zero.png").touch()
    (folder / "blank.png").write_bytes(b"")
    Image.new("RGB", (300, 300), "white").save(folder / "white.png")
    huge = bytearray((folder / names[1]).read_bytes())
    huge[16:24] = (60_000).to_bytes(4, "big") * 2
    import zlib

    huge[29:33] = zlib.crc32(bytes(huge[12:29])).to_bytes(4, "big")
    (folder / "huge.png").write_bytes(huge)

    build(tmp_path, "--name", "mixed", "--source", "folder", "--path", str(folder))
    faces = manifest(tmp_path, "mixed")
    funnel = pandas.read_parquet(tmp_path / "data/datasets/mixed/funnel.parquet").set_index("source_id").reason
    assert {"cmyk.jpg", "turned.jpg", "palette.gif", "deep.png"} <= set(faces.source_id)
    assert funnel.to_dict() == {
        "short.jpg": "truncated",
        "text.png": "not_an_image",
        "zero.png": "empty",
        "blank.png": "empty",
        "huge.png": "too_many_pixels",
        "white.png": "no_face",
    }
    assert set(funnel) <= set(REASONS)
    assert faces.fetched_at.notna().all()
    same = faces[faces.source_id.isin([names[0], "cmyk.jpg", "turned.jpg"])]
    assert same.group.nunique() == 1
    assert faces[faces.source_id == "deep.png"].monochrome.all()


def faults(tmp_path: Path, pictures: Path) -> dict[str, tuple[list[str], str]]:
    (tmp_path / "empty").mkdir()
    (tmp_path / "white").mkdir()
    (tmp_path / "file").touch()
    Image.new("RGB", (300, 300), "white").save(tmp_path / "white" / "w.png")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "t.png").write_text("text")
    folder = ["--source", "folder", "--path"]
    return {
        "no face": ([*folder, "white"], "found no face"),
        "no picture": ([*folder, "texts"], "is a picture"),
        "empty folder": ([*folder, "empty"], "empty"),
        "missing path": ([*folder, "nowhere"], "nowhere"),
        "no path": (["--source", "folder"], "--path"),
        "unknown source": (["--source", "nosuch"], "one of drawn"),
        "unknown detector": (["--detector", "nosuch"], "lbpcascade"),
        "unknown tagger": (["--hair-tagger", "nosuch"], "color"),
        "name that leaves": (["--name", "../x"], "--name"),
        "name of dots": (["--name", ".."], "--name"),
        "size of words": (["--size", "big"], "big"),
        "size out of range": (["--size", "0"], "--size"),
        "data root on a file": (["--data-root", "file"], "file"),
        "forbidden data root": (["--data-root", "/proc/data"], "/proc/data"),
    }


@pytest.mark.full(keep=3)
@pytest.mark.parametrize(
    "failure",
    [
        "no face",
        "no picture",
        "empty folder",
        "missing path",
        "no path",
        "unknown source",
        "unknown detector",
        "unknown tagger",
        "name that leaves",
        "name of dots",
        "size of words",
        "size out of range",
        "data root on a file",
        "forbidden data root",
    ],
)
def test_each_failure_is_one_clear_line_and_leaves_nothing(failure, tmp_path, pictures):
    options, words = faults(tmp_path, pictures)[failure]
    done = build(tmp_path, *options, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode != 0
    assert last.startswith("error: ")
    assert last.count("; ") >= 2
    assert words in last
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data" / "datasets").exists()


@pytest.mark.full
def test_no_disk_space_is_one_clear_line_and_leaves_nothing(tmp_path, pictures):
    import resource

    def little_room():  # every file that grows beyond it fails as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    arguments = "BuildFaceDataset", "--source", "folder", "--path", str(pictures)
    line = last_line(luigi_process(tmp_path, *arguments, preexec_fn=little_room))
    assert line.startswith("error: ")
    assert "free some space" in line
    assert not (tmp_path / "data" / "datasets").exists()
    luigi(tmp_path, *arguments)
    assert len(manifest(tmp_path)) >= 20


@pytest.mark.full
def test_a_name_is_not_built_over_by_another_request_unless_replace_is_given(tmp_path, pictures):
    build(tmp_path, "--limit", "9")
    before = manifest_bytes(tmp_path)
    other = ["--source", "folder", "--path", str(pictures)]
    done = build(tmp_path, *other, check=False)
    assert done.returncode != 0
    assert "--replace" in done.stderr.strip().splitlines()[-1]
    assert manifest_bytes(tmp_path) == before
    build(tmp_path, *other, "--replace")
    assert set(manifest(tmp_path).source) == {"folder"}
    kept = [path.read_bytes() for path in (tmp_path / "data/datasets/.versions").glob("*/manifest.parquet")]
    assert before in kept


@pytest.mark.full
def test_one_new_picture_is_the_only_one_that_is_worked_on(tmp_path, pictures):
    folder = shutil.copytree(pictures, tmp_path / "pictures")
    build(tmp_path, "--source", "folder", "--path", str(folder))
    count = len(manifest(tmp_path))
    for original in (tmp_path / "data" / "images").rglob("*.png"):
        original.chmod(0o644)
        original.write_bytes(b"whoever decodes this again will fail")
    draw(4, 0)[0].save(folder / "new.png")
    build(tmp_path, "--source", "folder", "--path", str(folder))
    assert len(manifest(tmp_path)) == count + 1


@pytest.mark.full
def test_in_one_process_a_second_build_sees_what_is_new(tmp_path, pictures):
    import luigi

    from workflows import BuildFaceDataset

    folder = shutil.copytree(pictures, tmp_path / "pictures")
    counts = []
    for extra in ("", "new.png"):
        if extra:
            draw(4, 0)[0].save(folder / extra)
        task = BuildFaceDataset(source="folder", path=folder, data_root=tmp_path / "data", jobs=1)
        assert luigi.build([task], local_scheduler=True, log_level="ERROR")
        counts.append(len(manifest(tmp_path)))
    assert counts[1] == counts[0] + 1


@pytest.mark.full
def test_an_original_is_decoded_to_verify_it_and_to_find_its_faces_and_not_again(tmp_path, pictures, monkeypatch):
    import luigi

    from pipeline.images import decode
    from workflows import BuildFaceDataset

    widths, original = [], decode._decode
    monkeypatch.setattr(decode, "_decode", lambda *how: (picture := original(*how), widths.append(picture.width))[0])
    task = BuildFaceDataset(source="folder", path=pictures, data_root=tmp_path / "data", size=64, jobs=1)
    assert luigi.build([task], local_scheduler=True, log_level="ERROR")
    assert sum(width > 64 for width in widths) == 2 * len(os.listdir(pictures)) > 2


@pytest.mark.full
@pytest.mark.parametrize(
    "gone",
    [
        ["stages/ScrapeImages", "datasets"],
        ["stages/CropFaces", "datasets"],
        ["stages/ScrapeImages", "stages/GroupFaces"],
        ["stages", "datasets"],
        ["cache", "datasets"],
        ["stages/CropFaces", "stages/GroupFaces", "stages/SelectFaces", "cache"],
    ],
)
def test_what_may_be_deleted_is_made_again(gone, tmp_path, pictures):
    options = ["--source", "folder", "--path", str(pictures)]
    build(tmp_path, *options)
    before = manifest_bytes(tmp_path)
    for name in gone:
        shutil.rmtree(tmp_path / "data" / name)
    shutil.rmtree(tmp_path / "data" / "datasets", ignore_errors=True)
    build(tmp_path, *options)
    assert manifest_bytes(tmp_path) == before


def lose_originals(data: Path) -> None:
    shutil.rmtree(data / "images")
    shutil.rmtree(data / "stages/DetectFaces")


def lose_originals_before_hair(data: Path) -> None:
    shutil.rmtree(data / "images")
    for stage in ("TagHairColor", "GroupFaces", "SelectFaces"):
        shutil.rmtree(data / "stages" / stage)
    with contextlib.closing(sqlite3.connect(data / "cache/results.sqlite")) as results, results:
        assert results.execute("DELETE FROM result WHERE name LIKE 'hair/%'").rowcount


def lose_the_told(data: Path) -> None:
    next((data / "stages/TagHairColor").glob("*/told.json")).unlink()


def swap_the_told(data: Path) -> None:
    next((data / "stages/TagHairColor").glob("*/told.json")).write_text("[]")


def swap_a_table(data: Path) -> None:
    (folder,) = (data / "stages/SelectFaces").iterdir()
    shutil.copy(folder / "funnel.parquet", folder / "faces.parquet")


def cut_the_thumbnails(data: Path) -> None:
    with contextlib.closing(sqlite3.connect(data / "cache/results.sqlite")) as results, results:
        cut = "json_set(value, '$.thumbnail', substr(json_extract(value, '$.thumbnail'), 1, 101))"
        results.execute(f"UPDATE result SET value = {cut} WHERE name LIKE 'thumbnails/%'")
        results.execute("DELETE FROM result WHERE name LIKE 'copies/%'")
    shutil.rmtree(data / "stages/GroupFaces")


@pytest.mark.full
@pytest.mark.parametrize(
    "damage",
    [lose_originals, lose_originals_before_hair, lose_the_told, swap_the_told, swap_a_table, cut_the_thumbnails],
)
def test_what_may_be_damaged_is_made_again(damage, tmp_path, pictures):
    folder = shutil.copytree(pictures, tmp_path / "pictures")
    for path in [*folder.iterdir()][:4]:
        shutil.copy(path, folder / f"copy of {path.name}")
        (folder / f"copy of {path.name}").write_bytes(path.read_bytes() + b"x")
    options = ["--source", "folder", "--path", str(folder)]
    build(tmp_path, *options)
    before = manifest_bytes(tmp_path)
    damage(tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "datasets")
    build(tmp_path, *options)
    assert manifest_bytes(tmp_path) == before


@pytest.mark.full
def test_copies_and_faces_that_are_not_good_enough_are_left_out_if_requested(tmp_path, pictures):
    """Filters come first: the sharp small copy of a blurred large one stays."""
    folder = shutil.copytree(pictures, tmp_path / "pictures")
    names = sorted(path.name for path in folder.iterdir())
    with Image.open(folder / names[0]) as picture:
        large = picture.convert("RGB").resize((2 * picture.width, 2 * picture.height))
    large.filter(ImageFilter.GaussianBlur(6)).save(folder / "blurred.png")
    with Image.open(folder / names[1]) as picture:
        picture.convert("RGB").resize((2 * picture.width, 2 * picture.height)).save(folder / "larger.png")
    with Image.open(folder / names[2]) as picture:
        picture.convert("L").save(folder / "grey.png")
    options = ["--source", "folder", "--path", str(folder)]
    build(tmp_path, "--name", "all", *options)
    whole = manifest(tmp_path, "all").set_index("source_id")
    for copy, of in (("blurred.png", 0), ("larger.png", 1), ("grey.png", 2)):
        assert whole.group[copy] == whole.group[names[of]]
    limit = whole.sharpness["blurred.png"] + 1
    assert whole.sharpness.drop("blurred.png").min() > limit
    options += ["--min-sharpness", f"{limit}", "--monochrome", "drop", "--near-duplicates", "drop"]
    build(tmp_path, "--name", "some", *options)
    some = manifest(tmp_path, "some").set_index("source_id")
    assert set(whole.index) - set(some.index) == {"blurred.png", "grey.png", names[1]}
    assert some.equals(whole.loc[some.index])
    funnel = pandas.read_parquet(tmp_path / "data/datasets/some/funnel.parquet").set_index("source_id")
    assert dict(funnel.reason[["blurred.png", "grey.png", names[1]]]) == {
        "blurred.png": "blurred",
        "grey.png": "monochrome",
        names[1]: "near_duplicate",
    }
    card = (tmp_path / "data/datasets/some/README.md").read_text()
    assert "near_duplicates" in card
    assert "min_sharpness" in card


@pytest.mark.full(keep=1)
@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--min-sharpness", "-1", "0 to"),
        ("--min-sharpness", "inf", "0 to"),
        ("--min-sharpness", "nan", "0 to"),
        ("--min-brightness", "2", "0 to 1"),
        ("--max-brightness", "-1", "0 to 1"),
        ("--min-brightness=0.5", "--max-brightness=0.2", "--min-brightness to 1"),
        ("--min-original", "9" * 20, "0 to"),
        ("--monochrome", "maybe", "keep drop only"),
        ("--near-duplicates", "some", "keep drop"),
        ("--sweep", "wide", "off fast full"),
        ("--detector", "eyes", "lbpcascade animeface both"),
        ("--detector=cascade_network", "--min-score=24", "--min-score: 24.0 given; 0 to 1, a probability, with"),
        ("--min-sharpness=100000", "--max-brightness=0.9", "ask for less: --min-sharpness --max-brightness"),
    ],
)
def test_each_wrong_filter_is_one_clear_line(option, value, words, tmp_path, pictures):
    done = build(tmp_path, "--source", "folder", "--path", str(pictures), option, value, check=False)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert words in done.stderr.strip().splitlines()[-1]


@pytest.mark.full
def test_hair_colours_of_a_dataset_are_named_anew(built, tmp_path):
    """By pixels alone, where the drawn pictures' tags had decided; what was corrected by hand stays."""
    shutil.copytree(built / "data", tmp_path / "data", symlinks=True, copy_function=os.link)
    before = manifest(tmp_path)
    assert set(before.hair_tagger) == {"tags"}
    hand = tmp_path / "data/corrections/faces.csv"
    hand.parent.mkdir()
    other = "red" if before.hair_color[0] != "red" else "blue"
    hand.write_text(f"{before.face_id[0]},hair_color={other}\n{before.face_id.iloc[-1]},drop\n")
    done = luigi(tmp_path, "TagHairColor", "--dataset", "faces", "--hair-tagger", "color")
    before, after = before[:-1], manifest(tmp_path)
    funnel = pandas.read_parquet(tmp_path / "data/datasets/faces/funnel.parquet")
    assert list(funnel.reason).count("corrected") == 1
    changed = after.hair_color != before.hair_color
    assert f"{changed.sum()} faces have another hair colour now" in done.stderr
    assert changed[0]
    assert set(after.hair_tagger[1:]) == {"color"}
    assert (after.hair_color == before.hair_color).mean() >= 0.98
    columns = [name for name in before.columns if not name.startswith("hair_")]
    assert after[columns].equals(before[columns])
    card = (tmp_path / "data/datasets/faces/README.md").read_text()
    assert "expected" in card
    assert (tmp_path / "data/datasets/faces/hair_reliability.png").exists()
    again = luigi(tmp_path, "TagHairColor", "--dataset", "faces", "--hair-tagger", "color")
    assert "Did not run any tasks" in again.stderr
    hand.unlink()
    luigi(tmp_path, "TagHairColor", "--dataset", "faces", "--hair-tagger", "color")
    assert manifest(tmp_path).hair_tagger[0] == "color"
    assert "corrections by hand" not in (tmp_path / "data/datasets/faces/README.md").read_text()
    for name in ("nothing", "../outside"):
        assert "--dataset" in error_line(tmp_path, "TagHairColor", "--dataset", name)
    hand.write_text("x,drop\n")
    assert "line 1" in error_line(tmp_path, "TagHairColor", "--dataset", "faces")
    hand.unlink()
    weights = luigi(tmp_path, "TagHairColor", "--dataset", "faces", "--hair-tagger", "i2v", check=False)
    assert "illust2vec_tag_ver200.caffemodel" in last_line(weights)


@pytest.mark.full
def test_the_data_root_may_lie_among_the_pictures(tmp_path, pictures):
    shutil.copytree(pictures, tmp_path, dirs_exist_ok=True)
    build(tmp_path, "--source", "folder", "--path", ".")
    before = manifest_bytes(tmp_path)
    done = build(tmp_path, "--source", "folder", "--path", ".")
    assert "Did not run any tasks" in done.stderr
    assert manifest_bytes(tmp_path) == before


def test_what_is_in_the_way_is_reported_before_anything_runs(tmp_path, pictures):
    (tmp_path / "data/datasets/mine").mkdir(parents=True)
    done = build(tmp_path, "--name", "mine", "--source", "folder", "--path", str(pictures), check=False)
    assert done.returncode != 0
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .startswith(f"error: {Path('data/datasets/mine')}: exists, and was not made")
    )
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["datasets"]


@pytest.mark.full
def test_two_requests_for_one_name_at_once_do_not_both_win(tmp_path, pictures):
    command = [sys.executable, "-m", "luigi", "--module", "workflows", "BuildFaceDataset", "--jobs", "1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    both = [
        subprocess.Popen([*command, *options], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
        for options in (["--limit", "16"], ["--source", "folder", "--path", str(pictures)])
    ]
    words = [process.communicate(timeout=300)[1] for process in both]
    assert sorted(bool(process.returncode) for process in both) == [False, True]
    assert "holds a dataset made with" in next(w for w, process in zip(words, both, strict=True) if process.returncode)


def test_in_one_process_a_repaired_input_is_built(tmp_path):
    (tmp_path / "in").mkdir()
    Image.new("RGB", (200, 200), "white").save(tmp_path / "in" / "white.png")
    code = f"""
import luigi, workflows
from pathlib import Path
from pipeline.sources.drawn import draw
task = workflows.BuildFaceDataset(source="folder", path=Path({str(tmp_path / "in")!r}), data_root=Path("data"), jobs=1)
print(luigi.build([task], log_level="ERROR"))
for i in range(3): draw(0, i)[0].save(f"in/{{i}}.png")
print(luigi.build([task], log_level="ERROR"))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--nosuch", "3"], "unrecognized arguments: --nosuch"),
        (["--sise", "3"], "unrecognized arguments: --sise 3; did you mean --size?; "),
        (["--sise", "3"], "see python -m workflows BuildFaceDataset --help"),
        (["--size"], "--size: expected one argument"),
        (["--size", "nan"], "--size: 'nan' given"),
        (["--name", "-x"], "--name"),
    ],
)
def test_a_slip_on_the_command_line_is_one_clear_line(arguments, words, tmp_path):
    done = build(tmp_path, *arguments, check=False)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert words in last
    assert "Uncaught" not in done.stderr


def test_a_slip_in_luigi_cfg_is_one_clear_line(tmp_path):
    (tmp_path / "luigi.cfg").write_text("[BuildFaceDataset]\nsize = big\n")
    done = build(tmp_path, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: luigi.cfg: ")
    assert "'big' given" in last


@pytest.mark.full
def test_two_builds_at_once_make_one_dataset(built, tmp_path, pictures):
    command = [
        sys.executable,
        "-m",
        "luigi",
        "--module",
        "workflows",
        "BuildFaceDataset",
        "--jobs",
        "1",
        "--source",
        "folder",
        "--path",
        str(pictures),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    both = [
        subprocess.Popen([*command, "--name", name], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
        for name in ("one", "other")
    ]
    assert [process.communicate(timeout=120) and process.returncode for process in both] == [0, 0]
    assert manifest_bytes(tmp_path, "one") == manifest_bytes(tmp_path, "other")
    assert len(list((tmp_path / "data/datasets/.versions").iterdir())) == 1


@pytest.mark.full
def test_an_interrupted_build_says_so_and_goes_on_when_run_again(tmp_path, pictures):
    command = [sys.executable, "-m", "luigi", "--module", "workflows", "BuildFaceDataset", "--jobs", "2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    printed = process.communicate(timeout=60)[1]
    assert process.returncode != 0
    assert printed.strip().splitlines()[-1].startswith("error: keyboard: interrupted;")
    assert not (tmp_path / "data" / "datasets").exists()


@pytest.mark.full
def test_rotation_turns_without_black_corners(tmp_path, pictures):
    build(tmp_path, "--source", "folder", "--path", str(pictures), "--rotation", "45")
    faces = manifest(tmp_path)
    assert (faces.rotation == 45).all()
    for path in faces.path:
        crop = np.asarray(Image.open(tmp_path / "data/datasets/faces" / path)).astype(int)
        corners = crop[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert (corners.sum(1) > 30).all()


def kill_at(place: Path, seconds: float, *options: str) -> bool:
    """Start a build, kill it and its workers after so long; whether it was still running."""
    command = [sys.executable, "-m", "luigi", "--module", "workflows", "BuildFaceDataset", "--jobs", "2", *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, cwd=place, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def kills(place: Path, reference: bytes, pauses, *options: str) -> int:
    """Kill after each pause, go on from there each time; how many kills hit. The result is the reference."""
    hits = 0
    for pause in pauses:
        hits += kill_at(place, pause, *options)
        published = place / "data" / "datasets" / "faces"
        if published.is_symlink():
            assert (published / "manifest.parquet").read_bytes() == reference
    build(place, *options)
    assert manifest_bytes(place) == reference
    assert [path.name for path in (place / "data/stages/.work").iterdir() if path.suffix != ".lock"] == []
    return hits


@pytest.mark.full
def test_killed_and_run_again_gives_the_same_bytes(tmp_path, pictures):
    options = ["--source", "folder", "--path", str(pictures)]
    (tmp_path / "whole").mkdir()
    start = time.monotonic()
    build(tmp_path / "whole", *options)
    whole = time.monotonic() - start
    (tmp_path / "killed").mkdir()
    pauses = [whole * share for share in (0.3, 0.45, 0.6, 0.75)]
    assert kills(tmp_path / "killed", manifest_bytes(tmp_path / "whole"), pauses, *options) >= 2


@pytest.mark.slow
def test_killed_at_many_moments_gives_the_same_bytes(tmp_path):
    """Each kill hits a fresh data root at another moment of its life, then goes on; and one root is killed again and
    again."""
    start = time.monotonic()
    (tmp_path / "timed").mkdir()
    build(tmp_path / "timed")
    whole = time.monotonic() - start
    hits = 0
    for k in range(24):
        place = tmp_path / str(k)
        place.mkdir()
        hits += kills(place, manifest_bytes(tmp_path / "timed"), [whole * (k + 1) / 26])
        shutil.rmtree(place)
    assert hits >= 20
    (tmp_path / "often").mkdir()
    assert kills(tmp_path / "often", manifest_bytes(tmp_path / "timed"), [1.0 + 0.17 * k for k in range(24)]) >= 10


@pytest.mark.full
def test_a_reader_never_sees_half_a_dataset(tmp_path, pictures):
    """Two versions swapped in turn under a reader that checks each manifest against its crops."""
    whole = ["--source", "folder", "--path", str(pictures)]
    build(tmp_path, *whole)
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(tmp_path / "data/datasets/faces")], stdout=subprocess.PIPE, text=True
    )
    for limit in ("12", "18", "0", "6", "0"):
        build(tmp_path, *whole, "--limit", limit)
    reader.send_signal(signal.SIGINT)
    report = json.loads(reader.communicate(timeout=60)[0])
    assert report["broken"] == 0
    assert report["reads"] > 20
    assert len(report["sizes"]) >= 3


READER = """
import json, os, signal, sys
import pyarrow.parquet as pq
link, reads, broken, sizes, go = sys.argv[1], 0, 0, set(), [True]
signal.signal(signal.SIGINT, lambda *_: go.clear())
while go:
    place = os.path.realpath(link)  # a reader that opens the folder once, as a loader does
    try:
        paths = pq.read_table(os.path.join(place, "manifest.parquet"), columns=["path"])["path"].to_pylist()
        assert pq.read_metadata(os.path.join(link, "manifest.parquet")).num_rows
        broken += not all(os.path.exists(os.path.join(place, path)) for path in paths)
        sizes.add(len(paths))
    except Exception as error:
        print(error, file=sys.stderr)
        broken += 1
    reads += 1
print(json.dumps({"reads": reads, "broken": broken, "sizes": sorted(sizes)}))
"""


@pytest.mark.full
def test_the_sprites_of_visual_novels_have_faces(sprites, tmp_path):
    build(tmp_path, "--name", "sprites", "--source", "folder", "--path", str(sprites))
    faces = manifest(tmp_path, "sprites")
    assert faces.source_id.nunique() >= 12
    assert len(faces) == faces.source_id.nunique()
    right = [row.hair_color in HAIR[row.source_id.split()[0]] for row in faces.itertuples()]
    assert sum(right) >= 11
    assert not any(max(row.hair_scores) >= 0.8 for row, fine in zip(faces.itertuples(), right, strict=True) if not fine)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_pictures(tmp_path):
    peaks = {}
    for count in (500, 5000):
        place = tmp_path / str(count)
        place.mkdir()
        peaks[count] = peak_rss(place, "--limit", str(count))
    assert peaks[5000] <= 1.1 * peaks[500], peaks


def peak_rss(place: Path, *options: str) -> int:
    """Most bytes that a build's process tree held at once, as the sum of its processes' RSS."""
    import psutil

    command = [sys.executable, "-m", "luigi", "--module", "workflows", "BuildFaceDataset", "--jobs", "2", *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = psutil.Popen(command, cwd=place, env=environment, stderr=subprocess.DEVNULL)
    most = 0
    while process.poll() is None:
        total = 0
        for member in [process, *process.children(recursive=True)]:
            try:
                total += member.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        most = max(most, total)
        time.sleep(0.05)
    assert process.returncode == 0
    return most


def test_a_frame_says_where_the_boxes_lie_and_a_recipe_cuts_the_same(tmp_path):
    build(tmp_path, "--limit", "6", "--size", "64", "--frame", "0.1,0.3,0.7,0.9")
    framed = manifest(tmp_path)
    assert len(framed)
    for name, value in (("box_scale", 1 / 0.6), ("face_x", 0.4), ("face_y", 0.6)):
        assert framed[name].to_numpy() == pytest.approx(value)
    assert "| `frame` | `0.1,0.3,0.7,0.9` |" in (tmp_path / "data/datasets/faces/README.md").read_text()
    recipe = tmp_path / "data/datasets/faces/manifest.parquet"
    luigi(tmp_path, "RebuildFaceDataset", "--manifest", str(recipe), "--name", "again")
    assert list(manifest(tmp_path, "again").face_id) == list(framed.face_id)


@pytest.mark.parametrize(
    "frame", ["0.1,0.3,0.7", "0.1,0.3,0.7,0.8", "-0.1,0.3,0.5,0.9", "0.1,0.1,0.15,0.15", "a,b,c,d"]
)
def test_a_frame_that_is_no_square_in_the_crop_is_refused(frame):
    with pytest.raises(UserError, match=f"--frame: '{frame}' given; x0,y0,x1,y1: a square within the picture"):
        CropFaces.frame.parse(frame)


def test_a_frame_and_a_scale_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"--frame: .* given; either it or --box-scale"):
        CropFaces(data_root=tmp_path, frame=(0.1, 0.3, 0.7, 0.9), box_scale=2.0)


def test_without_a_frame_the_digest_is_as_it_was(tmp_path):
    task = CropFaces(data_root=tmp_path)
    assert task.digest_inputs() == [CROP_VERSION, 128, 1.5, 0.0]
    assert CropFaces(data_root=tmp_path, frame=(0.1, 0.3, 0.7, 0.9)).digest != task.digest
