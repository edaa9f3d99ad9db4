"""Painted scenes: they depend on (seed, i) alone, everything in them runs, and the marks are where the faces are."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from pipeline.drawing import scenes
from pipeline.drawing.canvas import CHIN, Warp, vertical_ramp
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes import (
    accessories,
    body,
    compose,
    damage,
    eye,
    face,
    fringe,
    ground,
    lettering,
    lighting,
    mouth,
    over_face,
    person,
    photograph,
    postprocess,
    profile,
)
from pipeline.drawing.scenes.canvas import SceneCanvas, Spot, face_frame
from pipeline.drawing.scenes.clutter import CLUTTER, HELD, WRITTEN, Group, clutter
from pipeline.drawing.scenes.figure import Figure
from pipeline.drawing.scenes.half_profile import turn_by_half
from pipeline.drawing.scenes.manners import black_and_white, lines_alone, without_lines
from pipeline.drawing.scenes.modelling import as_solid, as_toon
from pipeline.drawing.scenes.objects import OBJECTS
from pipeline.drawing.scenes.printing import manga_print, rough_pencil
from pipeline.drawing.scenes.repertoire import PLAIN, WIDE
from pipeline.drawing.scenes.style import sample_style
from pipeline.drawing.shapes import direction

SIZE = 256
MIDDLE = Spot(128, 128, 100, 0)
MIDDLE_OF_FACE = compose.ShownFace(MIDDLE, SIZE, 0).middle


def name(function) -> str:
    return getattr(function, "__name__", "line").strip("_")


def sampler(i: int) -> Sampler:
    return Sampler(np.random.default_rng((4, i)))


def canvas(i: int) -> SceneCanvas:
    return SceneCanvas(np.full((SIZE, SIZE, 3), 127, np.uint8), sampler(i))


def figure(i: int) -> Figure:
    chance = sampler(i)
    return Figure(np.full((SIZE, SIZE, 3), 127, np.uint8), chance, MIDDLE, sample_style(chance))


def changed_by(sheet: SceneCanvas, paint) -> np.ndarray:
    """(size, size), where `paint()` changes the canvas."""
    before = sheet.pixels.copy()
    paint()
    return (before != sheet.pixels).any(2)


def watch(monkeypatch, module, function: str) -> list[np.ndarray]:
    """What this painter of a module changes, call by call."""
    real, seen = getattr(module, function), []
    monkeypatch.setattr(
        module, function, lambda sheet, *others: seen.append(changed_by(sheet, lambda: real(sheet, *others)))
    )
    return seen


def places(pixels: np.ndarray, mark) -> np.ndarray:
    """(N, 2) of all true pixels in the mark's frame: its square is -0.5..0.5 in x and y."""
    y, x = np.nonzero(pixels)
    frame = np.stack([direction(mark.tilt), direction(mark.tilt + 90)], 1)
    return (np.stack([x, y], 1) + 0.5 - (mark.x, mark.y)) @ frame / mark.side


def holds(mark, pixels: np.ndarray) -> bool:
    """Whether these pixels, a face's features, lie in the mark's square and a bit below its middle."""
    points = places(pixels, mark)
    return (np.abs(points) < 0.5).all(1).mean() > 0.95 and (np.abs(points.mean(0) - (0, 0.11)) < 0.25).all()


def change_repertoires(monkeypatch, **fields) -> None:
    """Give plain and wide scenes other fields of `Repertoire`."""
    for name, repertoire in (("PLAIN", PLAIN), ("WIDE", WIDE)):
        monkeypatch.setattr(compose, name, repertoire._replace(**fields))


@pytest.fixture(scope="module")
def many() -> list[scenes.Scene]:
    return [scenes.draw(11, i) for i in range(120)]


def test_the_same_seed_and_number_give_the_same_scene():
    first, second = scenes.draw(3, 5), scenes.draw(3, 5)
    assert first.picture.tobytes() == second.picture.tobytes()
    assert first.faces == second.faces


def test_other_numbers_seeds_and_sizes_give_other_pictures():
    pictures = [scenes.draw(*which).picture.tobytes() for which in ((3, 5), (3, 6), (4, 5), (3, 5, 200))]
    assert len(set(pictures)) == 4


