"""Measures of a run that translates faces between domains, of faces that it was not trained on.

A direction is an ordered pair of domains. KID alone rewards a translation that ignores its source: what is kept of the
face is measured beside it.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.data.dataset import HAIR_COLORS
from models.evaluation import FEATURE_SIZE, Extractor, Judge, compare_features, extract_features
from models.files import atomic_open
from models.metrics.domains import DomainClassifier, with_colors
from models.metrics.lpips import LPIPS
from models.nn.layers import to_channels_last
from models.nn.vgg import load_vgg16
from models.sampling.images import grid, with_headings
from models.seeds import seed_for
from models.translators import Translator

EYE_SHIFT = 0.05  # of the width: as far as an eye may move to be where it was
OUTPUTS = 10  # for one source, whose LPIPS is measured: StarGAN v2's protocol
MAX_DIVERSE = 10  # sources in a direction, for which that is done: each more costs as much as ten other faces
SHOWN, SHOWN_OUTPUTS = 4, 3  # sources in a direction, and outputs of each in a sheet
SUFFIXES = {"": "", "latent": "", "reference": "_reference"}  # of measures, by the way to choose a style
JUDGED_BY = "vgg16"  # features of the classifier of domains
COUNTS = (
    "samples",
    "reference",
    "held_out",
    "eyes_read",
    "eyes_hidden",
    "eyes_lost",
    "hair_named",
)  # among the measures

FindEyes = Callable[[np.ndarray], np.ndarray]
"""(N, S, S, 3) uint8 of one domain -> (N, 2, 2): x, y of the left and the right eye, px; NaN where it is hidden."""


@dataclass(frozen=True)
class Domain:
    """The real faces of a domain, (N, S, S, 3) uint8, as the networks know them."""

    name: str
    train: np.ndarray
    held_out: np.ndarray
    features: Callable[[Extractor], tuple[Tensor, Tensor]]  # (N, F) of `train` and of `held_out`
    eyes: FindEyes
    hair: Judge
    is_gray: bool = False

    @functools.cached_property
    def hair_of_held_out(self) -> list[str | None]:
        """Return the colour that the judge gives each held-out face."""
        return self.hair(self.held_out)


@dataclass(frozen=True)
class Tools:
    """What all directions are measured with."""

    extractors: Mapping[str, Extractor]
    classifier: DomainClassifier
    lpips: LPIPS
    device: torch.device


def tools(domains: Sequence[Domain], extractors: Mapping[str, Extractor], vgg16: Path, device: torch.device) -> Tools:
    """Return them, with a classifier that is trained on the train faces of the domains."""
    of_train = [
        with_colors(domain.features(extractors[JUDGED_BY])[0], torch.from_numpy(np.array(domain.train)))
        for domain in domains
    ]
    network = to_channels_last(load_vgg16(vgg16).to(device))
    return Tools(extractors, DomainClassifier(of_train), LPIPS(network.block_features), device)


def directions(domains: Sequence[Domain]) -> Iterator[tuple[int, int]]:
    """Yield source and target of each direction."""
    for source in range(len(domains)):
        for target in range(len(domains)):
            if target != source:
                yield source, target


def measure_translations(
    translator: Translator, domains: Sequence[Domain], with_: Tools, samples: int, seed: int
) -> dict[str, Any]:
    """Return the measures of up to `samples` held-out faces in each direction, under `directions`, and their means over
    directions, or sums where they are counts. A name with `_reference` is of styles of reference faces."""
    found: dict[str, dict[str, Any]] = {}
    eyes = [domain.eyes(domain.held_out[:samples]) for domain in domains]
    for source, target in directions(domains):
        name = f"{domains[source].name} to {domains[target].name}"
        found[name] = {}
        for way in translator.ways:
            measured = _measure(translator, domains, source, target, way, with_, eyes[source], seed)
            found[name] |= {f"{key}{SUFFIXES[way]}": value for key, value in measured.items()}
    keys = dict.fromkeys(key for measured in found.values() for key in measured)
    summary = {key: _summary(key, [measured.get(key) for measured in found.values()]) for key in keys}
    return summary | {"directions": found}


def _summary(key: str, values: list[float | None]) -> float | None:
    """Return the sum of counts, or the mean of what was measured."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return sum(known) if key.removesuffix("_reference") in COUNTS else float(np.mean(known))


def _measure(
    translator: Translator,
    domains: Sequence[Domain],
    source: int,
    target: int,
    way: str,
    with_: Tools,
    eyes: np.ndarray,
    seed: int,
) -> dict[str, Any]:
    """Return the measures of one direction and way, of the source's held-out faces whose eyes (N, 2, 2) are given."""
    a, b = domains[source], domains[target]
    faces = a.held_out[: len(eyes)]
    translate = functools.partial(translator.translate, target=target, way=way, references=b.held_out)
    fakes = translate(faces, seed=seed_for(seed, a.name, b.name))
    measured: dict[str, Any] = {"samples": len(fakes), "reference": len(b.train), "held_out": len(b.held_out)}
    for name, extractor in with_.extractors.items():
        of_fakes = extract_features(fakes, extractor, with_.device)
        measured |= compare_features(f"{name}_{FEATURE_SIZE}", of_fakes, *b.features(extractor))
        if name == JUDGED_BY:
            measured["judged_target"] = _share_of(with_.classifier, of_fakes, fakes, target)
            of_held_out = b.features(extractor)[1]
            measured["judged_target_floor"] = _share_of(with_.classifier, of_held_out, b.held_out, target)
    measured |= eyes_kept(eyes, b.eyes(fakes), faces.shape[1])
    measured |= _hair(a, b, faces, fakes)
    if way:
        outputs = [
            translate(faces[:MAX_DIVERSE], seed=seed_for(seed, a.name, b.name, number)) for number in range(OUTPUTS)
        ]
        measured["lpips"] = float(np.mean([_spread(with_, of_one) for of_one in np.stack(outputs, axis=1)]))
        measured["lpips_floor"] = _spread(with_, b.held_out[:OUTPUTS])
    return measured


