import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import save

from pipeline.errors import UserError
from pipeline.faces.boxes import Face
from pipeline.hair import color_names as hair_names
from pipeline.hair import color_network as hair_color
from pipeline.hair import tagging as hair
from pipeline.hair.color_network import color_scores
from pipeline.manifest import FACES, HAIR_COLORS
from tests.support.plain_heads import FACE, SKIN, head, plain_heads


def test_each_of_the_nine_is_named_on_any_ground():
    wrong = [(name, k) for k, (name, picture) in enumerate(plain_heads()) if called(picture) != name]
    assert wrong == []


def called(picture: np.ndarray) -> str | None:
    return hair.name(color_scores(picture, FACE))


def test_scores_are_probabilities():
    for color in ("#f3d676", "#00ff00", "#ff00ff", SKIN):
        scores = color_scores(head(color), FACE)
        assert len(scores) == len(HAIR_COLORS)
        assert min(scores) >= 0
        assert sum(scores) <= 1 + 1e-6


def test_a_face_at_the_very_edge_and_a_tiny_one_are_tagged_too():
    for box in ((-20.0, -20.0, 60.0, 60.0), (0.0, 0.0, 4.0, 4.0)):
        assert len(color_scores(head("#1b1b22"), Face(box, 0.0, 1.0))) == 9


def test_a_picture_without_contrast_is_no_division_by_nothing():
    scores = color_scores(np.full((100, 100, 3), 128, np.uint8), Face((20.0, 20.0, 80.0, 80.0), 0.0, 1.0))
    assert np.isfinite(scores).all()
    assert hair.name(scores) is None


def test_no_name_without_a_likely_colour():
    assert hair.name([0.3, 0.2, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]) is None
    assert hair.name([0.45, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]) is None
    assert hair.name([0.0, 0.5, 0.4, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]) == "brown"


def rows(*faces: tuple[str, list[str]]) -> pa.Table:
    """Faces of (image_id, tags)."""
    ids, tags = zip(*faces, strict=True)
    schema = pa.schema([FACES.field("image_id"), FACES.field("tags")])
    return pa.table({"image_id": list(ids), "tags": list(tags)}, schema=schema)


def scores_of(color: str | None, sure: float = 0.9) -> list[float]:
    return [sure * (name == color) for name in HAIR_COLORS]


@pytest.fixture
def reported(monkeypatch, store):
    """Tags as they are; what Illustration2Vec and the pixels say is given: a colour or None for each image_id."""

    def tag(faces: pa.Table, tagger: str, *, i2v: dict | None = None, color: dict | None = None):
        requested = []

        def by(who: str, words: dict):
            def tell(table: pa.Table, _) -> list[hair.Prediction]:
                requested.extend((who, image_id) for image_id in table["image_id"].to_pylist())
                return [
                    hair.Prediction(scores_of(words[image_id]), [f"seen_by_{who}"])
                    for image_id in table["image_id"].to_pylist()
                ]

            return tell

        monkeypatch.setitem(hair._PREDICT, "i2v", by("i2v", i2v or {}))
        monkeypatch.setitem(hair._PREDICT, "color", by("color", color or {}))
        monkeypatch.setattr(hair.assets, "find", lambda name, folder=None: i2v and name)
        monkeypatch.setattr(hair, "_digests", lambda chain, folder: {})
        table, words = hair.tag(faces, store, tagger=tagger, folder=None)
        return table.to_pylist(), words, requested

    return tag


def test_a_sites_tags_decide_where_one_face_has_one_colour(reported):
    faces = rows(
        ("one", ["1girl", "aqua_hair"]),
        ("two", ["blue_hair", "red_hair"]),
        ("many", ["pink hair", "multicolored_hair"]),
        ("pair", ["blue_hair"]),
        ("pair", ["blue_hair"]),
        ("none", ["1girl", "blue_eyes"]),
        ("same", ["Grey Hair", "white_hair"]),
    )
    found, _, _ = reported(faces, "tags")
    assert [row["hair_color"] for row in found] == ["blue", None, None, None, None, None, "silver"]
    assert {row["hair_tagger"] for row in found} == {"tags"}
    assert sum(found[0]["hair_scores"]) == pytest.approx(hair.SITE_TAG_PROBABILITY)


