"""Trainings by steps and by the clock."""

import io
import re
import time

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn

from tokcom.errors import ParameterError
from tokcom_lab.training.checkpoint import Progress
from tokcom_lab.training.loop import Budget, Task, rate_by_share, train

QUIET = Console(file=io.StringIO())


class Falling(Task):
    """One number that falls; a step takes `seconds` of a clock that the test winds."""

    name, learning_rate, seed = "number", 0.1, 0

    def __init__(self, seconds=0.0, clock=None):
        self.model = nn.Linear(1, 1)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.seconds, self.clock, self.shares, self.moves = seconds, clock, [], 0

    def settings(self):
        return {}

    def loss(self, rng):
        self.shares.append(self.share)
        if self.clock is not None:
            self.clock[0] += self.seconds
        return self.model.weight.square().sum(), {}

    def moved(self):
        self.moves += 1

    def evaluate(self):
        return {}


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_schedules_follow_the_steps(tmp_path):
    task = Falling()
    progress = train(task, steps=4, checkpoint=tmp_path / "run.safetensors", console=QUIET)
    assert task.shares == [0, 0.25, 0.5, 0.75] and progress.step == task.moves == 4


def test_schedules_follow_the_clock_at_any_speed(tmp_path, clock):
    for seconds, expected in ((6.0, 10), (20.0, 3)):
        task = Falling(seconds, clock)
        path = tmp_path / f"{seconds}.safetensors"
        progress = train(task, minutes=1, checkpoint=path, console=QUIET)
        assert progress.step == expected and progress.seconds == pytest.approx(60)
        assert task.shares == pytest.approx([i / expected for i in range(expected)])


def test_what_earlier_calls_took_counts(tmp_path, clock):
    path = tmp_path / "run.safetensors"
    train(Falling(6.0, clock), minutes=0.5, checkpoint=path, console=QUIET)
    task = Falling(6.0, clock)
    progress = train(task, minutes=1, checkpoint=path, console=QUIET)
    assert task.shares[0] == pytest.approx(0.5) and progress.step == 10
    idle = Falling(6.0, clock)
    assert train(idle, minutes=1, checkpoint=path, console=QUIET).step == 10 and not idle.shares


def test_time_left_is_read_in_80_columns(tmp_path, clock):
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    train(Falling(6.0, clock), minutes=1, checkpoint=tmp_path / "run.safetensors", console=console)
    lines = [re.sub(r"\x1b\[[0-9?;]*[a-zA-Z]", "", line).strip() for line in console.file.getvalue().splitlines()]
    bars = [line for line in lines if line.startswith("training number")]
    assert re.search(r" 10 steps \d:\d\d:\d\d left [-\d:]+$", bars[-1]) and all(len(line) <= 80 for line in bars)


@pytest.mark.parametrize("given", [{}, {"steps": 3, "minutes": 1.0}])
def test_a_training_takes_steps_or_minutes(given):
    with pytest.raises(ParameterError, match="give one of --steps and --minutes"):
        Budget(**given)


@pytest.mark.parametrize("minutes", [0.0, -1.0, float("nan"), float("inf")])
def test_minutes_are_positive(minutes):
    with pytest.raises(ParameterError, match="above 0"):
        Budget(minutes=minutes)


def test_the_share_never_exceeds_the_whole():
    assert Budget(minutes=1).share(Progress(5, 90.0)) == Budget(steps=4).share(Progress(9)) == 1


def test_rates_by_share_rise_fall_and_never_end():
    """Known points of a rise over 3% and a half cosine from 1 to a hundredth."""
    assert rate_by_share(0) == pytest.approx(1 / 30, rel=1e-3)
    assert rate_by_share(0.5) == pytest.approx(0.505) and rate_by_share(1) == pytest.approx(0.01)
    shares = np.linspace(0.03, 1, 50)
    assert (np.diff([rate_by_share(share) for share in shares]) < 0).all()
