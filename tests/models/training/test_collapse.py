"""A training that collapses: it recovers, also when it was killed, and ends with its best weights if it cannot."""

import contextlib
import math
from pathlib import Path

import pytest
import torch
from matplotlib.axes import Axes
from torch import nn

from models import distributed
from models.data.dataset import UserError
from models.runs import card
from models.training import checkpoint, loop, update
from models.training.collapse import MAX_ROLLBACKS, CollapseGuard
from models.training.logger import plot_metrics, read_metrics
from tests.models.runs.test_card import run_settings
from tests.models.test_every_model import UNPLOTTED, the_same, untimed_metrics
from tests.models.training.test_loop import Line, no_batches

STEPS = 13  # the last of which is no occasion for the guard
GOOD_RATE = 0.2


class Guarded(Line):
    """One whose learning rate of the steps from the fifth on is `factor` times the good one."""

    def __init__(self, factor: float = 100.0):
        super().__init__()
        self.factor = factor
        self.optimizer = torch.optim.SGD(self.line.parameters(), momentum=0.1)
        self.guard = CollapseGuard({"line": self.line}, [self.optimizer], every=2, ratio=1.5)

    def step(self, batch, i):
        rate = self.guard.rate * GOOD_RATE * (self.factor if i >= 4 else 1)
        update.set_learning_rate([self.optimizer], rate)
        return super().step(batch, i)

    def validate(self, i):
        return {"square": (self.line.weight - 3).square().sum().item()}


def fit(run: Path, steps: int = STEPS, trainer: Guarded | None = None, **more) -> Guarded:
    trainer = trainer or Guarded()
    every = {"log_every": 1, "sample_every": 50, "save_every": 5}
    loop.fit(trainer, no_batches, run, steps=steps, **(every | more))
    return trainer


def events(run: Path) -> list[tuple]:
    return [(line["step"], line["best_step"], line["rate"]) for line in read_metrics(run) if line["kind"] == "rollback"]


@pytest.fixture(autouse=True)
def _unplotted(monkeypatch):
    monkeypatch.setattr(*UNPLOTTED)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("undisturbed")
    fit(run)
    return run


def test_a_rate_a_hundred_times_too_high_is_lowered_until_the_run_recovers(undisturbed):
    assert events(undisturbed) == [(6, 4, 0.1), (8, 4, pytest.approx(0.01))]
    scores = {line["step"]: line["square"] for line in read_metrics(undisturbed) if line["kind"] == "score"}
    assert scores[13] < scores[8] == scores[6] == scores[4] < scores[2]  # those of the weights that it went on with


def test_the_card_tells_it(undisturbed):
    text = " ".join(card.model_card(undisturbed, run_settings(), STEPS).split())
    assert (
        "At step 8 it collapsed, and went on from its best weights, of step 4, with 0.01 of the learning rate." in text
    )
    assert "best step" not in text


def test_the_plot_marks_it(undisturbed, monkeypatch):
    marks = []
    monkeypatch.setattr(Axes, "axvline", lambda self, x, **more: marks.append(x))
    plot_metrics(undisturbed)
    assert marks == [6, 8, 6, 8]  # in the losses and in the scores


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("killed_at", [7, *range(1, 7), *range(8, STEPS)])
def test_a_run_killed_at_any_step_is_an_undisturbed_one(killed_at, undisturbed, tmp_path):
    def kill(i: int) -> None:
        if i == killed_at:
            raise MemoryError

    trainer = Guarded()
    trainer.at_step = kill
    with pytest.raises(MemoryError):
        fit(tmp_path, trainer=trainer)
    fit(tmp_path)
    the_same(*(checkpoint.read(run / "last.pt") for run in (undisturbed, tmp_path)))
    assert untimed_metrics(undisturbed) == untimed_metrics(tmp_path)


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("end", [5, 6, 7, 9])
def test_a_run_that_ended_and_goes_on_is_an_undisturbed_one(end, undisturbed, tmp_path):
    fit(tmp_path, end)
    fit(tmp_path)
    contents = [checkpoint.read(run / "last.pt") for run in (undisturbed, tmp_path)]
    for content in contents:
        del content["best"]  # of the validations, of which this one had one more
    the_same(*contents)


def test_optimizers_start_anew_from_the_best_weights():
    trainer = Guarded()
    trainer.step({}, 0)
    assert not trainer.guard.judge(2, 1.0)
    best = trainer.line.weight.item()
    trainer.step({}, 1)
    assert not trainer.guard.judge(4, 1.5)  # not yet
    assert trainer.line.weight.item() != best
    assert trainer.optimizer.state
    assert trainer.guard.judge(6, 1.51)
    assert trainer.line.weight.item() == best
    assert not trainer.optimizer.state