@pytest.mark.parametrize("size", [128, 255, 256, 400])
def test_a_picture_has_the_size_that_is_requested_and_its_faces_grow_with_it(size):
    drawn = [scenes.draw(2, i, size) for i in range(6)]
    for picture, _ in drawn:
        assert (picture.shape, picture.dtype) == ((size, size, 3), np.uint8)
    marks = [mark for each in drawn for mark in each.faces]
    assert marks
    assert all(0.04 * size < mark.side < 1.3 * size for mark in marks)


@pytest.mark.full
def test_marks_are_within_their_ranges(many):
    for picture, faces in many:
        assert picture.shape == (SIZE, SIZE, 3)
        for mark in faces:
            assert 0 < mark.x < SIZE
            assert 0 < mark.y < SIZE
            assert 0.04 * SIZE < mark.side < 1.3 * SIZE
            assert abs(mark.tilt) <= 60
            assert isinstance(mark.is_clear, bool)


def test_pictures_have_as_many_faces_as_are_requested(many):
    clear = [sum(mark.is_clear for mark in faces) for _, faces in many]
    assert 0.1 < np.mean(np.equal(clear, 0)) < 0.27  # expected: 0.18
    assert 1.1 < np.mean(clear) < 1.7  # expected: 1.4
    assert max(clear) >= 5
    assert 0.1 < np.mean([not mark.is_clear for _, faces in many for mark in faces]) < 0.25  # expected: 0.16
    tilts = [abs(mark.tilt) for _, faces in many for mark in faces]
    assert 0.55 < np.mean(np.less(tilts, 12)) < 0.7  # expected: one half, and a fifth of the other


@pytest.mark.parametrize("share", [0, 1])
def test_plain_scenes_have_faces_of_usual_sizes_and_wide_ones_also_others(monkeypatch, share):
    monkeypatch.setattr(compose, "WIDE_SHARE", share)
    sides = np.array([mark.side / SIZE for i in range(40) for mark in scenes.draw(7, i).faces])
    usual = (sides > 0.11) & (sides < 0.58)
    assert usual.all() == (share == 0)


def test_pictures_differ_in_color_light_and_density(many):
    means = np.array([picture.mean((0, 1)) for picture, _ in many])
    assert means.std(0).min() > 30
    is_grey = [(picture == picture[..., :1]).all() for picture, _ in many]
    assert 0.1 < np.mean(is_grey) < 0.3


@pytest.mark.parametrize("i", range(12))
@pytest.mark.parametrize("tilt", [0, 45, -60])
def test_the_mark_of_a_face_is_where_its_features_are(monkeypatch, tilt, i):
    seen = watch(monkeypatch, person, "features")
    mark = person.face(canvas(i), MIDDLE._replace(tilt=tilt))
    assert mark.tilt == tilt
    assert holds(mark, seen[0])
    for degrees in range(0, 360, 90):
        x, y = (mark.x, mark.y) + 0.5 * mark.side * direction(degrees)
        assert not holds(mark._replace(x=x, y=y), seen[0])


@pytest.mark.parametrize("tilt", [0, 90, -30])
def test_a_spot_is_the_square_from_the_brow_to_the_chin(tilt):
    sheet = SceneCanvas(np.zeros((SIZE, SIZE, 3), np.uint8), sampler(0), *face_frame(MIDDLE._replace(tilt=tilt)))
    chin = (MIDDLE.x, MIDDLE.y) + MIDDLE.side / 2 * direction(tilt + 90)
    np.testing.assert_allclose(sheet.place([(0, CHIN)])[0], chin)


def test_a_face_is_painted_at_its_spot():
    for i in range(20):
        mark = person.face(canvas(i), MIDDLE)
        assert np.hypot(mark.x - MIDDLE.x, mark.y - MIDDLE.y) < 0.1 * MIDDLE.side
        assert 0.84 < mark.side / MIDDLE.side < 1.12


@pytest.mark.parametrize("i", range(6))
def test_the_mark_of_a_profile_is_where_its_eye_is(monkeypatch, i):
    seen = watch(monkeypatch, profile, "_eye")
    mark = profile.profile(canvas(i), MIDDLE)
    assert (np.abs(places(seen[0], mark)) < 0.45).all()


def test_profiles_look_to_both_sides(monkeypatch):
    seen = watch(monkeypatch, profile, "_eye")
    for i in range(12):
        mark = profile.profile(canvas(i), MIDDLE)
        x, _ = places(seen[i], MIDDLE).mean(0)
        assert (x > 0.1) if mark.x > MIDDLE.x else (x < -0.1)
    assert {np.nonzero(eye)[1].mean() > MIDDLE.x for eye in seen} == {True, False}


