import functools
import gzip
import inspect
import json
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas
import pytest
import torch
from PIL import Image
from torch import nn

from pipeline import assets
from pipeline.errors import UserError
from pipeline.faces.boxes import Face
from pipeline.hair import caffemodel as reader
from pipeline.hair import illustration2vec
from pipeline.hair import tagging as hair
from pipeline.hair.illustration2vec import HAIR_TAGS, MEAN, Encoder, Illustration2Vec, Tagger, prepare
from pipeline.manifest import HAIR_COLORS
from pipeline.sources.drawn import draw
from pipeline.store import Store
from tests.support.caffe_files import at_random, caffemodel, layer, prototxt, v1_layer
from tests.support.run_luigi import last_line, luigi

NARROW = ((8,), (12,), (16, 16), (24, 24), (24, 24), (32, 32, 32))
COLORS = [f"{color} hair" for color in HAIR_COLORS]
GENERAL = ["1girl", *COLORS, "aqua hair", "orange hair", "white hair", "grey hair", "long hair"]
TAGS = [
    *GENERAL,
    *(f"general {n}" for n in range(512 - len(GENERAL))),
    *(f"character {n}" for n in range(512)),
    *(f"copyright {n}" for n in range(512)),
    "safe",
    "questionable",
    "explicit",
]


def picture(seed: int, height: int, width: int) -> np.ndarray:
    """Patches of strong colours, RGB: neither grey nor the same in a mirror."""
    random = np.random.default_rng(seed)
    patches = random.integers(0, 256, (7, 5, 3), np.uint8)
    return cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC)


PICTURES = [picture(0, 300, 200), picture(1, 90, 130), picture(2, 224, 224)]


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ANIME_ASSETS", raising=False)
    assets.cache_folder().mkdir(parents=True)
    return assets.cache_folder()


class Saying(nn.Module):
    """A network that says the same of every picture."""

    def __init__(self, **probabilities: float):
        super().__init__()
        self.register_buffer("scores", torch.zeros(len(TAGS)))
        for tag, probability in probabilities.items():
            self.scores[TAGS.index(tag.replace("_", " "))] = probability

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scores.expand(len(x), -1)


def test_the_networks_have_the_published_sizes():
    with torch.device("meta"):
        assert sum(of.numel() for of in Tagger().parameters()) == 47_001_475
        assert sum(of.numel() for of in Encoder().parameters()) == 238_341_504
        assert Tagger()(torch.empty(2, 3, 224, 224)).shape == (2, 1539)
        assert Encoder()(torch.empty(2, 3, 224, 224)).shape == (2, 4096)


def of_opencv(path: Path, description: str) -> np.ndarray:
    """What OpenCV makes of the same file and pictures, its own way from pixel to output."""
    path.with_suffix(".prototxt").write_text(description)
    net = cv2.dnn.readNetFromCaffe(str(path.with_suffix(".prototxt")), str(path))
    outputs = []
    for rgb in PICTURES:
        bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR).astype(np.float32)
        net.setInput(cv2.dnn.blobFromImage(bgr, 1.0, (224, 224), MEAN, swapRB=False, crop=False))
        outputs.append(net.forward().reshape(-1).copy())
    return np.stack(outputs)


def assert_it_agrees_with_opencv(kind: type, widths: Sequence[Sequence[int]], path: Path, write=layer) -> None:
    path.write_bytes(caffemodel(at_random(kind(widths)), write))
    with torch.device("meta"):
        network = kind(widths)
    reader.load_into(network, path)
    ours = Illustration2Vec(network)._outputs(PICTURES)
    theirs = of_opencv(path, prototxt(widths, kind.__name__))
    assert (np.abs(ours - theirs) < 1e-4 * np.maximum(1, np.abs(theirs))).mean() >= 0.999
    assert np.abs(theirs - theirs.mean(0)).max() > 0.05  # else nothing is shown: it looks at the pictures


