"""A small dataset of blink clips: faces of plain shapes whose lids close and open."""

import hashlib
import io
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
from PIL import Image

from pipeline import manifest
from pipeline.manifest import CLIP_FRAMES, CLIPS

CLOSING = (1.0, 0.1, 0.0, 0.0, 0.4, 0.7, 0.9)  # openness from the frame before the blink on
SPLITS = ("train", "train", "train", "val", "test")


def curve(start: int) -> np.ndarray:
    """Return the openness (T,) of a clip whose blink begins after the frame `start`."""
    openness = np.ones(CLIP_FRAMES, np.float32)
    openness[start : start + len(CLOSING)] = CLOSING[: CLIP_FRAMES - start]
    return openness


def draw(number: int, size: int = 48) -> tuple[np.ndarray, np.ndarray, dict[str, list[float]]]:
    """Return (frames (T, size, size, 3) uint8, openness (T,), boxes by column) of the clip of that number."""
    rng = np.random.default_rng(number)
    skin, iris, hair = (tuple(rng.integers(low, high, 3).tolist()) for low, high in ((180, 250), (40, 180), (0, 120)))
    openness = curve(int(rng.integers(3, 7)))
    width, height = size // 10, size // 8  # of an eye, halved
    eyes = [(x, round(0.52 * size)) for x in (round(0.32 * size), round(0.68 * size))]
    frames = np.empty((CLIP_FRAMES, size, size, 3), np.uint8)
    for frame, opened in zip(frames, openness, strict=True):
        frame[:] = hair
        cv2.ellipse(frame, (size // 2, size // 2), (round(0.42 * size), round(0.46 * size)), 0, 0, 360, skin, -1)
        for x, y in eyes:
            cv2.ellipse(frame, (x, y), (width, height), 0, 0, 360, (255, 255, 255), -1)
            cv2.circle(frame, (x, y), width * 2 // 3, iris, -1)
            lid = round(y + height - 2 * height * opened)
            cv2.rectangle(frame, (x - width - 1, y - height - 1), (x + width + 1, lid), skin, -1)
            cv2.line(frame, (x - width, lid), (x + width, lid), (20, 10, 10), 1)
    boxes = {"face_box": [0.08 * size, 0.04 * size, 0.92 * size, 0.96 * size]}
    for name, (x, y) in zip(("left_eye", "right_eye"), eyes, strict=True):
        boxes[name] = [float(x - width), float(y - height), float(x + width), float(y + height)]
    return frames, openness, boxes


def write(folder: Path, count: int = 10, size: int = 48) -> Path:
    """Write a dataset of `count` clips: film strips and a manifest. Return the folder."""
    rows = []
    for number in range(count):
        frames, openness, boxes = draw(number, size)
        file = io.BytesIO()
        Image.fromarray(frames.reshape(-1, size, 3)).save(file, "PNG")
        clip_id = hashlib.sha256(file.getvalue()).hexdigest()
        path = f"clips/{clip_id[:2]}/{clip_id}.png"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(file.getvalue())
        video = hashlib.sha256(f"video {number}".encode()).hexdigest()
        rows.append(
            {
                "clip_id": clip_id,
                "path": path,
                "size": size,
                "frames": CLIP_FRAMES,
                "fps": 18.0,
                "video_id": video,
                "video": f"{number}.mp4",
                "start": 1.5,
                "shot": 0,
                "track": 0,
                **boxes,
                "openness": openness.tolist(),
                "closed_frame": int(openness.argmin()),
                "group": video,
                "split": SPLITS[number % len(SPLITS)],
            }
        )
    manifest.write(pa.Table.from_pylist(rows, CLIPS), CLIPS, folder / "manifest.parquet")
    return folder
