"""Training loop: resumable at any time, limited by steps or by the clock, with progress and time left."""

import math
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console, RenderableType
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text
from torch import Tensor, nn

from tokcom.errors import CheckpointError, ParameterError
from tokcom.interruption import interruption
from tokcom_lab.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from tokcom_lab.training.optimizers import MuonAdamW

TRAINING_STATE = ("code_use", "code_sum", "predictor.", "chosen", "visited")
"""Prefixes of the names of tensors that only training needs, and that are not exported."""
SAID_EVERY = 60.0
"""Seconds between lines of figures without a terminal."""


@dataclass(frozen=True)
class Budget:
    """Budget of a training, in steps or in minutes; both include earlier calls.

    Raises:
        ParameterError: not exactly one of the two is given, or it is not positive.
    """

    steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.steps, self.minutes) if value is not None]
        if len(given) != 1:
            raise ParameterError("a training takes a number of steps or of minutes: give one of --steps and --minutes")
        if not (math.isfinite(given[0]) and given[0] > 0):
            raise ParameterError(f"{'minutes' if self.steps is None else 'steps'} is {given[0]:g}; it must be above 0")

    def share(self, progress: Progress) -> float:
        """Compute the share of the budget used, 0 to 1."""
        done = progress.seconds / 60 / self.minutes if self.steps is None else progress.step / self.steps
        return min(1.0, done)

    def said(self, step: int) -> str:
        """Format a step for display: 12/300, or 12 steps if only the clock counts."""
        return f"{step} steps" if self.steps is None else f"{step:{len(str(self.steps))}}/{self.steps}"


def rate_by_share(share: float) -> float:
    """Compute the learning rate, relative to its maximum, after a share of the training: it rises over the first 3% and
    falls along a half cosine to a hundredth, at any number of steps."""
    return min(1.0, (share + 1e-3) / 0.03) * (0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2)


class Task(ABC):
    """Training task: a network, its optimizer, a loss and a measure on the test split.

    All that settings() returns must be the same when a run is continued. Batches are drawn from `rng(step)`, so a run
    that was stopped and continued sees the same batches as an uninterrupted one.
    """

    share: float = 0.0
    """Share of the training done, 0 to 1, for schedules inside a loss; set by the loop before each step."""

    name: str
    model: nn.Module
    optimizer: torch.optim.Optimizer | MuonAdamW
    learning_rate: float
    seed: int
    growing: tuple[str, ...] = ()
    """Prefixes of the names of residual blocks, which are the identity at first: a warm start may lack the last of
    them."""

    @abstractmethod
    def settings(self) -> dict:
        """Return the settings that must match a checkpoint's to continue it."""

    @abstractmethod
    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Compute the loss of one batch, and figures to report."""

    @property
    def trained(self) -> nn.Module:
        """Network being trained, if `model` holds more than that; a warm start fills it."""
        return self.model

    @property
    def exported(self) -> nn.Module:
        """Network to export, with a `config`: the network itself, or an average over its steps."""
        return self.model

    def set_rates(self, step: int) -> None:
        """Set the learning rates before a step: they rise over the first 200 steps and fall along a half cosine to zero
        at the last."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * min(1, (step + 1) / 200) * (1 + math.cos(math.pi * self.share)) / 2

    def clip(self) -> Tensor:
        """Clip the gradient to a norm of at most 1; return its former norm."""
        return nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)

    def moved(self) -> None:
        """Run after every step of the optimizer."""
        return

    def warm_start(self, weights: dict[str, Tensor]) -> None:
        """Start from a trained network's weights.

        Raises:
            CheckpointError: they belong to another network.
        """
        try:
            missing, unexpected = self.trained.load_state_dict(
                {name: tensor.float() for name, tensor in weights.items()}, strict=False
            )
        except RuntimeError as error:
            raise CheckpointError(f"the {self.name}'s weights do not fit the network to train: {error}") from None
        missing = [name for name in missing if not name.startswith(TRAINING_STATE + self.growing)]
        if unexpected or missing:
            raise CheckpointError(f"the {self.name}'s weights do not fit the network to train: {missing + unexpected}")

    @abstractmethod
    def evaluate(self) -> dict[str, float]:
        """Compute figures on the test split."""

    def rng(self, step: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, step])

    def measured(self) -> dict[str, float]:
        """Run evaluate() with the network in evaluation mode and without gradients."""
        self.model.eval()
        with torch.inference_mode():
            figures = self.evaluate()
        self.model.train()
        return figures