@pytest.mark.parametrize("write", [layer, v1_layer])
@pytest.mark.parametrize("kind", [Tagger, Encoder])
def test_a_narrow_network_agrees_with_opencvs_reading_of_its_file(tmp_path, kind, write):
    assert_it_agrees_with_opencv(kind, NARROW, tmp_path / "net.caffemodel", write)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Tagger, Encoder])
def test_the_whole_network_agrees_with_opencvs_reading_of_its_file(tmp_path, kind):
    assert_it_agrees_with_opencv(kind, illustration2vec.WIDTHS, tmp_path / "net.caffemodel")


def test_channels_are_blue_green_red_less_their_means():
    red, blue = np.zeros((2, 50, 70, 3), np.uint8)
    red[:, :, 0], blue[:, :, 2] = 255, 255
    for plain, wanted in ((red, (0, 0, 255)), (blue, (255, 0, 0))):
        means = prepare([plain]).mean((0, 2, 3)).numpy()
        np.testing.assert_allclose(means, np.subtract(wanted, MEAN), atol=1e-3)


def along(line: np.ndarray, size: int) -> np.ndarray:
    """(L, …) sampled at `size` points between pixel centres: bilinear, by its definition."""
    at = np.clip((np.arange(size) + 0.5) * len(line) / size - 0.5, 0, len(line) - 1)
    left = np.minimum(at.astype(int), len(line) - 2)
    part = (at - left).reshape(-1, *[1] * (line.ndim - 1))
    return line[left] * (1 - part) + line[left + 1] * part


@pytest.mark.parametrize("shape", [(448, 1000), (1001, 333), (100, 60), (224, 224)])
def test_pictures_are_squashed_without_antialiasing(shape):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    squashed = along(along(noise.astype(np.float64), 224).swapaxes(0, 1), 224).swapaxes(0, 1)
    wanted = squashed[:, :, ::-1] - MEAN
    np.testing.assert_allclose(prepare([noise])[0].permute(1, 2, 0).numpy(), wanted, atol=0.05)


def test_grey_pictures_alpha_and_pillows_modes_are_taken():
    grey = PICTURES[1][:, :, 0]
    rgb = np.dstack([grey] * 3)
    wanted = prepare([rgb])
    others = (
        grey,
        np.dstack([rgb, 255 - grey]),
        Image.fromarray(grey),
        Image.fromarray(rgb),
        Image.fromarray(np.dstack([rgb, 255 - grey])),
        Image.fromarray(grey).convert("P"),
    )
    for other in others:
        torch.testing.assert_close(prepare([other]), wanted, rtol=0, atol=0)
    with pytest.raises(ValueError, match="shape"):
        prepare([grey[None, None]])


def test_a_picture_has_the_same_outputs_in_any_company_but_for_rounding():
    tagger = Illustration2Vec(at_random(Tagger(NARROW)), TAGS)
    pictures = [picture(seed, 60, 50) for seed in range(illustration2vec.BATCH + 3)]
    together = tagger.probabilities(pictures)
    assert together.shape == (len(pictures), 1539)
    alone = np.concatenate([tagger.probabilities([of]) for of in pictures])
    np.testing.assert_allclose(alone, together, atol=1e-5)
    assert np.abs(together - together[0])[1:].max(1).min() > 1e-3  # they are in their places
    assert tagger.probabilities([]).shape == (0, 1539)


