"""The WD taggers: small ONNX files of the real form, which look at mean colours."""

import sys

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from pipeline import assets
from pipeline.errors import UserError
from pipeline.hair import tagging as hair
from pipeline.hair import wd
from pipeline.manifest import FACES, HAIR_COLORS
from tests.support import onnx_files

RED, BLUE, GREY = (255, 0, 0), (0, 0, 255), (128, 128, 128)
LOGITS = {
    "red_hair": (9, -9, -9),
    "blue_hair": (-9, -9, 9),
    "aqua_hair": (-9, -9, 8),
    "blue_eyes": (5, 0, 0),  # 0.5 on red
    ">_<": (4, 0, 0),  # 0.27 on red
    "Saber (fate)": (7, 0, 0),  # 0.88
    "hatsune_miku": (6, 0, 0),  # 0.73
    "sensitive": (3, 0, 0),
    "general": (0, 0, 3),
}


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    """A folder with a network and its tags."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ANIME_ASSETS", raising=False)
    return onnx_files.put(tmp_path / "own", wd=onnx_files.wd(LOGITS), tags=onnx_files.tag_list())


def plain(color: tuple[int, int, int]) -> np.ndarray:
    return np.full((448, 448, 3), color, np.uint8)


def faces_of(store, *colors: tuple[int, int, int], tags: tuple[str, ...] = ()) -> pa.Table:
    """Faces in plain pictures, two in each."""
    rows = []
    for i, color in enumerate(colors):
        Image.fromarray(plain(color)).save(store.root / f"{i}.png")
        row = {"image_id": str(i), "image_path": f"{i}.png", "tilt": 0.0, "score": 1.0, "tags": list(tags)}
        rows += [row | {"box": [x, 100.0, x + 80, 180.0]} for x in (100.0, 200.0)]
    names = ("image_id", "image_path", "box", "tilt", "score", "tags")
    return pa.Table.from_pylist(rows, pa.schema([FACES.field(name) for name in names]))


def test_hair_tags_are_scores_and_likely_tags_are_told_with_one_rating(own):
    red, blue, grey = wd.load(own).tag_faces([plain(RED), plain(BLUE), plain(GREY)])
    assert red.tags == ["red_hair", "blue_eyes", "saber_(fate)", "rating:sensitive"]
    assert blue.tags == ["blue_hair", "aqua_hair", "rating:general"]
    assert grey.tags == ["rating:general"]  # of equals the first
    assert hair.name(red.scores, "wd") == "red"
    assert hair.name(blue.scores, "wd") == "blue"
    assert hair.name(grey.scores, "wd") is None
    likely, others = 1 / (1 + np.exp(5 - 9)), 7 / (1 + np.exp(5)) + 1 / (1 + np.exp(5 + 9))
    assert blue.scores[HAIR_COLORS.index("blue")] == pytest.approx(likely / (likely + others))  # aqua's is not added


def test_scores_are_one_together_at_most(own):
    onnx_files.put(own, wd=onnx_files.wd({f"{color}_hair": (9, 9, 9) for color in HAIR_COLORS}))
    (white,) = wd.load(own).tag_faces([plain((255, 255, 255))])
    assert sum(white.scores) == pytest.approx(1)
    assert hair.name(white.scores, "wd") is None  # none is above the threshold


def test_pictures_are_blue_green_red_of_0_to_255():
    assert wd.Tagger.prepare([plain((10, 20, 30))])[0, 5, 7].tolist() == [30, 20, 10]


def test_a_table_is_tagged_after_the_sources_tags_and_a_sites_tags_are_still_its_own(own, store):
    faces = faces_of(store, RED, BLUE, tags=("solo", "blue_eyes"))
    found, lines = hair.tag(faces, store, tagger="wd", folder=own)
    assert found["hair_color"].to_pylist() == ["red", "red", "blue", "blue"]
    assert set(found["hair_tagger"].to_pylist()) == {"wd"}
    assert found["tags"].to_pylist()[1] == ["solo", "blue_eyes", "wd:", "red_hair", "saber_(fate)", "rating:sensitive"]
    assert lines == {"files of wd": wd.digest(own)}
    again, _ = hair.tag(found, store, tagger="tags", folder=own)
    assert again["tags"].to_pylist() == faces["tags"].to_pylist()


def test_batches_are_full_whatever_the_pictures_and_what_is_known_is_not_run_again(own, store, monkeypatch):
    sizes, original = [], wd.Tagger.tag_faces
    monkeypatch.setattr(wd.Tagger, "tag_faces", lambda self, crops: sizes.append(len(crops)) or original(self, crops))
    faces = faces_of(store, *[RED, BLUE] * 3, RED)
    first, _ = hair.tag(faces.slice(0, 4), store, tagger="wd", folder=own)
    assert sizes == [wd.BATCH]
    whole, _ = hair.tag(faces, store, tagger="wd", folder=own)
    assert sizes == [wd.BATCH] * 3  # 10 faces more
    assert whole["hair_scores"].to_pylist()[:4] == first["hair_scores"].to_pylist()
    assert whole["hair_color"].to_pylist() == ["red", "red", "blue", "blue"] * 3 + ["red", "red"]


def test_another_file_is_another_digest_and_another_result(own, store):
    before = hair.version_of("wd", own)
    faces = faces_of(store, RED)
    assert hair.tag(faces, store, tagger="wd", folder=own)[0]["hair_color"].to_pylist() == ["red"] * 2
    onnx_files.put(own, wd=onnx_files.wd({"pink_hair": (9, 0, 0)}))
    assert hair.version_of("wd", own) != before
    assert hair.tag(faces, store, tagger="wd", folder=own)[0]["hair_color"].to_pylist() == ["pink"] * 2


def test_without_files_the_usual_ones_are_in_the_digest(tmp_path, store):
    usual = [assets.ASSETS[name].sha256 for name in (wd.WEIGHTS, wd.TAG_LIST)]
    assert hair.version_of("wd", None)[-1] == ".".join(usual)
    assert not (tmp_path / "cache").exists()


def test_a_file_may_fix_the_size_of_its_batches(own):
    fixed = onnx_files.onnx.load_from_string(onnx_files.wd(LOGITS))
    for port in (fixed.graph.input[0], fixed.graph.output[0]):
        port.type.tensor_type.shape.dim[0].dim_value = 1
    onnx_files.put(own, wd=fixed.SerializeToString())
    assert [one.tags[0] for one in wd.load(own).tag_faces([plain(RED), plain(BLUE)])] == ["red_hair", "blue_hair"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no black hair among 0 tags"),
        ("<html>\n<html>\n", "a row without name or category"),
        ("tag_id,name\n0,red_hair\n", "a row without name or category"),
        (onnx_files.tag_list() + "9\n", "a row without name or category"),
        (onnx_files.tag_list() + "9,cut_of", "a row without name or category"),
        (onnx_files.tag_list([("1girl", "0")]), "no black hair among 1 tags"),
        (
            onnx_files.tag_list().replace("grey_hair", "x").replace("white_hair", "x").replace("silver", "x"),
            "no silver",
        ),
        (b"\xff\xfe" + onnx_files.tag_list().encode("utf-16"), "utf-8"),
        (onnx_files.tag_list() + '9,"' + "x" * 200_000 + '",0,1\n', "field larger than"),
        (onnx_files.tag_list() + "x" * wd.MAX_TAG_LIST_LENGTH, "more than"),
    ],
)
def test_a_list_of_something_else_is_one_clear_line(own, text, words):
    onnx_files.put(own, tags=text)
    with pytest.raises(UserError, match=rf"own/wd\.csv: .*({words}).*; selected_tags\.csv of a WD tagger") as error:
        wd.load(own)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html>", "cannot be read"),
        (
            onnx_files.wd({}, onnx_files.TAGS[:-1]),
            rf"its output is \(1, {len(onnx_files.TAGS) - 1}\), .*as wd\.csv has ",
        ),
        (onnx_files.yolo((448, 448)), r"one input of \[None, 448, 448, 3\]"),
        (onnx_files.wd(LOGITS).replace(b"Sigmoid", b"Neg    "), "cannot be read"),
        (onnx_files.wd(LOGITS | {"smile": (float("nan"), 0, 0)}), r"nan to nan"),
    ],
)
def test_a_network_of_something_else_is_one_clear_line(own, content, words):
    onnx_files.put(own, wd=content)
    with pytest.raises(UserError, match=rf"own/wd\.onnx: .*{words}") as error:
        wd.load(own).tag_faces([plain(RED)])
    assert "\n" not in str(error.value)


def test_logits_instead_of_probabilities_are_refused(own):
    raw = onnx_files.onnx.load_from_string(onnx_files.wd(LOGITS))
    raw.graph.node[-1].op_type = "Identity"
    onnx_files.put(own, wd=raw.SerializeToString())
    with pytest.raises(UserError, match=r"its output is .*, -14.* to 4.*; \(1, 21\) of 0 to 1"):
        wd.load(own).tag_faces([plain(RED)])


def test_without_onnxruntime_the_line_says_what_to_install_before_anything_runs(monkeypatch, own):
    from workflows.face_dataset import TagHairColor

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setenv("ANIME_ASSETS", str(own))
    with pytest.raises(UserError, match=r"^onnxruntime: it is not installed; .*pip install 'anime-face-gans\[onnx\]'"):
        TagHairColor(hair_tagger="wd")


def test_the_tasks_choices_are_the_tables():
    from workflows.face_dataset import RetagDataset

    assert set(RetagDataset.hair_tagger.choices) == set(hair.TAGGERS)
    assert hair.NETWORKS.keys() <= set(hair.TAGGERS)
    assert hair.NETWORKS["wd"].size == wd.SIDE
