"""Runs side by side as a table with notes: for a terminal, a page and programs."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from models.comparison import layout
from models.comparison.layout import Row
from models.comparison.runs.history import AXES, SCORE, Axis, Entry, History, Standing, budgets, standing_at
from models.data.dataset import escape_markdown
from models.runs import card, export

ABSENT = "–"


def rows_of(histories: Sequence[History]) -> list[Row]:
    """Return the rows of the table: what it is, which way is better, the figure of each run, that of real faces. The
    first is the heading."""
    rows: list[Row] = [("", "better", *(each.name for each in histories), "real faces")]

    def add(what: str, better: str, cells: Iterator[str]) -> None:
        rows.append((what, better, *cells, ""))

    add("model, preset", "", (f"{each.settings['model']}, {each.settings.get('preset')}" for each in histories))
    for axis, budget in budgets(histories).items():
        label = f"{SCORE} at {amount(budget)} {AXES[axis]}"
        add(label, "lower", (_score_at(each, axis, budget, "last") for each in histories))
        add("best until then", "lower", (_score_at(each, axis, budget, "best") for each in histories))
    last = [each.entries[-1] for each in histories]
    add(f"{SCORE} at the end", "lower", (_score(entry, "pictures") for entry in last))
    add("seconds until then", "", (ABSENT if entry.seconds is None else amount(entry.seconds) for entry in last))
    return [*rows, *_evaluations(histories)]


def amount(number: float) -> str:
    """Return a number of pictures or seconds as text."""
    return f"{number:,.1f}" if number < 100 and number % 1 else f"{number:,.0f}"


def _score_at(history: History, axis: Axis, budget: float, which: Literal["last", "best"]) -> str:
    if not history.has(axis):
        return ABSENT
    found = standing_at(history, axis, budget)
    return _score(getattr(found, which), axis) if found else "not yet"


def _score(entry: Entry, axis: Axis) -> str:
    """Return the score of an entry, and the pictures or seconds that it is of."""
    score = "not finite" if math.isnan(entry.score) else f"{entry.score:.4g}"
    return f"{score} ({amount(getattr(entry, axis))})"


def _evaluations(histories: Sequence[History]) -> Iterator[Row]:
    """Yield the rows of what EvaluateGAN measured, if it did of any run."""
    if not any(each.evaluation for each in histories):
        return
    yield "EvaluateGAN, after pictures seen", "", *map(_pictures_evaluated, histories), ""
    counts = (", ".join(map(amount, _counts(each))) or ABSENT for each in histories)
    yield "samples, train faces compared", "", *counts, ""
    by_run = [{name: rest for name, *rest in card.measures(each.evaluation or {})} for each in histories]
    for name, better in {name: rest[0] for measured in by_run for name, rest in measured.items()}.items():
        of_samples = [measured[name][1] if name in measured else ABSENT for measured in by_run]
        of_real = dict.fromkeys(measured[name][2] for measured in by_run if name in measured)
        yield name, better, *of_samples, " or ".join(filter(None, of_real))


def _pictures_evaluated(history: History) -> str:
    steps = export.read_about(history.folder)["steps"] if history.evaluation else None
    return ABSENT if steps is None else amount(steps * history.pictures)


def _counts(history: History) -> tuple[int, ...]:
    """Return how many samples EvaluateGAN compared with how many train faces."""
    found = history.evaluation
    return (found["samples"], found.get("reference", 0)) if found else ()


def notes_on(histories: Sequence[History]) -> list[str]:
    """Return what the figures do not say of themselves, a sentence each."""
    notes = [f"{SCORE}: distance of samples to held-out faces; in brackets the pictures or seconds it was logged at."]
    for each in histories:
        if first := each.settings.get("init_from"):
            notes.append(f"{each.name}: began with the weights of {first['run']}, whose training does not count.")
        if left_out := each.settings["dataset"].get("left_out"):
            rest = f"{left_out:,} others were left out"
            notes.append(f"{each.name}: learned from, and is scored by, faces with its labels; {rest}.")
        if not each.has("seconds"):
            notes.append(f"{each.name}: was trained before seconds were logged.")
        if not each.evaluation:
            notes.append(f"{each.name}: no evaluation of its last weights: EvaluateGAN --run {each.name}")
    if len({_counts(each) for each in histories if each.evaluation}) > 1:
        notes.append("EvaluateGAN compared unequal numbers of images: of its figures KID alone has no bias by that.")
    return notes


def as_text(histories: Sequence[History]) -> str:
    """Return table and notes for a terminal."""
    return layout.as_text(rows_of(histories), notes_on(histories))


def as_markdown(histories: Sequence[History], command: str, pictures: Sequence[str]) -> str:
    """Return a page with the table, the notes, pictures by their names, and the command that made it."""
    names, models, *figures = rows_of(histories)
    rows = [*(tuple(map(escape_markdown, row)) for row in (names, models)), *figures]
    return layout.as_page([each.name for each in histories], rows, notes_on(histories), command, pictures)


def as_json(histories: Sequence[History]) -> dict[str, Any]:
    """Return the figures as JSON values: the budgets, and by run its entries there, its last one and its evaluation."""
    at = budgets(histories)
    found: dict[str, Any] = {"dataset": histories[0].settings["dataset"]["digest"], "size": histories[0].size}
    runs = {
        each.name: {
            "model": each.settings["model"],
            "preset": each.settings.get("preset"),
            **{f"at_{axis}": _standing_as_json(standing_at(each, axis, budget)) for axis, budget in at.items()},
            "end": _entry_as_json(each.entries[-1]),
            "evaluation": each.evaluation,
        }
        for each in histories
    }
    return found | {"at": at, "runs": runs}


def _standing_as_json(at: Standing | None) -> dict[str, Any] | None:
    return {"last": _entry_as_json(at.last), "best": _entry_as_json(at.best)} if at else None


def _entry_as_json(entry: Entry) -> dict[str, Any]:
    return entry._asdict() | {"score": None if math.isnan(entry.score) else entry.score}
