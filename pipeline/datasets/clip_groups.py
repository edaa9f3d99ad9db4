"""Groups of clips that are nearly the same: of one shot, or of faces that look alike; the split of a group."""

from pathlib import Path

import pyarrow as pa

from pipeline.datasets.splits import components, split_of
from pipeline.images.near_duplicates import find_copies
from pipeline.manifest import CLIP_FRAMES, CLIPS, load_png
from pipeline.store import Store

VERSION = 1


def group(clips: pa.Table, store: Store, *, strips: Path, jobs: int = 0) -> pa.Table:
    """Return the clips with the columns `group` and `split`. Their film strips lie below the folder `strips`.

    Two clips are one group if they are of one shot of a video, or if their first frames are copies of each other: the
    same character, drawn the same."""
    first_frames, shots, edges = dict[str, Path](), dict[tuple, str](), []
    folder = store.scratch / "first_frames"
    folder.mkdir()
    for row in clips.select(["clip_id", "path", "size", "video_id", "shot"]).to_pylist():
        clip_id, size = row["clip_id"], row["size"]
        strip = load_png(strips, row["path"], size, CLIP_FRAMES * size)
        first_frames[f"{clip_id}-first"] = folder / f"{clip_id}.png"
        strip.crop((0, 0, size, size)).save(folder / f"{clip_id}.png")
        edges.append((clip_id, shots.setdefault((row["video_id"], row["shot"]), clip_id)))
    copies = find_copies(first_frames, "clips", store, jobs=jobs)
    edges += [(a.removesuffix("-first"), b.removesuffix("-first")) for a, b in copies]
    group_of = components(edges)
    groups = [group_of[clip_id] for clip_id in clips["clip_id"].to_pylist()]
    for name, values in (("group", groups), ("split", [split_of(each) for each in groups])):
        clips = clips.append_column(CLIPS.field(name), pa.array(values, pa.string()))
    return clips