def test_a_measure_that_falls_is_a_collapse_though_the_score_is_better():
    trainer = Guarded()
    guard = CollapseGuard({"line": trainer.line}, [trainer.optimizer], every=2, ratio=1.5, drops={"psnr": 6.0})
    assert guard.measures == ("psnr",)
    assert not guard.judge(2, 1.0, 20.0)
    best = trainer.line.weight.item()
    assert not guard.judge(4, 1.1, 25.0)
    trainer.step({}, 0)
    assert not guard.judge(6, 1.2, 19.0)
    again = CollapseGuard({"line": trainer.line}, [trainer.optimizer], every=2, ratio=1.5, drops={"psnr": 6.0})
    again.load_state_dict(guard.state_dict())
    for each in (guard, again):
        assert each.judge(8, 0.5, 18.9)
        assert trainer.line.weight.item() == best
    assert guard.judge(10, 0.5, math.nan)


def poisoned(at: int) -> Guarded:
    trainer = Guarded(factor=1.0)
    trainer.at_step = lambda i: trainer.line.weight.data.fill_(math.nan) if i == at else None
    return trainer


def test_weights_that_are_not_finite_are_those_of_before_where_the_guard_looks_next(tmp_path):
    saved = []
    fit(tmp_path, 12, poisoned(at=6), save_every=1, on_save=saved.append)
    assert events(tmp_path) == [(8, 6, 0.1)]
    assert saved == [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12]  # what is not finite is not exported
    assert math.isfinite(checkpoint.read(tmp_path / "last.pt")["line"]["weight"])


def test_weights_of_another_run_are_the_best_ones_at_first(tmp_path):
    trainer = poisoned(at=0)
    trainer.line.weight.data.fill_(2.0)  # as --init-from does
    fit(tmp_path, 2, trainer)
    assert events(tmp_path) == [(2, 0, 0.1)]
    assert trainer.line.weight.item() == 2


@pytest.mark.full
def test_a_run_that_ends_before_that_stops_with_the_last_checkpoint(tmp_path):
    with pytest.raises(UserError, match=r"loss square is nan at step 7; finite numbers; the last checkpoint"):
        fit(tmp_path, 7, poisoned(at=6))
    fit(tmp_path, 12, poisoned(at=6))
    fit(tmp_path / "undisturbed", 12, poisoned(at=6))
    the_same(*(checkpoint.read(run / "last.pt") for run in (tmp_path, tmp_path / "undisturbed")))


def test_a_run_that_does_not_recover_ends_with_its_best_weights_and_one_line(tmp_path, capsys):
    saved = []
    for _ in range(2):  # going on does not help
        with pytest.raises(UserError, match=r"collapsed 5 times, the last time at step 14; 4 times or less; .*step 4;"):
            fit(tmp_path, 50, Guarded(factor=1e9), on_save=saved.append)
    assert ": step 6 of 50, collapsed; goes on from the weights of step 4 with 0.1 of" in capsys.readouterr().err
    assert len(events(tmp_path)) == MAX_ROLLBACKS + 1
    assert saved[-1] == 14
    best = checkpoint.read(tmp_path / "best.pt")
    last = checkpoint.read(tmp_path / "last.pt")
    assert (last["step"], best["step"]) == (14, 4)
    assert torch.equal(last["line"]["weight"], best["line"]["weight"])


@pytest.mark.full
def test_a_good_run_is_that_without_a_guard(tmp_path):
    lines = [Guarded(factor=1.0), Guarded(factor=1.0)]
    lines[1].guard.every = STEPS + 1
    weights = [fit(tmp_path / str(number), trainer=line).line.weight for number, line in enumerate(lines)]
    assert events(tmp_path / "0") == []
    assert torch.equal(*weights)


def test_a_state_of_other_networks_or_counts_is_refused(undisturbed, tmp_path):
    content = checkpoint.read(undisturbed / "last.pt")
    for changes in ({"rollbacks": -1}, {"best": {"line": nn.Linear(2, 1).state_dict()}}):
        with pytest.raises(UserError, match="its guard does not fit"):
            checkpoint.load_state(Guarded(), content | {"guard": content["guard"] | changes}, tmp_path)


@pytest.mark.full
def test_two_processes_recover_as_one_does(undisturbed, tmp_path):
    torch.multiprocessing.start_processes(_fit_in_two, (str(tmp_path),), 2, start_method="forkserver")
    the_same(*(checkpoint.read(run / "last.pt") for run in (undisturbed, tmp_path)))
    assert untimed_metrics(undisturbed) == untimed_metrics(tmp_path)


def _fit_in_two(rank: int, run: str) -> None:
    torch.set_num_threads(1)
    trainer = Guarded()
    if rank:
        trainer.validate = None  # the first process's score is that of both
    with contextlib.ExitStack() as group:
        store = torch.distributed.FileStore(run + ".store", 2)
        group.enter_context(distributed.process_group("gloo", store=store, rank=rank, world_size=2))
        fit(Path(run), trainer=trainer)
