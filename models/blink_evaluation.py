"""Measures of a network that lets faces blink, on clips that it was not trained on.

In shapes: T frames, S px of a frame; h × w px of the eyes' region.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.data.clips import ClipDataset, cut, region_box
from models.data.dataset import CLIP_FRAMES, flow, load_png
from models.files import atomic_open
from models.metrics.lines import line_distance
from models.metrics.seam import BESIDE_PX, seam_score
from models.sampling.animation import BLENDS, OWN, Eyes, Patch, animate_eyes, show
from models.sampling.clips import stack_rows
from models.sampling.motion import Motion, of_clip

CLOSES = 0.1  # openness: up to it, eyes are closed
SHOWN_CLIPS = 4
MIN_LPIPS_PX = 32  # shorter side of what LPIPS is given

Judge = Callable[[np.ndarray], np.ndarray]
"""Frames (T, S, S, 3) uint8 -> how far the eyes are open in each (T,), 1 open to 0 closed."""
Distance = Callable[[Tensor, Tensor], Tensor]
"""Pictures (N, 3, h, w) in [-1, 1], twice -> their LPIPS (N,)."""


class HeldClip(NamedTuple):
    """A clip with its truth. Boxes are x0, y0, x1, y1 in px of a frame."""

    frames: np.ndarray  # (T, S, S, 3) uint8
    eyes: Eyes
    openness: np.ndarray  # (T,)
    region: tuple[int, int, int, int]  # of the eyes, whole px within the frame


def held_clips(dataset: ClipDataset, split: str, count: int) -> Iterator[HeldClip]:
    """Yield the first `count` clips of a split. Raise ManifestError if a film strip is missing or damaged."""
    for row in dataset.split(split).slice(0, count).to_pylist():
        size = row["size"]
        strip = load_png(dataset.folder, row["path"], size, CLIP_FRAMES * size)
        frames = np.asarray(strip).reshape(CLIP_FRAMES, size, size, 3)
        openness = np.array(row["openness"], np.float32)
        eyes = Eyes(frames[0], row["face_box"], row["left_eye"], row["right_eye"], float(openness[0]))
        box = region_box("eyes", eyes.face, eyes.left, eyes.right)
        x0, y0, x1, y1 = (int(np.clip(round(end), 0, size)) for end in box)
        yield HeldClip(frames, eyes, openness, (x0, y0, x1, y1))


def motions(network: Any, clip: HeldClip, fps: float) -> dict[str, Motion]:
    """Return the clip's own motion by a suffix of measures: with its flow, and without it if the network can do so."""
    region = region_box(network.region, clip.eyes.face, clip.eyes.left, clip.eyes.right)
    field = flow.from_first_frame(cut(clip.frames, region, *network.shape))
    found = {"": of_clip(clip.openness, field, fps, 0)}
    if network.openness:
        found["_without_flow"] = found[""]._replace(flow=None)
    return found


def animated(clip: HeldClip, patches: list[Patch], motion: Motion) -> np.ndarray:
    """Return the (T, S, S, 3) frames that the patches give, as the motion shows their states."""
    return np.stack([show(clip.eyes.crop, patches, [state] * len(patches)) for state in motion.shown.tolist()])


def measure_blinks(
    network: Any, clips: list[HeldClip], fps: float, judge: Judge, distance: Distance, refiner: Any
) -> tuple[dict[str, Any], dict[str, list[np.ndarray]]]:
    """Return (measures; the curves of openness (T,) of each clip by name, with the truth's). Raise ValueError if there
    is no clip.

    `error_share`: error in the eyes' region, of that of the first frame repeated. LPIPS and the lines' distance are of
    the frame in which the truth's eyes are closed farthest. `closed_share`: of clips whose eyes close, those that the
    judge sees closed, too. `seam_BLEND`: steps across the border of the region, if all of it is pasted as the article
    does, and `seam_truth`: what the real frames have there; `seam_share_BLEND`: of the hard paste's, if that has
    one. `changed_outside`: pixels outside the eyes' boxes that differ from the picture."""
    if not clips:
        raise ValueError("no clip to measure")
    rows: list[dict[str, float]] = []
    curves: dict[str, list[np.ndarray]] = {"truth": [clip.openness for clip in clips]}
    for clip in clips:
        row: dict[str, float] = {}
        moved = motions(network, clip, fps)
        for suffix, motion in moved.items():
            patches = animate_eyes(network, clip.eyes, motion, OWN)
            frames = animated(clip, patches, motion)
            levels = judge(frames)
            curves.setdefault(f"animated{suffix}", []).append(levels)
            found = _differences(clip, frames, distance) | {
                "correlation": _correlation(levels, clip.openness),
                "least_openness": float(levels.min()),
                "changed_outside": float(_outside(clip, frames, patches)),
            }
            row |= {f"{name}{suffix}": value for name, value in found.items()}
        row |= _seams(network, clip, [*moved.values()][-1], refiner)
        rows.append(row | {f"copy_{name}": value for name, value in _differences(clip, None, distance).items()})
    measured: dict[str, Any] = {"clips": len(clips)}
    measured |= {name: _mean([row[name] for row in rows]) for name in rows[0]}
    closing = [number for number, clip in enumerate(clips) if clip.openness.min() <= CLOSES]
    for suffix in ("", "_without_flow") if network.openness else ("",):
        measured[f"error_share{suffix}"] = measured[f"error{suffix}"] / max(measured["copy_error"], 1e-9)
        least = [rows[number][f"least_openness{suffix}"] for number in closing]
        measured[f"closed_share{suffix}"] = float(np.mean(np.array(least) <= CLOSES)) if least else None
        measured[f"changed_outside{suffix}"] = max(row[f"changed_outside{suffix}"] for row in rows)
    if (hard := measured["seam_hard"]) is not None and hard > 0:
        measured |= {f"seam_share_{blend}": measured[f"seam_{blend}"] / hard for blend in BLENDS}
    return measured, curves


