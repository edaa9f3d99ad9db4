"""The cascade and the network together: which finds count, with which box and score."""

import numpy as np
import pytest

from pipeline.faces import cascade as cascade_module
from pipeline.faces import cascade_network, detect
from pipeline.faces import network as face_network
from pipeline.faces.boxes import TURNED_ODDS, Face
from pipeline.faces.network import Candidate
from tests.pipeline.faces.test_detect import center, drawn, side, turned

PICTURE = np.zeros((300, 300, 3), np.uint8)
UPRIGHT, TURNED = Face((0, 0, 100, 100), 5.0, 20.0), Face((0, 0, 100, 100), 170.0, 60.0)


@pytest.fixture
def found(monkeypatch):
    """Return what is found if the cascade, and the network, find these; `looks` are the logits at the cascade's."""

    def find(cascade: list[Face], looks: list[float], network: list[Face]) -> list[Face]:
        monkeypatch.setattr(cascade_network, "lbpcascade", lambda *_: cascade)
        monkeypatch.setattr(face_network, "candidates", lambda *_: (Candidate(face, 0.0) for face in network))
        monkeypatch.setattr(face_network, "second_looks", lambda *_: looks)
        return cascade_network.find(PICTURE, 48, (180,), "")

    return find


def test_an_upright_face_counts_if_one_finds_it_and_a_turned_one_of_the_cascade_if_the_network_agrees(found):
    beside = Face((200, 0, 300, 100), 0.0, face_network.FACE_LOGIT)
    assert [face.box for face in found([UPRIGHT], [-2.0], [beside])] == [UPRIGHT.box, beside.box]
    best, other = detect.find_faces(PICTURE, detector="cascade_network", sweep="full", min_face=48)
    assert (best.box, other.box) == (beside.box, UPRIGHT.box)
    least = face_network.EVEN_LOGIT - cascade_network.CASCADE_LOGIT
    assert found([TURNED], [least - 0.1], []) == []
    assert [face.box for face in found([TURNED], [least + 0.1], [])] == [TURNED.box]


def test_the_score_is_a_probability_on_one_scale(found):
    """The odds grow by the same factor with each step of the logit."""
    logits = face_network.FACE_LOGIT + np.array([0, 0.5, 1])
    beside = [Face((200 * i, 0, 200 * i + 100, 100), 0.0, float(logit)) for i, logit in enumerate(logits)]
    scores = np.sort([face.score for face in found([], [], beside)])
    odds = scores / (1 - scores)
    even_to_found = face_network.FACE_LOGIT - face_network.EVEN_LOGIT
    assert odds[0] == pytest.approx(np.exp(face_network.LOGIT_SLOPE * even_to_found))
    np.testing.assert_allclose(odds[1:] / odds[:-1], np.exp(face_network.LOGIT_SLOPE / 2))
    (alone,) = found([UPRIGHT], [float(logits[1]) - cascade_network.CASCADE_LOGIT], [])
    assert alone.score == pytest.approx(scores[1])


def test_of_finds_that_overlap_the_likeliest_counts_with_the_cascades_box_if_that_agrees(found):
    sure = UPRIGHT._replace(box=(10, 10, 90, 90), score=2.0)
    (face,) = found([UPRIGHT], [0.5], [sure])
    assert (face.box, face.tilt) == (UPRIGHT.box, UPRIGHT.tilt)
    assert face.score > 0.98
    halves = [sure._replace(box=(0, 0, 45, 45)), sure._replace(box=(50, 50, 95, 95))]
    assert [face.box for face in found([UPRIGHT], [0.5], halves)] == [UPRIGHT.box]
    (face,) = found([TURNED], [0.5], [sure])  # which stands on its head
    assert (face.box, face.tilt) == (sure.box, sure.tilt)


def test_the_network_looks_once_where_it_has_looked_already(monkeypatch):
    """Also if the cascade's box lies a little beside its own, and is larger."""
    looks = []
    monkeypatch.setattr(face_network, "_second_look", lambda *of: looks.append(of) or 2.0)
    picture, _ = drawn(0, tilt=0)
    (face,) = detect.find_faces(picture, detector="cascade_network", sweep="fast", min_face=48)
    (own,) = detect.find_faces(picture, detector="network", sweep="fast", min_face=48)
    weights = str(face_network.WEIGHTS)
    before = len(looks)
    seen = list(face_network.candidates(picture, 48, (), weights))
    assert face.box != own.box
    assert before == 2 * len(seen)
    asked = [own, own._replace(tilt=own.tilt + 30), own._replace(box=(0, 0, 60, 60))]
    assert face_network.second_looks(picture, asked, weights, [Candidate(own, 0.5)]) == [0.5, 2.0, 2.0]


def test_a_turned_face_needs_more_windows_and_a_higher_logit(monkeypatch, cascade):
    """As many more as make up for TURNED_ODDS."""
    counts = {0.0: 16, 90.0: 37}  # tilt -> windows

    def windows(pyramid, views, find):
        tilt = views[len(views) // 2].angle
        return np.tile((50.0, 50.0, 60.0, tilt, 1.0), (counts[tilt], 1))

    def refined(tilt: float) -> list[Face]:
        return cascade_module._refine(None, Face((20, 20, 80, 80), tilt, 1.0), None, (-15, 0, 15), 16)

    monkeypatch.setattr(cascade_module, "sweep", windows)
    assert [face.score for face in refined(0.0)] == [16]
    assert refined(90.0) == []
    counts[90.0] = 38
    (face,) = refined(90.0)
    assert (38 / face.score) ** cascade_module.WINDOWS_POWER == pytest.approx(1 / TURNED_ODDS)
    lowered = np.exp(-face_network.LOGIT_SLOPE * face_network.handicap(TURNED))
    assert (lowered, face_network.handicap(UPRIGHT)) == (pytest.approx(TURNED_ODDS), 0)


@pytest.mark.full
def test_full_finds_a_drawn_face_at_any_angle_and_each_once():
    for i in range(4):
        angle = 80 * i + 60
        picture, truth = turned(*drawn(i, tilt=0), angle)
        (face,) = detect.find_faces(picture, detector="cascade_network", sweep="full", min_face=48)
        assert np.hypot(*(center(face) - truth)) < 0.25 * side(face)
        assert abs((face.tilt - angle + 180) % 360 - 180) < 20
        assert 0.5 < face.score < 1
