"""UpscaleImages, with networks of which is known what they make."""

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from models.data import resampling
from models.papers import esrgan
from models.runs import export
from pipeline.drawing import illustration
from pipeline.errors import UserError
from pipeline.marking import is_generated
from tests.support import drawn_pictures
from tests.support.run_luigi import error_line, luigi, start_luigi
from workflows import UpscaleImages
from workflows.base.from_run import shipped_network

full = pytest.mark.full
BRIGHTER = 0.1  # what the run's last network adds to a picture whose pixels it repeats; that of phase 1 adds none


@pytest.fixture
def place(tmp_path) -> Path:
    """A run whose networks repeat pixels."""
    config = replace(esrgan.PRESETS["tiny"], network="compact")
    network = esrgan.generator(config).requires_grad_(False)
    *_, last, _ = network.layers
    last.weight.zero_()
    run = tmp_path / "data/runs/four"
    run.mkdir(parents=True)
    about = {"model": "esrgan", "config": asdict(config), "steps": 2}
    for name, value in (("pretrained", 0.0), ("model", BRIGHTER)):
        last.bias.fill_(value)
        export.write_weights(run, network.state_dict(), about, name=name)
    return tmp_path


def task_of(place: Path, given: Path, **options) -> UpscaleImages:
    """Return the task; by default the picture's pixels are repeated."""
    about = {"run": "four", "input": given, "output": place / "out", "data_root": place / "data", "alpha": 0.0}
    return UpscaleImages(**about | {"device": "cpu"} | options)


def upscale(place: Path, given: Path, **options) -> dict:
    task = task_of(place, given, **options)
    task.run()
    assert task.complete()
    return json.loads(task.file.read_text())


def pixels_of(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def repeated(pixels: np.ndarray) -> np.ndarray:
    return pixels.repeat(4, 0).repeat(4, 1)


def save(path: Path, pixels: np.ndarray, **more) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **more)
    return path


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (72, 50)])
def test_a_picture_of_any_size_is_four_times_as_large(size, place):
    pixels = drawn_pictures.draw(1, *size)
    summary = upscale(place, save(place / "a.png", pixels))
    assert (pixels_of(place / "out/a.png")[..., ::-1] == repeated(pixels)).all()
    assert summary["upscaled"]["a.png"]["files"] == ["a.png"]


def test_alpha_mixes_the_networks(place):
    given = save(place / "a.png", np.arange(3 * 128, dtype=np.uint8).reshape(8, 16, 3) % 200)
    for alpha in (0.0, 0.5, 1.0):
        upscale(place, given, alpha=alpha, output=place / f"out{alpha}")
    soft, mixed, last = (pixels_of(place / f"out{alpha}/a.png").astype(int) for alpha in (0.0, 0.5, 1.0))
    assert np.abs(mixed - soft - 0.5 * BRIGHTER * 255).max() <= 0.51
    assert np.abs(last - soft - BRIGHTER * 255).max() <= 0.51


@pytest.mark.full(keep=2)
@pytest.mark.parametrize(("scale", "size"), [(1.0, (50, 40)), (2.5, (125, 100)), (7.0, (350, 280)), (16.0, (800, 640))])
def test_any_scale_is_made(scale, size, place):
    pixels = np.zeros((50, 40, 3), np.uint8)
    pixels[10:30, 10:25] = (250, 100, 20)
    upscale(place, save(place / "a.png", pixels), scale=scale)
    found = pixels_of(place / "out/a.png")[..., ::-1]
    assert found.shape[:2] == size
    rows, columns = (((np.arange(side) + 0.5) / scale).astype(int) for side in size)
    expected = pixels[rows][:, columns].astype(int)
    assert np.abs(found - expected).mean() < 4
    assert (found[int(20 * scale), int(17 * scale)] == (250, 100, 20)).all()