def test_the_calls_of_i2v_answer_in_its_shapes():
    says = {"1girl": 0.9, "long hair": 0.5, "character 7": 0.8, "general 3": 0.2, "safe": 0.7, "explicit": 0.1}
    tagger = Illustration2Vec(Saying(**says), TAGS)
    rating = [("safe", 0.7), ("explicit", 0.1), ("questionable", 0.0)]
    plausible = tagger.estimate_plausible_tags(PICTURES[:2], threshold=0.25)
    assert len(plausible) == 2
    assert {kind: [(tag, pytest.approx(p)) for tag, p in pairs] for kind, pairs in plausible[0].items()} == {
        "general": [("1girl", 0.9), ("long hair", 0.5)],
        "character": [("character 7", 0.8)],
        "copyright": [],
        "rating": rating,
    }
    top = tagger.estimate_top_tags(PICTURES[:1], n_tag=3)[0]
    assert [tag for tag, _ in top["general"]] == ["1girl", "long hair", "general 3"]
    assert [len(pairs) for pairs in top.values()] == [3, 3, 3, 3]
    assert len(tagger.estimate_top_tags(PICTURES[:1], n_tag=1)[0]["rating"]) == 3
    specific = tagger.estimate_specific_tags(PICTURES, ["long hair", "safe"])
    assert specific == [{"long hair": pytest.approx(0.5), "safe": pytest.approx(0.7)}] * 3
    with pytest.raises(UserError, match="the network for tags"):
        tagger.extract_feature(PICTURES)


def test_with_the_rule_f05_each_tag_has_its_own_threshold(tmp_path):
    says = {"1girl": 0.9, "long hair": 0.5, "general 3": 0.2, "safe": 0.7}
    threshold = np.full(1539, 0.6)
    threshold[TAGS.index("general 3")] = 0.1
    np.savez(tmp_path / "thresholds.npz", threshold=threshold)
    tagger = Illustration2Vec(
        Saying(**says), TAGS, threshold=illustration2vec._read_thresholds(tmp_path / "thresholds.npz")
    )
    (plausible,) = tagger.estimate_plausible_tags(PICTURES[:1], threshold_rule="f0.5")
    assert [tag for tag, _ in plausible["general"]] == ["1girl", "general 3"]
    assert [tag for tag, _ in plausible["rating"]][:1] == ["safe"]
    assert len(plausible["rating"]) == 3
    assert isinstance(tagger.tags, np.ndarray)
    for rule, words in (("f0.5", "threshold_path"), ("median", "constant or f0.5")):
        with pytest.raises(TypeError, match=words):
            Illustration2Vec(Saying(), TAGS).estimate_plausible_tags(PICTURES[:1], threshold_rule=rule)


@pytest.mark.parametrize(
    "held", [b"text", {"threshold": np.zeros(3)}, {"other": np.zeros(1539)}, {"threshold": np.array([{}])}]
)
def test_what_is_no_file_of_thresholds_is_refused(tmp_path, held):
    path = tmp_path / "thresholds.npz"
    if isinstance(held, bytes):
        path.write_bytes(held)
    else:
        np.savez(path, **held)
    with pytest.raises(UserError, match=r"an \.npz file with `threshold`"):
        illustration2vec._read_thresholds(path)


def test_code_for_the_package_of_its_authors_runs(tmp_path):
    import i2v

    calls = {name: inspect.signature(getattr(i2v, name)).parameters for name in i2v.__all__ if name.startswith("make")}
    assert calls.keys() == {"make_i2v_with_chainer", "make_i2v_with_onnx"}
    assert all(list(names) == ["param_path", "tag_path", "threshold_path"] for names in calls.values())
    (tmp_path / "x.onnx").write_bytes(b"nothing")
    with pytest.raises(UserError, match="no network in ONNX"):
        i2v.make_i2v_with_onnx(tmp_path / "x.onnx", write_tags(tmp_path / "tags.json"))


def test_features_are_floats_and_their_signs_bits():
    encoder = Illustration2Vec(at_random(Encoder(NARROW)))
    features, binary = encoder.extract_feature(PICTURES), encoder.extract_binary_feature(PICTURES)
    assert (features.shape, features.dtype) == ((3, 4096), np.float32)
    assert (binary.shape, binary.dtype) == ((3, 512), np.uint8)
    assert [binary[0, 0] >> 7, binary[0, 0] >> 6 & 1] == [int(feature > 0) for feature in features[0, :2]]
    with pytest.raises(UserError, match="the network for features"):
        encoder.estimate_plausible_tags(PICTURES)


