"""Pairs of pictures of which one is a copy of the other: sketches propose them, aligned pixels confirm them.

A copy may be recompressed, resized, mirrored, cropped by a few % of each side, or shifted in colour as a whole. Only
a cached thumbnail of each picture is compared: a new picture costs one decoding.
"""

import base64
import functools
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from pipeline.images.collect import VERSION as images_version
from pipeline.images.decode import MAX_SHRINK, load_reduced
from pipeline.later_work import Work
from pipeline.parallel import cached_map
from pipeline.store import Store

logger = logging.getLogger("luigi-interface")

VERSION = 2
SIDE = 48  # px of a thumbnail: at 32, one cropped copy in 50 is not aligned any more
DCT_TERMS = 8  # so many DCT terms each way make a sketch; finer ones do not survive a crop
MIN_SKETCH_COSINE = 0.84  # cosine of the sketches of copies, at least; 1 of 200 cropped by up to 5 % a side have less
MAX_CANDIDATES = 16  # candidates that are looked at for a picture and for its mirror image, the most similar first
_SUMMARY_SHAPE = {
    "thumbnail": re.compile("iVBORw0KGgo[A-Za-z0-9+/]+={0,2}"),
    "sketch": re.compile("[A-Za-z0-9+/]{86}=="),
}
"""The shape of what `summarize` returns: a PNG, and DCT_TERMS² bytes."""
PROBED_CELLS = 24  # cells that are searched for the neighbours of one sketch; see `candidates`
SKETCH_LENGTH = 127  # length of a sketch, which is of 8-bit integers: sums of their products are exact in any order
PAIRS_AT_ONCE = 64  # that a worker compares, in 0.1 s; fewer are compared without one
MIN_CORRELATION = 0.92  # correlation of copies' brightness, at least; 0.98 and more but where colours are clipped
MIN_GREY_CORRELATION = 0.97  # the same, if there is no colour to compare
MAX_RECOLORED_SHARE = 0.06  # share of pixels of copies that are not recoloured as the others are, at most
RECOLOR_DISTANCE = 27  # least distance (chroma is 0 to 255) of a recoloured pixel from its colour after the shift …
RECOLOR_DISTANCE_SD = 1.0  # … or by as many standard deviations, where all colours are pale, if that is less
_UNCLIPPED_RANGE = (14, 241)  # channels beyond that may have been clipped: they do not tell how a colour was shifted


def find_copies(files: dict[str, Path], what: str, store: Store, *, jobs: int = 0) -> Iterator[tuple[str, str]]:
    """Yield the pairs of keys of `files` that hold the same picture. A key identifies the file's content; `what` names
    the files in the progress bar."""
    keys = sorted(files)
    with (
        store.memory(SKETCHING.cache, _SUMMARY_SHAPE) as thumbnails,
        store.memory(f"copies/{images_version}.{VERSION}", bool) as compared,
    ):
        row = {key: index for index, key in enumerate(keys)}
        sketches = np.zeros((len(keys), DCT_TERMS * DCT_TERMS), np.int8)
        for key, seen in cached_map(thumbnails, _summarize_file, files.items(), what=f"sketching {what}", jobs=jobs):
            if seen is None:
                logger.warning("%s: not enough memory to look for its copies", files[key].name)
                continue
            sketches[row[key]] = np.frombuffer(base64.b64decode(seen["sketch"]), np.int8)
        thumbnails.flush()

        @functools.lru_cache(4096)  # a picture is in several pairs
        def thumbnail(key: str) -> str:
            text = thumbnails.get(key)["thumbnail"]
            return text if _is_thumbnail(text) else _summarize_file(files[key])["thumbnail"]

        def thumbnails_of(pair: str) -> tuple[str, ...]:
            return tuple(map(thumbnail, pair.split(" ")))

        names = (f"{keys[a]} {keys[b]}" for a, b in candidates(sketches))
        pairs = ((name, name) for name in names)
        for key, is_copy in cached_map(
            compared, confirm, pairs, what=f"comparing {what}", jobs=jobs, chunk=PAIRS_AT_ONCE, prepare=thumbnails_of
        ):
            if is_copy:
                first, second = key.split(" ")
                yield first, second


