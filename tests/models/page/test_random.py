"""Seeds, labels and texts of files in the page's modules: as this program has them."""

import hashlib
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from models.sampling import latents
from models.seeds import seed_for


@pytest.mark.parametrize("text", ["", "abc", "('face', 0)", "日本" * 40, "x" * 55, "x" * 56, "x" * 64])
def test_sha256(js, text):
    words = js("seeds.js", "(text) => [...m.sha256(text)]", text)
    assert "".join(f"{word:08x}" for word in words) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("seed", [0, 1, 123_456_789, 2**53 - 1])
def test_a_seed_draws_what_torch_draws(js, seed):
    draw = "(seed, kind, count) => [...new m.Random('face', seed)[kind](count)]"
    for count in (1, 7, 15, 16, 20, 40, 700):
        rng = torch.Generator().manual_seed(seed_for("face", seed))
        assert js("seeds.js", draw, seed, "uniforms", count) == (torch.rand(count, generator=rng) * 2 - 1).tolist()
        rng.manual_seed(seed_for("face", seed))
        normals = torch.tensor(js("seeds.js", draw, seed, "normals", count))
        torch.testing.assert_close(normals, torch.randn(count, generator=rng), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("kind", ["uniform", "normal"])
def test_lines_between_faces(js, kind):
    between = "(start, end, port) => m.latentsBetween(start.data, end.data, 5, port).map((z) => [...z])"
    start, end = torch.randn(2, 12, generator=torch.Generator().manual_seed(0))
    for other in (end, 2 * start):
        found = js("latents.js", between, start.numpy(), other.numpy(), {"kind": kind})
        wanted = latents.interpolate(start, other, 5, spherical=kind == "normal")
        torch.testing.assert_close(torch.tensor(found), wanted, rtol=1e-5, atol=1e-5)


NAMES = ("blue_hair", "pink_hair", "smile", "glasses")
PRIORS = [
    {"labels": [0, 2], "share": 0.5},
    {"labels": [1], "share": 0.25},
    {"labels": [1, 2, 3], "share": 0.125},
    {"labels": [0], "share": 0.125},
]


def drawn(js, fixed: dict[str, float], count: int = 2000) -> dict[tuple[float, ...], float]:
    """Return the shares of the conditions of many seeds."""
    draw = """(described, fixed, count) =>
        Array.from({ length: count }, (_, seed) => [...m.conditionOf(described, fixed, seed)])"""
    described = {"labels": [{"name": name, "count": 9} for name in NAMES], "priors": PRIORS}
    found = Counter(map(tuple, js("labels.js", draw, described, fixed, count)))
    return {condition: number / count for condition, number in found.items()}


def test_random_labels_are_as_frequent_together_as_training_faces_have_them(js):
    found = drawn(js, {})
    wanted = {(1, 0, 1, 0): 0.5, (0, 1, 0, 0): 0.25, (0, 1, 1, 1): 0.125, (1, 0, 0, 0): 0.125}
    assert found.keys() == wanted.keys()
    assert all(abs(found[each] - share) < 0.04 for each, share in wanted.items())


def test_fixed_labels_stay_and_the_others_are_drawn_as_faces_with_them_have_them(js):
    smiling = drawn(js, {"smile": 1})
    assert smiling.keys() == {(1, 0, 1, 0), (0, 1, 1, 1)}
    assert smiling[1, 0, 1, 0] == pytest.approx(0.8, abs=0.04)
    assert drawn(js, {"smile": 0, "glasses": 0}).keys() == {(0, 1, 0, 0), (1, 0, 0, 0)}
    mixed = drawn(js, {"blue_hair": 0.75, "pink_hair": 0.25})
    assert {condition[:2] for condition in mixed} == {(0.75, 0.25)}
    assert {condition[2:] for condition in mixed} == {(1, 0), (0, 0), (1, 1)}
    assert {condition[0] + condition[1] for condition in drawn(js, {"blue_hair": 1, "glasses": 1})} == {
        1
    }  # no face has


def test_texts_of_a_file_are_read_as_pillow_writes_them_and_back(js, tmp_path):
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    about.add_text("recipe", "seed=1")
    about.add_itxt("name", "顔 <b>")
    Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(tmp_path / "a.png", pnginfo=about)
    content = np.frombuffer((tmp_path / "a.png").read_bytes(), np.uint8)
    read = "(bytes) => m.readTexts(new Uint8Array(bytes.data))"
    assert js("png.js", read, content) == {"recipe": "seed=1", "name": "顔 <b>"}
    write = """async (bytes) =>
        new Uint8Array(await m.withTexts(new Uint8Array(bytes.data), { recipe: "a&b", "XML:x": "é" }).arrayBuffer())"""
    (tmp_path / "b.png").write_bytes(js("png.js", write, content).tobytes())
    with Image.open(tmp_path / "b.png") as picture:
        picture.load()
        assert {**picture.text} == {"recipe": "seed=1", "name": "顔 <b>"} | {"XML:x": "é"} | {"recipe": "seed=1"}
    for damaged in (content[:40], content[:3], content[::-1].copy()):
        assert js("png.js", read, damaged) == {}


def test_names_of_labels_and_attributes_are_nothing_but_names(js):
    z = """(name) => {
        const attributes = [{ name, vector: new Array(4).fill(9) }];
        return [...m.latentOf(1, 1, {}, { kind: "normal", shape: ["n", 4] }, attributes)];
    }"""
    assert js("latents.js", z, "constructor") == js("latents.js", z, "smile")
    described = {"labels": [{"name": "toString", "count": 1}], "priors": [{"labels": [0], "share": 1}]}
    assert js("labels.js", "(described) => [...m.conditionOf(described, {}, 0)]", described) == [1]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("smile:0.5,hat:-1", {"smile": 0.5, "hat": -1}),
        ("a%3Ab%2C:2", {"a:b,": 2}),
        ("x,y:,:3,z:1e9,%:1", {}),
        (None, {}),
    ],
)
def test_numbers_in_the_address(js, text, numbers):
    assert js("address.js", "parseNumbers", text) == numbers


@pytest.mark.parametrize("module", ["texts.js", "tabs/texts.js"])
def test_every_text_is_there_in_both_languages(js, module):
    texts = js(module, "() => m.TEXTS")
    assert [key for key, both in texts.items() if len(both) != 2 or not all(both)] == []
    fields = {
        key: [sorted(part.split("}")[0] for part in text.split("{")[1:]) for text in both]
        for key, both in texts.items()
    }
    assert [key for key, (english, japanese) in fields.items() if english != japanese] == []
