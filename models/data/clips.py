"""Blink clips on disk: the region of the face that is animated, and batches of it.

In shapes: N clips, B batch, T frames, H height and W width of the region at working size.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from models.contracts import ClipConfig, Datasets, HeldOutClips
from models.data.batches import MadeAhead, own_part, shuffled
from models.data.dataset import CLIP_FRAMES, CLIPS, RESAMPLER, ManifestDataset, ManifestError, UserError, flow, load_png
from models.seeds import seed_for

REGIONS = ("eyes", "face")
REGION_VERSION = 1  # to be raised when the same boxes give another region
MARGIN_PX = 4  # at working size, kept around each region, so that it can be shifted
MAX_HELD_OUT = 32  # clips: as many images as 512 faces

# Of both eyes' boxes together: how much wider, and how much higher, the strip is at least.
_EYES_WIDTH, _EYES_HEIGHT = 1.25, 1.5
# Of the face's box, where an eye is hidden: the strip's width, and where its middle lies (38 to 66 % of the height).
_FACE_WIDTH, _FACE_MIDDLE = 0.84, 0.52

Box = tuple[float, float, float, float]


def region_box(region: str, face: Sequence[float], left: Sequence[float] | None, right: Sequence[float] | None) -> Box:
    """Return x0, y0, x1, y1 of the part that is animated, from the boxes of the face and of both eyes.

    `eyes`: a strip twice as wide as high, round both eyes; if one is hidden (None), at a fixed place of the face.
    `face`: the smallest square round the face. Raise ValueError for another region."""
    if region == "face":
        return _around(face, max(face[2] - face[0], face[3] - face[1]), aspect=1)
    if region != "eyes":
        raise ValueError(f"region: {' or '.join(REGIONS)} expected, {region} found")
    if left is None or right is None:
        middle = face[1] + _FACE_MIDDLE * (face[3] - face[1])
        return _around((face[0], middle, face[2], middle), _FACE_WIDTH * (face[2] - face[0]), aspect=2)
    both = (min(left[0], right[0]), min(left[1], right[1]), max(left[2], right[2]), max(left[3], right[3]))
    width = max(_EYES_WIDTH * (both[2] - both[0]), 2 * _EYES_HEIGHT * (both[3] - both[1]))
    return _around(both, width, aspect=2)


def _around(box: Sequence[float], width: float, aspect: float) -> Box:
    """Return a box of that width, and of width / aspect height, with the same middle."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return x - width / 2, y - width / aspect / 2, x + width / 2, y + width / aspect / 2


def cut(frames: np.ndarray, box: Box, height: int, width: int, margin: int = 0) -> np.ndarray:
    """Return (T, height, width, 3) uint8: what lies in the box of frames (T, S, S', 3), resampled; with `margin` px at
    that size more on every side. Beyond the frames their border is repeated."""
    x_unit, y_unit = (box[2] - box[0]) / width, (box[3] - box[1]) / height
    x0, y0 = box[0] - margin * x_unit, box[1] - margin * y_unit
    x1, y1 = box[2] + margin * x_unit, box[3] + margin * y_unit
    beyond = max(0, *(int(np.ceil(d)) for d in (-x0, -y0, x1 - frames.shape[2], y1 - frames.shape[1])))
    padded = np.pad(frames, ((0, 0), (beyond, beyond), (beyond, beyond), (0, 0)), "edge") if beyond else frames
    inside = (x0 + beyond, y0 + beyond, x1 + beyond, y1 + beyond)
    size = (width + 2 * margin, height + 2 * margin)
    resized = [Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS, inside) for frame in padded]
    return np.stack([np.asarray(frame) for frame in resized])