@pytest.mark.parametrize(
    ("tag", "color"),
    [
        ("Blue-Hair ", "blue"),
        ("platinum blonde hair", "blonde"),
        ("dark_red_hair", "red"),
        ("light pink hair", "pink"),
        ("blue_hairband", None),
        ("blue_eyes", None),
    ],
)
def test_tags_are_understood_in_any_spelling(reported, tag, color):
    assert reported(rows(("a", [tag])), "tags")[0][0]["hair_color"] == color


@pytest.mark.parametrize(
    "tag",
    [
        "multicolored hair",
        "multi-coloured_hair",
        "two-tone_hair",
        "two_toned hair",
        "colored_inner_hair",
        "rainbow hair",
        "split-color_hair",
        "streaked_hair",
        "gradient_hair",
    ],
)
def test_hair_of_many_colours_has_none(reported, tag):
    assert reported(rows(("a", ["blue_hair", tag])), "tags")[0][0]["hair_color"] is None


def test_a_picture_of_two_whose_other_face_was_dropped_is_still_one_of_two(store):
    faces = rows(("a", ["blue_hair"]), ("b", ["red_hair"]))
    found, _ = hair.tag(faces, store, tagger="tags", folder=None, more_faces=["a"])
    assert found["hair_color"].to_pylist() == [None, "red"]


def test_what_illustration2vec_added_is_no_sites_word_and_is_replaced(reported):
    faces = rows(("a", ["smile", hair.NETWORKS["i2v"].heading, "blue_hair", "multicolored_hair"]), ("b", ["blue_hair"]))
    found, _, _ = reported(faces, "tags")
    assert [row["hair_color"] for row in found] == [None, "blue"]
    assert [row["tags"] for row in found] == [["smile"], ["blue_hair"]]


def test_rounded_scores_are_one_together_at_most():
    rng = np.random.default_rng(0)
    for scores in rng.dirichlet(np.full(9, 0.3), 500):
        assert sum(hair._round_down(scores)) <= 1


def test_auto_takes_the_first_who_names_a_colour_and_tells_who_and_how_often_they_differ(reported):
    faces = rows(("a", ["red_hair"]), ("b", []), ("c", []), ("d", ["blue_hair"]))
    i2v, color = {"b": "green", "c": None}, {"a": "red", "b": "blue", "c": "black", "d": "purple"}
    found, words, requested = reported(faces, "auto", i2v=i2v, color=color)
    assert [(row["hair_color"], row["hair_tagger"]) for row in found] == [
        ("red", "tags"),
        ("green", "i2v"),
        ("black", "color"),
        ("blue", "tags"),
    ]
    assert words == {
        "hair colours by tags and by color": "1 of 2 faces differ",
        "hair colours by i2v and by color": "1 of 1 faces differ",
    }
    assert [image_id for who, image_id in requested if who == "i2v"] == [
        "b",
        "c",
    ]  # it is slow: not asked what is known
    assert found[1]["tags"] == [hair.NETWORKS["i2v"].heading, "seen_by_i2v", "seen_by_color"]
    assert found[3]["tags"] == ["blue_hair", hair.NETWORKS["i2v"].heading, "seen_by_color"]


def test_auto_goes_on_without_illustration2vec_and_says_so_once(reported, caplog):
    with caplog.at_level("INFO", "luigi-interface"):
        found, _, requested = reported(rows(("a", []), ("b", [])), "auto", color={"a": "red", "b": None})
    assert [(row["hair_color"], row["hair_tagger"]) for row in found] == [("red", "color"), (None, "color")]
    assert {who for who, _ in requested} == {"color"}
    assert sum("Illustration2Vec" in record.message for record in caplog.records) == 1


def test_no_faces_are_no_trouble(reported):
    assert reported(rows(("a", [])).slice(1), "auto")[0] == []