def summarize(pixels: np.ndarray) -> dict[str, str]:
    """Return the thumbnail, SIDE × SIDE px whatever the picture's shape (a crop changes that), as PNG, and the sketch
    of a picture, decoded at up to 1 / MAX_SHRINK of its size; both in Base64."""
    small = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    thumbnail, ours = cv2.imencode(".png", small)[1].tobytes(), sketch(small.astype(np.float32)).tobytes()
    return {"thumbnail": base64.b64encode(thumbnail).decode(), "sketch": base64.b64encode(ours).decode()}


SKETCHING = Work(f"thumbnails/{images_version}.{VERSION}", summarize)
"""Its results' keys are those of `find_copies`."""


def _summarize_file(file: Path) -> dict[str, str]:
    return summarize(load_reduced(file, MAX_SHRINK).pixels)


def decode_thumbnail(text: str) -> np.ndarray:
    """Return the thumbnail, (SIDE, SIDE, 3) float32, 0 to 255. Raise ValueError if it is damaged."""
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError("not a picture")
    return pixels.astype(np.float32)


def _is_thumbnail(text: str) -> bool:
    """Return whether a cached thumbnail is whole."""
    try:
        return decode_thumbnail(text).shape == (SIDE, SIDE, 3)
    except (ValueError, cv2.error):
        return False


def _brightness(pixels: np.ndarray) -> np.ndarray:
    """Return luma and lightness of (…, 3) pixels, (2, …), 0 to 255: a hue shift changes one of them, but never both."""
    luma = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    low, high = _extremes(pixels)
    return np.stack([luma, (low + high) / 2])