@pytest.mark.parametrize("i", range(8))
def test_the_far_eye_of_a_half_profile_is_narrow_and_within_the_head(monkeypatch, i):
    seen = watch(monkeypatch, person, "features")
    mark = person.half_profile(canvas(i), MIDDLE)
    assert holds(mark, seen[0])
    style = turn_by_half(sampler(i), sample_style(sampler(i)))
    near, far = sorted(zip(style.eyes.shares, style.eyes.x, strict=True), reverse=True)
    assert far[0] < 0.75 * near[0]
    assert abs(near[1]) < abs(far[1]) < 0.47
    assert np.sign(far[1]) == np.sign(style.turn)


@pytest.mark.parametrize(("paint", "low", "high"), [(person.chibi, 1.15, 2), (person.grown_up, 0.45, 0.85)])
def test_a_chibi_has_a_broad_face_and_a_grown_up_a_long_one(monkeypatch, paint, low, high):
    styles = []
    monkeypatch.setattr(person, "face_spot", lambda f, spot: styles.append(f.style) or spot)
    for i in range(6):
        paint(canvas(i), MIDDLE)
    assert all(low < style.warp.width / style.warp.height < high for style in styles)


@pytest.mark.parametrize("tilt", [0, 30, -50])
def test_the_mouth_is_below_the_eyes_of_a_tilted_face(monkeypatch, tilt):
    eyes, mouths = watch(monkeypatch, face, "paint_eyes"), watch(monkeypatch, face, "paint_mouth")
    marks = [person.face(canvas(i), MIDDLE._replace(tilt=tilt)) for i in range(12)]
    for mark, above, below in zip(marks, eyes, mouths, strict=True):
        if below.any():  # some have none
            x, y = places(below, mark).mean(0) - places(above, mark).mean(0)
            assert y > 0.1
            assert abs(x) < y


def test_a_scene_marks_the_faces_that_were_painted(monkeypatch):
    seen = watch(monkeypatch, person, "features")
    change_repertoires(monkeypatch, people={person.face: 1, person.half_profile: 1})
    found = 0
    for i in range(12):
        seen.clear()
        for mark in scenes.draw(6, i).faces:
            found += mark.is_clear
            assert any(holds(mark, pixels) for pixels in seen) or not mark.is_clear
    assert found > 10


def test_backs_and_blank_faces_have_no_features_and_no_mark(monkeypatch):
    seen = watch(monkeypatch, person, "features")
    assert person.back_view(canvas(0), MIDDLE) is None
    assert person.blank_face(canvas(0), MIDDLE) is None
    assert not seen


@pytest.mark.parametrize("i", range(4))
def test_shuffled_faces_are_not_requested(monkeypatch, i):
    monkeypatch.setattr(compose, "people", lambda *_: [(person.shuffled_face, MIDDLE)])
    assert not any(mark.is_clear for mark in scenes.draw(0, i).faces)


@pytest.mark.parametrize(("cover", "faces"), [(0, [True]), (0.5, [False]), (1, [])])
def test_a_face_that_is_covered_is_not_requested_and_one_that_is_gone_has_no_mark(monkeypatch, cover, faces):
    def curtain(sheet: SceneCanvas, spot: Spot, restyle) -> None:
        width = int(SIZE * cover)
        sheet.pixels[:, :width] = sheet.pixels[:, :width] + np.uint8(100)  # wraps around, so that all pixels change

    def still(sheet: SceneCanvas, spot: Spot, restyle) -> Spot:
        return spot

    monkeypatch.setattr(compose, "cover_face", lambda *_: None)
    change_repertoires(monkeypatch, write=lambda *_: None)
    monkeypatch.setattr(compose, "people", lambda *_: [(still, MIDDLE), (curtain, MIDDLE)])
    monkeypatch.setattr(compose, "clutter", lambda *_: None)
    assert [mark.is_clear for mark in scenes.draw(0, 0).faces] == faces


def test_what_is_painted_behind_a_face_does_not_hide_it(monkeypatch):
    change_repertoires(monkeypatch, write=lambda *_: None)
    for over in ("clutter", "cover_face"):
        monkeypatch.setattr(compose, over, lambda *_: None)
    monkeypatch.setattr(compose, "people", lambda *_: [(person.back_view, MIDDLE), (person.face, MIDDLE)])
    assert [mark.is_clear for mark in scenes.draw(0, 0).faces] == [True]


