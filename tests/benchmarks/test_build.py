"""Which of the finds of a build are faces that it should find."""

from pipeline.faces.boxes import Face
from tests.benchmarks.build import count_faces


def test_a_find_counts_once_and_what_is_hidden_is_no_false_one():
    clear, hidden = Face((100, 100, 200, 200), 0.0, 1.0), Face((400, 400, 440, 440), 30.0, 1.0)
    marked = {"a.png": [(clear, True), (hidden, False)], "b.png": [(clear, True)], "c.png": []}
    found = {"a.png": [(90, 95, 220, 225), (110, 110, 190, 190), (398, 402, 442, 446)], "c.png": [[1, 2, 30, 31]]}
    assert count_faces(found, marked) == (1, 1)
