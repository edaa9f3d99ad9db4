"""The tabs that take a picture, in a browser: what they show is what the commands make."""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image, ImageSequence

from models import translators
from models.data.dataset import GENERATED, XMP_KEYWORD
from models.page import folder
from models.papers import blink, esrgan
from models.runs import export, model_json
from models.sampling import pasting
from models.upscaler import PictureUpscaler
from models.zoo import MODELS
from pipeline.datasets.cutting import Cutting
from pipeline.faces import network as face_network
from pipeline.faces.boxes import Face
from pipeline.faces.crop import Frame
from pipeline.hair.color_network import color_scores
from pipeline.hair.tagging import name as hair_name
from pipeline.sources.drawn import draw
from tests.support import browser as browsers
from tests.support.browser import Visit
from workflows import AnimateBlink, ExportONNX
from workflows.base.from_run import shipped_network

MAX_LEVELS = 3  # by which a picture may differ from the command's: weights are stored in half precision
CLOSE = 0.5  # px: the same of boxes
DATASET = {"name": "faces", "digest": "0" * 64, "size": 48, "box_scale": 1.5, "faces": 1}
RUNS = ("pair", "styles", "large", "lids")
ODD = ("3.jpg", "4.gif", "5.jpg")
HOSTILE = "<img src=x onerror=alert(1)>.png"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Drawn portraits: two beside each other, one alone, a small one, one with a hostile name."""
    place = tmp_path_factory.mktemp("pictures")
    sheet = Image.new("RGB", (760, 400), "white")
    for number in range(2):
        sheet.paste(draw(5, number + 2)[0].resize((370, 370)), (10 + 375 * number, 15))
    sheet.save(place / "two.png")
    draw(5, 1)[0].save(place / "one.png")
    draw(5, 1)[0].resize((90, 100)).save(place / "small.png")
    draw(5, 1)[0].resize((180, 200)).save(place / HOSTILE.replace("/", ""))
    return place


def choose(visit: Visit, path: Path, number: int = 0) -> None:
    """Choose a file in the tab that is shown, and wait until the page is done with it."""
    visit.page.locator("[role=tabpanel]:not([hidden]) input[type=file]").nth(number).set_input_files(path)
    visit.page.wait_for_timeout(300)
    visit.settle()


def press(visit: Visit, name: str) -> None:
    visit.page.get_by_role("button", name=name, exact=True).click()
    visit.page.wait_for_timeout(300)
    visit.settle()


@pytest.mark.full
def test_what_is_no_picture_or_too_large_is_said(chromium, tmp_path):
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / model_json.NAME).write_text('{"networks": {}}')
    folder.write_page(tmp_path / "page", tmp_path / "shipped", {})
    (tmp_path / "text.png").write_text("no picture")
    Image.new("1", (12_000, 12_000), 1).save(tmp_path / "huge.png")
    with browsers.served(tmp_path / "page") as address:
        visit = Visit(chromium, address)
        visit.go("tab=find")
        choose(visit, tmp_path / "text.png")
        assert visit.alert.startswith("text.png is no picture that this browser can read. Choose a PNG")
        choose(visit, tmp_path / "huge.png")
        assert "huge.png is too large: 12000 × 12000 px. Make it smaller first" in visit.alert
        for tab in ("convert", "upscale", "blink", "find"):
            visit.go(f"tab={tab}")
            assert visit.violations() == []
        visit.go("tab=upscale")
        assert "no model that makes pictures larger" in visit.page.locator("main").inner_text()
        assert visit.strangers == []
        visit.context.close()


def write_run(runs: Path, name: str, model: str, config: Any, **settings: Any) -> Path:
    """Write a run with its first weights."""
    run = runs / name
    run.mkdir(parents=True)
    torch.manual_seed(0)
    about = {"model": model, "config": asdict(config), "steps": 20}
    main, *others = MODELS[model].exported
    export.write_weights(run, MODELS[model].networks[main](config).state_dict(), about)
    for other in others:
        export.write_weights(run, MODELS[model].networks[other](config).state_dict(), about, name=other)
    (run / "config.json").write_text(json.dumps(about | {"preset": "tiny", "seed": 0, "dataset": DATASET} | settings))
    (run / "README.md").write_text(f"# {HOSTILE}\n")
    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A data root with a run of each kind that these tabs use, and all that ExportONNX makes."""
    root = tmp_path_factory.mktemp("tabs") / "data"
    tiny = {name: MODELS[name].presets["tiny"] for name in ("ugatit", "stargan2")}
    other = DATASET | {"name": "icons"}
    write_run(root / "runs", "pair", "ugatit", tiny["ugatit"], datasets={"b": other})
    write_run(
        root / "runs", "styles", "stargan2", replace(tiny["stargan2"], domains=("photographs", "anime"), gray="anime")
    )
    write_run(root / "runs", "large", "esrgan", replace(esrgan.PRESETS["tiny"], network="compact"))
    write_run(root / "runs", "lids", "blink-flow", replace(blink.PRESETS["tiny"], refine="none"))
    for name in RUNS:
        ExportONNX(run=name, data_root=root).run()
    return root