def _correlation(levels: np.ndarray, truth: np.ndarray) -> float:
    """Return that of two curves; 0 if one is constant: eyes that stay as they are follow nothing."""
    return float(np.corrcoef(levels, truth)[0, 1]) if np.ptp(levels) and np.ptp(truth) else 0.0


def _mean(values: list[float]) -> float | None:
    """Return the mean of those that are finite, if any is."""
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else None


def _differences(clip: HeldClip, frames: np.ndarray | None, distance: Distance) -> dict[str, float]:
    """Return how far frames (T, S, S, 3), or the first one repeated, are from the truth in the eyes' region."""
    x0, y0, x1, y1 = clip.region
    truth = clip.frames[:, y0:y1, x0:x1]
    ours = np.repeat(truth[:1], CLIP_FRAMES, 0) if frames is None else frames[:, y0:y1, x0:x1]
    closed = int(clip.openness.argmin())
    pair = np.ascontiguousarray(ours[closed]), np.ascontiguousarray(truth[closed])
    return {
        "error": float(np.abs(ours.astype(np.int16) - truth).mean()),
        "lpips": float(distance(*(_for_lpips(each) for each in pair))[0]),
        "lines": line_distance(*pair),
    }


def _for_lpips(picture: np.ndarray) -> Tensor:
    x = torch.from_numpy(picture)[None].permute(0, 3, 1, 2).float() / 127.5 - 1
    scale = MIN_LPIPS_PX / min(x.shape[2:])
    return F.interpolate(x, scale_factor=scale, mode="bilinear") if scale > 1 else x


def _outside(clip: HeldClip, frames: np.ndarray, patches: list[Patch]) -> int:
    differs = (frames != clip.eyes.crop).any((0, 3))
    for patch in patches:
        x0, y0, x1, y1 = patch.box
        differs[y0:y1, x0:x1] = False
    return int(differs.sum())


def _seams(network: Any, clip: HeldClip, motion: Motion, refiner: Any) -> dict[str, float]:
    """Return the seam score of each blend of the whole region, and that of the truth there; NaN if the region is too
    near the frame's edge."""
    found: dict[str, float] = {}
    for blend in BLENDS:
        patches = animate_eyes(network, clip.eyes, motion, blend, refiner, whole=True)
        found[f"seam_{blend}"] = _mean_seam(animated(clip, patches, motion)[1:], patches)
    found["seam_truth"] = _mean_seam(clip.frames[1:], patches)
    return found


def _mean_seam(frames: np.ndarray, patches: list[Patch]) -> float:
    room, size = max(BESIDE_PX) + 2, frames.shape[1]
    boxes = [patch.box for patch in patches if min(patch.box) >= room and max(patch.box) <= size - room]
    scores = [seam_score(frame, box) for frame in frames for box in boxes]
    return float(np.mean(scores)) if scores else float("nan")


def sheet(network: Any, clips: list[HeldClip], fps: float) -> np.ndarray:
    """Return (H, W, 3) uint8: of SHOWN_CLIPS clips the eyes' region, frame by frame: the truth, what the network makes
    of the first frame, and the article's hard paste."""
    width, height = 96, 48
    rows: list[np.ndarray] = []
    for clip in clips[:SHOWN_CLIPS]:
        (*_, motion) = motions(network, clip, fps).values()
        made = [animated(clip, animate_eyes(network, clip.eyes, motion, blend), motion) for blend in (OWN, "hard")]
        rows += [cut(frames, clip.region, height, width) for frames in (clip.frames, *made)]
    return stack_rows(rows)


def save_curves(path: Path, curves: dict[str, list[np.ndarray]], about: dict[str, Any]) -> None:
    """Draw the openness of SHOWN_CLIPS clips as a PNG with `about` as its texts."""
    from matplotlib.figure import Figure

    count = min(SHOWN_CLIPS, len(curves["truth"]))
    figure = Figure(figsize=(2.6 * count, 2.4), layout="constrained")
    for number, axes in enumerate(figure.subplots(1, count, sharey=True, squeeze=False)[0]):
        for name, of_clips in curves.items():
            axes.plot(of_clips[number], label=name.replace("_", " "), color="black" if name == "truth" else None)
        axes.set(xlabel="frame", ylim=(-0.05, 1.1))
    figure.axes[0].set_ylabel("openness")
    figure.axes[0].legend(fontsize="x-small")
    with atomic_open(path) as file:
        figure.savefig(file, format="png", dpi=80, metadata={key: str(value) for key, value in about.items()})
