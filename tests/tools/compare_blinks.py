"""Runs that make blinks, beside each other on clips of the split test: `python -m tests.tools.compare_blinks RUN …`.

Runs of TrainBlinkUNet and of TrainVideoGAN, in data/runs of the working folder. Each is given the first frame of a
clip, and what else it takes of the clip. Printed are the error in the eyes' region of that of the first frame repeated,
and of how open the eyes are in the result: the correlation with the clip's, and the least. `strips.png` shows the face
in every other frame, a row for the truth and one for each run.
"""

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from models.blink_evaluation import HeldClip, animated, held_clips, motions
from models.data.clips import ClipDataset, cut, region_box
from models.data.dataset import CLIP_FRAMES
from models.runs import export
from models.sampling.animation import animate_eyes
from models.sampling.clips import stack_rows
from workflows.animation import judge_openness

SHOWN_PX = 112


def frames_of(network: Any, clip: HeldClip) -> np.ndarray:
    """Return the (T, S, S, 3) frames that a network makes of a clip's first one."""
    if hasattr(network, "paint"):
        motion = motions(network, clip, 18.0)[""]
        return animated(clip, animate_eyes(network, clip.eyes, motion, "hard"), motion)
    box = tuple(round(end) for end in region_box("face", clip.eyes.face, None, None))
    given = torch.from_numpy(cut(clip.frames, box, network.size, network.size)).permute(0, 3, 1, 2)[None] / 127.5 - 1
    with torch.no_grad():
        made = network(given[:, 0], given)[0]
    pixels = (made.permute(0, 2, 3, 1) * 127.5 + 127.5).round().clamp(0, 255).byte().numpy()
    frames, size = np.repeat(clip.frames[:1], CLIP_FRAMES, 0), clip.frames.shape[1]
    x0, y0, x1, y1 = (min(max(end, 0), size) for end in box)
    for frame, picture in zip(frames, pixels, strict=True):
        whole = cv2.resize(picture, (box[2] - box[0], box[3] - box[1]), interpolation=cv2.INTER_CUBIC)
        frame[y0:y1, x0:x1] = whole[y0 - box[1] : y1 - box[1], x0 - box[0] : x1 - box[0]]
    return frames


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--dataset", default="blinks")
    parser.add_argument("--clips", type=int, default=16)
    options = parser.parse_args()
    torch.set_num_threads(1)
    dataset = ClipDataset(Path("data/datasets") / options.dataset, Path("data/cache"))
    clips = [*held_clips(dataset, "test", options.clips)]
    strips = [_strip(clips[0].frames)]
    for run in options.runs:
        network = export.load_network(Path("data/runs") / run)
        errors, copies, correlations, least = [], [], [], []
        for number, clip in enumerate(clips):
            frames = frames_of(network, clip)
            x0, y0, x1, y1 = clip.region
            inside = (slice(None), slice(y0, y1), slice(x0, x1))
            errors.append(np.abs(frames[inside].astype(int) - clip.frames[inside]).mean())
            copies.append(np.abs(clip.frames[:1][inside].astype(int) - clip.frames[inside]).mean())
            levels = judge_openness(frames)
            correlations.append(np.corrcoef(levels, clip.openness)[0, 1])
            least.append(np.nanmin(levels))
            if not number:
                strips.append(_strip(frames))
        figures = np.sum(errors) / np.sum(copies), np.nanmean(correlations), np.nanmean(least)
        print("{}: error {:.2f} of a copy's; openness: correlation {:.2f}, least {:.2f}".format(run, *figures))
    Image.fromarray(stack_rows(strips)).save("strips.png")


def _strip(frames: np.ndarray) -> np.ndarray:
    shown = frames[1:15:2]
    return np.stack([cv2.resize(frame, (SHOWN_PX, SHOWN_PX), interpolation=cv2.INTER_AREA) for frame in shown])


if __name__ == "__main__":
    main()
