"""The embedded source: drawn portraits and what is known of them."""

import colorsys
import io
import pickle
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.drawing.canvas import Canvas
from pipeline.drawing.portrait import accessories, clothes, face, figure, ground, hair, look
from pipeline.drawing.portrait import render as paint
from pipeline.errors import UserError
from pipeline.sources import drawn
from pipeline.sources.base import LocalQuery


def pixels(i, **options):
    image, truth = drawn.draw(0, i, **options)
    return np.array(image), truth


def first_posts(n, **requested):
    request = LocalQuery(**requested)
    return list(islice(drawn.posts(request, drawn.snapshot(request)), n))


def test_the_same_seed_and_number_give_the_same_bytes():
    assert drawn.picture(3, 5, "character") == drawn.picture(3, 5, "character")


def test_other_numbers_seeds_and_styles_give_other_pictures():
    pictures = [(0, 0, "character"), (0, 1, "character"), (1, 0, "character"), (0, 0, "icon")]
    assert len({drawn.picture(*picture) for picture in pictures}) == 4


@pytest.mark.parametrize("style", drawn.STYLES)
def test_a_lean_changes_the_figure_and_nothing_else(style):
    upright, truth = pixels(2, style=style, tilt=0)
    leaning, other = pixels(2, style=style, tilt=45)
    assert (truth.tilt, other.tilt) == (0, 45)
    assert (truth.face_box, truth.tags, truth.hair_color) == (other.face_box, other.tags, other.hair_color)
    assert (truth.openness, upright.shape) == (other.openness, leaning.shape)
    assert (upright[0, 0] == leaning[0, 0]).all()
    assert (upright != leaning).any()


def test_the_eyes_turn_clockwise_with_the_head():
    _, truth = pixels(2, tilt=30)
    assert truth.left_eye[1] < truth.right_eye[1]


@pytest.mark.parametrize("style", drawn.STYLES)
@pytest.mark.parametrize("i", [0, 7])
def test_closing_the_eyes_changes_only_the_eyes(i, style):
    opened, truth = pixels(i, style=style, openness=1)
    closed, other = pixels(i, style=style, openness=0)
    assert (truth.left_eye, truth.right_eye, truth.tags) == (other.left_eye, other.right_eye, other.tags)
    changed = (opened != closed).any(2)
    margin = 0.06 * (truth.face_box[2] - truth.face_box[0])
    for x0, y0, x1, y1 in (truth.left_eye, truth.right_eye):
        eye = changed[int(y0 - margin) : int(y1 + margin) + 1, int(x0 - margin) : int(x1 + margin) + 1]
        assert eye.mean() > 0.1
        eye[:] = False
    assert not changed.any()


@pytest.mark.parametrize("i", range(12))
def test_the_face_box_is_a_square_within_the_picture_with_both_eyes_inside(i):
    image, truth = drawn.draw(0, i)
    x0, y0, x1, y1 = truth.face_box
    assert x1 - x0 == pytest.approx(y1 - y0)
    assert 100 <= x1 - x0 <= 260
    assert min(x0, y0) >= 0
    assert x1 <= image.width
    assert y1 <= image.height
    for eye in (truth.left_eye, truth.right_eye):
        assert x0 < eye[0] < eye[2] < x1
        assert y0 < eye[1] < eye[3] < y1
    assert truth.left_eye[2] < truth.right_eye[0]


def test_the_bottom_of_the_face_box_is_the_chin():
    look = drawn.sample(0, 0)
    frame = Canvas(np.empty((0, 0, 3), np.uint8), *figure.head_frame(look, 1))
    chin = frame.place(face.jaw_line(look)[-1])
    turn = np.deg2rad(look.tilt)
    np.testing.assert_allclose(chin, look.center + look.side / 2 * np.array([-np.sin(turn), np.cos(turn)]))


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("lids", face.CLOSED_LIDS)
def test_a_wink_closes_one_eye(side, lids):
    opened = replace(drawn.sample(0, 3), openness=1, lids=lids)
    closing = (0, 1) if side == 0 else (1, 0)
    changed = (paint.render(opened) != paint.render(replace(opened, closing=closing))).any(2)
    boxes = paint.eye_boxes(opened)
    shares = [changed[int(y0) : int(y1), int(x0) : int(x1)].mean() for x0, y0, x1, y1 in boxes]
    assert shares[side] > 0.1
    assert shares[1 - side] == 0


def test_closed_lids_differ():
    shut = replace(drawn.sample(0, 3), openness=0)
    assert len({paint.render(replace(shut, lids=lids)).tobytes() for lids in face.CLOSED_LIDS}) == len(face.CLOSED_LIDS)


