"""The chamfer distance of lines."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from models.metrics.lines import find_lines, line_distance
from pipeline.drawing.portrait.look import sample
from pipeline.drawing.portrait.render import render_group

HEIGHT, WIDTH, DIAGONAL = 60, 80, 100  # px


def upright(*places: int) -> np.ndarray:
    """A picture with a step from white to black, or back, at each place: a line."""
    picture = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    for x in places:
        picture[:, x:] = 255 - picture[:, x:]
    return picture


def test_lines_are_where_the_steps_are():
    lines = find_lines(upright(30, 50))
    assert (lines[5:-5, 29:31].sum(1) == 1).all()
    assert (lines[5:-5, 49:51].sum(1) == 1).all()
    assert lines[5:-5].sum() == 2 * (HEIGHT - 10)


def test_equal_pictures_have_no_distance():
    assert line_distance(upright(20, 60), upright(20, 60)) == 0


@pytest.mark.parametrize("shift_px", [1, 7, 20])
def test_a_line_that_is_shifted_has_the_distance_of_the_shift(shift_px):
    distance = line_distance(upright(25), upright(25 + shift_px)) * DIAGONAL
    assert distance == pytest.approx(shift_px, abs=0.1)


def test_the_order_does_not_matter_and_a_line_that_is_missing_counts():
    both, one = upright(20, 60), upright(20)
    assert line_distance(both, one) == line_distance(one, both)
    assert line_distance(both, one) * DIAGONAL == pytest.approx(40 / 2 / 2, abs=1)  # half the lines, one of both ways


def test_it_is_a_share_of_the_diagonal():
    """A picture of the same that is twice as large has the same distance."""
    small = line_distance(upright(20), upright(40))
    large = [cv2.resize(upright(x), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST) for x in (20, 40)]
    assert line_distance(*large) == pytest.approx(small, rel=0.01)


def test_without_lines_pictures_are_equal_or_as_far_apart_as_can_be():
    plain = upright()
    assert line_distance(plain, plain) == 0
    assert line_distance(plain, upright(30)) == line_distance(upright(30), plain) == 1


def test_pictures_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match="one size expected"):
        line_distance(upright(), upright()[:-1])


def test_a_drawn_face_is_the_farther_the_more_its_eyes_close():
    looks = (replace(sample(3, 1), openness=openness) for openness in (1.0, 0.6, 0.0))
    still, narrow, closed = (render_group([look], look.size) for look in looks)
    assert 0 < line_distance(still, narrow) < line_distance(still, closed)