@pytest.mark.parametrize(
    ("tag", "color"),
    [
        *((f"{color}_hair", color) for color in HAIR_COLORS),
        ("aqua_hair", "blue"),
        ("orange_hair", "brown"),
        ("white_hair", "silver"),
        ("grey_hair", "silver"),
    ],
)
def test_each_colour_of_hair_is_one_of_the_nine(tag, color):
    (printed,) = Illustration2Vec(Saying(**{tag: 0.6}), TAGS).tag_faces(PICTURES[:1])
    assert printed.hair_scores == [pytest.approx(0.6 * (name == color)) for name in HAIR_COLORS]
    assert printed.tags == [tag]


def test_scores_of_several_colours_sum_to_one_at_most_and_tags_are_reported_once():
    says = {"blonde_hair": 0.9, "blue_hair": 0.8, "aqua_hair": 0.9, "safe": 1.0, "character 1": 0.3, "copyright 1": 0.2}
    (printed,) = Illustration2Vec(Saying(**says), TAGS).tag_faces(PICTURES[:1])
    assert printed.hair_scores == [pytest.approx(0.5 * (name in ("blonde", "blue"))) for name in HAIR_COLORS]
    assert printed.tags == ["blonde_hair", "aqua_hair", "blue_hair", "character_1"]
    assert HAIR_TAGS.keys() == set(HAIR_COLORS)


def write_tags(path: Path, tags: object = TAGS) -> Path:
    data = json.dumps(tags).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_without_weights_the_error_says_where_to_get_and_where_to_put_them(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("ANIME_ASSETS", str(tmp_path / "mine"))
    assert not assets.find("tag_list.json.gz")
    with pytest.raises(UserError) as error:
        illustration2vec.load()
    for words in (
        "illust2vec_tag_ver200.caffemodel",
        "https://github.com/rezoo/illustration2vec/releases/",
        str(cache),
        "tag_list.json.gz",
        str(tmp_path / "mine"),
        "ANIME_ASSETS",
        "MIT",
    ):
        assert words in str(error.value)
    (cache / "illust2vec_tag_ver200.caffemodel").write_bytes(b"<html>")
    with pytest.raises(UserError, match=r"^tag_list\.json\.gz: not in"):
        illustration2vec.load()


@pytest.mark.parametrize("name", ["tag_list.json", "tag_list.json.gz"])
def test_weights_and_tags_are_found_in_either_place_and_damage_is_reported(cache, tmp_path, name):
    write_tags(tmp_path / name)
    (cache / "illust2vec_tag_ver200.caffemodel").write_bytes(b"<html>")
    assert not assets.find("tag_list.json.gz")
    assert assets.find("tag_list.json.gz", tmp_path) == tmp_path / name
    with pytest.raises(UserError, match="a web page"):
        illustration2vec.load(tmp_path)


def test_other_weights_or_tags_have_another_digest_and_packing_has_not(cache):
    weights = cache / "illust2vec_tag_ver200.caffemodel"
    size = 4 * sum(of.numel() for of in Tagger().parameters())
    weights.write_bytes(size * b"a")
    packed = write_tags(cache / "tag_list.json.gz")
    digests = [illustration2vec.digest()]
    packed.unlink()
    write_tags(cache / "tag_list.json")
    assert illustration2vec.digest() == digests[0]
    write_tags(cache / "tag_list.json", [*TAGS[:14], "short hair", *TAGS[15:]])
    digests.append(illustration2vec.digest())
    weights.write_bytes(size * b"b")
    digests.append(illustration2vec.digest())
    assert len(set(digests)) == 3


@pytest.mark.parametrize(
    "held",
    [
        b"<html>",
        b"",
        b"\x1f\x8b\x08",
        gzip.compress(b"[]", mtime=0)[:-9],
        gzip.compress(bytes(9 << 20), mtime=0),
        b"[" * 99_999,
        b"3",
        b'{"general": []}',
        bytes(2 << 20),
        json.dumps(TAGS[:-1]).encode(),
        json.dumps([*TAGS[:-1], 3]).encode(),
        json.dumps([*TAGS[:-3], "explicit", "questionable", "safe"]).encode(),
        json.dumps(["a" * (tag == "blue hair") or tag for tag in TAGS]).encode(),
    ],
)
def test_what_is_no_list_of_the_tags_is_refused(tmp_path, held):
    path = tmp_path / "tag_list.json"
    path.write_bytes(held)
    with pytest.raises(UserError, match="1,539 tags"):
        illustration2vec.read_tags(path)


# The values are those of the README of https://github.com/rezoo/illustration2vec, for its images/miku.jpg.
MIKU = {
    "hatsune miku": 0.9999994,
    "vocaloid": 0.9999999,
    "thighhighs": 0.9956372,
    "1girl": 0.9873462,
    "twintails": 0.9812834,
    "solo": 0.9632902,
    "aqua hair": 0.9167951,
    "long hair": 0.8817108,
    "very long hair": 0.8326571,
    "detached sleeves": 0.7448859,
    "skirt": 0.6780789,
    "necktie": 0.5608365,
    "aqua eyes": 0.5527773,
    "safe": 0.9785731,
    "questionable": 0.0205351,
    "explicit": 0.0006300,
    "blue eyes": 0.0130118,
}
OWN = Path(os.environ.get("ANIME_ASSETS", ""))  # to opt in: a folder with the real weights, tags and miku.jpg


@pytest.fixture
def weights(tmp_path) -> Path:
    """A folder with files of the real sizes. The network says that all hair is blue, be it short or long."""
    with torch.no_grad():
        network = at_random(Tagger())
        network.conv6_4.weight.mul_(0.01)
        network.conv6_4.bias.fill_(-4)
        for tag, logit in {"blue hair": 2.0, "long hair": 1.0, "safe": 3.0}.items():
            network.conv6_4.bias[TAGS.index(tag)] = logit
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / illustration2vec.TAGGER).write_bytes(caffemodel(network))
    write_tags(folder / illustration2vec.TAG_LIST)
    return folder


