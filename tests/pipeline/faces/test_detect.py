import sys
import types

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from models.data.labels import conditions
from pipeline.errors import UserError
from pipeline.faces import animeface, detect
from pipeline.faces import cascade as cascade_module
from pipeline.faces.boxes import Face, non_max_suppression, overlap
from pipeline.faces.cascade import lbpcascade
from pipeline.faces.detect import SWEEPS
from pipeline.faces.views import Pyramid, View
from pipeline.sources.drawn import draw


def drawn(i: int, **how) -> tuple[np.ndarray, np.ndarray]:
    """A portrait and the centre of its face."""
    picture, truth = draw(5, i, **how)
    x0, y0, x1, y1 = truth.face_box
    return np.asarray(picture), np.array([(x0 + x1) / 2, (y0 + y1) / 2])


def turned(picture: np.ndarray, point: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """The picture turned clockwise on a white ground that holds it whole, and where the point went."""
    image = Image.fromarray(picture).rotate(-angle, Image.Resampling.BICUBIC, expand=True, fillcolor=(255,) * 3)
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    x, y = point - np.array(picture.shape[1::-1]) / 2
    return np.asarray(image), np.array([cos * x - sin * y, sin * x + cos * y]) + np.array(image.size) / 2


def center(face: Face) -> np.ndarray:
    return np.array([face.box[0] + face.box[2], face.box[1] + face.box[3]]) / 2


def side(face: Face) -> float:
    return face.box[2] - face.box[0]


def images_of(store, pictures: list[np.ndarray]) -> pa.Table:
    same = {"source": "s", "bytes": 1, "md5": "", "format": "PNG", "phash": ""}
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(store.root / f"{i}.png")
    return pa.Table.from_pylist(
        [same | {"image_id": str(i), "path": f"{i}.png", "source_id": str(i)} for i in range(len(pictures))]
    )


@pytest.mark.parametrize("sweep", SWEEPS)
def test_an_upright_face_is_found_by_every_sweep(sweep, cascade):
    picture, truth = drawn(0, tilt=0)
    (face,) = lbpcascade(picture, 48, SWEEPS[sweep], cascade)
    assert np.hypot(*(center(face) - truth)) < 0.15 * side(face)
    assert abs(face.tilt) <= 8


def test_full_finds_faces_at_any_angle_and_says_which(cascade):
    errors, found = [], 0
    for i in range(12):
        picture, truth = drawn(i, tilt=0)
        angle = 30 * i + 11
        picture, truth = turned(picture, truth, angle)
        faces = lbpcascade(picture, 48, SWEEPS["full"], cascade)
        assert len(faces) <= 1
        for face in faces:
            found += np.hypot(*(center(face) - truth)) < 0.25 * side(face)
            errors.append(abs((face.tilt - angle + 180) % 360 - 180))
    assert found >= 11
    assert np.mean(np.array(errors) <= 8) >= 0.9


def test_fast_finds_leaning_faces_that_off_does_not(cascade):
    counts = {"off": 0, "fast": 0}
    for i in range(6):
        picture, _ = turned(*drawn(i, tilt=0), (-40, 40)[i % 2])
        for sweep in counts:
            counts[sweep] += bool(lbpcascade(picture, 48, SWEEPS[sweep], cascade))
    assert counts["fast"] >= 5
    assert counts["off"] <= 2


def test_a_face_that_fills_its_picture_is_found(cascade):
    found = 0
    for i in range(10):
        picture, truth = draw(6, i, tilt=0)
        x0, y0, x1, y1 = truth.face_box
        margin = 0.12 * (x1 - x0)
        tight = picture.crop((x0 - margin, y0 - margin, x1 + margin, y1 + margin)).resize((160, 160))
        found += bool(lbpcascade(np.asarray(tight), 48, SWEEPS["fast"], cascade))
    assert found >= 9


@pytest.mark.full(keep=2)
@pytest.mark.parametrize("sweep", SWEEPS)
def test_where_nothing_is_drawn_there_is_no_face(sweep, cascade):
    for size in ((30, 10), (8, 8), (1, 1), (500, 300), (20_000, 3)):
        assert lbpcascade(np.full((*size, 3), 255, np.uint8), 48, SWEEPS[sweep], cascade) == []
    noise = np.random.default_rng(0).integers(0, 255, (500, 500, 3), np.uint8)
    assert lbpcascade(noise, 48, SWEEPS[sweep], cascade) == []


@pytest.mark.parametrize("sweep", SWEEPS)
def test_boxes_are_in_px_of_the_original_whatever_the_scale_of_the_search(sweep, cascade):
    picture, _ = drawn(0)
    (coarse, *_), (fine, *_) = (lbpcascade(picture, min_face, SWEEPS[sweep], cascade) for min_face in (70, 24))
    assert np.abs(center(coarse) - center(fine)).max() < 0.1 * side(coarse)
    assert abs(side(fine) / side(coarse) - 1) < 0.25


def test_of_overlapping_faces_the_best_stays_also_when_one_holds_the_other():
    best, beside, within = (
        Face((0, 0, 100, 100), 0, 3.0),
        Face((40, 0, 140, 100), 0, 1.0),
        Face((20, 20, 60, 60), 0, 2.0),
    )
    apart = Face((200, 0, 300, 100), 0, 0.5)
    assert non_max_suppression([apart, beside, within, best]) == [best, apart]


def test_overlap_is_that_of_the_leaning_squares():
    upright = Face((0, 0, 100, 100), 0, 1.0)
    assert overlap(upright, upright)
    # of the upright squares less than half is shared, of the leaning ones more, and the other way round
    assert not overlap(upright, Face((45, 20, 145, 120), 0, 1.0))
    assert overlap(Face((0, 0, 100, 100), 45, 1.0), Face((35, 35, 135, 135), 45, 1.0))
    assert not overlap(upright, Face((35, 35, 135, 135), 0, 1.0))


@pytest.mark.parametrize("angle", [0, 37, -120])
@pytest.mark.parametrize("step", [0.5, 1.0, 2.0, 5.5])
def test_what_a_copy_shows_is_where_it_says(angle, step):
    """A black dot on white, found in the copy and brought back."""
    y, x = np.mgrid[:300, :400]
    picture = (255 - 255 * np.exp(-((x + 0.5 - 250) ** 2 + (y + 0.5 - 120) ** 2) / 300)).astype(np.uint8)
    copy = View((200, 150), (round(520 / step), round(520 / step)), step, angle)
    dark = 255.0 - Pyramid(picture).show(copy)
    rows, columns = np.mgrid[: dark.shape[0], : dark.shape[1]]
    seen = np.array([(columns * dark).sum(), (rows * dark).sum(), dark.sum()]) / dark.sum()
    assert np.abs(copy.to_picture() @ seen + 0.5 - (250, 120)).max() < 0.3


def test_faces_of_one_picture_come_in_the_order_of_their_boxes_and_once(store, cascade):
    """Two faces side by side, which the cascade scores the other way round or finds twice."""
    pictures = [np.asarray(draw(0, i)[0].resize((320, 320))) for i in (0, 3)]
    rows = images_of(store, [np.hstack([pictures[k] for k in pair]) for pair in ([0, 1], [1, 0])])
    table, drops = detect.detect(rows, store, detector="lbpcascade", sweep="fast", min_face=48, folder=None)
    for i in "01":
        boxes = [row["box"] for row in table.to_pylist() if row["image_id"] == i]
        assert len(boxes) == 2
        assert boxes[0][2] < boxes[1][0]
    assert drops == []


def test_tags_of_a_picture_of_two_faces_do_not_count_for_the_one_that_is_kept(store, cascade):
    pictures = [np.asarray(draw(0, i)[0].resize((320, 320))) for i in (0, 3)]
    rows = images_of(store, [np.hstack(pictures), pictures[0]])
    rows = rows.append_column("tags", pa.array([["smile"]] * 2))
    table, _ = detect.detect(rows, store, detector="lbpcascade", sweep="fast", min_face=48, folder=None)
    assert table["faces_in_image"].to_pylist() == [2, 2, 1]
    kept = table.take([0, 2]).append_column("hair_color", pa.nulls(2, pa.string()))
    assert conditions(kept, ("smile",)).tolist() == [[0], [1]]


def test_a_picture_without_a_face_is_in_the_funnel_and_none_at_all_is_an_error(store, cascade):
    blank = np.full((200, 200, 3), 255, np.uint8)
    table, drops = detect.detect(
        images_of(store, [blank, drawn(0)[0]]), store, detector="lbpcascade", sweep="fast", min_face=48, folder=None
    )
    assert table["source_id"].to_pylist() == ["1"]
    assert [(row["source_id"], row["reason"]) for row in drops] == [("0", "no_face")]
    with pytest.raises(UserError, match="sweep full"):
        detect.detect(images_of(store, [blank]), store, detector="lbpcascade", sweep="off", min_face=48, folder=None)


def test_where_the_place_of_a_face_is_known_it_is_kept_if_one_is_found_there(store, cascade):
    image, truth = draw(5, 0)
    picture = np.asarray(image)
    shifted = np.roll(picture, picture.shape[1] // 2, axis=1)  # its face is at the edge
    x0, y0, x1, y1 = truth.face_box
    there = Face((x0 + 3, y0 + 3, x1 + 3, y1 + 3), truth.tilt + 5, 0.0)
    rows = images_of(store, [picture, shifted])
    how = {"detector": "lbpcascade", "sweep": "fast", "min_face": 48, "folder": None}
    free, _ = detect.detect(rows, store, **how)
    table, drops = detect.detect(rows, store, **how, expected=there)
    assert table["source_id"].to_pylist() == ["0"]
    assert table["box"].to_pylist()[0] == pytest.approx(there.box, abs=1e-3)
    assert table["tilt"].to_pylist() == [pytest.approx(there.tilt)]
    assert (table["score"][0], table["faces_in_image"][0].as_py()) == (free["score"][0], 1)
    assert [(row["source_id"], row["reason"]) for row in drops] == [("1", "no_face")]
    with pytest.raises(UserError, match="train longer what generated them"):
        detect.detect(rows.slice(1), store, **how, expected=there)


class FakeAnimeface(types.ModuleType):
    """A module with animeface's interface, that sees a dark square on white: leaning by 10 degrees, likely by half."""

    def __init__(self, *, blind: bool = False):
        super().__init__("animeface")
        self.blind = blind

    def detect(self, picture: Image.Image) -> list:
        y, x = np.nonzero(np.asarray(picture.convert("L")) < 60)
        if self.blind or len(x) < 100:
            return []
        box = types.SimpleNamespace(x=x.min(), y=y.min(), width=np.ptp(x) + 1, height=np.ptp(y) + 1)
        left, right = (types.SimpleNamespace(x=u, y=v, width=2, height=2) for u, v in ((40, 17.63 - 10), (0, 0.58 - 0)))
        part = types.SimpleNamespace
        return [part(likelihood=0.5, face=part(pos=box), left_eye=part(pos=left), right_eye=part(pos=right))]


@pytest.fixture
def fake_animeface(monkeypatch):
    """Puts a stand-in, or nothing, in the place of the package animeface."""

    def put(module: types.ModuleType | None) -> None:
        monkeypatch.setitem(sys.modules, "animeface", module)  # None: importing it fails
        animeface.check_animeface.cache_clear()

    yield put
    animeface.check_animeface.cache_clear()


def test_an_animeface_that_is_blind_or_not_there_says_what_to_install(fake_animeface):
    for module in (None, FakeAnimeface(blind=True)):
        fake_animeface(module)
        with pytest.raises(UserError, match=r"pip install 'animeface==2\.0\.3' 'pillow<12'"):
            animeface.check_animeface(None)


def test_animefaces_boxes_and_lean_come_back_into_the_picture(fake_animeface):
    fake_animeface(FakeAnimeface())
    picture = np.full((300, 300, 3), 255, np.uint8)
    picture[100:180, 60:140] = 0
    (face,) = animeface.animeface(picture, 48, None, "")
    assert np.abs(np.array(face.box) - (60, 100, 140, 180)).max() < 2
    assert face.tilt == pytest.approx(10, abs=0.2)
    assert face.score == 0.5


def test_both_is_the_union_and_tells_who_found_which(fake_animeface, cascade):
    fake_animeface(FakeAnimeface())
    face, _ = drawn(0, tilt=0)
    dark = np.full((face.shape[0], 200, 3), 255, np.uint8)
    dark[100:180, 60:140] = 0
    picture = np.hstack([np.maximum(face, 64), dark])
    for sweep in SWEEPS:
        found = {
            name: detect.find(picture, finder=name, asset=asset, sweep=sweep, min_face=48)
            for name, asset in (("lbpcascade", cascade), ("animeface", ""))
        }
        assert sorted(name for _, name in detect.merge(found)) == ["animeface", "lbpcascade"]


def test_of_a_face_that_both_find_the_firsts_box_stays():
    face = Face((0, 0, 100, 100), 5.0, 20.0)
    beside, apart = Face((10, 10, 110, 110), 0.0, 99.0), Face((200, 0, 300, 100), 0.0, 0.5)
    found = {"lbpcascade": [face], "animeface": [beside, apart]}
    assert detect.merge(found) == [(face, "lbpcascade"), (apart, "animeface")]


@pytest.fixture(scope="module")
def crowd() -> np.ndarray:
    """A sheet of 16 × 16 portraits, whose faces are some 60 px large."""
    tiles = [np.asarray(draw(2, i, tilt=0)[0].resize((140, 160))) for i in range(16)]
    return np.vstack([np.hstack(tiles[row % 4 :] + tiles[: row % 4]) for row in range(16)])


@pytest.mark.full
def test_of_a_crowd_nobody_is_lost(crowd, cascade):
    counts = {sweep: len(lbpcascade(crowd, 30, SWEEPS[sweep], cascade)) for sweep in ("off", "fast")}
    assert counts["fast"] >= max(counts["off"], 0.95 * 256)


def test_the_order_in_which_opencv_tells_windows_changes_nothing(crowd, cascade, monkeypatch):
    """It is that in which its threads end."""
    picture = crowd[:960, :840]
    rng, real = np.random.default_rng(0), cascade_module.read_cascade(cascade)
    shuffled = types.SimpleNamespace(
        detectMultiScale=lambda *args, **how: rng.permutation(real.detectMultiScale(*args, **how))
    )
    expected = lbpcascade(picture, 30, SWEEPS["full"], cascade)
    monkeypatch.setattr(cascade_module, "read_cascade", lambda path: shuffled)
    assert lbpcascade(picture, 30, SWEEPS["full"], cascade) == expected
    assert len(expected) >= 30


def test_a_face_below_the_wanted_size_hides_no_other(monkeypatch, cascade):
    """The better scored one of two that overlap."""
    small, large = Face((0, 0, 47, 47), 0.0, 90.0), Face((0, 0, 60, 60), 0.0, 20.0)
    monkeypatch.setattr(cascade_module, "_propose", lambda windows: [small, large._replace(box=(100, 100, 160, 160))])
    monkeypatch.setattr(cascade_module, "_refine", lambda *_: [small, large])
    assert lbpcascade(np.full((200, 200, 3), 255, np.uint8), 48, SWEEPS["fast"], cascade) == [large]


def test_the_tasks_choices_are_the_tables():
    from workflows.face_dataset import DetectFaces

    assert DetectFaces.detector.kind == "one of " + " ".join(detect.DETECTOR_CHOICES)
    assert DetectFaces.sweep.kind == "one of " + " ".join(SWEEPS)


def test_the_real_animeface_finds_the_drawn_faces(fake_animeface):
    """Where the package is installed, and Pillow is one that it can read."""
    pytest.importorskip("animeface")
    try:
        animeface.check_animeface(None)
    except UserError as error:
        pytest.skip(str(error))
    for i in range(3):
        picture, truth = drawn(i, tilt=0)
        (face, *_) = animeface.animeface(picture, 48, None, "")
        assert np.hypot(*(center(face) - truth)) < 0.25 * side(face)
        assert abs(face.tilt) < 12