def test_people_stand_apart_within_the_picture():
    everyone = [[spot for _, spot in compose.people(sampler(i), SIZE, WIDE)] for i in range(60)]
    assert max(map(len, everyone)) > 5
    touching = set()
    for spots in everyone:
        for k, one in enumerate(spots):
            assert min(one.x, one.y, SIZE - one.x, SIZE - one.y) >= compose.MIN_MARGIN * one.side
            for other in spots[:k]:
                apart = np.hypot(one.x - other.x, one.y - other.y) / (one.side + other.side)
                assert apart > 0.99 * compose.TOUCHING_DISTANCE
                touching.add(apart < compose.MIN_DISTANCE)
    assert touching == {True, False}


def test_the_larger_ones_stand_before_most_of_the_smaller():
    rows = [[spot.side for _, spot in compose.people(sampler(i), SIZE, WIDE)] for i in range(60)]
    pairs = [pair for sides in rows for pair in pairwise(sides)]
    assert 0.75 < np.mean([behind <= before for behind, before in pairs]) < 1


def test_there_are_17_kinds_of_clutter_and_12_treatments():
    assert len(set(CLUTTER)) == 17
    assert set(HELD) | set(WRITTEN) < set(CLUTTER)
    assert len(postprocess.TREATMENTS) == 12


@pytest.mark.parametrize("kind", CLUTTER, ids=name)
def test_every_kind_of_clutter_paints(kind):
    painted = [changed_by(sheet, lambda sheet=sheet: clutter(sheet, (kind,))) for sheet in map(canvas, range(12))]
    assert sum(pixels.any() for pixels in painted) >= 8  # what starts at the edge may lie outside
    assert not all((pixels == painted[0]).all() for pixels in painted)


@pytest.mark.parametrize("kind", OBJECTS, ids=name)
def test_every_object_paints_within_the_picture(kind):
    for i in range(4):
        sheet = canvas(i)
        group = Group(sheet, sheet.sampler, (250, 9, 9), (9, 9, 250), (0, 0, 0), np.array((128, 128)), 40.0, 2)
        y, x = np.nonzero(changed_by(sheet, lambda group=group: kind(group)))
        assert 1000 < len(x) < 30_000
        assert abs(x.mean() - 128) < 60
        assert abs(y.mean() - 128) < 60


@pytest.mark.parametrize("kind", over_face.COVERS, ids=name)
def test_what_lies_over_a_face_leaves_a_part_of_it(kind):
    for i in range(6):
        sheet = canvas(i)
        head = SceneCanvas(sheet.pixels, sheet.sampler, *face_frame(MIDDLE))
        hidden = changed_by(sheet, lambda head=head: kind(head, (10, 200, 30), (0, 0, 0)))[MIDDLE_OF_FACE]
        assert hidden.mean() > 0
        assert hidden.mean() < 0.85 or kind is over_face._pane  # which one sees through


@pytest.mark.parametrize("kind", lettering.LETTERING, ids=name)
def test_every_lettering_is_seen(kind):
    sheets = [canvas(i) for i in range(8)]
    assert sum(changed_by(sheet, lambda sheet=sheet: kind(sheet)).any() for sheet in sheets) >= 6


@pytest.mark.parametrize("kind", [*lighting.LIGHTING, *damage.DAMAGES, manga_print, rough_pencil], ids=name)
def test_every_light_damage_and_print_keeps_the_shape(kind):
    sheet = canvas(0)
    person.face(sheet, MIDDLE)
    before = sheet.pixels.copy()
    seen = kind(sampler(1), sheet.pixels)
    assert (seen.shape, seen.dtype) == (before.shape, np.uint8)
    assert (sheet.pixels == before).all()
    assert (seen == before).all() == (kind is postprocess.identity)


@pytest.mark.parametrize("kind", photograph.PHOTOGRAPHS, ids=name)
def test_every_photograph_has_grain_and_light_that_falls(monkeypatch, kind):
    monkeypatch.setattr(photograph, "PHOTOGRAPHS", {kind: 1})
    picture = photograph.photograph(sampler(2), 128)
    assert (picture.shape, picture.dtype) == ((128, 128, 3), np.uint8)
    assert len(np.unique(picture)) > 20