@pytest.mark.full
def test_datasets_are_built_and_named_anew_with_its_weights_and_without(weights, tmp_path, monkeypatch):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i in range(6):
        draw(3, i)[0].save(pictures / f"{i}.png")

    def faces(*command: str) -> tuple[pandas.DataFrame, str]:
        done = luigi(tmp_path, *command)
        return pandas.read_parquet(tmp_path / "data/datasets/faces/manifest.parquet"), done.stderr

    build = ("BuildFaceDataset", "--source", "folder", "--path", "pictures")
    without, reported = faces(*build)
    assert set(without.hair_tagger) == {"color"}
    assert reported.count("of Illustration2Vec here") == 1
    missing = luigi(tmp_path, "BuildFaceDataset", "--hair-tagger", "i2v", check=False)
    assert all(name in last_line(missing) for name in assets.ILLUSTRATION2VEC_TAGGER)

    monkeypatch.setenv("ANIME_ASSETS", str(weights))
    for tagger in ("i2v", "auto"):
        found, _ = faces(*build, "--hair-tagger", tagger)
        assert set(found.hair_tagger) == {"i2v"}
        assert set(found.hair_color) == {"blue"}
        assert all({"blue_hair", "long_hair"} <= set(tags) for tags in found.tags)
        assert list(found.face_id) == list(without.face_id)
    card = (tmp_path / "data/datasets/faces/README.md").read_text()
    differ = int((without.hair_color != "blue").sum())
    assert f"| `hair colours by i2v and by color` | `{differ} of {len(without)} faces differ` |" in card

    found, _ = faces("TagHairColor", "--dataset", "faces", "--hair-tagger", "color")
    assert list(found.hair_color) == list(without.hair_color)


