import itertools
import random

import pyarrow as pa

from pipeline.groups import NEAR, components, group, near_pairs, split_of


def flipped(text: str, bits) -> str:
    value = int(text, 16)
    for bit in bits:
        value ^= 1 << bit
    return f"{value:016x}"


def test_near_pairs_are_exactly_those_of_comparing_all():
    random.seed(0)
    hashes = [f"{random.getrandbits(64):016x}" for _ in range(200)]
    hashes += [flipped(text, random.sample(range(64), random.randrange(1, 7))) for text in hashes]
    expected = {
        frozenset(pair) for pair in itertools.combinations(hashes, 2)
        if 0 < (int(pair[0], 16) ^ int(pair[1], 16)).bit_count() <= NEAR
    }  # fmt: skip
    assert {frozenset(pair) for pair in near_pairs(hashes)} == expected
    assert len(expected) > 50


def test_a_component_is_named_by_its_smallest_member_in_any_order_of_edges():
    edges = [("d", "c"), ("b", "a"), ("c", "b"), ("x", "x"), ("z", "y")]
    expected = {"a": "a", "b": "a", "c": "a", "d": "a", "x": "x", "y": "y", "z": "y"}
    for order in itertools.permutations(edges):
        assert components(order) == expected


def test_splits_are_about_80_10_10_and_fixed():
    splits = [split_of(f"{i:064x}") for i in range(10_000)]
    assert all(abs(splits.count(name) - share) < 100  # three standard deviations are 90 to 120
               for name, share in (("train", 8_000), ("val", 1_000), ("test", 1_000)))  # fmt: skip
    assert [split_of(name) for name in "abcd"] == [split_of(name) for name in "abcd"]


def tables(pictures: dict[str, tuple[str, list[str]]]):
    """image_id -> (hash, hashes of its crops), as the two tables that `group` takes."""
    images = pa.table({"image_id": list(pictures), "phash": [picture for picture, _ in pictures.values()]})
    rows = [(image_id, crop) for image_id, (_, crops) in pictures.items() for crop in crops]
    return pa.table({"image_id": [row[0] for row in rows], "phash": [row[1] for row in rows]}), images


def test_faces_of_one_picture_of_near_pictures_and_with_near_crops_are_one_group():
    far = [f"{0x123456789ABCDEF * 7**i % 2**64:016x}" for i in range(20)]
    faces, images = tables({
        "a": (far[0], [far[1], far[2]]),
        "b": (flipped(far[0], [5, 60]), [far[3]]),  # a near picture
        "c": (far[4], [flipped(far[3], [7])]),  # a near crop: c joins b, hence a
        "d": (far[5], [far[6]]),
    })  # fmt: skip
    grouped = group(faces, images)
    assert grouped["group"].to_pylist() == ["a", "a", "a", "a", "d"]
    assert len(set(zip(grouped["group"].to_pylist(), grouped["split"].to_pylist(), strict=True))) == 2


def test_adding_pictures_moves_no_group():
    far = [f"{0x9E3779B97F4A7C15 * (i + 1) % 2**64:016x}" for i in range(40)]
    before = group(*tables({f"{i:02}": (far[2 * i], [far[2 * i + 1]]) for i in range(10)}))
    after = group(*tables({f"{i:02}": (far[2 * i], [far[2 * i + 1]]) for i in range(20)}))
    assert after["split"].to_pylist()[:10] == before["split"].to_pylist()