@pytest.fixture(scope="module")
def site(runs, shipped_onnx, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("site") / "page"
    exports = {name: runs / "runs" / name / "onnx" for name in RUNS}
    folder.write_page(place, shipped_onnx.file.parent, exports)
    return place


@pytest.fixture
def visit(chromium, site) -> Iterator[Visit]:
    """A visit that must ask nothing of other machines, and make no errors."""
    with browsers.served(site) as address:
        visit = Visit(chromium, address)
        yield visit
        visit.context.close()
        assert (visit.strangers, visit.errors) == ([], [])


def near(found: np.ndarray, wanted: np.ndarray, most: int = MAX_LEVELS) -> bool:
    return found.shape == wanted.shape and np.abs(found.astype(int) - wanted).max() <= most


@pytest.mark.full
def test_faces_are_found_with_their_hair(visit, pictures, tmp_path):
    visit.go("tab=find")
    choose(visit, pictures / "two.png")
    visit.page.locator(".found tbody tr").nth(1).wait_for()
    assert parse_qs(visit.state)["source"] == ["two.png"]
    saved = json.loads(visit.save("Save the boxes (JSON)", tmp_path).read_text())
    pixels = np.asarray(Image.open(pictures / "two.png"))
    wanted = face_network.find(pixels, 48, (), str(face_network.WEIGHTS))
    assert len(saved["faces"]) == len(wanted) == 2
    for face, found in zip(wanted, saved["faces"], strict=True):
        assert found["box"] == pytest.approx(face.box, abs=CLOSE)
        assert found["tilt"] == pytest.approx(face.tilt, abs=CLOSE)
        assert found["hair_color"] == hair_name(color_scores(pixels, face))
    assert Image.open(visit.save("Save the picture", tmp_path)).size == (760, 400)
    assert visit.violations() == []
    choose(visit, pictures / HOSTILE)
    assert HOSTILE in visit.page.locator("main").inner_text()
    assert visit.page.locator("main img").count() == 0


@pytest.mark.full
def test_odd_pictures_are_read_as_they_are_seen(visit, pictures, tmp_path):
    one = Image.open(pictures / "one.png").convert("RGB")
    Image.new("RGB", (1, 1), "red").save(tmp_path / "1.png")
    one.resize((72, 50)).save(tmp_path / "2.png")
    one.convert("CMYK").save(tmp_path / "3.jpg")
    one.save(tmp_path / "4.gif", save_all=True, append_images=[Image.new("RGB", one.size)], duration=100)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    one.rotate(90, expand=True).save(tmp_path / "5.jpg", exif=exif)
    visit.go("tab=find&min=24")
    for name, size, count in (("1.png", "1 × 1", 0), ("2.png", "72 × 50", 1), *((f"{n}", "362 × 401", 1) for n in ODD)):
        choose(visit, tmp_path / name)
        visit.page.get_by_text(f"{name}, {size} px").wait_for()
        visit.page.locator(
            "[role=tabpanel][aria-busy=false]:not([hidden]) .side button.primary:visible >> nth=1"
        ).wait_for()
        heading = visit.page.locator("[role=tabpanel]:not([hidden]) h2").inner_text()
        assert heading.startswith("No face was found. Try" if count == 0 else "1 face")
        assert visit.page.get_by_text("It is animated: its first frame is used.").is_visible() == name.endswith("gif")


@pytest.mark.full
@pytest.mark.parametrize("run", ["pair", "styles"])
def test_a_face_is_converted_put_back_and_restored_from_its_file(visit, runs, pictures, tmp_path, run):
    face = Face((107.1, 122.4, 274.2, 289.5), -8.0, 1.0)
    target = "icons" if run == "pair" else "anime"
    visit.go(f"tab=convert&run={run}&to={target}&seed=5&face=190.65,205.95,167.1,-8")
    choose(visit, pictures / "one.png")
    press(visit, "Convert")
    crop, made, whole = (visit.pixels(".views canvas", number) for number in range(3))
    pixels = np.asarray(Image.open(pictures / "one.png").convert("RGB"))
    size = MODELS["ugatit" if run == "pair" else "stargan2"].presets["tiny"].size
    cutting = Cutting(48, Frame(1.5), 0.0, "network", "fast", 48)
    cut = cutting.cut(pixels, face, size)
    assert near(crop, cut, 1)
    kind = translators.PairTranslator if run == "pair" else translators.StyleTranslator
    translator: Any = kind(runs / "runs" / run, torch.device("cpu"))
    if run == "pair":
        wanted = translator.with_heat(cut[None], 1)[0][0]
    else:
        wanted = translator.paint(cut[None], 1, translator.drawn_style(5, 1)[None])[0]
        assert np.ptp(made, axis=2).max() == 0
    assert near(made, wanted)
    assert near(whole, pasting.paste(pixels, made, cutting.view(face, size)), 2)

    state = visit.state
    saved = visit.save("Save the face", tmp_path)
    assert (np.asarray(Image.open(saved).convert("RGB")) == made).all()
    texts = Image.open(saved).text
    assert texts[XMP_KEYWORD] == GENERATED
    assert (texts["recipe"], texts["run"] or run) == (state, run)
    assert Image.open(visit.save("Save side by side", tmp_path)).size == (2 * size, size)
    assert Image.open(visit.save("Save the whole picture", tmp_path)).size == pixels.shape[1::-1]
    visit.go("tab=find")
    visit.page.locator("header input[type=file]").set_input_files(saved)
    visit.page.get_by_text("Choose the picture one.png again").wait_for()
    choose(visit, pictures / "one.png")
    press(visit, "Convert")
    assert (visit.pixels(".views canvas", 1) == made).all()
    assert visit.state == state


@pytest.mark.full
def test_a_style_of_a_reference_and_a_face_that_is_framed_by_hand(visit, runs, pictures):
    visit.go("tab=convert&run=styles&from=anime&to=photographs&reference=")
    choose(visit, pictures / "one.png")
    press(visit, "Convert")
    assert visit.alert.startswith("Choose a reference with a face first")
    choose(visit, pictures / "two.png", 1)
    visit.page.get_by_text("Reference: two.png").wait_for()
    press(visit, "Convert")
    first = visit.pixels(".views canvas", 1)
    visit.page.get_by_label("Framed by hand").check()
    for name, value in (("Centre x", 150), ("Centre y", 200), ("Side", 120), ("Tilt", 20)):
        visit.page.get_by_label(name, exact=True).fill(str(value))
        visit.page.keyboard.press("Enter")
    assert parse_qs(visit.state)["face"] == ["150,200,120,20"]
    press(visit, "Convert")
    assert (visit.pixels(".views canvas", 1) != first).any()
    canvas = visit.page.locator("canvas.outlines")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    scale = box["width"] / 362
    visit.page.mouse.move(box["x"] + 100 * scale, box["y"] + 110 * scale)
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + 260 * scale, box["y"] + 250 * scale, steps=4)
    visit.page.mouse.up()
    x, y, side, tilt = map(float, parse_qs(visit.state)["face"][0].split(","))
    assert (x, y, side, tilt) == pytest.approx((180, 190, 160, 0), abs=3)
    assert visit.violations() == []


