"""Each way in which a generator can fail is planted among real faces, and has to be seen; real faces have to pass."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from models.metrics import distances, manifold, pixels
from models.metrics.memorization import _rank_tail, memorization, nearest_distances
from models.metrics.random_features import KernelDistance
from pipeline.faces.crop import Frame
from tests.support.drawn_faces import drawn_faces

pytestmark = pytest.mark.full
CPU = torch.device("cpu")
HELD_OUT = 160
FACE = Frame(1.5).box(1.0)


@pytest.fixture(scope="module")
def faces() -> tuple[np.ndarray, np.ndarray]:
    """(N, 64, 64, 3) crops of drawn faces, and the true hair colour of each."""
    pictures, colors = drawn_faces(480)
    return pictures, np.array(colors)


@pytest.fixture(scope="module")
def real(faces) -> np.ndarray:
    return faces[0][2 * HELD_OUT :]


@pytest.fixture(scope="module")
def held_out(faces) -> np.ndarray:
    return faces[0][:HELD_OUT]


@pytest.fixture(scope="module")
def others(faces) -> np.ndarray:
    """Faces that are in neither set: what a perfect generator would paint."""
    return faces[0][HELD_OUT : 2 * HELD_OUT]


def blurred(pictures: np.ndarray, sigma: float) -> np.ndarray:
    at = torch.arange(-4, 5).float()
    kernel = torch.exp(-(at**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, 9)
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    x = F.conv2d(F.pad(x, (4, 4, 0, 0), mode="replicate"), kernel, groups=3)
    x = F.conv2d(F.pad(x, (0, 0, 4, 4), mode="replicate"), kernel.mT, groups=3)
    return x.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()


def noisy(pictures: np.ndarray, levels: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (pictures + rng.normal(0, levels, pictures.shape)).round().clip(0, 255).astype(np.uint8)


COPIES = {
    "exact": lambda x: x,
    "noise of 15 levels": lambda x: noisy(x, 15),
    "blur of 1 px": lambda x: blurred(x, 1.0),
    "shift of 2 px": lambda x: np.roll(x, (2, -2), (1, 2)),
    "mirrored": lambda x: x[:, :, ::-1],
}


@pytest.mark.parametrize("kind", COPIES)
@pytest.mark.parametrize("share", [1.0, 0.2])
def test_copies_of_training_faces_are_seen(real, held_out, others, kind, share):
    count = round(share * len(others))
    fake = np.concatenate([COPIES[kind](real[:count]), others[count:]])
    found = memorization(fake, real, held_out, CPU)
    assert found["p_value"] < 1e-3
    assert found["nearer"] > 0.8 * share


def test_faces_that_were_not_trained_on_are_no_copies(real, held_out, others):
    assert memorization(others, real, held_out, CPU)["p_value"] > 0.01
    assert memorization(held_out, real, others, CPU)["p_value"] > 0.01


def test_the_p_value_is_that_of_ranks():
    """Of many draws of one distribution, the share with a p-value below a level is that level or less."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(2000):
        held_out, fake = np.sort(rng.random(200)), rng.random(300)
        found.append(_rank_tail(int((fake < held_out[1]).sum()), 300, 2, 200))
    for level in (0.01, 0.05, 0.2):
        assert 0.3 * level < np.mean(np.array(found) <= level) < 1.3 * level
    assert _rank_tail(0, 300, 2, 200) == 1


def test_a_copy_is_nearer_to_its_face_than_any_held_out_face_is(real, held_out):
    least = nearest_distances(held_out, real, CPU).min()
    for kind, copy in COPIES.items():
        assert nearest_distances(np.ascontiguousarray(copy(real[:16])), real, CPU).max() < 0.5 * least, kind


def repeated(faces: np.ndarray, count: int, total: int) -> np.ndarray:
    return np.resize(faces[:count], (total, *faces.shape[1:]))


@pytest.mark.parametrize("count", [9, 57])
def test_the_score_of_training_sees_few_faces_repeated(held_out, others, count):
    score = KernelDistance(held_out, CPU)
    floor = max(abs(score(others)), abs(score(others[::-1])))
    assert score(repeated(others, count, HELD_OUT)) > 2 * floor


def test_the_score_of_training_sees_blur_grain_and_colour(held_out, others):
    score = KernelDistance(held_out, CPU)
    floor = abs(score(others))
    assert score(blurred(others, 0.7)) > 2 * floor
    assert score(np.ascontiguousarray(others[..., ::-1])) > 2 * floor
    for worse in (grainy(others), noisy(others, 8)):  # much weaker: seen beside the same faces without it
        assert score(worse) > score(others) + 0.2 * floor
    assert score(held_out) < floor


