"""Many videos -> blink clips: film strips in the cache, rows of CLIPS, and why others were dropped.

What a video holds is cached by the sha256 of its file: a build that was killed goes on with the next video.
"""

import functools
import hashlib
import io
import logging
import re
import tempfile
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image

from pipeline.blocklist import BlockList
from pipeline.clips.cut import CLOSED_FRAME, FindLandmarks
from pipeline.clips.extract import Drop, Extraction, FindFaces, FoundClip, extract
from pipeline.clips.files import Listed
from pipeline.drawing import film
from pipeline.faces import detect, landmarks
from pipeline.faces.boxes import Face
from pipeline.funnel import funnel_row
from pipeline.manifest import CLIP_FRAMES, CLIP_SOURCE, CLIPS
from pipeline.parallel import OUT_OF_MEMORY, cached_map
from pipeline.store import Store, has_sha256, remove, sha256_of
from pipeline.stored import HEX64, NUMBER

logger = logging.getLogger("luigi-interface")

VERSION = 4
"""Raise it when the same videos give other clips."""
SWEEP = "fast"  # of the detectors
STAGE = "clips"  # in the funnel
_NO_BLOCKS = BlockList()
_UNREADABLE = "unreadable"  # a reason that is not cached, as permissions and disks change

_BOX = [NUMBER] * 4
_CLIP = {
    "clip_id": HEX64,
    "path": re.compile("clips/[0-9a-f]{2}/[0-9a-f]{64}[.]png"),
    "first": int,
    "shot": int,
    "track": int,
    "face_box": _BOX,
    "left_eye": (_BOX, None),
    "right_eye": (_BOX, None),
    "openness": [NUMBER] * CLIP_FRAMES,
}
_SHAPE = {"video_id": HEX64, "clips": [_CLIP], "drops": [[str, str]]}
"""The shape of what is cached of a video."""


class Settings(NamedTuple):
    """What the clips of a video depend on."""

    fps: float
    size: int  # px: side of a frame
    detector: str  # one of detect.DETECTOR_CHOICES
    min_face: int  # px, of a frame of at most video.MAX_SIDE_PX

    def key(self) -> str:
        """Return the name of the cache of its results."""
        versions = f"{VERSION}.{detect.VERSION}.{landmarks.VERSION}"
        return f"clips/{versions}/" + "/".join(map(str, self))


class Finders(NamedTuple):
    """What finds faces and their landmarks."""

    faces: FindFaces
    landmarks: FindLandmarks


def finders(settings: Settings, folder: Path | None) -> Finders:
    """Return the detectors that the settings name, and the landmark network. `folder`: where assets are looked for
    first. Raise UserError if an asset is missing."""
    names = detect.DETECTOR_CHOICES[settings.detector]
    assets = {name: detect.DETECTORS[name].asset(folder) for name in names}
    return Finders(functools.partial(_find_faces, assets=assets, min_face=settings.min_face), landmarks.find)


def _find_faces(picture: np.ndarray, assets: dict[str, str], min_face: int) -> list[Face]:
    found = {
        name: detect.find(picture, finder=name, asset=asset, sweep=SWEEP, min_face=min_face)
        for name, asset in assets.items()
    }
    return [face for face, _ in detect.merge(found)]


def of_files(
    root: Path,
    listing: Iterable[Listed],
    settings: Settings,
    find: Finders,
    store: Store,
    *,
    blocked: BlockList = _NO_BLOCKS,
    jobs: int = 0,
) -> tuple[pa.Table, list[dict]]:
    """Return (the clips of the files below `root` as rows of CLIPS, without group and split; rows of FUNNEL)."""
    drops, names, paths = [], dict[str, str](), dict[str, tuple[Path, str]]()  # by sha256
    for name, _, _, problem in listing:
        path = root / name if name else root
        if problem:
            drops.append(funnel_row(STAGE, CLIP_SOURCE, name, problem))
            continue
        try:
            video_id = sha256_of(path)
        except OSError as error:
            drops.append(funnel_row(STAGE, CLIP_SOURCE, name, _UNREADABLE, error.strerror or str(error)))
            continue
        if video_id in blocked.hashes:
            drops.append(funnel_row(STAGE, CLIP_SOURCE, name, "blocked", "sha256"))
        elif video_id in names:
            detail = f"the same file as {names[video_id]}"
            drops.append(funnel_row(STAGE, CLIP_SOURCE, name, "duplicate", detail, video_id))
        else:
            names[video_id], paths[video_id] = name or root.name, (path, video_id)
    work = functools.partial(_extract_file, settings=settings, find=find, store=store)
    table, more = _collect(paths.items(), names, work, settings, store, jobs)
    return table, drops + more