class ClipDataset(ManifestDataset):
    """A dataset of blink clips on disk: its checked manifest, and the regions of its clips as arrays.

    Raise ManifestError if there is no valid manifest with a clip in it."""

    item = "clip"

    def __init__(self, folder: Path, cache: Path) -> None:
        super().__init__(folder, cache, CLIPS)

    def facts(self) -> dict[str, Any]:
        """Return what a run records of it."""
        return {"clips": len(self.rows), "size": self.rows["size"][0].as_py()}

    def frames(self, split: str, region: str, shape: tuple[int, int]) -> np.ndarray:
        """Return (N, T, H + 2 MARGIN_PX, W + 2 MARGIN_PX, 3) uint8, memory-mapped, in the manifest's order.

        Raise ManifestError if a film strip is missing or damaged, or a region lies off its frames."""
        causes = ["clips", region, *shape, MARGIN_PX, REGION_VERSION, RESAMPLER]
        item_shape = (CLIP_FRAMES, *_with_margin(shape), 3)
        return self.array(split, causes, item_shape, np.uint8, lambda row: self._region(row, region, shape))

    def flow(self, split: str, region: str, shape: tuple[int, int]) -> np.ndarray:
        """Return (N, T, H + 2 MARGIN_PX, W + 2 MARGIN_PX, 2) float16: the flow of `frames` from the first one."""
        causes = ["flow", region, *shape, MARGIN_PX, REGION_VERSION, RESAMPLER, flow.VERSION]

        def load(row: dict) -> np.ndarray:
            field: np.ndarray = flow.from_first_frame(self._region(row, region, shape)).astype(np.float16)
            return field

        return self.array(split, causes, (CLIP_FRAMES, *_with_margin(shape), 2), np.float16, load)

    def openness(self, split: str) -> np.ndarray:
        """Return (N, T) float32: 1 open, 0 closed."""
        curves = self.split(split)["openness"].to_pylist()
        return np.array(curves, np.float32).reshape(len(curves), CLIP_FRAMES)

    def _region(self, row: dict, region: str, shape: tuple[int, int]) -> np.ndarray:
        size = row["size"]
        box = region_box(region, row["face_box"], row["left_eye"], row["right_eye"])
        if not (np.isfinite(box).all() and box[2] - box[0] >= 1 and -size < min(box) and max(box) < 2 * size):
            found, cure = f"the {region} of {row['path']} lie at {box}", "build the dataset again"
            raise ManifestError(self.folder, found, f"within frames of {size} px", cure)
        strip = load_png(self.folder, row["path"], size, CLIP_FRAMES * size)
        return cut(np.asarray(strip).reshape(CLIP_FRAMES, size, size, 3), box, *shape, MARGIN_PX)


def _with_margin(shape: tuple[int, int]) -> tuple[int, int]:
    return shape[0] + 2 * MARGIN_PX, shape[1] + 2 * MARGIN_PX


class Change(NamedTuple):
    """How a clip is changed for a batch."""

    mirrored: bool = False
    shift: tuple[int, int] = (0, 0)  # of the region, px down and right
    gain: tuple[float, ...] = (1, 1, 1)  # of the colour channels
    hue: float = 0.0  # turns
    zoom: tuple[float, float] = (1, 1)  # of heights and widths
    speed: float = 1.0
    still: bool = False  # whether its flow is replaced by 0

    @classmethod
    def draw(cls, rng: np.random.Generator, c: ClipConfig) -> "Change":
        """Draw one within the limits of a Config."""
        dy, dx = rng.integers(-c.box_jitter, c.box_jitter + 1, 2).tolist()
        gain = tuple(rng.uniform(1 - c.color_jitter, 1 + c.color_jitter, 3).tolist())
        speed = rng.uniform(1 - c.time_stretch, 1 + c.time_stretch)
        mirrored, still = c.hflip and rng.random() < 0.5, rng.random() < c.flow_dropout
        hue = rng.uniform(-c.hue_jitter, c.hue_jitter)
        zoom_y, zoom_x = np.exp(rng.uniform(-c.zoom_jitter, c.zoom_jitter, 2)).tolist()
        return cls(mirrored, (dy, dx), gain, hue, (zoom_y, zoom_x), speed, still)

    def frames(self, clip: np.ndarray) -> np.ndarray:
        """Return (T, H, W, 3) uint8 of a clip with its margin."""
        values = np.arange(256)[:, None] * self.gain
        table = np.clip(np.rint(values), 0, 255).astype(np.uint8)  # (256, 3)
        frames: np.ndarray = table[self._window(clip), np.arange(3)]
        return _turn_hues(frames, self.hue) if self.hue else frames

    def flow(self, field: np.ndarray) -> np.ndarray:
        """Return (T, H, W, 2) float32 of a flow with its margin."""
        scales = np.array([-self.zoom[1] if self.mirrored else self.zoom[1], self.zoom[0]], np.float32)
        window: np.ndarray = self._window(field) * scales * (not self.still)
        return window

    def times(self) -> np.ndarray:
        """Return (T,) the frame that is shown as each frame. The first is the first, from which the flow is."""
        times: np.ndarray = np.minimum(np.rint(np.arange(CLIP_FRAMES) * self.speed), CLIP_FRAMES - 1).astype(int)
        return times

    def _window(self, array: np.ndarray) -> np.ndarray:
        frames = array[self.times()]
        sides = [side - 2 * MARGIN_PX for side in array.shape[1:3]]
        (top, left), (height, width) = [MARGIN_PX + shift for shift in self.shift], sides
        window: np.ndarray = frames[:, top : top + height, left : left + width]
        if self.zoom != (1, 1):
            rows, columns = (
                start + (side - 1) / 2 + (np.arange(side) - (side - 1) / 2) / zoom
                for start, side, zoom in zip((top, left), sides, self.zoom, strict=True)
            )
            window = _resample(frames, rows, columns)
        return window[:, :, ::-1] if self.mirrored else window