@pytest.mark.full
def test_a_picture_is_made_larger_stopped_and_handed_over(visit, runs, pictures, tmp_path):
    visit.go("tab=upscale&run=large&scale=2.5")
    choose(visit, pictures / "small.png")
    assert "225 × 250 px" in visit.page.locator("main").inner_text()
    press(visit, "Make it larger")
    pixels = np.asarray(Image.open(pictures / "small.png").convert("RGB"))
    network = export.load_network(runs / "runs/large")
    wanted = np.concatenate([*PictureUpscaler(network, torch.device("cpu")).strips(pixels, 2.5, 256)])
    assert near(visit.pixels(".views canvas", 1), wanted)
    texts = Image.open(visit.save("Save", tmp_path)).text
    assert "scale=2.5" in texts["recipe"]
    assert texts["weights"] == export.weights_sha256(runs / "runs/large")
    visit.page.locator("[role=tabpanel]:not([hidden])").get_by_role("button", name="Blink", exact=True).click()
    visit.page.get_by_text("small-2.5x.png, 225 × 250 px").wait_for()
    visit.page.go_back()
    visit.page.get_by_text("small.png, 90 × 100 px").wait_for()
    choose(visit, pictures / "two.png")
    visit.page.get_by_role("spinbutton", name="Scale").fill("16")
    press(visit, "Make it larger")
    assert "12160 × 6400 px would be too large: at most 12.8 times fit" in visit.alert
    visit.page.get_by_role("spinbutton", name="Scale").fill("8")
    visit.page.get_by_role("button", name="Make it larger").click()
    visit.page.get_by_role("button", name="Stop").click()
    visit.page.get_by_text("Stopped.").wait_for()
    assert visit.violations() == []