def of_films(
    seed: int, count: int, settings: Settings, find: Finders, store: Store, *, jobs: int = 0
) -> tuple[pa.Table, list[dict]]:
    """Return the same of the first films of a seed, which are drawn one by one and not kept."""
    numbered = {f"film {film.VERSION} {seed}/{i}": (seed, i) for i in range(count)}
    names = {key: f"{seed}/{i}" for key, (seed, i) in numbered.items()}
    work = functools.partial(_extract_film, settings=settings, find=find, store=store)
    return _collect(numbered.items(), names, work, settings, store, jobs)


def _extract_film(key: tuple[int, int], settings: Settings, find: Finders, store: Store) -> dict:
    with tempfile.TemporaryDirectory(dir=store.scratch) as folder:
        path = Path(folder) / "film.mp4"
        film.write(path, *key)
        return _extract_file((path, sha256_of(path)), settings, find, store)


def _extract_file(file: tuple[Path, str], settings: Settings, find: Finders, store: Store) -> dict:
    """Cut the clips of a video, of that sha256, into the cache. Return what is cached of it."""
    path, video_id = file
    fps = Fraction(settings.fps).limit_denominator(1001)
    try:
        keep = functools.partial(_keep, store=store)
        found = extract(path, fps, settings.size, find.faces, find.landmarks, keep=keep)
    except OSError as error:
        found = Extraction([], [Drop(_UNREADABLE, error.strerror or str(error))])
    return {"video_id": video_id, "clips": found.clips, "drops": [list(drop) for drop in found.drops]}


def _keep(found: FoundClip, store: Store) -> dict:
    file = io.BytesIO()
    Image.fromarray(found.clip.strip).save(file, "PNG")
    clip_id = hashlib.sha256(file.getvalue()).hexdigest()
    path = f"clips/{clip_id[:2]}/{clip_id}.png"
    store.put(f"cache/{path}", file.getvalue())
    where = {"clip_id": clip_id, "path": path, "first": found.first, "shot": found.shot, "track": found.track}
    return where | {name: value for name, value in found.clip._asdict().items() if name != "strip"}


def _collect(
    items: Iterable[tuple[str, object]],
    names: dict[str, str],
    work: Callable,
    settings: Settings,
    store: Store,
    jobs: int,
) -> tuple[pa.Table, list[dict]]:
    """Return rows of CLIPS and of FUNNEL of all videos, in the order of their names. Of equal clips the first is
    kept."""

    def are_stored(result: dict) -> bool:
        if any(reason == _UNREADABLE for reason, _ in result["drops"]):
            return False
        whole = [_is_whole(store.root / "cache" / clip["path"], clip["clip_id"]) for clip in result["clips"]]
        return all(whole)

    with store.memory(settings.key(), _SHAPE) as memory:
        known = cached_map(memory, work, items, what="searching videos", jobs=jobs, chunk=1, is_valid=are_stored)
        results = dict(known)
    rows: dict[str, dict] = {}
    drops = []
    for key in sorted(names, key=lambda key: names[key]):
        name, result = names[key], results[key]
        if result is None:
            drops.append(funnel_row(STAGE, CLIP_SOURCE, name, "out_of_memory", OUT_OF_MEMORY))
            continue
        for reason, detail in result["drops"]:
            drops.append(funnel_row(STAGE, CLIP_SOURCE, name, reason, detail, result["video_id"]))
        for clip in result["clips"]:
            if twin := rows.get(clip["clip_id"]):
                detail = f"the same frames as in {twin['video']} at {twin['start']:.2f} s"
                drops.append(funnel_row(STAGE, CLIP_SOURCE, name, "duplicate", detail, result["video_id"]))
            else:
                rows[clip["clip_id"]] = _row(clip, name, result["video_id"], settings)
    schema = pa.schema([field for field in CLIPS if field.name not in ("group", "split")])
    return pa.Table.from_pylist(list(rows.values()), schema=schema), drops


def _row(clip: dict, name: str, video_id: str, settings: Settings) -> dict:
    made = {
        "size": settings.size,
        "frames": CLIP_FRAMES,
        "fps": settings.fps,
        "video_id": video_id,
        "video": name,
        "start": clip["first"] / settings.fps,
        "closed_frame": CLOSED_FRAME,
    }
    return {key: value for key, value in clip.items() if key != "first"} | made


def _is_whole(file: Path, sha256: str) -> bool:
    """Return whether the file is there, with those bytes. Remove it if it is damaged: it is cut again."""
    if has_sha256(file, sha256):
        return True
    remove(file)
    return False
