"""Faces that do not lie in the middle of their crops: hair and eyes are looked for where the frame says."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from models.evaluation import judge_ceiling
from pipeline.faces.boxes import Face
from pipeline.faces.crop import Frame, crop
from pipeline.hair import tagging
from pipeline.sources.drawn import draw
from tests.support.run_luigi import BUILT, luigi
from tests.support.untrained_run import untrained_run
from workflows import EvaluateGAN, LearnAttributes
from workflows.domains import eyes

SIZE = 96
ASIDE = Frame.of_box(0.05, 0.4, 0.6, 0.95)
MIDDLE = Frame(ASIDE.box_scale)
ELSEWHERE = Frame.of_box(0.6, 0, 0.95, 0.35)  # beside the faces of ASIDE


def crops(frame: Frame, count: int = 12) -> np.ndarray:
    """Return (N, SIZE, SIZE, 3) uint8: drawn faces, cut with that frame."""
    found = []
    for number in range(count):
        picture, truth = draw(3, number)
        face, pixels = Face(truth.face_box, truth.tilt, 1.0), np.asarray(picture.convert("RGB"))
        found.append(crop(pixels, face, size=SIZE, box_scale=frame.box_scale, offset=frame.offset))
    return np.stack(found)


def test_eyes_are_found_where_the_frame_says():
    middle, aside = eyes(crops(MIDDLE), MIDDLE), eyes(crops(ASIDE), ASIDE)
    read = np.isfinite(middle).all((1, 2)) & np.isfinite(aside).all((1, 2))
    assert read.mean() > 0.7
    moved = (aside - middle)[read] / SIZE
    assert np.abs(moved - np.array(ASIDE.offset)).max() < 0.03
    missed = np.abs(eyes(crops(ASIDE), ELSEWHERE) - aside) / SIZE
    assert not (missed < 0.03).any()


def test_hair_is_found_where_the_frame_says():
    middle, aside, missed = (
        tagging.names(crops(where), frame) for where, frame in ((MIDDLE, MIDDLE), (ASIDE, ASIDE), (ASIDE, ELSEWHERE))
    )
    right, wrong = (np.mean([a == b for a, b in zip(middle, each, strict=True)]) for each in (aside, missed))
    assert right >= 0.9
    assert wrong < 0.6


@pytest.fixture(scope="module")
def framed(built, tmp_path_factory) -> Path:
    """A dataset of such crops, of faces that were found before, and a run on it."""
    place = tmp_path_factory.mktemp("framed")
    shutil.copytree(built / "data", place / "data", symlinks=True)
    box = ",".join(f"{at:g}" for at in (0.05, 0.4, 0.6, 0.95))
    luigi(place, "BuildFaceDataset", *BUILT, "--size", "64", "--frame", box)
    untrained_run(place / "data", "gan", "dcgan96")
    return place


@pytest.mark.full
def test_evaluation_and_attributes_look_where_the_runs_dataset_says(framed):
    options = {"run": "gan", "data_root": framed / "data"}
    evaluation, learning = EvaluateGAN(**options), LearnAttributes(**options)
    assert evaluation.frame == evaluation.frame_of_dataset == learning.frame == pytest.approx(ASIDE)
    pictures = evaluation.faces.pixels("train", 64)
    colors = evaluation.faces.split("train")["hair_color"].to_pylist()

    def ceiling(frame: Frame) -> float:
        return judge_ceiling(lambda faces: tagging.names(faces, frame), pictures, colors)["hair_ceiling"]

    assert ceiling(evaluation.frame_of_dataset) >= 0.9
    assert ceiling(ELSEWHERE) < 0.7
    by_pixels, *_ = learning.labellers(None)[0]
    right = [f"{color}_hair" in found for color, found in zip(colors, by_pixels(pictures), strict=True) if color]
    assert np.mean(right) >= 0.9
    assert evaluation.reference((), "cpu").face == pytest.approx((0.05, 0.4, 0.6, 0.95))