def test_modes_are_kept(place):
    rng = np.random.default_rng(0)
    colors = rng.integers(0, 256, (9, 7, 4), dtype=np.uint8)
    given = place / "in"
    save(given / "grey.png", colors[..., 0])
    save(given / "grey16.png", colors[..., 0].astype(np.uint16) * 257 + 3)
    save(given / "grey16.tif", colors[..., 0].astype(np.uint16) * 257 + 3)
    cv2.imwrite(str(given / "fine.png"), colors[..., :3].astype(np.uint16) * 257 + 3)
    cv2.imwrite(str(given / "fine_alpha.png"), np.full((9, 7, 4), 1000, np.uint16))
    both = np.dstack([colors[..., 0], colors[..., 3]])
    save(given / "grey_alpha.png", both)
    both16 = cv2.merge([*[both[..., 0].astype(np.uint16) * 257] * 3, both[..., 1].astype(np.uint16) * 257])
    cv2.imwrite(str(given / "fine_clear.png"), both16)
    Image.fromarray(colors[..., :3]).quantize(5).save(given / "palette.png")
    Image.fromarray(colors[..., :3]).quantize(5).save(given / "clear.gif", transparency=2)
    upscale(place, given)
    for name in ("grey", "grey16.png", "fine"):
        before = pixels_of(given / f"{name.removesuffix('.png')}.png")
        after = pixels_of(place / f"out/{name}.png")
        assert after.dtype == before.dtype
        assert (after == repeated(before)).all()
    assert (pixels_of(place / "out/grey16.tif.png") == pixels_of(place / "out/grey16.png.png")).all()
    assert (pixels_of(place / "out/fine_alpha.png") == 1000).all()
    with Image.open(place / "out/grey_alpha.png") as file:
        assert file.mode == "LA"
        assert (np.asarray(file)[..., 0][2::4, 2::4][both[..., 1] > 0] == both[..., 0][both[..., 1] > 0]).all()
    found = pixels_of(place / "out/fine_clear.png")
    assert (found.dtype, found.shape) == (np.uint16, (36, 28, 4))
    for name in ("palette.png", "clear.gif"):
        with Image.open(given / name) as before, Image.open(place / f"out/{name[:-4]}.png") as after:
            assert after.mode == "P"
            old, new = (np.asarray(each.convert("RGBA")) for each in (before, after))
        assert {*map(tuple, new.reshape(-1, 4))} <= {*map(tuple, old.reshape(-1, 4))}
        assert name == "clear.gif" or (new == repeated(old)).all()


def test_hidden_colours_do_not_show_at_the_border_of_what_is_seen(place):
    sprite = np.zeros((40, 30, 4), np.uint8)  # black where it is transparent
    sprite[10:30, 8:20] = (255, 240, 230, 255)
    upscale(place, save(place / "a.png", sprite), scale=3.0)
    found = cv2.cvtColor(pixels_of(place / "out/a.png"), cv2.COLOR_BGRA2RGBA)
    alpha = found[..., 3]
    assert (alpha[60, 45], alpha[3, 3]) == (255, 0)
    assert set(np.unique(alpha)) > {0, 255}
    assert np.abs(found[alpha > 0][:, :3].astype(int) - (255, 240, 230)).max() <= 1


def test_one_colour_stays(place):
    given = place / "in"
    save(given / "red.png", np.full((300, 20, 3), (200, 3, 9), np.uint8))
    save(given / "none.png", np.zeros((5, 5, 4), np.uint8))
    upscale(place, given, alpha=1.0)
    assert (pixels_of(place / "out/red.png")[..., ::-1] == (200, 3, 9)).all()
    assert (pixels_of(place / "out/none.png")[..., 3] == 0).all()


def test_the_file_carries_metadata_and_recipe(place):
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "a drawing", 6
    save(place / "a.jpg", drawn_pictures.draw(1, 30, 20), exif=exif, comment=b"by hand")
    upscale(place, place / "a.jpg", alpha=0.25)
    with Image.open(place / "out/a.png") as file:
        assert file.size == (80, 120)
        assert dict(file.getexif()) == {0x010E: "a drawing"}
        assert file.text["Comment"] == "by hand"
        assert file.text["weights"] == export.weights_sha256(place / "data/runs/four")
        assert file.text["pretrained"] == export.weights_sha256(place / "data/runs/four", "pretrained")
        assert (file.text["run"], file.text["alpha"], file.text["scale"]) == ("four", "0.25", "4.0")


def test_a_picture_upscaled_before_keeps_its_first_recipe(place):
    upscale(place, save(place / "a.png", drawn_pictures.draw(1, 30, 20)))
    upscale(place, place / "out/a.png", scale=2.0, output=place / "again")
    with Image.open(place / "again/a.png") as file:
        assert (file.text["scale"], file.text["source-scale"]) == ("2.0", "4.0")


