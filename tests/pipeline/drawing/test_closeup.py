"""Faces close up: eyes of any openness, the truth of their places, and how much of them shows."""

import cv2
import numpy as np
import pytest

from pipeline.drawing.canvas import Canvas
from pipeline.drawing.landmarks import hull, sample_openness
from pipeline.drawing.portrait import closeup as portrait
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes import closeup as scene
from pipeline.drawing.scenes import covers, lids
from pipeline.drawing.scenes.canvas import Spot
from pipeline.drawing.scenes.figure import Figure
from pipeline.drawing.scenes.lids import Lids, outlines, paint_lids, sample_lids, vary_eyes
from pipeline.drawing.scenes.style import sample_style

KINDS = {"portrait": portrait.draw_face, "scene": scene.draw_face}
CLOSED = np.array((0.1, 0.2, 0.2, 0.2, 0.1))


def figure(i: int) -> Figure:
    sampler = Sampler(np.random.default_rng((6, i)))
    style = sample_style(sampler)
    return Figure(np.full((300, 300, 3), 127, np.uint8), sampler, Spot(150, 150, 120, 20), style)


def inside(outline: np.ndarray, size: int, margin: int = 0) -> np.ndarray:
    mask = cv2.fillPoly(np.zeros((size, size), np.uint8), [np.int32(outline)], 1)
    return cv2.dilate(mask, np.ones((2 * margin + 1,) * 2)) > 0


@pytest.mark.parametrize("draw", KINDS.values(), ids=KINDS)
def test_equal_numbers_give_equal_faces_and_others_other_ones(draw):
    first, again, other, seed = draw(0, 1), draw(0, 1), draw(0, 2), draw(1, 1)
    assert (first.picture == again.picture).all()
    assert first.square == again.square
    assert other.square != first.square != seed.square


@pytest.mark.parametrize("draw", KINDS.values(), ids=KINDS)
def test_eyes_lie_in_the_square_above_the_mouth_and_the_mouth_above_the_chin(draw):
    for i in range(24):
        face = draw(3, i)
        x, y, side, tilt = face.square
        frame = Canvas(np.empty((0, 0, 3), np.uint8), side, (x, y), tilt)
        left, right = (((outline - (x, y)) @ np.linalg.inv(frame.turn)) for outline in face.outlines)
        mouth, chin = ((np.subtract(point, (x, y)) @ np.linalg.inv(frame.turn)) for point in (face.mouth, face.chin))
        assert np.abs(np.concatenate([left, right])).max() < 0.75
        assert left[:, 0].mean() < right[:, 0].mean()
        assert max(left[:, 1].mean(), right[:, 1].mean()) < mouth[1] < chin[1] < 0.75
        assert face.picture.shape[0] == face.picture.shape[1]
        assert all(0 <= share <= 1 for share in (*face.openness, *face.visible))


@pytest.mark.parametrize("openness", [1, 0.4, 0])
@pytest.mark.parametrize("squash", [0, 1])
def test_eyes_are_painted_within_their_outlines_however_far_they_are_open(openness, squash):
    for i in range(6):
        f = figure(i)
        eyes = vary_eyes(f.sampler, f.style.eyes)
        before = f.pixels.copy()
        paint_lids(f, eyes, f.style.skin_dark, lids=Lids((openness, openness), CLOSED, squash, 0.3))
        changed = (f.pixels != before).any(2)
        truth = outlines(f, eyes, f.style.skin_dark)
        assert all(changed[inside(hull(points), 300)].mean() > 0.05 for points in truth)
        allowed = inside(hull(truth[0]), 300, 10) | inside(hull(truth[1]), 300, 10)  # single lashes stand out
        assert (changed & ~allowed).sum() < 0.03 * changed.sum()


def test_a_more_open_eye_shows_more_of_its_inside():
    seen = []
    for openness in (0, 0.3, 0.6, 1):
        f = figure(1)
        f.pixels[:] = f.style.skin
        paint_lids(f, f.style.eyes, f.style.skin_dark, lids=Lids((openness, openness), CLOSED, 0, 0))
        seen.append((f.pixels != f.style.skin).any(2).sum())
    assert seen == sorted(seen)
    assert seen[0] < 0.6 * seen[-1]


@pytest.mark.parametrize(("alpha", "expected"), [(0, 1), (0.5, 0.5), (1, 0)])
def test_what_lies_over_an_eye_hides_it_by_its_opacity(alpha, expected):
    f = figure(2)
    eyes = outlines(f, f.style.eyes, f.style.skin_dark)
    visible = covers.visible_shares(
        f, eyes, lambda f: f.fill(((-9, -9), (9, -9), (9, 9), (-9, 9)), (9, 9, 9), alpha=alpha)
    )
    assert visible == pytest.approx((expected, expected), abs=0.02)


def test_a_thing_over_one_eye_hides_that_one_alone():
    for i in range(6):
        f = figure(i)
        eyes = outlines(f, f.style.eyes, f.style.skin_dark)
        patch = hull(eyes[1])
        left, right = covers.visible_shares(f, eyes, lambda f, patch=patch: Canvas(f.pixels).fill(patch, (0, 90, 0)))
        assert right < 0.3  # the edge is antialiased, and the eye may be narrow
        assert left > 0.85  # lash lines may cross


def test_each_cover_hides_something_of_some_face():
    for cover in covers.COVERS:
        shares = []
        for i in range(8):
            f = figure(i)
            shares += covers.visible_shares(f, outlines(f, f.style.eyes, f.style.skin_dark), cover)
        assert (min(shares) < 0.9) == (cover is not covers.nothing)


def test_openness_is_continuous_and_some_faces_wink():
    sampler = Sampler(np.random.default_rng(0))
    pairs = np.array([sample_openness(sampler) for _ in range(2000)])
    assert (np.histogram(pairs, 10, (0, 1))[0] > 40).all()
    assert 0.02 < (np.abs(pairs[:, 0] - pairs[:, 1]) > 0.3).mean() < 0.15
    assert (pairs == 0).mean() > 0.1
    assert (pairs == 1).mean() > 0.1


def test_varied_eyes_keep_apart_and_above_the_mouth():
    for i in range(60):
        f = figure(i)
        eyes = vary_eyes(f.sampler, f.style.eyes)
        left, right = eyes.x
        half = 0.5 * eyes.width * np.array(eyes.shares)
        assert left + half[0] < right - half[1]
        assert eyes.y + 0.5 * eyes.height <= lids.LOWEST + 1e-9
        assert sample_lids(f.sampler, eyes).closed.shape == (5,)
