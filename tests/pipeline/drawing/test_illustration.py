"""Drawn illustrations: the default pictures of BuildImageDataset."""

import itertools
from collections import Counter

import cv2
import numpy as np
import pytest

from pipeline.drawing import illustration
from pipeline.drawing.sampling import Sampler
from pipeline.images.decode import decode
from pipeline.sources import drawn
from pipeline.sources.base import LocalQuery

COUNT = 8
QUERY = LocalQuery(query=drawn.ILLUSTRATION, seed=5)


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    posts = itertools.islice(drawn.posts(QUERY, drawn.snapshot(QUERY)), COUNT)
    return [decode(post.read())[0] for post in posts]


def test_they_are_those_of_their_seed_and_number(pictures):
    assert {picture.shape for picture in pictures} == {(512, 512, 3)}
    assert len({picture.tobytes() for picture in pictures}) == COUNT
    assert np.array_equal(pictures[3], illustration.draw(5, 3))
    assert not np.array_equal(pictures[3], illustration.draw(6, 3))


def test_they_have_lines_that_a_quarter_of_the_size_loses(pictures):
    for picture in pictures:
        small = cv2.resize(picture, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        back = cv2.resize(small, (512, 512), interpolation=cv2.INTER_CUBIC)
        assert np.abs(back.astype(int) - picture).max() > 60


def test_they_show_one_person_or_several_within_the_picture():
    counts = Counter[int]()
    for i in range(40):
        people = illustration._sample_people(Sampler(np.random.default_rng(i)), (0, 10 * i), 512)
        counts[len(people)] += 1
        for _, pose in people:
            assert 0 < min(pose.center) < max(pose.center) < 512
    assert counts.keys() == illustration.PEOPLE.keys()


def test_another_version_of_their_code_is_another_snapshot_but_not_of_portraits(monkeypatch):
    before = [drawn.snapshot(LocalQuery(query=query)) for query in drawn.QUERIES]
    monkeypatch.setattr(illustration, "VERSION", "another")
    after = [drawn.snapshot(LocalQuery(query=query)) for query in drawn.QUERIES]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, True, False]