def _resample(frames: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return (T, H, W, C) of the same type: what lies at these rows (H,) and columns (W,), which may be between pixels,
    of frames (T, H', W', C). Beyond the frames their border is repeated."""
    last = np.array(frames.shape[2:0:-1]) - 1
    places = np.stack(np.meshgrid(columns, rows), -1) * 2 / last - 1  # (H, W, 2): x, y in [-1, 1]
    grid = torch.from_numpy(places.astype(np.float32)).expand(len(frames), -1, -1, -1)
    maps = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float()
    found = F.grid_sample(maps, grid, padding_mode="border", align_corners=True).permute(0, 2, 3, 1).numpy()
    resampled: np.ndarray = (np.rint(found) if frames.dtype == np.uint8 else found).astype(frames.dtype)
    return resampled


def _turn_hues(frames: np.ndarray, turns: float) -> np.ndarray:
    """Return frames (T, H, W, 3) uint8 with their colours turned about the axis of greys, which stay."""
    cosine, sine = np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)
    across = np.roll(np.eye(3), 1, 0) - np.roll(np.eye(3), -1, 0)  # the cross product with (1, 1, 1)
    matrix = cosine * np.eye(3) + sine / np.sqrt(3) * across + (1 - cosine) / 3
    turned: np.ndarray = np.clip(np.rint(frames @ matrix.T.astype(np.float32)), 0, 255).astype(np.uint8)
    return turned


class Clips(MadeAhead):
    """The map i -> {"clip": (B, T, H, W, 3) uint8, "openness": (B, T)}, and {"flow": (B, T, H, W, 2)} if it is wanted.

    Each epoch is a permutation of all clips; each clip is changed as the Config says. B is this process's part of the
    global batch. For a GPU the next batch is made ahead. Raise UserError if there is no clip."""

    def __init__(
        self, dataset: ClipDataset, config: ClipConfig, *, seed: int, device: torch.device, with_flow: bool = True
    ) -> None:
        super().__init__(device)
        if config.box_jitter > MARGIN_PX:
            raise UserError("--set", f"box_jitter={config.box_jitter} given", f"{MARGIN_PX} or less", "give another")
        self._frames = dataset.frames("train", config.region, config.shape)
        self._flow = dataset.flow("train", config.region, config.shape) if with_flow else None
        self._openness = dataset.openness("train")
        if not len(self._frames):
            raise UserError("split train", "holds no clip", "at least one", "build a larger dataset")
        self._config, self._seed = config, seed

    def _make(self, i: int) -> dict[str, Tensor]:
        count = self._config.pictures
        places = range(count)[own_part(count)]
        rows = shuffled(self._seed, i, count, len(self._frames))[own_part(count)]
        rngs = [np.random.default_rng(seed_for(self._seed, i, "clip", place)) for place in places]
        changed = [(row, Change.draw(rng, self._config)) for row, rng in zip(rows, rngs, strict=True)]
        batch = {
            "clip": [change.frames(self._frames[row]) for row, change in changed],
            "openness": [self._openness[row][change.times()] for row, change in changed],
        }
        if self._flow is not None:
            batch["flow"] = [change.flow(self._flow[row]) for row, change in changed]
        return {name: torch.from_numpy(np.stack(arrays)) for name, arrays in batch.items()}


def clips(datasets: Datasets, config: ClipConfig, *, seed: int, device: torch.device) -> Clips:
    """Return batches of the train split's clips with their flow."""
    (dataset,) = datasets.values()
    return Clips(dataset, config, seed=seed, device=device)


def clips_alone(datasets: Datasets, config: ClipConfig, *, seed: int, device: torch.device) -> Clips:
    """Return batches of the train split's clips without flow."""
    (dataset,) = datasets.values()
    return Clips(dataset, config, seed=seed, device=device, with_flow=False)


def held_out(dataset: ClipDataset, config: ClipConfig, count: int) -> HeldOutClips:
    """Return the first `count`, and at most MAX_HELD_OUT, clips of val; of train if val has none. Raise UserError if
    that has none, too."""
    count = min(count, MAX_HELD_OUT)
    split = next((name for name in ("val", "train") if len(dataset.split(name))), None)
    if split is None:
        raise UserError("split train", "holds no clip", "at least one", "build a larger dataset")
    plain = Change()
    return HeldOutClips(
        np.stack([plain.frames(clip) for clip in dataset.frames(split, config.region, config.shape)[:count]]),
        np.stack([plain.flow(field) for field in dataset.flow(split, config.region, config.shape)[:count]]),
        dataset.openness(split)[:count],
    )