def test_a_batch_gives_the_bytes_of_a_single_file(place):
    given = place / "in"
    for number in range(3):
        save(given / f"more/{number}.png", drawn_pictures.draw(number, 100 + number, 90))
    upscale(place, given, tile="96")
    for number in range(3):
        upscale(place, given / f"more/{number}.png", tile="96", output=place / "single")
        assert (place / f"single/{number}.png").read_bytes() == (place / f"out/more/{number}.png").read_bytes()


def test_what_is_wrong_with_one_leaves_the_rest(place):
    given = place / "in"
    good = save(given / "good.png", drawn_pictures.draw(1, 30, 20))
    (given / "corrupt.png").write_bytes(good.read_bytes()[:200])
    (given / "notes.txt").write_text("none")
    save(given / "there.png", drawn_pictures.draw(1, 30, 20))
    foreign = save(place / "out/there.png", drawn_pictures.draw(2, 30, 20)).read_bytes()
    summary = upscale(place, given)
    assert {*summary["upscaled"]} == {"good.png"}
    skipped = summary["skipped"]
    assert skipped["corrupt.png"].startswith("truncated")
    assert skipped["notes.txt"].startswith("not_an_image")
    assert "give another --output" in skipped["there.png"]
    assert (place / "out/there.png").read_bytes() == foreign


def test_a_picture_that_is_given_is_never_replaced(place):
    given = save(place / "out/a.png", drawn_pictures.draw(1, 30, 20))
    before = given.read_bytes()
    with pytest.raises(UserError, match="would be replaced"):
        upscale(place, given)
    assert given.read_bytes() == before


def test_a_killed_command_goes_on(place):
    given = place / "in"
    for name in ("a", "b"):
        save(given / f"{name}.png", drawn_pictures.draw(1, 30, 20))
    upscale(place, given)
    made, kept = (place / f"out/{name}.png" for name in ("a", "b"))
    first, inode = made.read_bytes(), kept.stat().st_ino
    made.unlink()
    (place / "out/in-upscaled.json").unlink()
    upscale(place, given)
    assert made.read_bytes() == first
    assert kept.stat().st_ino == inode
    assert not task_of(place, given, scale=2.0).complete()


def test_a_smaller_tile_when_memory_runs_out(place, monkeypatch, caplog):
    pixels = drawn_pictures.draw(1, 300, 300)
    forward, most = esrgan.Compact.forward, 128

    def limited(self, x):
        if x.shape[-1] > most:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        return forward(self, x)

    monkeypatch.setattr(esrgan.Compact, "forward", limited)
    summary = upscale(place, save(place / "a.png", pixels))
    assert summary["upscaled"]["a.png"]["tile"] == 128
    assert "in tiles of 128 px" in caplog.text
    assert (pixels_of(place / "out/a.png")[..., ::-1] == repeated(pixels)).all()
    most = 20
    with pytest.raises(UserError, match="not enough memory"):
        upscale(place, place / "a.png", scale=3.0)


def test_a_dataset_may_be_given(place):
    drawn_pictures.write(place / "data/datasets/art", count=3)
    summary = upscale(place, place / "data/datasets/art", count=2)
    assert len(summary["upscaled"]) == 2
    task = task_of(place, place / "data/datasets/art", count=2)
    assert all((task.folder / each["files"][0]).is_file() for each in summary["upscaled"].values())


def test_too_large_a_picture_is_refused_with_what_fits(place, monkeypatch):
    monkeypatch.setattr("models.upscaler.MAX_PIXELS", 1_000_000)
    given = save(place / "a.png", drawn_pictures.draw(1, 300, 200))
    with pytest.raises(UserError, match=r"too large \(1,260 × 840 px would be made; at that scale 238 × 238 px fit\)"):
        upscale(place, given, scale=4.2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tile": "8"}, "--tile: 8 given; auto, or 96 to 4096 px"),
        ({"scale": 17.0}, "--scale: 17.0 given; 1 to 16 times"),
        ({"alpha": 1.5}, "--alpha: 1.5 given; 0 to 1"),
        ({"output": "in/large"}, "--output: .* lies in --input; a folder outside of it"),
        ({"output": "in"}, "--output: .* lies in --input"),
        ({"output": "a.txt"}, "--output: .* is a file; a folder"),
        ({"input": "missing"}, "--input: .* does not exist"),
    ],
)
def test_options_that_cannot_be_are_refused_at_once(options, message, place, monkeypatch):
    monkeypatch.chdir(place)
    os.makedirs("in")
    Path("a.txt").touch()
    with pytest.raises(UserError, match=message):
        task_of(place, Path("in"), **{key: Path(v) if key in ("input", "output") else v for key, v in options.items()})