def test_a_manga_is_black_and_white_and_a_drawing_of_lines_has_one_colour():
    style = black_and_white(sampler(1), sample_style(sampler(1)))
    assert {style.skin, style.ink} == {(255, 255, 255), (0, 0, 0)}
    style = lines_alone(sampler(1), sample_style(sampler(1)))
    assert style.skin == style.hair == style.eyes.sclera
    assert style.line > 0
    assert without_lines(sampler(1), sample_style(sampler(1))).line == 0


@pytest.mark.parametrize("shade", [as_solid, as_toon])
def test_a_lit_head_is_darker_on_one_side_and_what_is_around_it_stays(shade):
    for i in range(6):
        pixels = np.full((SIZE, SIZE, 3), 200, np.uint8)
        mask = np.hypot(*(np.mgrid[:SIZE, :SIZE] - 120)) < 60
        shade(sampler(i), pixels, mask, MIDDLE)
        assert (pixels[~mask] == 200).all()
        halves = [pixels[mask & (np.arange(SIZE) < 120)].mean(), pixels[mask & (np.arange(SIZE) > 120)].mean()]
        assert abs(halves[0] - halves[1]) > 0.5
        assert len(np.unique(pixels[mask][:, 1])) > 3


@pytest.mark.parametrize("kind", postprocess.TREATMENTS, ids=name)
def test_every_treatment_changes_the_picture_and_keeps_its_shape(kind):
    sheet = canvas(0)
    person.face(sheet, MIDDLE)
    for i in range(8):
        before = sheet.pixels.copy()
        treated = kind(sampler(i), sheet.pixels)
        assert (treated.shape, treated.dtype) == (sheet.pixels.shape, np.uint8)
        assert (treated == sheet.pixels).all() == (kind is postprocess.identity)
        assert (sheet.pixels == before).all()


def test_a_negative_is_the_opposite_and_grey_has_no_color():
    picture = scenes.draw(1, 1).picture
    assert (postprocess.invert(sampler(0), picture) + picture == 255).all()
    grey = postprocess.grayscale(sampler(0), picture)
    assert (grey == grey[..., :1]).all()


def test_screentone_and_line_art_have_few_levels():
    sheet = canvas(0)
    person.face(sheet, MIDDLE)
    assert len(np.unique(postprocess.posterize(sampler(1), sheet.pixels))) <= 8
    for i in range(6):
        toned = postprocess.screentone(sampler(i), sheet.pixels)
        assert len(np.unique(toned.reshape(-1, 3), axis=0)) <= 4


@pytest.mark.parametrize("kind", ground.GROUNDS, ids=name)
def test_every_ground_fills_the_picture(kind):
    pictures = [kind(sampler(i), 60) for i in range(20)]
    assert all((picture.shape, picture.dtype) == ((60, 60, 3), np.uint8) for picture in pictures)
    assert len({picture.tobytes() for picture in pictures}) > 1


@pytest.mark.parametrize("kind", eye.KINDS, ids=name)
@pytest.mark.parametrize("sign", [-1, 1])
def test_every_kind_of_eye_paints_on_its_own_side(kind, sign):
    for i in range(6):
        f = figure(i)
        one = eye.Eye(f, f.style.eyes, sign, f.style.skin_dark)
        painted = changed_by(f, lambda one=one: kind(one))
        ((x, y),) = f.place([one.center])
        ys, xs = np.nonzero(painted)
        assert abs(xs.mean() - x) < 0.08 * MIDDLE.side
        assert abs(ys.mean() - y) < 0.14 * MIDDLE.side  # lids that are shut lie low


def test_the_far_eye_of_a_turned_head_is_the_narrower_one():
    turned = [sample_style(sampler(i)) for i in range(40)]
    assert {np.sign(style.turn) for style in turned} == {-1, 0, 1}
    for style in turned:
        assert style.eyes.x[0] < style.turn < style.eyes.x[1]
        assert np.sign(style.eyes.shares[0] - style.eyes.shares[1]) == np.sign(style.turn)


def test_the_outer_corners_of_the_eyes_point_away_from_each_other():
    f = figure(0)
    for sign in (-1, 1):
        one = eye.Eye(f, f.style.eyes, sign, f.style.skin_dark)
        inner, outer = one.at((-0.5, 0.5), (0, 0))
        assert (outer[0] - inner[0]) * sign > 0


