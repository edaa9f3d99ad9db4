"""What runs logged, at equal numbers of pictures seen and at equal seconds of training."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from models.data.dataset import UserError
from models.runs import card
from models.runs.settings import config_from_json, read_settings
from models.training.logger import read_metrics
from models.zoo import MODELS

SCORE = "kid_random"  # the distance of samples to held-out faces, while training; lower is better
MAX_NAMED = 20  # runs that an error names

Axis = Literal["pictures", "seconds"]
AXES: dict[Axis, str] = {"pictures": "pictures seen", "seconds": "seconds of training"}


class Entry(NamedTuple):
    """The score of a run after a step."""

    step: int
    pictures: int  # real images seen so far
    seconds: float | None  # of the steps so far; None in runs from before they were logged
    score: float  # NaN if it was not finite


@dataclass(frozen=True)
class History:
    """What a run of a GAN of faces logged, and how its last weights were evaluated."""

    folder: Path
    settings: dict[str, Any]
    size: int  # of its images, px
    pictures: int  # real images in a step
    entries: list[Entry]  # one or more, by step
    evaluation: dict[str, Any] | None  # evaluation.json, if it is of those weights and of the run's own faces

    @property
    def name(self) -> str:
        """Return the run's name."""
        return self.folder.name

    def has(self, axis: Axis) -> bool:
        """Return whether the entries have it: those of runs from before seconds were logged lack them."""
        return all(getattr(entry, axis) is not None for entry in self.entries)


class Standing(NamedTuple):
    """A run at a budget of pictures or seconds: its last entry within it, and its best one until then."""

    last: Entry
    best: Entry


def read_history(run: Path) -> History:
    """Return the history of a run. Raise UserError if it is no run of a GAN of faces, or has no score yet."""
    others = sorted(path.parent.name for path in run.parent.glob("*/metrics.jsonl") if path.parent != run)
    cure = f"give others in --runs: {' '.join(others[:MAX_NAMED])}" if others else "train some"
    try:
        settings = read_settings(run)
    except FileNotFoundError:
        raise UserError(run, "has no config.json", "a run that this program trained", cure) from None
    model = MODELS.get(settings["model"])
    if not model or (model.roles, model.exported) != (("faces",), ("generator",)):
        raise UserError(run, f"is a run of {settings['model'][:40]}", "runs of GANs of faces", cure)
    try:
        config = config_from_json(settings["model"], settings["config"])
    except ValueError as error:
        raise UserError(run / "config.json", f"damaged ({error})", "the settings of a run", cure) from None
    entries = [
        Entry(line["step"], line["step"] * config.pictures, line.get("seconds"), _number(line[SCORE]))
        for line in read_metrics(run)
        if line["kind"] == "score" and SCORE in line
    ]
    if not entries:
        expected = "one every --sample-every steps"
        raise UserError(run, f"has no {SCORE} in metrics.jsonl", expected, f"train it on, or {cure}")
    return History(run, settings, config.size, config.pictures, entries, _own_evaluation(run, settings))


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _own_evaluation(run: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    found = card.read_evaluation(run)
    return found if found and found.get("reference_digest") == settings["dataset"]["digest"] else None


def check_comparable(histories: Sequence[History]) -> None:
    """Raise UserError unless the runs' scores are on one scale: distances to the same faces, of the same size."""
    first, *others = histories
    for other in others:
        if _scale(other) != _scale(first):
            found = " and ".join(f"{each.name} is of {_describe_scale(each)}" for each in (first, other))
            expected = f"runs of one dataset and one size, as {SCORE} is a distance to its faces"
            raise UserError("--runs", found, expected, "compare those of each kind by themselves")


def _scale(history: History) -> tuple[str, int]:
    return history.settings["dataset"]["digest"], history.size


def _describe_scale(history: History) -> str:
    dataset = history.settings["dataset"]
    return f"{dataset['name'][:40]} ({dataset['digest'][:8]}) at {history.size} px"


def budgets(histories: Sequence[History]) -> dict[Axis, float]:
    """Return the most pictures and the most seconds that all runs have had at an entry. Runs without seconds do not
    count for those, and there is no budget of seconds unless two have them."""
    found: dict[Axis, float] = {}
    for axis in AXES:
        ends = [getattr(each.entries[-1], axis) for each in histories if each.has(axis)]
        if len(ends) > 1:
            found[axis] = min(ends)
    return found


def standing_at(history: History, axis: Axis, budget: float) -> Standing | None:
    """Return where a run stood at a budget; None if it has no entry that early, or no seconds."""
    if not history.has(axis):
        return None
    within = [entry for entry in history.entries if getattr(entry, axis) <= budget]
    best = min(within, key=lambda entry: math.inf if math.isnan(entry.score) else entry.score, default=None)
    return Standing(within[-1], best) if best else None