def test_the_shipped_network_is_small_and_nearer_to_the_truth_than_bicubic_interpolation(tmp_path):
    assert sum(path.stat().st_size for path in shipped_network("upscaler").glob("*")) < 3_000_000
    truth = illustration.draw(1_000_003, 0)[100:356, 60:316]
    given = save(tmp_path / "in.png", resampling.shrink(truth))
    task = UpscaleImages(input=given, output=tmp_path / "out", device="cpu")
    task.run()
    assert task.complete()
    made, bicubic = pixels_of(tmp_path / "out/in.png")[..., ::-1], resampling.enlarge(resampling.shrink(truth))
    assert error_of(made, truth) < 0.8 * error_of(bicubic, truth)  # 2 dB


def error_of(made: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean squared error."""
    return float(np.square(made.astype(float) - truth).mean())


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "side", "most"), [("compact", 4000, 2.0), ("tiny", 10_000, 2.0)])
def test_large_pictures_take_less_memory_than_their_pixels(preset, side, most, tmp_path):
    """`most`: GB. Most of the picture is of one colour, or it would take hours."""
    config = replace(esrgan.PRESETS[preset], network="compact")
    run = tmp_path / "data/runs/one"
    run.mkdir(parents=True)
    for name in ("pretrained", "model"):
        weights = esrgan.generator(config).state_dict()
        export.write_weights(run, weights, {"model": "esrgan", "config": asdict(config), "steps": 2}, name=name)
    picture = np.full((side, side, 3), (200, 30, 90), np.uint8)
    for place in range(0, side - 300, side // 3):
        picture[place : place + 300, place : place + 300] = drawn_pictures.draw(place, 300, 300)
    save(tmp_path / "in.png", picture)
    process = start_luigi(tmp_path, "UpscaleImages", "--run", "one", "--input", "in.png", "--output", "out")
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    assert usage.ru_maxrss * 1024 < most * 1e9
    with Image.open(tmp_path / "out/in.png") as file:
        assert file.size == (4 * side, 4 * side)
        file.verify()


@full
def test_the_command_upscales_and_a_run_of_another_kind_is_refused(place):
    save(place / "a.png", drawn_pictures.draw(1, 30, 20))
    command = ("UpscaleImages", "--run", "four", "--input", "a.png", "--output", "large")
    luigi(place, *command)
    assert pixels_of(place / "large/a.png").shape == (80, 120, 3)
    assert "Did not run any tasks" in luigi(place, *command).stderr
    line = error_line(place, "UpscaleImages", "--run", "none", *command[3:])
    assert "none: has no model.safetensors" in line
    luigi(place, "BuildFaceDataset", "--limit", "30", "--size", "64")
    luigi(place, "TrainDCGAN", "--variant", "96", "--preset", "tiny", "--steps", "1", "--run", "gan")
    line = error_line(place, "UpscaleImages", "--run", "gan", *command[3:])
    assert "gan: holds another network; a run of TrainSRGAN or TrainESRGAN" in line
    samples = (*command[:3], "--input", "data/runs/gan", "--count", "2", "--output", "samples", "--alpha", "0")
    luigi(place, *samples)
    faces = place / "data/runs/gan/generated/faces"
    for name in ("000000.png", "000001.png"):
        assert (pixels_of(place / "samples" / name) == repeated(pixels_of(faces / name))).all()
        with Image.open(place / "samples" / name) as file:
            assert file.text["source-run"] == "gan"
    assert is_generated(place / "samples/000000.png")
    luigi(place, *command[:3], "--input", "data/datasets/faces", "--count", "2", "--output", "faces")
    assert len([*(place / "faces").glob("*.png")]) == 2