def _share_of(classifier: DomainClassifier, features: Tensor, pictures: np.ndarray, domain: int) -> float:
    """Return the share of pictures that are judged to be of a domain."""
    judged = classifier(with_colors(features, torch.from_numpy(np.array(pictures))))
    return float((judged == domain).float().mean())


@torch.no_grad()
def _spread(with_: Tools, pictures: np.ndarray) -> float:
    """Return the mean LPIPS of pairs of pictures (N, S, S, 3) uint8."""
    x = torch.from_numpy(np.array(pictures)).to(with_.device).permute(0, 3, 1, 2).float() / 127.5 - 1
    return float(with_.lpips.spread(x))


def eyes_kept(before: np.ndarray, after: np.ndarray, size: int) -> dict[str, Any]:
    """Return how far eyes (N, 2, 2) in pictures of `size` px stay where they were, of faces whose eyes can be read in
    both pictures: the share of faces in which neither moves by more than EYE_SHIFT, and the mean change of the angle of
    the line between them, degrees. Those faces are counted, and apart from them those whose eyes cannot be read in the
    source (hidden), or in the translation alone (lost)."""
    seen, seen_after = (np.isfinite(eyes).all((1, 2)) for eyes in (before, after))
    read = seen & seen_after
    counts = {"eyes_read": int(read.sum()), "eyes_hidden": int((~seen).sum()), "eyes_lost": int((seen & ~read).sum())}
    found: dict[str, Any] = {**counts, "eyes_kept": None, "tilt_change": None}
    if read.any():
        before, after = before[read], after[read]
        shift = np.linalg.norm(after - before, axis=2).max(1) / size
        turn = (_tilt(after) - _tilt(before) + 180) % 360 - 180
        found |= {"eyes_kept": float((shift <= EYE_SHIFT).mean()), "tilt_change": float(np.abs(turn).mean())}
    return found


def _tilt(eyes: np.ndarray) -> np.ndarray:
    """Return the angle (N,) of the line from the left eye to the right one, degrees."""
    x, y = (eyes[:, 1] - eyes[:, 0]).T
    angles: np.ndarray = np.degrees(np.arctan2(y, x))
    return angles


def _hair(a: Domain, b: Domain, faces: np.ndarray, fakes: np.ndarray) -> dict[str, Any]:
    """Return the share of translations with the hair colour that was asked for, if domains are hair colours, beside
    that of real faces of it; else with the source's, of sources that have one, which are counted. Nothing of grey ones.
    """
    if a.is_gray or b.is_gray:
        return {}
    found = b.hair(fakes)
    if {a.name, b.name} <= set(HAIR_COLORS):
        shares = (float(np.mean([color == b.name for color in colors])) for colors in (found, b.hair_of_held_out))
        turned, ceiling = shares
        return {"hair_turned": turned, "hair_turned_floor": ceiling}
    kept = [color == now for color, now in zip(a.hair(faces), found, strict=True) if color]
    return {"hair_kept": float(np.mean(kept)) if kept else None, "hair_named": len(kept)}


def sheet(translator: Translator, domains: Sequence[Domain], seed: int) -> np.ndarray:
    """Return (H, W, 3) uint8: of each direction SHOWN held-out faces, a row each, with their translations: one, or
    SHOWN_OUTPUTS in styles that are drawn and then of references."""
    ways = [way for way in translator.ways for _ in range(SHOWN_OUTPUTS if way else 1)]
    parts = []
    for source, target in directions(domains):
        a, b = domains[source], domains[target]
        faces = a.held_out[:SHOWN]
        columns = [faces]
        for number, way in enumerate(ways):
            at = seed_for(seed, a.name, b.name, number)
            columns.append(translator.translate(faces, target=target, way=way, references=b.held_out, seed=at))
        cells = np.stack(columns, axis=1)
        headings = [a.name, *([b.name] if ways == [""] else ways)]
        parts.append(with_headings(grid(cells.reshape(-1, *faces.shape[1:]), columns=len(columns)), headings))
    return np.concatenate(parts)


def save_plot(path: Path, measured: dict[str, Any], about: dict[str, Any]) -> None:
    """Draw the shares of each direction as bars, each with that of real faces as a line if there is one, as a PNG with
    `about` as its texts."""
    from matplotlib.figure import Figure

    rows = [
        (f"{name}: {key}{suffix}".replace("_", " "), found[f"{key}{suffix}"], found.get(f"{key}_floor{suffix}"))
        for name, found in measured["directions"].items()
        for key in ("judged_target", "eyes_kept", "hair_kept", "hair_turned")
        for suffix in dict.fromkeys(SUFFIXES.values())
        if found.get(f"{key}{suffix}") is not None
    ]
    figure = Figure(figsize=(7, 1 + 0.25 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.barh([name for name, _, _ in rows], [value for _, value, _ in rows], color="tab:blue")
    for y, (_, _, best) in enumerate(rows):
        if best is not None:
            axes.plot([best, best], [y - 0.4, y + 0.4], color="black")
    axes.invert_yaxis()
    axes.set(title="bars: translated faces; lines: real faces", xlim=(0, 1))
    with atomic_open(path) as file:
        figure.savefig(file, format="png", dpi=80, metadata={key: str(value) for key, value in about.items()})