def test_a_group_stands_on_the_ground_of_the_first():
    first, other = (replace(drawn.sample(0, i), size=(500, 300), side=120, tilt=0) for i in (0, 1))
    left, right = replace(first, center=(130, 150)), replace(other, center=(370, 150))
    group = paint.render_group([left, right])
    np.testing.assert_array_equal(group[:, :150], paint.render(left)[:, :150])
    np.testing.assert_array_equal(group[120:180, 340:400], paint.render(right)[120:180, 340:400])


def test_the_mouth_lies_between_eyes_and_chin_and_leans_with_the_head():
    upright, leaning = (paint.mouth_and_chin(replace(drawn.sample(0, 3), tilt=tilt)) for tilt in (0, 90))
    (_, y), chin = upright
    assert max(box[3] for box in paint.eye_boxes(replace(drawn.sample(0, 3), tilt=0))) < y < chin[1]
    assert leaning[1][0] < leaning[0][0]


@pytest.mark.parametrize("start", [0, 4, 100])
def test_nine_pictures_in_a_row_have_all_nine_hair_colors(start):
    colors = {drawn.sample(5, i).hair_color for i in range(start, start + 9)}
    assert colors == set(look.HAIR_COLORS)


@pytest.mark.parametrize("i", range(9))
def test_the_hair_in_the_picture_has_the_color_it_is_called(i):
    rgb, truth = pixels(i, tilt=0)
    x0, y0, x1, _ = truth.face_box
    side = x1 - x0
    crown = rgb[max(0, int(y0 - 0.2 * side)) : int(y0 + 0.1 * side), int(x0 + 0.3 * side) : int(x1 - 0.3 * side)]
    h, s, v = colorsys.rgb_to_hsv(*np.median(crown.reshape(-1, 3), 0) / 255)
    if truth.hair_color in ("black", "silver"):
        assert (v < 0.4) if truth.hair_color == "black" else (v > 0.5 and s < 0.2)
        return
    hues = {
        "blonde": (36, 58),
        "brown": (5, 35),
        "red": (-15, 14),
        "pink": (310, 352),
        "purple": (250, 290),
        "blue": (195, 240),
        "green": (85, 170),
    }
    low, high = hues[truth.hair_color]
    assert low <= 360 * h <= high or low <= 360 * h - 360 <= high
    assert s > 0.2


def test_icons_lean_by_45_degrees_in_few_flat_colors():
    icon, truth = pixels(0, style="icon")
    character, _ = pixels(0)
    assert truth.tilt == 45

    def share_of_common_colors(rgb):
        counts = np.sort(np.unique(rgb.reshape(-1, 3), axis=0, return_counts=True)[1])
        return counts[-12:].sum() / counts.sum()

    assert share_of_common_colors(icon) > max(0.9, share_of_common_colors(character))


def test_every_choice_has_its_drawing():
    for chosen, shapes in (
        (look.HAIRSTYLES, hair.HAIRSTYLES),
        (look.BANGS, hair.BANGS),
        (look.EYE_SHAPES, face.EYES),
        (look.BROWS, face.BROWS),
        (look.MOUTHS, face.MOUTHS),
        (look.CLOTHES, clothes.CLOTHES),
        (look.ACCESSORIES, accessories.ACCESSORIES),
        (look.GROUNDS, ground.GROUNDS),
    ):
        assert set(chosen) == set(shapes)
    assert set(look.LOCKS) == {"none", *hair.LOCKS}


def test_posts_draw_nothing_until_they_are_read(monkeypatch):
    monkeypatch.setattr(paint, "render", lambda look: pytest.fail("drawn too early"))
    assert [post.source_id for post in first_posts(3, seed=4)] == ["4/0", "4/1", "4/2"]


def test_a_post_survives_pickling_and_reads_as_a_png_with_its_tags():
    post = pickle.loads(pickle.dumps(first_posts(1)[0]))  # noqa: S301 (we wrote it)
    image, truth = drawn.draw(0, 0)
    assert Image.open(io.BytesIO(post.read())).tobytes() == image.tobytes()
    assert post.tags == truth.tags
    assert {"1girl", "solo"} < set(post.tags)
    assert (post.license, post.fetched_at) == ("CC0-1.0", None)


def test_fingerprints_tell_style_seed_and_number_apart():
    posts = first_posts(2) + first_posts(2, seed=1) + first_posts(2, query="icon")
    assert len({post.fingerprint for post in posts}) == 6


def test_no_query_means_characters():
    assert drawn.snapshot(LocalQuery()) == drawn.snapshot(LocalQuery(query="character"))


@pytest.mark.parametrize("requested", [{"query": "landscape"}, {"path": Path("pictures")}, {"seed": -1}])
def test_what_cannot_be_drawn_is_the_users_error(requested):
    with pytest.raises(UserError):
        drawn.snapshot(LocalQuery(**requested))


def test_the_source_is_known_without_opencv():
    code = "import sys, pipeline.sources.drawn; sys.exit('cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3]).returncode == 0