@pytest.mark.full
def test_the_shipped_upscaler_is_the_first_choice(visit, runs, pictures, tmp_path):
    visit.go("tab=upscale&scale=2")
    choose(visit, pictures / "small.png")
    press(visit, "Make it larger")
    pixels = np.asarray(Image.open(pictures / "small.png").convert("RGB"))
    network = export.load_network(shipped_network("upscaler"))
    wanted = np.concatenate([*PictureUpscaler(network, torch.device("cpu")).strips(pixels, 2, 256)])
    assert near(visit.pixels(".views canvas", 1), wanted, 4)
    assert "run" not in parse_qs(visit.state)
    texts = Image.open(visit.save("Save", tmp_path)).text
    assert (texts["recipe"], texts["weights"]) == (visit.state, export.weights_sha256(shipped_network("upscaler")))
    press(visit, "Model card and licence")
    shown = visit.page.get_by_role("dialog").inner_text()
    assert f"upscaler: {texts['weights']}" in shown
    assert "Licence\nMIT" in shown


@pytest.mark.full
@pytest.mark.parametrize("run", ["", "lids"])
def test_a_face_blinks_as_the_command_lets_it_and_is_restored_from_its_file(visit, runs, pictures, tmp_path, run):
    task = AnimateBlink(input=pictures / "one.png", run=run, seconds=3.0, seed=4, data_root=runs)
    task.run()
    visit.go(f"tab=blink&run={run}&seconds=3&seed=4")
    choose(visit, pictures / "one.png")
    press(visit, "Let it blink")
    visit.page.get_by_role("button", name="Pause").wait_for()
    (tmp_path / "page").mkdir()
    pixels = np.asarray(Image.open(pictures / "one.png").convert("RGB"))
    webp = visit.save("Save WebP", tmp_path / "page")
    made = {}
    for place, path in (("page", webp), ("command", task.folder / "one.webp")):
        with Image.open(path) as movie:
            frames = ImageSequence.Iterator(movie)
            made[place] = [(np.asarray(frame.convert("RGB")), frame.info["duration"]) for frame in frames]
    assert [duration for _, duration in made["page"]] == [duration for _, duration in made["command"]]
    changed = np.zeros(pixels.shape[:2], bool)
    for (mine, _), (wanted, _) in zip(made["page"], made["command"], strict=True):
        assert near(mine, wanted, 6)
        changed |= (wanted != pixels).any(2)
        assert (mine[~changed] == pixels[~changed]).mean() > 0.9999
    assert (made["page"][0][0] == pixels).all()
    assert changed.mean() > 0.005
    gif = visit.save("Save GIF", tmp_path / "page")
    with Image.open(gif) as movie:
        assert (movie.n_frames, movie.size) == (len(made["page"]), (362, 401))
    assert visit.violations() == []
    state = parse_qs(visit.state)
    for path, source in ((gif, "one.png"), (webp, "one.png"), (task.folder / "one.gif", "one")):
        visit.go("tab=find")
        visit.page.locator("header input[type=file]").set_input_files(path)
        visit.page.get_by_text("settings are restored").wait_for()
        assert parse_qs(visit.state) == state | {"source": [source]}


