"""Runs that make pictures larger, on the same pictures: measures, colours, and parts to look at."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from models.data.dataset import UserError
from models.data.resampling import SCALE, enlarge, shrink
from models.metrics.colors import LEVELS, color_distance, count_levels
from models.metrics.fidelity import psnr, ssim
from models.metrics.lpips import LPIPS
from models.nn.vgg import load_vgg16
from models.runs import export, settings
from models.upscaler import PictureUpscaler

BICUBIC, SMALL, TRUTH = "bicubic", "small", "truth"
PHASE_1 = {"l1": "L1 only", "mse": "MSE only", "perceptual": "perceptual loss only"}
"""What a run's first network is called, by the loss that it was trained with."""
LEAST_PX, MOST_PX = 32, 512  # of a side: smaller pictures are not measured, and of larger ones the middle is
SIDE_PX = 256  # of what a network is shown at once
MAX_PSNR = 100.0  # dB: of equal pictures
SHOWN, SHOWN_PX = 6, 160  # parts of pictures on a sheet

Enlarge = Callable[[np.ndarray], np.ndarray]
"""(H, W, 3) uint8 -> (SCALE H, SCALE W, 3) uint8."""
Look = Callable[[np.ndarray, Sequence[np.ndarray]], list[float]]
"""The truth (H, W, 3) uint8 and pictures of its size -> the distance of each."""


class Given(NamedTuple):
    """A picture to be made larger."""

    name: str
    small: np.ndarray  # (h, w, 3) uint8
    truth: np.ndarray | None = None  # (SCALE h, SCALE w, 3) uint8, of which `small` was made, if there is one


class Compared(NamedTuple):
    """What was made of pictures. By upscaler, and of `like`, with which all are compared: TRUTH, or SMALL."""

    names: list[str]  # of the pictures
    like: str
    measures: dict[str, dict[str, float]]  # of upscalers: psnr (dB), ssim and lpips if there is a truth, and colors
    levels: dict[str, np.ndarray]  # (3, LEVELS) counts
    parts: dict[str, list[np.ndarray]]  # (SHOWN_PX, SHOWN_PX, 3) uint8 of the first SHOWN pictures; of SMALL, too


def read_run(run: Path) -> dict[str, Any]:
    """Return config.json of a run that makes pictures larger. Raise UserError if it is another one, or none."""
    cure = "give others in --runs"
    try:
        found = settings.read_settings(run)
    except FileNotFoundError:
        raise UserError(run, "has no config.json", "a run that this program trained", cure) from None
    if "pretrain_steps" not in found["config"]:
        raise UserError(run, f"is a run of {found['model'][:40]}", "runs of TrainSRGAN or TrainESRGAN", cure)
    return found


def read_upscalers(runs: Sequence[Path], device: torch.device) -> dict[str, Enlarge]:
    """Return by name what makes pictures larger: bicubic interpolation, and of each run the network that phase 1 ended
    with, if it has done more, and its last one. Raise UserError."""
    found: dict[str, Enlarge] = {BICUBIC: enlarge}
    for run in runs:
        config, steps = read_run(run)["config"], export.read_about(run)["steps"]
        if steps > config["pretrain_steps"]:
            name = f"{run.name}, {PHASE_1[config['pretrain_loss']]}"
            found[name] = _enlarger(export.load_network(run, "pretrained"), device)
        found[run.name] = _enlarger(export.load_network(run), device)
    return found


def _enlarger(network: Any, device: torch.device) -> Enlarge:
    upscaler = PictureUpscaler(network, device)
    return lambda small: np.concatenate([*upscaler.strips(small, SCALE, SIDE_PX)])


