"""Faces that blink in the page: as AnimateBlink has them, frame by frame."""

from typing import Any

import numpy as np
import pytest

from models.runs import export, onnx_networks
from models.sampling import animation, motion
from models.seeds import seed_for
from pipeline.faces import landmarks, upright
from pipeline.faces.boxes import Face
from pipeline.faces.views import Pyramid
from pipeline.sources.drawn import draw
from tests.support.page_engine import engine_of
from workflows import shipped_graphs
from workflows.animation import CLOSED
from workflows.base.from_run import shipped_network

SECONDS = 3.0
PICTURE = np.asarray(draw(5, 1)[0])
FACE = Face((107.1, 122.4, 274.2, 289.5), -8.0, 2.4)
LEVELS = 2  # grey levels by which frames may differ


@pytest.fixture(scope="module")
def network() -> Any:
    return export.load_network(shipped_network("blink"))


@pytest.fixture(scope="module")
def engine(network):
    found = shipped_graphs._landmarks(landmarks.FINDERS["network"].asset)
    return engine_of({"blink": onnx_networks.blinking(network), "landmarks": found})


def blink(js, engine, picture: np.ndarray, *faces: Face) -> dict[str, Any]:
    """Return what the page makes, with all frames: each the part that changes."""
    call = """async (e, picture, faces, seeds, seconds) => {
      const { generatorOf } = await load("vision/numpy.js");
      const { partsOf } = await load("vision/animation.js");
      const options = { seconds, faces, generatorOf: (face) => generatorOf(BigInt(seeds[face])) };
      const made = await m.blink(e, picture, options);
      return { ...made, parts: made.patches.length ? [...partsOf(picture, made.patches, made.shown)] : [] };
    }"""
    seeds = [str(seed_for("blinks", 0, number)) for number in range(len(faces))]
    return js("vision/blinking.js", call, engine, picture, [face._asdict() for face in faces], seeds, SECONDS)


def animated(network, flat: np.ndarray, face: Face, number: int) -> tuple[list[animation.Patch], np.ndarray]:
    """Return the patches of a face, and the states that are shown, as AnimateBlink makes them."""
    view = upright.view_of(face)
    crop = Pyramid(flat).show(view)
    box = upright.face_box(len(crop), upright.BOX_SCALE)
    (found,) = landmarks.find(crop, [Face(box, 0.0, 1.0)])
    left, right, openness = upright.seen_eyes(found, CLOSED)
    states = motion.natural(SECONDS, 0, number)
    made = animation.animate_eyes(network, animation.Eyes(crop, box, left, right, openness), states, "mask")
    inside = [animation.into_picture(flat, crop, patch, view.to_picture()) for patch in made]
    return [patch for patch in inside if patch is not None], states.shown


@pytest.mark.parametrize("seed", range(4))
def test_motion_of_a_seed_is_that_of_the_command(js, seed):
    call = "async (seed) => m.natural(9, (await load('vision/numpy.js')).generatorOf(BigInt(seed)))"
    found = js("vision/motion.js", call, str(seed_for("blinks", seed, 1)))
    wanted = motion.natural(9, seed, 1)
    assert found["openness"] == pytest.approx(wanted.openness)
    assert found["shown"] == wanted.shown.tolist()
    assert len(found["openness"]) > 2


def test_random_numbers_are_numpys(js):
    for seed in (0, 1, 2**32 + 5, 2**63 - 1):
        call = """(seed) => {
          const { integer, share, uniform } = m.generatorOf(BigInt(seed));
          return [integer(2, 4), share(), integer(0, 1000), integer(3, 5), uniform(1, 5)];
        }"""
        rng = np.random.default_rng(seed)
        wanted = [rng.integers(2, 4), rng.random(), rng.integers(0, 1000), rng.integers(3, 5), rng.uniform(1, 5)]
        assert js("vision/numpy.js", call, str(seed)) == [float(value) for value in wanted]


@pytest.mark.parametrize("kind", ["coloured", "grey", "clear"])
def test_frames_are_those_of_the_command(js, engine, network, kind):
    flat = picture = PICTURE
    if kind == "grey":
        luma = PICTURE @ np.array([0.299, 0.587, 0.114])
        flat = picture = np.stack([luma, luma, 0.95 * luma], 2).astype(np.uint8)
    if kind == "clear":
        alpha = np.where(np.arange(PICTURE.shape[1]) < 190, 140, 255).astype(np.uint8)
        picture = np.dstack([PICTURE, np.broadcast_to(alpha, PICTURE.shape[:2])])
        flat = np.array(255 - (255 - PICTURE.astype(float)) * alpha[:, None] / 255 + 0.5).astype(np.uint8)
    made = blink(js, engine, picture, FACE)
    patches, shown = animated(network, flat, FACE, 0)
    if kind == "clear":
        patches = [animation.with_alpha(patch, picture) for patch in patches]
    assert [face["problem"] for face in made["faces"]] == [None]
    assert [tuple(patch["box"]) for patch in made["patches"]] == [patch.box for patch in patches]
    assert len(patches) == 2
    for mine, patch in zip(made["patches"], patches, strict=True):
        for frame, wanted in zip(mine["frames"], patch.frames, strict=True):
            assert np.abs(frame.astype(int) - wanted).max() <= (LEVELS if kind != "clear" else 2 * LEVELS)
    frames, time = picture.copy(), 0
    for part in made["parts"]:
        x, y = part["corner"]
        height, width = part["picture"].shape[:2]
        frames[y : y + height, x : x + width] = part["picture"]
        wanted = animation.show(picture, patches, [shown[time]] * len(patches))
        is_eye = np.zeros(picture.shape[:2], bool)
        for x0, y0, x1, y1 in (patch.box for patch in patches):
            is_eye[y0:y1, x0:x1] = True
        assert (frames[~is_eye] == picture[~is_eye]).all()
        assert np.abs(frames.astype(int) - wanted).max() <= (LEVELS if kind != "clear" else 2 * LEVELS)
        assert (frames[is_eye] == picture[is_eye]).all() == (shown[time] == 0)
        time += part["times"]
    assert time == len(shown)


def test_hidden_closed_and_outer_eyes(js, engine):
    blank = np.full((200, 200, 3), 240, np.uint8)
    outside = Face((-900.0, 0.0, -800.0, 100.0), 0.0, 1.0)
    found = blink(js, engine, blank, Face((50.0, 50.0, 150.0, 150.0), 0.0, 1.0), outside)
    assert found["patches"] == found["parts"] == []
    assert all(face["problem"] in ("hidden", "closed", "outside") for face in found["faces"])