def test_i2vs_own_threshold_is_the_articles():
    scores = [0.26, 0.2, 0, 0, 0, 0, 0, 0, 0]
    assert hair.name(scores, "i2v") == "blonde"
    assert hair.name(scores, "color") is None
    assert hair.name([0.24] + 8 * [0.0], "i2v") is None


def test_numpy_does_what_torch_has_learned():
    """The shipped weights, in the network that was trained and in the one that runs."""
    import torch

    from models.annotators.hair_tagger import Config, HairTagger

    weights = {name: torch.from_numpy(np.float32(array)) for name, array in hair_color._weights().items()}
    network = HairTagger(Config.width, Config.hidden)
    network.load_state_dict(weights)
    patches = np.random.default_rng(0).integers(0, 256, (8, hair_color.PATCH, hair_color.PATCH, 3), np.uint8)
    x = hair_color.normalize(patches)
    with torch.no_grad():
        names, _ = network(torch.from_numpy(x).movedim(3, 1))
    ours = np.stack([hair_color._probabilities(patch, hair_color._weights()) for patch in x])
    assert np.abs(ours - names.softmax(1).numpy()).max() < 1e-5
    assert hair_color.WEIGHTS.stat().st_size < 1e6


def test_the_shipped_weights_are_as_sure_as_they_may_be():
    bins = hair_color.reliability()
    assert sum(bin.faces for bin in bins) >= 1_000
    assert hair_color.calibration_error(bins) <= 0.05
    assert hair_color.calibration_error([hair_color.Bin(0.9, 0.5, 30), hair_color.Bin(0.3, 0.4, 10)]) == pytest.approx(
        0.325
    )


def test_fewer_names_are_more_often_right():
    bins = [hair_color.Bin(0.35, 0.2, 10), hair_color.Bin(0.75, 0.5, 10), hair_color.Bin(0.95, 1.0, 20)]
    rows = hair_color.coverage(bins, (0.3, 0.7, 0.9))
    assert [(row.named, row.accuracy) for row in rows] == [(1, 0.675), (0.75, pytest.approx(5 / 6)), (0.5, 1)]
    shipped = hair_color.coverage(hair_color.reliability())
    assert shipped[-1].accuracy > shipped[0].accuracy
    assert shipped[-1].named < shipped[0].named


def test_damaged_weights_are_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setattr(hair_color, "WEIGHTS", tmp_path / "hair_color.safetensors")
    for data in (None, b"", b"\x10" * 100, save({"first.weight": np.zeros(3)})):
        hair_color._weights.cache_clear()
        if data is not None:
            hair_color.WEIGHTS.write_bytes(data)
        with pytest.raises(UserError, match="install it again"):
            color_scores(head("#1b1b22"), FACE)
    hair_color._weights.cache_clear()


@pytest.mark.parametrize("name", HAIR_COLORS)
def test_colours_of_a_name_are_called_by_it(name):
    rng = np.random.default_rng(0)
    called = [HAIR_COLORS[hair_names.shares(hair_names.color_of(name, rng)).argmax()] for _ in range(50)]
    assert called.count(name) >= 45


@pytest.mark.parametrize(
    ("color", "name"),
    [
        ("#e07b39", "brown"),
        ("#66cdaa", "green"),
        ("#00ced1", "blue"),
        ("#f5f5f5", "silver"),
        ("#101018", "black"),
        ("#ffe680", "blonde"),
        ("#c71010", "red"),
        ("#ffb6c1", "pink"),
        ("#6a3fa0", "purple"),
        ("#e63c82", "pink"),
        ("#dc143c", "red"),
        ("#f5a142", "brown"),
        ("#c8996b", "brown"),
        ("#f0b84a", "blonde"),
        ("#2d2d4b", "black"),
        ("#322337", "black"),
        ("#463c38", "black"),
    ],
)
def test_well_known_colours_have_their_names(color, name):
    rgb = np.array(list(bytes.fromhex(color[1:]))) / 255
    assert HAIR_COLORS[hair_names.shares(hair_names.to_lab(rgb)).argmax()] == name
