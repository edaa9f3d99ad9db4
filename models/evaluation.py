"""How good a trained generator is: how far its pictures lie from real ones, and whether it paints what is asked for."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models import metrics
from models.data.dataset import HAIR_COLORS, UserError, seed_for
from models.files import atomic_open
from models.nn.vgg import vgg16
from models.sampling.images import generate_images, grid
from models.sampling.latents import condition

FEW, MOST = 16, 10_000  # samples
HELD_OUT = 900  # held-out pictures at most, to measure by how near samples lie
TAGGED = 900  # samples at least that hair accuracy is counted over, the same number of each colour
NEIGHBOURS, SHOWN = 3, 16  # of a sample; samples shown with theirs
AT_ONCE = 64  # pictures

INCEPTION = 2048  # features

Extractor = Callable[[Tensor], Tensor]
"""(N, 3, S, S) RGB in 0..1 -> features (N, F)."""


def by_vgg16(path: Path) -> Extractor:
    """`conv5_3` after its ReLU, averaged over the map: F = 512."""
    network = vgg16(path)
    return lambda x: network.to(x.device)(x).mean((2, 3))


def by_inception(path: Path) -> Extractor:
    """The last pool of the Inception that FID was defined with, F = 2048: StyleGAN's authors ship it as TorchScript.

    Raises UserError if the file is no such thing."""
    try:
        network = torch.jit.load(str(path), map_location="cpu").eval()
        count = network(torch.zeros(2, 3, 64, 64, dtype=torch.uint8), return_features=True).shape[1]
    except (RuntimeError, ValueError, OSError, AttributeError, IndexError, torch.jit.Error) as error:
        found = f"no such TorchScript ({(str(error).strip() or 'empty').splitlines()[0][:100]})"
        raise UserError(path, found, "inception-2015-12-05.pt", "give another --inception") from error
    if count != INCEPTION:
        raise UserError(path, f"{count} features", f"{INCEPTION}, of Inception", "give another --inception")
    return lambda x: network.to(x.device)((x * 255).round().to(torch.uint8), return_features=True)


@torch.no_grad()
def features(pictures: np.ndarray, extractor: Extractor, device: torch.device) -> Tensor:
    """(N, F), on the CPU, of (N, S, S, 3) uint8 pictures."""
    found = []
    for start in range(0, len(pictures), AT_ONCE):
        part = torch.from_numpy(np.array(pictures[start : start + AT_ONCE])).to(device)
        found.append(extractor(part.permute(0, 3, 1, 2).float() / 255).float().cpu())
    return torch.cat(found)


def samples(network: nn.Module, count: int, known: np.ndarray | None, seed: int) -> np.ndarray:
    """(count, S, S, 3) uint8 of new z; of a conditional network, asked for labels drawn from the real ones, `known`."""
    rng = torch.Generator().manual_seed(seed_for("evaluation", seed))
    noise = network.noise(count, rng)
    if known is None:
        return generate_images(network, noise)
    rows = torch.randint(len(known), (count,), generator=rng).numpy()
    return generate_images(network, noise, torch.from_numpy(known[rows]).to(noise.device))


def distance(
    fake: np.ndarray, real: np.ndarray, held_out: np.ndarray, extractors: dict[str, Extractor], device: torch.device
) -> tuple[dict, np.ndarray]:
    """({FID and KID by each extractor, and how near the nearest real pictures are}, a sheet of samples with those).

    `held_out` are real pictures that were not trained on. If samples lie much nearer to the real ones than these do,
    they were learned by heart. All are (N, S, S, 3) uint8."""
    said: dict = {"samples": len(fake), "reference": len(real)}
    for number, (name, extractor) in enumerate(extractors.items()):
        of_real, of_fake = (features(pictures, extractor, device) for pictures in (real, fake))
        said |= metrics.distances(of_real, of_fake, name)
        if number == 0:
            near, rows = metrics.nearest(of_fake[:SHOWN], of_real, min(NEIGHBOURS, len(real)))
            others = metrics.nearest(features(held_out, extractor, device), of_real, 1)[0]
            said["nearest"] = {
                "network": name,
                "samples": float(near[:, 0].median()),
                "held_out": float(others.median()),
            }
    beside = np.concatenate([[sample, *(real[int(i)] for i in row)] for sample, row in zip(fake, rows, strict=False)])
    return said, grid(beside, columns=2 * (1 + rows.shape[1]))


def hair_accuracy(
    paint: Callable[[str, int], np.ndarray], colors: list[str], tag: Callable[[np.ndarray], list[str | None]]
) -> tuple[dict, np.ndarray]:
    """({how often the tagger names the colour that was asked for}, (C, 10) counts: asked for; named, or none).

    `paint(color, count)` gives (count, S, S, 3) uint8 pictures, `tag` their colours."""
    each = -(-TAGGED // len(colors))
    counts = np.zeros((len(colors), len(HAIR_COLORS) + 1), np.int64)
    for row, color in enumerate(colors):
        for name in tag(paint(color, each)):
            counts[row, HAIR_COLORS.index(name) if name else len(HAIR_COLORS)] += 1
    right = {color: int(counts[row, HAIR_COLORS.index(color)]) for row, color in enumerate(colors)}
    return {
        "hair_accuracy": sum(right.values()) / counts.sum(),
        "hair_accuracy_by_color": {color: number / each for color, number in right.items()},
        "hair_samples": int(counts.sum()),
        "hair_none": counts[:, -1].sum() / counts.sum(),
    }, counts


def painter(network: nn.Module, seed: int) -> Callable[[str, int], np.ndarray]:
    """`paint` of `hair_accuracy`, by a conditional network: the same z for every colour."""

    def paint(color: str, count: int) -> np.ndarray:
        noise = network.noise(count, torch.Generator().manual_seed(seed_for("hair", seed)))
        y = condition(network.labels, {color: 1.0}).to(noise.device)
        return generate_images(network, noise, y.expand(count, -1))

    return paint


def save_confusion(path: Path, colors: list[str], counts: np.ndarray, about: dict) -> None:
    """Draw the counts of `hair_accuracy` as a PNG, with texts on how it was made."""
    from matplotlib.figure import Figure

    shares = counts / counts.sum(1, keepdims=True)
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        if share:
            axes.text(
                column, row, f"{100 * share:.0f}", ha="center", va="center", color="white" if share > 0.6 else "black"
            )
    axes.set_xticks(range(len(HAIR_COLORS) + 1), [*HAIR_COLORS, "none"], rotation=45)
    axes.set_yticks(range(len(colors)), colors)
    axes.set(xlabel="named by the tagger", ylabel="asked for", title="hair colours, % of those asked for")
    with atomic_open(path) as file:
        figure.savefig(file, format="png", dpi=80, metadata={key: str(value) for key, value in about.items()})
