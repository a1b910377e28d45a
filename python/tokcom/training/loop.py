"""The one training loop: resumable at any moment, with progress and time left."""

import math
import signal
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text
from torch import Tensor, nn

from tokcom.errors import CheckpointError
from tokcom.training.checkpoint import load_checkpoint, save_checkpoint
from tokcom.training.optimizers import MuonAdamW

TRAINING_STATE = ("code_use", "code_sum", "predictor.", "chosen", "visited")
"""Beginnings of the names of what only training needs; it is not exported."""


class Task(ABC):
    """What is trained: a network, its optimizer, a loss and a measure on the test split.

    Everything that settings() names must be the same when a run is continued. Batches are drawn from
    `rng(step)`, so a run that was stopped and continued sees what an uninterrupted one would have seen.
    """

    name: str
    model: nn.Module
    optimizer: torch.optim.Optimizer | MuonAdamW
    learning_rate: float
    seed: int
    growing: tuple[str, ...] = ()
    """Beginnings of the names of residual blocks, which do nothing at first: a warm start may lack the last of them."""

    @abstractmethod
    def settings(self) -> dict:
        """What a checkpoint must agree on to be continued."""

    @abstractmethod
    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Loss of one batch, and figures to report."""

    def warm_start(self, weights: dict[str, Tensor]) -> None:
        """Begin with a trained network's weights.

        Raises:
            CheckpointError: they are of another network.
        """
        try:
            missing, unexpected = self.model.load_state_dict(
                {name: tensor.float() for name, tensor in weights.items()}, strict=False
            )
        except RuntimeError as error:
            raise CheckpointError(f"the {self.name}'s weights do not fit the network to train: {error}") from None
        missing = [name for name in missing if not name.startswith(TRAINING_STATE + self.growing)]
        if unexpected or missing:
            raise CheckpointError(f"the {self.name}'s weights do not fit the network to train: {missing + unexpected}")

    @abstractmethod
    def evaluate(self) -> dict[str, float]:
        """Figures on the test split."""

    def rng(self, step: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, step])

    def measured(self) -> dict[str, float]:
        """evaluate() with the network in evaluation mode and without gradients."""
        self.model.eval()
        with torch.inference_mode():
            figures = self.evaluate()
        self.model.train()
        return figures


class TrainingProgress(Progress):
    """A bar with the time left, and below it the figures of each run, which take as many lines as they need."""

    def __init__(self, console: Console):
        columns = (
            TextColumn("{task.description}"), BarColumn(18), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(),
        )  # fmt: skip
        super().__init__(*columns, console=console)

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        for task in self.tasks:
            if task.fields["figures"]:
                yield Text(task.fields["figures"])


def train(task: Task, *, steps: int, checkpoint: Path, save_every: float = 120.0, console: Console) -> float:
    """Train up to `steps` steps, continuing from the checkpoint where there is one.

    A finished run may be continued with more steps. Ctrl-C or SIGTERM saves a checkpoint and raises KeyboardInterrupt.

    Args:
        task: what to train.
        steps: steps in all, those of earlier calls included.
        checkpoint: file that holds the run's state.
        save_every: seconds between checkpoints.
        console: where progress goes.

    Returns:
        The hours trained in all.

    Raises:
        CheckpointError: the loss or its gradient is not finite; the checkpoint holds the step before.
    """
    progress = load_checkpoint(checkpoint, task.model, task.optimizer, task.settings())
    if progress.step:
        console.print(f"continuing {checkpoint} at step {progress.step} of {steps}")
    stopped = []
    handlers = {
        number: signal.signal(number, lambda *_: stopped.append(True)) for number in (signal.SIGINT, signal.SIGTERM)
    }

    def save() -> None:
        save_checkpoint(checkpoint, task.model, task.optimizer, progress, task.settings())

    figures = defaultdict(float)
    try:
        with TrainingProgress(console=console) as bar:
            row = bar.add_task(f"training {task.name}", total=steps, completed=progress.step, figures="")
            task.model.train()
            last_save = last = time.monotonic()
            while progress.step < steps and not stopped:
                for group in task.optimizer.param_groups:
                    group["lr"] = task.learning_rate * _rate(progress.step, steps)
                torch.manual_seed(task.seed * 1_000_003 + progress.step)
                loss, reported = task.loss(task.rng(progress.step))
                task.optimizer.zero_grad()
                loss.backward()
                norm, value = float(nn.utils.clip_grad_norm_(task.model.parameters(), 1.0)), loss.item()
                if not (math.isfinite(value) and math.isfinite(norm)):
                    # The weights are still those of the step before.
                    save()
                    raise CheckpointError(
                        f"{task.name}: the loss is {value:g} and its gradient's norm {norm:g} at step "
                        f"{progress.step}: the training diverges. {checkpoint} holds the last good step; delete it and "
                        "start again with another --seed or a larger --batch"
                    )
                task.optimizer.step()
                progress.step += 1
                now = time.monotonic()
                progress.seconds += now - last
                last = now
                for name, value in reported.items():
                    figures[name] = value if name not in figures else 0.98 * figures[name] + 0.02 * value
                text = " ".join(f"{name} {value:.3f}" for name, value in figures.items())
                bar.update(row, completed=progress.step, figures=text)
                if progress.step % 200 == 0 and not console.is_terminal:
                    console.print(f"{task.name} step {progress.step} of {steps}: {text}")
                if now - last_save > save_every:
                    save()
                    last_save = last
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    save()
    if stopped:
        console.print(f"stopped at step {progress.step} of {steps}; the same command continues")
        raise KeyboardInterrupt
    return progress.seconds / 3600


def _rate(step: int, steps: int) -> float:
    """Share of the learning rate: it rises over the first 200 steps and falls to zero at the last as a half cosine."""
    return min(1, (step + 1) / 200) * (1 + math.cos(math.pi * step / steps)) / 2