def with_truth(name: str, picture: np.ndarray) -> Given:
    """Return the middle of a picture (H, W, 3) uint8, made small. Raise ValueError if it is too small."""
    height, width = (min(MOST_PX, side) // SCALE * SCALE for side in picture.shape[:2])
    if min(height, width) < LEAST_PX:
        found = "{1} × {0} px".format(*picture.shape)
        raise ValueError(f"too small ({found}; {LEAST_PX} × {LEAST_PX} px or more are measured)")
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    truth = np.ascontiguousarray(picture[top : top + height, left : left + width])
    return Given(name, shrink(truth), truth)


def lpips_by(vgg16: Path, device: torch.device) -> Look:
    """Return what measures LPIPS by the weights in a file. Raise UserError."""
    lpips = LPIPS(load_vgg16(vgg16).to(device).block_features)

    @torch.no_grad()
    def look(truth: np.ndarray, pictures: Sequence[np.ndarray]) -> list[float]:
        maps = lpips.maps(_in_range(truth).to(device))
        return [float(lpips.between(maps, lpips.maps(_in_range(each).to(device)))) for each in pictures]

    return look


def _in_range(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 127.5 - 1


def compare(upscalers: Mapping[str, Enlarge], pictures: Iterable[Given], look: Look | None) -> Compared:
    """Return what upscalers make of one or more pictures, which all have a truth, or none. `look` measures LPIPS; None:
    that is left out."""
    names: list[str] = []
    like = TRUTH
    scores: dict[str, list[dict[str, float]]] = {name: [] for name in upscalers}
    levels: dict[str, np.ndarray] = {}
    parts: dict[str, list[np.ndarray]] = {}
    for given in pictures:
        squares = given.small.repeat(SCALE, 0).repeat(SCALE, 1)
        made = {name: work(given.small) for name, work in upscalers.items()}
        if given.truth is None:
            like, shown = SMALL, {SMALL: squares, **made}
        else:
            shown = {SMALL: squares, **made, TRUTH: given.truth}
            for name, score in zip(made, _scores([*made.values()], given.truth, look), strict=True):
                scores[name].append(score)
        for name in (like, *made):
            levels[name] = levels.get(name, np.zeros((3, LEVELS), np.int64)) + count_levels(shown[name])
        if len(names) < SHOWN:
            part = _busiest_part(shown[like])
            for name, picture in shown.items():
                parts.setdefault(name, []).append(_cell(picture[part]))
        names.append(given.name)
    measures = {name: _means(rows) for name, rows in scores.items()}
    for name, found in measures.items():
        found["colors"] = float(color_distance(levels[name], levels[like]).mean())
    return Compared(names, like, measures, levels, parts)


def _scores(made: Sequence[np.ndarray], truth: np.ndarray, look: Look | None) -> list[dict[str, float]]:
    """Return the measures of each of the pictures that were made."""
    pictures, truths = np.stack(made), np.stack([truth] * len(made))
    found = {"psnr": psnr(pictures, truths).clip(max=MAX_PSNR), "ssim": ssim(pictures, truths)}
    if look:
        found["lpips"] = np.array(look(truth, made))
    return [{key: float(values[number]) for key, values in found.items()} for number in range(len(made))]


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {key: float(np.mean([row[key] for row in rows])) for key in (rows[0] if rows else ())}


def _busiest_part(picture: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns of the square of SHOWN_PX, or of the picture if that is smaller, with most edges."""
    edges = np.abs(cv2.Laplacian(picture, cv2.CV_32F)).sum(2)
    height, width = (min(SHOWN_PX, side) for side in edges.shape)
    sums = cv2.boxFilter(edges, -1, (width, height), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    inside = sums[: edges.shape[0] - height + 1, : edges.shape[1] - width + 1]
    top, left = np.unravel_index(inside.argmax(), inside.shape)
    return slice(top, top + height), slice(left, left + width)


def _cell(part: np.ndarray) -> np.ndarray:
    """Return (SHOWN_PX, SHOWN_PX, 3) uint8, filled up with white."""
    margins = [(0, SHOWN_PX - side) for side in part.shape[:2]]
    return np.pad(part, [*margins, (0, 0)], constant_values=255)