class TrainingProgress(Bar):
    """Progress bar with the time left, and below it the figures of each run, on as many lines as needed."""

    def __init__(self, console: Console):
        columns = (
            TextColumn("{task.description}"), BarColumn(18), TextColumn("{task.fields[done]}"), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(),
        )  # fmt: skip
        super().__init__(*columns, console=console)

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        for task in self.tasks:
            if task.fields["figures"]:
                yield Text(task.fields["figures"])


def train(
    task: Task, *, steps: int | None = None, minutes: float | None = None, checkpoint: Path, save_every: float = 120.0,
    console: Console,
) -> Progress:  # fmt: skip
    """Train for a number of steps or minutes, continuing from the checkpoint if it exists.

    A finished run may be continued with more of them. Ctrl-C or SIGTERM saves a checkpoint and raises
    KeyboardInterrupt.

    Args:
        task: the task.
        steps: total number of steps, earlier calls included; None if `minutes` counts.
        minutes: total number of minutes from the first step to the last, earlier calls included; None if `steps`
            counts.
        checkpoint: file of the run's state.
        save_every: seconds between checkpoints.
        console: console for the progress.

    Returns:
        The total numbers of steps and seconds.

    Raises:
        CheckpointError: the loss or its gradient is not finite; the checkpoint holds the step before.
        ParameterError: not exactly one of steps and minutes is given.
    """
    budget = Budget(steps, minutes)
    progress = load_checkpoint(checkpoint, task.model, task.optimizer, task.settings())

    def reached() -> str:
        if steps is None:
            return f"step {progress.step}, minute {progress.seconds / 60:.1f} of {minutes:g}"
        return f"step {progress.step} of {steps}"

    if progress.step:
        console.print(f"continuing {checkpoint} at {reached()}")

    def save() -> None:
        save_checkpoint(checkpoint, task.model, task.optimizer, progress, task.settings())

    def completed() -> float:
        return progress.seconds if steps is None else progress.step

    figures = defaultdict(float)
    with interruption() as stopped, TrainingProgress(console=console) as bar:
        row = bar.add_task(
            f"training {task.name}", total=steps or 60 * minutes, completed=completed(), figures="",
            done=budget.said(progress.step),
        )  # fmt: skip
        task.model.train()
        last_save = last = last_said = time.monotonic()
        while (share := budget.share(progress)) < 1 and not stopped.is_set():
            task.share = share
            task.set_rates(progress.step)
            torch.manual_seed(task.seed * 1_000_003 + progress.step)
            loss, reported = task.loss(task.rng(progress.step))
            task.optimizer.zero_grad()
            loss.backward()
            norm, value = float(task.clip()), loss.item()
            if not (math.isfinite(value) and math.isfinite(norm)):
                # The weights are still those before this step.
                save()
                raise CheckpointError(
                    f"{task.name}: the loss is {value:g} and its gradient's norm {norm:g} at step "
                    f"{progress.step}: the training diverges. {checkpoint} holds the last good step; delete it and "
                    "start again with another --seed or a larger --batch"
                )
            task.optimizer.step()
            task.moved()
            progress.step += 1
            now = time.monotonic()
            progress.seconds += now - last
            last = now
            for name, value in reported.items():
                figures[name] = value if name not in figures else 0.98 * figures[name] + 0.02 * value
            text = " ".join(f"{name} {value:.3f}" for name, value in figures.items())
            bar.update(row, completed=completed(), figures=text, done=budget.said(progress.step))
            if not console.is_terminal and (progress.step % 200 == 0 or now - last_said > SAID_EVERY):
                console.print(f"{task.name} {reached()}: {text}")
                last_said = now
            if now - last_save > save_every:
                save()
                last_save = last
    save()
    if stopped.is_set():
        console.print(f"stopped at {reached()}; the same command continues")
        raise KeyboardInterrupt
    return progress