@pytest.mark.slow
def test_a_face_has_the_same_digits_whatever_faces_are_tagged_with_it(weights, tmp_path, monkeypatch):
    monkeypatch.setattr(hair, "_round_down", list)  # all of them
    store = Store(tmp_path / "data")
    store.root.mkdir()
    for i in range(6):
        Image.fromarray(picture(i, 240, 240 + 20 * i)).save(tmp_path / f"data/{i}.png")
    requested = hair.TaggerContext(store, weights, 1)
    faces = [(f"{i}.png", [Face((40.0, 40.0, 200.0, 200.0), 0.0, 1.0)] * (1 + i % 3)) for i in range(6)]
    sizes, tagger = set(), illustration2vec.load(weights)
    tagger.network.register_forward_hook(lambda _, inputs, __: sizes.add(len(inputs[0])))
    monkeypatch.setattr(illustration2vec, "load", lambda folder: tagger)
    run = functools.partial(hair._run_network, hair.NETWORKS["i2v"], context=requested)
    whole = list(run(faces))
    assert [reported for face in reversed(faces) for reported in run([face])] == whole[::-1]
    assert sizes == {illustration2vec.BATCH}  # of another size some would differ, on some numbers of threads


@pytest.mark.full
def test_a_sites_tags_are_still_known_after_its_own(weights, tmp_path, monkeypatch):
    monkeypatch.setenv("ANIME_ASSETS", str(weights))
    manifest = tmp_path / "data/datasets/faces/manifest.parquet"
    luigi(tmp_path, "BuildFaceDataset", "--limit", "4", "--hair-tagger", "i2v")
    seen = pandas.read_parquet(manifest)
    assert set(seen.hair_color) == {"blue"}
    luigi(tmp_path, "TagHairColor", "--dataset", "faces", "--hair-tagger", "tags")
    found = pandas.read_parquet(manifest)
    assert list(found.hair_color) == [
        draw(0, int(row.source_id.split("/")[1]))[1].hair_color for row in found.itertuples()
    ]
    for both, site in zip(seen.tags, found.tags, strict=True):
        assert list(both)[: len(site) + 1] == [*site, hair.NETWORKS["i2v"].heading]


def own(*names: str) -> pytest.MarkDecorator:
    missing = [name for name in names if not (OWN / name).is_file()]
    return pytest.mark.skipif(bool(missing), reason=f"no {', '.join(missing)} in ANIME_ASSETS")


@own("illust2vec_tag_ver200.caffemodel", "miku.jpg")
def test_the_real_tagger_says_what_is_published():
    tagger = illustration2vec.load(OWN)
    with Image.open(OWN / "miku.jpg") as miku:
        (printed,) = tagger.estimate_specific_tags([miku], list(MIKU))
        (plausible,) = tagger.estimate_plausible_tags([miku], threshold=0.5)
    assert printed == {tag: pytest.approx(probability, abs=0.005) for tag, probability in MIKU.items()}
    assert {tag for kind in plausible for tag, p in plausible[kind] if p > 0.5} == {
        tag for tag in MIKU if MIKU[tag] > 0.5
    }


@own("illust2vec_ver200.caffemodel", "miku.jpg")
def test_the_real_encoder_says_what_is_published():
    encoder = illustration2vec.make_i2v_with_torch(OWN / "illust2vec_ver200.caffemodel")
    with Image.open(OWN / "miku.jpg") as miku:
        features, binary = encoder.extract_feature([miku])[0], encoder.extract_binary_feature([miku])[0]
    assert features[[0, 1, 2, -3, -2, -1]] == pytest.approx(
        [7.47459459, 3.68610668, 0.5379501, -0.14564702, 2.71820974, 7.31408596], abs=0.05
    )
    published = np.array([246, 215, 87, 107, 249, 190, 101, 32, 187, 18, 124, 90, 57, 233, 245, 243], np.uint8)
    assert np.unpackbits(binary[:16] ^ published).sum() <= 2  # features next to nothing may have either sign