@pytest.mark.full
@pytest.mark.parametrize("language", [pytest.param("en-GB", marks=pytest.mark.slow), "ja-JP"])
def test_tabs_fit_a_phone_without_a_barrier(chromium, site, pictures, language):
    with browsers.served(site) as address:
        visit = Visit(chromium, address, locale=language, **browsers.PHONE)
        for state in ("tab=convert&run=styles", "tab=upscale&scale=2", "tab=blink&seconds=1.5", "tab=find"):
            visit.go(state)
            choose(visit, pictures / "small.png")
            visit.page.locator("[role=tabpanel]:not([hidden]) .actions > .primary").click()
            visit.page.locator("[role=tabpanel]:not([hidden]) .stage canvas:visible").last.wait_for()
            visit.settle()
            visit.check_fit()
            assert visit.violations() == []
        assert (visit.strangers, visit.errors) == ([], [])
        visit.context.close()


@pytest.mark.full
def test_networks_that_are_damaged_or_out_of_reach_are_said(chromium, site, pictures):
    network = site / "shipped/face_detector.onnx"
    whole = network.read_bytes()
    with browsers.served(site) as address:
        visit = Visit(chromium, address)
        try:
            network.write_bytes(whole[:-4] + b"abcd")
            visit.go("tab=find")
            choose(visit, pictures / "one.png")
            assert "face_detector.onnx is damaged. Reload the page" in visit.alert
        finally:
            network.write_bytes(whole)
        visit.context.set_offline(True)
        visit.page.get_by_role("button", name="Try again").click()
        visit.page.get_by_text("there is no connection").wait_for()
        visit.context.set_offline(False)
        visit.page.get_by_role("button", name="Try again").click()
        visit.page.get_by_text("1 face", exact=True).wait_for()
        visit.context.close()


@pytest.mark.full
def test_tabs_are_japanese_and_usable_by_keyboard(visit, pictures):
    visit.go("tab=blink")
    visit.page.get_by_label("Language").select_option("ja")
    for name in ("変換", "拡大", "まばたき", "顔検出"):
        visit.page.get_by_role("tab", name=name).focus()
        visit.page.keyboard.press("Enter")
        visit.settle()
        shown = visit.page.locator("main").inner_text()
        assert "画像を選ぶ" in shown
        assert not [
            word for word in ("Choose", "Save", "Start", "Convert", "Scale", "Seconds", "Least") if word in shown
        ]
        assert visit.violations() == []


def test_an_animation_of_stills_is_a_webp(js, tmp_path):
    frames = [np.full((20, 30, 3), (200, 20, 90), np.uint8), np.full((10, 8, 3), (0, 0, 255), np.uint8)]
    files = []
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"{number}.webp", lossless=True)
        files.append(list((tmp_path / f"{number}.webp").read_bytes()))
    parts = [
        {"file": file, "corner": corner, "width": frame.shape[1], "height": frame.shape[0], "ms": ms}
        for file, corner, frame, ms in zip(files, ((0, 0), (4, 6)), frames, (300, 40), strict=True)
    ]
    call = """(parts, text) => m.animatedWebp(
      parts.map((part) => ({ ...part, file: Uint8Array.from(part.file) })), { exif: m.exifOf(text) })"""
    (tmp_path / "made.webp").write_bytes(js("vision/webp.js", call, parts, "seed=4 é").tobytes())
    with Image.open(tmp_path / "made.webp") as movie:
        assert (movie.n_frames, movie.info["loop"], movie.size) == (2, 0, (30, 20))
        assert movie.getexif()[270].encode("latin-1").decode() == "seed=4 é"
        found = [(np.asarray(frame.convert("RGB")), frame.info["duration"]) for frame in ImageSequence.Iterator(movie)]
    assert [duration for _, duration in found] == [300, 40]
    second = frames[0].copy()
    second[6:16, 4:12] = frames[1]
    assert (found[0][0] == frames[0]).all()
    assert (found[1][0] == second).all()