@pytest.mark.parametrize("kind", mouth.MOUTHS, ids=name)
def test_every_mouth_paints_at_its_place(kind):
    for i in range(6):
        sheet = SceneCanvas(np.full((SIZE, SIZE, 3), 127, np.uint8), sampler(i), 100, (128, 128))
        lips = mouth.Mouth(sheet, np.array((0.1, 0.4)), 1, (0, 0, 0), 0.01, (200, 150, 150), (150, 50, 50))
        painted = changed_by(sheet, lambda lips=lips: kind(lips))
        y, x = np.nonzero(painted)
        if kind is mouth._none:
            assert len(x) == 0
        else:
            assert abs(x.mean() - 138) < 3
            assert abs(y.mean() - 168) < 12


@pytest.mark.parametrize("kind", [*accessories.WORN, *accessories.HELD], ids=name)
def test_every_accessory_paints(kind):
    f = figure(1)
    assert changed_by(f, lambda: kind(f, (10, 200, 30))).any() == (kind is not accessories._nothing)


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [(kind, (np.full((SIZE, SIZE), 255, np.uint8),)) for kind in face.BLUSHES]
    + [(kind, (0, 0.24)) for kind in face.NOSES],
    ids=lambda value: name(value) if callable(value) else "",
)
def test_every_blush_and_nose_paints(kind, wanted):
    f = figure(1)
    assert changed_by(f, lambda: kind(f, *wanted)).any() == (kind is not face._nothing)


@pytest.mark.parametrize("kind", body.PATTERNS, ids=name)
def test_every_pattern_stays_on_its_cloth(kind):
    f = figure(1)
    within = f.mask(((-0.4, 0.8), (0.4, 0.8), (0.4, 1.2), (-0.4, 1.2)))
    painted = changed_by(f, lambda: kind(f, within, (10, 200, 30), (0, 0, 0), 0.1))
    assert painted.any() == (kind is not body._plain)
    assert not painted[within == 0].any()


@pytest.mark.parametrize("kind", fringe.CUTS, ids=name)
def test_every_cut_of_a_fringe_runs_from_temple_to_temple(monkeypatch, kind):
    monkeypatch.setattr(fringe, "CUTS", {kind: 1})
    for i in range(6):
        for covered in (-1, 0, 1):
            edge = fringe.fringe_edge(sampler(i), fringe.fringe_knots(sampler(i), covered))
            assert (edge[0][0], edge[-1][0]) == (-0.55, 0.55)
            assert np.isfinite(edge).all()


@pytest.mark.parametrize("sign", [-1, 1])
def test_hair_over_an_eye_hangs_over_that_eye(sign):
    knots = [fringe.fringe_knots(sampler(i), sign).T for i in range(40)]
    over, other = (np.mean([np.interp(side * 0.28, x, y) for x, y in knots]) for side in (sign, -sign))
    assert over > other + 0.2


def test_a_key_is_picked_as_often_as_its_weight_says():
    chance = sampler(0)
    counts = Counter(chance.pick({"a": 3, "b": 1, "never": 0}) for _ in range(2000))
    assert set(counts) == {"a", "b"}
    assert 0.72 < counts["a"] / 2000 < 0.78


def test_numbers_stay_in_their_range():
    chance = sampler(0)
    assert all(2 <= chance.between(2, 3) < 3 for _ in range(200))
    assert {chance.integer(2, 5) for _ in range(200)} == {2, 3, 4}
    assert {chance.side() for _ in range(50)} == {-1, 1}
    assert all(0 <= chance.from_ranges({(0, 1): 1, (4, 5): 1}) % 4 < 1 for _ in range(50))


def test_a_mirrored_frame_paints_on_the_other_side():
    sheet = SceneCanvas(np.zeros((40, 40, 3), np.uint8), sampler(0), 10, (20, 20), warp=Warp(width=-1))
    np.testing.assert_allclose(sheet.place([(1, 0.5)]), [(10, 25)])


def test_a_graded_shape_goes_from_one_color_to_the_other():
    sheet = SceneCanvas(np.zeros((40, 40, 3), np.uint8), sampler(0))
    square = ((0, 0), (40, 0), (40, 40), (0, 40))
    sheet.fill(square, vertical_ramp(square, (200, 0, 0), (0, 0, 200)))
    assert sheet.pixels[1, 20, 0] > 180 > 20 > sheet.pixels[38, 20, 0]
    assert sheet.pixels[38, 20, 2] > 180
