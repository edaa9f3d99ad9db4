"""How good a translation is: figures that must say what became of the faces."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models import translation_evaluation as evaluation
from models.evaluation import Extractor, extract_features
from models.metrics.lpips import LPIPS
from models.translation_evaluation import Domain, eyes_kept

CPU, SIZE = torch.device("cpu"), 32
LEVELS = {"blue": 60, "red": 190}  # the grey level of pictures of each domain


def faces(name: str, seed: int, count: int = 24) -> np.ndarray:
    """Pictures (N, S, S, 3) round the level of a domain."""
    rng = np.random.default_rng(seed)
    return rng.integers(LEVELS[name] - 40, LEVELS[name] + 40, (count, SIZE, SIZE, 3), np.uint8)


def eyes(pictures: np.ndarray) -> np.ndarray:
    """Return eyes that can be read, at one place, unless the first pixel is black."""
    found = np.tile(np.array([[10.0, 16.0], [22.0, 16.0]]), (len(pictures), 1, 1))
    found[pictures[:, 0, 0, 0] == 0] = np.nan
    return found


def hair(pictures: np.ndarray) -> list[str | None]:
    return ["blue" if level < 125 else "red" for level in pictures.mean((1, 2, 3))]


FEATURES = Extractor(lambda x: torch.cat([x.mean((2, 3)), x.std((2, 3))], dim=1), 6, "")


def maps(x: torch.Tensor) -> list[torch.Tensor]:
    """Return maps of as many channels as VGG16's five blocks."""
    small = torch.nn.functional.avg_pool2d(x, 8)
    both = torch.cat([small, 1 - small], 1).repeat(1, 86, 1, 1)
    return [both[:, :channels] for channels in (64, 128, 256, 512, 512)]


def domain(name: str, *seeds: int) -> Domain:
    train, held_out = (faces(name, seed) for seed in seeds)
    both = tuple(extract_features(part, FEATURES, CPU) for part in (train, held_out))
    return Domain(name, train, held_out, lambda extractor: both, eyes, hair)


class Fake:
    """A translator that gives references back (good), or the faces as they are (bad); the third output is black."""

    is_gray = (False, False)

    def __init__(self, *, good: bool, ways: tuple[str, ...] = ("",)) -> None:
        self.domains, self.good, self.ways = tuple(LEVELS), good, ways

    def translate(self, pictures, target, way, references, seed):
        if not self.good:
            return pictures
        made = references[np.random.default_rng(seed).integers(len(references), size=len(pictures))]
        made[2] = 0
        return made


@pytest.fixture(scope="module")
def domains() -> list[Domain]:
    return [domain("blue", 0, 1), domain("red", 2, 3)]


@pytest.fixture(scope="module")
def tools(domains) -> evaluation.Tools:
    classifier = evaluation.DomainClassifier(
        [evaluation.with_colors(each.features(FEATURES)[0], torch.from_numpy(np.array(each.train))) for each in domains]
    )
    return evaluation.Tools({"vgg16": FEATURES}, classifier, LPIPS(maps), CPU)


def measure(domains, tools, **how) -> dict:
    return evaluation.measure_translations(Fake(**how), domains, tools, samples=20, seed=0)


def test_faces_of_the_target_are_judged_so_and_faces_as_they_were_are_not(domains, tools):
    good, bad = (measure(domains, tools, good=is_good) for is_good in (True, False))
    assert set(good["directions"]) == {"blue to red", "red to blue"}
    assert (good["judged_target"], bad["judged_target"], good["judged_target_floor"]) == (
        pytest.approx(0.95, abs=0.03),  # the black one is blue's
        0,
        1,
    )
    assert (good["directions"]["blue to red"]["hair_turned"], bad["hair_turned"]) == (0.95, 0)
    assert good["hair_turned_floor"] == 1
    assert good["kid_vgg16_128"] < bad["kid_vgg16_128"]
    assert "lpips" not in good  # one output is no variety
    assert (good["samples"], good["directions"]["red to blue"]["samples"]) == (40, 20)