def grainy(pictures: np.ndarray, levels: int = 6) -> np.ndarray:
    """With a checkerboard of period two."""
    side = pictures.shape[1]
    board = levels * (1 - 2 * (np.indices((side, side)).sum(0) % 2))
    return (pictures + board[..., None]).clip(0, 255).astype(np.uint8)


def test_a_skewed_palette_is_judged_by_the_palette_that_was_learned(faces):
    """Of faces of which two thirds are blonde, others of the same palette are nearer than ones of equal colours."""
    pictures, colors = faces
    blonde, rest = np.flatnonzero(colors == "blonde"), np.flatnonzero(colors != "blonde")
    assert len(blonde) >= 40
    skewed = np.concatenate([blonde[:20], rest[:10]])
    same = np.concatenate([blonde[20:40], rest[10:20]])
    equal = np.concatenate([np.flatnonzero(colors == color)[-4:] for color in np.unique(colors)])[:30]
    score = KernelDistance(pictures[skewed], CPU)
    assert score(pictures[same]) < 0.5 * score(pictures[equal])


def thumbnails(pictures: np.ndarray) -> torch.Tensor:
    """Features for tests of what is done with features: the pictures at 8 px."""
    return (
        torch.from_numpy(np.stack([np.asarray(Image.fromarray(p).resize((8, 8), 3)) for p in pictures])).flatten(1)
        / 255
    )


def test_copies_of_few_faces_are_precise_and_recall_little(real, held_out, others):
    of_real = thumbnails(real[:HELD_OUT])
    floor = manifold.fidelity_and_variety(of_real, thumbnails(others))
    few = manifold.fidelity_and_variety(of_real, thumbnails(repeated(real, 9, HELD_OUT)))
    many = manifold.fidelity_and_variety(of_real, thumbnails(repeated(others, 57, HELD_OUT)))
    far = manifold.fidelity_and_variety(of_real, thumbnails(255 - others))
    assert few["precision"] == 1
    assert few["recall"] < 0.3 * floor["recall"]
    assert few["coverage"] < 0.7 * floor["coverage"]
    assert few["coverage"] < many["coverage"] < 0.95 * floor["coverage"]
    assert few["recall"] < many["recall"] < floor["recall"]
    assert far["precision"] < 0.5 * floor["precision"]
    same = manifold.fidelity_and_variety(of_real, of_real)
    assert same["precision"] == same["recall"] == same["coverage"] == 1


def test_variety_is_1_of_real_faces_and_0_of_one_face(faces):
    pictures, colors = faces
    real = {color: pictures[:240][colors[:240] == color] for color in np.unique(colors)}
    others = {color: pictures[240:][colors[240:] == color] for color in np.unique(colors)}
    same = pixels.variety(others, real, FACE)
    assert len(same) >= 5
    assert all(0.75 < value < 1.33 for value in same.values())
    assert 0.9 < np.mean(list(same.values())) < 1.1
    one = pixels.variety({color: repeated(some, 1, 20) for color, some in others.items()}, real, FACE)
    assert max(one.values()) == 0
    assert pixels.variety({"blonde": pictures[:9]}, real, FACE) == {}


def test_variety_is_that_of_the_face_wherever_it_lies(real):
    box = (0.25, 0.5, 0.75, 1.0)
    face = (slice(None), slice(32, 64), slice(16, 48))
    same_ground, same_face = np.repeat(real[:1], 30, 0), real[:30].copy()
    same_ground[face], same_face[face] = real[:30][face], real[0][face[1:]]
    assert pixels.variety({"all": same_ground}, {"all": real[:30]}, box) == {"all": 1}
    assert pixels.variety({"all": same_face}, {"all": real[:30]}, box) == {"all": 0}


def test_grain_is_of_period_two_and_real_faces_have_none(others):
    assert pixels.grain(others) < 1.5
    assert pixels.grain(grainy(others, 2)) > 3
    assert pixels.grain(grainy(others)) > 10
    stripes = others.astype(int)
    stripes[:, :, ::2] += 6
    assert pixels.grain(stripes.clip(0, 255).astype(np.uint8)) > 5
    assert pixels.grain(noisy(others, 15)) < 1.5


def test_the_error_of_the_kernel_distance_is_that_of_its_mean():
    """Of many pairs of sets of one distribution, two thirds are within one error of 0."""
    rng = torch.Generator().manual_seed(0)
    found = [distances.kid(*(torch.randn(400, 16, generator=rng) for _ in range(2))) for _ in range(60)]
    within = sum(abs(value) < error for value, error in found) / len(found)
    assert 0.5 < within < 0.85
