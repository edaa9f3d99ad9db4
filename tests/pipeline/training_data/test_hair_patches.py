"""The training patches of the hair tagger."""

import numpy as np
import pytest

from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.canvas import Spot
from pipeline.hair.color_names import distances, shares, to_lab
from pipeline.hair.color_network import PATCH
from pipeline.manifest import HAIR_COLORS
from pipeline.training_data import hair_covers, hair_heads, hair_light, hair_patches
from pipeline.training_data.hair_heads import Head


@pytest.fixture(scope="module")
def heads() -> list[Head]:
    """Heads of both renderers."""
    return [hair_heads.draw_head(4, i, np.random.default_rng((4, i))) for i in range(8)]


def pixels_of(patch: hair_patches.TrainingPatch) -> np.ndarray:
    """CIELAB of what is hair all over its cell, (N, 3)."""
    where = np.repeat(np.repeat(patch.hair, 4, 0), 4, 1) > 220
    return to_lab(patch.picture[where] / 255)


def test_patches_are_a_function_of_their_number():
    first, again = (list(hair_patches.patches(3, 5)) for _ in range(2))
    assert all(
        np.array_equal(a, b) for one, other in zip(first, again, strict=True) for a, b in zip(one, other, strict=True)
    )
    assert not np.array_equal(first[0].picture, first[1].picture)
    for patch in first:
        assert (patch.picture.shape, patch.hair.shape) == ((64, 64, 3), (16, 16))
        assert patch.shares.sum() == pytest.approx(1, abs=1e-5)


def test_heads_are_of_both_renderers_and_their_layers_do_not_overlap(heads):
    assert {head.clothes.any() for head in heads} == {True, False}  # of scenes the clothes are not known
    for head in heads:
        assert (head.hair > 0.9).sum() > 200
        assert (head.hair * (head.ground + head.clothes)).mean() < 0.04  # they share the pixels of edges
        assert np.hypot(head.spot.x - PATCH / 2, head.spot.y - PATCH / 2) < 16


def test_plain_patches_show_the_colour_that_they_name(heads):
    rng, right, count = np.random.default_rng(0), 0, 0
    for head in heads * 8:
        patch = hair_patches.recolor(head, rng, is_plain=True)
        if patch.shares.max() > 0.9 and len(seen := pixels_of(patch)):
            nearest = distances(np.median(seen, axis=0)).argsort()
            right += int(patch.shares.argmax() == nearest[0])
            count += 1
    assert count > 40
    assert right / count > 0.9


def test_disturbed_patches_keep_most_of_the_colour(heads):
    rng, near, count = np.random.default_rng(0), 0, 0
    for head in heads * 8:
        patch = hair_patches.recolor(head, rng, is_plain=False)
        if patch.shares[:-1].max() > 0.9 and len(seen := pixels_of(patch)):
            near += distances(np.median(seen, axis=0))[patch.shares.argmax()] < 25
            count += 1
    assert near / count > 0.85


@pytest.mark.parametrize("painter", hair_covers.COVERS, ids=lambda painter: painter.__name__)
def test_no_hair_is_where_a_cover_is(painter, monkeypatch):
    monkeypatch.setattr(hair_covers, "COVERS", {painter: 1})
    color = (200, 30, 40)
    seen, opacity = hair_covers.draw_cover(np.random.default_rng(1), Spot(32, 32, 30, 5), PATCH, color)
    assert seen.shape == (PATCH, PATCH, 3)
    assert 0.01 < (opacity > 0.95).mean() < 0.6
    assert (seen.max(2) <= opacity + 0.02).all()
    assert opacity[36:40, 30:34].max() < 0.1  # the face stays free
    assert ((opacity > 0.98) | (opacity < 0.02)).mean() > 0.7


def test_covered_hair_is_not_in_the_map_and_what_is_all_covered_has_no_colour(heads, monkeypatch):
    opacity = np.zeros((PATCH, PATCH))
    opacity[:30] = 1
    monkeypatch.setattr(
        hair_patches, "draw_cover", lambda *_: (np.ones((PATCH, PATCH, 3)) * opacity[..., None], opacity)
    )
    head = heads[0]
    picture, hair = hair_patches._cover(head.picture, head.hair, head, Sampler(np.random.default_rng(0)))
    assert not hair[:30].any()
    assert np.array_equal(hair[30:], head.hair[30:])
    assert (picture[:30] == 1).all()
    opacity[:] = 1
    patches = [hair_patches.recolor(head, np.random.default_rng(i), is_plain=False) for i in range(24)]
    hidden = [patch for patch in patches if not patch.hair.any()]
    assert 4 < len(hidden) < 20
    assert all(patch.shares[-1] == 1 for patch in hidden)


def test_of_two_colours_the_larger_part_names(heads):
    sampler, head = Sampler(np.random.default_rng(2)), heads[0]
    labels = np.eye(10)[2]
    for _ in range(20):
        white = np.full((PATCH, PATCH, 3), (1000, 0, 0))  # no shade of the other colour is as light
        lab, dyed = hair_patches._dye(white, labels, np.ones((PATCH, PATCH)), head.hair, sampler)
        area = np.average(lab[..., 0] < 500, weights=head.hair)
        assert dyed.sum() == pytest.approx(1, abs=1e-5)
        if area < 0.25:
            assert dyed[2] > 0.9
        if area > 0.75:
            assert dyed[2] < 0.1 or shares(lab[lab[..., 0] < 500][0])[2] > 0.1


def test_strands_cover_the_share_that_they_say(heads):
    for i, area in enumerate((0.05, 0.2, 0.35)):
        share = hair_patches._strands(Sampler(np.random.default_rng(i)), heads[0].hair, area)
        assert (share[heads[0].hair > 0.5] > 0).mean() == pytest.approx(area, abs=0.02)


def test_light_and_media_keep_pictures_finite_and_none_has_colour_without(heads):
    for table in (hair_light.LIGHTS, hair_light.MEDIA, hair_light.COLORLESS):
        for i, effect in enumerate(table):
            seen = effect(Sampler(np.random.default_rng(i)), heads[0].picture)
            assert seen.shape == heads[0].picture.shape
            assert np.isfinite(seen).all()
    saturated = np.clip(heads[0].picture * (1, 0.2, 0.2), 0, 1)
    for seed in range(12):
        chroma = np.ptp(
            to_lab(hair_light.colorless(Sampler(np.random.default_rng(seed)), saturated))[..., 1:], axis=(0, 1)
        )
        assert chroma.max() < 45


def test_all_colours_are_taught():
    taught = {int(patch.shares.argmax()) for i in range(12) for patch in hair_patches.patches(1, i)}
    assert taught >= set(range(len(HAIR_COLORS)))
