"""The measures of detectors have their closed forms, and the held-out pictures show what their truth says."""

import numpy as np
import pytest

from pipeline.faces.boxes import Face
from tests.benchmarks import held_out
from tests.benchmarks.scoreboard import (
    Match,
    Scored,
    average_precision,
    by_difficulty,
    calibration_error,
    is_tight,
    match,
    print_by_score,
    print_scores,
    recall_precision,
)


def ranked(answers: str, faces: int) -> Match:
    """Finds of falling score, T for a face and F for none."""
    owners = [answers[:i].count("T") if answer == "T" else -1 for i, answer in enumerate(answers)]
    return Match([float(-i) for i in range(len(answers))], owners, faces)


@pytest.mark.parametrize(
    ("answers", "faces", "area"),
    [
        ("TT", 2, 1),
        ("TF", 2, 1 / 2),
        ("TFT", 2, (1 + 2 / 3) / 2),
        ("TFT", 3, (1 + 2 / 3) / 3),
        ("FTT", 2, 2 / 3),  # precision 1/2 at the first, but 2/3 at a higher recall
        ("FF", 2, 0),
        ("", 2, 0),
    ],
)
def test_average_precision_of_few_finds(answers, faces, area):
    assert average_precision([ranked(answers, faces)]) == pytest.approx(area)


@pytest.mark.parametrize(("false", "right"), [(1, 9), (7, 3)])
def test_average_precision_of_false_finds_before_all_right_ones(false, right):
    """Precision only grows, to n / (k + n)."""
    assert average_precision([ranked("F" * false + "T" * right, right)]) == pytest.approx(right / (false + right))


def test_finds_are_ranked_over_all_pictures():
    good, bad = Match([3.0], [0], 1), Match([2.0, 1.0], [-1, 0], 1)
    assert average_precision([good, bad]) == average_precision([bad, good]) == pytest.approx((1 + 2 / 3) / 2)
    assert recall_precision([good, bad]) == (1, pytest.approx(2 / 3))
    assert recall_precision([good, bad], 2.5) == (0.5, 1)


def test_the_error_of_probabilities_is_weighted_by_the_finds_of_each_bin():
    right, wrong = Match([0.95] * 3 + [0.85], [0, 1, -1, 2], 4), Match([0.15], [-1], 1)
    expected = (abs(3 * 0.95 - 2) + abs(0.85 - 1) + 0.15) / 5
    assert calibration_error([right, wrong]) == pytest.approx(expected)
    assert calibration_error([Match([1.0], [0], 1)]) == 0


def test_a_face_counts_once_and_an_unclear_one_neither_way():
    face, other = Face((0, 0, 100, 100), 0, 1.0), Face((200, 0, 300, 100), 0, 1.0)
    shifted = face._replace(box=(10, 0, 110, 100), score=0.5)
    assert match([shifted, face], [face], [], is_tight) == Match([1.0, 0.5], [0, -1], 1)
    assert match([other], [face], [other], is_tight) == Match([], [], 1)


@pytest.mark.parametrize(("shift", "agrees"), [(33, True), (34, False)])
def test_boxes_agree_from_an_iou_of_a_half(shift, agrees):
    """Squares of 100 px that are shifted by a third have it: (100 - s) / (100 + s)."""
    assert is_tight(Face((0, 0, 100, 100), 0, 1.0), Face((shift, 0, shift + 100, 100), 0, 1.0)) == agrees


@pytest.mark.parametrize("kind", held_out.KINDS)
def test_held_out_pictures_are_the_same_again_and_their_faces_lie_in_them(kind):
    pictures = [held_out.draw(kind, 3, i) for i in range(6)]
    assert np.array_equal(pictures[2].pixels, held_out.draw(kind, 3, 2).pixels)
    faces = [known for picture in pictures for known in picture.faces]
    assert faces
    for known in faces:
        x0, y0, x1, y1 = known.face.box
        assert 0 <= x0 + x1 <= 2 * held_out.SIZE
        assert 0 <= y0 + y1 <= 2 * held_out.SIZE
    counts = by_difficulty(pictures, [Match([1.0], [0], len(picture.faces)) for picture in pictures])
    tilts = [there for (difficulty, _), (_, there) in counts.items() if difficulty == "tilt"]
    assert sum(tilts) == len(faces)
    assert sum(found for (difficulty, _), (found, _) in counts.items() if difficulty == "size") == sum(
        bool(picture.faces) for picture in pictures
    )


def test_a_detector_without_a_table_of_scores_has_a_row_of_all_finds(capsys):
    one = Scored([Match([5.0, 4.0], [0, -1], 2)], [], 0.0)
    print_by_score({("both", "fast"): {"scenes": one}})
    assert "| `both` | `fast` | 0 | 50.0% | 50.0% | 50.0% |" in capsys.readouterr().out


def test_scores_that_are_probabilities_have_their_error_beside_them(capsys):
    one = Scored([Match([0.9], [0], 1)], [Match([0.9], [0], 1)], 0.0)
    print_scores({(name, "fast"): {"scenes": one} for name in ("yolo", "network")})
    *_, yolo, network, _ = capsys.readouterr().out.split("\n")[:-1]
    assert yolo.endswith("| 100.0% | 0.100 | 0.00 |")
    assert network.endswith("| 100.0% |  | 0.00 |")
