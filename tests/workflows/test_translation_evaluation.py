"""EvaluateGAN and InterpolateLatents of runs that translate, as their users meet them."""

import json
from pathlib import Path

import pytest
from PIL import Image

from pipeline.marking import is_generated
from tests.support.few_faces import write_few
from tests.support.run_luigi import BUILT, error_line, luigi

PAIR, STYLES = "ugatit-faces-icons-tiny", "stargan2-faces-icons-tiny"


@pytest.fixture(scope="module")
def translated(built, tmp_path_factory) -> Path:
    """Few drawn faces, few icons, and a tiny run of both models between them."""
    place = tmp_path_factory.mktemp("translations")
    datasets = place / "data/datasets"
    luigi(place, "BuildFaceDataset", "--name", "many", "--query", "icon", *BUILT, "--size", "64")
    write_few(datasets / "many", datasets / "icons")
    write_few(built / "data/datasets/faces", datasets / "faces")
    luigi(place, "TrainUGATIT", "--target-dataset", "icons", "--preset", "tiny", "--steps", "2")
    luigi(place, "TrainStarGAN2", "--datasets", "faces,icons", "--preset", "tiny", "--gray", "anime", "--steps", "2")
    return place


@pytest.mark.full
@pytest.mark.parametrize(("name", "is_styled"), [(PAIR, False), (STYLES, True)])
def test_a_run_is_measured_in_both_directions(name, is_styled, translated):
    run = translated / "data/runs" / name
    luigi(translated, "EvaluateGAN", "--run", name, "--samples", "16")
    measured = json.loads((run / "evaluation.json").read_text())
    assert set(measured["directions"]) == {"faces to icons", "icons to faces"}
    both = ("kid_vgg16_128", "kid_vgg16_128_floor", "judged_target", "judged_target_floor", "samples")
    for found in (measured, *measured["directions"].values()):
        assert {*both, "eyes_read"} <= set(found)
        assert ("lpips" in found) == ("lpips_reference" in found) == is_styled
        assert ("hair_kept" in found) != is_styled  # icons are grey there
    assert measured["samples"] == 32
    assert measured["judged_target_floor"] > 0.8
    for picture in ("translations", "evaluation"):
        with Image.open(run / f"generated/{picture}.png") as shown:
            assert shown.text["run"] == name
    assert is_generated(run / "generated/translations.png")
    card = (run / "README.md").read_text()
    assert "share that a classifier takes for the target domain" in card
    assert "![translations](generated/translations.png)" in card
    assert ("in styles of references" in card) == is_styled
    before = (run / "evaluation.json").stat().st_mtime_ns
    luigi(translated, "EvaluateGAN", "--run", name, "--samples", "16")
    assert (run / "evaluation.json").stat().st_mtime_ns == before


@pytest.mark.full
def test_faces_go_from_one_style_to_another(translated):
    luigi(translated, "InterpolateLatents", "--run", STYLES, "--domain", "faces", "--count", "3")
    generated = translated / "data/runs" / STYLES / "generated"
    with Image.open(generated / "line-faces-0-1-3.png") as strip:
        assert strip.size == (4 * 32, 4 * 32)  # the source and three styles, of four faces
        assert (strip.text["domain"], strip.text["seed"]) == ("faces", "0 to 1")
    assert is_generated(generated / "line-faces-0-1-3.png")
    with Image.open(generated / "line-faces-0-1-3.gif") as film:
        assert film.size == (4 * 32, 2 * 32)
        assert film.n_frames > 1


@pytest.mark.full
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("EvaluateGAN", "--run", PAIR, "--dataset", "faces"), "--dataset: faces given, but this run translates"),
        (("InterpolateLatents", "--run", PAIR), "holds another network"),
        (("InterpolateLatents", "--run", STYLES, "--domain", "cats"), "--domain: cats given; one of faces icons"),
        (("InterpolateLatents", "--run", STYLES, "--hair-color", "red"), "--hair-color: red given, but this run"),
        (("GenerateFaces", "--run", STYLES), "holds another network"),
    ],
)
def test_what_a_translation_has_not_is_refused(arguments, message, translated):
    assert message in error_line(translated, *arguments)