def _extremes(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest channel of (…, 3) pixels. NumPy's reduction of so short an axis is slow."""
    red, green, blue = np.moveaxis(pixels, -1, 0)
    return np.minimum(np.minimum(red, green), blue), np.maximum(np.maximum(red, green), blue)


def sketch(pixels: np.ndarray) -> np.ndarray:
    """Return the lowest DCT terms of the brightness, int8 of length SKETCH_LENGTH; zeros for a picture of one
    brightness.

    Terms are weighted by the root of their frequency, as pictures have less of the higher."""
    low = cv2.dct(_brightness(pixels).mean(0))[:DCT_TERMS, :DCT_TERMS] * _frequency_weights()
    length = np.linalg.norm(low)
    scale = SKETCH_LENGTH / length if length > SIDE else 0  # SIDE: 1 grey level rms
    return np.rint(low.ravel() * scale).astype(np.int8)


@functools.cache
def _frequency_weights() -> np.ndarray:
    y, x = np.mgrid[:DCT_TERMS, :DCT_TERMS]
    return np.sqrt(np.hypot(y, x)).astype(np.float32)  # the mean's is 0


def mirror(sketches: np.ndarray) -> np.ndarray:
    """Return the sketches of the mirror images: every other cosine is odd."""
    return sketches * np.resize(np.array([1, -1], np.int8), DCT_TERMS * DCT_TERMS)


def candidates(sketches: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield (row, higher row) of sketches that may be of one picture, in order.

    Up to 2^15 different sketches, every pair is looked at. More are sorted into cells, each round one of them, and only
    the PROBED_CELLS nearest cells are searched: of a million, 98 of 100 planted copies are proposed (tests/benchmarks),
    and most of the others are not MIN_SKETCH_COSINE."""
    different, first, which = np.unique(sketches, axis=0, return_index=True, return_inverse=True)
    is_blank = np.asarray(~different.any(1))
    rows = np.argsort(which.ravel(), kind="stable")
    rows = rows[~is_blank[which.ravel()[rows]]]
    found = [np.zeros((0, 2), np.int32)]
    for apart in range(1, MAX_CANDIDATES + 1):  # of those that have the same sketch, each with MAX_CANDIDATES before it
        pairs = np.column_stack([rows[:-apart], rows[apart:]]).astype(np.int32)
        found.append(pairs[which.ravel()[pairs[:, 0]] == which.ravel()[pairs[:, 1]]])
    different, first = different[~is_blank], first[~is_blank].astype(np.int32)
    if len(different):
        found += [np.sort(first[block], axis=1) for block in _similar_pairs(different)]
    pairs = np.unique(np.concatenate(found), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    for at in range(0, len(pairs), 1 << 16):
        yield from map(tuple, pairs[at : at + (1 << 16)].tolist())


def _similar_pairs(sketches: np.ndarray, block: int = 1 << 15) -> Iterator[np.ndarray]:
    """Yield (pairs, 2) rows: the first, or its mirror image, is like the second; at most MAX_CANDIDATES of each."""
    count = len(sketches)
    cells = 1 if count <= 1 << 15 else 2 * int(count**0.5)
    centers = sketches[:: -(-count // cells)].astype(np.float32)  # they are sorted: so of all kinds
    home = np.concatenate(
        [(sketches[at : at + block].astype(np.float32) @ centers.T).argmax(1) for at in range(0, count, block)]
    )
    members = np.split(np.argsort(home, kind="stable"), np.cumsum(np.bincount(home, minlength=len(centers)))[:-1])
    for at in range(0, count, block):
        for queries in (sketches[at : at + block], mirror(sketches[at : at + block])):
            pairs = _nearest_pairs(queries.astype(np.float32), sketches, centers, members)
            pairs[:, 0] += at
            yield pairs


def _nearest_pairs(queries: np.ndarray, sketches: np.ndarray, centers: np.ndarray, members: list) -> np.ndarray:
    """Return (pairs, 2): row of `queries`, row of `sketches`."""
    probes = min(PROBED_CELLS, len(centers))
    number = np.arange(len(centers), dtype=np.int32)  # 32 bits hold it up to 130,000 cells
    distance = (-(queries @ centers.T)).astype(np.int32) * np.int32(len(centers)) + number  # without ties
    nearest = np.argpartition(distance, probes - 1, axis=1)[:, :probes]
    order = np.argsort(nearest.ravel(), kind="stable")
    starts = np.searchsorted(nearest.ravel()[order], np.arange(len(centers) + 1))
    found = [np.zeros((0, 3), int)]
    for cell, inside in enumerate(members):
        asking = order[starts[cell] : starts[cell + 1]] // probes
        there = sketches[inside].astype(np.float32)
        for rows in np.array_split(asking, 1 + len(asking) * len(inside) // 2**21):  # 8 MB at a time
            likeness = queries[rows] @ there.T
            is_like = likeness >= MIN_SKETCH_COSINE * SKETCH_LENGTH**2
            for row in np.flatnonzero(np.count_nonzero(is_like, axis=1) > MAX_CANDIDATES + 1):
                is_like[row, np.argsort(-likeness[row], kind="stable")[MAX_CANDIDATES + 1 :]] = False
            y, x = np.divmod(np.flatnonzero(is_like), max(len(inside), 1))
            found.append(np.stack([rows[y], -likeness[y, x].astype(int), inside[x]], axis=1))
    table = np.concatenate(found)
    table = table[np.lexsort(table.T[::-1])]
    rank = np.arange(len(table)) - np.searchsorted(table[:, 0], table[:, 0])
    return table[rank <= MAX_CANDIDATES][:, [0, 2]]  # one of them may be itself


def confirm(pair: tuple[str, str]) -> bool:
    """Return whether the second thumbnail, or its mirror image, is the first with another frame and other colours."""
    a, b = map(decode_thumbnail, pair)
    of_a, of_b = (sketch(pixels).astype(int) for pixels in (a, b))
    if of_a @ of_b >= MIN_SKETCH_COSINE * SKETCH_LENGTH**2 and is_copy(a, b):
        return True
    return bool(of_a @ mirror(of_b) >= MIN_SKETCH_COSINE * SKETCH_LENGTH**2 and is_copy(a, b[:, ::-1].copy()))


def is_copy(a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether two upright thumbnails show one drawing in the same colours, or in colours all shifted alike.

    Lines alone do not distinguish a character from another one in the same pose with other hair; colours do."""
    if (aligned := _align(a, b)) is None:
        return False
    b, is_shared = aligned
    a, b = (cv2.GaussianBlur(pixels, (5, 5), 0) for pixels in (a, b))
    (low_a, high_a), (low_b, high_b) = _extremes(a), _extremes(b)
    low, high = np.minimum(low_a, low_b), np.maximum(high_a, high_b)
    is_whole = is_shared & (low > _UNCLIPPED_RANGE[0]) & (high < _UNCLIPPED_RANGE[1])
    is_colored = is_whole.sum() > 0.05 * SIDE * SIDE
    structure = _correlation(a[is_shared], b[is_shared])
    if is_colored:
        structure = max(structure, _correlation(a[is_whole], b[is_whole]))
    if structure < MIN_CORRELATION:
        return False
    share = _share_recolored(a[is_whole], b[is_whole]) if is_colored else None
    return structure >= MIN_GREY_CORRELATION if share is None else share <= MAX_RECOLORED_SHARE


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return the correlation of the luma or of the lightness of (N, 3) pixels, whichever is higher."""
    pairs = [(x, y) for x, y in zip(_brightness(a), _brightness(b), strict=True) if x.std() and y.std()]
    return max((float(np.corrcoef(x, y)[0, 1]) for x, y in pairs), default=0.0)


def _align(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return (b in a's frame, (SIDE, SIDE) bool where that is known), by enhanced correlation
    (https://doi.org/10.1109/TPAMI.2008.113); None if they do not fit, or only by more than the crop of a few % that a
    copy may have."""
    try:
        grey_a, grey_b = (_brightness(pixels).mean(0) for pixels in (a, b))
        stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 50, 1e-4)
        start = np.eye(2, 3, dtype=np.float32)
        _, map_ = cv2.findTransformECC(  # type: ignore[call-overload]  # OpenCV's stubs lack None for no mask
            grey_a, grey_b, start, cv2.MOTION_AFFINE, stop, None, 5
        )
    except cv2.error:  # it does not converge
        return None
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    is_shared = cv2.warpAffine(np.ones((SIDE, SIDE), np.float32), map_, (SIDE, SIDE), flags=flags) > 0.99
    if np.abs(map_[:, :2] - np.eye(2)).max() > 0.2 or is_shared.mean() < 0.7:
        return None
    return cv2.warpAffine(b, map_, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE), is_shared


_HUES = np.exp(2j * np.pi * np.arange(3) / 3)  # a colour's hue and chroma as a complex number: a turn is a product


def _share_recolored(a: np.ndarray, b: np.ndarray) -> float | None:
    """Return the share of (N, 3) pixels, 0 to 1, whose colour is shifted otherwise than that of the others; None if
    there is too little colour.

    The shift is one turn of hue, one gain of chroma and one cast, fitted to all pixels and then, by trimming, to the
    three quarters that it explains best: the better of them counts."""
    x, y = a @ _HUES, b @ _HUES
    if min(x.std(), y.std()) < 6:
        return None
    limit = min(RECOLOR_DISTANCE, RECOLOR_DISTANCE_SD * x.std())
    is_most, shares = np.ones(len(x), bool), []
    for _ in range(4):
        from_mean, to_mean = x[is_most].mean(), y[is_most].mean()
        span = x[is_most] - from_mean
        turn = np.vdot(span, y[is_most] - to_mean) / max(np.vdot(span, span).real, 1e-6)
        error = np.abs(y - to_mean - turn * (x - from_mean))
        shares.append(float((error > limit * max(abs(turn), 0.3)).mean()))
        is_most = error <= np.quantile(error, 0.75)
    return min(shares)
