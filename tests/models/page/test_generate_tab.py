"""The tab that paints faces, in a browser."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode

import numpy as np
import pytest
import torch
from PIL import Image

from models.data.dataset import GENERATED, XMP_KEYWORD
from models.page import folder
from models.runs import export, model_json
from models.sampling import attributes, latents
from models.sampling.images import generate_images
from tests.support import browser as browsers
from tests.support.browser import Visit
from tests.support.untrained_run import untrained_run
from workflows import ExportONNX

MAX_LEVELS = 2  # by which a picture may differ from torch's: the weights are stored in half precision
VECTOR = [0.25, -0.5, 0.125, 0.75] * 4
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def runs(built, tmp_path_factory) -> Path:
    """A data root with a conditional run, `colors`, an unconditional one, `plain`, and what ExportONNX made of them."""
    root = tmp_path_factory.mktemp("page") / "data"
    shutil.copytree(built / "data/datasets", root / "datasets", symlinks=True)
    colors, plain = untrained_run(root, "colors", "r3gan-colors"), untrained_run(root, "plain")
    weights = export.weights_sha256(colors)
    measured = {"weights": weights, "samples": 64, "hair_accuracy_by_color": {"blue": 0.95, "red": 0.61}}
    (colors / "evaluation.json").write_text(json.dumps(measured))
    learned = {
        "weights": weights,
        "samples": 2000,
        "counts": {"smile": 500, "hat": 500},
        "obedience": {"smile": [0.2, 0.5, 0.7, 0.9], "hat": [0.1, 0.2, 0.3, 0.4]},
        "obedience_strengths": [0.0, 0.5, 1.0, 2.0],
        "vectors": {"smile": VECTOR, "hat": VECTOR[::-1]},
    }
    (colors / "attributes.json").write_text(json.dumps(learned))
    for run in (colors, plain):
        (run / "README.md").write_text(f"# The card of {run.name}\n\n{HOSTILE}\n")
        ExportONNX(run=run.name, data_root=root).run()
    return root


@pytest.fixture(scope="module")
def site(runs, tmp_path_factory) -> Path:
    """A web site with the page in a folder of it. Another export stands in for that of the shipped networks."""
    place = tmp_path_factory.mktemp("site")
    exports = {name: runs / "runs" / name / "onnx" for name in ("colors", "plain")}
    (place / "some/where").mkdir(parents=True)
    folder.write_page(place / "some/where/page", exports["plain"], exports)
    return place


@pytest.fixture
def visit(chromium, site) -> Iterator[Visit]:
    """A visit that must ask nothing of other machines."""
    with browsers.served(site) as address:
        visit = Visit(chromium, f"{address}/some/where/page")
        yield visit
        visit.context.close()
        assert visit.strangers == []


def of_torch(
    runs: Path, run: str, seed: int, condition: dict[str, float], move: float = 0, noise: float = 1
) -> np.ndarray:
    """Return what torch paints of a seed."""
    network = export.load_network(runs / "runs" / run)
    z = latents.sample_latents(network, [seed])
    z = attributes.apply_attributes(network, z, [(torch.tensor(VECTOR), move)] if move else [], strength=noise)
    y = (latents.mix_condition(network.labels, condition),) if condition else ()
    return generate_images(network, z, *y)[0]


def difference(found: np.ndarray, wanted: np.ndarray) -> int:
    return int(np.abs(found.astype(int) - wanted).max())


def texts_of(path: Path) -> dict[str, str]:
    with Image.open(path) as picture:
        return dict(picture.text)


def test_a_face_is_the_one_that_torch_paints_and_is_restored_from_its_file_and_its_address(visit, runs, tmp_path):
    state = {
        "tab": "generate",
        "run": "colors",
        "seed": 7,
        "noise": 0.9,
        "labels": "blue:0.75,pink:0.25",
        "moves": "smile:0.5",
    }
    visit.go(urlencode(state))
    painted = visit.pixels()
    wanted = of_torch(runs, "colors", 7, {"blue": 0.75, "pink": 0.25}, 0.5, 0.9)
    assert difference(painted, wanted) <= MAX_LEVELS
    assert np.ptp(wanted.astype(int)) > 50
    assert {key: value[0] for key, value in parse_qs(visit.state).items()} == {
        key: str(value) for key, value in state.items()
    }

    saved = visit.save("Save", tmp_path)
    with Image.open(saved) as picture:
        assert (np.asarray(picture.convert("RGB")) == painted).all()
    texts = texts_of(saved)
    assert texts[XMP_KEYWORD] == GENERATED
    about = (texts["run"], texts["weights"], texts["seed"], texts["condition"])
    assert about == ("colors", export.weights_sha256(runs / "runs/colors"), "7", "blue:0.75,pink:0.25")

    visit.go("tab=generate&run=plain&seed=1")
    assert difference(visit.pixels(), of_torch(runs, "plain", 1, {})) <= MAX_LEVELS
    visit.drop(saved)
    visit.page.get_by_text("settings are restored").wait_for()
    assert (visit.pixels() == painted).all()
    visit.page.go_back()
    visit.page.wait_for_function("location.hash.includes('plain')")
    visit.settle()
    assert "run=plain" in visit.state
    assert visit.errors == []


@pytest.mark.full
def test_faces_line_and_gif(visit, runs, tmp_path):
    visit.go("tab=generate&run=plain&seed=3&count=4&picked=1&from=seed%3D3&to=seed%3D5&frames=8")
    for number in range(4):
        assert difference(visit.pixels(number=number), of_torch(runs, "plain", 3 + number, {})) <= MAX_LEVELS
    strip = visit.pixels(".strip canvas")
    side = strip.shape[0]
    network = export.load_network(runs / "runs/plain")
    wanted = generate_images(network, latents.interpolate(*latents.sample_latents(network, [3, 5]), 8))
    assert strip.shape == (side, 8 * side, 3)
    assert difference(strip, np.concatenate(list(wanted), axis=1)) <= MAX_LEVELS

    with Image.open(visit.save("Save GIF", tmp_path)) as movie:
        assert (movie.n_frames, movie.size) == (14, (side, side))
        assert "frames=8" in movie.info["comment"].decode()
        assert np.abs(np.asarray(movie.convert("RGB")).astype(int) - wanted[0]).mean() < 6
    assert "seed=4" in texts_of(visit.save("Save", tmp_path))["recipe"]  # the face that is picked
    sheet = visit.save("Save all", tmp_path)
    assert Image.open(sheet).size == (2 * side, 2 * side)
    assert "count=4" in texts_of(sheet)["recipe"]


def test_controls_move_what_is_not_locked_and_mark_what_is_not_obeyed(visit):
    visit.go("tab=generate&run=colors&seed=7")
    page = visit.page
    assert page.get_by_role("img", name="Only 61 % of faces follow this: red").is_visible()
    assert page.locator(".slider .mark").all_inner_texts() == ["⚠ 40 %"]
    smile, hat = page.get_by_label("smile", exact=True), page.get_by_label("hat", exact=True)
    page.get_by_role("button", name="Lock smile").click()
    page.evaluate("Math.random = () => 0.9")  # not where the slider was
    page.get_by_role("button", name="Shuffle").click()
    visit.settle()
    assert (smile.input_value(), hat.input_value() != "0") == ("0", True)
    assert f"moves=hat%3A{hat.input_value()}" in visit.state
    page.get_by_role("radio", name="blonde").check()
    page.get_by_label("Mixed with").select_option("green")
    assert parse_qs(visit.state)["labels"] == ["blonde:0.5,green:0.5"]
    page.get_by_role("button", name="Reset").click()
    assert visit.state == "tab=generate&run=colors&seed=7"
    page.get_by_role("button", name="Draw").click()
    assert re.fullmatch(r"tab=generate&run=colors&seed=\d+", visit.state)
    assert parse_qs(visit.state)["seed"] != ["7"]
    page.wait_for_function("document.querySelectorAll('.thumbs li').length >= 2")


def test_by_keyboard_alone_in_two_languages_without_a_barrier(visit):
    visit.go("tab=generate&run=colors&seed=7")
    page = visit.page
    assert visit.violations() == []

    def tab_to(name: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            focused = page.evaluate(
                "(e => e.ariaLabel || e.labels?.[0]?.textContent || e.textContent)(document.activeElement)"
            )
            if focused == name:
                return
        pytest.fail(f"{name} cannot be reached")

    tab_to("Language")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("document.documentElement.lang === 'ja'")
    assert page.title() == "アニメ顔メーカー"
    assert visit.violations() == []
    shown = page.locator("body").inner_text()
    assert not re.findall(r"Draw|Seed|Save|Hair|Language", shown)
    assert "青髪" in shown
    tab_to("ノイズの強さ")
    page.keyboard.press("ArrowLeft")
    assert "noise=0.95" in visit.state
    tab_to("モデルカードとライセンス")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("The card of colors").wait_for()
    assert visit.violations() == []
    assert HOSTILE in dialog.inner_text()
    assert "CC0-1.0" in dialog.inner_text()
    page.keyboard.press("Escape")
    assert dialog.count() == 0


@pytest.mark.full
@pytest.mark.parametrize("language", [pytest.param("en-GB", marks=pytest.mark.slow), "ja-JP"])
def test_it_fits_a_phone_without_a_barrier(chromium, site, language):
    with browsers.served(site) as address:
        visit = Visit(chromium, f"{address}/some/where/page", locale=language, **browsers.PHONE)
        visit.go("tab=generate&run=colors&seed=3&count=4&from=seed%3D3&to=seed%3D5&frames=8")
        visit.check_fit()
        assert visit.violations() == []
        visit.context.close()


def test_what_goes_wrong_is_said_and_can_be_tried_again(visit, site, tmp_path):
    network = site / "some/where/page/runs/plain/generator.onnx"
    whole = network.read_bytes()
    try:
        network.write_bytes(whole[:-4] + b"abcd")
        visit.go("tab=generate&run=plain&seed=1")
        assert "generator.onnx is damaged. Reload the page" in visit.alert
        network.unlink()
        visit.page.get_by_role("button", name="Try again").click()
        visit.page.get_by_text("is missing on the server (404)").wait_for()
    finally:
        network.write_bytes(whole)
    visit.context.set_offline(True)
    visit.page.get_by_role("button", name="Try again").click()
    visit.page.get_by_text("there is no connection").wait_for()
    visit.context.set_offline(False)
    visit.page.get_by_role("button", name="Try again").click()
    visit.page.wait_for_function("document.querySelector('.grid canvas')?.width === 64")
    visit.page.wait_for_selector(".alert", state="hidden")
    visit.page.route("**/page/worker.js", lambda route: route.abort())
    visit.go("tab=generate&run=plain&seed=2")
    assert visit.alert.startswith("The runtime did not start.")
    visit.page.unroute("**/page/worker.js")
    visit.page.get_by_role("button", name="Try again").click()
    visit.page.wait_for_function("document.querySelector('.grid canvas')?.width === 64")
    (tmp_path / "notes.png").write_text("no picture")
    visit.page.locator("input[type=file]").set_input_files(tmp_path / "notes.png")
    assert visit.alert.startswith("notes.png has no settings in it")


def test_without_simd_the_page_says_which_browsers_have_it(visit):
    visit.page.add_init_script("WebAssembly.validate = () => false")
    visit.go("tab=generate&run=plain&seed=1")
    assert visit.alert.startswith("This browser is too old: it lacks WebAssembly SIMD.")


def test_names_from_addresses_and_model_json_are_shown_as_text(visit, site):
    described = site / "some/where/page/runs/colors" / model_json.NAME
    content = json.loads(described.read_text())
    hostile = content | {"paper": "javascript:alert(1)", "licenses": [HOSTILE], "run": HOSTILE}
    hostile["attributes"] = [each | {"name": f"{HOSTILE}{each['name']}"} for each in content["attributes"]]
    dialogs = []
    visit.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    try:
        described.write_text(json.dumps(hostile))
        visit.go(
            urlencode({"tab": "generate", "run": HOSTILE, "seed": "1e999", "moves": f"{HOSTILE}:9", "count": "<b>"})
        )
        assert HOSTILE in visit.alert
        visit.go("tab=generate&run=colors&seed=1")
        assert f"{HOSTILE}smile" in visit.page.locator(".controls").inner_text()
        visit.page.get_by_role("button", name="Model card and licence").click()
        visit.page.get_by_role("dialog").get_by_text("The card of").wait_for()
    finally:
        described.write_text(json.dumps(content))
    assert visit.page.locator("main img, dialog img, dialog a[href^=javascript]").count() == 0
    assert dialogs == []
