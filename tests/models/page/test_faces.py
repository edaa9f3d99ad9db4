"""Faces that the page finds and cuts: those of the pipeline."""

import numpy as np
import pytest
from PIL import Image

from pipeline.faces import crop, landmarks
from pipeline.faces import network as face_network
from pipeline.faces.boxes import Face
from pipeline.hair.color_network import color_scores
from pipeline.hair.tagging import name as hair_name
from pipeline.sources.drawn import draw
from tests.support.page_engine import engine_of
from workflows import shipped_graphs

LEANING = draw(5, 0)[0].rotate(-35, Image.Resampling.BICUBIC, expand=True, fillcolor="white")
PICTURES = [np.asarray(picture) for picture in (draw(5, 1)[0], LEANING)]
FACES = [Face((104.12, 120.68, 272.74, 289.3), -9.8, 2.2), Face((266.88, 356.43, 488.75, 578.3), 38.6, 2.8)]
CUTS = [
    {"size": 64, "box_scale": 2.0},
    {"size": 128, "box_scale": 1.5, "rotation": 10.0, "offset": (0.05, -0.1)},
    {"size": 20, "box_scale": 1.5},  # of a picture that is reduced first
    {"size": 8, "box_scale": 3.0, "rotation": -70.0},  # the same, far beyond its edge
]


@pytest.fixture(scope="module")
def engine():
    """The shipped networks."""
    files = {name: str(path) for name, path in shipped_graphs.weights().items()}
    makers = {
        "face_detector": shipped_graphs._face_detector,
        "landmarks": shipped_graphs._landmarks,
        "hair_colors": shipped_graphs._hair_colors,
    }
    return engine_of({name: make(files[name]) for name, make in makers.items()})


def check_faces(js, engine, picture: np.ndarray, turns: tuple[int, ...] = (0,)) -> list[Face]:
    """Both find the same: boxes within 0.05 px, tilts within 0.1 degrees, scores within 0.01."""
    angles = (180,) if len(turns) > 1 else ()
    wanted = face_network.find(picture, 48, angles, str(face_network.WEIGHTS))
    found = js("vision/detector.js", "(e, p, turns) => m.findFaces(e, p, { turns })", engine, picture, turns)
    assert len(found) == len(wanted)
    for mine, face in zip(found, wanted, strict=True):
        assert mine["box"] == pytest.approx(face.box, abs=0.05)
        assert mine["tilt"] == pytest.approx(face.tilt, abs=0.11)
        assert mine["score"] == pytest.approx(face.score, abs=0.01)
    return wanted


@pytest.mark.parametrize("number", [0, 1])
def test_the_same_faces_are_found(js, engine, number):
    (face,) = check_faces(js, engine, PICTURES[number])
    assert face.box == pytest.approx(FACES[number].box, abs=0.1)


@pytest.mark.full
def test_faces_that_stand_on_their_head_and_several_in_a_large_picture(js, engine):
    upside_down = np.ascontiguousarray(PICTURES[0][::-1, ::-1])
    assert len(check_faces(js, engine, upside_down, (0, 90, 180, 270))) == 1
    sheet = np.full((1400, 2200, 3), 255, np.uint8)
    for i in range(6):
        small = draw(5, i)[0].resize((640, 640))
        top, left = 20 + 680 * (i // 3), 40 + 700 * (i % 3)
        sheet[top : top + 640, left : left + 640] = small
    assert len(check_faces(js, engine, sheet)) == 6


def test_a_picture_without_a_face_and_a_tiny_one(js, engine):
    for size in ((1, 1), (50, 72), (200, 120)):
        assert check_faces(js, engine, np.full((*size, 3), 90, np.uint8)) == []


@pytest.mark.parametrize("number", [0, 1])
def test_landmarks_are_the_same(js, engine, number):
    (wanted,) = landmarks.find(PICTURES[number], FACES[number : number + 1])
    call = "async (e, p, f) => m.findLandmarks(e, new (await load('vision/view.js')).Pyramid(p), f)"
    found = js("vision/landmarks.js", call, engine, PICTURES[number], FACES[number]._asdict())
    for mine, value in zip(found.values(), wanted, strict=True):
        assert mine == pytest.approx(value, abs=0.02)


@pytest.mark.parametrize("how", CUTS)
@pytest.mark.parametrize("number", [0, 1])
def test_crops_are_within_a_level(js, number, how):
    face = FACES[number]._asdict()
    options = {"boxScale": how["box_scale"]} | {key: value for key, value in how.items() if key != "box_scale"}
    found = js("vision/crop.js", "cropFace", PICTURES[number], face, options)
    wanted = crop.crop(PICTURES[number], FACES[number], **how)
    assert np.abs(found.astype(int) - wanted).max() <= 1
    frame = crop.Frame(how["box_scale"], *(0.5 + part for part in how.get("offset", (0, 0))))
    view = crop.view_of_crop(FACES[number], size=how["size"], frame=frame, rotation=how.get("rotation", 0))
    mine = js("vision/crop.js", "viewOfCrop", face, options)
    assert (*mine["center"], mine["step"], mine["angle"]) == pytest.approx((*view.center, view.step, view.angle))


def test_a_crop_at_the_edge_repeats_it(js):
    face = Face((-40.0, -30.0, 60.0, 70.0), 0.0, 1.0)
    found = js("vision/crop.js", "(p, f) => m.cropFace(p, f, { size: 48, boxScale: 1.5 })", PICTURES[0], face._asdict())
    assert np.abs(found.astype(int) - crop.crop(PICTURES[0], face, size=48, box_scale=1.5)).max() <= 1


@pytest.mark.parametrize("number", [0, 1])
def test_hair_has_the_same_colour(js, engine, number):
    scores = color_scores(PICTURES[number], FACES[number])
    found = js("vision/hair.js", "hairColor", engine, PICTURES[number], FACES[number]._asdict())
    assert [*found["shares"].values()][:-1] == pytest.approx(scores, abs=0.002)
    assert found["name"] == hair_name(scores)
    assert found["name"] is not None