def test_eyes_that_a_translation_loses_are_counted_apart(domains, tools):
    good, bad = (measure(domains, tools, good=is_good) for is_good in (True, False))
    assert [good[name] for name in ("eyes_read", "eyes_lost", "eyes_hidden", "eyes_kept", "tilt_change")] == [
        38,
        2,
        0,
        1,
        0,
    ]
    assert (bad["eyes_read"], bad["eyes_lost"]) == (40, 0)


def test_of_other_domains_hair_has_to_stay_as_it_was(domains, tools):
    styles = [replace(each, name=name) for each, name in zip(domains, ("character", "icon"), strict=True)]
    good, bad = (measure(styles, tools, good=is_good) for is_good in (True, False))
    assert bad["hair_kept"] == 1
    assert good["hair_kept"] < 0.1
    assert (bad["hair_named"], "hair_turned" in bad) == (40, False)
    gray = [replace(styles[0], is_gray=True), styles[1]]
    assert "hair_kept" not in measure(gray, tools, good=True)


def test_ten_outputs_are_as_different_as_what_they_are_made_of(domains, tools):
    ways = ("latent", "reference")
    good, bad = (measure(domains, tools, good=is_good, ways=ways) for is_good in (True, False))
    for suffix in ("", "_reference"):
        assert bad[f"lpips{suffix}"] == 0
        assert good[f"lpips{suffix}"] > 0
        assert good[f"lpips_floor{suffix}"] > 0


def test_variety_is_measured_of_some_faces_and_what_is_known_of_real_ones_once(domains, tools, monkeypatch):
    counts: dict[str, list[int]] = {"translate": [], "hair": [], "eyes": []}

    class Counting(Fake):
        def translate(self, pictures, *arguments, **more):
            counts["translate"].append(len(pictures))
            return super().translate(pictures, *arguments, **more)

    def counted(name: str, judge):
        return lambda pictures: [counts[name].append(len(pictures)), judge(pictures)][1]

    known = [replace(each, hair=counted("hair", hair), eyes=counted("eyes", eyes)) for each in domains]
    evaluation.measure_translations(Counting(good=True, ways=("latent", "reference")), known, tools, 20, 0)
    assert counts["translate"] == 4 * ([20] + [evaluation.MAX_DIVERSE] * evaluation.OUTPUTS)
    assert sorted(counts["hair"]) == 4 * [20] + 2 * [24]  # of each translation, and of each domain's held-out faces
    assert counts["eyes"] == 2 * [20] + 4 * [20]


def test_a_sheet_has_a_row_for_each_face_and_direction(domains):
    for ways, columns in (("",), 2), (("latent", "reference"), 7):
        sheet = evaluation.sheet(Fake(good=True, ways=ways), domains, 0)
        assert sheet.shape == (2 * (evaluation.SHOWN * SIZE + 16), columns * SIZE, 3)


def test_eyes_may_move_by_a_twentieth_of_the_width_and_turns_are_measured():
    before = np.tile(np.array([[20.0, 50.0], [80.0, 50.0]]), (4, 1, 1))
    after = before.copy()
    after[0] += 4.9, 0
    after[1, 1] += 0, 5.1
    after[2] = (50, 20), (50, 80)  # by 90°
    after[3, 0] = np.nan
    found = eyes_kept(before, after, 100)
    assert (found["eyes_read"], found["eyes_lost"], found["eyes_kept"]) == (3, 1, pytest.approx(1 / 3))
    assert found["tilt_change"] == pytest.approx((np.degrees(np.arctan2(5.1, 60)) + 90) / 3)
    nothing = eyes_kept(after[3:], before[3:], 100)
    assert (nothing["eyes_hidden"], nothing["eyes_lost"], nothing["eyes_kept"]) == (1, 0, None)
